/* SPDX-License-Identifier: MIT */
/*
 * The powercap driver on trees of zones: those of real machines under fixtures/powercap, each with
 * its origin and what must be found there, and trees made here.
 */
#include <dirent.h>
#include <inttypes.h>

#include "source.h"
#include "tree.h"

#define SECOND_NS UINT64_C(1000000000)
#define NOBODY    65534
#define MAX_LINES 32

static const struct source_driver *powercap;
static struct tree tree;
static char why[SOURCE_WHY_MAX];

static int setup(void **state)
{
        powercap = source_driver_by_name("powercap");
        assert_non_null(powercap);
        why[0] = '\0';
        tree_make(&tree);
        return 0;
}

static int teardown(void **state)
{
        tree_remove(&tree, "");
        return 0;
}

/* A machine of `nsockets` sockets, from `first` on, of `ndies` dies each. */
static struct topology machine(int first, unsigned int nsockets, unsigned int ndies)
{
        struct topology t = {.nsockets = nsockets};

        for (unsigned int s = 0; s < nsockets; s++) {
                t.sockets[s] = first + (int)s;
                for (unsigned int d = 0; d < ndies; d++)
                        t.slots[t.nslots++] = (struct topology_slot){.socket = t.sockets[s],
                                                                     .die = (int)d};
        }
        return t;
}

static int open_root(struct source **s, const char *root, const struct topology *t)
{
        struct source_config config = {.powercap_root = root};

        return powercap->open(s, &config, t, why);
}

static struct source *open_tree(const struct topology *t)
{
        struct source *s = NULL;

        if (open_root(&s, tree.root, t) < 0)
                fail_msg("%s", why);
        return s;
}

static void read_at(struct source *s, uint64_t now_ns, struct reading *readings)
{
        struct source_input input = {.now_ns = now_ns};

        memset(readings, 0xff, sizeof(*readings));
        powercap->read(s, &input, readings);
}

static void put(const char *zone, const char *file, const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", zone, file);
        tree_write(&tree, path, text);
}

static void put_zone(const char *zone, const char *name, const char *energy)
{
        put(zone, "name", name);
        put(zone, "max_energy_range_uj", "262143328850\n");
        put(zone, "energy_uj", energy);
}

/* A domain and its first reading as a line of a fixture's file `expected`. */
static void describe(char *line, size_t size, const struct domain *d, const struct reading *r)
{
        char range[32] = "-", counter[32] = "-";

        if (d->range_uj)
                snprintf(range, sizeof(range), "%" PRIu64, d->range_uj);
        if (r->error == 0)
                snprintf(counter, sizeof(counter), "%" PRIu64, r->counter_uj);
        snprintf(line, size, "%s %d %d %s %s %s", domain_kind_name(d->kind), d->socket, d->die,
                 range, counter, d->label);
}

struct expected {
        unsigned int sockets, dies;
        char unusable[128];
        char lines[MAX_LINES][256];
        size_t nlines;
};

static void load_expected(struct expected *e, const char *machine_dir)
{
        char path[TREE_PATH_MAX], line[256];
        FILE *stream;

        *e = (struct expected){0};
        snprintf(path, sizeof(path), "%s/expected", machine_dir);
        stream = fopen(path, "re");
        assert_non_null(stream);
        while (fgets(line, sizeof(line), stream)) {
                line[strcspn(line, "\n")] = '\0';
                if (line[0] == '#' ||
                    sscanf(line, "topology sockets=%u dies=%u", &e->sockets, &e->dies) == 2 ||
                    sscanf(line, "unusable %127[^\n]", e->unusable) == 1)
                        continue;
                assert_true(e->nlines < MAX_LINES);
                snprintf(e->lines[e->nlines++], sizeof(e->lines[0]), "%s", line);
        }
        fclose(stream);
        assert_true(e->sockets > 0);
        assert_true(e->nlines > 0 || e->unusable[0]);
}

static void check_machine(const char *machine_dir)
{
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s = NULL;
        struct expected e;
        struct topology t;
        char root[TREE_PATH_MAX];
        size_t n;
        int r;

        load_expected(&e, machine_dir);
        t = machine(0, e.sockets, e.dies);
        snprintf(root, sizeof(root), "%s/class/powercap", machine_dir);
        r = open_root(&s, root, &t);
        if (e.unusable[0]) {
                assert_true(r < 0);
                assert_non_null(strstr(why, e.unusable));
                return;
        }
        if (r < 0)
                fail_msg("%s: %s", machine_dir, why);
        n = powercap->domains(s, &domains);
        read_at(s, SECOND_NS, readings);
        for (size_t i = 0; i < n && i < e.nlines; i++) {
                char line[256];

                describe(line, sizeof(line), &domains[i], &readings[i]);
                assert_string_equal(line, e.lines[i]);
        }
        assert_int_equal(n, e.nlines);
        powercap->close(s);
}

static void every_machine_of_the_fixtures_is_read_as_expected(void **state)
{
        static const char base[] = FIXTURES "/powercap";
        unsigned int machines = 0;
        struct dirent *entry;
        DIR *dir = opendir(base);

        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                char path[TREE_PATH_MAX];

                if (entry->d_name[0] == '.')
                        continue;
                print_message("           %s\n", entry->d_name);
                snprintf(path, sizeof(path), "%s/%s", base, entry->d_name);
                check_machine(path);
                machines++;
        }
        closedir(dir);
        assert_true(machines >= 11);
}

/* The same zones under every numbering of them are the same domains. */
static void zone_order_does_not_matter(void **state)
{
        static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        static const char *const names[] = {"core\n", "uncore\n", "dram\n"};
        static const char *const energy[] = {"100\n", "200\n", "300\n"};
        static const char *const labels[] = {"package-0", "package-0/dram", "package-0/core",
                                             "package-0/uncore"};
        static const uint64_t counters[] = {50, 300, 100, 200};
        struct topology t = machine(0, 1, 1);

        for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
                struct reading readings[SOURCE_MAX_DOMAINS];
                const struct domain *domains;
                struct source *s;

                put_zone("intel-rapl:0", "package-0\n", "50\n");
                for (int z = 0; z < 3; z++) {
                        char id[32];

                        snprintf(id, sizeof(id), "intel-rapl:0:%d", orders[i][z]);
                        put_zone(id, names[z], energy[z]);
                }
                s = open_tree(&t);
                assert_int_equal(powercap->domains(s, &domains), 4);
                read_at(s, SECOND_NS, readings);
                for (size_t d = 0; d < 4; d++) {
                        assert_string_equal(domains[d].label, labels[d]);
                        assert_int_equal(readings[d].error, 0);
                        assert_int_equal(readings[d].counter_uj, counters[d]);
                }
                powercap->close(s);
        }
}

static void nesting_does_not_matter(void **state)
{
        static const char *const dram[] = {"intel-rapl:0:0", "intel-rapl:0/intel-rapl:0:0",
                                           "intel-rapl/intel-rapl:0/intel-rapl:0:0"};
        struct topology t = machine(0, 1, 1);

        for (size_t i = 0; i < sizeof(dram) / sizeof(dram[0]); i++) {
                const struct domain *domains;
                struct source *s;

                put_zone(i == 2 ? "intel-rapl/intel-rapl:0" : "intel-rapl:0", "package-0\n", "1\n");
                put_zone(dram[i], "dram\n", "2\n");
                s = open_tree(&t);
                assert_int_equal(powercap->domains(s, &domains), 2);
                assert_string_equal(domains[1].label, "package-0/dram");
                assert_int_equal(domains[1].socket, 0);
                powercap->close(s);
                tree_remove(&tree, "");
                tree_make(&tree);
        }
}

/* The class has a link to every zone beside the nested directories; the link is what is followed.
 */
static void of_two_ways_to_a_zone_the_shorter_is_read(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct reading readings[2];
        const struct domain *domains;
        struct source *s;

        put_zone("intel-rapl/intel-rapl:0", "package-0\n", "1\n");
        put_zone("intel-rapl/intel-rapl:0/intel-rapl:0:0", "dram\n", "2\n");
        put_zone("intel-rapl:0", "package-0\n", "3\n");
        put_zone("intel-rapl:0/intel-rapl:0:0", "dram\n", "4\n");
        put_zone("intel-rapl:0:0", "dram\n", "5\n");
        s = open_tree(&t);
        assert_int_equal(powercap->domains(s, &domains), 2);
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].counter_uj, 3);
        assert_int_equal(readings[1].counter_uj, 5);
        powercap->close(s);
}

static void an_unreadable_register_zone_leaves_its_place_to_the_memory_mapped_one(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        struct source *s;

        put("intel-rapl:0", "name", "package-0\n");
        tree_mkdir(&tree, "intel-rapl:0/energy_uj");
        put_zone("intel-rapl-mmio:0", "package-0\n", "77\n");
        s = open_tree(&t);
        assert_int_equal(powercap->domains(s, &domains), 1);
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[0].counter_uj, 77);
        powercap->close(s);
}

static void names_that_only_look_like_packages_are_other(void **state)
{
        static const char *const names[] = {"package-\n",        "package-0-die-\n", "package-0x\n",
                                            "package--1\n",      "package-0-die\n",  "packages\n",
                                            "package-12345678\n"};
        struct topology t = machine(0, 1, 1);
        const struct domain *domains;
        struct source *s;
        size_t n;

        put_zone("intel-rapl:0", "package-0\n", "1\n");
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char id[32];

                snprintf(id, sizeof(id), "intel-rapl:%zu", i + 1);
                put_zone(id, names[i], "2\n");
        }
        s = open_tree(&t);
        n = powercap->domains(s, &domains);
        assert_int_equal(n, 1 + sizeof(names) / sizeof(names[0]));
        assert_int_equal(domains[0].kind, DOMAIN_PACKAGE);
        for (size_t i = 1; i < n; i++)
                assert_int_equal(domains[i].kind, DOMAIN_OTHER);
        powercap->close(s);
}

static void a_name_cannot_bring_control_bytes_into_a_label(void **state)
{
        struct topology t = machine(0, 1, 1);
        const struct domain *domains;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "1\n");
        put_zone("intel-rapl:1", "\x1b[31mred\n", "2\n");
        s = open_tree(&t);
        assert_int_equal(powercap->domains(s, &domains), 2);
        assert_string_equal(domains[1].label, "?[31mred");
        powercap->close(s);
}

static void zones_without_a_counter_or_a_name_are_no_domains(void **state)
{
        struct topology t = machine(0, 1, 1);
        const struct domain *domains;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "1\n");
        put("dtpm:0", "name", "package\n");
        put("dtpm:0", "power_uw", "1000000\n");
        put("intel-rapl:1", "energy_uj", "5\n");
        put("intel-rapl:2", "name", " \n");
        put("intel-rapl:2", "energy_uj", "5\n");
        s = open_tree(&t);
        assert_int_equal(powercap->domains(s, &domains), 1);
        powercap->close(s);
}

static void the_only_package_is_the_only_socket(void **state)
{
        struct topology t = machine(1, 1, 1);
        const struct domain *domains;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "1\n");
        put_zone("intel-rapl:0:0", "dram\n", "1\n");
        s = open_tree(&t);
        assert_int_equal(powercap->domains(s, &domains), 2);
        assert_int_equal(domains[0].socket, 1);
        assert_int_equal(domains[1].socket, 1);
        assert_string_equal(domains[0].label, "package-0");
        powercap->close(s);
}

static void counters_are_parsed_strictly(void **state)
{
        static const struct {
                const char *text;
                int error;
                uint64_t value;
        } cases[] = {
                {"0\n", 0, 0},
                {"42", 0, 42},
                {"42 \n", 0, 42},
                {"00000000000000000042\n", 0, 42},
                {"18446744073709551615\n", 0, UINT64_MAX},
                {"18446744073709551616\n", -EBADMSG, 0},
                {"99999999999999999999\n", -EBADMSG, 0},
                {"000000000000000000042\n", -EBADMSG, 0},
                {"", -EBADMSG, 0},
                {"\n", -EBADMSG, 0},
                {" 42\n", -EBADMSG, 0},
                {"-42\n", -EBADMSG, 0},
                {"+42\n", -EBADMSG, 0},
                {"4 2\n", -EBADMSG, 0},
                {"42x\n", -EBADMSG, 0},
                {"0x2a\n", -EBADMSG, 0},
                {"4.2\n", -EBADMSG, 0},
                {"42                                      \n", -EBADMSG, 0},
        };
        struct topology t = machine(0, 1, 1);
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "1\n");
        s = open_tree(&t);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct reading reading;

                put("intel-rapl:0", "energy_uj", cases[i].text);
                read_at(s, SECOND_NS * (i + 1), &reading);
                assert_int_equal(reading.error, cases[i].error);
                if (reading.error == 0)
                        assert_int_equal(reading.counter_uj, cases[i].value);
        }
        tree_write_bytes(&tree, "intel-rapl:0/energy_uj", "42\0\n", 4);
        {
                struct reading reading;

                read_at(s, SECOND_NS * 100, &reading);
                assert_int_equal(reading.error, -EBADMSG);
        }
        powercap->close(s);
}

static void a_counter_is_followed_without_opening_it_again(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "00000000000000000100\n");
        s = open_tree(&t);
        for (uint64_t i = 1; i <= 100; i++) {
                struct reading reading;
                char text[32];

                snprintf(text, sizeof(text), "%020" PRIu64 "\n", i * 1000);
                tree_overwrite(&tree, "intel-rapl:0/energy_uj", text);
                read_at(s, i * 10000000, &reading);
                assert_int_equal(reading.error, 0);
                assert_int_equal(reading.counter_uj, i * 1000);
        }
        powercap->close(s);
}

static void a_file_that_is_replaced_is_followed_at_once(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct reading reading;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "100\n");
        s = open_tree(&t);
        read_at(s, SECOND_NS, &reading);
        put("intel-rapl:0", "new", "200\n");
        assert_int_equal(rename(tree_path(&tree, "intel-rapl:0/new"),
                                tree_path(&tree, "intel-rapl:0/energy_uj")),
                         0);
        read_at(s, SECOND_NS + 1, &reading);
        assert_int_equal(reading.error, 0);
        assert_int_equal(reading.counter_uj, 200);
        powercap->close(s);
}

static void a_zone_that_went_and_came_back_is_found_within_a_second(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct reading reading;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "100\n");
        s = open_tree(&t);
        read_at(s, SECOND_NS, &reading);
        assert_int_equal(reading.error, 0);

        tree_remove(&tree, "intel-rapl:0");
        read_at(s, 2 * SECOND_NS, &reading);
        assert_int_equal(reading.error, -ENOENT);

        /* the pace is slow: not at every tick */
        put_zone("intel-rapl:0", "package-0\n", "500\n");
        read_at(s, 2 * SECOND_NS + SECOND_NS / 2, &reading);
        assert_int_equal(reading.error, -ENOENT);
        read_at(s, 3 * SECOND_NS, &reading);
        assert_int_equal(reading.error, 0);
        assert_int_equal(reading.counter_uj, 500);
        powercap->close(s);
}

static void a_file_that_ran_empty_is_opened_again(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct reading reading;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "100\n");
        s = open_tree(&t);
        read_at(s, SECOND_NS, &reading);

        /* a directory takes its place, and who holds the old file finds it empty */
        assert_int_equal(truncate(tree_path(&tree, "intel-rapl:0/energy_uj"), 0), 0);
        assert_int_equal(rename(tree_path(&tree, "intel-rapl:0/energy_uj"),
                                tree_path(&tree, "intel-rapl:0/away")),
                         0);
        tree_mkdir(&tree, "intel-rapl:0/energy_uj");
        read_at(s, 2 * SECOND_NS, &reading);
        assert_int_equal(reading.error, -EISDIR);

        tree_remove(&tree, "intel-rapl:0/energy_uj");
        put("intel-rapl:0", "energy_uj", "300\n");
        read_at(s, 3 * SECOND_NS, &reading);
        assert_int_equal(reading.error, 0);
        assert_int_equal(reading.counter_uj, 300);
        powercap->close(s);
}

static void one_zone_that_fails_leaves_the_others_alone(void **state)
{
        struct topology t = machine(0, 2, 1);
        struct reading readings[2];
        const struct domain *domains;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "100\n");
        put_zone("intel-rapl:1", "package-1\n", "200\n");
        s = open_tree(&t);
        assert_int_equal(powercap->domains(s, &domains), 2);
        tree_remove(&tree, "intel-rapl:0");
        read_at(s, SECOND_NS, readings);
        assert_int_equal(readings[0].error, -ENOENT);
        assert_int_equal(readings[1].error, 0);
        assert_int_equal(readings[1].counter_uj, 200);
        powercap->close(s);
}

static void a_pipe_in_place_of_a_counter_does_not_stop_us(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct source *s = NULL;

        put("intel-rapl:0", "name", "package-0\n");
        assert_int_equal(mkfifo(tree_path(&tree, "intel-rapl:0/energy_uj"), 0644), 0);
        assert_true(open_root(&s, tree.root, &t) < 0);
        /* pread() on a pipe */
        assert_non_null(strstr(why, "Illegal seek"));
}

static void denied_permission_names_the_remedy(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct source *s = NULL;
        bool root = geteuid() == 0;
        int r;

        put_zone("intel-rapl:0", "package-0\n", "1\n");
        assert_int_equal(chmod(tree_path(&tree, "intel-rapl:0/energy_uj"), root ? 0400 : 0), 0);
        if (root)
                assert_int_equal(seteuid(NOBODY), 0);
        r = open_root(&s, tree.root, &t);
        if (root)
                assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, -EACCES);
        assert_non_null(strstr(why, "energy_uj: Permission denied; run energatd as root"));
}

static void what_is_not_there_is_named(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct source_config config = {.powercap_root = tree_path(&tree, "nowhere")};

        assert_int_equal(powercap->probe(&config, &t, why), -ENOENT);
        assert_non_null(strstr(why, "nowhere: No such file or directory"));

        put_zone("intel-rapl:0", "psys\n", "1\n");
        config.powercap_root = tree.root;
        assert_int_equal(powercap->probe(&config, &t, why), -ENODEV);
        assert_non_null(strstr(why, "none of the 1 power zones"));

        put_zone("intel-rapl:1", "package-0\n", "soon\n");
        assert_int_equal(powercap->probe(&config, &t, why), -EBADMSG);
        assert_non_null(strstr(why, "intel-rapl:1/energy_uj: not a number"));

        put("intel-rapl:1", "energy_uj", "7\n");
        assert_int_equal(powercap->probe(&config, &t, why), 0);
}

static void links_that_lead_in_a_circle_end(void **state)
{
        struct topology t = machine(0, 1, 1);
        const struct domain *domains;
        struct source *s;

        put_zone("intel-rapl:0", "package-0\n", "1\n");
        assert_int_equal(symlink("..", tree_path(&tree, "intel-rapl:0/intel-rapl:0:0")), 0);
        assert_int_equal(symlink(".", tree_path(&tree, "again")), 0);
        s = open_tree(&t);
        assert_int_equal(powercap->domains(s, &domains), 1);
        powercap->close(s);
}

static void too_many_zones_are_told(void **state)
{
        struct topology t = machine(0, 1, 1);
        struct source *s = NULL;

        for (unsigned int i = 0; i <= SOURCE_MAX_DOMAINS; i++) {
                char id[32], name[32];

                snprintf(id, sizeof(id), "intel-rapl:%u", i);
                snprintf(name, sizeof(name), "package-%u\n", i);
                put_zone(id, name, "1\n");
        }
        assert_int_equal(open_root(&s, tree.root, &t), -E2BIG);
        assert_non_null(strstr(why, "too many power zones"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(every_machine_of_the_fixtures_is_read_as_expected),
                TEST(zone_order_does_not_matter),
                TEST(nesting_does_not_matter),
                TEST(of_two_ways_to_a_zone_the_shorter_is_read),
                TEST(an_unreadable_register_zone_leaves_its_place_to_the_memory_mapped_one),
                TEST(names_that_only_look_like_packages_are_other),
                TEST(a_name_cannot_bring_control_bytes_into_a_label),
                TEST(zones_without_a_counter_or_a_name_are_no_domains),
                TEST(the_only_package_is_the_only_socket),
                TEST(counters_are_parsed_strictly),
                TEST(a_counter_is_followed_without_opening_it_again),
                TEST(a_file_that_is_replaced_is_followed_at_once),
                TEST(a_zone_that_went_and_came_back_is_found_within_a_second),
                TEST(a_file_that_ran_empty_is_opened_again),
                TEST(one_zone_that_fails_leaves_the_others_alone),
                TEST(a_pipe_in_place_of_a_counter_does_not_stop_us),
                TEST(denied_permission_names_the_remedy),
                TEST(what_is_not_there_is_named),
                TEST(links_that_lead_in_a_circle_end),
                TEST(too_many_zones_are_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
