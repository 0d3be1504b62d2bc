/* SPDX-License-Identifier: MIT */
#include "varlink_idl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATH_MAX_CHARS 256

/* ---- parser: recursive descent; a failure is remembered by `good` ---- */

struct parser {
        struct idl *idl;
        const char *at;
        bool good;
};

static void skip_blank(struct parser *p)
{
        for (;;) {
                while (isspace((unsigned char)*p->at))
                        p->at++;
                if (*p->at != '#')
                        return;
                p->at += strcspn(p->at, "\n");
        }
}

static bool accept(struct parser *p, const char *token)
{
        size_t length = strlen(token);

        skip_blank(p);
        if (!p->good || strncmp(p->at, token, length) != 0)
                return false;
        p->at += length;
        return true;
}

static void expect(struct parser *p, const char *token)
{
        if (!accept(p, token))
                p->good = false;
}

/* A word of letters, digits and `more`; empty when there is none. */
static void word(struct parser *p, char *to, const char *more)
{
        size_t n = 0;

        skip_blank(p);
        while (isalnum((unsigned char)p->at[n]) || (p->at[n] && strchr(more, p->at[n])))
                n++;
        if (n == 0 || n >= IDL_NAME_MAX)
                p->good = false;
        if (!p->good)
                n = 0;
        memcpy(to, p->at, n);
        to[n] = '\0';
        p->at += n;
}

static struct idl_type *type_new(struct parser *p, enum idl_kind kind)
{
        static struct idl_type none;
        struct idl_type *t = &none;

        if (p->idl->ntypes < IDL_MAX_TYPES)
                t = &p->idl->types[p->idl->ntypes++];
        else
                p->good = false;
        *t = (struct idl_type){.kind = kind};
        return t;
}

static struct idl_type *parse_type(struct parser *p);

/* What follows an opening bracket: fields, or the values of an enum. */
static struct idl_type *parse_list(struct parser *p)
{
        struct idl_type *list = type_new(p, IDL_STRUCT), **last = &list->element;

        if (accept(p, ")"))
                return list;
        do {
                char name[IDL_NAME_MAX];
                struct idl_type *t;

                word(p, name, "_");
                if (accept(p, ":")) {
                        t = parse_type(p);
                } else {
                        t = type_new(p, IDL_STRING);
                        list->kind = IDL_ENUM;
                }
                memcpy(t->name, name, sizeof(t->name));
                *last = t;
                last = &t->next;
        } while (p->good && accept(p, ","));
        expect(p, ")");
        return list;
}

static struct idl_type *parse_type(struct parser *p)
{
        static const struct {
                const char *token;
                enum idl_kind kind;
        } wrappers[] = {{"?", IDL_MAYBE}, {"[]", IDL_ARRAY}, {"[string]", IDL_MAP}},
          simple[] = {{"bool", IDL_BOOL},
                      {"int", IDL_INT},
                      {"float", IDL_FLOAT},
                      {"string", IDL_STRING},
                      {"object", IDL_OBJECT}};
        struct idl_type *t;

        for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
                if (!accept(p, wrappers[i].token))
                        continue;
                t = type_new(p, wrappers[i].kind);
                t->element = parse_type(p);
                return t;
        }
        if (accept(p, "("))
                return parse_list(p);
        t = type_new(p, IDL_NAMED);
        word(p, t->named, "");
        for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
                if (strcmp(t->named, simple[i].token) == 0)
                        t->kind = simple[i].kind;
        return t;
}

static void parse_member(struct parser *p)
{
        struct idl_member *m = &p->idl->members[p->idl->nmembers];

        if (p->idl->nmembers == IDL_MAX_MEMBERS) {
                p->good = false;
                return;
        }
        if (accept(p, "type "))
                m->role = IDL_TYPE;
        else if (accept(p, "method "))
                m->role = IDL_METHOD;
        else if (accept(p, "error "))
                m->role = IDL_ERROR;
        else
                p->good = false;
        word(p, m->name, "");
        expect(p, "(");
        m->type = parse_list(p);
        if (m->role == IDL_METHOD) {
                expect(p, "->");
                expect(p, "(");
                m->reply = parse_list(p);
        }
        p->idl->nmembers++;
}

int idl_parse(struct idl *idl, const char *text, const char **where)
{
        struct parser p = {.idl = idl, .at = text, .good = true};

        *idl = (struct idl){0};
        expect(&p, "interface ");
        word(&p, idl->interface, ".-");
        for (;;) {
                skip_blank(&p);
                if (!*p.at || !p.good)
                        break;
                parse_member(&p);
        }
        for (size_t i = 0; i < idl->ntypes && p.good; i++)
                if (idl->types[i].kind == IDL_NAMED &&
                    !idl_find(idl, IDL_TYPE, idl->types[i].named))
                        p.good = false;
        *where = p.at;
        return p.good ? 0 : -EBADMSG;
}

const struct idl_member *idl_find(const struct idl *idl, enum idl_role role, const char *name)
{
        for (size_t i = 0; i < idl->nmembers; i++)
                if (idl->members[i].role == role && strcmp(idl->members[i].name, name) == 0)
                        return &idl->members[i];
        return NULL;
}

/* ---- check ---- */

struct check {
        const struct idl *idl;
        char path[PATH_MAX_CHARS];
        char *why;
        size_t why_size;
};

static bool wrong(struct check *c, const char *what, const char *name)
{
        snprintf(c->why, c->why_size, "%s: %s%s", c->path[0] ? c->path : "(all)", what, name);
        return false;
}

static bool check(struct check *c, const struct idl_type *t, const json_t *value);

/* The same for a part, whose name goes to the path meanwhile. */
static bool check_part(struct check *c, const struct idl_type *t, const json_t *value,
                       const char *name)
{
        size_t length = strlen(c->path);
        bool good;

        snprintf(c->path + length, sizeof(c->path) - length, "%s%s", length ? "." : "", name);
        good = check(c, t, value);
        c->path[length] = '\0';
        return good;
}

static bool check_struct(struct check *c, const struct idl_type *t, const json_t *value)
{
        const struct idl_type *field;
        const char *key;
        json_t *part;

        if (!json_is_object(value))
                return wrong(c, "is no object", "");
        for (field = t->element; field; field = field->next) {
                part = json_object_get(value, field->name);
                if (!part)
                        return wrong(c, "lacks ", field->name);
                if (!check_part(c, field, part, field->name))
                        return false;
        }
        json_object_foreach((json_t *)value, key, part)
        {
                for (field = t->element; field && strcmp(field->name, key) != 0;)
                        field = field->next;
                if (!field)
                        return wrong(c, "has what is not declared: ", key);
        }
        return true;
}

static bool check_array(struct check *c, const struct idl_type *t, const json_t *value)
{
        json_t *part;
        size_t i;

        if (!json_is_array(value))
                return wrong(c, "is no array", "");
        json_array_foreach(value, i, part)
        {
                char name[24];

                snprintf(name, sizeof(name), "%zu", i);
                if (!check_part(c, t->element, part, name))
                        return false;
        }
        return true;
}

static bool check_map(struct check *c, const struct idl_type *t, const json_t *value)
{
        const char *key;
        json_t *part;

        if (!json_is_object(value))
                return wrong(c, "is no object", "");
        json_object_foreach((json_t *)value, key, part)
        {
                if (!check_part(c, t->element, part, key))
                        return false;
        }
        return true;
}

static bool check_enum(struct check *c, const struct idl_type *t, const json_t *value)
{
        if (!json_is_string(value))
                return wrong(c, "is no string", "");
        for (const struct idl_type *v = t->element; v; v = v->next)
                if (strcmp(v->name, json_string_value(value)) == 0)
                        return true;
        return wrong(c, "is not one of the declared values: ", json_string_value(value));
}

static bool check(struct check *c, const struct idl_type *t, const json_t *value)
{
        switch (t->kind) {
        case IDL_BOOL:
                return json_is_boolean(value) || wrong(c, "is no bool", "");
        case IDL_INT:
                return json_is_integer(value) || wrong(c, "is no int", "");
        case IDL_FLOAT:
                return json_is_number(value) || wrong(c, "is no float", "");
        case IDL_STRING:
                return json_is_string(value) || wrong(c, "is no string", "");
        case IDL_OBJECT:
                return json_is_object(value) || wrong(c, "is no object", "");
        case IDL_NAMED:
                return check(c, idl_find(c->idl, IDL_TYPE, t->named)->type, value);
        case IDL_MAYBE:
                return json_is_null(value) || check(c, t->element, value);
        case IDL_ARRAY:
                return check_array(c, t, value);
        case IDL_MAP:
                return check_map(c, t, value);
        case IDL_STRUCT:
                return check_struct(c, t, value);
        case IDL_ENUM:
                return check_enum(c, t, value);
        }
        return wrong(c, "is of no kind", "");
}

bool idl_check(const struct idl *idl, const struct idl_type *type, const json_t *value, char *why,
               size_t why_size)
{
        struct check c = {.idl = idl, .why = why, .why_size = why_size};

        return check(&c, type, value);
}
