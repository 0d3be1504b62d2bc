/* SPDX-License-Identifier: MIT */
/* A machine's CPUs, nodes, sockets and dies in sysfs. */
#include "fuzz_tree.h"
#include "topology.h"

static void check(const struct topology *t)
{
        FUZZ_CHECK(t->nslots > 0 && t->nslots <= TOPOLOGY_MAX_SLOTS);
        FUZZ_CHECK(t->nsockets > 0 && t->nsockets <= TOPOLOGY_MAX_SOCKETS);
        for (unsigned int i = 1; i < t->nsockets; i++)
                FUZZ_CHECK(t->sockets[i - 1] < t->sockets[i]);
        for (unsigned int i = 0; i < t->nslots; i++)
                FUZZ_CHECK(topology_socket_index(t, t->slots[i].socket) >= 0 &&
                           topology_slots_of(t, t->slots[i].socket, t->slots[i].die) != 0);
        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++) {
                const struct topology_cpu *c = &t->cpus[cpu];

                FUZZ_CHECK(c->slot == TOPOLOGY_NO_SLOT ? !c->online : c->slot < (int)t->nslots);
                if (c->slot != TOPOLOGY_NO_SLOT)
                        FUZZ_CHECK(t->slots[c->slot].socket == c->socket &&
                                   t->slots[c->slot].die == c->die &&
                                   t->slots[c->slot].node == c->node);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *root = fuzz_tree(data, size);
        struct topology t, copy;

        if (topology_init(&t, root) < 0)
                return 0;
        check(&t);
        FUZZ_CHECK(topology_copy(&copy, &t) == 0);
        /* nothing has changed since */
        FUZZ_CHECK(topology_refresh(&copy, root) == 0);
        check(&copy);
        topology_deinit(&copy);
        topology_deinit(&t);
        return 0;
}
