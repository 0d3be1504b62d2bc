/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

void access_follow(struct denial *denial, const struct config *config, const struct peer *peer,
                   const struct procfs_status *process, uint64_t interval_ns)
{
        denial->rule = NULL;
        if (peer->trusted)
                return;
        /* All three: a set-user-ID program works with more than its user's rights. */
        if (process->uid != peer->uid || process->euid != peer->uid || process->suid != peer->uid) {
                denial->rule = ACCESS_RULE_OWN;
                snprintf(denial->reason, sizeof(denial->reason),
                         "the process is not yours; only root and members of group %s may follow "
                         "other users' processes",
                         config->access_group);
        } else if (!config->access_own_processes) {
                denial->rule = ACCESS_RULE_OWN;
                snprintf(denial->reason, sizeof(denial->reason),
                         "only root and members of group %s may follow processes here "
                         "(access.own_processes)",
                         config->access_group);
        } else if (interval_ns < config->access_interval_ns) {
                denial->rule = ACCESS_RULE_INTERVAL;
                snprintf(denial->reason, sizeof(denial->reason),
                         "intervals below %g s are for root and members of group %s",
                         (double)config->access_interval_ns / NS_PER_S, config->access_group);
        }
}

void access_administer(struct denial *denial, const struct config *config, const struct peer *peer,
                       const char *what)
{
        denial->rule = NULL;
        if (peer->trusted)
                return;
        denial->rule = ACCESS_RULE_ADMIN;
        snprintf(denial->reason, sizeof(denial->reason), "only root and members of group %s may %s",
                 config->access_group, what);
}

bool access_same_rules(const struct config *a, const struct config *b)
{
        return strcmp(a->access_group, b->access_group) == 0 &&
               a->access_interval_ns == b->access_interval_ns &&
               a->access_own_processes == b->access_own_processes;
}

void access_summary(char *text, size_t size, const struct config *config, const struct peer *peer)
{
        if (peer->trusted)
                snprintf(text, size, "you may follow every process, at any interval");
        else if (!config->access_own_processes)
                snprintf(text, size,
                         "you may follow no process (access.own_processes); root and members of "
                         "group %s all, at any interval",
                         config->access_group);
        else
                snprintf(text, size,
                         "you may follow your own processes at intervals of %g s or more; root and "
                         "members of group %s all, at any",
                         (double)config->access_interval_ns / NS_PER_S, config->access_group);
}

uint64_t access_default_interval_ns(const struct config *config, const struct peer *peer)
{
        if (!peer->trusted && config->interval_ns < config->access_interval_ns)
                return config->access_interval_ns;
        return config->interval_ns;
}

void call_denied(struct call *call, const struct denial *denial)
{
        call_error(call, "io.energat.Denied",
                   json_pack("{s:s, s:s}", "rule", denial->rule, "reason", denial->reason));
}
