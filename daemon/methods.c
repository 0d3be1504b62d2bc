/* SPDX-License-Identifier: MIT */
#include "server.h"

/* The text is made from io.energat.varlink at build time. */
#include "io.energat.varlink.h"

const struct method energat_methods[] = {
        {"GetStatus", method_status},
        {"GetTotals", method_totals},
        {"Check", method_check},
        {"Follow", method_follow},
        {"Detach", method_detach},
        {"GetRows", method_rows},
        {"Calibrate", method_calibrate},
        {"GetSensors", method_sensors},
        {"GetOwnRows", method_own_rows},
        {"GetConfig", method_config},
        {NULL, NULL},
};
