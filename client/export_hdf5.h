/* SPDX-License-Identifier: MIT */
/*
 * The module export-hdf5.so: a document (recording.h) as an HDF5 file.
 *
 *   /                attributes: name, kind, host, source, estimated, begin, duration_s, energat
 *   /intervals       a dataset for each column: time, duration_s, cpu_s, share_j, attributed_j,
 *                    machine_j; NaN is not known
 *   /power           attributes begin, step_s; datasets names (strings) and watts (names x steps)
 *   /programs        datasets comm, user (strings), processes, cpu_s, package_j, dram_j
 *
 * Numbers are IEEE doubles, strings are UTF-8 of variable length.
 */
#pragma once

#include <jansson.h>

#define EXPORT_HDF5_SYMBOL "energat_export_hdf5"

/* 0 or -EIO, after HDF5 has said on stderr what failed. */
typedef int export_hdf5_function(const char *path, const json_t *document, const json_t *columns);
