/* SPDX-License-Identifier: MIT */
/* Loads of one process: threads, rhythms, places. */
#include "load.h"

#include <errno.h>
#include <limits.h>
#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL_STACK     ((size_t)64 * 1024) /* enough under AddressSanitizer too */
#define CREATE_SPIN_NS  (5 * NS_PER_US)     /* what each thread of `create` does */
#define HOP_PERIOD_NS   (1 * NS_PER_MS)     /* how long `hop` stays on a CPU */
#define QUOTA_PERIOD_NS (1 * NS_PER_MS)     /* grain of `quota` */
#define QUOTA_MOST_NS   (100 * NS_PER_MS)   /* what `quota` makes up for at most */
#define SPIN_SLICE_NS   (100 * NS_PER_US)   /* how often a spinner looks at the wall clock */
#define MAX_NODES       1024                /* as in the kernel's CONFIG_NODES_SHIFT=10 */
#define MASK_BITS       (sizeof(unsigned long) * CHAR_BIT)

/* pthread_create() with small stacks without guard pages, so that 20000 need few mappings. */
static int start_small_thread(pthread_t *thread, void *(*function)(void *), void *argument)
{
        pthread_attr_t attributes;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        r = pthread_attr_setstacksize(&attributes, SMALL_STACK);
        if (r == 0)
                r = pthread_attr_setguardsize(&attributes, 0);
        if (r == 0)
                r = pthread_create(thread, &attributes, function, argument);
        pthread_attr_destroy(&attributes);
        return -r;
}

/* Start n threads and wait for all of them; also for those that did start when one does not. */
static int run_threads(unsigned int n, void *(*function)(void *), void *argument, atomic_bool *stop)
{
        pthread_t *threads = calloc(n, sizeof(*threads));
        unsigned int started = 0;
        int r = 0;

        if (!threads)
                return load_complain("start threads", ENOMEM);
        while (started < n && r == 0) {
                r = start_small_thread(&threads[started], function, argument);
                if (r == 0)
                        started++;
        }
        if (r < 0) {
                load_complain("start a thread", r);
                if (stop)
                        atomic_store(stop, true);
        }
        for (unsigned int i = 0; i < started; i++)
                pthread_join(threads[i], NULL);
        free(threads);
        return r;
}

struct spinner {
        uint64_t cpu_ns;      /* of each thread, or 0: by the wall clock */
        uint64_t deadline_ns; /* CLOCK_MONOTONIC */
        atomic_bool stop;
};

static void spin_to_deadline(uint64_t deadline_ns, const atomic_bool *stop)
{
        while (load_now_ns() < deadline_ns && !(stop && atomic_load(stop)))
                load_spin_for(SPIN_SLICE_NS);
}

static void *spinner_main(void *argument)
{
        struct spinner *spinner = argument;

        if (spinner->cpu_ns > 0)
                load_spin_until_cpu(spinner->cpu_ns);
        else
                spin_to_deadline(spinner->deadline_ns, &spinner->stop);
        return NULL;
}

int load_spin(const struct load_options *o, struct load_result *result)
{
        struct spinner spinner = {
                .cpu_ns = o->cpu ? o->seconds_ns : 0,
                .deadline_ns = load_now_ns() + o->seconds_ns,
        };

        if (o->threads <= 1) {
                spinner_main(&spinner);
                return 0;
        }
        result->threads = o->threads;
        return run_threads(o->threads, spinner_main, &spinner, &spinner.stop);
}

int load_burst(const struct load_options *o, struct load_result *result)
{
        uint64_t start_ns = load_now_ns(), end_ns;

        (void)result;
        if (o->aligned)
                start_ns = (start_ns / o->period_ns + 1) * o->period_ns + o->offset_ns;
        end_ns = start_ns + o->seconds_ns;
        for (uint64_t next_ns = start_ns; next_ns < end_ns; next_ns += o->period_ns) {
                load_sleep_until(next_ns);
                if (o->aligned) /* never outside its part of the period, however busy the machine */
                        spin_to_deadline(next_ns + o->on_ns, NULL);
                else
                        load_spin_for(o->on_ns);
        }
        load_sleep_until(end_ns);
        return 0;
}

static void *create_main(void *argument)
{
        (void)argument;
        load_spin_for(CREATE_SPIN_NS);
        return NULL;
}

int load_create(const struct load_options *o, struct load_result *result)
{
        for (unsigned int i = 0; i < o->threads; i++) {
                pthread_t thread = 0;
                int r = start_small_thread(&thread, create_main, NULL);

                if (r < 0)
                        return load_complain("start a thread", r);
                pthread_join(thread, NULL);
                result->threads++;
        }
        return 0;
}

static void *idle_main(void *argument)
{
        const struct spinner *spinner = argument;

        load_sleep_until(spinner->deadline_ns);
        return NULL;
}

int load_idle_threads(const struct load_options *o, struct load_result *result)
{
        struct spinner spinner = {.deadline_ns = load_now_ns() + o->seconds_ns};

        result->threads = o->threads;
        return run_threads(o->threads, idle_main, &spinner, NULL);
}

int load_hop(const struct load_options *o, struct load_result *result)
{
        uint64_t end_ns = load_now_ns() + o->seconds_ns;
        cpu_set_t allowed, one;
        size_t cpu = CPU_SETSIZE - 1;

        (void)result;
        if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
                return load_complain("read the CPUs allowed", errno);
        if (CPU_COUNT(&allowed) < 2)
                return load_complain("hop with one CPU", EINVAL);
        for (uint64_t now_ns = load_now_ns(); now_ns < end_ns; now_ns = load_now_ns()) {
                do
                        cpu = (cpu + 1) % CPU_SETSIZE;
                while (!CPU_ISSET(cpu, &allowed));
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                if (sched_setaffinity(0, sizeof(one), &one) < 0)
                        return load_complain("move to another CPU", errno);
                spin_to_deadline(now_ns + HOP_PERIOD_NS, NULL);
        }
        return 0;
}

/*
 * Keep CPU time at a part of wall time, looking once a millisecond.  What a busy machine withholds
 * is made up for later, up to a limit, so that the part holds on average.
 */
int load_quota(const struct load_options *o, struct load_result *result)
{
        uint64_t start_ns = load_now_ns(), first_cpu_ns = load_thread_cpu_ns();

        (void)result;
        for (uint64_t at_ns = 0; at_ns < o->seconds_ns; at_ns += QUOTA_PERIOD_NS) {
                uint64_t due_ns, used_ns;

                load_sleep_until(start_ns + at_ns);
                due_ns = (uint64_t)((double)(at_ns + QUOTA_PERIOD_NS) * o->percent / 100);
                used_ns = load_thread_cpu_ns() - first_cpu_ns;
                if (due_ns > used_ns + QUOTA_MOST_NS)
                        due_ns = used_ns + QUOTA_MOST_NS;
                load_spin_until_cpu(first_cpu_ns + due_ns);
        }
        return 0;
}

static int bind_to_node(void *memory, size_t size, int node)
{
        unsigned long mask[MAX_NODES / MASK_BITS] = {0};

        mask[(unsigned int)node / MASK_BITS] |= 1UL << ((unsigned int)node % MASK_BITS);
        /* The kernel reads one bit less than maxnode says, see mbind(2), BUGS. */
        return mbind(memory, size, MPOL_BIND, mask, MAX_NODES + 1, 0) < 0 ? -errno : 0;
}

int load_mem(const struct load_options *o, struct load_result *result)
{
        uint64_t end_ns = load_now_ns() + o->seconds_ns;
        size_t size = (size_t)o->mib << 20;
        unsigned char *memory;
        int r = 0;

        (void)result;
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return load_complain("get the memory", errno);
        if (o->node >= 0)
                r = bind_to_node(memory, size, o->node);
        if (r == 0) {
                /* MADV_POPULATE_WRITE fails where touching would have the process killed. */
                if (madvise(memory, size, MADV_POPULATE_WRITE) < 0 && errno != EINVAL)
                        r = -errno;
        }
        if (r == 0) {
                memset(memory, 0x5a, size);
                load_sleep_until(end_ns);
        }
        /* Unmapping takes CPU time too: before the truth is read. */
        munmap(memory, size);
        return r < 0 ? load_complain("have the memory", r) : 0;
}
