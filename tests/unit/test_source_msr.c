/* SPDX-License-Identifier: MIT */
/*
 * The msr driver on trees of plain files in place of /dev/cpu/N/msr: eight bytes at the offset of a
 * register's number are its value.  AMD's three registers have numbers that follow one another, so
 * that here, unlike in a processor, each shares seven of its bytes with the next: what is written
 * is one string of bytes, and what a register then holds is read from it as the driver does.
 */
#include <inttypes.h>

#include "counter.h"
#include "msr_model.h"
#include "source_stage.h"

#define POWER_UNIT 0x606
#define PACKAGE    0x611
#define DRAM       0x619
#define CORE       0x639
#define UNCORE     0x641
#define PSYS       0x64d
#define AMD_UNIT   0xc0010299

/* Power in 1/8 W, energy in 1/2^14 J, time in 1/2^10 s: Sandy Bridge to Ice Lake. */
#define UNITS_OF_14 0xa0e03

static void put_processor(unsigned int vendor, unsigned int family, unsigned int model)
{
        char text[96];

        snprintf(text, sizeof(text), "cpu:type:x86,ven%04Xfam%04Xmod%04X:feature:,0000,0001\n",
                 vendor, family, model);
        tree_write(&tree, "sys/devices/system/cpu/modalias", text);
}

static const char *msr_path(unsigned int cpu)
{
        char path[64];

        snprintf(path, sizeof(path), "dev/cpu/%u/msr", cpu);
        return tree_path(&tree, path);
}

static void put_bytes(unsigned int cpu, uint32_t number, const void *bytes, size_t length)
{
        const char *path = msr_path(cpu);
        int fd;

        tree_make_parents(path);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, bytes, length, number), length);
        assert_int_equal(close(fd), 0);
}

static void put_register(unsigned int cpu, uint32_t number, uint64_t value)
{
        put_bytes(cpu, number, &value, sizeof(value));
}

/* A server: the file ends behind the package's and DRAM's registers and reads 0 up to psys. */
static void put_cpu(unsigned int cpu, uint64_t package, uint64_t dram)
{
        put_register(cpu, PSYS, 0);
        put_register(cpu, POWER_UNIT, UNITS_OF_14);
        put_register(cpu, PACKAGE, package);
        put_register(cpu, DRAM, dram);
}

static int setup(void **state)
{
        stage_make("msr");
        make_machine(1, 1, 2);
        return 0;
}

static int open_tree(struct source **s)
{
        char sys[TREE_PATH_MAX], dev[TREE_PATH_MAX];
        struct source_config config = {.sysfs_root = sys, .dev_root = dev};

        snprintf(sys, sizeof(sys), "%s/sys", tree.root);
        snprintf(dev, sizeof(dev), "%s/dev", tree.root);
        return driver->open(s, &config, &machine, why);
}

/* ---- processors ---- */

struct expected {
        unsigned int vendor, family, model;
        const char *domains; /* labels and resolutions in uJ */
};

static void each_processor_has_the_registers_that_the_kernel_knows_of(void **state)
{
        /* 2^-14 J is 61 uJ; 2^-16 J, the fixed unit of server DRAM, 15 uJ; rapl.c's tables */
        static const struct expected all[] = {
                {0, 6, 0x2a, "package-0:61 package-0/core:61 package-0/uncore:61"},
                {0, 6, 0x3e, "package-0:61 package-0/dram:61 package-0/core:61"},
                {0, 6, 0x3c,
                 "package-0:61 package-0/dram:61 package-0/core:61 package-0/uncore:61"},
                {0, 6, 0x4f, "package-0:61 package-0/dram:15 package-0/core:61"},
                {0, 6, 0x55, "package-0:61 package-0/dram:15 package-0/core:61"},
                {0, 6, 0x6a, "package-0:61 package-0/dram:15 package-0/core:61"},
                {0, 6, 0x56, "package-0:61 package-0/core:61"},
                {0, 6, 0x57, "package-0:61 package-0/dram:15"},
                {0, 6, 0x9e,
                 "package-0:61 package-0/dram:61 package-0/core:61 package-0/uncore:61 psys:61"},
                {0, 6, 0x8f, "package-0:61 package-0/dram:61 package-0/core:61 psys:1000000"},
        };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                const struct domain *domains;
                char found[512] = "";
                struct source *s;
                size_t n;

                put_processor(all[i].vendor, all[i].family, all[i].model);
                put_cpu(0, 1, 1);
                put_register(0, CORE, 1);
                put_register(0, UNCORE, 1);
                put_register(0, PSYS, 1);
                s = opened();
                n = driver->domains(s, &domains);
                for (size_t d = 0; d < n; d++)
                        snprintf(found + strlen(found), sizeof(found) - strlen(found),
                                 "%s%s:%" PRIu64, d ? " " : "", domains[d].label,
                                 domains[d].resolution_uj);
                assert_string_equal(found, all[i].domains);
                driver->close(s);
        }
}

static void a_processor_that_is_not_known_is_not_guessed_at(void **state)
{
        static const unsigned int unknown[][3] = {
                {0, 6, 0x37},  /* Silvermont: its unit is told differently by every source */
                {0, 6, 0xad},  /* Granite Rapids */
                {0, 15, 0x06}, /* NetBurst */
                {0, 19, 0x01}, {2, 0x15, 0x02}, /* AMD before Zen */
                {1, 6, 0x9e},  {5, 7, 0x3b},
        };
        struct source *s = NULL;

        put_cpu(0, 1, 1);
        for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
                put_processor(unknown[i][0], unknown[i][1], unknown[i][2]);
                assert_int_equal(open_tree(&s), -ENODEV);
                assert_non_null(strstr(why, "no energy registers are known of this processor"));
        }
        tree_write(&tree, "sys/devices/system/cpu/modalias",
                   "cpu:type:aarch64:feature:,0000,0001\n");
        assert_int_equal(open_tree(&s), -ENODEV);
        assert_non_null(strstr(why, "not an x86"));
        tree_write(&tree, "sys/devices/system/cpu/modalias", "cpu:type:x86,ven0000fam0006mod\n");
        assert_int_equal(open_tree(&s), -ENODEV);
        tree_write(&tree, "sys/devices/system/cpu/modalias", "");
        assert_int_equal(open_tree(&s), -ENODEV);
        tree_remove(&tree, "sys/devices/system/cpu/modalias");
        assert_int_equal(open_tree(&s), -ENOENT);
        assert_non_null(strstr(why, "cannot tell the processor from "));
}

/* ---- counters ---- */

static void counts_become_microjoules_rounded_down(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;

        put_processor(0, 6, 0x55);
        /* bits 63:32 are reserved, and not the counter's */
        put_cpu(0, UINT64_C(0xdeadbeef00004001), UINT64_C(0x123456780001ffff));
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 2);
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[0].counter_uj, 1000061); /* (2^14 + 1) / 2^14 J */
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[1].counter_uj, 1999984); /* (2^17 - 1) / 2^16 J */
        assert_true(domains[0].range_uj == (UINT64_C(1000000) << 18) - 1);
        assert_true(domains[1].range_uj == (UINT64_C(1000000) << 16) - 1);
        driver->close(s);
}

/* Random walks over hundreds of wraps, for every unit that the register can tell. */
static void totals_equal_the_truth_over_wraps_in_every_unit(void **state)
{
        put_processor(0, 6, 0x2a);
        srandom(2);
        for (unsigned int unit = 1; unit < 32; unit++) {
                struct reading reading[SOURCE_MAX_DOMAINS];
                uint64_t counts = (uint64_t)random(), first = counts, last_uj, sum_uj = 0;
                const struct domain *domains;
                struct source *s;

                put_cpu(0, counts, 0);
                put_register(0, POWER_UNIT, unit << 8);
                s = opened();
                assert_int_equal(driver->domains(s, &domains), 1);
                read_at(s, SECOND_NS, reading);
                last_uj = reading[0].counter_uj;
                for (uint64_t i = 2; i < 300; i++) {
                        /* up to just below a whole turn of the counter */
                        counts += (uint64_t)random() * 2 % UINT32_MAX;
                        put_register(0, PACKAGE, counts);
                        read_at(s, i * SECOND_NS, reading);
                        assert_int_equal(reading[0].error, 0);
                        assert_true(reading[0].counter_uj <= domains[0].range_uj);
                        sum_uj += counter_delta_uj(last_uj, reading[0].counter_uj,
                                                   domains[0].range_uj);
                        last_uj = reading[0].counter_uj;
                }
                assert_true(counts > (uint64_t)UINT32_MAX * 100);
                assert_true(sum_uj == (uint64_t)(((unsigned __int128)counts * 1000000 >> unit) -
                                                 ((unsigned __int128)first * 1000000 >> unit)));
                driver->close(s);
        }
}

static void registers_that_read_zero_or_do_not_answer_are_no_domains(void **state)
{
        const struct domain *domains;
        struct source *s;

        put_processor(0, 6, 0x9e);
        put_cpu(0, 5, 0);
        put_register(0, UNCORE, UINT64_C(0x100000000)); /* 0 in the bits that count */
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 1);
        assert_string_equal(domains[0].label, "package-0");
        driver->close(s);

        /* the file ends behind the package's register */
        assert_int_equal(truncate(msr_path(0), PACKAGE + 8), 0);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 1);
        driver->close(s);
}

static void each_package_is_asked_on_a_cpu_of_its_own(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;

        make_machine(2, 1, 2);
        put_processor(0, 6, 0x55);
        put_cpu(0, 1 << 14, 1 << 16);
        put_cpu(2, 2 << 14, 2 << 16);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 4);
        assert_string_equal(domains[0].label, "package-0");
        assert_string_equal(domains[1].label, "package-0/dram");
        assert_string_equal(domains[2].label, "package-1");
        assert_int_equal(domains[2].socket, 1);
        assert_string_equal(domains[3].label, "package-1/dram");
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].counter_uj, 1000000);
        assert_int_equal(readings[1].counter_uj, 1000000);
        assert_int_equal(readings[2].counter_uj, 2000000);
        assert_int_equal(readings[3].counter_uj, 2000000);
        driver->close(s);
}

static void intels_dies_have_counters_of_their_own_and_amds_have_not(void **state)
{
        const struct domain *domains;
        struct source *s;

        make_machine(1, 2, 2);
        put_processor(0, 6, 0x55);
        put_cpu(0, 1, 0);
        put_cpu(2, 2, 0);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 2);
        assert_string_equal(domains[0].label, "package-0-die-0");
        assert_string_equal(domains[1].label, "package-0-die-1");
        assert_int_equal(domains[1].die, 1);
        driver->close(s);

        put_processor(2, 0x17, 0x31);
        put_bytes(0, AMD_UNIT, "\x03\x10\x0a\x01\0\0\0\0\0\0", 10);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 1);
        assert_string_equal(domains[0].label, "package-0");
        assert_int_equal(domains[0].die, -1);
        driver->close(s);
}

/* ---- AMD ---- */

/* The three registers of a CPU as one string of bytes; see the top. */
static void put_amd(unsigned int cpu, const char bytes[10])
{
        put_bytes(cpu, AMD_UNIT, bytes, 10);
}

static uint32_t counts_in(const char *bytes)
{
        const unsigned char *b = (const unsigned char *)bytes;

        return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put_siblings(unsigned int cpu, const char *list)
{
        char path[96];

        snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                 cpu);
        tree_write(&tree, path, list);
}

/* Four CPUs, two cores of two threads: 0 and 2, 1 and 3. */
static void make_amd_machine(void)
{
        make_machine(1, 1, 4);
        put_processor(2, 0x17, 0x31);
        for (unsigned int cpu = 0; cpu < 4; cpu++)
                put_siblings(cpu, cpu % 2 == 0 ? "0,2\n" : "1,3\n");
}

static void amds_cores_are_summed_once_each(void **state)
{
        /* unit 2^-16 J in byte 1; core counts from byte 1, package counts from byte 2 */
        static const char core_0[10] = "\x03\x10\x0a\x01\x02\x05\0\0\0\0";
        static const char core_1[10] = "\x03\x10\x0b\x07\x01\x09\0\0\0\0";
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;
        uint64_t sum;

        make_amd_machine();
        put_amd(0, core_0);
        put_amd(1, core_1);
        /* the second threads tell the same, and must not be counted again */
        put_amd(2, core_0);
        put_amd(3, core_1);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 2);
        assert_string_equal(domains[0].label, "package-0");
        assert_string_equal(domains[1].label, "package-0/core");
        assert_int_equal(domains[1].kind, DOMAIN_CORE);
        assert_int_equal(domains[0].resolution_uj, 15);
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_true(readings[0].counter_uj == (uint64_t)counts_in(core_0 + 2) * 1000000 >> 16);
        assert_int_equal(readings[1].error, 0);
        sum = ((uint64_t)counts_in(core_0 + 1) + counts_in(core_1 + 1)) & UINT32_MAX;
        assert_true(readings[1].counter_uj == sum * 1000000 >> 16);
        driver->close(s);
}

static void the_sum_of_cores_wraps_like_one_counter(void **state)
{
        char core_0[10] = "\x03\x10\x00\x00\xf0\xf0\0\0\0\0", core_1[10];
        struct reading before[SOURCE_MAX_DOMAINS], after[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        uint64_t truth, delta;
        struct source *s;

        memcpy(core_1, core_0, sizeof(core_1));
        make_amd_machine();
        put_amd(0, core_0);
        put_amd(1, core_1);
        s = opened();
        driver->domains(s, &domains);
        read_at(s, SECOND_NS, before);
        truth = counts_in(core_0 + 1);
        /* core 0 wraps (its byte 1 is the unit's and stays), core 1 stands still */
        memcpy(core_0, "\x03\x10\x00\x00\x08\x01", 6);
        put_amd(0, core_0);
        truth = (counts_in(core_0 + 1) - truth) & UINT32_MAX;
        assert_true(truth > 0);

        /* taken at most twice a second; in between it stands */
        read_at(s, SECOND_NS + SECOND_NS / 4, after);
        assert_int_equal(after[1].counter_uj, before[1].counter_uj);
        read_at(s, SECOND_NS + SECOND_NS / 2, after);
        assert_int_equal(after[1].error, 0);
        delta = counter_delta_uj(before[1].counter_uj, after[1].counter_uj, domains[1].range_uj);
        assert_in_range(delta, truth * 1000000 >> 16, (truth * 1000000 >> 16) + 1);
        driver->close(s);
}

static void a_core_that_does_not_answer_makes_the_sum_unknown_not_smaller(void **state)
{
        static const char bytes[10] = "\x03\x10\x0a\x01\x02\x05\0\0\0\0";
        struct reading readings[SOURCE_MAX_DOMAINS];
        uint64_t sum_uj;
        struct source *s;

        make_amd_machine();
        put_amd(0, bytes);
        put_amd(1, bytes);
        s = opened();
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[1].error, 0);
        sum_uj = readings[1].counter_uj;

        assert_int_equal(truncate(msr_path(1), 0), 0);
        read_at(s, 2 * SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_true(readings[1].error < 0);
        put_amd(1, bytes);
        read_at(s, 3 * SECOND_NS, readings);
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[1].counter_uj, sum_uj);
        driver->close(s);
}

static void without_siblings_there_is_no_sum_of_cores(void **state)
{
        static const char *const bad[] = {"", "0-9\n", "x\n", "0,\n"};
        static const char bytes[10] = "\x03\x10\x0a\x01\x02\x05\0\0\0\0";
        const struct domain *domains;
        struct source *s;

        make_amd_machine();
        put_amd(0, bytes);
        put_amd(1, bytes);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                put_siblings(2, bad[i]);
                s = opened();
                /* an empty list leaves CPU 2 a core of its own; it has no file, so the sum fails */
                if (driver->domains(s, &domains) == 2) {
                        struct reading readings[SOURCE_MAX_DOMAINS];

                        assert_string_equal(bad[i], "");
                        read_at(s, SECOND_NS, readings);
                        assert_true(readings[1].error < 0);
                }
                driver->close(s);
        }
        tree_remove(&tree, "sys/devices/system/cpu/cpu2");
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 1);
        driver->close(s);
}

/* ---- faults ---- */

static void when_a_cpu_goes_offline_the_next_is_asked_and_nothing_is_lost(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        struct source *s;

        make_machine(2, 1, 2);
        put_processor(0, 6, 0x55);
        put_cpu(0, 100 << 14, 7 << 16);
        put_cpu(1, 101 << 14, 8 << 16);
        put_cpu(2, 200 << 14, 9 << 16);
        s = opened();
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].counter_uj, 100000000);

        /* its device answers no more, as that of a CPU that is offline */
        assert_int_equal(truncate(msr_path(0), 0), 0);
        read_at(s, SECOND_NS + 1, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[0].counter_uj, 101000000);
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[1].counter_uj, 8000000);
        assert_int_equal(readings[2].counter_uj, 200000000);

        /* no CPU of socket 1 is left: a fault of its domains, and of no others */
        assert_int_equal(truncate(msr_path(2), 0), 0);
        read_at(s, SECOND_NS + 2, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[2].error, -ENOENT);
        assert_int_equal(readings[3].error, -ENOENT);

        /* they come back within a second, and not at every tick is it tried */
        put_cpu(3, 300 << 14, 10 << 16);
        read_at(s, SECOND_NS + SECOND_NS / 2, readings);
        assert_int_equal(readings[2].error, -ENOENT);
        read_at(s, 2 * SECOND_NS + 2, readings);
        assert_int_equal(readings[2].error, 0);
        assert_int_equal(readings[2].counter_uj, 300000000);
        assert_int_equal(readings[3].counter_uj, 10000000);
        driver->close(s);
}

static void a_package_that_is_silent_at_the_start_is_a_fault_of_its_own(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;

        make_machine(2, 1, 1);
        put_processor(0, 6, 0x55);
        put_cpu(1, 1 << 14, 0);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 2);
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, -ENOENT);
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[1].counter_uj, 1000000);
        /* and its unit is known when it speaks */
        put_cpu(0, 3 << 14, 0);
        read_at(s, 3 * SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[0].counter_uj, 3000000);
        driver->close(s);
}

static void what_is_not_there_is_named(void **state)
{
        struct source *s = NULL;

        put_processor(0, 6, 0x55);
        assert_int_equal(open_tree(&s), -ENOENT);
        assert_non_null(strstr(why, "No such file or directory (the kernel module msr is not "
                                    "loaded: 'modprobe msr')"));

        /* as a virtual machine answers */
        put_register(0, PSYS, 0);
        assert_int_equal(open_tree(&s), -ENODEV);
        assert_non_null(strstr(why, "the unit register 0x606 reads 0x0 (a virtual machine"));
        put_register(0, POWER_UNIT, UNITS_OF_14);
        assert_int_equal(open_tree(&s), -ENODEV);
        assert_non_null(strstr(why, "energy register 0x611 reads 0 (a virtual machine"));
        put_register(0, PACKAGE, 1);
        assert_int_equal(open_tree(&s), 0);
        driver->close(s);
}

static void files_that_are_not_files_are_named_faults(void **state)
{
        struct source *s = NULL;

        put_processor(0, 6, 0x55);
        tree_mkdir(&tree, "dev/cpu/0/msr");
        assert_int_equal(open_tree(&s), -ENOENT); /* CPU 1's, the last that was tried */
        make_machine(1, 1, 1);
        assert_int_equal(open_tree(&s), -EISDIR);
        tree_remove(&tree, "dev/cpu/0/msr");
        assert_int_equal(symlink("msr", tree_path(&tree, "dev/cpu/0/msr")), 0);
        assert_int_equal(open_tree(&s), -ELOOP);
        tree_remove(&tree, "dev/cpu/0/msr");
        assert_int_equal(mkfifo(tree_path(&tree, "dev/cpu/0/msr"), 0644), 0);
        assert_int_equal(open_tree(&s), -ESPIPE);
        tree_remove(&tree, "dev/cpu/0/msr");
        /* too short for a register: not a value with zeros behind */
        tree_write_bytes(&tree, "dev/cpu/0/msr", "", 0);
        put_bytes(0, POWER_UNIT, "\x03\x0e\x0a\0\0\0\0", 7);
        assert_int_equal(open_tree(&s), -ENXIO);
}

static void denied_permission_names_the_remedy(void **state)
{
        struct source *s = NULL;
        bool root = geteuid() == 0;
        int r;

        make_machine(1, 1, 1);
        put_processor(0, 6, 0x55);
        put_cpu(0, 1, 1);
        assert_int_equal(chmod(msr_path(0), root ? 0400 : 0), 0);
        if (root)
                assert_int_equal(seteuid(NOBODY), 0);
        r = open_tree(&s);
        if (root)
                assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, -EACCES);
        assert_non_null(strstr(why, "/cpu/*/msr: Permission denied; run energatd as root"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_processor_has_the_registers_that_the_kernel_knows_of),
                TEST(a_processor_that_is_not_known_is_not_guessed_at),
                TEST(counts_become_microjoules_rounded_down),
                TEST(totals_equal_the_truth_over_wraps_in_every_unit),
                TEST(registers_that_read_zero_or_do_not_answer_are_no_domains),
                TEST(each_package_is_asked_on_a_cpu_of_its_own),
                TEST(intels_dies_have_counters_of_their_own_and_amds_have_not),
                TEST(amds_cores_are_summed_once_each),
                TEST(the_sum_of_cores_wraps_like_one_counter),
                TEST(a_core_that_does_not_answer_makes_the_sum_unknown_not_smaller),
                TEST(without_siblings_there_is_no_sum_of_cores),
                TEST(when_a_cpu_goes_offline_the_next_is_asked_and_nothing_is_lost),
                TEST(a_package_that_is_silent_at_the_start_is_a_fault_of_its_own),
                TEST(what_is_not_there_is_named),
                TEST(files_that_are_not_files_are_named_faults),
                TEST(denied_permission_names_the_remedy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
