/* SPDX-License-Identifier: MIT */
/* The description of a power PMU: type, cpumask, formats, events, units, scales.  Opens none. */
#include <string.h>

#include "fuzz_source.h"
#include "fuzz_tree.h"
#include "perf_pmu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *root = fuzz_tree(data, size);
        const struct topology *machine = fuzz_machine();
        char why[SOURCE_WHY_MAX] = "";
        bool wanted[64] = {false};
        struct perf_pmu pmu;
        int r = perf_pmu_read(&pmu, root, why);

        FUZZ_CHECK(r <= 0);
        FUZZ_CHECK(r == 0 || (why[0] != '\0' && strlen(why) < SOURCE_WHY_MAX));
        FUZZ_CHECK(pmu.nevents <= PERF_PMU_MAX_EVENTS);
        FUZZ_CHECK(r < 0 || (pmu.nevents > 0 && pmu.events[0].kind == DOMAIN_PACKAGE &&
                             pmu.events[0].error == 0));
        for (size_t i = 0; i < pmu.nevents; i++) {
                const struct perf_energy_event *e = &pmu.events[i];

                FUZZ_CHECK(e->error <= 0);
                FUZZ_CHECK(e->error < 0 || (e->scale.num > 0 && e->scale.den > 0));
        }
        r = perf_pmu_read_cpumask(wanted, machine->ncpus, root);
        FUZZ_CHECK(r <= 0);
        for (size_t cpu = machine->ncpus; cpu < sizeof(wanted) / sizeof(wanted[0]); cpu++)
                FUZZ_CHECK(!wanted[cpu]);
        return 0;
}
