/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "wire.h"

#define ERROR_TEXT_MAX 512
#define SAMPLING_PERIOD \
        "energatd's sampling period, which 'energat status' shows (0.01 s by default)"

struct connection {
        int fd;
        uint64_t used_ns; /* when it was last opened or sent something */
        struct wire_reader reader;
        json_t *sent; /* the parameters of the last call */
        char error_name[128];
        char error_text[ERROR_TEXT_MAX];
};

static int connect_to(int fd, const char *path, uint64_t timeout_ns)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct timeval limit = {
                .tv_sec = (time_t)(timeout_ns / NS_PER_S),
                .tv_usec = (suseconds_t)(timeout_ns % NS_PER_S / NS_PER_US),
        };

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);

        /* A daemon that no longer accepts has a full backlog: connect() would wait for ever. */
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        return 0;
}

int connection_open(struct connection **ret, const char *path, uint64_t timeout_ns)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        wire_reader_init(&c->reader, WIRE_MAX_REPLY);

        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                return -errno;
        r = connect_to(c->fd, path, timeout_ns);
        if (r < 0)
                return r;

        c->used_ns = clock_now_ns();
        *ret = c;
        c = NULL;
        return 0;
}

int connection_refresh(struct connection **c, const char *path, uint64_t timeout_ns)
{
        if (*c && clock_now_ns() < (*c)->used_ns + CONNECTION_KEEP_NS)
                return 0;
        connection_close(*c);
        *c = NULL;
        return connection_open(c, path, timeout_ns);
}

bool connection_same_pids(const struct connection *c)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        /* unix(7), pid_namespaces(7): a process that our namespace does not know has the pid 0 */
        return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid != 0;
}

void connection_close(struct connection *c)
{
        if (!c)
                return;
        if (c->fd >= 0)
                close(c->fd);
        wire_reader_deinit(&c->reader);
        json_decref(c->sent);
        free(c);
}

void connection_closep(struct connection **c)
{
        connection_close(*c);
}

int connection_fd(const struct connection *c)
{
        return c->fd;
}

/* The socket blocks for writing, no longer than SO_SNDTIMEO: a call is far smaller than its
 * buffer, so this waits only for a daemon that hangs. */
static int send_all(int fd, const char *bytes, size_t length)
{
        while (length > 0) {
                ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : errno == EPIPE ? -ECONNRESET : -errno;
                bytes += n;
                length -= (size_t)n;
        }
        return 0;
}

int connection_send(struct connection *c, const char *method, json_t *parameters, bool more)
{
        json_auto_t *call = NULL;
        char *text;
        size_t length;
        int r;

        call = json_pack("{s:s, s:O*}", "method", method, "parameters", parameters);
        if (!call || (more && json_object_set_new(call, "more", json_true()) < 0))
                return -ENOMEM;
        text = wire_encode(call, &length);
        if (!text)
                return -ENOMEM;
        json_decref(c->sent);
        c->sent = json_incref(parameters);
        c->used_ns = clock_now_ns();
        r = send_all(c->fd, text, length);
        free(text);
        return r;
}

static const char *string_of(const json_t *object, const char *key)
{
        const char *s = json_string_value(json_object_get(object, key));

        return s ? s : "";
}

static void list_strings(char *text, size_t size, const json_t *list)
{
        size_t used = 0, i;
        const json_t *item;

        text[0] = '\0';
        json_array_foreach(list, i, item)
        {
                const char *s = json_string_value(item);
                int n;

                if (!s)
                        continue;
                n = snprintf(text + used, size - used, "%s%s", used ? ", " : "", s);
                if (n < 0 || (size_t)n >= size - used)
                        return; /* cut short, and still a text */
                used += (size_t)n;
        }
}

static void error_no_such_process(struct connection *c, const json_t *p)
{
        snprintf(c->error_text, sizeof(c->error_text), "no process %lld",
                 (long long)json_integer_value(json_object_get(p, "pid")));
}

static void error_no_such_target(struct connection *c, const json_t *p)
{
        snprintf(c->error_text, sizeof(c->error_text), "energatd follows no target %lld of yours",
                 (long long)json_integer_value(json_object_get(p, "target")));
}

static void error_denied(struct connection *c, const json_t *p)
{
        snprintf(c->error_text, sizeof(c->error_text), "not allowed: %s (rule: %s)",
                 string_of(p, "reason"), string_of(p, "rule"));
}

static void error_busy(struct connection *c, const json_t *p)
{
        char processes[ERROR_TEXT_MAX / 2];

        list_strings(processes, sizeof(processes), json_object_get(p, "processes"));
        snprintf(c->error_text, sizeof(c->error_text), "%s%s%s", string_of(p, "reason"),
                 processes[0] ? "; busiest: " : "", processes);
}

static void error_too_many(struct connection *c, const json_t *p)
{
        snprintf(c->error_text, sizeof(c->error_text), "energatd has reached its limit of %lld %s",
                 (long long)json_integer_value(json_object_get(p, "limit")), string_of(p, "what"));
}

static void error_failed(struct connection *c, const json_t *p)
{
        snprintf(c->error_text, sizeof(c->error_text), "%s", string_of(p, "reason"));
}

static void error_method(struct connection *c, const json_t *p)
{
        snprintf(c->error_text, sizeof(c->error_text),
                 "this energatd does not know %s; it is another version than energat",
                 string_of(p, "method"));
}

/* What people know the parameters by, and the limits that only the daemon checks. */
static const struct {
        const char *parameter, *option, *limits;
} known_parameters[] = {
        {"interval_s", "--interval (calibrate: --base-period)", "at least " SAMPLING_PERIOD},
        {"period_s", "--base-period", "at least " SAMPLING_PERIOD ", and at most 3600 s"},
        {"windows", "--windows", "at most 1000"},
        {"gamma", "--gamma", "above 0, and at most 1"},
        {"delta", "--delta", "above 0, and at most 1"},
        {"model", "--model", "energat or additive"},
        {"name", "--name", "at most 256 bytes"},
};

static void error_parameter(struct connection *c, const json_t *p)
{
        const char *parameter = string_of(p, "parameter");
        const json_t *value = json_object_get(c->sent, parameter);
        char *value_text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        size_t i = 0;

        while (i < sizeof(known_parameters) / sizeof(known_parameters[0]) &&
               strcmp(known_parameters[i].parameter, parameter) != 0)
                i++;
        if (i < sizeof(known_parameters) / sizeof(known_parameters[0]))
                snprintf(c->error_text, sizeof(c->error_text),
                         "energatd does not accept %s for %s: it has to be %s",
                         value_text ? value_text : "this value", known_parameters[i].option,
                         known_parameters[i].limits);
        else
                snprintf(c->error_text, sizeof(c->error_text), "energatd does not accept %s for %s",
                         value_text ? value_text : "this value", parameter);
        free(value_text);
}

static const struct {
        const char *name;
        void (*text)(struct connection *c, const json_t *parameters);
} known_errors[] = {
        {"io.energat.NoSuchProcess", error_no_such_process},
        {"io.energat.NoSuchTarget", error_no_such_target},
        {"io.energat.Denied", error_denied},
        {"io.energat.Busy", error_busy},
        {"io.energat.TooMany", error_too_many},
        {"io.energat.Failed", error_failed},
        {"org.varlink.service.MethodNotFound", error_method},
        {"org.varlink.service.MethodNotImplemented", error_method},
        {"org.varlink.service.InvalidParameter", error_parameter},
};

static void keep_error(struct connection *c, const char *name, const json_t *parameters)
{
        snprintf(c->error_name, sizeof(c->error_name), "%s", name);
        c->error_text[0] = '\0';
        for (size_t i = 0; i < sizeof(known_errors) / sizeof(known_errors[0]); i++)
                if (strcmp(name, known_errors[i].name) == 0)
                        known_errors[i].text(c, parameters);
        if (!c->error_text[0])
                snprintf(c->error_text, sizeof(c->error_text), "energatd answered with error %s",
                         c->error_name);
}

/* Takes one reply apart: the result of connection_receive(). */
static int open_reply(struct connection *c, json_t *reply, json_t **ret, bool *continues)
{
        json_t *error = json_object_get(reply, "error");
        json_t *parameters = json_object_get(reply, "parameters");
        json_t *more = json_object_get(reply, "continues");

        if ((error && !json_is_string(error)) || (parameters && !json_is_object(parameters)) ||
            (more && !json_is_boolean(more)))
                return -EPROTO;
        if (error) {
                keep_error(c, json_string_value(error), parameters);
                return -EREMOTEIO;
        }
        if (continues)
                *continues = json_is_true(more);
        *ret = parameters ? json_incref(parameters) : json_object();
        return *ret ? 0 : -ENOMEM;
}

static int readable(int fd, uint64_t deadline_ns)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n;

        do {
                n = poll(&p, 1, clock_poll_timeout_ms(deadline_ns));
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

int connection_receive(struct connection *c, json_t **ret, bool *continues)
{
        for (;;) {
                json_auto_t *reply = NULL;
                int r;

                r = wire_reader_next(&c->reader, &reply);
                if (r == -EBADMSG)
                        return -EPROTO;
                if (r < 0)
                        return r;
                if (r > 0)
                        return open_reply(c, reply, ret, continues);

                r = readable(c->fd, 0);
                if (r < 0)
                        return r;
                if (r == 0)
                        return -EAGAIN;
                r = wire_reader_fill(&c->reader, c->fd);
                if (r == 0)
                        return -ECONNRESET;
                if (r == -EMSGSIZE)
                        return -EPROTO;
                if (r < 0)
                        return r;
        }
}

int connection_wait(struct connection *c, uint64_t deadline_ns, json_t **ret, bool *continues)
{
        for (;;) {
                int r = connection_receive(c, ret, continues);

                if (r != -EAGAIN)
                        return r;
                /* also for a peer that sends, byte by byte, what never becomes a message */
                if (clock_now_ns() >= deadline_ns)
                        return -ETIMEDOUT;
                r = readable(c->fd, deadline_ns);
                if (r < 0)
                        return r;
        }
}

int connection_call(struct connection *c, const char *method, json_t *parameters,
                    uint64_t timeout_ns, json_t **ret)
{
        int r;

        r = connection_send(c, method, parameters, false);
        if (r < 0)
                return r;
        return connection_wait(c, clock_now_ns() + timeout_ns, ret, NULL);
}

const char *connection_error_name(const struct connection *c)
{
        return c->error_name;
}

const char *connection_error_text(const struct connection *c)
{
        return c->error_text;
}

const char *connection_strerror(const struct connection *c, int error)
{
        switch (error) {
        case -EREMOTEIO:
                return connection_error_text(c);
        case -ECONNRESET:
                return "it went away";
        case -ETIMEDOUT:
                return "it does not answer";
        case -EPROTO:
                return "what it sends is not the protocol of energatd";
        default:
                return strerror(-error);
        }
}
