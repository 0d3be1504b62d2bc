// SPDX-License-Identifier: GPL-2.0
#include "power.h"

#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/topology.h>

#include "busy_time.h"

#define UPDATE_NS     1000000ULL /* RAPL counters move about every millisecond */
#define UNIT_BITS     20         /* fixed point of u: 2^20 is 1 */
#define MAX_ROOT      3          /* u^root has to fit into 64 bits: 3 x UNIT_BITS */
#define PAGES_PER_GIB (1ULL << (30 - PAGE_SHIFT))

static uint base_mw = 20000;
module_param(base_mw, uint, 0444);
MODULE_PARM_DESC(base_mw, "power of an idle package or die, mW");

static uint core_mw = 10000;
module_param(core_mw, uint, 0444);
MODULE_PARM_DESC(core_mw, "power of a busy CPU, mW");

static uint root = 1;
module_param(root, uint, 0444);
MODULE_PARM_DESC(root, "the power curve is u^(1/root): 1, 2 or 3");

static uint dram_base_mw = 2000;
module_param(dram_base_mw, uint, 0444);
MODULE_PARM_DESC(dram_base_mw, "power of memory that is not used, mW a package or die");

static uint dram_gib_mw = 8000;
module_param(dram_gib_mw, uint, 0444);
MODULE_PARM_DESC(dram_gib_mw, "power of each GiB in use, mW");

static uint psys_mw = 5000;
module_param(psys_mw, uint, 0444);
MODULE_PARM_DESC(psys_mw, "power of the platform beside packages and memory, mW");

static int domain_of_cpu[NR_CPUS]; /* -1: has not been online */
static struct domain domains[POWER_MAX_DOMAINS];
static unsigned int ndomains;
static u64 platform_pj; /* beside packages and memory */
static u64 updated_ns;

static u64 domain_busy_ns(unsigned int number)
{
        u64 busy = 0;
        int cpu;

        /* cppcheck-suppress unknownMacro ; of the kernel */
        for_each_possible_cpu(cpu)
                if (domain_of_cpu[cpu] == (int)number)
                        busy += busy_time_ns(cpu);
        return busy;
}

/* ---- memory ---- */

static bool node_has_cpu_of(int node, unsigned int number)
{
        int cpu;

        for_each_possible_cpu(cpu)
                if (domain_of_cpu[cpu] == (int)number && cpu_to_node(cpu) == node)
                        return true;
        return false;
}

/* The node itself, or for one without CPUs the nearest that has some. */
static int node_of_cpus(int node)
{
        int nearest = node, best = INT_MAX, other;

        if (!cpumask_empty(cpumask_of_node(node)))
                return node;
        for_each_online_node(other) {
                if (cpumask_empty(cpumask_of_node(other)) || node_distance(node, other) >= best)
                        continue;
                best = node_distance(node, other);
                nearest = other;
        }
        return nearest;
}

static u64 node_used_pages(int node)
{
        struct zone *zones = NODE_DATA(node)->node_zones;
        u64 used = 0;

        for (int i = 0; i < MAX_NR_ZONES; i++) {
                u64 managed = zone_managed_pages(&zones[i]);
                u64 unused = zone_page_state(&zones[i], NR_FREE_PAGES);

                used += managed - min(managed, unused);
        }
        return used;
}

/* A node that several domains share is split evenly between them. */
static u64 domain_used_pages(unsigned int number)
{
        u64 used = 0;
        int node;

        for_each_node_state(node, N_MEMORY) {
                int place = node_of_cpus(node);
                unsigned int sharing = 0;

                if (!node_has_cpu_of(place, number))
                        continue;
                for (unsigned int i = 0; i < ndomains; i++)
                        sharing += node_has_cpu_of(place, i);
                used += div_u64(node_used_pages(node), sharing);
        }
        return used;
}

/* ---- energy ---- */

static u64 power_of(u64 base, unsigned int exponent)
{
        u64 product = 1;

        while (exponent--)
                product *= base;
        return product;
}

/* u^(1/root) in fixed point: the greatest r with r^root <= u x unit^(root - 1). */
static u32 curve(u64 u)
{
        u64 target = u << (UNIT_BITS * (root - 1)), low = 0, high = 1ULL << UNIT_BITS;

        while (low < high) {
                u64 middle = (low + high + 1) / 2;

                if (power_of(middle, root) <= target)
                        low = middle;
                else
                        high = middle - 1;
        }
        return (u32)low;
}

/* mW x ns are pJ. */
static u64 cores_pj(const struct domain *d, u64 busy_ns, u64 elapsed_ns)
{
        u64 most_ns = elapsed_ns * d->ncpus, u;

        if (root == 1)
                return core_mw * busy_ns;
        if (!most_ns)
                return 0;
        u = div64_u64(min(busy_ns, most_ns) << UNIT_BITS, most_ns);
        return mul_u64_u32_shr(core_mw * most_ns, curve(u), UNIT_BITS);
}

/* A CPU tells its place when it is online, and keeps it afterwards. */
static void place_cpus(void)
{
        int cpu;

        for_each_online_cpu(cpu) {
                if (domain_of_cpu[cpu] >= 0)
                        continue;
                for (unsigned int i = 0; i < ndomains; i++) {
                        if (domains[i].package != topology_physical_package_id(cpu) ||
                            (domains[i].die >= 0 && domains[i].die != topology_die_id(cpu)))
                                continue;
                        domain_of_cpu[cpu] = (int)i;
                        domains[i].ncpus++;
                }
        }
}

void power_update(void)
{
        u64 now = ktime_get_mono_fast_ns(), elapsed = now - updated_ns;

        if (elapsed < UPDATE_NS)
                return;
        place_cpus();
        for (unsigned int i = 0; i < ndomains; i++) {
                struct domain *d = &domains[i];
                u64 busy = max(domain_busy_ns(i), d->busy_ns);
                u64 cores = cores_pj(d, busy - d->busy_ns, elapsed);
                u64 memory_mw = dram_base_mw +
                                div_u64(dram_gib_mw * domain_used_pages(i), PAGES_PER_GIB);

                d->busy_ns = busy;
                d->package_pj += base_mw * elapsed + cores;
                d->cores_pj += cores;
                d->dram_pj += memory_mw * elapsed;
        }
        platform_pj += psys_mw * elapsed;
        updated_ns = now;
}

u64 power_platform_pj(void)
{
        u64 pj = platform_pj;

        for (unsigned int i = 0; i < ndomains; i++)
                pj += domains[i].package_pj + domains[i].dram_pj;
        return pj;
}

/* ---- life ---- */

static bool packages_have_dies(void)
{
        int cpu, other;

        for_each_online_cpu(cpu) {
                for_each_online_cpu(other) {
                        if (topology_physical_package_id(cpu) ==
                                    topology_physical_package_id(other) &&
                            topology_die_id(cpu) != topology_die_id(other))
                                return true;
                }
        }
        return false;
}

/* One domain for each place there is a CPU in, named as intel_rapl names it. */
static int domains_find(void)
{
        bool dies = packages_have_dies();
        unsigned int i;
        int cpu;

        for (cpu = 0; cpu < NR_CPUS; cpu++)
                domain_of_cpu[cpu] = -1;
        for_each_online_cpu(cpu) {
                struct domain *d;
                int package = topology_physical_package_id(cpu);
                int die = dies ? topology_die_id(cpu) : -1;

                for (i = 0; i < ndomains; i++)
                        if (domains[i].package == package && domains[i].die == die)
                                break;
                if (i < ndomains)
                        continue;
                if (ndomains == POWER_MAX_DOMAINS)
                        return -E2BIG;
                d = &domains[ndomains++];
                d->package = package;
                d->die = die;
                if (dies)
                        snprintf(d->name, sizeof(d->name), "package-%d-die-%d", package, die);
                else
                        snprintf(d->name, sizeof(d->name), "package-%d", package);
        }
        place_cpus();
        return 0;
}

int power_start(const struct domain **ret)
{
        int r;

        if (root < 1 || root > MAX_ROOT)
                return -EINVAL;
        r = domains_find();
        if (r < 0)
                return r;
        r = busy_time_start();
        if (r < 0)
                return r;
        updated_ns = ktime_get_mono_fast_ns();
        *ret = domains;
        return (int)ndomains;
}

void power_stop(void)
{
        busy_time_stop();
}
