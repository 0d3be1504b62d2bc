/* SPDX-License-Identifier: MIT */
/* baseline_power.json; what is accepted must be saved as a file that loads the same. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "baseline.h"
#include "fuzz_source.h"
#include "fuzz_tree.h"

/* The contents are the whole input. */
static const char *make_directory(const uint8_t *data, size_t size)
{
        static const char head[] = "@file " BASELINE_FILE "\n";
        static uint8_t text[65536 + sizeof(head)];

        if (size > 65536)
                size = 65536;
        memcpy(text, head, sizeof(head) - 1);
        memcpy(text + sizeof(head) - 1, data, size);
        return fuzz_tree(text, sizeof(head) - 1 + size);
}

/* Both unknown, or the same up to the digits that are saved. */
static void check_same(const double *a, const double *b, unsigned int n)
{
        for (unsigned int i = 0; i < n; i++)
                FUZZ_CHECK(isnan(a[i]) ? isnan(b[i]) : fabs(a[i] - b[i]) <= fabs(a[i]) * 1e-11);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const sources[] = {"powercap", "estimate"};
        const struct topology *machine = fuzz_machine();
        const char *dir = make_directory(data, size);

        for (size_t i = 0; i < 2; i++) {
                struct baseline first, second;
                char why[512] = "";
                int r = baseline_load(&first, dir, machine, sources[i], why, sizeof(why));

                FUZZ_CHECK(r <= 0);
                FUZZ_CHECK(r == 0 || why[0] != '\0');
                if (r < 0)
                        continue;
                FUZZ_CHECK(first.nsockets == machine->nsockets);
                r = baseline_save(&first, dir, why, sizeof(why));
                FUZZ_CHECK(r == 0);
                r = baseline_load(&second, dir, machine, sources[i], why, sizeof(why));
                FUZZ_CHECK(r == 0);
                check_same(first.package_w, second.package_w, first.nsockets);
                check_same(first.dram_w, second.dram_w, first.nsockets);
                FUZZ_CHECK(first.method == second.method);
                check_same(first.package_half_width_w, second.package_half_width_w, first.nsockets);
                check_same(first.dram_half_width_w, second.dram_half_width_w, first.nsockets);
                check_same(first.package_percent, second.package_percent, first.nsockets);
                check_same(first.dram_percent, second.dram_percent, first.nsockets);
        }
        return 0;
}
