/* SPDX-License-Identifier: MIT */
/*
 * The interface io.energat against the code: what it declares is there, and what the code says is
 * declared.  Reports are made here; the replies of a running daemon are checked by
 * tests/live/test_interface.sh.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report_json.h"
#include "server.h"
#include "tree.h"
#include "varlink_idl.h"

#define DAEMON_DIR     ENERGAT_SOURCE_DIR "/daemon"
#define INTERFACE_FILE DAEMON_DIR "/io.energat.varlink"
#define PREFIX         "io.energat."
#define MAX_FILE       (1024 * 1024)

static struct idl idl;

static char *read_file(const char *path)
{
        FILE *f = fopen(path, "re");
        char *text = calloc(1, MAX_FILE + 1);

        if (!f || !text)
                fail_msg("cannot read %s", path);
        assert_true(fread(text, 1, MAX_FILE, f) < MAX_FILE);
        fclose(f);
        return text;
}

static int parse_interface(void **state)
{
        const char *where;

        if (idl_parse(&idl, energat_interface, &where) < 0) {
                print_error("the interface cannot be parsed from here on:\n%.80s\n", where);
                return -1;
        }
        return 0;
}

/* ---- the checker itself ---- */

static void expect_complaint(const char *json, const char *complaint)
{
        static const char text[] = "# what is checked here\n"
                                   "interface org.example.test-one\n"
                                   "type Leaf (a: int, b: ?float)\n"
                                   "type Colour (red, dark_blue)\n"
                                   "method M() -> (\n"
                                   "  leaf: Leaf, # within\n"
                                   "  leaves: []Leaf,\n"
                                   "  colour: ?Colour,\n"
                                   "  map: [string]int,\n"
                                   "  flag: bool\n"
                                   ")\n"
                                   "error E (o: object)\n";
        static struct idl example;
        char why[256] = "";
        const char *where;
        json_t *value = json_loads(json, 0, NULL);

        assert_non_null(value);
        assert_int_equal(idl_parse(&example, text, &where), 0);
        idl_check(&example, idl_find(&example, IDL_METHOD, "M")->reply, value, why, sizeof(why));
        assert_string_equal(why, complaint);
        json_decref(value);
}

static void the_checker_finds_what_is_wrong(void **state)
{
#define REST "\"colour\": null, \"map\": {\"x\": 1}, \"flag\": true}"
        expect_complaint(
                "{\"leaf\": {\"a\": 1, \"b\": 0.5}, \"leaves\": [{\"a\": 2, \"b\": null}], "
                "\"colour\": \"dark_blue\", \"map\": {}, \"flag\": false}",
                "");
        expect_complaint("{\"leaf\": {\"a\": 1}, \"leaves\": [], " REST, "leaf: lacks b");
        expect_complaint("{\"leaf\": {\"a\": 1, \"b\": 2, \"c\": 3}, \"leaves\": [], " REST,
                         "leaf: has what is not declared: c");
        expect_complaint("{\"leaf\": {\"a\": 1.5, \"b\": 2}, \"leaves\": [], " REST,
                         "leaf.a: is no int");
        expect_complaint(
                "{\"leaf\": {\"a\": 1, \"b\": 1}, \"leaves\": [{\"a\": null, \"b\": 1}], " REST,
                "leaves.0.a: is no int");
        expect_complaint("{\"leaf\": {\"a\": 1, \"b\": 1}, \"leaves\": null, " REST,
                         "leaves: is no array");
        expect_complaint("{\"leaf\": {\"a\": 1, \"b\": 1}, \"leaves\": [], \"colour\": \"green\", "
                         "\"map\": {}, \"flag\": true}",
                         "colour: is not one of the declared values: green");
        expect_complaint("{\"leaf\": {\"a\": 1, \"b\": 1}, \"leaves\": [], \"colour\": null, "
                         "\"map\": {\"k\": \"v\"}, \"flag\": true}",
                         "map.k: is no int");
        expect_complaint("{\"leaf\": {\"a\": 1, \"b\": 1}, \"leaves\": [], \"colour\": null, "
                         "\"map\": {}, \"flag\": 1}",
                         "flag: is no bool");
        expect_complaint("[]", "(all): is no object");
}

static void the_parser_refuses_what_is_no_interface(void **state)
{
        static const char *const texts[] = {
                "",
                "interface",
                "interface x.y\nmethod M()",
                "interface x.y\nmethod M() -> (a: int",
                "interface x.y\nmethod M() -> (a: Missing)",
                "interface x.y\nfunction M() -> ()",
                "interface x.y\ntype T (a int)",
                "interface x.y\ntype T (a: [int]int)",
                "interface x.y\ntype (a: int)",
        };
        static struct idl none;
        const char *where;

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (idl_parse(&none, texts[i], &where) == 0)
                        fail_msg("accepted: '%s'", texts[i]);
}

/* ---- the interface and the code ---- */

static void the_daemon_carries_the_file_as_it_is(void **state)
{
        char *text = read_file(INTERFACE_FILE);

        assert_string_equal(energat_interface, text);
        assert_string_equal(idl.interface, "io.energat");
        free(text);
}

static void every_declared_method_is_there_and_no_other(void **state)
{
        size_t implemented = 0, declared = 0;

        for (const struct method *m = energat_methods; m->name; m++, implemented++) {
                if (!idl_find(&idl, IDL_METHOD, m->name))
                        fail_msg("%s is implemented and not declared", m->name);
                assert_non_null(m->run);
                for (const struct method *other = m + 1; other->name; other++)
                        assert_string_not_equal(m->name, other->name);
        }
        for (size_t i = 0; i < idl.nmembers; i++)
                declared += idl.members[i].role == IDL_METHOD;
        assert_int_equal(declared, implemented); /* so none is declared and not implemented */
        assert_true(declared > 0);
}

/* Note in `used` every io.energat.Name of a source file; each must be declared. */
static void note_errors(const char *path, bool used[])
{
        char *text = read_file(path);

        for (const char *at = text; (at = strstr(at, PREFIX)); at++) {
                const char *from = at + strlen(PREFIX);
                const struct idl_member *error;
                char name[IDL_NAME_MAX];
                size_t n = 0;

                /* io.energat.varlink is the file */
                if (!isupper((unsigned char)*from))
                        continue;
                while (isalnum((unsigned char)from[n]))
                        n++;
                assert_true(n < sizeof(name));
                snprintf(name, sizeof(name), "%.*s", (int)n, from);
                error = idl_find(&idl, IDL_ERROR, name);
                if (error)
                        used[error - idl.members] = true;
                else if (!idl_find(&idl, IDL_METHOD, name))
                        fail_msg("%s says " PREFIX "%s, which is not declared", path, name);
        }
        free(text);
}

static void every_error_that_is_said_is_declared_and_every_declared_one_is_said(void **state)
{
        bool used[IDL_MAX_MEMBERS] = {false};
        glob_t files;

        assert_int_equal(glob(DAEMON_DIR "/*.c", 0, NULL, &files), 0);
        assert_true(files.gl_pathc > 10);
        for (size_t i = 0; i < files.gl_pathc; i++)
                note_errors(files.gl_pathv[i], used);
        globfree(&files);
        for (size_t i = 0; i < idl.nmembers; i++)
                if (idl.members[i].role == IDL_ERROR && !used[i])
                        fail_msg("error %s is declared and never said", idl.members[i].name);
}

static void every_declared_type_is_used(void **state)
{
        for (size_t i = 0; i < idl.nmembers; i++) {
                bool used = idl.members[i].role != IDL_TYPE;

                for (size_t k = 0; k < idl.ntypes; k++)
                        used |= idl.types[k].kind == IDL_NAMED &&
                                strcmp(idl.types[k].named, idl.members[i].name) == 0;
                if (!used)
                        fail_msg("type %s is not used", idl.members[i].name);
        }
}

/* ---- reports ---- */

static struct topology topology;
static struct config config;
static struct sampler *sampler;
static struct socket_report sockets[TOPOLOGY_MAX_SOCKETS];
static struct fault faults[SOURCE_MAX_DOMAINS];
static const struct topology *reported = &topology; /* whose reports are made */
static struct sampler *metered;                     /* in place of the estimate, or NULL */

/* A sampler that is never started: estimated energy, CPU time from /proc, so no rights are needed.
 */
static int open_sampler(void **state)
{
        struct source_config sources = {.powercap_root = "/nonexistent",
                                        .sysfs_root = "/sys",
                                        .dev_root = "/nonexistent",
                                        .estimate_idle_w = 1,
                                        .estimate_busy_w = 1};
        char why[2048];

        config_defaults(&config);
        snprintf(config.source, sizeof(config.source), "estimate");
        snprintf(config.probe, sizeof(config.probe), "proc");
        assert_int_equal(topology_init(&topology, "/sys"), 0);
        if (sampler_new(&sampler, &config, &topology, &sources, why, sizeof(why)) < 0) {
                print_error("cannot make a sampler: %s\n", why);
                return -1;
        }
        return 0;
}

static int close_sampler(void **state)
{
        sampler_free(sampler);
        topology_deinit(&topology);
        return 0;
}

static struct report report_of(enum report_event event, struct energy_report package,
                               struct energy_report dram)
{
        struct report r = {.event = event,
                           .start_ns = 1000000000,
                           .end_ns = 3000000000,
                           .cpu_ns = 500000000,
                           .processes = 3,
                           .threads = 4,
                           .nsockets = reported->nsockets,
                           .sockets = sockets};

        r.machine[SUM_TICKS] = 200;
        for (unsigned int i = 0; i < r.nsockets; i++)
                sockets[i] = (struct socket_report){
                        .cpu_ns = 1,
                        .busy_ns = 2,
                        .energy = {[ENERGY_PACKAGE] = package, [ENERGY_DRAM] = dram}};
        return r;
}

static const char *target_name = "bench";
static const char *path_of(const char *zone, const char *file)
{
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", zone, file);
        return path;
}

static json_t *checked_report(const struct report *r)
{
        const struct report_header header = {.sampler = metered ? metered : sampler,
                                             .faults = faults,
                                             .topology = reported,
                                             .pid = 4321,
                                             .name = target_name,
                                             .model = "additive",
                                             .gamma = 0.3,
                                             .delta = 0.2,
                                             .baseline = "known"};
        json_t *json = report_json(&header, r);
        char why[256] = "";

        assert_non_null(json);
        if (!idl_check(&idl, idl_find(&idl, IDL_TYPE, "Report")->type, json, why, sizeof(why)))
                fail_msg("a report's %s", why);
        return json;
}

static double number_at(const json_t *json, const char *object, const char *name)
{
        const json_t *value = json_object_get(json_object_get(json, object), name);

        assert_true(json_is_number(value));
        return json_number_value(value);
}

static bool null_at(const json_t *json, const char *object, const char *name)
{
        return json_is_null(json_object_get(json_object_get(json, object), name));
}

static const struct energy_report full = {.known = true,
                                          .base_known = true,
                                          .energy_uj = 40000000,
                                          .static_uj = 20000000,
                                          .share_uj = 5000000,
                                          .tracer_uj = 1000,
                                          .attributed_j = 13.2,
                                          .credit = 0.25},
                                  absent = {.credit = -1};

static void a_report_has_exactly_the_declared_fields(void **state)
{
        struct report r = report_of(REPORT_INTERVAL, full, full);
        json_t *json = checked_report(&r);
        double n = topology.nsockets;

        /* and what is known has its value */
        assert_string_equal(json_string_value(json_object_get(json, "model")), "additive");
        assert_true(fabs(number_at(json, "share", "package_j") - 5 * n) < 1e-9);
        assert_true(fabs(number_at(json, "attributed", "dram_j") - 13.2 * n) < 1e-9);
        assert_true(fabs(number_at(json, "machine", "package_j") - 40 * n) < 1e-9);
        assert_true(fabs(number_at(json, "machine", "static_dram_j") - 20 * n) < 1e-9);
        assert_int_equal(json_object_size(json_object_get(json, "reasons")), 0);
        json_decref(json);
}

static void what_is_not_known_is_null_with_a_reason(void **state)
{
        struct energy_report unmeasured = full, no_base = full;
        json_t *json;
        struct report r;

        /* no dram domain */
        r = report_of(REPORT_INTERVAL, full, absent);
        json = checked_report(&r);
        assert_true(null_at(json, "share", "dram_j") && null_at(json, "attributed", "dram_j"));
        assert_true(null_at(json, "machine", "dram_j") && null_at(json, "tracer", "dram_j"));
        assert_false(null_at(json, "share", "package_j"));
        assert_non_null(json_object_get(json_object_get(json, "reasons"), "dram"));
        json_decref(json);

        /* a dram domain, but the target's memory is not known */
        unmeasured.credit = -1;
        r = report_of(REPORT_INTERVAL, full, unmeasured);
        json = checked_report(&r);
        assert_true(null_at(json, "attributed", "dram_j"));
        assert_false(null_at(json, "machine", "dram_j"));
        assert_non_null(json_object_get(json_object_get(json, "reasons"), "dram"));
        json_decref(json);

        no_base.base_known = false;
        r = report_of(REPORT_INTERVAL, no_base, absent);
        json = checked_report(&r);
        assert_true(null_at(json, "machine", "static_package_j"));
        assert_non_null(json_object_get(json_object_get(json, "reasons"), "static"));
        json_decref(json);

        /* nothing could be read at all */
        r = report_of(REPORT_INTERVAL, absent, absent);
        json = checked_report(&r);
        assert_true(null_at(json, "share", "package_j") && null_at(json, "machine", "package_j"));
        json_decref(json);
}

/* Two sockets with a meter each, of which `dram` sockets have one for dram, too. */
static void open_two_sockets(struct tree *tree, unsigned int dram)
{
        static struct topology two;
        struct source_config sources = {
                .powercap_root = tree->root, .sysfs_root = "/sys", .dev_root = "/nonexistent"};
        static struct config powercap;
        char why[2048], path[64], name[32];

        for (unsigned int socket = 0; socket < 2; socket++) {
                for (unsigned int zone = 0; zone < 1 + (socket < dram); zone++) {
                        snprintf(name, sizeof(name), zone ? "dram" : "package-%u", socket);
                        snprintf(path, sizeof(path), zone ? "intel-rapl:%u:0" : "intel-rapl:%u",
                                 socket);
                        tree_write(tree, path_of(path, "name"), name);
                        tree_write(tree, path_of(path, "energy_uj"), "1000");
                        tree_write(tree, path_of(path, "max_energy_range_uj"), "262143328850");
                }
        }
        powercap = config;
        snprintf(powercap.source, sizeof(powercap.source), "powercap");
        two = topology;
        two.nsockets = 2;
        two.sockets[0] = 0;
        two.sockets[1] = 1;
        two.nslots = 2;
        two.slots[0] = (struct topology_slot){.socket = 0};
        two.slots[1] = (struct topology_slot){.socket = 1};
        reported = &two;
        if (sampler_new(&metered, &powercap, &two, &sources, why, sizeof(why)) < 0)
                fail_msg("%s", why);
}

static void close_two_sockets(struct tree *tree)
{
        sampler_free(metered);
        metered = NULL;
        reported = &topology;
        tree_remove(tree, "");
}

static void expect_dram_reason(const struct report *r, const char *expected)
{
        json_t *json = checked_report(r);

        assert_true(null_at(json, "machine", "dram_j"));
        assert_string_equal(
                json_string_value(json_object_get(json_object_get(json, "reasons"), "dram")),
                expected);
        json_decref(json);
}

static void why_there_is_no_dram_energy_is_told_apart(void **state)
{
        struct tree tree;
        struct report r;

        /* no socket has one */
        tree_make(&tree);
        open_two_sockets(&tree, 0);
        r = report_of(REPORT_INTERVAL, full, absent);
        expect_dram_reason(&r, "this machine has no dram domain");
        close_two_sockets(&tree);

        /* the second has none */
        tree_make(&tree);
        open_two_sockets(&tree, 1);
        r = report_of(REPORT_INTERVAL, full, full);
        r.sockets[1].energy[ENERGY_DRAM] = absent;
        expect_dram_reason(&r, "socket 1 has no dram domain, others have");
        close_two_sockets(&tree);

        /* both have, and one was not read; then it is known why, too */
        tree_make(&tree);
        open_two_sockets(&tree, 2);
        expect_dram_reason(&r, "a dram domain could not be read in this time");
        for (size_t i = 0; i < SOURCE_MAX_DOMAINS; i++) {
                const struct domain *domains;

                if (i < meter_domains(sampler_meter(metered), &domains) &&
                    domains[i].kind == DOMAIN_DRAM && domains[i].socket == 1)
                        faults[i] = (struct fault){.kind = FAULT_READ, .error = EIO};
        }
        expect_dram_reason(&r, "package-1/dram: cannot be read: Input/output error");
        memset(faults, 0, sizeof(faults));
        close_two_sockets(&tree);
}

static void a_machine_below_its_baseline_is_told_in_how_many_ticks(void **state)
{
        struct energy_report below = full;
        bool told = false;
        struct report r;
        json_t *json, *w;
        size_t i;

        below.base_high = true;
        below.below_base_ticks = 99;
        r = report_of(REPORT_FINAL, below, full);
        json = checked_report(&r);
        json_array_foreach(json_object_get(json, "warnings"), i, w)
                told |= strcmp(json_string_value(w),
                               "package: the machine used less than its baseline in 99 of 200 "
                               "ticks; measure it again with 'energat --basepower'") == 0;
        assert_true(told);
        json_decref(json);
}

static void everything_that_went_wrong_is_a_warning(void **state)
{
        struct energy_report bad = full;
        struct report r;
        json_t *json;
        size_t before, after;

        r = report_of(REPORT_FINAL, full, full);
        json = checked_report(&r);
        before = json_array_size(json_object_get(json, "warnings"));
        json_decref(json);

        bad.gap = bad.base_high = true;
        r = report_of(REPORT_FINAL, bad, full);
        r.detached = true;
        r.machine[SUM_MISSED_TICKS] = 100;
        r.machine[SUM_MERGED] = 1;
        r.machine[SUM_LOST_NS] = 1000000000;
        r.machine[SUM_UNPLACED_NS] = 1000000000;
        r.machine[SUM_UNCOUNTED] = 1;
        json = checked_report(&r);
        after = json_array_size(json_object_get(json, "warnings"));
        json_decref(json);
        assert_int_equal(after, before + 8);
}

static void a_name_of_any_bytes_makes_a_report(void **state)
{
        struct report r = report_of(REPORT_FINAL, full, absent);
        json_t *json;

        target_name = "bad\xff\xfename";
        json = checked_report(&r);
        assert_string_equal(json_string_value(json_object_get(json, "name")), "bad??name");
        json_decref(json);
        target_name = "bench";
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_checker_finds_what_is_wrong),
                cmocka_unit_test(the_parser_refuses_what_is_no_interface),
                cmocka_unit_test(the_daemon_carries_the_file_as_it_is),
                cmocka_unit_test(every_declared_method_is_there_and_no_other),
                cmocka_unit_test(
                        every_error_that_is_said_is_declared_and_every_declared_one_is_said),
                cmocka_unit_test(every_declared_type_is_used),
        };
        const struct CMUnitTest reports[] = {
                cmocka_unit_test(a_report_has_exactly_the_declared_fields),
                cmocka_unit_test(what_is_not_known_is_null_with_a_reason),
                cmocka_unit_test(why_there_is_no_dram_energy_is_told_apart),
                cmocka_unit_test(a_machine_below_its_baseline_is_told_in_how_many_ticks),
                cmocka_unit_test(everything_that_went_wrong_is_a_warning),
                cmocka_unit_test(a_name_of_any_bytes_makes_a_report),
        };
        int failed = cmocka_run_group_tests(tests, parse_interface, NULL);

        return failed + cmocka_run_group_tests(reports, open_sampler, close_sampler);
}
