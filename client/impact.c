/* SPDX-License-Identifier: MIT */
#include "impact.h"

#include <math.h>
#include <stdio.h>

#include "number.h"
#include "report.h"
#include "text.h"

#define J_PER_WH  3600.0
#define J_PER_KWH 3.6e6

struct impact_factors impact_factors_of(const struct settings *settings)
{
        const char *unit = settings_text(settings, SETTING_PRICE_UNIT);
        struct impact_factors f = {
                .pue = settings_number(settings, SETTING_PUE),
                .emissions_g_per_kwh = settings_number(settings, SETTING_EMISSIONS_FACTOR),
                .price_per_kwh = settings_number(settings, SETTING_PRICE_FACTOR),
                .overhead_w = settings_number(settings, SETTING_POWER_OVERHEAD),
        };

        snprintf(f.price_unit, sizeof(f.price_unit), "%s", unit ? unit : "");
        text_make_utf8(f.price_unit); /* it goes into JSON, and may have been cut in a character */
        return f;
}

struct impact impact_of(const struct impact_factors *f, double energy_j)
{
        double kwh = energy_j / J_PER_KWH * f->pue;

        return (struct impact){
                .energy_j = energy_j,
                .energy_wh = energy_j / J_PER_WH,
                .co2_g = kwh * f->emissions_g_per_kwh,
                .cost = kwh * f->price_per_kwh,
        };
}

struct impact impact_of_machine(const struct impact_factors *f, double energy_j, double duration_s)
{
        return impact_of(f, energy_j + f->overhead_w * duration_s);
}

double impact_total_j(const json_t *report, const char *part)
{
        double package_j = report_number(report, part, "package_j");
        double dram_j = report_number(report, part, "dram_j");

        return number_plus(package_j, dram_j);
}

static json_t *part_json(struct impact i)
{
        return json_pack("{s:o, s:o, s:o, s:o}", "energy_j", number_json(i.energy_j), "energy_wh",
                         number_json(i.energy_wh), "co2_g", number_json(i.co2_g), "cost",
                         number_json(i.cost));
}

json_t *impact_factors_json(const struct impact_factors *f)
{
        return json_pack("{s:f, s:o, s:o, s:s, s:f}", "pue", f->pue, "emissions_factor",
                         number_json(f->emissions_g_per_kwh), "price_factor",
                         number_json(f->price_per_kwh), "price_unit", f->price_unit,
                         "power_overhead", f->overhead_w);
}

json_t *impact_json(const struct impact_factors *f, const json_t *report)
{
        double machine_s = report_machine_s(report);

        return json_pack(
                "{s:o, s:o, s:o, s:o}", "attributed",
                part_json(impact_of(f, impact_total_j(report, "attributed"))), "share",
                part_json(impact_of(f, impact_total_j(report, "share"))), "machine",
                part_json(impact_of_machine(f, impact_total_j(report, "machine"), machine_s)),
                "factors", impact_factors_json(f));
}
