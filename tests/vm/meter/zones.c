// SPDX-License-Identifier: GPL-2.0
/*
 * A power meter whose truth is known, for machines that have none: the virtual ones of the tests.
 *
 * Registers zones with the kernel's powercap framework under the names and in the places that
 * intel_rapl gives them, so that /sys/class/powercap looks as on a server.  power.h says what they
 * read.
 */
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/powercap.h>
#include <linux/string.h>

#include "power.h"

#define MAX_ZONES (3 * POWER_MAX_DOMAINS + 1) /* package, core and dram of each; psys */
#define PJ_PER_UJ 1000000ULL
#define LIST_MAX  256

/* 2^32 units of 61 uJ, as the counters of an Intel server have them. */
static unsigned long long range_uj = 262143328850ULL;
module_param(range_uj, ullong, 0444);
MODULE_PARM_DESC(range_uj, "highest value of a counter, uJ");

static bool dram = true;
module_param(dram, bool, 0444);
MODULE_PARM_DESC(dram, "there are dram zones");

static bool core;
module_param(core, bool, 0444);
MODULE_PARM_DESC(core, "there are core zones, before those of dram");

static bool psys;
module_param(psys, bool, 0444);
MODULE_PARM_DESC(psys, "there is a psys zone, before those of packages");

/* Faults on command, by the zones' labels: "package-0,package-1/dram". */
static char eio[LIST_MAX], stuck[LIST_MAX];
module_param_string(eio, eio, sizeof(eio), 0644);
MODULE_PARM_DESC(eio, "zones that cannot be read, with commas");
module_param_string(stuck, stuck, sizeof(stuck), 0644);
MODULE_PARM_DESC(stuck, "zones whose counters stand still, with commas");

enum kind { KIND_PACKAGE, KIND_CORE, KIND_DRAM, KIND_PSYS };

struct zone_state {
        struct powercap_zone zone;
        enum kind kind;
        const struct domain *domain; /* NULL: psys */
        char label[48];              /* of the faults: "package-0/dram" */
        bool is_stuck;
        u64 stuck_uj;
};

static struct zone_state zones[MAX_ZONES];
static unsigned int nzones;
static struct powercap_control_type *control_type;
static DEFINE_MUTEX(lock); /* the energies, is_stuck and stuck_uj */

static bool is_listed(const char *list, const char *label)
{
        size_t length = strlen(label);

        while (*list) {
                size_t n = strcspn(list, ",\n");

                if (n == length && strncmp(list, label, n) == 0)
                        return true;
                list += n + (list[n] != '\0');
        }
        return false;
}

static u64 zone_pj(const struct zone_state *z)
{
        switch (z->kind) {
        case KIND_PACKAGE:
                return z->domain->package_pj;
        case KIND_CORE:
                return z->domain->cores_pj;
        case KIND_DRAM:
                return z->domain->dram_pj;
        default:
                return power_platform_pj();
        }
}

static int zone_energy(struct powercap_zone *zone, u64 *uj)
{
        struct zone_state *z = container_of(zone, struct zone_state, zone);
        u64 count;
        int r = 0;

        kernel_param_lock(THIS_MODULE);
        mutex_lock(&lock);
        power_update();
        div64_u64_rem(div64_u64(zone_pj(z), PJ_PER_UJ), range_uj + 1, &count);
        if (is_listed(eio, z->label)) {
                r = -EIO;
        } else if (!is_listed(stuck, z->label)) {
                z->is_stuck = false;
        } else if (!z->is_stuck) {
                z->is_stuck = true;
                z->stuck_uj = count;
        }
        *uj = z->is_stuck ? z->stuck_uj : count;
        mutex_unlock(&lock);
        kernel_param_unlock(THIS_MODULE);
        return r;
}

static int zone_range(struct powercap_zone *zone, u64 *uj)
{
        *uj = range_uj;
        return 0;
}

/* The memory is ours. */
static int zone_release(struct powercap_zone *zone)
{
        return 0;
}

static const struct powercap_zone_ops zone_ops = {
        .get_energy_uj = zone_energy,
        .get_max_energy_range_uj = zone_range,
        .release = zone_release,
};

/* The framework wants a constraint.  This one limits nothing. */
static int constraint_set(struct powercap_zone *zone, int id, u64 value)
{
        return -EOPNOTSUPP;
}

static int constraint_get(struct powercap_zone *zone, int id, u64 *value)
{
        *value = 0;
        return 0;
}

static const char *constraint_name(struct powercap_zone *zone, int id)
{
        return "long_term";
}

static const struct powercap_zone_constraint_ops constraint_ops = {
        .set_power_limit_uw = constraint_set,
        .get_power_limit_uw = constraint_get,
        .set_time_window_us = constraint_set,
        .get_time_window_us = constraint_get,
        .get_name = constraint_name,
};

static int zone_add(enum kind kind, const struct domain *domain, struct zone_state *package,
                    const char *name)
{
        struct zone_state *z = &zones[nzones];
        struct powercap_zone *zone;

        z->kind = kind;
        z->domain = domain;
        if (package)
                snprintf(z->label, sizeof(z->label), "%s/%s", domain->name, name);
        else
                snprintf(z->label, sizeof(z->label), "%s", name);
        zone = powercap_register_zone(&z->zone, control_type, name, package ? &package->zone : NULL,
                                      &zone_ops, 1, &constraint_ops);
        if (IS_ERR(zone))
                return PTR_ERR(zone);
        nzones++;
        return 0;
}

static int zones_add(const struct domain *domains, unsigned int ndomains)
{
        int r = psys ? zone_add(KIND_PSYS, NULL, NULL, "psys") : 0;

        for (unsigned int i = 0; i < ndomains && r == 0; i++) {
                struct zone_state *package = &zones[nzones];

                r = zone_add(KIND_PACKAGE, &domains[i], NULL, domains[i].name);
                if (r == 0 && core)
                        r = zone_add(KIND_CORE, &domains[i], package, "core");
                if (r == 0 && dram)
                        r = zone_add(KIND_DRAM, &domains[i], package, "dram");
        }
        return r;
}

/* Last first: parts before their packages. */
static void zones_remove(void)
{
        while (nzones > 0)
                powercap_unregister_zone(control_type, &zones[--nzones].zone);
}

static int __init meter_init(void)
{
        const struct domain *domains;
        int n, r;

        if (!range_uj || range_uj == U64_MAX)
                return -EINVAL;
        n = power_start(&domains);
        if (n < 0)
                return n;
        control_type = powercap_register_control_type(NULL, "intel-rapl", NULL);
        if (IS_ERR(control_type)) {
                power_stop();
                return PTR_ERR(control_type);
        }
        r = zones_add(domains, (unsigned int)n);
        if (r < 0) {
                zones_remove();
                powercap_unregister_control_type(control_type);
                power_stop();
        }
        return r;
}

static void __exit meter_exit(void)
{
        zones_remove();
        powercap_unregister_control_type(control_type);
        power_stop();
}

module_init(meter_init);
module_exit(meter_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A power meter whose truth is known, for the tests of energat");
