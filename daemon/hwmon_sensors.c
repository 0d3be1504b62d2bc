/* SPDX-License-Identifier: MIT */
#include "hwmon_sensors.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

/* Digits of a number in a file's name: no chip has a million sensors. */
#define MAX_NUMBER_DIGITS 6

/* The entries of a directory, in the natural order of their names. */
struct listing {
        struct dirent **entries;
        int n;
};

static void release_listing(struct listing *l)
{
        for (int i = 0; i < l->n; i++)
                free(l->entries[i]);
        free(l->entries);
}

#define cleanup_listing __attribute__((cleanup(release_listing)))

static int list_directory(struct listing *l, const char *path)
{
        l->n = scandir(path, &l->entries, NULL, versionsort);
        if (l->n >= 0)
                return 0;
        l->n = 0;
        return -errno;
}

/* How a label's number names a socket. */
enum numbering {
        BY_SOCKET, /* the Nth socket */
        BY_NODE,   /* the socket of NUMA node N */
};

/*
 * Labels that clearly mean a processor.  A new one is a new row.
 *
 * amd_energy: drivers/hwmon/amd_energy.c (Linux 5.8 to 5.12, and out of the tree since).  Its
 * number is that of a NUMA node, whose first CPU is asked for its package: with several nodes per
 * socket the same counter is there several times.
 *
 * power_meter with these labels (OEM information, ACPI 6.4 10.4.1): NVIDIA Grace, NVIDIA Grace
 * Performance Tuning Guide, "Power Telemetry".  Grace power is the whole socket's, its memory
 * included; CPU and SysIO are rails of it; Module is the board with its GPU.
 */
static const struct {
        const char *chip, *label; /* the label without its number */
        bool power;
        enum numbering numbering;
        enum domain_kind kind;
} known_labels[] = {
        {"amd_energy", "Esocket", false, BY_NODE, DOMAIN_PACKAGE},
        {"power_meter", "Grace Power Socket ", true, BY_SOCKET, DOMAIN_PACKAGE},
        {"power_meter", "CPU Power Socket ", true, BY_SOCKET, DOMAIN_CORE},
        {"power_meter", "SysIO Power Socket ", true, BY_SOCKET, DOMAIN_UNCORE},
};

struct chip {
        char dir[PATH_MAX]; /* where its files are */
        char name[DOMAIN_NAME_MAX];
        char device[DOMAIN_NAME_MAX]; /* the device's name in sysfs, or "" */
};

/* "hwmon12" with prefix "hwmon": 12, and the rest behind it; -1: no such name. */
static int numbered(const char *text, const char *prefix, const char **rest)
{
        size_t length = strlen(prefix), digits;

        if (strncmp(text, prefix, length) != 0)
                return -1;
        digits = strspn(text + length, "0123456789");
        if (digits == 0 || digits > MAX_NUMBER_DIGITS)
                return -1;
        *rest = text + length + digits;
        return atoi(text + length);
}

/* The socket that a label's number means, or -1. */
static int socket_of(const struct topology *t, enum numbering numbering, int number)
{
        if (numbering == BY_SOCKET)
                return (unsigned int)number < t->nsockets ? t->sockets[number] : -1;
        for (unsigned int i = 0; i < t->nslots; i++)
                if (t->slots[i].node == number)
                        return t->slots[i].socket;
        return -1;
}

/* What the sensor measures.  false: nothing that is to be shown. */
static bool classify(struct domain *d, const char *chip, bool power, const struct topology *t)
{
        const char *rest;

        d->kind = DOMAIN_OTHER;
        d->socket = d->die = -1;
        if (strcmp(chip, "amd_energy") == 0 && numbered(d->name, "Ecore", &rest) >= 0)
                return false;
        for (size_t i = 0; i < sizeof(known_labels) / sizeof(known_labels[0]); i++) {
                int number, socket;

                if (strcmp(chip, known_labels[i].chip) != 0 || power != known_labels[i].power)
                        continue;
                number = numbered(d->name, known_labels[i].label, &rest);
                if (number < 0 || *rest != '\0')
                        continue;
                socket = socket_of(t, known_labels[i].numbering, number);
                /* a node without CPUs: amd_energy then asks a CPU that does not exist */
                if (socket < 0)
                        return known_labels[i].numbering != BY_NODE;
                d->kind = known_labels[i].kind;
                d->socket = socket;
                return true;
        }
        return true;
}

static const struct hwmon_sensor *find_package(const struct hwmon_sensors *sensors, int socket)
{
        for (size_t i = 0; i < sensors->n; i++)
                if (sensors->all[i].domain.kind == DOMAIN_PACKAGE &&
                    sensors->all[i].domain.socket == socket)
                        return &sensors->all[i];
        return NULL;
}

static int add_sensor(struct hwmon_sensors *sensors, const struct chip *chip, bool power,
                      int number, const char *file, const struct topology *topology)
{
        const char *kind = power ? "power" : "energy";
        struct hwmon_sensor sensor = {.power = power}, *grown;
        struct domain *d = &sensor.domain;

        if (sysfs_read_name(d->name, sizeof(d->name), "%s/%s%d_label", chip->dir, kind, number) <
                    0 &&
            sysfs_read_name(d->name, sizeof(d->name), "%s/%s%d_oem_info", chip->dir, kind, number) <
                    0)
                snprintf(d->name, sizeof(d->name), "%s%d", kind, number);
        if (!classify(d, chip->name, power, topology))
                return 0;
        /* a package is counted once: the second is shown, but not as a package */
        if (d->kind == DOMAIN_PACKAGE && find_package(sensors, d->socket)) {
                d->kind = DOMAIN_OTHER;
                d->socket = -1;
        }
        snprintf(d->label, sizeof(d->label), "%.24s/%.38s", chip->name, d->name);
        memcpy(sensor.device, chip->device, sizeof(sensor.device));
        if (sensors->n == SOURCE_MAX_DOMAINS)
                return -E2BIG;
        grown = reallocarray(sensors->all, sensors->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        sensors->all = grown;
        if (asprintf(&sensor.path, "%s/%s", chip->dir, file) < 0)
                return -ENOMEM;
        sensors->all[sensors->n++] = sensor;
        return 0;
}

static bool has_average(const struct chip *chip, int number)
{
        char path[PATH_MAX + 32];

        snprintf(path, sizeof(path), "%s/power%d_average", chip->dir, number);
        return access(path, F_OK) == 0;
}

/* "energy1_input", "power2_average", "power2_input": power or not, and the number; else -1. */
static int parse_file(const struct chip *chip, const char *file, bool *power)
{
        const char *rest;
        int number = numbered(file, "energy", &rest);

        *power = false;
        if (number >= 0)
                return strcmp(rest, "_input") == 0 ? number : -1;
        *power = true;
        number = numbered(file, "power", &rest);
        if (number < 0)
                return -1;
        if (strcmp(rest, "_average") == 0)
                return number;
        return strcmp(rest, "_input") == 0 && !has_average(chip, number) ? number : -1;
}

/* Take in the sensors of a chip.  Their number, or a negative errno. */
static int scan_chip(struct hwmon_sensors *sensors, const struct chip *chip,
                     const struct topology *topology)
{
        cleanup_listing struct listing files = {.n = 0};
        int found = 0;

        /* gone in the meantime, or closed to us: nothing is known of what is in it */
        if (list_directory(&files, chip->dir) == -ENOMEM)
                return -ENOMEM;
        for (int i = 0; i < files.n; i++) {
                const char *file = files.entries[i]->d_name;
                bool power;
                int number = parse_file(chip, file, &power), r;

                if (number < 0)
                        continue;
                r = add_sensor(sensors, chip, power, number, file, topology);
                if (r < 0)
                        return r;
                found++;
        }
        return found;
}

/* May the device go to sleep while nobody uses it?  Documentation/ABI/testing/sysfs-devices-power
 */
static bool may_sleep(const char *hwmon_dir)
{
        char control[16], status[32];

        return sysfs_read(control, sizeof(control), "%s/device/power/control", hwmon_dir) == 0 &&
               strcmp(control, "auto") == 0 &&
               sysfs_read(status, sizeof(status), "%s/device/power/runtime_status", hwmon_dir) ==
                       0 &&
               strcmp(status, "unsupported") != 0;
}

static void read_device_name(struct chip *chip, const char *hwmon_dir)
{
        char path[PATH_MAX + 32], target[PATH_MAX];
        const char *slash;
        ssize_t n;

        snprintf(path, sizeof(path), "%s/device", hwmon_dir);
        n = readlink(path, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = '\0';
        slash = strrchr(target, '/');
        snprintf(chip->device, sizeof(chip->device), "%.*s", DOMAIN_NAME_MAX - 1,
                 slash ? slash + 1 : target);
}

/* One hwmonN. */
static int add_chip(struct hwmon_sensors *sensors, const char *hwmon_dir,
                    const struct topology *topology)
{
        struct chip chip;
        int r;

        snprintf(chip.dir, sizeof(chip.dir), "%s", hwmon_dir);
        /* without a name nobody can tell what it measures */
        if (sysfs_read_name(chip.name, sizeof(chip.name), "%s/name", hwmon_dir) < 0 &&
            sysfs_read_name(chip.name, sizeof(chip.name), "%s/device/name", hwmon_dir) < 0)
                return 0;
        if (may_sleep(hwmon_dir))
                return 0;
        read_device_name(&chip, hwmon_dir);
        r = scan_chip(sensors, &chip, topology);
        if (r == 0 &&
            snprintf(chip.dir, sizeof(chip.dir), "%s/device", hwmon_dir) < (int)sizeof(chip.dir))
                r = scan_chip(sensors, &chip, topology);
        return r < 0 ? r : 0;
}

/* An order that does not depend on that of the chips. */
static int compare_sensors(const void *a, const void *b)
{
        const struct hwmon_sensor *x = a, *y = b;
        /* -1, no socket, stands last */
        unsigned int x_socket = (unsigned int)x->domain.socket;
        unsigned int y_socket = (unsigned int)y->domain.socket;
        int r;

        if (x_socket != y_socket)
                return x_socket < y_socket ? -1 : 1;
        if (x->domain.kind != y->domain.kind)
                return x->domain.kind < y->domain.kind ? -1 : 1;
        r = strverscmp(x->domain.label, y->domain.label);
        return r != 0 ? r : strverscmp(x->device, y->device);
}

static bool label_is_taken(const struct hwmon_sensors *sensors, size_t i)
{
        for (size_t j = 0; j < sensors->n; j++)
                if (j != i &&
                    strcmp(sensors->all[j].domain.label, sensors->all[i].domain.label) == 0)
                        return true;
        return false;
}

/* Chips of one name: "ina219/power1" becomes "ina219/power1 (1-0040)", and at the last resort #2.
 */
static void make_labels_unique(struct hwmon_sensors *sensors)
{
        bool taken[SOURCE_MAX_DOMAINS];

        for (size_t i = 0; i < sensors->n; i++)
                taken[i] = sensors->all[i].device[0] && label_is_taken(sensors, i);
        for (size_t i = 0; i < sensors->n; i++) {
                struct domain *d = &sensors->all[i].domain;
                size_t length = strnlen(d->label, 40);

                if (taken[i])
                        snprintf(d->label + length, sizeof(d->label) - length, " (%.18s)",
                                 sensors->all[i].device);
        }
        for (size_t i = 0; i < sensors->n; i++) {
                struct domain *d = &sensors->all[i].domain;
                size_t length = strnlen(d->label, DOMAIN_NAME_MAX - 8);

                for (unsigned int k = 2; label_is_taken(sensors, i); k++)
                        snprintf(d->label + length, sizeof(d->label) - length, " #%u", k);
        }
}

int hwmon_sensors_find(struct hwmon_sensors *sensors, const char *sysfs_root,
                       const struct topology *topology)
{
        cleanup_listing struct listing chips = {.n = 0};
        char path[PATH_MAX];
        int r;

        *sensors = (struct hwmon_sensors){0};
        if (snprintf(path, sizeof(path), "%s/class/hwmon", sysfs_root) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        r = list_directory(&chips, path);
        for (int i = 0; r == 0 && i < chips.n; i++) {
                const char *name = chips.entries[i]->d_name, *rest;
                char dir[PATH_MAX];

                if (numbered(name, "hwmon", &rest) < 0 || *rest != '\0' ||
                    snprintf(dir, sizeof(dir), "%s/%s", path, name) >= (int)sizeof(dir))
                        continue;
                r = add_chip(sensors, dir, topology);
        }
        if (r < 0)
                return r;
        if (sensors->n > 0)
                qsort(sensors->all, sensors->n, sizeof(sensors->all[0]), compare_sensors);
        make_labels_unique(sensors);
        return 0;
}

void hwmon_sensors_deinit(struct hwmon_sensors *sensors)
{
        for (size_t i = 0; i < sensors->n; i++)
                free(sensors->all[i].path);
        free(sensors->all);
        *sensors = (struct hwmon_sensors){0};
}
