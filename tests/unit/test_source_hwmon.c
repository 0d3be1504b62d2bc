/* SPDX-License-Identifier: MIT */
/* The hwmon driver on trees of chips made here, each with the origin of its names and labels. */
#include <inttypes.h>
#include <time.h>

#include "hwmon_stage.h"
#include "meter.h"

#define TICK_NS UINT64_C(10000000)

/* Documentation/hwmon/amd_energy.rst and its example, Linux 5.8 */
static void put_amd_energy(unsigned int ncores, unsigned int nsockets)
{
        put("hwmon1", "name", "amd_energy\n");
        for (unsigned int i = 1; i <= ncores + nsockets; i++) {
                char file[32], label[32];

                if (i <= ncores)
                        snprintf(label, sizeof(label), "Ecore%03u\n", i - 1);
                else
                        snprintf(label, sizeof(label), "Esocket%u\n", i - 1 - ncores);
                snprintf(file, sizeof(file), "energy%u_input", i);
                put_sensor("hwmon1", file, i <= ncores ? "1\n" : "16000000\n", label);
        }
}

/* ---- what is measured ---- */

static void sockets_of_amd_energy_are_packages_and_its_cores_are_left_out(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;

        make_nodes(2, 1);
        put_amd_energy(300, 2);
        s = opened();
        assert_domains(s, "package 0 amd_energy/Esocket0\npackage 1 amd_energy/Esocket1\n");
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[0].counter_uj, 16000000);
        driver->domains(s, &domains);
        assert_string_equal(domains[0].name, "Esocket0");
        /* where it wraps depends on a unit that the chip does not tell */
        assert_int_equal(domains[0].range_uj, 0);
        driver->close(s);
}

/* The number is that of a node: four of them in a socket have one counter. */
static void a_package_that_is_there_several_times_is_counted_once(void **state)
{
        struct source *s;

        make_nodes(2, 4);
        put_amd_energy(2, 8);
        s = opened();
        assert_domains(s, "package 0 amd_energy/Esocket0\n"
                          "package 1 amd_energy/Esocket4\n"
                          "other -1 amd_energy/Esocket1\n"
                          "other -1 amd_energy/Esocket2\n"
                          "other -1 amd_energy/Esocket3\n"
                          "other -1 amd_energy/Esocket5\n"
                          "other -1 amd_energy/Esocket6\n"
                          "other -1 amd_energy/Esocket7\n");
        driver->close(s);
}

static void a_node_without_cpus_is_no_package(void **state)
{
        struct source *s;

        put_amd_energy(2, 2); /* node 1 has memory only */
        s = opened();
        assert_domains(s, "package 0 amd_energy/Esocket0\n");
        driver->close(s);
}

/* NVIDIA Grace Performance Tuning Guide, "Power Telemetry": files in hwmonN/device */
static void rails_of_grace_are_told_apart_by_their_labels(void **state)
{
        static const char *const labels[] = {"Module Power Socket 0\n", "Grace Power Socket 0\n",
                                             "CPU Power Socket 0\n",    "SysIO Power Socket 0\n",
                                             "Grace Power Socket 1\n",  "Grace Power Socket 7\n"};
        struct source *s;

        make_nodes(2, 1);
        for (unsigned int i = 0; i < 6; i++) {
                char chip[32];

                snprintf(chip, sizeof(chip), "hwmon%u/device", i + 1);
                put(chip, "power1_average", "50000000\n");
                put(chip, "power1_oem_info", labels[i]);
                put(chip, "name", "power_meter\n");
        }
        s = opened();
        assert_domains(s, "package 0 power_meter/Grace Power Socket 0\n"
                          "core 0 power_meter/CPU Power Socket 0\n"
                          "uncore 0 power_meter/SysIO Power Socket 0\n"
                          "package 1 power_meter/Grace Power Socket 1\n"
                          "other -1 power_meter/Grace Power Socket 7\n"
                          "other -1 power_meter/Module Power Socket 0\n");
        driver->close(s);
}

static void labels_that_only_look_like_packages_are_boards(void **state)
{
        static const char *const labels[] = {"Esocket\n",   "Esocket0x\n",  "Esocket-1\n",
                                             "esocket0\n",  "Esocket0 0\n", "Esocket1234567\n",
                                             "package-0\n", "CPU\n"};
        struct source *s = NULL;

        put("hwmon0", "name", "amd_energy\n");
        for (unsigned int i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
                char file[32];

                snprintf(file, sizeof(file), "energy%u_input", i);
                put_sensor("hwmon0", file, "1\n", labels[i]);
        }
        /* the right label on another chip, or on a sensor of another kind */
        put("hwmon1", "name", "board\n");
        put_sensor("hwmon1", "energy1_input", "1\n", "Esocket0\n");
        put_sensor("hwmon0", "power1_input", "1\n", "Esocket0\n");
        assert_int_equal(open_tree(&s), -ENODEV);
        assert_non_null(strstr(why, "only boards or GPUs are measured, no package (10 sensors, "));
}

static void without_a_package_it_is_no_source(void **state)
{
        struct source *s = NULL;

        assert_int_equal(open_tree(&s), -ENOENT);
        assert_non_null(strstr(why, "class/hwmon: No such file or directory"));
        put("hwmon0", "name", "coretemp\n");
        put("hwmon0", "temp1_input", "45000\n");
        assert_int_equal(open_tree(&s), -ENODEV);
        assert_non_null(strstr(why, "no energy or power sensor in "));
        /* Documentation/hwmon/ina2xx.rst; drivers/gpu/drm/amd/pm/amdgpu_pm.c */
        put("hwmon1", "name", "ina219\n");
        put("hwmon1", "power1_input", "2340000\n");
        put("hwmon2", "name", "amdgpu\n");
        put_sensor("hwmon2", "power1_average", "9000000\n", "PPT\n");
        assert_int_equal(open_tree(&s), -ENODEV);
        assert_string_equal(why, "only boards or GPUs are measured, no package (2 sensors, the "
                                 "first amdgpu/PPT)");
}

static void like_chips_are_told_apart_by_their_device(void **state)
{
        struct source *s;

        put_amd_energy(1, 1);
        put("hwmon2", "name", "ina219\n");
        put("hwmon2", "power1_input", "1\n");
        put("hwmon10", "name", "ina219\n");
        put("hwmon10", "power1_input", "1\n");
        put("hwmon11", "name", "ina219\n");
        put("hwmon11", "power1_input", "1\n");
        put("hwmon12", "name", "ina219\n");
        put("hwmon12", "power1_input", "1\n");
        assert_int_equal(symlink("../../../1-0041", tree_path(&tree, "class/hwmon/hwmon2/device")),
                         0);
        assert_int_equal(symlink("../../../1-0040", tree_path(&tree, "class/hwmon/hwmon10/device")),
                         0);
        s = opened();
        assert_domains(s, "package 0 amd_energy/Esocket0\n"
                          "other -1 ina219/power1 #2\n"
                          "other -1 ina219/power1\n"
                          "other -1 ina219/power1 (1-0040)\n"
                          "other -1 ina219/power1 (1-0041)\n");
        driver->close(s);
}

static void the_average_is_taken_where_there_is_one(void **state)
{
        const struct domain *domains;
        struct source *s;

        put_amd_energy(1, 1);
        put("hwmon2", "name", "amdgpu\n");
        put_sensor("hwmon2", "power1_average", "9000000\n", "PPT\n");
        put("hwmon2", "power1_input", "77\n");
        put("hwmon2", "power2_input", "5000000\n");
        put("hwmon2", "power1_cap", "1\n");
        put("hwmon2", "power1_input_highest", "1\n");
        put("hwmon2", "energy_input", "1\n");
        put("hwmon2", "energy1_inputs", "1\n");
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 3);
        assert_string_equal(domains[1].label, "amdgpu/PPT");
        assert_string_equal(domains[2].label, "amdgpu/power2");
        driver->close(s);
}

static void what_may_sleep_is_not_kept_awake(void **state)
{
        const struct domain *domains;
        struct source *s;

        put_amd_energy(1, 1);
        put("hwmon2", "name", "amdgpu\n");
        put("hwmon2", "power1_average", "9000000\n");
        put("hwmon2", "device/power/control", "auto\n");
        put("hwmon2", "device/power/runtime_status", "active\n");
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 1);
        driver->close(s);

        /* runtime power management that is switched off, or that the device does not have */
        put("hwmon2", "device/power/control", "on\n");
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 2);
        driver->close(s);
        put("hwmon2", "device/power/control", "auto\n");
        put("hwmon2", "device/power/runtime_status", "unsupported\n");
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 2);
        driver->close(s);
}

/* ---- reading ---- */

static void boards_are_read_ten_times_a_second_and_packages_at_every_tick(void **state)
{
        struct reading readings[2];
        struct source *s;

        put_amd_energy(0, 1);
        put("hwmon2", "name", "board\n");
        put("hwmon2", "energy1_input", "100\n");
        s = opened();
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[1].counter_uj, 100);
        put("hwmon2", "energy1_input", "200\n");
        put("hwmon1", "energy1_input", "16000001\n");
        read_at(s, SECOND_NS + TICK_NS, readings);
        assert_int_equal(readings[0].counter_uj, 16000001);
        assert_int_equal(readings[1].counter_uj, 100);
        read_at(s, SECOND_NS + 10 * TICK_NS, readings);
        assert_int_equal(readings[1].counter_uj, 200);
        driver->close(s);
}

static void one_sensor_that_fails_leaves_the_others_alone(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        struct source *s;

        make_nodes(2, 1);
        put_amd_energy(0, 2);
        s = opened();
        put("hwmon1", "energy1_input", "garbage\n");
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, -EBADMSG);
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[1].counter_uj, 16000000);
        put("hwmon1", "energy1_input", "17000000\n");
        read_at(s, SECOND_NS + TICK_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[0].counter_uj, 17000000);
        driver->close(s);
}

static void files_that_are_not_files_are_named_faults(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        struct source *s;

        make_nodes(1, 1);
        put_amd_energy(0, 1);
        put("hwmon2", "name", "board\n");
        tree_mkdir(&tree, "class/hwmon/hwmon2/energy1_input");
        assert_int_equal(
                symlink("power1_input", tree_path(&tree, "class/hwmon/hwmon2/power1_input")), 0);
        assert_int_equal(mkfifo(tree_path(&tree, "class/hwmon/hwmon2/power2_input"), 0644), 0);
        /* a label that is a directory, and one with control bytes */
        put("hwmon2", "power3_input", "1\n");
        tree_mkdir(&tree, "class/hwmon/hwmon2/power3_label");
        put_sensor("hwmon2", "power4_input", "1\n", "a\033[31mb\n");
        /* chips that lead in a circle, that are files, that have no name */
        assert_int_equal(symlink(".", tree_path(&tree, "class/hwmon/hwmon3")), 0);
        tree_write(&tree, "class/hwmon/hwmon4", "a file\n");
        put("hwmon5", "power1_input", "1\n");
        assert_int_equal(symlink("..", tree_path(&tree, "class/hwmon/hwmon2/device")), 0);
        s = opened();
        assert_domains(s, "package 0 amd_energy/Esocket0\n"
                          "other -1 board/a?[31mb\n"
                          "other -1 board/energy1\n"
                          "other -1 board/power1\n"
                          "other -1 board/power2\n"
                          "other -1 board/power3\n");
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[2].error, -EISDIR);
        assert_int_equal(readings[3].error, -ELOOP);
        assert_int_equal(readings[4].error, -ESPIPE);
        assert_int_equal(readings[5].error, 0);
        driver->close(s);
}

/* A directory in the file's place stands for a device that has gone. */
static void a_chip_that_comes_back_is_found_within_a_second(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        struct source *s;

        make_nodes(2, 1);
        put_amd_energy(0, 2);
        tree_remove(&tree, "class/hwmon/hwmon1/energy1_input");
        tree_mkdir(&tree, "class/hwmon/hwmon1/energy1_input");
        s = opened();
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, -EISDIR);
        assert_int_equal(readings[1].error, 0);

        /* not at every tick is it tried */
        tree_remove(&tree, "class/hwmon/hwmon1/energy1_input");
        put("hwmon1", "energy1_input", "9\n");
        read_at(s, SECOND_NS + SECOND_NS / 2, readings);
        assert_int_equal(readings[0].error, -EISDIR);
        read_at(s, 2 * SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[0].counter_uj, 9);
        driver->close(s);
}

static void meter_read_now(struct meter *m, struct meter_tick *tick)
{
        struct source_input input = {0};
        struct timespec ts = {.tv_nsec = 5000000};

        assert_int_equal(nanosleep(&ts, NULL), 0);
        clock_gettime(CLOCK_MONOTONIC, &ts);
        input.now_ns = (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
        meter_read(m, &input, tick);
}

/* 1 W, so that microjoules are microseconds. */
static void the_meter_gives_no_energy_for_the_time_of_a_failure(void **state)
{
        struct source_config config = {.sysfs_root = tree.root};
        struct meter_tick tick;
        struct meter *m = NULL;
        char text[1024];
        int readings_to_recover = 0;

        put_grace("1000000\n");
        assert_int_equal(meter_open(&m, "hwmon", &config, &machine, text, sizeof(text)), 0);
        for (int i = 0; i < 5; i++)
                meter_read_now(m, &tick);
        assert_true(tick.known[0]);
        assert_true(tick.energy_uj[0] >= 4900);

        put_grace("?\n");
        meter_read_now(m, &tick);
        assert_false(tick.known[0]);
        assert_int_equal(meter_fault_kind(m, 0), FAULT_GARBAGE);
        put_grace("1000000\n");
        meter_read_now(m, &tick);
        assert_false(tick.known[0]);
        assert_int_equal(meter_fault_kind(m, 0), FAULT_BACKWARDS);
        do {
                meter_read_now(m, &tick);
                assert_true(++readings_to_recover < 10);
        } while (!tick.known[0]);
        assert_int_equal(meter_fault_kind(m, 0), FAULT_NONE);
        /* 1 W for the time that the meter says it covers, and not for more */
        assert_in_range(tick.energy_uj[0], 4900, tick.covered_ns[0] / 1000 + 200);
        meter_close(m);
}

static void too_many_sensors_are_told(void **state)
{
        struct source *s = NULL;

        put_amd_energy(0, 1);
        put("hwmon2", "name", "board\n");
        for (int i = 1; i <= SOURCE_MAX_DOMAINS; i++) {
                char file[32];

                snprintf(file, sizeof(file), "power%d_input", i);
                put("hwmon2", file, "1\n");
        }
        assert_int_equal(open_tree(&s), -E2BIG);
        assert_non_null(strstr(why, "too many sensors"));
}

static void denied_permission_names_the_remedy(void **state)
{
        struct source *s = NULL;
        bool root = geteuid() == 0;
        int r;

        put_amd_energy(0, 1);
        assert_int_equal(
                chmod(tree_path(&tree, "class/hwmon/hwmon1/energy1_input"), root ? 0400 : 0), 0);
        if (root)
                assert_int_equal(seteuid(NOBODY), 0);
        r = open_tree(&s);
        if (root)
                assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, -EACCES);
        assert_non_null(strstr(why, "energy1_input: Permission denied; run energatd as root"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(sockets_of_amd_energy_are_packages_and_its_cores_are_left_out),
                TEST(a_package_that_is_there_several_times_is_counted_once),
                TEST(a_node_without_cpus_is_no_package),
                TEST(rails_of_grace_are_told_apart_by_their_labels),
                TEST(labels_that_only_look_like_packages_are_boards),
                TEST(without_a_package_it_is_no_source),
                TEST(like_chips_are_told_apart_by_their_device),
                TEST(the_average_is_taken_where_there_is_one),
                TEST(what_may_sleep_is_not_kept_awake),
                TEST(boards_are_read_ten_times_a_second_and_packages_at_every_tick),
                TEST(one_sensor_that_fails_leaves_the_others_alone),
                TEST(files_that_are_not_files_are_named_faults),
                TEST(a_chip_that_comes_back_is_found_within_a_second),
                TEST(the_meter_gives_no_energy_for_the_time_of_a_failure),
                TEST(too_many_sensors_are_told),
                TEST(denied_permission_names_the_remedy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
