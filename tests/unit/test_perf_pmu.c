/* SPDX-License-Identifier: MIT */
/* What is read of the description of a `power` PMU, good and bad. */
#include "perf_pmu.h"
#include "pmu_stage.h"
#include "source.h"

static struct tree tree;
static char why[SOURCE_WHY_MAX];

static int setup(void **state)
{
        why[0] = '\0';
        tree_make(&tree);
        return 0;
}

static int teardown(void **state)
{
        tree_remove(&tree, "");
        return 0;
}

static int describe(struct perf_pmu *pmu)
{
        return perf_pmu_read(pmu, tree.root, why);
}

static void the_pmu_of_a_server_is_read_as_the_kernel_describes_it(void **state)
{
        struct perf_pmu pmu;

        /* the texts of arch/x86/events/rapl.c */
        put_pmu(&tree, 9, "0,28\n");
        put_event(&tree, "energy-cores", "event=0x01\n", "2.3283064365386962890625e-10\n");
        put_event(&tree, "energy-pkg", "event=0x02\n", "2.3283064365386962890625e-10\n");
        put_event(&tree, "energy-ram", "event=0x03\n", "2.3283064365386962890625e-10\n");
        assert_int_equal(describe(&pmu), 0);
        assert_int_equal(pmu.type, 9);
        assert_int_equal(pmu.nevents, 3);
        assert_int_equal(pmu.events[0].kind, DOMAIN_PACKAGE);
        assert_int_equal(pmu.events[0].config, 2);
        assert_int_equal(pmu.events[1].kind, DOMAIN_DRAM);
        assert_int_equal(pmu.events[1].config, 3);
        assert_int_equal(pmu.events[2].kind, DOMAIN_CORE);
        assert_int_equal(pmu.events[2].config, 1);
        for (size_t i = 0; i < pmu.nevents; i++) {
                assert_int_equal(pmu.events[i].error, 0);
                assert_int_equal(pmu.events[i].scale.num, 15625);
                assert_true(pmu.events[i].scale.den == 67108864);
        }
}

static void terms_are_put_where_their_format_says(void **state)
{
        struct perf_pmu pmu;

        put_pmu(&tree, 9, "0\n");
        tree_write(&tree, PMU "format/umask", "config:8-15\n");
        tree_write(&tree, PMU "format/inv", "config:23\n");
        tree_write(&tree, PMU "format/all", "config:0-63\n");
        put_event(&tree, "energy-pkg", "event=0x02,umask=0x1f,inv\n", "1\n");
        put_event(&tree, "energy-ram", "all=0xffffffffffffffff\n", "1\n");
        put_event(&tree, "energy-cores", "event=17\n", "1\n");
        assert_int_equal(describe(&pmu), 0);
        assert_true(pmu.events[0].config == (0x02 | 0x1f << 8 | 1 << 23));
        assert_true(pmu.events[1].config == UINT64_MAX);
        assert_true(pmu.events[2].config == 17);
}

static void an_event_that_is_not_understood_is_named_and_the_others_live(void **state)
{
        static const struct {
                const char *file, *text;
        } bad[] = {
                {"", "event=0x100\n"}, /* wider than its format */
                {"", "event=\n"},
                {"", "event=0x\n"},
                {"", "event=-1\n"},
                {"", "event=0x02,\n"},
                {"", "=0x02\n"},
                {"", "nothing=1\n"},
                {"", "../type=1\n"},
                {"", "\n"},
                {"", "event=99999999999999999999\n"},
                {".unit", "Watts\n"},
                {".unit", "\n"},
                {".scale", "\n"},
                {".scale", "0\n"},
                {".scale", "-1e-10\n"},
                {".scale", "nan\n"},
                {".scale", "1e-400\n"},
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct perf_pmu pmu;

                put_pmu(&tree, 9, "0\n");
                put_event(&tree, "energy-pkg", "event=0x02\n", "1e-9\n");
                put_event(&tree, "energy-ram", "event=0x03\n", "1e-9\n");
                put(&tree, "energy-ram", bad[i].file, bad[i].text);
                assert_int_equal(describe(&pmu), 0);
                assert_int_equal(pmu.nevents, 2);
                assert_int_equal(pmu.events[0].error, 0);
                assert_true(pmu.events[1].error < 0);

                put(&tree, "energy-pkg", bad[i].file, bad[i].text);
                assert_true(describe(&pmu) < 0);
                assert_non_null(strstr(why, "cannot use energy-pkg in "));
        }
}

static void a_part_of_a_description_that_is_missing_is_no_default(void **state)
{
        static const char *const parts[] = {"events/energy-ram.unit", "events/energy-ram.scale",
                                            "format/event"};

        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                char path[128];
                struct perf_pmu pmu;

                put_pmu(&tree, 9, "0\n");
                tree_write(&tree, PMU "format/other", "config:0-7\n");
                put_event(&tree, "energy-pkg", "other=2\n", "1e-9\n");
                put_event(&tree, "energy-ram", "event=3\n", "1e-9\n");
                snprintf(path, sizeof(path), PMU "%s", parts[i]);
                tree_remove(&tree, path);
                assert_int_equal(describe(&pmu), 0);
                assert_int_equal(pmu.nevents, 2);
                assert_int_equal(pmu.events[1].error, -EBADMSG);
        }
}

static void bad_formats_are_refused(void **state)
{
        static const char *const bad[] = {
                "config1:0-7\n",   "config:7-0\n", "config:0-64\n", "config:\n",
                "config:0-7,21\n", "0-7\n",        "config:a\n",    "\n",
                "config:0-7x\n"};

        put_pmu(&tree, 9, "0\n");
        put_event(&tree, "energy-pkg", "event=0x02\n", "1\n");
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct perf_pmu pmu;

                tree_write(&tree, PMU "format/event", bad[i]);
                assert_int_equal(describe(&pmu), -EBADMSG);
        }
}

static void files_that_are_not_files_are_named_faults(void **state)
{
        struct perf_pmu pmu;

        put_pmu(&tree, 9, "0\n");
        put_event(&tree, "energy-pkg", "event=0x02\n", "1\n");

        /* a directory, a link that leads to itself, a pipe, too much, a NUL */
        tree_mkdir(&tree, PMU "events/energy-ram");
        assert_int_equal(symlink("energy-gpu", tree_path(&tree, PMU "events/energy-gpu")), 0);
        assert_int_equal(mkfifo(tree_path(&tree, PMU "events/energy-psys"), 0644), 0);
        tree_write_bytes(&tree, PMU "events/energy-cores", "event=1\0\n", 9);
        assert_int_equal(describe(&pmu), 0);
        assert_int_equal(pmu.nevents, 5);
        assert_int_equal(pmu.events[1].error, -EISDIR);
        assert_int_equal(pmu.events[2].error, -EBADMSG);
        assert_int_equal(pmu.events[3].error, -ELOOP);
        assert_int_equal(pmu.events[4].error, -EBADMSG);

        tree_remove(&tree, PMU "type");
        tree_mkdir(&tree, PMU "type");
        assert_int_equal(describe(&pmu), -EISDIR);
        tree_remove(&tree, PMU "type");
        tree_write(&tree, PMU "type", "4294967296\n");
        assert_int_equal(describe(&pmu), -ERANGE);
        tree_write(&tree, PMU "type", "nine\n");
        assert_int_equal(describe(&pmu), -EBADMSG);
        assert_non_null(strstr(why, "type: not a number"));
}

static void what_is_not_there_is_named(void **state)
{
        struct perf_pmu pmu;

        assert_int_equal(describe(&pmu), -ENOENT);
        assert_non_null(strstr(why, "type: No such file or directory (no RAPL"));

        put_pmu(&tree, 9, "0\n");
        assert_int_equal(describe(&pmu), -ENODEV);
        assert_string_equal(why, "the kernel's power PMU has no event energy-pkg");

        /* as in a virtual machine of a Sapphire Rapids server */
        put_event(&tree, "energy-psys", "event=0x05\n", "2.3283064365386962890625e-10\n");
        assert_int_equal(describe(&pmu), -ENODEV);
        assert_string_equal(why,
                            "the kernel's power PMU has no event energy-pkg, only energy-psys");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_pmu_of_a_server_is_read_as_the_kernel_describes_it),
                TEST(terms_are_put_where_their_format_says),
                TEST(an_event_that_is_not_understood_is_named_and_the_others_live),
                TEST(a_part_of_a_description_that_is_missing_is_no_default),
                TEST(bad_formats_are_refused),
                TEST(files_that_are_not_files_are_named_faults),
                TEST(what_is_not_there_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
