/* SPDX-License-Identifier: MIT */
/*
 * The probe's tables under real concurrency: several threads play CPUs on which tasks fork, run,
 * rename and exit at random, while one thread collects, sometimes late.  At the end every
 * nanosecond that was charged has been read once, for the process it was charged to.
 *
 * Also built with ThreadSanitizer, see CMakeLists.txt.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe_player.h"
#include "random.h"
#include "rows.h"

#define NCPUS         4 /* CPUs 0 and 2 in slot 0, 1 in slot 1, of 3 it is not known */
#define NSLOTS        2
#define NROWS         64u  /* fewer than there are processes: the table is full at times */
#define MAX_TASKS     256u /* at a time */
#define MAX_PROCESSES (1u << 19)
#define NROOTS        3u
#define RUN_S         2
#define MAX_RUN_S     30 /* on a machine that has little time for us */
#define MAX_STINT_NS  2000u
#define MAX_AHEAD_NS  20000u /* much, so that it is often read before it is taken back */
#define NS_PER_S      UINT64_C(1000000000)

/* A process, by pid; what is charged to it includes that of children merged into it. */
struct life {
        uint64_t charged_ns[NSLOTS + 1];
        uint32_t owner;  /* whose row it is counted in */
        uint32_t parent; /* the owner of its parent's; 0: none */
        bool renamed;
};

struct task {
        struct player_thread thread;
        uint64_t sum_ns; /* what the scheduler says it has used */
        uint32_t pid;
        bool leader;
        uint64_t freed_at; /* value of `passes` */
};

static struct player player;
static struct life *lives;
static struct task tasks[MAX_TASKS];

/* The scheduler: who can run.  The reader takes no part in this lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct task *ready[MAX_TASKS], *unused[MAX_TASKS];
static unsigned int nready, nunused;

static struct task *running[NCPUS]; /* what the tick finds there */
static uint64_t passes;             /* of the tick over the CPUs; odd: one is under way */
static uint32_t last_pid, own_rows, merges;
static bool stop;

static _Thread_local uint64_t seed;

/* Let others come in between: mostly by some 100 ns, seldom by a scheduler's time slice. */
static void dawdle(void)
{
        uint64_t dice = random_below(&seed, 8192);

        if (dice == 0)
                sched_yield();
        for (uint64_t i = dice < 512 ? dice : 0; i > 0; i--)
                __asm__ volatile("");
}

/* ---- tasks ---- */

static void task_ready(struct task *t)
{
        pthread_mutex_lock(&lock);
        ready[nready++] = t;
        pthread_mutex_unlock(&lock);
}

/* Somebody who can run; NULL: nobody just now.  *alive: how many there are. */
static struct task *task_pick(unsigned int *alive)
{
        struct task *t = NULL;

        pthread_mutex_lock(&lock);
        *alive = MAX_TASKS - nunused;
        if (nready) {
                unsigned int i = (unsigned int)random_below(&seed, nready);

                t = ready[i];
                ready[i] = ready[--nready];
        }
        pthread_mutex_unlock(&lock);
        return t;
}

/*
 * Memory for a task.  That of one that has gone serves again only when no tick can still hold it,
 * as with RCU.
 */
static struct task *task_new(void)
{
        struct task *t = NULL;
        uint64_t now;

        pthread_mutex_lock(&lock);
        now = __atomic_load_n(&passes, __ATOMIC_SEQ_CST);
        for (unsigned int i = 0; i < nunused && !t; i++) {
                if (unused[i]->freed_at == now && now & 1)
                        continue;
                t = unused[i];
                unused[i] = unused[--nunused];
        }
        pthread_mutex_unlock(&lock);
        return t;
}

static void task_free(struct task *t)
{
        t->freed_at = __atomic_load_n(&passes, __ATOMIC_SEQ_CST);
        pthread_mutex_lock(&lock);
        unused[nunused++] = t;
        pthread_mutex_unlock(&lock);
}

static void fork_process(const struct task *parent)
{
        uint32_t pid = __atomic_add_fetch(&last_pid, 1, __ATOMIC_RELAXED);
        struct task *t = pid < MAX_PROCESSES ? task_new() : NULL;
        uint32_t above = parent ? parent->thread.row : ROW_NONE, row;
        char comm[16];

        if (!t)
                return;
        snprintf(comm, sizeof(comm), "born %u", pid);
        t->sum_ns = 0;
        t->pid = pid;
        t->leader = true;
        /* player_newtask() in its steps: the owner must be known before the row can be read */
        row = process_row(&player, pid, pid, comm, above);
        t->thread = (struct player_thread){.row = row};
        lives[pid].parent = parent ? lives[parent->pid].owner : 0;
        if (row == above) {
                lives[pid].owner = lives[parent->pid].owner;
                __atomic_fetch_add(&merges, 1, __ATOMIC_RELAXED);
        } else {
                lives[pid].owner = pid;
                __atomic_fetch_add(&own_rows, 1, __ATOMIC_RELAXED);
        }
        thread_count(&player, &t->thread);
        row_queue(&player, row);
        task_ready(t);
}

static void clone_thread(const struct task *parent)
{
        struct task *t = task_new();

        if (!t)
                return;
        t->sum_ns = 0;
        t->pid = parent->pid;
        t->leader = false;
        player_newtask(&player, &t->thread, &parent->thread, 0, 0, "");
        task_ready(t);
}

static void rename_process(const struct task *t)
{
        char comm[16];

        if (!t->leader || lives[t->pid].owner != t->pid)
                return;
        snprintf(comm, sizeof(comm), "exec %u", t->pid);
        lives[t->pid].renamed = true;
        player_rename(&player, &t->thread, t->pid, comm);
}

/* ---- CPUs ---- */

static int slot_of_cpu(unsigned int cpu)
{
        return cpu == 3 ? -1 : (int)(cpu % NSLOTS);
}

static void note_charge(const struct task *t, unsigned int cpu, int64_t ns)
{
        unsigned int cell = slot_of_cpu(cpu) < 0 ? NSLOTS : (unsigned int)slot_of_cpu(cpu);

        __atomic_fetch_add(&lives[lives[t->pid].owner].charged_ns[cell], (uint64_t)ns,
                           __ATOMIC_RELAXED);
}

/* One stay of a task on a CPU.  false: it has ended. */
static bool stay(struct task *t, unsigned int cpu, bool must_end, unsigned int alive)
{
        unsigned int dice = (unsigned int)random_below(&seed, 1000);
        uint64_t sum_ns = t->sum_ns + random_below(&seed, MAX_STINT_NS);
        bool root = t->leader && t->pid <= NROOTS; /* somebody must be there to fork */
        bool ends = must_end || (!root && dice >= 995 - alive / 4);

        __atomic_store_n(&running[cpu], t, __ATOMIC_SEQ_CST);
        dawdle();
        if (!must_end && dice < 13)
                fork_process(t);
        else if (!must_end && dice < 20)
                clone_thread(t);
        else if (!must_end && dice < 40)
                rename_process(t);
        __atomic_store_n(&t->sum_ns, sum_ns, __ATOMIC_RELAXED);
        /* As __schedule() does: the tick does not find it there any more, then sched_switch. */
        __atomic_store_n(&running[cpu], NULL, __ATOMIC_SEQ_CST);
        dawdle();
        note_charge(t, cpu, player_switch(&player, &t->thread, slot_of_cpu(cpu), sum_ns));
        if (ends)
                thread_uncount(&player, &t->thread);
        return !ends;
}

static void *be_a_cpu(void *arg)
{
        unsigned int cpu = (unsigned int)(uintptr_t)arg, alive;

        seed = RANDOM_SEED + cpu;
        for (;;) {
                bool must_end = __atomic_load_n(&stop, __ATOMIC_RELAXED);
                struct task *t = task_pick(&alive);

                if (!t) {
                        if (must_end && alive == 0)
                                return NULL;
                        sched_yield();
                } else if (stay(t, cpu, must_end, alive)) {
                        task_ready(t);
                } else {
                        task_free(t);
                }
        }
}

/* ---- the daemon ---- */

static struct rows rows;
static struct processes ps;
static struct cputime_totals totals;
static struct cputime_losses losses;
static int64_t debts_ns[NSLOTS + 1]; /* of those that have gone */
static uint64_t ndebts, ncollections;

static void charge_running(void)
{
        __atomic_fetch_add(&passes, 1, __ATOMIC_SEQ_CST);
        for (unsigned int cpu = 0; cpu < NCPUS; cpu++) {
                struct task *t = __atomic_load_n(&running[cpu], __ATOMIC_SEQ_CST);
                uint64_t estimate_ns;

                if (!t)
                        continue;
                estimate_ns = __atomic_load_n(&t->sum_ns, __ATOMIC_RELAXED) +
                              random_below(&seed, MAX_AHEAD_NS);
                note_charge(
                        t, cpu,
                        player_charge_running(&player, &t->thread, slot_of_cpu(cpu), estimate_ns));
        }
        __atomic_fetch_add(&passes, 1, __ATOMIC_SEQ_CST);
}

/* A process is below its nearest ancestor that still lives. */
static void check_living(const struct process *p, void *arg)
{
        uint32_t above = lives[p->pid].parent;

        while (above && !processes_find(&ps, (pid_t)above))
                above = lives[above].parent;
        assert_int_equal(p->parent ? p->parent->pid : 0, above);
        for (unsigned int slot = 0; slot <= NSLOTS; slot++)
                ndebts += p->debt_ns[slot] < 0;
}

/* Whoever has gone leaves exactly what was charged to it, and its last name. */
static void settle(const struct process *p)
{
        const struct life *life = &lives[p->pid];
        char comm[16];

        assert_int_equal(p->start_ns, p->pid);
        assert_int_equal(life->owner, p->pid);
        for (unsigned int slot = 0; slot <= NSLOTS; slot++) {
                assert_true(p->cpu_ns[slot] + (uint64_t)p->debt_ns[slot] ==
                            __atomic_load_n(&life->charged_ns[slot], __ATOMIC_RELAXED));
                debts_ns[slot] += p->debt_ns[slot];
        }
        snprintf(comm, sizeof(comm), "%s %d", life->renamed ? "exec" : "born", p->pid);
        assert_string_equal(p->comm, comm);
}

static void collect(void)
{
        charge_running();
        assert_int_equal(rows_collect(&rows, &totals, &losses), 0);
        for (const struct process *p = ps.graveyard; p; p = p->next_sibling)
                settle(p);
        processes_bury(&ps);
        processes_each(&ps, check_living, NULL);
        assert_true(ps.nprocesses <= NROWS - ROW_FIRST);
        ncollections++;
}

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Has enough happened for the sums to mean something? */
static bool was_busy(void)
{
        return __atomic_load_n(&own_rows, __ATOMIC_RELAXED) > 1000 &&
               __atomic_load_n(&merges, __ATOMIC_RELAXED) > 100 && ndebts > 10 &&
               __atomic_load_n(&player.memory.counters->queue_tail, __ATOMIC_RELAXED) >
                       NROWS * UINT64_C(100);
}

/* Collect for some time, mostly as fast as can be, sometimes late. */
static void collect_for_a_while(void)
{
        uint64_t start = now_ns(), now;

        while ((now = now_ns()) < start + RUN_S * NS_PER_S ||
               (!was_busy() && now < start + MAX_RUN_S * NS_PER_S)) {
                collect();
                switch (random_below(&seed, 16)) {
                case 0:
                        usleep((useconds_t)random_below(&seed, 5000));
                        break;
                case 1:
                case 2:
                        usleep(1);
                        break;
                default:
                        sched_yield();
                }
        }
        assert_true(was_busy());
}

/* ---- the end ---- */

static void every_row_is_free(void)
{
        uint32_t head = (uint32_t)player.memory.counters->free_head;
        bool is_free[NROWS] = {false};

        assert_int_equal(rows.free_tail - head, NROWS - ROW_FIRST);
        for (uint32_t at = head; at != rows.free_tail; at++) {
                uint32_t number = (uint32_t)player.memory.places[at & (NROWS - 1)].free_row;

                assert_true(number >= ROW_FIRST && number < NROWS);
                assert_false(is_free[number]);
                is_free[number] = true;
        }
        for (uint32_t number = 0; number < NROWS; number++) {
                const struct row *row = player_row(&player, number);

                assert_int_equal(row->dirty, 0);
                assert_int_equal(row->live, 0);
                assert_int_equal(row->dead, 0);
                assert_int_equal(player.memory.infos[number].tgid, 0);
                assert_null(rows.owner[number]);
                for (unsigned int slot = 0; slot <= NSLOTS; slot++)
                        assert_int_equal(row->ns[slot], 0);
        }
        assert_int_equal(rows.ndying, 0);
}

static void all_that_was_charged_was_read(void)
{
        uint64_t charged_ns[NSLOTS + 1] = {0};

        for (uint32_t pid = 1; pid < MAX_PROCESSES; pid++)
                for (unsigned int slot = 0; slot <= NSLOTS; slot++)
                        charged_ns[slot] += lives[pid].charged_ns[slot];
        for (unsigned int slot = 0; slot <= NSLOTS; slot++) {
                assert_true(charged_ns[slot] > 0);
                assert_true(totals.busy_ns[slot] + (uint64_t)debts_ns[slot] == charged_ns[slot]);
                assert_true(ps.exited.cpu_ns[slot] == totals.busy_ns[slot]);
        }
        assert_true(losses.unplaced_ns + (uint64_t)rows.unplaced_debt_ns == charged_ns[NSLOTS]);
        assert_int_equal(losses.lost_ns, 0);
        assert_int_equal(losses.merged, merges);
        assert_int_equal(ps.exited.count, own_rows);
        assert_int_equal(ps.nprocesses, 0);
}

static void what_cpus_charge_at_once_is_read_once(void **state)
{
        pthread_t threads[NCPUS];

        seed = RANDOM_SEED ^ 1;
        lives = calloc(MAX_PROCESSES, sizeof(*lives));
        assert_non_null(lives);
        assert_true(player_init(&player, NROWS, NSLOTS, NCPUS));
        player.pause = dawdle;
        assert_int_equal(processes_init(&ps, NSLOTS, 1), 0);
        assert_int_equal(
                rows_init(&rows, &player.memory, NROWS, NSLOTS, NCPUS, &ps, "/nonexistent"), 0);
        for (unsigned int i = 0; i < MAX_TASKS; i++)
                unused[nunused++] = &tasks[i];
        for (unsigned int i = 0; i < NROOTS; i++)
                fork_process(NULL);
        for (uintptr_t cpu = 0; cpu < NCPUS; cpu++)
                assert_int_equal(pthread_create(&threads[cpu], NULL, be_a_cpu, (void *)cpu), 0);
        collect_for_a_while();
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
        for (unsigned int cpu = 0; cpu < NCPUS; cpu++) {
                collect();
                assert_int_equal(pthread_join(threads[cpu], NULL), 0);
        }
        collect();
        print_message("%u processes with a row, %u without, %u collections, %u debts\n", own_rows,
                      merges, (unsigned int)ncollections, (unsigned int)ndebts);
        every_row_is_free();
        all_that_was_charged_was_read();
        rows_deinit(&rows);
        processes_deinit(&ps);
        player_deinit(&player);
        free(lives);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_cpus_charge_at_once_is_read_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
