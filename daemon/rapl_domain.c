/* SPDX-License-Identifier: MIT */
#include "rapl_domain.h"

#include <stdio.h>
#include <string.h>

void rapl_domain_init(struct domain *domain, enum domain_kind kind, int socket, int die)
{
        const char *name = domain_kind_name(kind);
        char package[32];

        *domain = (struct domain){.kind = kind, .socket = socket, .die = die};
        if (die >= 0)
                snprintf(package, sizeof(package), "package-%d-die-%d", socket, die);
        else
                snprintf(package, sizeof(package), "package-%d", socket);
        switch (kind) {
        case DOMAIN_PSYS:
                domain->socket = domain->die = -1;
                if (socket > 0)
                        snprintf(domain->name, sizeof(domain->name), "psys-%d", socket);
                else
                        snprintf(domain->name, sizeof(domain->name), "psys");
                memcpy(domain->label, domain->name, sizeof(domain->label));
                break;
        case DOMAIN_PACKAGE:
                memcpy(domain->name, package, sizeof(package));
                memcpy(domain->label, package, sizeof(package));
                break;
        default:
                snprintf(domain->name, sizeof(domain->name), "%s", name);
                snprintf(domain->label, sizeof(domain->label), "%s/%s", package, name);
        }
}

int rapl_domain_compare(const struct domain *a, const struct domain *b)
{
        /* -1, no socket, stands last */
        unsigned int a_socket = (unsigned int)a->socket, b_socket = (unsigned int)b->socket;

        if (a_socket != b_socket)
                return a_socket < b_socket ? -1 : 1;
        if (a->die != b->die)
                return a->die < b->die ? -1 : 1;
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        return strcmp(a->label, b->label);
}

unsigned int rapl_dies_of(const struct topology *topology, int socket)
{
        unsigned int n = 0;

        for (unsigned int i = 0; i < topology->nslots; i++) {
                const struct topology_slot *slot = &topology->slots[i];
                unsigned int before = 0;

                /* several nodes of one die are several slots */
                while (before < i && (topology->slots[before].socket != slot->socket ||
                                      topology->slots[before].die != slot->die))
                        before++;
                n += slot->socket == socket && before == i;
        }
        return n;
}
