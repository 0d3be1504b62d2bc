/* SPDX-License-Identifier: MIT */
/*
 * A million processes come and go, at speed: tables, processes, ledger and targets are what they
 * are in the daemon, the probe is played on plain memory, and the clock is this test's.  2,000
 * processes a second are born below a shell that one target after the other follows, are renamed by
 * exec, run, have a child of their own now and then, and exit.  After the first minute nothing
 * grows any more.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"
#include "probe_player.h"

#define TICK_NS    UINT64_C(10000000)
#define SECOND_NS  UINT64_C(1000000000)
#define MINUTE_NS  (60 * SECOND_NS)
#define NPROCESSES 1000000u
#define PER_TICK   20u
#define ALIVE      64u /* at a time: each lives for some ticks */
#define NROWS      1024u
#define RUN_NS     40000u

/* They are above all that a kernel gives, as the ledger looks for this process, and come again. */
#define FIRST_PID (1u << 22)
#define NPIDS     30000u
#define SHELL_PID (FIRST_PID + NPIDS)

/* A table may grow once more to what one tick needed; a byte for each process would be 880,000. */
#define MAX_GROWTH_BYTES     4096
#define MAX_RSS_GROWTH_BYTES (256 * 1024L)

/* Of AddressSanitizer, whose memory mallinfo2() does not know; NULL without it. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

static struct topology_cpu cpu = {.online = true};
static const struct topology topology = {
        .cpus = &cpu, .ncpus = 1, .slots = {{.node = 0}}, .nslots = 1, .nsockets = 1};
static struct player player;
static struct rows rows;
static struct ledger ledger;

/* ---- the accounting: the daemon's half of the tables ---- */

static int accounting_open(void **state, const struct cputime_config *config,
                           const struct topology *t, struct processes *ps, char *why,
                           size_t why_size)
{
        (void)config;
        (void)why;
        (void)why_size;
        *state = &rows;
        if (!player_init(&player, NROWS, t->nslots, t->ncpus) ||
            rows_init(&rows, &player.memory, NROWS, t->nslots, t->ncpus, ps, "/nonexistent") < 0)
                return -1;
        rows_set_topology(&rows, t);
        return 0;
}

static int accounting_collect(void *state, bool force, struct cputime_totals *totals,
                              struct cputime_losses *losses)
{
        int r = rows_collect(state, totals, losses);

        (void)force;
        return r < 0 ? r : 1;
}

static void accounting_close(void *state)
{
        rows_deinit(state);
        player_deinit(&player);
}

const struct cputime_driver cputime_bpf = {
        .name = "test",
        .open = accounting_open,
        .collect = accounting_collect,
        .close = accounting_close,
        .exact = true,
};
const struct cputime_driver cputime_proc = {.name = "none", .open = accounting_open};

/* ---- the machine ---- */

static struct meter *meter;
static struct cputime *cputime;
static struct mailbox mailbox;
static struct target *target;
static struct meter_tick reading;
static uint64_t now_ns = 100 * SECOND_NS;
static unsigned int reports;

static struct player_thread shell, alive[ALIVE];
static bool is_alive[ALIVE];
static unsigned int born;

static void take_news(struct letter *letter)
{
        target_news_taken(
                (struct target *)(void *)((char *)letter - offsetof(struct target, news)));
}

static void take_farewell(struct letter *letter)
{
        (void)letter;
}

static void take_reports(void)
{
        mailbox_deliver(&mailbox);
        for (; target && target_peek(target); target_next(target))
                reports++;
}

static void tick(void)
{
        struct source_input input = {.nslots = topology.nslots};

        now_ns += TICK_NS;
        input.now_ns = now_ns;
        assert_int_equal(cputime_collect(cputime, false), 1);
        input.slot_busy_ns = cputime_totals(cputime)->busy_ns;
        meter_read(meter, &input, &reading);
        ledger_book(&ledger, &reading, false);
        ledger_split(&ledger, cputime, true);
        take_reports();
}

static void let_exit(struct player_thread *thread)
{
        player_switch(&player, thread, 0, thread->last_ns + RUN_NS);
        thread_uncount(&player, thread);
}

/* The oldest exits, and another is born in its place: of the shell, or every fourth of the one
 * before, which then exits first. */
static void come_and_go(void)
{
        unsigned int place = born % ALIVE;
        const struct player_thread *before = &alive[(born + ALIVE - 1) % ALIVE];
        const struct player_thread *parent = born % 4 == 3 ? before : &shell;
        uint32_t pid = FIRST_PID + born % NPIDS;

        if (is_alive[place])
                let_exit(&alive[place]);
        player_newtask(&player, &alive[place], parent, pid, now_ns + born, "sh");
        player_rename(&player, &alive[place], pid, "cc1");
        is_alive[place] = true;
        born++;
}

static void follow(void)
{
        assert_int_equal(target_new(&target, &ledger.accounts, &mailbox, NULL), 0);
        target->news.deliver = take_news;
        target->farewell.deliver = take_farewell;
        target->pid = SHELL_PID;
        target->gamma = target->delta = 1;
        target->interval_ns = SECOND_NS;
        target->intervals = true;
        assert_true(ledger_follow(&ledger, target) > 0);
}

/* End the target, when there is one. */
static void let_go(void)
{
        if (!target)
                return;
        target->detach = true;
        while (!target->left)
                tick();
        tick();
        target_free(target);
        target = NULL;
}

/* Everybody but the shell goes. */
static void rest(void)
{
        let_go();
        for (unsigned int i = 0; i < ALIVE; i++)
                if (is_alive[i])
                        let_exit(&alive[i]);
        memset(is_alive, 0, sizeof(is_alive));
        for (int i = 0; i < 4; i++)
                tick();
}

/* ---- what it takes ---- */

struct footprint {
        size_t allocated;
        long rss;
};

static struct footprint footprint(void)
{
        struct footprint f = {.rss = -1};
        FILE *statm = fopen("/proc/self/statm", "re");

        f.allocated = __sanitizer_get_current_allocated_bytes
                              ? __sanitizer_get_current_allocated_bytes()
                              : mallinfo2().uordblks;
        assert_non_null(statm);
        assert_int_equal(fscanf(statm, "%*d %ld", &f.rss), 1);
        fclose(statm);
        f.rss *= sysconf(_SC_PAGESIZE);
        return f;
}

static void a_million_processes_leave_nothing_behind(void **state)
{
        static const struct source_config sources = {.estimate_idle_w = 10, .estimate_busy_w = 30};
        const struct cputime_config accounting = {.probe = "test"};
        struct footprint minute = {0}, end;
        char why[1024];

        (void)state;
        assert_int_equal(meter_open(&meter, "estimate", &sources, &topology, why, sizeof(why)), 0);
        assert_int_equal(ledger_init(&ledger, meter, &topology, TICK_NS, SECOND_NS), 0);
        assert_int_equal(
                cputime_open(&cputime, &accounting, &topology, &ledger.processes, why, sizeof(why)),
                0);
        assert_int_equal(mailbox_init(&mailbox), 0);
        ledger_begin(&ledger, cputime, now_ns);
        player_newtask(&player, &shell, NULL, SHELL_PID, 1, "bash");
        tick();
        while (born < NPROCESSES) {
                if (born % (PER_TICK * SECOND_NS / TICK_NS) == 0) {
                        let_go();
                        follow();
                }
                for (unsigned int i = 0; i < PER_TICK; i++)
                        come_and_go();
                tick();
                if (born == PER_TICK * MINUTE_NS / TICK_NS) {
                        rest();
                        minute = footprint();
                }
        }
        rest();
        end = footprint();
        print_message("%u processes: allocated %zu bytes after a minute of them, %zu at the end; "
                      "resident %ld KiB, %ld KiB\n",
                      born, minute.allocated, end.allocated, minute.rss / 1024, end.rss / 1024);

        /* they were all met, and nothing of them was lost */
        assert_int_equal(ledger.processes.exited.count, NPROCESSES);
        assert_int_equal(ledger.processes.nprocesses, 1);
        assert_int_equal(ledger.processes.exited.cpu_ns[0] + ledger.processes.exited.cpu_ns[1],
                         (uint64_t)NPROCESSES * RUN_NS);
        assert_int_equal(player.memory.counters->merged, 0);
        assert_true(reports > NPROCESSES / PER_TICK * TICK_NS / SECOND_NS);

        assert_true(minute.allocated > 0);
        assert_true(end.allocated <= minute.allocated + MAX_GROWTH_BYTES);
        if (!__sanitizer_get_current_allocated_bytes) /* which keeps what was freed, for a while */
                assert_true(end.rss <= minute.rss + MAX_RSS_GROWTH_BYTES);

        cputime_close(cputime);
        ledger_deinit(&ledger);
        meter_close(meter);
        mailbox_deinit(&mailbox);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_million_processes_leave_nothing_behind),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
