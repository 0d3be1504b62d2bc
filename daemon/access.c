/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <stdio.h>

void access_follow(struct denial *denial, const struct peer *peer,
                   const struct procfs_status *process, uint64_t interval_ns)
{
        denial->rule = NULL;
        if (peer->trusted)
                return;
        /* All three: a set-user-ID program works with more than its user's rights. */
        if (process->uid != peer->uid || process->euid != peer->uid || process->suid != peer->uid) {
                denial->rule = ACCESS_RULE_OWN;
                snprintf(denial->reason, sizeof(denial->reason),
                         "the process is not yours; only root and members of group energat may "
                         "follow "
                         "other users' processes");
        } else if (interval_ns < ACCESS_MIN_INTERVAL_NS) {
                denial->rule = ACCESS_RULE_INTERVAL;
                snprintf(denial->reason, sizeof(denial->reason),
                         "intervals below 1 s are for root and members of group energat");
        }
}

void access_administer(struct denial *denial, const struct peer *peer, const char *what)
{
        denial->rule = NULL;
        if (peer->trusted)
                return;
        denial->rule = ACCESS_RULE_ADMIN;
        snprintf(denial->reason, sizeof(denial->reason),
                 "only root and members of group energat may %s", what);
}

void call_denied(struct call *call, const struct denial *denial)
{
        call_error(call, "io.energat.Denied",
                   json_pack("{s:s, s:s}", "rule", denial->rule, "reason", denial->reason));
}
