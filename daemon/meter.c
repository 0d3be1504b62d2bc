/* SPDX-License-Identifier: MIT */
#include "meter.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counter.h"

/* RAPL counters move every millisecond, also those of an idle package. */
#define METER_STUCK_NS (2 * NS_PER_S)

/* What a domain may draw, as long as nothing has been seen of it: a large package of today. */
#define ASSUMED_UW UINT64_C(1000000000)

/* Power is taken over at least this: a counter that moves every ms tells nothing over less. */
#define POWER_WINDOW_NS (NS_PER_S / 10)

/*
 * A step back is a wrap only if the energy that it stands for is one that the domain can have used.
 * Four times the highest power seen leaves room for what has not been seen.
 */
#define PLAUSIBLE_FACTOR 4

#define WHY_MAX 1024

struct state {
        bool started;      /* last_uj is meant */
        uint64_t last_uj;  /* counter at the last good reading */
        uint64_t last_ns;  /* when that was */
        uint64_t moved_ns; /* when the counter was last seen to move */
        /* A reading below the last one that cannot be a wrap: the counter has started again, or the
         * reading was wrong.  The next reading tells. */
        bool suspect;
        uint64_t suspect_uj, suspect_ns;
        uint64_t highest_uw; /* highest power over a window; 0: none yet */
        /* the present window of power: when it began, CLOCK_BOOTTIME, and energy since.  What a
         * sleeping machine uses in hours arrives in one reading, and is not the power of a tick. */
        uint64_t window_ns, window_uj;
        uint64_t unknown_ns; /* of an EOVERFLOW fault: the stretch without energy */
        struct fault fault;
};

struct meter {
        const struct source_driver *driver;
        struct source *source;
        const struct domain *domains; /* the source's */
        size_t ndomains;
        struct state states[SOURCE_MAX_DOMAINS];
        uint64_t last_ns;  /* of the reading before; 0: none */
        uint64_t boot_ns;  /* of the present reading, CLOCK_BOOTTIME */
        uint64_t moved_ns; /* when any counter was last seen to move */
        char passed_over[WHY_MAX];
};

/* Append to a string of `size` bytes; what does not fit is left out. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...)
{
        size_t used = strlen(text);
        va_list ap;

        if (used + 1 >= size)
                return;
        va_start(ap, format);
        vsnprintf(text + used, size - used, format, ap);
        va_end(ap);
}

/* Probe and open one driver; why not is appended to `why` as one clause. */
static int try_driver(struct meter *m, const struct source_driver *driver,
                      const struct source_config *config, const struct topology *topology,
                      char *why, size_t why_size)
{
        char clause[SOURCE_WHY_MAX] = "";
        int r = driver->probe(config, topology, clause);

        if (r == 0)
                r = driver->open(&m->source, config, topology, clause);
        if (r < 0) {
                append(why, why_size, "%s%s: %s", *why ? "; " : "", driver->name, clause);
                return r;
        }
        m->driver = driver;
        m->ndomains = driver->domains(m->source, &m->domains);
        if (m->ndomains > 0 && m->ndomains <= SOURCE_MAX_DOMAINS)
                return 0;
        append(why, why_size, "%s%s: %zu energy domains", *why ? "; " : "", driver->name,
               m->ndomains);
        driver->close(m->source);
        m->source = NULL;
        return -ENODEV;
}

/* Name what could be asked for instead of `name`. */
static void append_usable(const char *name, const struct source_config *config,
                          const struct topology *topology, char *why, size_t why_size)
{
        bool any = false;

        append(why, why_size, "; usable here: ");
        for (size_t i = 0; source_drivers[i]; i++) {
                char clause[SOURCE_WHY_MAX] = "";

                if (strcmp(source_drivers[i]->name, name) == 0 ||
                    source_drivers[i]->probe(config, topology, clause) < 0)
                        continue;
                append(why, why_size, "%s%s", any ? ", " : "", source_drivers[i]->name);
                any = true;
        }
        if (!any)
                append(why, why_size, "none");
}

static int open_named(struct meter *m, const char *name, const struct source_config *config,
                      const struct topology *topology, char *why, size_t why_size)
{
        const struct source_driver *driver = source_driver_by_name(name);
        int r = -EINVAL;

        if (driver)
                r = try_driver(m, driver, config, topology, why, why_size);
        else
                append(why, why_size, "no energy source is called '%.32s'", name);
        if (r < 0)
                append_usable(name, config, topology, why, why_size);
        return r;
}

static int open_best(struct meter *m, const struct source_config *config,
                     const struct topology *topology, char *why, size_t why_size)
{
        int r = -ENODEV;

        for (size_t i = 0; source_drivers[i]; i++) {
                r = try_driver(m, source_drivers[i], config, topology, m->passed_over,
                               sizeof(m->passed_over));
                if (r == 0)
                        return 0;
        }
        append(why, why_size, "%s", m->passed_over);
        return r;
}

int meter_open(struct meter **ret, const char *name, const struct source_config *config,
               const struct topology *topology, char *why, size_t why_size)
{
        struct meter *m = calloc(1, sizeof(*m));
        int r;

        *why = '\0';
        if (!m) {
                append(why, why_size, "out of memory");
                return -ENOMEM;
        }
        if (strcmp(name, "auto") == 0)
                r = open_best(m, config, topology, why, why_size);
        else
                r = open_named(m, name, config, topology, why, why_size);
        if (r < 0) {
                free(m);
                return r;
        }
        *ret = m;
        return 0;
}

void meter_close(struct meter *m)
{
        if (!m)
                return;
        m->driver->close(m->source);
        free(m);
}

const char *meter_source_name(const struct meter *m)
{
        return m->driver->name;
}

bool meter_estimated(const struct meter *m)
{
        return m->driver->estimated;
}

bool meter_prompt(const struct meter *m)
{
        return m->driver->prompt;
}

const char *meter_why_passed_over(const struct meter *m)
{
        return m->passed_over;
}

size_t meter_domains(const struct meter *m, const struct domain **ret)
{
        *ret = m->domains;
        return m->ndomains;
}

void meter_fault(const struct meter *m, size_t domain, struct fault *copy)
{
        const struct state *s = &m->states[domain];

        *copy = s->fault;
        if (copy->kind == FAULT_READ && copy->error == EOVERFLOW)
                copy->lasting_ns = s->unknown_ns;
        else if (copy->kind == FAULT_STUCK)
                copy->lasting_ns = m->last_ns - s->moved_ns;
}

enum fault_kind meter_fault_kind(const struct meter *m, size_t domain)
{
        return m->states[domain].fault.kind;
}

double meter_wrap_s(const struct meter *m, size_t domain)
{
        uint64_t highest_uw = m->states[domain].highest_uw, range_uj = m->domains[domain].range_uj;

        return highest_uw && range_uj ? (double)range_uj / (double)highest_uw : INFINITY;
}

void meter_counter(const struct meter *m, size_t domain, struct meter_counter *ret)
{
        const struct state *s = &m->states[domain];

        *ret = (struct meter_counter){.known = s->started && m->driver->lasting,
                                      .counter_uj = s->last_uj,
                                      .highest_uw = s->highest_uw};
}

double meter_known_base_w(const struct meter *m, size_t domain)
{
        return m->driver->known_base_w ? m->driver->known_base_w(m->source, domain) : -1;
}

static void set_fault(struct state *s, enum fault_kind kind, int error, uint64_t now_ns)
{
        if (s->fault.kind != kind)
                s->fault.since_ns = now_ns;
        s->fault.kind = s->fault.last = kind;
        s->fault.error = error;
        s->fault.count++;
}

static enum fault_kind fault_of_error(int error)
{
        switch (error) {
        case EBADMSG:
                return FAULT_GARBAGE;
        case ENOENT:
        case ENODEV:
        case ENXIO:
                return FAULT_VANISHED;
        default:
                return FAULT_READ;
        }
}

/* Is energy_uj over time_ns more than power_uw gives? */
static bool exceeds(unsigned __int128 energy_uj, uint64_t time_ns, uint64_t power_uw)
{
        return energy_uj * NS_PER_S > (unsigned __int128)power_uw * time_ns;
}

static void learn_power(struct state *s, uint64_t energy_uj, uint64_t boot_ns)
{
        uint64_t time_ns = boot_ns - s->window_ns;
        unsigned __int128 power_uw;

        if (__builtin_add_overflow(s->window_uj, energy_uj, &s->window_uj))
                s->window_uj = UINT64_MAX;
        if (time_ns < POWER_WINDOW_NS)
                return;
        power_uw = (unsigned __int128)s->window_uj * NS_PER_S / time_ns;
        if (power_uw > UINT64_MAX / PLAUSIBLE_FACTOR)
                power_uw = UINT64_MAX / PLAUSIBLE_FACTOR;
        if (power_uw > s->highest_uw)
                s->highest_uw = (uint64_t)power_uw;
        s->window_ns = boot_ns;
        s->window_uj = 0;
}

/* The counter stands below where it stood: can it have got there by starting again at its range? */
static bool plausible_wrap(const struct state *s, const struct domain *d, uint64_t counter_uj,
                           uint64_t now_ns)
{
        uint64_t limit_uw = s->highest_uw * PLAUSIBLE_FACTOR;

        if (d->range_uj == 0)
                return false;
        if (limit_uw < ASSUMED_UW)
                limit_uw = ASSUMED_UW;
        return !exceeds(counter_delta_uj(s->last_uj, counter_uj, d->range_uj), now_ns - s->last_ns,
                        limit_uw);
}

/*
 * Is the reading a step back?  One such reading is not believed: it may be wrong.  If the next is
 * at or above the last good one (or a wrap past it) it was, and nothing is lost.  If the next is
 * between the two, the counter has started again, and is followed from the first reading after
 * that; what was counted before, since the last good reading, is not known.
 */
static bool went_back(struct state *s, const struct domain *d, uint64_t counter_uj, uint64_t now_ns)
{
        if (counter_uj < s->last_uj && s->suspect && counter_uj >= s->suspect_uj) {
                s->last_uj = s->suspect_uj;
                s->last_ns = s->suspect_ns;
        } else if (counter_uj < s->last_uj && !plausible_wrap(s, d, counter_uj, now_ns)) {
                s->suspect = true;
                s->suspect_uj = counter_uj;
                s->suspect_ns = now_ns;
                return true;
        }
        s->suspect = false;
        return false;
}

/*
 * Does a counter that does not move have to?  A package always uses energy.  Memory and the
 * platform do as long as anything does.  Cores and graphics can be switched off.  An estimate of
 * 0 W is not a fault.
 */
static bool is_stuck(const struct meter *m, const struct domain *d, const struct state *s,
                     uint64_t now_ns)
{
        if (m->driver->estimated || now_ns - s->moved_ns < METER_STUCK_NS)
                return false;
        if (d->kind == DOMAIN_PACKAGE)
                return true;
        return (d->kind == DOMAIN_DRAM || d->kind == DOMAIN_PSYS) && m->moved_ns > s->moved_ns;
}

/* Can the counter have started again more than once since the last good reading? */
static bool wraps_uncertain(const struct state *s, const struct domain *d, uint64_t now_ns)
{
        uint64_t power_uw = s->highest_uw ? s->highest_uw : ASSUMED_UW;

        return d->range_uj != 0 &&
               !exceeds((unsigned __int128)d->range_uj + 1, now_ns - s->last_ns, power_uw);
}

static void follow(struct state *s, uint64_t counter_uj, uint64_t now_ns)
{
        s->last_uj = counter_uj;
        s->last_ns = now_ns;
}

/* Turn one reading into the energy since the last good one, or into a fault. */
static void take_reading(struct meter *m, size_t i, const struct reading *reading, uint64_t now_ns,
                         struct meter_tick *tick)
{
        const struct domain *d = &m->domains[i];
        struct state *s = &m->states[i];
        uint64_t counter_uj = reading->counter_uj, energy_uj;

        if (reading->error < 0) {
                set_fault(s, fault_of_error(-reading->error), -reading->error, now_ns);
                return;
        }
        if (d->range_uj != 0 && counter_uj > d->range_uj) {
                set_fault(s, FAULT_GARBAGE, ERANGE, now_ns);
                return;
        }
        if (!s->started) {
                s->started = true;
                s->moved_ns = now_ns;
                s->window_ns = m->boot_ns;
                follow(s, counter_uj, now_ns);
                s->fault.kind = FAULT_NONE;
                return;
        }
        if (went_back(s, d, counter_uj, now_ns)) {
                set_fault(s, FAULT_BACKWARDS, 0, now_ns);
                return;
        }
        if (counter_uj == s->last_uj && is_stuck(m, d, s, now_ns)) {
                set_fault(s, FAULT_STUCK, 0, now_ns);
                return;
        }
        energy_uj = counter_delta_uj(s->last_uj, counter_uj, d->range_uj);
        if (energy_uj > 0)
                m->moved_ns = s->moved_ns = now_ns;
        if (wraps_uncertain(s, d, now_ns)) {
                s->unknown_ns = now_ns - s->last_ns;
                set_fault(s, FAULT_READ, EOVERFLOW, now_ns);
        } else {
                tick->energy_uj[i] = energy_uj;
                tick->covered_ns[i] = now_ns - s->last_ns;
                tick->known[i] = true;
                s->fault.kind = FAULT_NONE;
        }
        /* of an uncertain stretch too: it was at least that */
        learn_power(s, energy_uj, m->boot_ns);
        follow(s, counter_uj, now_ns);
}

void meter_read(struct meter *m, const struct source_input *input, struct meter_tick *tick)
{
        struct reading readings[SOURCE_MAX_DOMAINS] = {0};
        uint64_t before_ns, after_ns;

        before_ns = monotonic_ns();
        m->driver->read(m->source, input, readings);
        after_ns = monotonic_ns();
        m->boot_ns = clock_ns(CLOCK_BOOTTIME);

        *tick = (struct meter_tick){
                .now_ns = before_ns + (after_ns - before_ns) / 2,
                .ndomains = m->ndomains,
        };
        if (m->last_ns != 0)
                tick->elapsed_ns = tick->now_ns - m->last_ns;
        for (size_t i = 0; i < m->ndomains; i++)
                take_reading(m, i, &readings[i], tick->now_ns, tick);
        m->last_ns = tick->now_ns;
}

void fault_text(const struct fault *fault, char *text, size_t size)
{
        *text = '\0';
        switch (fault->kind) {
        case FAULT_NONE:
                break;
        case FAULT_READ:
                if (fault->error == EOVERFLOW)
                        append(text, size,
                               "not read for %.1f s, in which its counter may have started again "
                               "more than once: the energy of that time is not known",
                               (double)fault->lasting_ns / NS_PER_S);
                else
                        append(text, size, "cannot be read: %s", strerror(fault->error));
                break;
        case FAULT_GARBAGE:
                append(text, size, "cannot be read: %s",
                       fault->error == ERANGE ? "the value is above the counter's range"
                                              : "the value is not a number");
                break;
        case FAULT_VANISHED:
                append(text, size, "has gone: %s", strerror(fault->error));
                break;
        case FAULT_BACKWARDS:
                append(text, size, "its counter went back, and not by a wrap");
                break;
        case FAULT_STUCK:
                append(text, size, "its counter has not moved for %.1f s",
                       (double)fault->lasting_ns / NS_PER_S);
                break;
        }
}

const char *fault_name(enum fault_kind kind)
{
        switch (kind) {
        case FAULT_NONE:
                return "";
        case FAULT_READ:
                return "read";
        case FAULT_GARBAGE:
                return "garbage";
        case FAULT_VANISHED:
                return "vanished";
        case FAULT_BACKWARDS:
                return "backwards";
        case FAULT_STUCK:
                return "stuck";
        }
        return "";
}
