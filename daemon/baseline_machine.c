/* SPDX-License-Identifier: MIT */
/* Which machine this is, for a baseline: what it is called, and what has changed since. */
#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "baseline.h"
#include "cleanup.h"

#define GOVERNORS "/sys/devices/system/cpu/cpufreq/policy*/scaling_governor"

static void close_file(FILE **file)
{
        if (*file)
                fclose(*file);
}

#define cleanup_file __attribute__((cleanup(close_file)))

/* The value of the first "NAME : value" line of cpuinfo with that name. */
static bool cpuinfo_value(const char *line, const char *name, char *value, size_t size)
{
        size_t length = strlen(name);
        const char *colon = strchr(line, ':');

        if (*value || !colon || strncmp(line, name, length) != 0 ||
            line + length + strspn(line + length, " \t") != colon)
                return false;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        /* JSON is UTF-8; firmware that names its CPU otherwise is not trusted to use it */
        for (char *p = value; *p; p++)
                if (!isprint((unsigned char)*p))
                        *p = '?';
        return true;
}

/* The cpufreq governor: of all policies, for they can have one each. */
static void describe_governor(struct baseline *b)
{
        glob_t found;

        b->governor[0] = '\0';
        if (glob(GOVERNORS, GLOB_NOSORT, NULL, &found) != 0)
                return;
        for (size_t i = 0; i < found.gl_pathc; i++) {
                cleanup_file FILE *f = fopen(found.gl_pathv[i], "re");
                char name[sizeof(b->governor)] = "";

                if (!f || fscanf(f, "%31[a-z_]", name) != 1)
                        continue;
                if (!*b->governor)
                        memcpy(b->governor, name, sizeof(name));
                else if (strcmp(b->governor, name) != 0)
                        snprintf(b->governor, sizeof(b->governor), "several");
        }
        globfree(&found);
}

void baseline_describe_processor(struct baseline *b, FILE *cpuinfo)
{
        cleanup_free char *line = NULL;
        char implementer[16] = "", part[16] = "", revision[16] = "";
        size_t size = 0;

        b->cpu_model[0] = b->microcode[0] = '\0';
        while (getline(&line, &size, cpuinfo) > 0 && !(*b->cpu_model && *b->microcode)) {
                /* x86; POWER has "cpu", ARM boards "Model" */
                if (!cpuinfo_value(line, "model name", b->cpu_model, sizeof(b->cpu_model)) &&
                    !cpuinfo_value(line, "cpu", b->cpu_model, sizeof(b->cpu_model)))
                        cpuinfo_value(line, "Model", b->cpu_model, sizeof(b->cpu_model));
                cpuinfo_value(line, "microcode", b->microcode, sizeof(b->microcode));
                cpuinfo_value(line, "CPU implementer", implementer, sizeof(implementer));
                cpuinfo_value(line, "CPU part", part, sizeof(part));
                cpuinfo_value(line, "CPU revision", revision, sizeof(revision));
        }
        /* ARM servers have no name there, only the numbers of their identification register */
        if (!*b->cpu_model && *implementer && *part)
                snprintf(b->cpu_model, sizeof(b->cpu_model),
                         "CPU implementer %s, part %s, revision %s", implementer, part,
                         *revision ? revision : "unknown");
}

void baseline_describe_machine(struct baseline *b)
{
        cleanup_file FILE *cpuinfo = fopen("/proc/cpuinfo", "re");
        struct utsname uts;

        b->cpu_model[0] = b->kernel[0] = b->microcode[0] = '\0';
        if (cpuinfo)
                baseline_describe_processor(b, cpuinfo);
        if (uname(&uts) == 0)
                snprintf(b->kernel, sizeof(b->kernel), "%s", uts.release);
        describe_governor(b);
}

/* Appends to `text`, separated by ", ". */
static void add_change(char *text, size_t size, const char *what, const char *then, const char *now)
{
        size_t length = strlen(text);

        /* What was not told then, or is not now, has not been seen to change. */
        if (!*then || !*now || strcmp(then, now) == 0)
                return;
        snprintf(text + length, size - length, "%s%s was %s and is %s", length ? ", " : "", what,
                 then, now);
}

void baseline_changes(const struct baseline *then, const struct baseline *now, char *text,
                      size_t size)
{
        *text = '\0';
        add_change(text, size, "the governor", then->governor, now->governor);
        add_change(text, size, "the microcode", then->microcode, now->microcode);
}
