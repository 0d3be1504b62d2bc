/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "cleanup.h"

#define VERSION    1
#define MAX_HEADER 64
#define MAX_DEPTH  8 /* the document has three levels */

/* A sum of the state or of a domain, and its name in the file. */
struct field {
        const char *key;
        size_t offset;
};

#define STATE(name)                                 \
        {                                           \
#name, offsetof(struct state, name) \
        }
#define DOMAIN(name)                                       \
        {                                                  \
#name, offsetof(struct state_domain, name) \
        }

static const struct field state_fields[] = {
        STATE(boottime_ns), STATE(saved_s),    STATE(since_s), STATE(starts),    STATE(boots),
        STATE(gap_ns),      STATE(missing_ns), STATE(busy_ns), STATE(nobody_ns), STATE(idle_ns),
        STATE(irq_ns),      STATE(stolen_ns),  STATE(lost_ns), STATE(wall_ns),
};

static const struct field domain_fields[] = {
        DOMAIN(energy_uj),       DOMAIN(estimated_uj), DOMAIN(static_uj),
        DOMAIN(unattributed_uj), DOMAIN(gap_uj),       DOMAIN(counter_uj),
        DOMAIN(range_uj),        DOMAIN(highest_uw),   DOMAIN(base_uw),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- writing ---- */

static int encode_fields(json_t *object, const void *from, const struct field *fields, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t value;

                memcpy(&value, (const char *)from + fields[i].offset, sizeof(value));
                /* range_uj of a counter as wide as its type */
                if (value > INT64_MAX && value != UINT64_MAX)
                        return -ERANGE;
                if (json_object_set_new(object, fields[i].key,
                                        value == UINT64_MAX ? json_null()
                                                            : json_integer((json_int_t)value)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int encode_domain(json_t *array, const struct state_domain *d)
{
        json_auto_t *object = json_pack("{s:s, s:s, s:s}", "name", d->label, "kind",
                                        domain_kind_name(d->kind), "source", d->source);
        int r;

        if (!object)
                return -ENOMEM;
        r = encode_fields(object, d, domain_fields, COUNT(domain_fields));
        if (r == 0 && json_array_append(array, object) < 0)
                r = -ENOMEM;
        return r;
}

int state_encode(const struct state *state, char **ret, size_t *length)
{
        json_auto_t *root = json_pack("{s:s, s:[]}", "boot_id", state->boot_id, "domains");
        cleanup_free char *body = NULL;
        size_t body_length;
        int r, n;

        if (!root)
                return -ENOMEM;
        r = encode_fields(root, state, state_fields, COUNT(state_fields));
        for (size_t i = 0; r == 0 && i < state->ndomains; i++)
                r = encode_domain(json_object_get(root, "domains"), &state->domains[i]);
        if (r < 0)
                return r;
        body = json_dumps(root, JSON_INDENT(1));
        if (!body)
                return -ENOMEM;
        body_length = strlen(body);
        n = asprintf(ret, "energat-state %d %08lx %zu\n%s\n", VERSION,
                     crc32(0, (const unsigned char *)body, (unsigned int)body_length), body_length,
                     body);
        if (n < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        *length = (size_t)n;
        return 0;
}

/* ---- reading ---- */

static int wrong(char *why, size_t why_size, const char *what, const char *name)
{
        snprintf(why, why_size, "%s%s%s", what, name[0] ? ": " : "", name);
        return -EBADMSG;
}

static int decode_fields(void *to, const json_t *object, const struct field *fields, size_t n,
                         char *why, size_t why_size)
{
        for (size_t i = 0; i < n; i++) {
                const json_t *value = json_object_get(object, fields[i].key);
                uint64_t number = UINT64_MAX;

                if (!value || (!json_is_null(value) &&
                               (!json_is_integer(value) || json_integer_value(value) < 0)))
                        return wrong(why, why_size, "a sum is missing or none", fields[i].key);
                if (json_is_integer(value))
                        number = (uint64_t)json_integer_value(value);
                else if (fields[i].offset != offsetof(struct state_domain, range_uj) ||
                         fields != domain_fields)
                        return wrong(why, why_size, "a sum is missing or none", fields[i].key);
                memcpy((char *)to + fields[i].offset, &number, sizeof(number));
        }
        return 0;
}

static int decode_text(char *to, size_t size, const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        if (!json_is_string(value) || json_string_length(value) >= size ||
            strlen(json_string_value(value)) != json_string_length(value))
                return -EBADMSG;
        memcpy(to, json_string_value(value), json_string_length(value) + 1);
        return 0;
}

static int decode_kind(enum domain_kind *ret, const json_t *object)
{
        const char *name = json_string_value(json_object_get(object, "kind"));

        for (int kind = DOMAIN_PACKAGE; name && kind <= DOMAIN_OTHER; kind++) {
                if (strcmp(name, domain_kind_name((enum domain_kind)kind)) == 0) {
                        *ret = (enum domain_kind)kind;
                        return 0;
                }
        }
        return -EBADMSG;
}

static int decode_domain(struct state *state, const json_t *object, char *why, size_t why_size)
{
        struct state_domain d = {0};
        int r;

        if (decode_text(d.label, sizeof(d.label), object, "name") < 0 || !d.label[0] ||
            decode_text(d.source, sizeof(d.source), object, "source") < 0 ||
            decode_kind(&d.kind, object) < 0)
                return wrong(why, why_size, "a domain has no name, source or kind", d.label);
        r = decode_fields(&d, object, domain_fields, COUNT(domain_fields), why, why_size);
        if (r < 0)
                return r;
        if (d.static_uj > d.energy_uj || d.unattributed_uj > d.energy_uj - d.static_uj ||
            d.gap_uj > d.energy_uj || d.estimated_uj > d.energy_uj)
                return wrong(why, why_size, "parts of a domain are more than the whole", d.label);
        if (state->ndomains == STATE_MAX_DOMAINS || state_find(state, d.label))
                return wrong(why, why_size, "too many domains, or one twice", d.label);
        state->domains[state->ndomains++] = d;
        return 0;
}

/* The header line; *body is what it speaks of. */
static int decode_header(const char *text, size_t length, const char **body, size_t *body_length,
                         char *why, size_t why_size)
{
        const char *end = memchr(text, '\n', length < MAX_HEADER ? length : MAX_HEADER);
        char line[MAX_HEADER + 1], again[MAX_HEADER + 1];
        unsigned int version;
        unsigned long sum, size;

        if (!end)
                return wrong(why, why_size, "it has no header of a state file", "");
        memcpy(line, text, (size_t)(end - text));
        line[end - text] = '\0';
        if (sscanf(line, "energat-state %9u %8lx %9lu", &version, &sum, &size) != 3)
                return wrong(why, why_size, "it has no header of a state file", "");
        /* exactly so, and nothing behind it */
        snprintf(again, sizeof(again), "energat-state %u %08lx %lu", version, sum, size);
        if (strcmp(line, again) != 0)
                return wrong(why, why_size, "it has no header of a state file", "");
        if (version != VERSION)
                return wrong(why, why_size, "it is of another version", "");
        *body = end + 1;
        *body_length = size;
        if ((size_t)(text + length - *body) != size + 1 || (*body)[size] != '\n')
                return wrong(why, why_size, "it is torn: its length is another", "");
        if (crc32(0, (const unsigned char *)*body, (unsigned int)size) != sum)
                return wrong(why, why_size, "its checksum does not fit", "");
        return 0;
}

/* jansson recurses; no string of ours has a bracket in it that would make this count wrong. */
static bool too_deep(const char *text, size_t length)
{
        size_t depth = 0;

        for (size_t i = 0; i < length; i++) {
                if (text[i] == '{' || text[i] == '[')
                        depth++;
                else if ((text[i] == '}' || text[i] == ']') && depth > 0)
                        depth--;
                if (depth > MAX_DEPTH)
                        return true;
        }
        return false;
}

int state_decode(struct state *state, const char *text, size_t length, char *why, size_t why_size)
{
        json_auto_t *root = NULL;
        const json_t *domains, *domain;
        const char *body;
        size_t body_length, i;
        int r;

        *state = (struct state){0};
        if (length > STATE_MAX_BYTES)
                return wrong(why, why_size, "it is too long", "");
        r = decode_header(text, length, &body, &body_length, why, why_size);
        if (r < 0)
                return r;
        if (too_deep(body, body_length))
                return wrong(why, why_size, "it is no state", "");
        root = json_loadb(body, body_length, JSON_REJECT_DUPLICATES, NULL);
        domains = json_object_get(root, "domains");
        if (!json_is_object(root) || !json_is_array(domains) ||
            decode_text(state->boot_id, sizeof(state->boot_id), root, "boot_id") < 0)
                return wrong(why, why_size, "it is no state", "");
        r = decode_fields(state, root, state_fields, COUNT(state_fields), why, why_size);
        json_array_foreach(domains, i, domain)
        {
                if (r < 0)
                        break;
                r = decode_domain(state, domain, why, why_size);
        }
        return r;
}

/* ---- domains ---- */

struct state_domain *state_find(struct state *state, const char *label)
{
        for (size_t i = 0; i < state->ndomains; i++)
                if (strcmp(state->domains[i].label, label) == 0)
                        return &state->domains[i];
        return NULL;
}

struct state_domain *state_domain(struct state *state, const char *label, enum domain_kind kind)
{
        struct state_domain *d = state_find(state, label);

        if (d || state->ndomains == STATE_MAX_DOMAINS)
                return d;
        d = &state->domains[state->ndomains++];
        *d = (struct state_domain){.kind = kind};
        snprintf(d->label, sizeof(d->label), "%s", label);
        return d;
}
