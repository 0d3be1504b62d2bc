/* SPDX-License-Identifier: MIT */
/*
 * HDF5 comes from a module that is loaded for it alone: its library and what that needs would add
 * 11 ms to the start of every other command.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "export_hdf5.h"
#include "report.h"
#include "report_forms.h"

/* Where it is, as seen from the directory of the program: built and installed alike. */
#ifndef ENERGAT_MODULES
#define ENERGAT_MODULES "../lib/energat"
#endif
#define WHY_MAX 256

static int module_path(char path[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
        char *slash;
        int used;

        if (n < 0)
                return -errno;
        path[n] = '\0';
        slash = strrchr(path, '/');
        if (!slash)
                return -ENOENT;
        used = (int)(slash - path) + 1;
        n = snprintf(slash + 1, (size_t)(PATH_MAX - used), "%s/export-hdf5.so", ENERGAT_MODULES);
        return n < PATH_MAX - used ? 0 : -ENAMETOOLONG;
}

static int append(json_t *columns, const char *name, double value)
{
        json_t *column = json_object_get(columns, name);

        if (!column) {
                if (json_object_set_new(columns, name, json_array()) < 0)
                        return -ENOMEM;
                column = json_object_get(columns, name);
        }
        return json_array_append_new(column, value == value ? json_real(value) : json_null());
}

/* Each interval of the program or of the machine, as columns. */
static int collect(struct record_reader *reader, json_t *columns)
{
        const char *what;
        json_t *line, *body;
        int r = record_rewind(reader);

        while (r == 0 && record_next(reader, &line, &what, &body) > 0) {
                if (strcmp(what, "interval") == 0 || strcmp(what, "machine") == 0) {
                        r |= append(columns, "time", report_number(body, NULL, "time"));
                        r |= append(columns, "duration_s", report_number(body, NULL, "duration_s"));
                        r |= append(columns, "cpu_s", report_number(body, NULL, "cpu_s"));
                        r |= append(columns, "share_j", impact_total_j(body, "share"));
                        r |= append(columns, "attributed_j", impact_total_j(body, "attributed"));
                        r |= append(columns, "machine_j", impact_total_j(body, "machine"));
                }
                json_decref(line);
        }
        return r < 0 ? -ENOMEM : 0;
}

int report_write_hdf5(const char *path, const struct report_source *source, char *why)
{
        char module[PATH_MAX];
        json_auto_t *columns = json_object();
        export_hdf5_function *export = NULL;
        void *handle;
        int r;

        why[0] = '\0';
        if (source->bench)
                return -ENOTSUP;
        r = module_path(module);
        if (r < 0)
                return r;
        if (access(module, R_OK) < 0) {
                snprintf(why, WHY_MAX, "%.200s is not there: energat was built without HDF5",
                         module);
                return -ENOSYS;
        }
        handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
        if (handle)
                *(void **)&export = dlsym(handle, EXPORT_HDF5_SYMBOL);
        if (!export) {
                snprintf(why, WHY_MAX, "%.250s", dlerror());
                return -ENOSYS;
        }
        r = collect(source->reader, columns);
        return r < 0 ? r : export(path, source->document, columns);
}
