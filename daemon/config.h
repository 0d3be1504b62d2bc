/* SPDX-License-Identifier: MIT */
/*
 * The daemon's configuration: defaults, then the file (INI: [section], key = value, # or ;
 * comments), then the command line.  Every key is one row of the table in config.c, with its type,
 * bounds and default; an unknown key is a warning that names file, line and key, a bad value an
 * error that does.
 *
 * config.c has the keys, config_value.c what a value of each type may be, config_file.c the file.
 * The configuration of a daemon that runs, and its reloading, is configuration.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_PATH_MAX 4096
#define CONFIG_USER_MAX 33 /* login names have 32 bytes at most, useradd(8) */
#define CONFIG_MAX_KEYS 64
#define CONFIG_WORD_MAX 16 /* of a key that takes one of several words */

enum config_origin { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_OPTION };

/* Where the value of a key comes from. */
struct config_place {
        enum config_origin origin;
        unsigned int line; /* of the file */
};

struct config {
        /* [energy] */
        char source[CONFIG_WORD_MAX];
        char powercap_root[CONFIG_PATH_MAX];
        double estimate_idle_w;
        double estimate_busy_w;
        /* [sampling] */
        uint64_t tick_ns; /* sampling.period, seconds in the file: 1 ms to 10 s, default 10 ms */
        uint64_t interval_ns; /* model.interval: window of the gamma model, default 1 s */
        /* [model] */
        char model[CONFIG_WORD_MAX]; /* energat | additive: which value is a report's first */
        double gamma;                /* (0, 1], default 0.3 */
        double delta;                /* (0, 1], default 0.2 */
        /* [accounting] */
        char probe[CONFIG_WORD_MAX]; /* auto | bpf | proc */
        uint32_t max_processes;      /* rows of the BPF table; rounded up to a power of two */
        bool irq;
        /* [server] */
        char socket[CONFIG_PATH_MAX];
        char state_dir[CONFIG_PATH_MAX];
        char log_level[CONFIG_WORD_MAX]; /* debug | info | notice | warning | err */
        uint64_t idle_timeout_ns;        /* of a connection that asks nothing */
        /* [access] */
        char access_group[CONFIG_USER_MAX]; /* whose members see everything */
        uint64_t access_interval_ns;        /* others: the finest step */
        bool access_own_processes;          /* others may follow their own processes */
        /* [daemon] */
        char user[CONFIG_USER_MAX]; /* who energatd becomes when it was started by root */

        /* after all values: by key, in the order of the table */
        struct config_place places[CONFIG_MAX_KEYS];
};

void config_defaults(struct config *c);

/*
 * Read a file over what is in *c.  Messages, one a line ("FILE:LINE: KEY: what is wrong; what is
 * right"), go to `messages`.  0, or -EINVAL when a value is bad or a line malformed (then *c is
 * unchanged), or another negative errno when the file cannot be read.
 */
int config_load(struct config *c, const char *path, FILE *messages);

/* The same from an open stream, `name` standing for the file in messages. */
int config_parse(struct config *c, FILE *stream, const char *name, FILE *messages);

/*
 * Set one "section.key" from the text of a command line's option.  -ENOENT: no such key; -EINVAL:
 * bad value, `why` says.
 */
int config_set(struct config *c, const char *key, const char *value, char *why, size_t why_size);

/* Is it one of the words that "section.key" takes? */
bool config_has_choice(const char *key, const char *value);

/* ---- key by key, by number ---- */

size_t config_nkeys(void);
const char *config_section(size_t i);
const char *config_key(size_t i); /* without its section */
/* A reload brings it into force; any other key waits for a restart. */
bool config_is_live(size_t i);
/* The value as it stands in a file. */
void config_value(const struct config *c, size_t i, char text[CONFIG_PATH_MAX]);
/* Take one value, and where it comes from, over from another configuration. */
void config_copy_value(struct config *to, const struct config *from, size_t i);
