/* SPDX-License-Identifier: MIT */
/*
 * The daemon's half of the probe's tables on a stage: tables in plain memory, into which recorded
 * events are played.  A recording is a text, one event a line:
 *
 *     fork PARENT PID NAME    a process is born; PARENT 0: of nobody we know
 *     thread PID              it gets one more thread
 *     run PID CPU NS          its last thread runs for so long and is switched off
 *     estimate PID CPU NS     it is found running and thought to have run for so long
 *     rename PID NAME         by exec or prctl
 *     exit PID                its last thread ends
 *     tick                    the daemon reads
 *     = PID NAME <PARENT xTHREADS NS NS NS
 *                             after a tick: one line for each living process, by pid, with its
 *                             time in slot 0, in slot 1 and where the slot is not known
 *     ? WHAT NUMBER           what a counter has come to
 *
 * CPUs 0 and 1 are in slot 0, CPU 2 in slot 1, and of CPU 3 the slot is not known.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe_player.h"
#include "rows.h"

#define NROWS       64u
#define NSLOTS      2
#define NCPUS       4
#define MAX_PIDS    128
#define MAX_THREADS 4
#define NO_PROC     "/nonexistent"

static struct player player;
static struct rows rows;
static struct processes ps;
static struct cputime_totals totals;
static struct cputime_losses losses;
static struct topology_cpu cpus[NCPUS];
static const struct topology topology = {.cpus = cpus, .ncpus = NCPUS, .nslots = NSLOTS};

static struct actor {
        int nthreads;
        struct player_thread threads[MAX_THREADS];
        uint64_t sums_ns[MAX_THREADS];
} actors[MAX_PIDS];

static inline void begin(uint32_t nrows, const char *proc_root)
{
        static const int slots[NCPUS] = {0, 0, 1, TOPOLOGY_NO_SLOT};

        memset(actors, 0, sizeof(actors));
        totals = (struct cputime_totals){0};
        losses = (struct cputime_losses){0};
        for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
                cpus[cpu] = (struct topology_cpu){.online = true, .slot = slots[cpu]};
        assert_true(player_init(&player, nrows, NSLOTS, NCPUS));
        assert_int_equal(processes_init(&ps, NSLOTS, 1), 0);
        assert_int_equal(rows_init(&rows, &player.memory, nrows, NSLOTS, NCPUS, &ps, proc_root), 0);
        rows_set_topology(&rows, &topology);
}

static inline void end(void)
{
        uint64_t busy_ns = 0, used_ns = 0;

        processes_bury(&ps);
        /* whatever was played: all that was busy is somebody's, or known to be nobody's */
        for (unsigned int slot = 0; slot <= NSLOTS; slot++) {
                busy_ns += totals.busy_ns[slot];
                used_ns += ps.exited.cpu_ns[slot] + totals.nobody_ns[slot];
                for (size_t i = 0; i < ps.hash_size; i++)
                        for (const struct process *p = ps.hash[i]; p; p = p->next_in_hash)
                                used_ns += p->cpu_ns[slot];
        }
        assert_int_equal(busy_ns, used_ns);
        rows_deinit(&rows);
        processes_deinit(&ps);
        player_deinit(&player);
}

static inline void collect(void)
{
        assert_int_equal(rows_collect(&rows, &totals, &losses), 0);
}

static inline unsigned int free_rows(void)
{
        return rows.free_tail - (uint32_t)player.memory.counters->free_head;
}

/* ---- recordings ---- */

static inline int by_pid(const void *a, const void *b)
{
        return (*(const struct process *const *)a)->pid - (*(const struct process *const *)b)->pid;
}

static inline void list_process(const struct process *p, void *arg)
{
        const struct process ***next = arg;

        *(*next)++ = p;
}

/* The process table as lines. */
static inline char *table_text(void)
{
        const struct process *all[MAX_PIDS], **next = all;
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        assert_true(ps.nprocesses <= MAX_PIDS);
        processes_each(&ps, list_process, &next);
        qsort(all, (size_t)(next - all), sizeof(all[0]), by_pid);
        for (const struct process **p = all; p < next; p++)
                fprintf(f, "%d %s <%d x%u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (*p)->pid,
                        (*p)->comm, (*p)->parent ? (*p)->parent->pid : 0, (*p)->threads,
                        (*p)->cpu_ns[0], (*p)->cpu_ns[1], (*p)->cpu_ns[2]);
        fclose(f);
        return text;
}

static inline uint64_t counter(const char *what)
{
        uint64_t busy_ns = totals.busy_ns[0] + totals.busy_ns[1] + totals.busy_ns[2];
        const struct {
                const char *name;
                uint64_t value;
        } counters[] = {
                {"busy", busy_ns},
                {"exited", ps.exited.count},
                {"exited_ns", ps.exited.cpu_ns[0] + ps.exited.cpu_ns[1] + ps.exited.cpu_ns[2]},
                {"free", free_rows()},
                {"lost_ns", losses.lost_ns},
                {"merged", losses.merged},
                {"unplaced_ns", losses.unplaced_ns},
        };

        for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
                if (strcmp(counters[i].name, what) == 0)
                        return counters[i].value;
        fail_msg("no counter is called %s", what);
        return 0;
}

static inline void play_event(const char *line)
{
        char verb[16], name[32];
        unsigned int pid = 0, other = 0;
        struct actor *a;
        int64_t ns;
        int last, words;

        words = sscanf(line, "%15s %u", verb, &pid);
        assert_true(words == 2 || (words == 1 && strcmp(verb, "tick") == 0));
        a = &actors[pid];
        last = a->nthreads - 1;
        if (strcmp(verb, "fork") == 0) {
                struct actor *parent = a;

                assert_int_equal(sscanf(line, "fork %*u %u %31s", &other, name), 2);
                a = &actors[other];
                player_newtask(&player, &a->threads[0], pid ? &parent->threads[0] : NULL, other,
                               other * 1000, name);
                a->nthreads = 1;
                a->sums_ns[0] = 0;
        } else if (strcmp(verb, "thread") == 0) {
                assert_true(a->nthreads < MAX_THREADS);
                player_newtask(&player, &a->threads[a->nthreads], &a->threads[last], 0, 0, "");
                a->sums_ns[a->nthreads++] = 0;
        } else if (strcmp(verb, "run") == 0) {
                assert_int_equal(sscanf(line, "run %*u %u %" SCNd64, &other, &ns), 2);
                a->sums_ns[last] += (uint64_t)ns;
                player_switch(&player, &a->threads[last], player.memory.cpus[other].slot,
                              a->sums_ns[last]);
        } else if (strcmp(verb, "estimate") == 0) {
                assert_int_equal(sscanf(line, "estimate %*u %u %" SCNd64, &other, &ns), 2);
                player_charge_running(&player, &a->threads[last], player.memory.cpus[other].slot,
                                      a->sums_ns[last] + (uint64_t)ns);
        } else if (strcmp(verb, "rename") == 0) {
                assert_int_equal(sscanf(line, "rename %*u %31s", name), 1);
                player_rename(&player, &a->threads[0], pid, name);
        } else if (strcmp(verb, "exit") == 0) {
                assert_true(last >= 0);
                player_switch(&player, &a->threads[last], 0, a->sums_ns[last]);
                thread_uncount(&player, &a->threads[last]);
                a->nthreads--;
        } else {
                assert_string_equal(verb, "tick");
                collect();
                processes_bury(&ps);
        }
}

static inline void play(const char *recording)
{
        char *table = NULL, *expected = NULL;
        size_t size;
        FILE *f = NULL;

        for (const char *line = recording, *next; *line; line = next) {
                char text[128], what[32];
                uint64_t value;

                next = strchr(line, '\n') + 1;
                snprintf(text, sizeof(text), "%.*s", (int)(next - line - 1), line);
                if (text[0] == '=') {
                        assert_non_null(f);
                        fprintf(f, "%s\n", text + 2);
                } else if (sscanf(text, "? %31s %" SCNu64, what, &value) == 2) {
                        if (counter(what) != value)
                                fail_msg("%s is %" PRIu64 ", expected %" PRIu64 "\n%s", what,
                                         counter(what), value, recording);
                } else {
                        play_event(text);
                }
                /* a table ends where the next event, or nothing, follows */
                if (f && *next != '=') {
                        fclose(f);
                        f = NULL;
                        if (strcmp(table, expected) != 0)
                                fail_msg("the table is\n%sexpected\n%s", table, expected);
                        free(table);
                        free(expected);
                }
                if (strcmp(text, "tick") == 0) {
                        table = table_text();
                        f = open_memstream(&expected, &size);
                        assert_non_null(f);
                        if (*next != '=') { /* nobody lives */
                                fclose(f);
                                f = NULL;
                                assert_string_equal(table, "");
                                free(table);
                                free(expected);
                        }
                }
        }
}

static inline void play_alone(uint32_t nrows, const char *recording)
{
        begin(nrows, NO_PROC);
        play(recording);
        end();
}
