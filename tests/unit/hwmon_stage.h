/* SPDX-License-Identifier: MIT */
/* Chips below class/hwmon of a tree that stands for sysfs. */
#pragma once

#include "source_stage.h"

/* Sockets with `nnodes` NUMA nodes each, numbered on. */
static inline void make_nodes(unsigned int nsockets, unsigned int nnodes)
{
        machine = (struct topology){.nsockets = nsockets};
        for (unsigned int s = 0; s < nsockets; s++) {
                machine.sockets[s] = (int)s;
                for (unsigned int n = 0; n < nnodes; n++)
                        machine.slots[machine.nslots++] = (struct topology_slot){
                                .node = (int)(s * nnodes + n), .socket = (int)s};
        }
}

static inline void put(const char *chip, const char *file, const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), "class/hwmon/%s/%s", chip, file);
        tree_write(&tree, path, text);
}

/* A sensor's value and its label. */
static inline void put_sensor(const char *chip, const char *file, const char *value,
                              const char *label)
{
        char label_file[64];

        put(chip, file, value);
        snprintf(label_file, sizeof(label_file), "%.*s_label", (int)strcspn(file, "_"), file);
        if (label)
                put(chip, label_file, label);
}

static inline int setup(void **state)
{
        stage_make("hwmon");
        make_nodes(1, 1);
        return 0;
}

static int open_tree(struct source **s)
{
        struct source_config config = {.sysfs_root = tree.root};

        return driver->open(s, &config, &machine, why);
}

/* The domains as "kind socket label", in order, one a line. */
static inline void assert_domains(struct source *s, const char *expected)
{
        char found[2048] = "";
        const struct domain *domains;
        size_t n = driver->domains(s, &domains);

        for (size_t i = 0; i < n; i++)
                snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s %d %s\n",
                         domain_kind_name(domains[i].kind), domains[i].socket, domains[i].label);
        assert_string_equal(found, expected);
}

static inline void put_grace(const char *microwatts)
{
        put("hwmon1", "name", "power_meter\n");
        put("hwmon1", "power1_average", microwatts);
        put("hwmon1", "power1_oem_info", "Grace Power Socket 0\n");
}
