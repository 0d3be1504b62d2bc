/* SPDX-License-Identifier: MIT */
/*
 * A parser of Varlink's interface definition language (varlink.org/Interface-Definition), and a
 * check of JSON against what it declares: every declared field must be there, nullable ones as null
 * when there is nothing to say, and no other.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define IDL_NAME_MAX    48
#define IDL_MAX_MEMBERS 64
#define IDL_MAX_TYPES   512

enum idl_kind {
        IDL_BOOL,
        IDL_INT,
        IDL_FLOAT,
        IDL_STRING,
        IDL_OBJECT,
        IDL_NAMED,  /* a type of the interface */
        IDL_MAYBE,  /* ?element */
        IDL_ARRAY,  /* []element */
        IDL_MAP,    /* [string]element */
        IDL_STRUCT, /* (name: element, ...): the fields are a list, by next */
        IDL_ENUM,   /* (name, ...) */
};

/* A type; as an element of a struct or an enum, with its name. */
struct idl_type {
        enum idl_kind kind;
        char name[IDL_NAME_MAX];  /* as a field or enum value */
        char named[IDL_NAME_MAX]; /* IDL_NAMED: which */
        struct idl_type *element; /* of MAYBE, ARRAY, MAP; the first of STRUCT and ENUM */
        struct idl_type *next;    /* field or value */
};

enum idl_role { IDL_TYPE, IDL_METHOD, IDL_ERROR };

struct idl_member {
        enum idl_role role;
        char name[IDL_NAME_MAX];
        struct idl_type *type;  /* of a type; parameters of an error; what goes into a method */
        struct idl_type *reply; /* of a method */
};

struct idl {
        char interface[IDL_NAME_MAX];
        struct idl_member members[IDL_MAX_MEMBERS];
        size_t nmembers;
        struct idl_type types[IDL_MAX_TYPES];
        size_t ntypes;
};

/* 0 or -EBADMSG; then *where is the place in the text. */
int idl_parse(struct idl *idl, const char *text, const char **where);

const struct idl_member *idl_find(const struct idl *idl, enum idl_role role, const char *name);

/* Is `value` of that type?  If not, `why` says where and how. */
bool idl_check(const struct idl *idl, const struct idl_type *type, const json_t *value, char *why,
               size_t why_size);
