/* SPDX-License-Identifier: MIT */
/*
 * What energy means outside the machine: watt-hours, CO2 and money.
 *
 *   Wh    = J / 3600
 *   CO2   = E[kWh] x pue x emissions_factor     g CO2e, emissions_factor in g CO2e per kWh
 *   cost  = E[kWh] x pue x price_factor         price_factor in price_unit per kWh
 *
 * pue is the data centre's power usage effectiveness, all its energy / that of its computers
 * (ISO/IEC 30134-2), so at least 1.  The overhead, in watts, stands for the parts of the machine
 * without a meter; like the static part it is of the whole machine, and no program's.  Formulas and
 * names are perun's.
 */
#pragma once

#include <jansson.h>

#include "settings.h"

#define IMPACT_UNIT_MAX 16

struct impact_factors {
        double pue;
        double emissions_g_per_kwh; /* NAN: not configured */
        double price_per_kwh;       /* NAN: not configured */
        double overhead_w;
        char price_unit[IMPACT_UNIT_MAX];
};

/* Those in force. */
struct impact_factors impact_factors_of(const struct settings *settings);

struct impact {
        double energy_j, energy_wh;
        double co2_g, cost; /* NAN: not configured, or the energy is not known */
};

struct impact impact_of(const struct impact_factors *f, double energy_j);
/* Of the whole machine in that time: with the overhead. */
struct impact impact_of_machine(const struct impact_factors *f, double energy_j, double duration_s);

/*
 * The member "impact" of a result: of what is attributed, of the share and of the machine, package
 * and dram together, and the factors in force.  New reference, NULL: no memory.
 */
json_t *impact_json(const struct impact_factors *f, const json_t *report);

/* Package and dram of a part of a report; NAN when neither is known. */
double impact_total_j(const json_t *report, const char *part);

json_t *impact_factors_json(const struct impact_factors *f);
