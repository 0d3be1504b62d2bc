/* SPDX-License-Identifier: MIT */
#include "msr_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"

/* Intel SDM vol. 4, table 2-2 and the models' tables; kernel: arch/x86/include/asm/msr-index.h */
#define MSR_RAPL_POWER_UNIT        0x606
#define MSR_PKG_ENERGY_STATUS      0x611
#define MSR_DRAM_ENERGY_STATUS     0x619
#define MSR_PP0_ENERGY_STATUS      0x639
#define MSR_PP1_ENERGY_STATUS      0x641
#define MSR_PLATFORM_ENERGY_STATUS 0x64d

/* AMD PPR for family 17h model 31h; kernel: as above */
#define MSR_AMD_RAPL_POWER_UNIT    0xc0010299
#define MSR_AMD_CORE_ENERGY_STATUS 0xc001029a
#define MSR_AMD_PKG_ENERGY_STATUS  0xc001029b

/*
 * DRAM of Haswell to Ice Lake servers and of Xeon Phi counts 15.3 uJ whatever the unit register
 * says (Intel Xeon E5-1600/2600 v3 datasheet vol. 2, 330784, 5.3.3).  15.3 is 1/2^16 J rounded,
 * which is what the kernel's perf driver takes (its powercap driver takes 15.3, 0.27 % more).
 */
#define DRAM_UNIT 16

/* The platform's counter of Sapphire Rapids and Emerald Rapids counts whole joules: rapl.c. */
#define PSYS_UNIT_SPR 0

static const struct msr_register intel_package = {DOMAIN_PACKAGE, MSR_PKG_ENERGY_STATUS,
                                                  MSR_UNIT_OF_REGISTER, false};
static const struct msr_register intel_dram = {DOMAIN_DRAM, MSR_DRAM_ENERGY_STATUS,
                                               MSR_UNIT_OF_REGISTER, false};
static const struct msr_register intel_dram_fixed = {DOMAIN_DRAM, MSR_DRAM_ENERGY_STATUS, DRAM_UNIT,
                                                     false};
static const struct msr_register intel_core = {DOMAIN_CORE, MSR_PP0_ENERGY_STATUS,
                                               MSR_UNIT_OF_REGISTER, false};
static const struct msr_register intel_uncore = {DOMAIN_UNCORE, MSR_PP1_ENERGY_STATUS,
                                                 MSR_UNIT_OF_REGISTER, false};
static const struct msr_register intel_psys = {DOMAIN_PSYS, MSR_PLATFORM_ENERGY_STATUS,
                                               MSR_UNIT_OF_REGISTER, false};
static const struct msr_register intel_psys_spr = {DOMAIN_PSYS, MSR_PLATFORM_ENERGY_STATUS,
                                                   PSYS_UNIT_SPR, false};
static const struct msr_register amd_package = {DOMAIN_PACKAGE, MSR_AMD_PKG_ENERGY_STATUS,
                                                MSR_UNIT_OF_REGISTER, false};
static const struct msr_register amd_core = {DOMAIN_CORE, MSR_AMD_CORE_ENERGY_STATUS,
                                             MSR_UNIT_OF_REGISTER, true};

/* The sets of rapl.c, under its names. */
static const struct msr_model snb = {
        MSR_RAPL_POWER_UNIT, true, {&intel_package, &intel_core, &intel_uncore}};
static const struct msr_model snbep = {
        MSR_RAPL_POWER_UNIT, true, {&intel_package, &intel_dram, &intel_core}};
static const struct msr_model hsw = {
        MSR_RAPL_POWER_UNIT, true, {&intel_package, &intel_dram, &intel_core, &intel_uncore}};
static const struct msr_model hsx = {
        MSR_RAPL_POWER_UNIT, true, {&intel_package, &intel_dram_fixed, &intel_core}};
static const struct msr_model knl = {
        MSR_RAPL_POWER_UNIT, true, {&intel_package, &intel_dram_fixed}};
static const struct msr_model skl = {
        MSR_RAPL_POWER_UNIT,
        true,
        {&intel_package, &intel_dram, &intel_core, &intel_uncore, &intel_psys}};
static const struct msr_model spr = {
        MSR_RAPL_POWER_UNIT, true, {&intel_package, &intel_dram, &intel_core, &intel_psys_spr}};
/* Broadwell-D: rapl.c gives its DRAM the fixed unit and intel_rapl_common.c the register's, four
 * times as much.  Which is true is not known here, so it has none. */
static const struct msr_model bdxd = {MSR_RAPL_POWER_UNIT, true, {&intel_package, &intel_core}};
/* rapl.c: the counters of AMD and Hygon are the whole package's */
static const struct msr_model amd = {MSR_AMD_RAPL_POWER_UNIT, false, {&amd_package, &amd_core}};

/*
 * Family 6.  Models: arch/x86/include/asm/intel-family.h; their sets: rapl_model_match in rapl.c.
 * Not there, and not here: the Atoms of Silvermont and Airmont, of which the manual, the kernel and
 * measurements tell different units, and servers from Granite Rapids on.
 */
static const struct {
        uint8_t model;
        const struct msr_model *set;
} intel_models[] = {
        {0x2a, &snb},   /* Sandy Bridge */
        {0x3a, &snb},   /* Ivy Bridge */
        {0x2d, &snbep}, /* Sandy Bridge-EP */
        {0x3e, &snbep}, /* Ivy Bridge-EP */
        {0x3c, &hsw},   /* Haswell */
        {0x45, &hsw},   /* Haswell-L */
        {0x46, &hsw},   /* Haswell-G */
        {0x3d, &hsw},   /* Broadwell */
        {0x47, &hsw},   /* Broadwell-G */
        {0x5c, &hsw},   /* Goldmont */
        {0x5f, &hsw},   /* Goldmont-D */
        {0x7a, &hsw},   /* Goldmont Plus */
        {0x3f, &hsx},   /* Haswell-EP */
        {0x4f, &hsx},   /* Broadwell-EP */
        {0x56, &bdxd},  /* Broadwell-D */
        {0x55, &hsx},   /* Skylake-SP, Cascade Lake, Cooper Lake */
        {0x6a, &hsx},   /* Ice Lake-SP */
        {0x6c, &hsx},   /* Ice Lake-D */
        {0x57, &knl},   /* Xeon Phi, Knights Landing */
        {0x85, &knl},   /* Xeon Phi, Knights Mill */
        {0x4e, &skl},   /* Skylake-L */
        {0x5e, &skl},   /* Skylake */
        {0x8e, &skl},   /* Kaby Lake-L and on to Whiskey Lake */
        {0x9e, &skl},   /* Kaby Lake, Coffee Lake */
        {0x66, &skl},   /* Cannon Lake-L */
        {0x7d, &skl},   /* Ice Lake */
        {0x7e, &skl},   /* Ice Lake-L */
        {0xa5, &skl},   /* Comet Lake */
        {0xa6, &skl},   /* Comet Lake-L */
        {0x8c, &skl},   /* Tiger Lake-L */
        {0x8d, &skl},   /* Tiger Lake */
        {0x97, &skl},   /* Alder Lake */
        {0x9a, &skl},   /* Alder Lake-L */
        {0xbe, &skl},   /* Gracemont (Alder Lake-N) */
        {0xb7, &skl},   /* Raptor Lake */
        {0xba, &skl},   /* Raptor Lake-P */
        {0xbf, &skl},   /* Raptor Lake-S */
        {0xac, &skl},   /* Meteor Lake */
        {0xaa, &skl},   /* Meteor Lake-L */
        {0xb5, &skl},   /* Arrow Lake-U */
        {0xc5, &skl},   /* Arrow Lake-H */
        {0xc6, &skl},   /* Arrow Lake */
        {0xbd, &skl},   /* Lunar Lake-M */
        {0x8f, &spr},   /* Sapphire Rapids */
        {0xcf, &spr},   /* Emerald Rapids */
};

/* arch/x86/include/asm/processor.h */
enum { VENDOR_INTEL = 0, VENDOR_AMD = 2, VENDOR_HYGON = 9 };

#define INTEL_FAMILY     0x06
#define AMD_FIRST_FAMILY 0x17 /* Zen; before it there are no such registers (AMD PPR) */

static const struct msr_model *find_set(unsigned int vendor, unsigned int family,
                                        unsigned int model)
{
        if (vendor == VENDOR_AMD || vendor == VENDOR_HYGON)
                return family >= AMD_FIRST_FAMILY ? &amd : NULL;
        if (vendor != VENDOR_INTEL || family != INTEL_FAMILY)
                return NULL;
        for (size_t i = 0; i < sizeof(intel_models) / sizeof(intel_models[0]); i++)
                if (intel_models[i].model == model)
                        return intel_models[i].set;
        return NULL;
}

int msr_model_find(const struct msr_model **ret, const char *sysfs_root, char *why)
{
        unsigned int vendor, family, model;
        char alias[SYSFS_TEXT_MAX];
        int end = 0;
        int r = sysfs_read(alias, sizeof(alias), "%s/devices/system/cpu/modalias", sysfs_root);

        if (r < 0) {
                snprintf(why, SOURCE_WHY_MAX,
                         "cannot tell the processor from %.100s/devices/system/cpu/modalias: %s",
                         sysfs_root, r == -EBADMSG ? "not a text" : strerror(-r));
                return r;
        }
        /* CPU_FEATURE_TYPEFMT, arch/x86/include/asm/cpu_device_id.h */
        if (sscanf(alias, "cpu:type:x86,ven%4xfam%4xmod%4x:%n", &vendor, &family, &model, &end) !=
                    3 ||
            end == 0) {
                snprintf(why, SOURCE_WHY_MAX, "the processor is not an x86 (%.40s)", alias);
                return -ENODEV;
        }
        *ret = find_set(vendor, family, model);
        if (*ret)
                return 0;
        snprintf(why, SOURCE_WHY_MAX,
                 "no energy registers are known of this processor (vendor %u, family 0x%x, model "
                 "0x%x)",
                 vendor, family, model);
        return -ENODEV;
}
