/* SPDX-License-Identifier: MIT */
/*
 * The perf driver on descriptions of a `power` PMU made here.  Where events are opened, type and
 * config are those of the kernel's software events: the calls are real, and the clock of a CPU in
 * place of its meter is one whose truth is known, 1 W at a scale of 1 nJ per nanosecond.
 */
#include <dirent.h>
#include <linux/perf_event.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "pmu_stage.h"
#include "source_stage.h"

#define ONE_WATT     "1e-9" /* J per ns of PERF_COUNT_SW_CPU_CLOCK */
#define EXIT_SKIPPED 77

static bool skipped;

static int setup(void **state)
{
        stage_make("perf");
        make_machine(1, 1, 1);
        return 0;
}

/* What cannot be tested here is said, and makes the program's exit status that of a skipped one. */
#define SKIP(...)                                       \
        do {                                            \
                print_message("SKIPPED: " __VA_ARGS__); \
                print_message("\n");                    \
                skipped = true;                         \
                skip();                                 \
        } while (0)

static void need_events(void)
{
        struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                       .size = sizeof(attr),
                                       .config = PERF_COUNT_SW_CPU_CLOCK};
        long fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

        if (fd < 0)
                SKIP("perf_event_open(2) on a CPU: %s", strerror(errno));
        close((int)fd);
}

static void need_two_cpus(void)
{
        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                SKIP("this machine has one CPU");
}

static int open_tree(struct source **s)
{
        struct source_config config = {.sysfs_root = tree.root};

        return driver->open(s, &config, &machine, why);
}

static uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static void pause_ms(long ms)
{
        struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        assert_int_equal(nanosleep(&ts, NULL), 0);
}

static unsigned int open_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned int n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static void a_cpumask_must_name_cpus_of_this_machine(void **state)
{
        static const char *const bad[] = {"1\n", "0-1\n", "x\n",         "0,\n",
                                          "\n",  "-1\n",  "4294967296\n"};
        struct source *s = NULL;

        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                tree_write(&tree, PMU "cpumask", bad[i]);
                assert_true(open_tree(&s) < 0);
                assert_non_null(strstr(why, "cannot use the cpumask of the power PMU: "));
        }
        tree_remove(&tree, PMU "cpumask");
        assert_int_equal(open_tree(&s), -ENOENT);
}

/* Two readings and what the clock says before and after each: the energy lies in between. */
static void watch(struct source *s, size_t domain, uint64_t *least_uj, uint64_t *most_uj,
                  uint64_t *energy_uj)
{
        struct reading before[SOURCE_MAX_DOMAINS], after[SOURCE_MAX_DOMAINS];
        uint64_t t0, t1, t2, t3;

        t0 = now_ns();
        driver->read(s, NULL, before);
        t1 = now_ns();
        pause_ms(60);
        t2 = now_ns();
        driver->read(s, NULL, after);
        t3 = now_ns();
        assert_int_equal(before[domain].error, 0);
        assert_int_equal(after[domain].error, 0);
        *least_uj = (t2 - t1) / 1000;
        *most_uj = (t3 - t0) / 1000 + 1;
        *energy_uj = after[domain].counter_uj - before[domain].counter_uj;
}

static void a_cpus_clock_in_place_of_its_meter_tells_one_watt(void **state)
{
        const struct domain *domains;
        uint64_t least, most, energy;
        struct source *s;

        need_events();
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0x00\n", ONE_WATT);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 1);
        assert_int_equal(domains[0].kind, DOMAIN_PACKAGE);
        assert_int_equal(domains[0].socket, 0);
        assert_int_equal(domains[0].die, -1);
        assert_string_equal(domains[0].label, "package-0");
        assert_true(domains[0].range_uj == UINT64_MAX);
        watch(s, 0, &least, &most, &energy);
        /* the kernel's two clocks run within 0.1 % of each other */
        assert_in_range(energy, least - least / 1000, most + most / 1000);
        driver->close(s);
}

/*
 * The same clock twice: between the two counts lies the time between their beginnings, always the
 * same, if both are taken at one instant.
 */
static void one_read_takes_the_whole_group_at_one_instant(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        unsigned int together = 0;
        int64_t first_ns = 0;
        struct source *s;

        need_events();
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0\n", "1e-6\n");
        put_event(&tree, "energy-ram", "event=0\n", "1e-6\n");
        put_event(&tree, "energy-psys", "event=0\n", "2e-6\n");
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 3);
        assert_string_equal(domains[0].label, "package-0");
        assert_string_equal(domains[1].label, "package-0/dram");
        assert_string_equal(domains[2].label, "psys");
        assert_int_equal(domains[2].socket, -1);
        for (int i = 0; i < 100; i++) {
                int64_t apart_ns;

                pause_ms(1);
                driver->read(s, NULL, readings);
                for (size_t d = 0; d < 3; d++)
                        assert_int_equal(readings[d].error, 0);
                apart_ns = (int64_t)(readings[0].counter_uj - readings[1].counter_uj);
                if (i == 0)
                        first_ns = apart_ns;
                together += llabs(apart_ns - first_ns) < 5000;
        }
        /* not all: a virtual machine's CPU can be stopped between the two */
        assert_true(together >= 90);
        driver->close(s);
}

static void each_package_is_counted_on_its_own_cpu(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;

        need_events();
        need_two_cpus();
        make_machine(2, 1, 1);
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0-1\n");
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        put_event(&tree, "energy-psys", "event=0\n", ONE_WATT);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 4);
        assert_string_equal(domains[0].label, "package-0");
        assert_string_equal(domains[1].label, "package-1");
        assert_int_equal(domains[1].socket, 1);
        assert_string_equal(domains[2].label, "psys");
        assert_string_equal(domains[3].label, "psys-1");
        driver->read(s, NULL, readings);
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(readings[i].error, 0);
        driver->close(s);
}

static void dies_are_told_apart_where_the_pmu_counts_them(void **state)
{
        const struct domain *domains;
        struct source *s;

        need_events();
        need_two_cpus();
        make_machine(1, 2, 1);
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0-1\n");
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        put_event(&tree, "energy-psys", "event=0\n", ONE_WATT);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 3);
        assert_string_equal(domains[0].label, "package-0-die-0");
        assert_int_equal(domains[0].die, 0);
        assert_string_equal(domains[1].label, "package-0-die-1");
        assert_int_equal(domains[1].die, 1);
        /* the platform has one meter, not one for each die */
        assert_string_equal(domains[2].label, "psys");
        driver->close(s);

        /* and one CPU for both dies, as on AMD: a package */
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 2);
        assert_string_equal(domains[0].label, "package-0");
        assert_int_equal(domains[0].die, -1);
        driver->close(s);
}

static void an_event_that_cannot_be_opened_leaves_the_others_alone(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;

        need_events();
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        put_event(&tree, "energy-ram", "event=0xff\n", ONE_WATT); /* no such software event */
        put_event(&tree, "energy-cores", "event=nonsense\n", ONE_WATT);
        put_event(&tree, "energy-gpu", "event=0\n", ONE_WATT);
        s = opened();
        assert_int_equal(driver->domains(s, &domains), 4);
        for (int i = 0; i < 3; i++) {
                driver->read(s, NULL, readings);
                assert_int_equal(readings[0].error, 0);
                assert_true(readings[1].error == -ENOENT || readings[1].error == -EINVAL);
                assert_int_equal(readings[2].error, -EBADMSG);
                assert_int_equal(readings[3].error, 0);
        }
        driver->close(s);
}

static void without_a_package_that_opens_it_is_no_source(void **state)
{
        struct source *s = NULL;

        need_events();
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0xff\n", ONE_WATT);
        put_event(&tree, "energy-ram", "event=0\n", ONE_WATT);
        assert_true(open_tree(&s) < 0);
        assert_non_null(strstr(why, "cannot open the event energy-pkg on CPU 0: "));
}

/* A CPU that does not exist stands for one that is offline: opening says ENODEV or EINVAL. */
static void a_package_whose_cpu_is_offline_is_tried_again_at_a_slow_pace(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        struct source_input input = {.now_ns = 10 * SECOND_NS};
        long ncpus = sysconf(_SC_NPROCESSORS_CONF);
        struct source *s;

        need_events();
        if (ncpus >= MAX_CPUS)
                SKIP("this machine has more than %d CPUs", MAX_CPUS - 1);
        /* the machine of the description has one CPU more than this one, in a socket of its own */
        make_machine(1, 1, (unsigned int)ncpus + 1);
        cpus[ncpus].socket = 1;
        {
                char mask[32];

                snprintf(mask, sizeof(mask), "0,%ld\n", ncpus);
                put_pmu(&tree, PERF_TYPE_SOFTWARE, mask);
        }
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        s = opened();
        driver->read(s, &input, readings);
        assert_int_equal(readings[0].error, 0);
        assert_true(readings[1].error < 0);

        /* now a CPU that exists is in that socket; it is found, but not at every tick */
        cpus[0].socket = 1;
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        input.now_ns += SECOND_NS / 2;
        driver->read(s, &input, readings);
        assert_true(readings[1].error < 0);
        pause_ms(2);
        input.now_ns += SECOND_NS / 2;
        driver->read(s, &input, readings);
        assert_int_equal(readings[1].error, 0);
        driver->close(s);
}

static void an_event_that_does_not_run_is_a_fault_and_starts_again_at_zero(void **state)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        struct source_input input = {.now_ns = 10 * SECOND_NS};
        struct source *s;
        uint64_t high_uj;

        need_events();
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        s = opened();
        pause_ms(100);
        driver->read(s, &input, readings);
        assert_int_equal(readings[0].error, 0);
        high_uj = readings[0].counter_uj;
        assert_true(high_uj >= 99000);

        /* the events that this task has made are stopped: so do those of a CPU that goes */
        assert_int_equal(prctl(PR_TASK_PERF_EVENTS_DISABLE), 0);
        input.now_ns += SECOND_NS / 100;
        driver->read(s, &input, readings); /* ran for a part of the time since */
        input.now_ns += SECOND_NS / 100;
        driver->read(s, &input, readings);
        assert_int_equal(readings[0].error, -ENODEV);
        input.now_ns += SECOND_NS / 2;
        driver->read(s, &input, readings);
        assert_int_equal(readings[0].error, -ENODEV);

        /* opened anew; what was used meanwhile is not in it, and the meter sees it go back */
        input.now_ns += SECOND_NS / 2;
        driver->read(s, &input, readings);
        assert_int_equal(readings[0].error, 0);
        assert_true(readings[0].counter_uj < high_uj / 2);
        driver->close(s);
}

static void denied_permission_names_the_remedy(void **state)
{
        struct source *s = NULL;
        bool root = geteuid() == 0;
        int r;

        need_events();
        if (!root)
                SKIP("only root has a right to give up");
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        assert_int_equal(seteuid(NOBODY), 0);
        r = open_tree(&s);
        assert_int_equal(seteuid(0), 0);
        if (r == 0) {
                driver->close(s);
                SKIP("kernel.perf_event_paranoid lets every user count");
        }
        assert_true(r == -EACCES || r == -EPERM);
        assert_non_null(strstr(why, "energy-pkg on CPU 0: "));
        assert_non_null(strstr(why, "; run energatd as root"));
}

static void nothing_stays_open(void **state)
{
        unsigned int before = open_descriptors();
        struct source *s = NULL;

        need_events();
        put_pmu(&tree, PERF_TYPE_SOFTWARE, "0\n");
        put_event(&tree, "energy-pkg", "event=0\n", ONE_WATT);
        put_event(&tree, "energy-ram", "event=0\n", ONE_WATT);
        s = opened();
        assert_int_equal(open_descriptors(), before + 2);
        driver->close(s);
        driver->close(NULL);
        put_event(&tree, "energy-pkg", "event=0xff\n", ONE_WATT);
        assert_true(open_tree(&s) < 0);
        assert_int_equal(open_descriptors(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_cpumask_must_name_cpus_of_this_machine),
                TEST(a_cpus_clock_in_place_of_its_meter_tells_one_watt),
                TEST(one_read_takes_the_whole_group_at_one_instant),
                TEST(each_package_is_counted_on_its_own_cpu),
                TEST(dies_are_told_apart_where_the_pmu_counts_them),
                TEST(an_event_that_cannot_be_opened_leaves_the_others_alone),
                TEST(without_a_package_that_opens_it_is_no_source),
                TEST(a_package_whose_cpu_is_offline_is_tried_again_at_a_slow_pace),
                TEST(an_event_that_does_not_run_is_a_fault_and_starts_again_at_zero),
                TEST(denied_permission_names_the_remedy),
                TEST(nothing_stays_open),
        };

        int failed = cmocka_run_group_tests(tests, NULL, NULL);

        return failed == 0 && skipped ? EXIT_SKIPPED : failed;
}
