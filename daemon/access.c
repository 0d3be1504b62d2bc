/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <stdarg.h>
#include <stdio.h>

#define NS_PER_S 1e9

static void __attribute__((format(printf, 3, 4)))
deny(struct denial *denial, const char *rule, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(denial->reason, sizeof(denial->reason), format, args);
        va_end(args);
        denial->rule = rule;
}

void access_follow(struct denial *denial, const struct config *config, const struct peer *peer,
                   const struct procfs_status *process, uint64_t interval_ns)
{
        denial->rule = NULL;
        if (peer->trusted)
                return;
        /* All three: a set-user-ID program works with more than its user's rights. */
        if (process->uid != peer->uid || process->euid != peer->uid || process->suid != peer->uid)
                deny(denial, ACCESS_RULE_OWN,
                     "the process is not yours; only root and members of group %s may follow "
                     "other users' processes",
                     config->access_group);
        else if (!config->access_own_processes)
                deny(denial, ACCESS_RULE_OWN,
                     "only root and members of group %s may follow processes here "
                     "(access.own_processes)",
                     config->access_group);
        else if (interval_ns < config->access_interval_ns)
                deny(denial, ACCESS_RULE_INTERVAL,
                     "intervals below %g s are for root and members of group %s",
                     (double)config->access_interval_ns / NS_PER_S, config->access_group);
}

void access_administer(struct denial *denial, const struct config *config, const struct peer *peer,
                       const char *what)
{
        denial->rule = NULL;
        if (!peer->trusted)
                deny(denial, ACCESS_RULE_ADMIN, "only root and members of group %s may %s",
                     config->access_group, what);
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
