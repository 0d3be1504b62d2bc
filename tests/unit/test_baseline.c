/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <math.h>

#include "baseline.h"
#include "tree.h"

static struct tree tree;
static struct topology machine;
static struct baseline here; /* this machine's description */
static struct baseline loaded;
static char why[1024];

static int setup(void **state)
{
        tree_make(&tree);
        machine = (struct topology){.nsockets = 2, .sockets = {0, 1}};
        here = (struct baseline){0};
        baseline_describe_machine(&here);
        memset(&loaded, 0x5a, sizeof(loaded));
        return 0;
}

static int teardown(void **state)
{
        tree_remove(&tree, "");
        return 0;
}

static int load(const char *source)
{
        return baseline_load(&loaded, tree.root, &machine, source, why, sizeof(why));
}

static void assert_refused(const char *text, const char *reason)
{
        struct baseline before = loaded;

        tree_write(&tree, BASELINE_FILE, text);
        if (load("powercap") != -EINVAL)
                fail_msg("accepted: %s", text);
        if (!strstr(why, reason))
                fail_msg("'%s' has no '%s'", why, reason);
        assert_non_null(strstr(why, "calibrate again"));
        assert_non_null(strstr(why, tree.root));
        assert_memory_equal(&loaded, &before, sizeof(loaded));
}

static struct baseline sample(void)
{
        struct baseline b = here;

        b.nsockets = 2;
        for (unsigned int i = 0; i < TOPOLOGY_MAX_SOCKETS; i++)
                b.package_w[i] = b.dram_w[i] = b.package_mad_w[i] = b.dram_mad_w[i] =
                        b.package_half_width_w[i] = b.dram_half_width_w[i] = b.package_percent[i] =
                                b.dram_percent[i] = NAN;
        b.package_w[0] = 20.123456789;
        b.package_w[1] = 0;
        b.dram_w[0] = 3.25;
        b.package_mad_w[0] = 0.001;
        b.package_mad_w[1] = 0.5;
        b.package_percent[0] = 1.5;
        b.package_percent[1] = 100;
        b.dram_percent[0] = 12;
        b.dram_percent[1] = 13;
        snprintf(b.source, sizeof(b.source), "powercap");
        snprintf(b.date, sizeof(b.date), "2026-01-31T12:00:00Z");
        b.period_s = 2.5;
        b.windows = 9;
        return b;
}

static void assert_same(const double *a, const double *b)
{
        for (unsigned int i = 0; i < TOPOLOGY_MAX_SOCKETS; i++) {
                assert_int_equal(isnan(a[i]), isnan(b[i]));
                if (!isnan(a[i]))
                        assert_true(fabs(a[i] - b[i]) <= 1e-9 * fabs(a[i]));
        }
}

static void what_is_saved_loads_back(void **state)
{
        struct baseline b = sample();

        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), 0);
        assert_int_equal(load("powercap"), 0);
        assert_string_equal(why, "");
        assert_int_equal(loaded.nsockets, 2);
        assert_same(b.package_w, loaded.package_w);
        assert_same(b.dram_w, loaded.dram_w);
        assert_same(b.package_mad_w, loaded.package_mad_w);
        assert_same(b.dram_mad_w, loaded.dram_mad_w);
        assert_same(b.package_half_width_w, loaded.package_half_width_w);
        assert_same(b.dram_half_width_w, loaded.dram_half_width_w);
        assert_same(b.package_percent, loaded.package_percent);
        assert_same(b.dram_percent, loaded.dram_percent);
        assert_int_equal(loaded.method, BASELINE_IDLE);
        assert_string_equal(loaded.source, "powercap");
        assert_string_equal(loaded.date, b.date);
        assert_string_equal(loaded.cpu_model, b.cpu_model);
        assert_string_equal(loaded.kernel, b.kernel);
        assert_string_equal(loaded.microcode, b.microcode);
        assert_string_equal(loaded.governor, b.governor);
        assert_true(loaded.period_s == 2.5);
        assert_int_equal(loaded.windows, 9);
}

static void how_it_was_come_by_is_kept(void **state)
{
        struct baseline b = sample();

        b.method = BASELINE_ONLINE;
        b.package_half_width_w[0] = 0.75;
        b.package_half_width_w[1] = 0.5;
        b.dram_half_width_w[0] = 0.125;
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), 0);
        assert_int_equal(load("powercap"), 0);
        assert_int_equal(loaded.method, BASELINE_ONLINE);
        assert_same(b.package_half_width_w, loaded.package_half_width_w);
        assert_same(b.dram_half_width_w, loaded.dram_half_width_w);
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [], \"method\": \"guess\"}",
                       "method is neither idle nor online");
}

/* As json.dump() of EnergAt writes it: on one line, no newline, these four keys. */
static void a_file_of_energat_is_accepted(void **state)
{
        tree_write(&tree, BASELINE_FILE,
                   "{\"pkg_base_w\": [31.25, 30.5], \"dram_base_w\": [4.125, 5], "
                   "\"pkg_base_percents\": [0.4, 0.6], \"dram_base_percents\": [3.1, 2.2]}");
        assert_int_equal(load("powercap"), 0);
        assert_true(loaded.package_w[0] == 31.25);
        assert_true(loaded.dram_w[1] == 5);
        assert_true(loaded.package_percent[1] == 0.6);
        assert_true(isnan(loaded.package_mad_w[0]));
        assert_int_equal(loaded.method, BASELINE_IDLE);
        assert_string_equal(loaded.source, "");
        assert_string_equal(loaded.date, "");
        assert_string_equal(loaded.cpu_model, "");
        assert_int_equal(loaded.windows, 0);
        /* it was measured with a meter */
        assert_int_equal(load("perf"), 0);
        assert_int_equal(load("estimate"), -EINVAL);
        assert_non_null(strstr(why, "measured with a meter, and the source is now estimate"));
}

static void a_machine_without_dram_counters_has_none(void **state)
{
        tree_write(&tree, BASELINE_FILE, "{\"pkg_base_w\": [1, 2], \"dram_base_w\": [null, null]}");
        assert_int_equal(load("powercap"), 0);
        assert_true(isnan(loaded.dram_w[0]));
        tree_write(&tree, BASELINE_FILE, "{\"pkg_base_w\": [1, 2], \"dram_base_w\": []}");
        assert_int_equal(load("powercap"), 0);
        assert_true(isnan(loaded.dram_w[1]));
        assert_true(loaded.package_w[1] == 2);
}

static void what_is_no_power_is_refused(void **state)
{
        static const char *const bad[] = {"-0.1", "1000.1", "20000", "\"20\"", "true", "[1]", "{}"};
        char text[256];

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                snprintf(text, sizeof(text), "{\"pkg_base_w\": [1, %s], \"dram_base_w\": []}",
                         bad[i]);
                assert_refused(text, "pkg_base_w[1] is not a number from 0 to 1000");
                snprintf(text, sizeof(text), "{\"pkg_base_w\": [1, 1], \"dram_base_w\": [%s, 1]}",
                         bad[i]);
                assert_refused(text, "dram_base_w[0] is not a number");
        }
        /* a package without base power is no baseline; dram need not have any */
        assert_refused("{\"pkg_base_w\": [1, null], \"dram_base_w\": [null, null]}",
                       "pkg_base_w[1] is not a number from 0 to 1000, but null");
        assert_refused("{\"pkg_base_w\": [], \"dram_base_w\": []}", "pkg_base_w has 0 entries");
        assert_refused("{\"pkg_base_w\": [1, 1], \"dram_base_w\": [], "
                       "\"pkg_base_percents\": [1, 101]}",
                       "pkg_base_percents[1] is not a number from 0 to 100");
        /* Python writes these, JSON has none of them; 1e999 is no number either */
        assert_refused("{\"pkg_base_w\": [NaN, 1], \"dram_base_w\": []}", "it is no JSON");
        assert_refused("{\"pkg_base_w\": [Infinity, 1], \"dram_base_w\": []}", "it is no JSON");
        assert_refused("{\"pkg_base_w\": [1e999, 1], \"dram_base_w\": []}", "it is no JSON");
}

static void a_wrong_shape_is_refused(void **state)
{
        assert_refused("", "it is no JSON");
        assert_refused("{", "it is no JSON");
        assert_refused("[]", "it is no JSON object");
        assert_refused("{\"pkg_base_w\": [1, 2]} x", "it is no JSON");
        assert_refused("{}", "pkg_base_w is missing");
        assert_refused("{\"pkg_base_w\": [1, 2]}", "dram_base_w is missing");
        assert_refused("{\"pkg_base_w\": 1, \"dram_base_w\": []}", "pkg_base_w is no array");
        assert_refused("{\"pkg_base_w\": [1, 2], \"pkg_base_w\": [1, 2], \"dram_base_w\": []}",
                       "duplicate");
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [], \"version\": 2}",
                       "it is of version 2");
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [], \"windows\": -1}",
                       "windows is not a whole number");
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [], \"source\": 7}",
                       "source is not a string");
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [], \"source\": "
                       "\"a-source-with-a-very-long-name\"}",
                       "source is not a string of at most 15 bytes");
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [], \"machine\": []}",
                       "machine is no object");
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [], \"period_s\": -2}",
                       "period_s is not a time");
}

static void another_number_of_sockets_is_another_machine(void **state)
{
        struct baseline b = sample();

        assert_refused("{\"pkg_base_w\": [1], \"dram_base_w\": []}",
                       "pkg_base_w has 1 entries, but this machine has 2 sockets");
        assert_refused("{\"pkg_base_w\": [1, 2], \"dram_base_w\": [1, 2, 3]}",
                       "dram_base_w has 3 entries");
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), 0);
        machine.nsockets = 1;
        assert_int_equal(load("powercap"), -EINVAL);
        assert_non_null(strstr(why, "a machine with 2 sockets, and this one has 1"));
}

static void another_processor_is_another_machine(void **state)
{
        struct baseline b = sample();

        if (!*here.cpu_model)
                skip(); /* the kernel does not tell it here */
        snprintf(b.cpu_model, sizeof(b.cpu_model), "Difference Engine No. 2");
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), 0);
        assert_int_equal(load("powercap"), -EINVAL);
        assert_non_null(strstr(why, "another machine (Difference Engine No. 2)"));
}

static void another_kernel_is_the_same_machine(void **state)
{
        struct baseline b = sample();

        snprintf(b.kernel, sizeof(b.kernel), "2.6.32");
        snprintf(b.microcode, sizeof(b.microcode), "0x1");
        snprintf(b.governor, sizeof(b.governor), "several");
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), 0);
        assert_int_equal(load("powercap"), 0);
        assert_string_equal(loaded.kernel, "2.6.32");
}

static void what_has_changed_since_is_told(void **state)
{
        struct baseline then = {.governor = "powersave", .microcode = "0x10"};
        struct baseline now = {.governor = "performance", .microcode = "0x10"};
        char text[256];

        baseline_changes(&then, &now, text, sizeof(text));
        assert_string_equal(text, "the governor was powersave and is performance");
        snprintf(now.microcode, sizeof(now.microcode), "0x11");
        baseline_changes(&then, &now, text, sizeof(text));
        assert_string_equal(text, "the governor was powersave and is performance, the microcode "
                                  "was 0x10 and is 0x11");
        /* what was not told has not changed */
        then.governor[0] = now.microcode[0] = '\0';
        baseline_changes(&then, &now, text, sizeof(text));
        assert_string_equal(text, "");
}

static void describe(struct baseline *b, const char *text)
{
        FILE *cpuinfo = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

        assert_non_null(cpuinfo);
        memset(b, 0x5a, sizeof(*b));
        baseline_describe_processor(b, cpuinfo);
        fclose(cpuinfo);
}

static void a_processor_without_a_name_is_known_by_its_numbers(void **state)
{
        struct baseline b;

        describe(&b, "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmicrocode\t: 0x2b\n"
                     "processor\t: 1\nmodel name\t: Another\n");
        assert_string_equal(b.cpu_model, "Some CPU @ 2 GHz");
        assert_string_equal(b.microcode, "0x2b");
        describe(&b, "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\n"
                     "CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"
                     "CPU revision\t: 1\n\nprocessor\t: 1\nCPU part\t: 0xd0d\n");
        assert_string_equal(b.cpu_model, "CPU implementer 0x41, part 0xd0c, revision 1");
        assert_string_equal(b.microcode, "");
        describe(&b, "CPU implementer\t: 0x41\nCPU part\t: 0xd08\nCPU revision\t: 3\n"
                     "Model\t\t: Raspberry Pi 4 Model B Rev 1.1\n");
        assert_string_equal(b.cpu_model, "Raspberry Pi 4 Model B Rev 1.1");
        describe(&b, "processor : 0\n");
        assert_string_equal(b.cpu_model, "");
}

static void a_baseline_belongs_to_its_source(void **state)
{
        struct baseline b = sample();

        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), 0);
        assert_int_equal(load("estimate"), -EINVAL);
        assert_non_null(strstr(why, "measured with powercap, and the source is now estimate"));
}

static void no_file_is_enoent_and_says_what_to_do(void **state)
{
        assert_int_equal(load("powercap"), -ENOENT);
        assert_non_null(strstr(why, "baseline_power.json: cannot be read: No such file"));
        assert_non_null(strstr(why, "energat --basepower"));
}

static void what_is_no_file_is_refused(void **state)
{
        assert_int_equal(symlink("/dev/zero", tree_path(&tree, BASELINE_FILE)), 0);
        assert_int_equal(load("powercap"), -EINVAL);
        assert_non_null(strstr(why, "no regular file"));
}

static void a_file_that_is_too_large_is_refused(void **state)
{
        tree_write(&tree, BASELINE_FILE, "{");
        assert_int_equal(truncate(tree_path(&tree, BASELINE_FILE), 2 << 20), 0);
        assert_int_equal(load("powercap"), -EINVAL);
        assert_non_null(strstr(why, "larger than"));
}

static unsigned int count_files(void)
{
        DIR *dir = opendir(tree.root);
        struct dirent *entry;
        unsigned int n = 0;

        assert_non_null(dir);
        while ((entry = readdir(dir)))
                n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        closedir(dir);
        return n;
}

static void saving_replaces_the_file_whole(void **state)
{
        struct baseline b = sample();
        mode_t before = umask(0077);
        struct stat st;
        int old;

        tree_write(&tree, BASELINE_FILE, "{\"half\": ");
        /* what a crash in the middle of saving leaves */
        tree_write(&tree, "." BASELINE_FILE ".new", "{\"pkg_");
        old = open(tree_path(&tree, BASELINE_FILE), O_RDONLY | O_CLOEXEC);
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), 0);
        umask(before);
        assert_int_equal(load("powercap"), 0);
        assert_int_equal(count_files(), 1);
        assert_int_equal(stat(tree_path(&tree, BASELINE_FILE), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        /* who had the old file open still reads the old file */
        assert_int_equal(fstat(old, &st), 0);
        assert_int_equal(st.st_size, 9);
        close(old);
}

static void a_failure_to_save_leaves_what_was_there(void **state)
{
        struct baseline b = sample();

        assert_int_equal(baseline_save(&b, tree_path(&tree, "nowhere"), why, sizeof(why)), -ENOENT);
        assert_non_null(strstr(why, "nowhere/baseline_power.json: cannot be written: No such"));

        /* the rename fails */
        tree_mkdir(&tree, BASELINE_FILE);
        tree_write(&tree, BASELINE_FILE "/in-the-way", "");
        assert_true(baseline_save(&b, tree.root, why, sizeof(why)) < 0);
        assert_int_equal(count_files(), 1);
        tree_remove(&tree, BASELINE_FILE);

        tree_write(&tree, BASELINE_FILE, "old");
        b.package_w[1] = INFINITY;
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), -EINVAL);
        /* nor what would not load */
        b.package_w[1] = 1001;
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), -EINVAL);
        assert_non_null(strstr(why, "pkg_base_w[1] is 1001, not a number from 0 to 1000"));
        b.package_w[1] = NAN;
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), -EINVAL);
        b = sample();
        snprintf(b.cpu_model, sizeof(b.cpu_model), "\xff\xfe");
        assert_int_equal(baseline_save(&b, tree.root, why, sizeof(why)), -EINVAL);
        assert_int_equal(count_files(), 1);
}

static void this_machine_is_described(void **state)
{
        assert_true(strlen(here.kernel) > 0);
        assert_null(strpbrk(here.cpu_model, "\n\t"));
        assert_null(strpbrk(here.microcode, "\n\t "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_is_saved_loads_back),
                TEST(how_it_was_come_by_is_kept),
                TEST(a_file_of_energat_is_accepted),
                TEST(a_machine_without_dram_counters_has_none),
                TEST(what_is_no_power_is_refused),
                TEST(a_wrong_shape_is_refused),
                TEST(another_number_of_sockets_is_another_machine),
                TEST(another_processor_is_another_machine),
                TEST(another_kernel_is_the_same_machine),
                TEST(what_has_changed_since_is_told),
                TEST(a_processor_without_a_name_is_known_by_its_numbers),
                TEST(a_baseline_belongs_to_its_source),
                TEST(no_file_is_enoent_and_says_what_to_do),
                TEST(what_is_no_file_is_refused),
                TEST(a_file_that_is_too_large_is_refused),
                TEST(saving_replaces_the_file_whole),
                TEST(a_failure_to_save_leaves_what_was_there),
                TEST(this_machine_is_described),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
