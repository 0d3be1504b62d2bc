/* SPDX-License-Identifier: MIT */
/*
 * A tree of energy zones in files, shaped like /sys/class/powercap, and the faults they can have.
 *
 *   ROOT/intel-rapl/enabled                    the control type
 *   ROOT/intel-rapl:0/{name,energy_uj,max_energy_range_uj,enabled}
 *   ROOT/intel-rapl:0:0/...                    a zone of zone 0, such as dram
 *   ROOT/control                               a FIFO for commands, see zone_tree_poll()
 *
 * With symbolic links the zones are nested below ROOT/.devices and ROOT has links to them, as the
 * kernel's class directory has.
 *
 * energy_uj is rewritten in place by one pwrite() of constant width: ENERGY_WIDTH digits with
 * leading zeros and a newline.  So a reader never sees a shortened or an empty value.  The page
 * cache takes no lock against readers: one that reads in the very nanoseconds of the copy can see
 * the first digits of one value and the last digits of the next.  It is then wrong by less than
 * what one period adds, or by 10 mJ at most (the last four digits are a machine word of their
 * own), and right at the next reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ZONE_TREE_MAX 64
#define ZONE_ID_MAX   48
#define ENERGY_WIDTH  20 /* digits of UINT64_MAX, the longest that a kernel prints */

enum zone_state { ZONE_WELL, ZONE_STUCK, ZONE_EIO, ZONE_GARBAGE, ZONE_VANISHED };

struct zone {
        char id[ZONE_ID_MAX]; /* "intel-rapl:0:0" */
        uint64_t range_uj;
        uint64_t offset_uj; /* subtracted from what is written: set by "reset" */
        uint64_t total_uj;  /* the last value handed in, before offset and wrap */
        int fd;             /* of energy_uj, kept also while the file is away */
        enum zone_state state;
};

struct zone_tree {
        int root_fd;
        int control_fd;
        bool symlinks;
        struct zone zones[ZONE_TREE_MAX];
        size_t nzones;
        uint64_t commands; /* carried out */
        uint64_t rejected; /* not understood, or that failed */
        char line[128];    /* of the control FIFO, as far as it has come */
        size_t line_used;
};

/*
 * Make the directory ROOT, which must be new or empty, and its control FIFO.  0 or a negative
 * errno (-ENOTEMPTY).  Close with zone_tree_close() in any case; the files stay.
 */
int zone_tree_open(struct zone_tree *t, const char *root, bool symlinks);
void zone_tree_close(struct zone_tree *t);

/* Make a control type's directory, such as "intel-rapl". */
int zone_tree_add_type(struct zone_tree *t, const char *type);

/* Add a zone, parents first.  Returns its index or a negative errno. */
int zone_tree_add(struct zone_tree *t, const char *id, const char *name, uint64_t range_uj,
                  uint64_t total_uj);

/* Write a zone's total, wrapped at its range, unless a fault holds it back. */
int zone_tree_write(struct zone_tree *t, size_t index, uint64_t total_uj);

/*
 * Carry out the commands that have arrived:
 * "stuck ID"    the value stays as it is
 * "eio ID"      energy_uj cannot be read: a directory takes its place (EISDIR), and a reader that
 *               has kept the file open finds it empty
 * "garbage ID"  energy_uj holds something that is not a number
 * "vanish ID"   the zone's directory goes away; a reader with the file open finds it empty
 * "reset ID"    the counter starts again at 0
 * "heal ID"     all is well again; what was counted meanwhile shows at once
 * Every command says on stderr what became of it.
 */
void zone_tree_poll(struct zone_tree *t);
