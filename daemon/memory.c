/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define PERIOD_NS    1000000000ull
#define MIN_PAUSE_NS 100000000ull /* between two rounds, however often they are asked for */
#define MAX_NODES    1024
#define MAX_MEMBERS  262144 /* processes x targets looked at in a round */
#define FILE_MAX     4096

/* Filled in by the sampler: who belongs to which target. */
struct member {
        uint64_t target;
        pid_t pid;
};

struct memory {
        struct sampler *sampler;
        const struct accounts *accounts;
        int node_account[MAX_NODES]; /* which account a node's memory is behind, or -1 */
        unsigned int nnodes;
        struct mailbox mailbox; /* letters to this thread */
        pthread_t thread;
        bool stop;

        struct letter list, listed, hand, handed, poke;
        bool waiting, poked;
        struct member *members;
        size_t nmembers;
        struct memory_credits *credits; /* handed to the sampler */
        size_t ncredits;
        double *credit_values;
};

/* ---- parsing ---- */

int memory_parse_private(const char *text, uint64_t *bytes)
{
        bool found = false;

        *bytes = 0;
        for (const char *line = text; line; line = strchr(line, '\n')) {
                unsigned long long kib;

                line += *line == '\n';
                if (sscanf(line, "Private_%*[A-Za-z]: %llu kB", &kib) == 1) {
                        *bytes += kib * 1024;
                        found = true;
                }
        }
        return found ? 0 : -EBADMSG;
}

void memory_parse_numa_line(const char *line, uint64_t *pages, unsigned int nnodes)
{
        if (!strstr(line, " anon="))
                return;
        for (const char *at = strstr(line, " N"); at; at = strstr(at + 1, " N")) {
                unsigned long long n;
                unsigned int node;

                if (sscanf(at, " N%u=%llu", &node, &n) == 2 && node < nnodes)
                        pages[node] += n;
        }
}

static int private_bytes(pid_t pid, uint64_t *bytes)
{
        char path[64], text[FILE_MAX];
        ssize_t n;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        n = (ssize_t)fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
        if (n <= 0)
                return -ESRCH; /* a kernel thread, or just gone */
        text[n] = '\0';
        return memory_parse_private(text, bytes);
}

static int anonymous_pages(pid_t pid, uint64_t *pages, unsigned int nnodes)
{
        char path[64], *line = NULL;
        size_t size = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/numa_maps", pid);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        while (getline(&line, &size, f) > 0)
                memory_parse_numa_line(line, pages, nnodes);
        free(line);
        fclose(f);
        return 0;
}

/* Private bytes of a process, added to the accounts that its nodes are behind. */
static void measure_process(const struct memory *m, pid_t pid, double *by_account)
{
        uint64_t pages[MAX_NODES] = {0}, total = 0, bytes = 0;

        if (private_bytes(pid, &bytes) < 0)
                return;
        if (m->nnodes > 1 && anonymous_pages(pid, pages, m->nnodes) == 0)
                for (unsigned int node = 0; node < m->nnodes; node++)
                        total += pages[node];
        for (unsigned int node = 0; node < m->nnodes; node++) {
                if (m->node_account[node] < 0)
                        continue;
                if (m->nnodes == 1)
                        by_account[m->node_account[node]] += (double)bytes;
                else if (total)
                        by_account[m->node_account[node]] += (double)bytes * (double)pages[node] /
                                                             (double)total;
        }
}

static void measure_used(const struct memory *m, double *by_account)
{
        for (unsigned int node = 0; node < m->nnodes; node++) {
                long long available = 0, size;

                if (m->node_account[node] < 0)
                        continue;
                size = numa_node_size64((int)node, &available);
                if (size > 0)
                        by_account[m->node_account[node]] += (double)(size - available);
        }
}

/* ---- in the sampler ---- */

static struct memory *memory_of(struct letter *letter, size_t offset)
{
        return (struct memory *)(void *)((char *)letter - offset);
}

static void list_process(const struct process *p, void *arg)
{
        struct memory *m = arg;

        for (unsigned int i = 0; p->targets && i < p->targets->ntargets; i++)
                if (m->nmembers < MAX_MEMBERS)
                        m->members[m->nmembers++] = (struct member){
                                .target = p->targets->targets[i]->id, .pid = p->pid};
}

static void run_list(struct letter *letter)
{
        struct memory *m = memory_of(letter, offsetof(struct memory, list));

        m->nmembers = 0;
        if (sampler_targets(m->sampler))
                processes_each(sampler_processes(m->sampler), list_process, m);
        mailbox_push(&m->mailbox, &m->listed);
}

static void run_hand(struct letter *letter)
{
        struct memory *m = memory_of(letter, offsetof(struct memory, hand));

        for (size_t i = 0; i < m->ncredits; i++)
                sampler_memory_credits(m->sampler, &m->credits[i]);
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

static int by_target(const void *a, const void *b)
{
        const struct member *x = a, *y = b;

        return (x->target > y->target) - (x->target < y->target);
}

/* The credits of all targets.  A process of several targets is measured once for each. */
static void measure(struct memory *m)
{
        unsigned int n = m->accounts->n;
        double used[SOURCE_MAX_DOMAINS] = {0};

        measure_used(m, used);
        qsort(m->members, m->nmembers, sizeof(m->members[0]), by_target);
        m->ncredits = 0;
        for (size_t i = 0; i < m->nmembers && !stopping(m);) {
                struct memory_credits *c = &m->credits[m->ncredits++];

                *c = (struct memory_credits){.target = m->members[i].target,
                                             .credit = m->credit_values + (m->ncredits - 1) * n};
                memset(c->credit, 0, n * sizeof(c->credit[0]));
                for (; i < m->nmembers && m->members[i].target == c->target && !stopping(m); i++)
                        measure_process(m, m->members[i].pid, c->credit);
                for (unsigned int a = 0; a < n; a++)
                        c->credit[a] = used[a] > 0 ? c->credit[a] / used[a] : -1;
        }
}

static uint64_t clock_ns(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Room for one result a target; the number of targets is bounded by that of members. */
static int grow(struct memory *m)
{
        size_t targets = 1;
        void *credits, *values;

        for (size_t i = 1; i < m->nmembers; i++)
                targets += m->members[i].target != m->members[i - 1].target;
        credits = reallocarray(m->credits, targets, sizeof(m->credits[0]));
        if (!credits)
                return -ENOMEM;
        m->credits = credits;
        values = reallocarray(m->credit_values, targets * m->accounts->n, sizeof(double));
        if (!values)
                return -ENOMEM;
        m->credit_values = values;
        return 0;
}

static void *run(void *arg)
{
        struct memory *m = arg;
        struct pollfd wait = {.fd = m->mailbox.fd, .events = POLLIN};

        prctl(PR_SET_NAME, "energatd/memory");
        while (!stopping(m)) {
                uint64_t start_ns = clock_ns(CLOCK_MONOTONIC),
                         cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
                uint64_t pause_ns, now_ns;

                ask_sampler(m, &m->list);
                if (m->nmembers) {
                        qsort(m->members, m->nmembers, sizeof(m->members[0]), by_target);
                        if (grow(m) == 0) {
                                measure(m);
                                ask_sampler(m, &m->hand);
                        }
                }
                cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
                pause_ns = (uint64_t)((double)cpu_ns / MEMORY_BUDGET);
                if (pause_ns < PERIOD_NS)
                        pause_ns = PERIOD_NS;
                while (!stopping(m) && (now_ns = clock_ns(CLOCK_MONOTONIC)) < start_ns + pause_ns) {
                        uint64_t left_ns = start_ns + pause_ns - now_ns;

                        /* A poke ends the pause, but the budget holds. */
                        if (poll(&wait, 1, (int)(left_ns / 1000000) + 1) > 0) {
                                mailbox_deliver(&m->mailbox);
                                pause_ns = (uint64_t)((double)cpu_ns / MEMORY_BUDGET);
                                if (pause_ns < MIN_PAUSE_NS)
                                        pause_ns = MIN_PAUSE_NS;
                        }
                }
        }
        return NULL;
}

/* ---- life ---- */

void memory_look_now(struct memory *m)
{
        if (m && !__atomic_exchange_n(&m->poked, true, __ATOMIC_ACQ_REL))
                mailbox_push(&m->mailbox, &m->poke);
}

/* The dram account of a socket, or -1. */
static int dram_account(const struct accounts *a, int socket_index)
{
        for (unsigned int i = 0; i < a->n; i++)
                if (a->all[i].kind == ENERGY_DRAM && (int)a->all[i].socket == socket_index)
                        return (int)i;
        return -1;
}

/* Socket that a node's CPUs are on; for a node without CPUs, that of the nearest node that has
 * some. */
static int socket_of_node(const struct topology *t, int node)
{
        int best = -1, best_distance = INT_MAX;

        for (unsigned int i = 0; i < t->nslots; i++) {
                int distance = t->slots[i].node == node ? 0 : numa_distance(node, t->slots[i].node);

                if (distance == 0 && t->slots[i].node != node)
                        continue; /* libnuma: not known */
                if (distance < best_distance) {
                        best_distance = distance;
                        best = topology_socket_index(t, t->slots[i].socket);
                }
        }
        return best;
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
        free(m->members);
        free(m->credits);
        free(m->credit_values);
        free(m);
}

int memory_new(struct memory **ret, struct sampler *sampler, const struct topology *topology)
{
        const struct accounts *a = sampler_accounts(sampler);
        bool dram = false;
        struct memory *m;
        int r;

        *ret = NULL;
        for (unsigned int i = 0; i < a->n; i++)
                dram |= a->all[i].kind == ENERGY_DRAM;
        if (!dram)
                return 0;
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->sampler = sampler;
        m->accounts = a;
        m->nnodes = numa_available() < 0 ? 1 : (unsigned int)numa_max_node() + 1;
        if (m->nnodes > MAX_NODES)
                m->nnodes = MAX_NODES;
        for (unsigned int node = 0; node < m->nnodes; node++)
                m->node_account[node] = dram_account(a, socket_of_node(topology, (int)node));
        m->list.deliver = run_list;
        m->listed.deliver = on_listed;
        m->hand.deliver = run_hand;
        m->handed.deliver = on_handed;
        m->poke.deliver = on_poke;
        m->members = calloc(MAX_MEMBERS, sizeof(m->members[0]));
        r = m->members ? mailbox_init(&m->mailbox) : -ENOMEM;
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
