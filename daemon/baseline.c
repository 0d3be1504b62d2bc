/* SPDX-License-Identifier: MIT */
#include "baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic_file.h"
#include "cleanup.h"

#define FORMAT_VERSION 1
#define FILE_MODE      0644            /* clients may read what the idle machine uses */
#define MAX_FILE_BYTES (1024UL * 1024) /* 32 sockets need below 8 KiB */
#define REAL_DIGITS    12              /* nanowatts of a package; no meter tells as much */
#define REMEDY         "calibrate again with 'energat --basepower'"

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static void release_json(json_t **json)
{
        json_decref(*json);
}

#define cleanup_fd   __attribute__((cleanup(close_fd)))
#define cleanup_json __attribute__((cleanup(release_json)))

/* One array of numbers by socket, in the file and in struct baseline. */
struct series {
        const char *key;
        size_t offset;
        double max;
        bool required;
        bool may_lack; /* null, or [] as EnergAt writes it: there is no such domain, or it is not
                          known */
};

#define SERIES(name) offsetof(struct baseline, name)

static const struct series all_series[] = {
        {"pkg_base_w", SERIES(package_w), BASELINE_MAX_W, true, false},
        {"dram_base_w", SERIES(dram_w), BASELINE_MAX_W, true, true},
        {"pkg_base_mad_w", SERIES(package_mad_w), BASELINE_MAX_W, false, true},
        {"dram_base_mad_w", SERIES(dram_mad_w), BASELINE_MAX_W, false, true},
        {"pkg_base_half_width_w", SERIES(package_half_width_w), BASELINE_MAX_W, false, true},
        {"dram_base_half_width_w", SERIES(dram_half_width_w), BASELINE_MAX_W, false, true},
        {"pkg_base_percents", SERIES(package_percent), 100, false, true},
        {"dram_base_percents", SERIES(dram_percent), 100, false, true},
};

#define NSERIES (sizeof(all_series) / sizeof(all_series[0]))

static double *values_of(struct baseline *b, const struct series *s)
{
        return (double *)(void *)((char *)b + s->offset);
}

static const double *const_values_of(const struct baseline *b, const struct series *s)
{
        return (const double *)(const void *)((const char *)b + s->offset);
}

/* Where loading says what is wrong. */
struct complaint {
        const char *path;
        char *why;
        size_t size;
};

__attribute__((format(printf, 2, 3))) static int complain(const struct complaint *c,
                                                          const char *format, ...)
{
        char text[256];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        snprintf(c->why, c->size, "%s: %s; %s", c->path, text, REMEDY);
        return -EINVAL;
}

static int load_series(double *values, const struct series *s, const json_t *root,
                       unsigned int nsockets, const struct complaint *c)
{
        const json_t *array = json_object_get(root, s->key);

        for (unsigned int i = 0; i < TOPOLOGY_MAX_SOCKETS; i++)
                values[i] = NAN;
        if (!array && !s->required)
                return 0;
        if (!json_is_array(array))
                return complain(c, "%s is %s", s->key, array ? "no array" : "missing");
        if (s->may_lack && json_array_size(array) == 0)
                return 0;
        if (json_array_size(array) != nsockets)
                return complain(c, "%s has %zu entries, but this machine has %u sockets", s->key,
                                json_array_size(array), nsockets);
        for (unsigned int i = 0; i < nsockets; i++) {
                const json_t *entry = json_array_get(array, i);
                double value = json_number_value(entry);

                if (json_is_null(entry) && s->may_lack)
                        continue;
                if (!json_is_number(entry) || !isfinite(value) || value < 0 || value > s->max)
                        return complain(c, "%s[%u] is not a number from 0 to %g%s", s->key, i,
                                        s->max, json_is_null(entry) ? ", but null" : "");
                values[i] = value;
        }
        return 0;
}

/* An optional string. */
static int load_string(char *value, size_t size, const json_t *object, const char *key,
                       const struct complaint *c)
{
        const json_t *string = json_object_get(object, key);

        *value = '\0';
        if (!string || json_is_null(string))
                return 0;
        if (!json_is_string(string) || json_string_length(string) >= size)
                return complain(c, "%s is not a string of at most %zu bytes", key, size - 1);
        snprintf(value, size, "%s", json_string_value(string));
        return 0;
}

/* An optional whole number. */
static int load_count(unsigned int *value, const json_t *object, const char *key,
                      unsigned int absent, const struct complaint *c)
{
        const json_t *number = json_object_get(object, key);

        *value = absent;
        if (!number)
                return 0;
        if (!json_is_integer(number) || json_integer_value(number) < 0 ||
            json_integer_value(number) > 1000000)
                return complain(c, "%s is not a whole number", key);
        *value = (unsigned int)json_integer_value(number);
        return 0;
}

static const char *const method_names[] = {
        [BASELINE_IDLE] = "idle",
        [BASELINE_ONLINE] = "online",
};

#define NMETHODS (sizeof(method_names) / sizeof(method_names[0]))

/* How it was come by; a file that does not say so is of an idle machine, as EnergAt's are. */
static int load_method(enum baseline_method *method, const json_t *root, const struct complaint *c)
{
        char name[16];
        int r = load_string(name, sizeof(name), root, "method", c);

        *method = BASELINE_IDLE;
        if (r < 0 || !*name)
                return r;
        for (size_t i = 0; i < NMETHODS; i++) {
                if (strcmp(name, method_names[i]) == 0) {
                        *method = (enum baseline_method)i;
                        return 0;
                }
        }
        return complain(c, "method is neither idle nor online");
}

/* What beside the numbers is in a file of ours; all of it may be missing. */
static int load_circumstances(struct baseline *b, unsigned int *sockets, const json_t *root,
                              const struct complaint *c)
{
        const json_t *machine = json_object_get(root, "machine");
        const json_t *period = json_object_get(root, "period_s");
        unsigned int version;
        int r;

        if ((r = load_count(&version, root, "version", FORMAT_VERSION, c)) < 0 ||
            (r = load_count(&b->windows, root, "windows", 0, c)) < 0 ||
            (r = load_method(&b->method, root, c)) < 0 ||
            (r = load_string(b->source, sizeof(b->source), root, "source", c)) < 0 ||
            (r = load_string(b->date, sizeof(b->date), root, "date", c)) < 0)
                return r;
        if (version != FORMAT_VERSION)
                return complain(c, "it is of version %u, and only version %d is known", version,
                                FORMAT_VERSION);
        if (period && !(json_is_number(period) && json_number_value(period) >= 0))
                return complain(c, "period_s is not a time");
        b->period_s = period ? json_number_value(period) : 0;
        if (machine && !json_is_object(machine))
                return complain(c, "machine is no object");
        if ((r = load_string(b->cpu_model, sizeof(b->cpu_model), machine, "cpu_model", c)) < 0 ||
            (r = load_string(b->kernel, sizeof(b->kernel), machine, "kernel", c)) < 0 ||
            (r = load_string(b->microcode, sizeof(b->microcode), machine, "microcode", c)) < 0 ||
            (r = load_string(b->governor, sizeof(b->governor), machine, "governor", c)) < 0)
                return r;
        return load_count(sockets, machine, "sockets", b->nsockets, c);
}

/*
 * Is the baseline of this machine and this source?  What is not told is not held against it; but a
 * file that names no source is EnergAt's, which reads a meter, and says nothing of an estimate.
 */
static int check_circumstances(const struct baseline *b, unsigned int sockets, const char *source,
                               const struct complaint *c)
{
        struct baseline here;

        if (sockets != b->nsockets)
                return complain(c,
                                "it was measured on a machine with %u sockets, and this one has %u",
                                sockets, b->nsockets);
        baseline_describe_machine(&here);
        if (*b->cpu_model && *here.cpu_model && strcmp(b->cpu_model, here.cpu_model) != 0)
                return complain(c, "it was measured on another machine (%s)", b->cpu_model);
        if (*b->source ? strcmp(b->source, source) != 0 : strcmp(source, "estimate") == 0)
                return complain(c, "it was measured with %s, and the source is now %s",
                                *b->source ? b->source : "a meter", source);
        return 0;
}

static int load_json(struct baseline *b, const json_t *root, const struct topology *topology,
                     const char *source, const struct complaint *c)
{
        unsigned int sockets = 0;
        int r;

        if (!json_is_object(root))
                return complain(c, "it is no JSON object");
        b->nsockets = topology->nsockets;
        /* first, so that a file from elsewhere is called that, not a wrong number of entries */
        r = load_circumstances(b, &sockets, root, c);
        if (r == 0)
                r = check_circumstances(b, sockets, source, c);
        for (size_t i = 0; r == 0 && i < NSERIES; i++)
                r = load_series(values_of(b, &all_series[i]), &all_series[i], root, b->nsockets, c);
        return r;
}

static int make_path(char **ret, const char *dir, const char *file)
{
        if (asprintf(ret, "%s/%s", dir, file) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

int baseline_load(struct baseline *b, const char *dir, const struct topology *topology,
                  const char *source, char *why, size_t why_size)
{
        cleanup_free char *path = NULL;
        cleanup_free char *text = NULL;
        cleanup_json json_t *root = NULL;
        struct baseline loaded = {0};
        struct complaint c = {.why = why, .size = why_size};
        json_error_t error;
        size_t length = 0;
        int r = make_path(&path, dir, BASELINE_FILE);

        *why = '\0';
        if (r == 0) {
                c.path = path;
                r = atomic_file_read(AT_FDCWD, path, 0, MAX_FILE_BYTES, &text, &length);
        }
        if (r == -EFBIG)
                return complain(&c, "it is larger than %lu bytes", MAX_FILE_BYTES);
        if (r == -EINVAL)
                return complain(&c, "it is no regular file");
        if (r < 0) {
                snprintf(why, why_size, "%s/%s: cannot be read: %s; %s", dir, BASELINE_FILE,
                         strerror(-r), r == -ENOENT ? REMEDY : "check its permissions");
                return r;
        }
        root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        if (!root)
                return complain(&c, "line %d: it is no JSON: %s", error.line, error.text);
        r = load_json(&loaded, root, topology, source, &c);
        if (r == 0)
                *b = loaded;
        return r;
}

static json_t *series_to_json(const double *values, unsigned int nsockets)
{
        json_t *array = json_array();

        for (unsigned int i = 0; i < nsockets; i++)
                if (json_array_append_new(array,
                                          isnan(values[i]) ? json_null() : json_real(values[i])))
                        break;
        return array;
}

static json_t *string_to_json(const char *string)
{
        return *string ? json_string(string) : json_null();
}

/* NULL: out of memory, or a value that JSON cannot hold (an infinity, text that is not UTF-8). */
static json_t *to_json(const struct baseline *b)
{
        json_t *root = json_pack(
                "{s:i, s:o, s:s, s:{s:o, s:o, s:o, s:o, s:i}, s:o, s:f, s:i}", "version",
                FORMAT_VERSION, "date", string_to_json(b->date), "method", method_names[b->method],
                "machine", "cpu_model", string_to_json(b->cpu_model), "kernel",
                string_to_json(b->kernel), "microcode", string_to_json(b->microcode), "governor",
                string_to_json(b->governor), "sockets", (int)b->nsockets, "source",
                string_to_json(b->source), "period_s", b->period_s, "windows", (int)b->windows);

        for (size_t i = 0; root && i < NSERIES; i++) {
                json_t *array = series_to_json(const_values_of(b, &all_series[i]), b->nsockets);

                if (json_array_size(array) != b->nsockets) {
                        json_decref(array);
                        json_decref(root);
                        return NULL;
                }
                if (json_object_set_new(root, all_series[i].key, array) < 0) {
                        json_decref(root);
                        return NULL;
                }
        }
        return root;
}

/* The first value that loading would refuse; NULL: there is none. */
static const struct series *refused(const struct baseline *b, unsigned int *socket)
{
        for (size_t i = 0; i < NSERIES; i++) {
                const double *values = const_values_of(b, &all_series[i]);

                for (*socket = 0; *socket < b->nsockets; (*socket)++) {
                        double value = values[*socket];

                        if (!(isnan(value) && all_series[i].may_lack) &&
                            !(value >= 0 && value <= all_series[i].max))
                                return &all_series[i];
                }
        }
        return NULL;
}

int baseline_save(const struct baseline *b, const char *dir, char *why, size_t why_size)
{
        cleanup_fd int dirfd = -1;
        cleanup_free char *text = NULL;
        cleanup_json json_t *root = to_json(b);
        const struct series *bad;
        unsigned int socket;
        size_t length;
        int r;

        *why = '\0';
        bad = refused(b, &socket);
        if (bad) {
                snprintf(why, why_size,
                         "%s[%u] is %g, not a number from 0 to %g: such a baseline is not kept; "
                         "look at what the meter says with 'energat sensors'",
                         bad->key, socket, const_values_of(b, bad)[socket], bad->max);
                return -EINVAL;
        }
        if (root)
                text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
        if (!text) {
                snprintf(why, why_size, "the baseline cannot be written as JSON");
                return -EINVAL;
        }
        length = strlen(text);
        text[length++] = '\n'; /* in place of the NUL, which is not needed any more */
        dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = dirfd < 0 ? -errno : atomic_file_replace(dirfd, BASELINE_FILE, FILE_MODE, text, length);
        if (r < 0)
                snprintf(
                        why, why_size,
                        "%s/%s: cannot be written: %s; nothing was changed: energatd's user has to "
                        "be able to write into server.state_dir",
                        dir, BASELINE_FILE, strerror(-r));
        return r;
}
