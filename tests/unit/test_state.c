/* SPDX-License-Identifier: MIT */
/* The totals that outlive the daemon: their file, and how a daemon goes on from it. */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_file.h"
#include "totals.h"

#define S  UINT64_C(1000000000)
#define J  UINT64_C(1000000)
#define W  UINT64_C(1000000)
#define ID "5095b3fd-f075-410f-b8e6-474fd14163ec"

static char dir[64];
static struct state state, again;
static struct totals_live live;
static struct domain domains[2];

static int setup(void **unused)
{
        strcpy(dir, "/tmp/energat-test-state.XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        state = (struct state){.boot_id = ID,
                               .boottime_ns = 1000 * S,
                               .saved_s = 1795260384,
                               .since_s = 1795260000,
                               .starts = 3,
                               .boots = 2,
                               .ndomains = 1};
        state.domains[0] = (struct state_domain){.label = "package-0",
                                                 .kind = DOMAIN_PACKAGE,
                                                 .energy_uj = 500 * J,
                                                 .static_uj = 200 * J,
                                                 .unattributed_uj = 10 * J,
                                                 .source = "powercap",
                                                 .counter_uj = 90 * J,
                                                 .range_uj = 262143 * J,
                                                 .highest_uw = 100 * W,
                                                 .base_uw = 20 * W};
        domains[0] = (struct domain){
                .kind = DOMAIN_PACKAGE, .label = "package-0", .range_uj = 262143 * J};
        domains[1] = (struct domain){.kind = DOMAIN_CORE, .label = "package-0/core"};
        live = (struct totals_live){.source = "powercap",
                                    .ndomains = 1,
                                    .domains = domains,
                                    .boottime_ns = 1002 * S,
                                    .counted_ns = S / 2};
        live.energy_uj[0] = 30 * J;
        live.static_uj[0] = 10 * J;
        live.counters[0] = (struct meter_counter){
                .known = true, .counter_uj = 170 * J, .highest_uw = 60 * W};
        return 0;
}

static int teardown(void **unused)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -rf %s", dir);
        return system(command); /* NOLINT(cert-env33-c): a directory of our own */
}

/* ---- the text ---- */

static void a_state_reads_back_as_it_was(void **unused)
{
        char *text, why[256];
        size_t length;

        state.domains[0].range_uj = UINT64_MAX;
        assert_int_equal(state_encode(&state, &text, &length), 0);
        assert_int_equal(state_decode(&again, text, length, why, sizeof(why)), 0);
        assert_memory_equal(&again, &state, sizeof(state));
        free(text);
}

static void a_sum_that_json_cannot_hold_is_not_written(void **unused)
{
        char *text;
        size_t length;

        state.busy_ns = (uint64_t)INT64_MAX + 1;
        assert_int_equal(state_encode(&state, &text, &length), -ERANGE);
}

/* Every byte that is another, and every length, is noticed. */
static void a_byte_that_is_another_or_missing_is_noticed(void **unused)
{
        char *text, why[256];
        size_t length;

        assert_int_equal(state_encode(&state, &text, &length), 0);
        for (size_t i = 0; i < length; i++) {
                text[i] ^= 1;
                assert_int_equal(state_decode(&again, text, length, why, sizeof(why)), -EBADMSG);
                assert_true(why[0]);
                text[i] ^= 1;
        }
        for (size_t n = 0; n < length; n++)
                assert_int_equal(state_decode(&again, text, n, why, sizeof(why)), -EBADMSG);
        assert_int_equal(state_decode(&again, text, length, why, sizeof(why)), 0);
        free(text);
}

static void parts_are_never_more_than_the_whole(void **unused)
{
        char *text, why[256];
        size_t length;

        state.domains[0].static_uj = state.domains[0].energy_uj - 1;
        assert_int_equal(state_encode(&state, &text, &length), 0);
        assert_int_equal(state_decode(&again, text, length, why, sizeof(why)), -EBADMSG);
        assert_string_equal(why, "parts of a domain are more than the whole: package-0");
        free(text);
}

/* ---- the file ---- */

static void write_file(const char *text, size_t length)
{
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, length, f), length);
        assert_int_equal(fclose(f), 0);
}

static size_t files_like(const char *pattern)
{
        char path[128];
        glob_t found;
        size_t n;

        snprintf(path, sizeof(path), "%s/%s", dir, pattern);
        (void)glob(path, 0, NULL, &found);
        n = found.gl_pathc;
        globfree(&found);
        return n;
}

static void what_is_saved_is_loaded_and_for_its_owner_only(void **unused)
{
        char why[512], path[128];
        struct stat st;

        assert_int_equal(state_load(&again, dir, why, sizeof(why)), -ENOENT);
        assert_int_equal(state_save(&state, dir), 0);
        assert_int_equal(state_load(&again, dir, why, sizeof(why)), 0);
        assert_memory_equal(&again, &state, sizeof(state));
        snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(files_like("*"), 1); /* and no temporary one is left */
}

static void a_torn_or_foreign_file_is_kept_aside(void **unused)
{
        static const char *const texts[] = {"", "hello\n", "energat-state 1 00000000 0\n\n",
                                            "energat-state 2 00000000 2\n{}\n"};
        char why[512];

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                write_file(texts[i], strlen(texts[i]));
                assert_int_equal(state_load(&again, dir, why, sizeof(why)), -EBADMSG);
                assert_non_null(strstr(why, "set aside as " STATE_FILE ".bad-"));
                assert_int_equal(files_like(STATE_FILE ".bad-*"), i + 1);
                assert_int_equal(files_like(STATE_FILE), 0);
        }
        assert_int_equal(state_load(&again, dir, why, sizeof(why)), -ENOENT);
}

static void what_is_no_file_is_kept_aside(void **unused)
{
        char why[512], path[128];

        snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(state_load(&again, dir, why, sizeof(why)), -EBADMSG);
        assert_int_equal(symlink("/dev/zero", path), 0);
        assert_int_equal(state_load(&again, dir, why, sizeof(why)), -EBADMSG);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(state_load(&again, dir, why, sizeof(why)), -EBADMSG);
        assert_int_equal(files_like(STATE_FILE ".bad-*"), 3);
}

/* ---- going on ---- */

static bool resume(char *said)
{
        return totals_resume(&state, &live, ID, said, 512);
}

static void energy_between_two_daemons_is_nobodys(void **unused)
{
        const struct state_domain *d = &state.domains[0];
        char said[512];

        /* 80 J since the last save, 30 of them counted by this daemon; 1.5 s at 20 W are static */
        assert_true(resume(said));
        assert_int_equal(d->gap_uj, 50 * J);
        assert_int_equal(d->energy_uj, 550 * J);
        assert_int_equal(d->static_uj, 230 * J);
        assert_int_equal(d->unattributed_uj, 30 * J);
        assert_int_equal(state.gap_ns, S + S / 2);
        assert_int_equal(state.missing_ns, 0);
        assert_non_null(strstr(said, "50.000 J"));
        totals_add(&state, &live);
        assert_int_equal(d->energy_uj, 580 * J);
        assert_int_equal(d->static_uj, 240 * J);
        assert_int_equal(d->counter_uj, 170 * J);
}

static void a_wrap_between_two_daemons_is_one(void **unused)
{
        char said[512];

        state.domains[0].counter_uj = state.domains[0].range_uj - 20 * J;
        live.counters[0].counter_uj = 60 * J - 1;
        assert_true(resume(said));
        assert_int_equal(state.domains[0].gap_uj, 50 * J);
}

/* not_known(REASON): nothing is booked, and it is said */
static void expect_missing(const char *reason)
{
        uint64_t before_uj = state.domains[0].energy_uj;
        char said[512];

        assert_false(resume(said));
        assert_int_equal(state.domains[0].energy_uj, before_uj);
        assert_int_equal(state.domains[0].gap_uj, 0);
        if (!strstr(said, reason))
                fail_msg("'%s' does not say '%s'", said, reason);
}

static void a_counter_that_began_anew_invents_nothing(void **unused)
{
        live.counters[0].counter_uj = 31 * J;
        expect_missing("begun anew");
        assert_int_equal(state.missing_ns, S + S / 2);
}

static void more_than_was_ever_drawn_is_not_believed(void **unused)
{
        live.counters[0].counter_uj = state.domains[0].counter_uj + 2000 * J;
        expect_missing("begun anew");
}

static void a_long_time_can_hide_a_wrap(void **unused)
{
        live.boottime_ns = state.boottime_ns + 3000 * S;
        expect_missing("more than once");
}

static void another_source_or_one_that_begins_with_us_tells_nothing(void **unused)
{
        live.source = "msr";
        expect_missing("another source");
        live.source = "powercap";
        live.counters[0].known = false;
        expect_missing("begins with the daemon");
}

static void another_boot_is_told_from_a_restart(void **unused)
{
        char said[512];

        assert_false(totals_resume(&state, &live, "another", said, sizeof(said)));
        assert_int_equal(state.gap_ns, 0);
        assert_int_equal(state.domains[0].energy_uj, 500 * J);
        assert_non_null(strstr(said, "started anew"));
}

static void the_first_start_of_all_has_no_gap(void **unused)
{
        char said[512];

        state = (struct state){0};
        assert_true(resume(said));
        assert_string_equal(said, "");
        assert_int_equal(state.gap_ns, 0);
}

static void a_domain_that_has_gone_keeps_its_total_and_a_new_one_begins(void **unused)
{
        char said[512];

        live.domains = domains + 1;
        live.energy_uj[0] = 7 * J;
        live.static_uj[0] = 0;
        live.counters[0] = (struct meter_counter){0};
        assert_true(resume(said));
        totals_add(&state, &live);
        assert_int_equal(state.ndomains, 2);
        assert_int_equal(state_find(&state, "package-0")->energy_uj, 500 * J);
        assert_int_equal(state_find(&state, "package-0/core")->energy_uj, 7 * J);
}

static void an_estimate_is_told_apart_within_a_total(void **unused)
{
        live.estimated = true;
        totals_add(&state, &live);
        assert_int_equal(state.domains[0].energy_uj, 530 * J);
        assert_int_equal(state.domains[0].estimated_uj, 30 * J);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(a_state_reads_back_as_it_was),
                TEST(a_sum_that_json_cannot_hold_is_not_written),
                TEST(a_byte_that_is_another_or_missing_is_noticed),
                TEST(parts_are_never_more_than_the_whole),
                TEST(what_is_saved_is_loaded_and_for_its_owner_only),
                TEST(a_torn_or_foreign_file_is_kept_aside),
                TEST(what_is_no_file_is_kept_aside),
                TEST(energy_between_two_daemons_is_nobodys),
                TEST(a_wrap_between_two_daemons_is_one),
                TEST(a_counter_that_began_anew_invents_nothing),
                TEST(more_than_was_ever_drawn_is_not_believed),
                TEST(a_long_time_can_hide_a_wrap),
                TEST(another_source_or_one_that_begins_with_us_tells_nothing),
                TEST(another_boot_is_told_from_a_restart),
                TEST(the_first_start_of_all_has_no_gap),
                TEST(a_domain_that_has_gone_keeps_its_total_and_a_new_one_begins),
                TEST(an_estimate_is_told_apart_within_a_total),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
