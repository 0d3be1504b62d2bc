/* SPDX-License-Identifier: MIT */
#include "fuzz_source.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz_tree.h"

#define NCPUS   8
#define TICK_NS UINT64_C(10000000)

const struct topology *fuzz_machine(void)
{
        static struct topology_cpu cpus[NCPUS];
        static struct topology machine;

        if (machine.cpus)
                return &machine;
        machine = (struct topology){
                .cpus = cpus, .ncpus = NCPUS, .sockets = {0, 1}, .nsockets = 2, .max_node = 3};
        for (int cpu = 0; cpu < NCPUS; cpu++) {
                cpus[cpu] = (struct topology_cpu){.online = cpu != NCPUS - 1,
                                                  .node = cpu / 2,
                                                  .socket = cpu / 4,
                                                  .die = cpu / 2 % 2,
                                                  .slot = cpu / 2};
                if (cpu % 2 == 0)
                        machine.slots[machine.nslots++] = (struct topology_slot){
                                .node = cpu / 2, .socket = cpu / 4, .die = cpu / 2 % 2};
        }
        return &machine;
}

static void check_name(const char name[DOMAIN_NAME_MAX])
{
        FUZZ_CHECK(memchr(name, '\0', DOMAIN_NAME_MAX) != NULL);
        FUZZ_CHECK(name[0] != '\0');
        for (const char *p = name; *p; p++)
                FUZZ_CHECK(isprint((unsigned char)*p));
}

static void check_domains(const struct domain *domains, size_t n)
{
        bool package = false;

        FUZZ_CHECK(n > 0 && n <= SOURCE_MAX_DOMAINS);
        for (size_t i = 0; i < n; i++) {
                check_name(domains[i].name);
                check_name(domains[i].label);
                FUZZ_CHECK(domains[i].kind <= DOMAIN_OTHER);
                FUZZ_CHECK(domains[i].socket >= -1 && domains[i].die >= -1);
                package |= domains[i].kind == DOMAIN_PACKAGE;
                for (size_t j = 0; j < i; j++)
                        FUZZ_CHECK(strcmp(domains[i].label, domains[j].label) != 0);
        }
        FUZZ_CHECK(package);
}

void fuzz_source(const struct source_driver *driver, const struct source_config *config)
{
        static const uint64_t times_ns[] = {
                1, 2, TICK_NS, 50 * TICK_NS, 51 * TICK_NS, 99 * TICK_NS, 9999 * TICK_NS};
        const struct topology *machine = fuzz_machine();
        char why[SOURCE_WHY_MAX] = "";
        struct source *source = NULL;
        const struct domain *domains;
        int probed = driver->probe(config, machine, why), opened;
        size_t n;

        FUZZ_CHECK(probed <= 0);
        FUZZ_CHECK(probed == 0 || (why[0] != '\0' && strlen(why) < SOURCE_WHY_MAX));
        opened = driver->open(&source, config, machine, why);
        FUZZ_CHECK(opened == probed);
        if (opened < 0)
                return;
        n = driver->domains(source, &domains);
        check_domains(domains, n);
        for (size_t t = 0; t < sizeof(times_ns) / sizeof(times_ns[0]); t++) {
                struct source_input input = {.now_ns = times_ns[t]};
                struct reading readings[SOURCE_MAX_DOMAINS];

                memset(readings, 0x7f, sizeof(readings));
                driver->read(source, &input, readings);
                for (size_t i = 0; i < n; i++)
                        FUZZ_CHECK(readings[i].error <= 0);
        }
        driver->close(source);
}
