/* SPDX-License-Identifier: MIT */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "sampler.h"

/* How the daemon measures, as far as capabilities go. */
struct use {
        bool probe, perf, msr;
        bool may_be_realtime; /* by its resource limit */
};

static bool always(const struct use *use)
{
        (void)use;
        return true;
}

static bool with_probe(const struct use *use)
{
        return use->probe;
}

static bool with_events(const struct use *use)
{
        return use->probe || use->perf;
}

static bool with_msr(const struct use *use)
{
        return use->msr;
}

static bool without_limit(const struct use *use)
{
        return !use->may_be_realtime;
}

/*
 * What is kept, and why; docs/security.md says the same at length.  Reading what is open needs none
 * of them: neither energy files, nor BPF maps, which are mapped memory.
 */
static const struct kept {
        cap_value_t value;
        const char *name, *lost; /* lost: what does not work without it */
        bool (*needed)(const struct use *use);
} kept[] = {
        /* energy_uj has mode 0400: zones that come late, and those opened again after a fault */
        {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "energy meters that come later are not found",
         always},
        /* /proc/PID/smaps_rollup and numa_maps are for those who may trace the process */
        {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "other users' memory is not accounted", always},
        /* a better meter makes measuring begin anew, the probe included; collecting what it counts
         * works without (tried on Linux 6.18) */
        {CAP_BPF, "CAP_BPF", "the BPF probe cannot be loaded", with_probe},
        /* the probe is of a tracing type; counters of the perf PMU are opened for a whole CPU */
        {CAP_PERFMON, "CAP_PERFMON", "neither the BPF probe nor perf's counters can be opened",
         with_events},
        /* the tick's thread is made anew, too; RLIMIT_RTPRIO does as well where it can be had */
        {CAP_SYS_NICE, "CAP_SYS_NICE", "ticks come without real-time priority", without_limit},
        /* opening /dev/cpu/N/msr, when the CPU that is asked has gone; only where MSRs are read */
        {CAP_SYS_RAWIO, "CAP_SYS_RAWIO", "MSRs cannot be opened again", with_msr},
};

#define NKEPT (sizeof(kept) / sizeof(kept[0]))

static void cap_free_p(cap_t *caps)
{
        if (*caps)
                cap_free(*caps);
}

#define cleanup_cap __attribute__((cleanup(cap_free_p)))

static bool has(cap_t caps, cap_value_t value)
{
        cap_flag_value_t flag = CAP_CLEAR;

        return cap_get_flag(caps, value, CAP_PERMITTED, &flag) == 0 && flag == CAP_SET;
}

/* ---- before ---- */

void privileges_user(struct privileges_user *user, const char *name)
{
        const struct passwd *entry;

        *user = (struct privileges_user){.uid = geteuid(), .gid = getegid()};
        if (user->uid != 0)
                return; /* the service manager has chosen */
        errno = 0;
        entry = getpwnam(name);
        if (!entry) {
                log_warning("there is no user '%s' (daemon.user): energatd stays root, with "
                            "reduced capabilities; make the user with 'systemd-sysusers' or "
                            "'useradd --system %s'",
                            name, name);
                return;
        }
        user->uid = entry->pw_uid;
        user->gid = entry->pw_gid;
        user->changes = user->uid != 0;
        if (!user->changes)
                log_notice("energatd stays root, with reduced capabilities (daemon.user = %s)",
                           name);
}

bool privileges_suffice(const struct config *config)
{
        cleanup_cap cap_t caps = cap_get_proc();

        if (!caps || strcmp(config->probe, "proc") == 0)
                return true;
        for (size_t i = 0; i < NKEPT; i++) {
                if ((kept[i].value != CAP_BPF && kept[i].value != CAP_PERFMON) ||
                    has(caps, kept[i].value) || has(caps, CAP_SYS_ADMIN))
                        continue;
                log_error("%s is missing (%s): start energatd as root, best with "
                          "'systemctl start energatd'",
                          kept[i].name, kept[i].lost);
                return false;
        }
        return true;
}

/* ---- giving up ---- */

/* May this process, without a capability, give a thread the priority of the tick? */
static bool may_be_realtime(void)
{
        const struct rlimit wanted = {SAMPLER_PRIORITY, SAMPLER_PRIORITY};
        struct rlimit limit;

        if (setrlimit(RLIMIT_RTPRIO, &wanted) == 0)
                return true;
        return getrlimit(RLIMIT_RTPRIO, &limit) == 0 && limit.rlim_cur >= SAMPLER_PRIORITY;
}

/* The capabilities to keep, of those that there are, in all of `sets`; none inheritable. */
static cap_t caps_to_keep(const struct use *use, cap_t now)
{
        cap_t caps = cap_init();

        for (size_t i = 0; caps && i < NKEPT; i++) {
                if (!kept[i].needed(use))
                        continue;
                if (!has(now, kept[i].value)) {
                        log_warning("%s is missing: %s", kept[i].name, kept[i].lost);
                        continue;
                }
                cap_set_flag(caps, CAP_PERMITTED, 1, &kept[i].value, CAP_SET);
                cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept[i].value, CAP_SET);
        }
        return caps;
}

static int fail(const char *what, char *why, size_t why_size)
{
        int r = errno ? -errno : -EPERM;

        snprintf(why, why_size, "%s: %s", what, strerror(-r));
        return r;
}

/* Other ids, with the permitted capabilities left as they are. */
static int become(const struct privileges_user *user, char *why, size_t why_size)
{
        if (geteuid() != 0)
                return 0;
        if (setgroups(0, NULL) < 0)
                return fail("cannot drop the supplementary groups", why, why_size);
        if (!user->changes)
                return 0;
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return fail("cannot keep capabilities", why, why_size);
        if (setresgid(user->gid, user->gid, user->gid) < 0)
                return fail("cannot change to the group of daemon.user", why, why_size);
        if (setresuid(user->uid, user->uid, user->uid) < 0)
                return fail("cannot change to daemon.user", why, why_size);
        if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
                return fail("cannot stop keeping capabilities", why, why_size);
        return 0;
}

/* What only CAP_SETPCAP may give up. */
static int lock(char *why, size_t why_size)
{
        const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

        for (cap_value_t cap = 0; cap < cap_max_bits(); cap++)
                if (cap_get_bound(cap) > 0 && cap_drop_bound(cap) < 0)
                        return fail("cannot empty the bounding set", why, why_size);
        if (cap_set_secbits((unsigned int)bits) < 0)
                return fail("cannot lock the securebits", why, why_size);
        return 0;
}

/* Raise CAP_SETPCAP, which a change of user has lowered.  false: it is not permitted. */
static bool can_lock(cap_t now)
{
        const cap_value_t value = CAP_SETPCAP;
        cleanup_cap cap_t raised = has(now, value) ? cap_dup(now) : NULL;

        return raised && cap_set_flag(raised, CAP_EFFECTIVE, 1, &value, CAP_SET) == 0 &&
               cap_set_proc(raised) == 0;
}

/* Is it as it was meant to be?  What the kernel says counts. */
static int verify(const struct privileges_user *user, cap_t expected, char *why, size_t why_size)
{
        cleanup_cap cap_t now = cap_get_proc();
        uid_t uid[3];
        gid_t gid[3];

        if (!now || cap_compare(now, expected) != 0)
                return fail("capabilities are left", why, why_size);
        if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
                return fail("cannot read user and group", why, why_size);
        for (int i = 0; i < 3; i++)
                if (uid[i] != user->uid || gid[i] != user->gid)
                        return fail("another user or group is left", why, why_size);
        return 0;
}

int privileges_drop(const struct privileges_user *user, const struct config *config,
                    const char *source, char *why, size_t why_size)
{
        const struct use use = {.probe = strcmp(config->probe, "proc") != 0,
                                .perf = strcmp(source, "perf") == 0,
                                .msr = strcmp(source, "msr") == 0 ||
                                       strcmp(config->source, "msr") == 0,
                                .may_be_realtime = may_be_realtime()};
        cleanup_cap cap_t now = cap_get_proc(), keep = now ? caps_to_keep(&use, now) : NULL;
        int r;

        errno = 0;
        if (!keep)
                return fail("cannot read the capabilities", why, why_size);
        r = become(user, why, why_size);
        if (r >= 0 && can_lock(now))
                r = lock(why, why_size);
        else if (r >= 0) /* a service manager that starts energatd as its user sets them itself */
                log_info(
                        "without CAP_SETPCAP the bounding set and the securebits stay as they are");
        if (r < 0)
                return r;
        if (cap_reset_ambient() < 0)
                return fail("cannot clear the ambient capabilities", why, why_size);
        if (cap_set_proc(keep) < 0)
                return fail("cannot give up capabilities", why, why_size);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return fail("cannot set no_new_privs", why, why_size);
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return fail("cannot forbid dumps", why, why_size);
        return verify(user, keep, why, why_size);
}
