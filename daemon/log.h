/* SPDX-License-Identifier: MIT */
/*
 * One message, to the journal when that is where stderr goes (systemd.exec(5), JOURNAL_STREAM),
 * with fields of our own that a search can name; otherwise one line on stderr.
 *
 * Never called in the sampler's thread: whoever reads the log may be slow, and the tick would wait.
 */
#pragma once

#include <syslog.h>

void log_set_level(int level);             /* LOG_ERR .. LOG_DEBUG; default LOG_INFO */
int log_level_from_name(const char *name); /* -1: no such level */

/*
 * Kinds of events, as MESSAGE_ID= (sd-id128(3)); configs/energat.catalog explains each.
 */
#define EVENT_MEASURING      "4e3a029bee1ff35cf4d544fc45ffae7f"
#define EVENT_FAULT_BEGINS   "4c786524aae388605bc0d88de8b0ef0b"
#define EVENT_FAULT_ENDS     "c3bd700203eb276d34f721e62d92556b"
#define EVENT_BEGINS_ANEW    "4ba039799ee9145ffdb8788561c1569a"
#define EVENT_RELOADED       "423f0508a5d9ca4ec5aafdc3984ea731"
#define EVENT_RELOAD_REFUSED "f98ee7644b2610c47ee5f768c81608ec"
#define EVENT_STALLED        "5ea1279ee5cfc4be247aa5149b91f2e6"

/* What a message is about; NULL for what it is not. */
struct log_event {
        const char *id;     /* MESSAGE_ID=, one of EVENT_... */
        const char *domain; /* ENERGAT_DOMAIN=, as in GetStatus */
        const char *source; /* ENERGAT_SOURCE= */
        const char *fault;  /* ENERGAT_FAULT=, see fault_name() */
        const char *key;    /* ENERGAT_KEY=, of the configuration */
};

void log_event(int level, const struct log_event *event, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_write(level, ...) log_event(level, &(const struct log_event){0}, __VA_ARGS__)
#define log_error(...)        log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...)      log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)       log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)         log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)        log_write(LOG_DEBUG, __VA_ARGS__)
