/* SPDX-License-Identifier: MIT */
#include "calibration_load.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define TOPOLOGY "/sys/devices/system/cpu/cpu%u/topology/%s"
#define MAX_CPUS 8192
#define WHOLE_US 1000u /* a core that is busy all the time */

struct core {
        unsigned int cpu; /* its first thread that we may use */
        int package, id;
        unsigned int rank; /* among the cores of its package, from 0 */
        pthread_t thread;
        bool started;
        struct calibration_load *load;
};

struct calibration_load {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned int busy; /* of the cores of each package, in thousandths */
        bool ending;
        struct core *cores;
        unsigned int ncores, most;
};

/* A number of the topology; -1 when the kernel does not tell: all are then one package. */
static int topology_number(unsigned int cpu, const char *name)
{
        char path[96];
        int value = -1;
        FILE *f;

        snprintf(path, sizeof(path), TOPOLOGY, cpu, name);
        f = fopen(path, "re");
        if (!f)
                return -1;
        if (fscanf(f, "%d", &value) != 1)
                value = -1;
        fclose(f);
        return value;
}

static bool has_core(const struct calibration_load *l, int package, int id)
{
        for (unsigned int i = 0; i < l->ncores; i++)
                if (l->cores[i].package == package && l->cores[i].id == id)
                        return true;
        return false;
}

static int find_cores(struct calibration_load *l)
{
        size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
        cpu_set_t *allowed = CPU_ALLOC(MAX_CPUS);
        int r = 0;

        if (!allowed)
                return -ENOMEM;
        if (sched_getaffinity(0, size, allowed) < 0)
                r = -errno;
        l->cores = r < 0 ? NULL : calloc(MAX_CPUS, sizeof(l->cores[0]));
        for (unsigned int cpu = 0; l->cores && cpu < MAX_CPUS; cpu++) {
                int package = topology_number(cpu, "physical_package_id");
                int id = topology_number(cpu, "core_id");
                struct core *core = &l->cores[l->ncores];

                if (!CPU_ISSET_S(cpu, size, allowed) || (id >= 0 && has_core(l, package, id)))
                        continue;
                *core = (struct core){.cpu = cpu, .package = package, .id = id, .load = l};
                for (unsigned int i = 0; i < l->ncores; i++)
                        core->rank += l->cores[i].package == package;
                l->ncores++;
                if (core->rank + 1 > l->most)
                        l->most = core->rank + 1;
        }
        CPU_FREE(allowed);
        return r < 0 ? r : l->cores ? 0 : -ENOMEM;
}

/* For how much of each millisecond, in microseconds.  Without the lock: whoever spins looks often,
 * and changes come seldom. */
static unsigned int wanted_us(const struct core *core)
{
        unsigned int busy = __atomic_load_n(&core->load->busy, __ATOMIC_RELAXED);

        if (busy <= core->rank * WHOLE_US)
                return 0;
        return busy >= (core->rank + 1) * WHOLE_US ? WHOLE_US : busy - core->rank * WHOLE_US;
}

/* Spin for so many microseconds of the present millisecond, and sleep for the rest of it. */
static void work_millisecond(unsigned int us)
{
        uint64_t begin_ns = clock_now_ns() / NS_PER_MS * NS_PER_MS, next_ns = begin_ns + NS_PER_MS;
        struct timespec next = {.tv_sec = (time_t)(next_ns / NS_PER_S),
                                .tv_nsec = (long)(next_ns % NS_PER_S)};

        while (clock_now_ns() < begin_ns + us * UINT64_C(1000))
                ;
        if (us < WHOLE_US)
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
}

static void *be_busy(void *arg)
{
        struct core *core = arg;
        struct calibration_load *l = core->load;
        cpu_set_t *only = CPU_ALLOC(MAX_CPUS);
        size_t size = CPU_ALLOC_SIZE(MAX_CPUS);

        if (only) {
                CPU_ZERO_S(size, only);
                CPU_SET_S(core->cpu, size, only);
                sched_setaffinity(0, size, only);
                CPU_FREE(only);
        }
        prctl(PR_SET_TIMERSLACK, 1);
        for (;;) {
                unsigned int us;
                bool ending;

                pthread_mutex_lock(&l->lock);
                while (!l->ending && !wanted_us(core))
                        pthread_cond_wait(&l->changed, &l->lock);
                ending = l->ending;
                pthread_mutex_unlock(&l->lock);
                if (ending)
                        return NULL;
                while ((us = wanted_us(core)))
                        work_millisecond(us);
        }
}

bool calibration_load_has(const struct calibration_load *l, int package)
{
        for (unsigned int i = 0; i < l->ncores; i++)
                if (l->cores[i].package == package || l->cores[i].package < 0)
                        return true;
        return false;
}

unsigned int calibration_load_cores(const struct calibration_load *l)
{
        return l->most;
}

void calibration_load_set(struct calibration_load *l, double cores)
{
        pthread_mutex_lock(&l->lock);
        __atomic_store_n(&l->busy, (unsigned int)lround(cores * WHOLE_US), __ATOMIC_RELAXED);
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
}

int calibration_load_new(struct calibration_load **ret)
{
        struct calibration_load *l = calloc(1, sizeof(*l));
        sigset_t all, before;
        int r;

        if (!l)
                return -ENOMEM;
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->changed, NULL);
        r = find_cores(l);
        /* Signals are the main thread's. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        for (unsigned int i = 0; r == 0 && i < l->ncores; i++) {
                r = -pthread_create(&l->cores[i].thread, NULL, be_busy, &l->cores[i]);
                l->cores[i].started = r == 0;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r < 0) {
                calibration_load_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

void calibration_load_free(struct calibration_load *l)
{
        if (!l)
                return;
        pthread_mutex_lock(&l->lock);
        l->ending = true;
        __atomic_store_n(&l->busy, 0, __ATOMIC_RELAXED);
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        for (unsigned int i = 0; i < l->ncores; i++)
                if (l->cores[i].started)
                        pthread_join(l->cores[i].thread, NULL);
        pthread_cond_destroy(&l->changed);
        pthread_mutex_destroy(&l->lock);
        free(l->cores);
        free(l);
}
