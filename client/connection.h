/* SPDX-License-Identifier: MIT */
/*
 * A connection to energatd: Varlink calls over its Unix socket.
 *
 * Errors, besides those of the system:
 *   -ECONNRESET  the daemon has gone away
 *   -ETIMEDOUT   it did not answer in time
 *   -EPROTO      what it sent is not a Varlink reply of ours
 *   -EREMOTEIO   it answered with an error: connection_error_name() and _text() say which
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* How long an answer that needs no measuring may take. */
#define CONNECTION_TIMEOUT_NS UINT64_C(10000000000)

/* For a caller with other things to do: a daemon that accepts at all does so at once. */
#define CONNECTION_AT_ONCE_NS UINT64_C(10000000)

/* A connection that was not used for longer is not kept: the daemon closes idle ones
 * (server.idle_timeout, 120 s by default). */
#define CONNECTION_KEEP_NS UINT64_C(10000000000)

struct connection;

/*
 * 0, or the negative errno of socket(2) or connect(2); -ENAMETOOLONG: no socket can have that path.
 * No descriptor of it survives exec.  timeout_ns: how long a daemon that does not accept, and later
 * one that does not read, is waited for.
 */
int connection_open(struct connection **ret, const char *path, uint64_t timeout_ns);
/* Open *c anew when it was idle for so long that the daemon may have closed it, or is NULL. */
int connection_refresh(struct connection **c, const char *path, uint64_t timeout_ns);
void connection_close(struct connection *c);
void connection_closep(struct connection **c);

int connection_fd(const struct connection *c); /* to wait on for POLLIN */

/* Are the daemon's pids ours?  In a container they are not: /proc/PID is then of somebody else. */
bool connection_same_pids(const struct connection *c);

/* Send a call.  `parameters` may be NULL and stays the caller's; `more` asks for a stream. */
int connection_send(struct connection *c, const char *method, json_t *parameters, bool more);

/*
 * Take the next reply without waiting.  0: *ret is a new reference to its parameters, *continues
 * (may be NULL) says whether others follow; -EAGAIN: none yet.
 */
int connection_receive(struct connection *c, json_t **ret, bool *continues);

/* The same, waiting until `deadline_ns` (CLOCK_MONOTONIC). */
int connection_wait(struct connection *c, uint64_t deadline_ns, json_t **ret, bool *continues);

/* Send a call and wait for its one reply. */
int connection_call(struct connection *c, const char *method, json_t *parameters,
                    uint64_t timeout_ns, json_t **ret);

/* Of the last -EREMOTEIO: the error's name ("io.energat.Denied"), and it in plain words; valid
 * until the next call on the connection. */
const char *connection_error_name(const struct connection *c);
const char *connection_error_text(const struct connection *c);

/* Plain words for a negative result of any function above. */
const char *connection_strerror(const struct connection *c, int error);
