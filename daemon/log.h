/* SPDX-License-Identifier: MIT */
/*
 * One line per message on stderr, with the priority in front in the form journald and others read
 * ("<4>...", sd-daemon(3)) when stderr is not a terminal's.  Never called from within a tick.
 */
#pragma once

#include <syslog.h>

void log_set_level(int level);             /* LOG_ERR .. LOG_DEBUG; default LOG_INFO */
int log_level_from_name(const char *name); /* -1: no such level */

void log_write(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
