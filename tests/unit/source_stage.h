/* SPDX-License-Identifier: MIT */
/*
 * What the tests of energy sources begin with: a driver, a tree of files that it reads, and a
 * machine that is not the one they run on.  A test says how its tree is opened: open_tree().
 */
#pragma once

#include "source.h"
#include "tree.h"

#define SECOND_NS UINT64_C(1000000000)
#define NOBODY    65534
#define MAX_CPUS  64

static const struct source_driver *driver;
static struct tree tree;
static char why[SOURCE_WHY_MAX];
static struct topology_cpu cpus[MAX_CPUS];
static struct topology machine;

static int open_tree(struct source **s);

/* CPUs one after another: `per_die` of them in each die, `ndies` dies in each socket. */
static inline void make_machine(unsigned int nsockets, unsigned int ndies, unsigned int per_die)
{
        machine = (struct topology){.cpus = cpus, .ncpus = nsockets * ndies * per_die};
        assert_true(machine.ncpus <= MAX_CPUS);
        for (unsigned int cpu = 0; cpu < machine.ncpus; cpu++) {
                int die = (int)(cpu / per_die % ndies), socket = (int)(cpu / per_die / ndies);

                cpus[cpu] = (struct topology_cpu){.online = true, .socket = socket, .die = die};
                if (cpu % per_die == 0) {
                        cpus[cpu].slot = (int)machine.nslots;
                        machine.slots[machine.nslots++] = (struct topology_slot){.socket = socket,
                                                                                 .die = die};
                }
        }
        for (unsigned int s = 0; s < nsockets; s++)
                machine.sockets[machine.nsockets++] = (int)s;
}

static inline void stage_make(const char *name)
{
        driver = source_driver_by_name(name);
        assert_non_null(driver);
        why[0] = '\0';
        tree_make(&tree);
}

static inline int teardown(void **state)
{
        tree_remove(&tree, "");
        return 0;
}

static inline struct source *opened(void)
{
        struct source *s = NULL;

        if (open_tree(&s) < 0)
                fail_msg("%s", why);
        return s;
}

static inline void read_at(struct source *s, uint64_t now_ns, struct reading *readings)
{
        struct source_input input = {.now_ns = now_ns};

        driver->read(s, &input, readings);
}
