/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <errno.h>
#include <numa.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "memory_budget.h"
#include "memory_nodes.h"
#include "memory_read.h"
#include "memory_spread.h"
#include "memory_table.h"

#define PERIOD_NS     NS_PER_S            /* of rounds while nobody is followed */
#define FOLLOWING_NS  UINT64_C(200000000) /* and while somebody is */
#define MIN_PAUSE_NS  UINT64_C(100000000) /* between rounds, however often they are asked for */
#define NEW_AHEAD_NS  (2 * NS_PER_S)      /* budget used in advance, for a new target */
#define EXACT_NS      NS_PER_S            /* an exact reading that is younger is not made anew */
#define MAX_PROCESSES 262144              /* looked at in a round */
#define PROC          "/proc"

struct memory {
        struct sampler *sampler;
        const struct accounts *accounts;
        struct memory_nodes nodes;
        unsigned int ndram;
        uint64_t page_bytes;
        struct mailbox mailbox; /* letters to this thread */
        pthread_t thread;
        bool stop;

        struct letter list, listed, hand, handed, poke;
        bool waiting, poked;
        bool asked;                      /* poked since the last round began */
        struct memory_listed *processes; /* filled in by the sampler */
        float *cpu_parts;                /* and by account */
        size_t nprocesses;
        bool following; /* somebody is */
        struct memory_table table;
        struct memory_holdings holdings; /* handed to the sampler */
        struct memory_spread spread;     /* of the process that is being read */
        struct memory_budget rounds, exact;
        uint64_t billed_ns; /* of this thread's CPU time */
        bool denied_told;
};

/* ---- in the sampler ---- */

static struct memory *memory_of(struct letter *letter, size_t offset)
{
        return (struct memory *)(void *)((char *)letter - offset);
}

/* Where a process runs, by dram account: the parts of its CPU time on each one's socket. */
static void cpu_parts(const struct memory *m, const struct process *p, float *parts)
{
        const struct accounts *a = m->accounts;
        uint64_t ns[SOURCE_MAX_DOMAINS], total = 0;

        for (unsigned int i = 0; i < a->n; i++) {
                ns[i] = a->all[i].kind == ENERGY_DRAM
                                ? account_time_ns(&a->all[i], p->cpu_ns, a->nslots)
                                : 0;
                total += ns[i];
        }
        for (unsigned int i = 0; i < a->n; i++) {
                if (a->all[i].kind != ENERGY_DRAM)
                        parts[i] = 0;
                else if (total)
                        parts[i] = (float)((double)ns[i] / (double)total);
                else
                        parts[i] = 1.0f / (float)m->ndram;
        }
}

static void list_process(const struct process *p, void *arg)
{
        struct memory *m = arg;

        if (p->kernel || m->nprocesses == MAX_PROCESSES)
                return;
        cpu_parts(m, p, m->cpu_parts + m->nprocesses * m->accounts->n);
        m->processes[m->nprocesses++] = (struct memory_listed){
                .pid = p->pid,
                .start_ns = p->start_ns,
                .wanted = p->targets && p->targets->ntargets > 0,
        };
}

static void run_list(struct letter *letter)
{
        struct memory *m = memory_of(letter, offsetof(struct memory, list));

        m->nprocesses = 0;
        m->following = sampler_targets(m->sampler) > 0;
        processes_each(sampler_processes(m->sampler), list_process, m);
        mailbox_push(&m->mailbox, &m->listed);
}

static void run_hand(struct letter *letter)
{
        struct memory *m = memory_of(letter, offsetof(struct memory, hand));

        sampler_hold(m->sampler, &m->holdings);
        mailbox_push(&m->mailbox, &m->handed);
}

/* ---- the thread ---- */

static void on_listed(struct letter *letter)
{
        memory_of(letter, offsetof(struct memory, listed))->waiting = false;
}

static void on_handed(struct letter *letter)
{
        memory_of(letter, offsetof(struct memory, handed))->waiting = false;
}

static void on_poke(struct letter *letter)
{
        struct memory *m = memory_of(letter, offsetof(struct memory, poke));

        __atomic_store_n(&m->poked, false, __ATOMIC_RELEASE);
        m->asked = true;
}

static bool stopping(const struct memory *m)
{
        return __atomic_load_n(&m->stop, __ATOMIC_ACQUIRE);
}

static void ask_sampler(struct memory *m, struct letter *question)
{
        struct pollfd wait = {.fd = m->mailbox.fd, .events = POLLIN};

        m->waiting = true;
        sampler_post(m->sampler, question);
        while (m->waiting)
                if (poll(&wait, 1, -1) > 0)
                        mailbox_deliver(&m->mailbox);
}

/* Resident size of everybody: the cheap reading. */
static void read_all(struct memory *m)
{
        for (size_t i = 0; i < m->table.n && !stopping(m); i++) {
                struct memory_known *k = &m->table.all[i];

                /* Gone, or just going: it holds nothing. */
                k->gone = memory_read_anonymous(PROC, k->id.pid, m->page_bytes,
                                                &k->anonymous_bytes) < 0;
        }
}

/* An exact reading of the i-th process of the table. */
static void read_exact(struct memory *m, size_t i)
{
        struct memory_known *k = &m->table.all[i];
        uint64_t by_node[MEMORY_MAX_NODES] = {0}, by_account[SOURCE_MAX_DOMAINS] = {0}, all = 0;
        struct memory_private found;
        int r = memory_read_private(PROC, k->id.pid, &found);

        if (r == 0 && m->nodes.n > 1) {
                memory_spread_begin(&m->spread, m->nodes.n);
                r = memory_read_spread(PROC, k->id.pid, &m->spread);
                memory_spread_divide(&m->spread, &found, by_node);
        } else if (r == 0) {
                by_node[0] = found.small_bytes + found.huge_bytes;
        }
        if (r < 0) {
                k->failed_ns = monotonic_ns();
                if (r == -EACCES && !m->denied_told) {
                        m->denied_told = true;
                        log_warning("memory of process %d cannot be read exactly: %s; its resident "
                                    "size is used (CAP_SYS_PTRACE is needed)",
                                    k->id.pid, strerror(-r));
                }
                return;
        }
        for (unsigned int node = 0; node < m->nodes.n; node++) {
                if (by_node[node])
                        memory_nodes_add(&m->nodes, node, by_node[node], by_account);
                all += by_node[node];
        }
        memory_table_exact(&m->table, i, monotonic_ns(), found.small_bytes + found.huge_bytes,
                           by_account, all);
}

/* All CPU time since the last bill. */
static void bill(struct memory *m, struct memory_budget *b, uint64_t start_ns)
{
        memory_budget_bill(b, start_ns, &m->billed_ns, clock_ns(CLOCK_THREAD_CPUTIME_ID));
}

/* As many exact readings, the oldest first, as the budget has room for in a period.  Finding out
 * whose turn it is costs, too. */
static void read_some(struct memory *m, uint64_t start_ns)
{
        bool found = true;

        while (found && !stopping(m) && memory_budget_has_room(&m->exact, start_ns, PERIOD_NS)) {
                size_t i = memory_table_next(&m->table, start_ns, EXACT_NS);

                found = i < m->table.n;
                if (found)
                        read_exact(m, i);
                bill(m, &m->exact, start_ns);
        }
}

/*
 * Memory in use behind each dram account: what is not free on its nodes.  A domain whose nodes have
 * no memory has none in use, and its energy is nobody's; a node that cannot be read leaves all
 * unknown.
 */
static void measure_used(struct memory *m)
{
        struct memory_holdings *h = &m->holdings;
        uint64_t used = 0;

        memset(h->used_bytes, 0, m->accounts->n * sizeof(h->used_bytes[0]));
        h->known = true;
        for (unsigned int node = 0; node < m->nodes.n; node++) {
                long long available = 0, size = numa_node_size64((int)node, &available);

                if (memory_nodes_add(&m->nodes, node,
                                     size > available ? (uint64_t)(size - available) : 0,
                                     h->used_bytes))
                        h->known &= size >= 0 || !numa_bitmask_isbitset(numa_nodes_ptr, node);
        }
        for (unsigned int i = 0; i < m->accounts->n; i++)
                used += h->used_bytes[i];
        h->known &= used > 0;
}

static int holdings_grow(struct memory_holdings *h, size_t n)
{
        void *p;

        if (n <= h->max)
                return 0;
        p = reallocarray(h->all, n, sizeof(h->all[0]));
        if (!p)
                return -ENOMEM;
        h->all = p;
        p = reallocarray(h->bytes, n * h->naccounts, sizeof(h->bytes[0]));
        if (!p)
                return -ENOMEM;
        h->bytes = p;
        h->max = n;
        return 0;
}

static int fill_holdings(struct memory *m)
{
        struct memory_holdings *h = &m->holdings;
        int r = holdings_grow(h, m->table.n);

        if (r < 0)
                return r;
        h->n = 0;
        for (size_t i = 0; i < m->table.n; i++) {
                const struct memory_known *k = &m->table.all[i];
                uint64_t bytes = memory_table_bytes(k);

                h->all[h->n] = (struct memory_holding){
                        .pid = k->id.pid, .start_ns = k->id.start_ns, .exact_ns = k->exact_ns};
                for (unsigned int a = 0; a < h->naccounts; a++)
                        h->bytes[h->n * h->naccounts + a] =
                                (uint64_t)((double)bytes *
                                           (double)m->table.parts[i * h->naccounts + a]);
                h->n++;
        }
        return 0;
}

static void one_round(struct memory *m)
{
        uint64_t start_ns = monotonic_ns();

        m->asked = false;
        ask_sampler(m, &m->list);
        if (memory_table_update(&m->table, m->processes, m->nprocesses, m->cpu_parts) == 0) {
                read_all(m);
                bill(m, &m->rounds, start_ns);
                read_some(m, start_ns);
                measure_used(m);
                if (fill_holdings(m) == 0)
                        ask_sampler(m, &m->hand);
        }
        bill(m, &m->rounds, start_ns);
}

/*
 * Until the next round: a period, or less when there is a new target, which may be gone soon and is
 * looked at before the rounds so far are paid for.  Those after it wait the longer: the budget
 * holds.
 */
static void wait_for_next(struct memory *m, uint64_t start_ns)
{
        struct pollfd wait = {.fd = m->mailbox.fd, .events = POLLIN};
        uint64_t period_ns = m->following ? FOLLOWING_NS : PERIOD_NS;

        while (!stopping(m)) {
                uint64_t due_ns = start_ns + (m->asked ? MIN_PAUSE_NS : period_ns);
                uint64_t until_ns = memory_budget_start_ns(&m->rounds, due_ns,
                                                           m->asked ? NEW_AHEAD_NS : 0);
                uint64_t now = monotonic_ns();

                if (now >= until_ns)
                        return;
                if (poll(&wait, 1, (int)((until_ns - now) / 1000000) + 1) > 0)
                        mailbox_deliver(&m->mailbox);
        }
}

static void *run(void *arg)
{
        struct memory *m = arg;

        prctl(PR_SET_NAME, "energatd/memory");
        while (!stopping(m)) {
                uint64_t start_ns = monotonic_ns();

                one_round(m);
                wait_for_next(m, start_ns);
        }
        return NULL;
}

/* ---- life ---- */

void memory_look_now(struct memory *m)
{
        if (m && !__atomic_exchange_n(&m->poked, true, __ATOMIC_ACQ_REL))
                mailbox_push(&m->mailbox, &m->poke);
}

void memory_free(struct memory *m)
{
        if (!m)
                return;
        if (m->thread) {
                __atomic_store_n(&m->stop, true, __ATOMIC_RELEASE);
                memory_look_now(m);
                pthread_join(m->thread, NULL);
        }
        mailbox_deinit(&m->mailbox);
        memory_table_deinit(&m->table);
        free(m->processes);
        free(m->cpu_parts);
        free(m->holdings.all);
        free(m->holdings.bytes);
        free(m->holdings.used_bytes);
        free(m);
}

int memory_new(struct memory **ret, struct sampler *sampler, const struct topology *topology)
{
        const struct accounts *a = sampler_accounts(sampler);
        struct memory *m;
        int r;

        *ret = NULL;
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->mailbox.fd = -1;
        for (unsigned int i = 0; i < a->n; i++)
                m->ndram += a->all[i].kind == ENERGY_DRAM;
        if (!m->ndram) {
                memory_free(m);
                return 0;
        }
        m->sampler = sampler;
        m->accounts = a;
        m->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        m->rounds.rate = m->exact.rate = MEMORY_BUDGET / 2;
        memory_nodes_init(&m->nodes, numa_available() < 0 ? 1 : (unsigned int)numa_max_node() + 1,
                          a, topology, numa_distance);
        m->list.deliver = run_list;
        m->listed.deliver = on_listed;
        m->hand.deliver = run_hand;
        m->handed.deliver = on_handed;
        m->poke.deliver = on_poke;
        memory_table_init(&m->table, a->n);
        m->holdings.naccounts = a->n;
        m->processes = calloc(MAX_PROCESSES, sizeof(m->processes[0]));
        m->cpu_parts = calloc((size_t)MAX_PROCESSES * a->n, sizeof(m->cpu_parts[0]));
        m->holdings.used_bytes = calloc(a->n, sizeof(m->holdings.used_bytes[0]));
        r = m->processes && m->cpu_parts && m->holdings.used_bytes ? mailbox_init(&m->mailbox)
                                                                   : -ENOMEM;
        if (r == 0)
                r = -pthread_create(&m->thread, NULL, run, m);
        if (r < 0) {
                m->thread = 0;
                memory_free(m);
                return r;
        }
        *ret = m;
        return 0;
}
