/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <math.h>

json_t *number_json(double value)
{
        return isfinite(value) ? json_real(value) : json_null();
}

double number_of(const json_t *value)
{
        return json_is_number(value) ? json_number_value(value) : NAN;
}

double number_plus(double a, double b)
{
        if (isnan(a))
                return b;
        return isnan(b) ? a : a + b;
}
