/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "wire.h"

#define GROUP_NAME     "energat"
#define MAX_GROUPS     1024
#define SOCKET_MODE    0666 /* anyone may ask; what they are told is another matter */
#define EVENTS_AT_ONCE 64
#define LISTEN_QUEUE   128

struct connection {
        struct server *server;
        struct connection *next, *prev;
        int fd;
        uint32_t events; /* that are waited for */
        struct wire_reader reader;
        struct peer peer;
        struct call *call;
        char *output;
        size_t output_used, output_sent;
        int refused;     /* the limit that it is above; 0: it is served */
        bool closing;    /* after the output is sent */
        bool processing; /* connection_process() is at work on it, and frees it */
        bool dead;
};

/* A user who is connected. */
struct user {
        struct user *next;
        uid_t uid;
        unsigned int nconnections;
};

static void connection_process(struct connection *c);

/* ---- users ---- */

static struct user *user_get(struct server *s, uid_t uid)
{
        struct user *u;

        for (u = s->users; u; u = u->next)
                if (u->uid == uid)
                        return u;
        u = calloc(1, sizeof(*u));
        if (!u)
                return NULL;
        u->uid = uid;
        u->next = s->users;
        s->users = u;
        return u;
}

static void user_leave(struct server *s, uid_t uid)
{
        for (struct user **at = &s->users; *at; at = &(*at)->next) {
                struct user *u = *at;

                if (u->uid != uid)
                        continue;
                if (--u->nconnections == 0) {
                        *at = u->next;
                        free(u);
                }
                return;
        }
}

/* ---- connections ---- */

static void connection_free(struct connection *c)
{
        struct server *s = c->server;

        if (c->call) {
                struct call *call = c->call;

                call->connection = NULL;
                c->call = NULL;
                if (call->gone)
                        call->gone(call);
                else
                        call_free(call);
        }
        if (c->prev)
                c->prev->next = c->next;
        else
                s->connections = c->next;
        if (c->next)
                c->next->prev = c->prev;
        s->nconnections--;
        s->nrefused -= c->refused != 0;
        user_leave(s, c->peer.uid);
        close(c->fd); /* which takes it out of the epoll set, too */
        wire_reader_deinit(&c->reader);
        free(c->output);
        c->dead = true;
        if (!c->processing)
                free(c);
}

static void connection_drop(struct connection *c, const char *why)
{
        log_info("dropping a client of user %u (process %d): %s", c->peer.uid, c->peer.pid, why);
        connection_free(c);
}

static int connection_wait_for(struct connection *c, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = c};
        int r = 0;

        if (events != c->events)
                r = epoll_ctl(c->server->epoll_fd, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd,
                              &event);
        c->events = events;
        return r < 0 ? -errno : 0;
}

/* Write what can be written.  false: the connection is gone. */
static bool connection_flush(struct connection *c)
{
        while (c->output_sent < c->output_used) {
                ssize_t n = send(c->fd, c->output + c->output_sent, c->output_used - c->output_sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN) {
                        connection_wait_for(c, EPOLLIN | EPOLLOUT);
                        return true;
                }
                if (n < 0) {
                        connection_free(c);
                        return false;
                }
                c->output_sent += (size_t)n;
        }
        c->output_used = c->output_sent = 0;
        connection_wait_for(c, EPOLLIN);
        if (c->closing) {
                connection_free(c);
                return false;
        }
        return true;
}

/* Queue one message.  false: the connection is gone. */
static bool connection_send(struct connection *c, json_t *message)
{
        size_t length;
        char *text = wire_encode(message, &length), *output;

        json_decref(message);
        if (!text) {
                connection_drop(c, "out of memory");
                return false;
        }
        /* One long answer is no backlog. */
        if (c->output_used > c->output_sent &&
            c->output_used - c->output_sent + length > SERVER_MAX_OUTPUT) {
                free(text);
                connection_drop(c, "it does not read its answers");
                return false;
        }
        if (c->output_sent) {
                memmove(c->output, c->output + c->output_sent, c->output_used - c->output_sent);
                c->output_used -= c->output_sent;
                c->output_sent = 0;
        }
        output = realloc(c->output, c->output_used + length);
        if (!output) {
                free(text);
                connection_drop(c, "out of memory");
                return false;
        }
        c->output = output;
        memcpy(output + c->output_used, text, length);
        c->output_used += length;
        free(text);
        return connection_flush(c);
}

static void connection_serve(struct connection *c, uint32_t events)
{
        int r;

        if (events & EPOLLOUT && !connection_flush(c))
                return;
        if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                return;
        r = wire_reader_fill(&c->reader, c->fd);
        if (r == -EMSGSIZE)
                connection_drop(c, "its message is too long");
        else if (r == 0 || (r < 0 && r != -EAGAIN && r != -EINTR))
                connection_free(c);
        else
                connection_process(c);
}

/*
 * Connections have an epoll set of their own, which is one source to sd-event: that looks at
 * everything that is ready before each single thing it does, and would need seconds when thousands
 * hang up at once.
 */
static int on_connections(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct epoll_event events[EVENTS_AT_ONCE];
        int n = epoll_wait(fd, events, EVENTS_AT_ONCE, 0);

        (void)source;
        (void)revents;
        (void)userdata;
        /* Serving a connection frees no other one. */
        for (int i = 0; i < n; i++)
                connection_serve(events[i].data.ptr, events[i].events);
        return 0;
}

/* ---- calls ---- */

const struct peer *call_peer(const struct call *call)
{
        static const struct peer gone = {.uid = (uid_t)-1};

        return call->connection ? &call->connection->peer : &gone;
}

void call_free(struct call *call)
{
        if (call->connection)
                call->connection->call = NULL;
        json_decref(call->parameters);
        free(call);
}

static void call_answer(struct call *call, json_t *message, bool last)
{
        struct connection *c = call->connection;
        bool silent = call->oneway;

        if (last)
                call_free(call);
        if (!c || silent) {
                json_decref(message);
        } else if (!connection_send(c, message)) {
                return;
        }
        if (last && c)
                connection_process(c);
}

void call_reply(struct call *call, json_t *parameters, bool continues)
{
        json_t *message = json_pack("{s:o}", "parameters", parameters);

        continues = continues && call->more;
        if (continues)
                json_object_set_new(message, "continues", json_true());
        call_answer(call, message, !continues);
}

void call_error(struct call *call, const char *error, json_t *parameters)
{
        json_t *message = json_pack("{s:s, s:o}", "error", error, "parameters",
                                    parameters ? parameters : json_object());

        call_answer(call, message, true);
}

void call_invalid_parameter(struct call *call, const char *parameter)
{
        call_error(call, "org.varlink.service.InvalidParameter",
                   json_pack("{s:s}", "parameter", parameter));
}

/* ---- org.varlink.service (varlink.org/Service) ---- */

static const char service_interface[] =
        "# The Varlink Service Interface is provided by every varlink service. It\n"
        "# describes the service and the interfaces it implements.\n"
        "interface org.varlink.service\n"
        "\n"
        "# Get a list of all the interfaces a service provides and information\n"
        "# about the implementation.\n"
        "method GetInfo() -> (\n"
        "  vendor: string,\n"
        "  product: string,\n"
        "  version: string,\n"
        "  url: string,\n"
        "  interfaces: []string\n"
        ")\n"
        "\n"
        "# Get the description of an interface that is implemented by this service.\n"
        "method GetInterfaceDescription(interface: string) -> (description: string)\n"
        "\n"
        "error InterfaceNotFound (interface: string)\n"
        "error MethodNotFound (method: string)\n"
        "error MethodNotImplemented (method: string)\n"
        "error InvalidParameter (parameter: string)\n";

static void method_info(struct call *call)
{
        call_reply(call,
                   json_pack("{s:s, s:s, s:s, s:s, s:[ss]}", "vendor", "energat", "product",
                             "energatd", "version", ENERGAT_VERSION, "url", "io.energat",
                             "interfaces", "org.varlink.service", "io.energat"),
                   false);
}

static void method_description(struct call *call)
{
        const char *name = json_string_value(json_object_get(call->parameters, "interface"));

        if (!name)
                call_invalid_parameter(call, "interface");
        else if (strcmp(name, "io.energat") == 0)
                call_reply(call, json_pack("{s:s}", "description", energat_interface), false);
        else if (strcmp(name, "org.varlink.service") == 0)
                call_reply(call, json_pack("{s:s}", "description", service_interface), false);
        else
                call_error(call, "org.varlink.service.InterfaceNotFound",
                           json_pack("{s:s}", "interface", name));
}

static const struct method service_methods[] = {
        {"GetInfo", method_info},
        {"GetInterfaceDescription", method_description},
        {NULL, NULL},
};

static const struct {
        const char *name;
        const struct method *methods;
} interfaces[] = {
        {"org.varlink.service", service_methods},
        {"io.energat", energat_methods},
};

static void call_dispatch(struct call *call, const char *full_name)
{
        const char *dot = strrchr(full_name, '.');
        size_t length = dot ? (size_t)(dot - full_name) : 0;

        for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
                if (strlen(interfaces[i].name) != length ||
                    memcmp(interfaces[i].name, full_name, length) != 0)
                        continue;
                for (const struct method *m = interfaces[i].methods; m->name; m++) {
                        if (strcmp(m->name, full_name + length + 1) == 0) {
                                m->run(call);
                                return;
                        }
                }
                call_error(call, "org.varlink.service.MethodNotFound",
                           json_pack("{s:s}", "method", full_name));
                return;
        }
        call_error(call, "org.varlink.service.InterfaceNotFound",
                   json_pack("{s:s#}", "interface", full_name, (int)length));
}

/* One call from a message. */
static void connection_call(struct connection *c, json_t *message)
{
        const char *method = json_string_value(json_object_get(message, "method"));
        json_t *parameters = json_object_get(message, "parameters");
        struct call *call;

        if (!method || (parameters && !json_is_object(parameters))) {
                connection_drop(c, "it sends what is no Varlink call");
                return;
        }
        call = calloc(1, sizeof(*call));
        if (!call) {
                connection_drop(c, "out of memory");
                return;
        }
        call->server = c->server;
        call->connection = c;
        call->more = json_is_true(json_object_get(message, "more"));
        call->oneway = json_is_true(json_object_get(message, "oneway"));
        call->parameters = parameters ? json_incref(parameters) : json_object();
        c->call = call;
        if (c->refused) {
                c->closing = true;
                call_error(call, "io.energat.TooMany",
                           json_pack("{s:s, s:i}", "what", "connections", "limit", c->refused));
                return;
        }
        call_dispatch(call, method);
}

/*
 * Serve the calls that have arrived.  A method that answers at once comes back here through
 * call_answer(); `processing` turns that recursion into this loop, and keeps the connection's
 * memory until its end.
 */
static void connection_process(struct connection *c)
{
        if (c->processing)
                return;
        c->processing = true;
        while (!c->dead && !c->call && !c->closing) {
                json_t *message;
                int r = wire_reader_next(&c->reader, &message);

                if (r == 0)
                        break;
                if (r < 0) {
                        connection_drop(c, "it sends what is no Varlink message");
                        break;
                }
                connection_call(c, message);
                json_decref(message);
        }
        c->processing = false;
        if (c->dead)
                free(c);
}

/* ---- who it is ---- */

static bool in_group(int fd, const struct ucred *cred)
{
        static gid_t groups[MAX_GROUPS];
        socklen_t size = sizeof(groups);
        const struct group *group = getgrnam(GROUP_NAME);

        if (!group)
                return false;
        if (cred->gid == group->gr_gid)
                return true;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false;
        for (size_t i = 0; i < size / sizeof(groups[0]); i++)
                if (groups[i] == group->gr_gid)
                        return true;
        return false;
}

/* Which limit a new client of `user` is above, or 0. */
static int limit_reached(const struct server *s, const struct user *user)
{
        if (s->nconnections >= SERVER_MAX_CONNECTIONS)
                return SERVER_MAX_CONNECTIONS;
        if (user->uid != 0 && user->nconnections >= SERVER_MAX_CONNECTIONS_PER_USER)
                return SERVER_MAX_CONNECTIONS_PER_USER;
        return 0;
}

static int connection_new(struct server *s, int fd, const struct ucred *cred)
{
        struct user *user = user_get(s, cred->uid);
        int refused = user ? limit_reached(s, user) : 0;
        struct connection *c;

        if (!user)
                return -ENOMEM;
        c = refused && s->nrefused >= SERVER_MAX_REFUSALS ? NULL : calloc(1, sizeof(*c));
        if (!c) {
                user->nconnections++;
                user_leave(s, cred->uid);
                return -ENOMEM;
        }
        c->server = s;
        c->fd = fd;
        c->refused = refused;
        c->peer = (struct peer){.pid = cred->pid,
                                .uid = cred->uid,
                                .trusted = cred->uid == 0 || in_group(fd, cred)};
        wire_reader_init(&c->reader, WIRE_MAX_CALL);
        user->nconnections++;
        if (connection_wait_for(c, EPOLLIN) < 0) {
                user_leave(s, cred->uid);
                free(c);
                return -ENOMEM;
        }
        c->next = s->connections;
        if (c->next)
                c->next->prev = c;
        s->connections = c;
        s->nconnections++;
        s->nrefused += c->refused != 0;
        return 0;
}

/*
 * No descriptor is left for the client that waits: give up the spare one, take the client, tell it,
 * and send it away.  Left waiting, it would keep the event loop turning.
 */
static void refuse_without_descriptor(struct server *s)
{
        static const char answer[] =
                "{\"error\":\"io.energat.TooMany\",\"parameters\":"
                "{\"what\":\"connections: energatd has no file descriptor left\","
                "\"limit\":0}}";
        int fd;

        if (s->spare_fd < 0)
                return;
        close(s->spare_fd);
        fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
                (void)send(fd, answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
                close(fd);
        }
        s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct server *s = userdata;
        struct ucred cred;
        socklen_t size = sizeof(cred);
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)source;
        (void)events;
        if (client < 0) {
                if (errno == EMFILE || errno == ENFILE)
                        refuse_without_descriptor(s);
                return 0;
        }
        if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 ||
            connection_new(s, client, &cred) < 0)
                close(client);
        return 0;
}

/* ---- faults of the meter ---- */

/* Each fault is one line in the log when it begins and one when it ends, however long it lasts. */
static void on_fault_news(struct letter *letter)
{
        struct fault_news *news = (struct fault_news *)(void *)letter;
        struct server *s = news->owner;
        const struct domain *domains;
        size_t n = meter_domains(sampler_meter(s->sampler), &domains);
        char text[256];

        for (size_t i = 0; i < n && i < news->ndomains; i++) {
                const struct fault *now = &news->faults[i];

                if (now->kind != s->faults[i].kind && now->kind != FAULT_NONE) {
                        fault_text(now, text, sizeof(text));
                        log_warning("domain %s %s", domains[i].label, text);
                } else if (now->kind != s->faults[i].kind) {
                        log_notice("domain %s is well again, after %llu faulty readings in all",
                                   domains[i].label, (unsigned long long)now->count);
                }
                s->faults[i] = *now;
        }
        fault_news_taken(news);
}

/* ---- life ---- */

static int on_mailbox(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct server *s = userdata;

        (void)source;
        (void)fd;
        (void)events;
        mailbox_deliver(&s->mailbox);
        return 0;
}

struct source_config source_config_of(const struct config *config)
{
        return (struct source_config){.powercap_root = config->powercap_root,
                                      .sysfs_root = "/sys",
                                      .dev_root = "/dev",
                                      .estimate_idle_w = config->estimate_idle_w,
                                      .estimate_busy_w = config->estimate_busy_w};
}

int server_new(struct server **ret, sd_event *event, const struct config *config,
               const struct topology *topology, struct sampler *sampler)
{
        struct server *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = event;
        s->config = config;
        s->topology = topology;
        s->sampler = sampler;
        s->listen_fd = -1;
        s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        s->fault_news = (struct fault_news){
                .letter.deliver = on_fault_news, .mailbox = &s->mailbox, .owner = s};
        sampler_tell_faults(sampler, &s->fault_news);
        s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = s->epoll_fd < 0 ? -errno : mailbox_init(&s->mailbox);
        if (r >= 0)
                r = sd_event_add_io(event, &s->mailbox_source, s->mailbox.fd, EPOLLIN, on_mailbox,
                                    s);
        if (r >= 0)
                r = sd_event_add_io(event, &s->epoll_source, s->epoll_fd, EPOLLIN, on_connections,
                                    s);
        if (r < 0) {
                server_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

void server_free(struct server *s)
{
        if (!s)
                return;
        while (s->connections)
                connection_free(s->connections);
        /* The sampler has stopped: its last letters end what was followed.  A survey ends by
         * itself. */
        if (s->mailbox.fd >= 0)
                mailbox_deliver(&s->mailbox);
        while (s->nsurveys) {
                struct pollfd wait = {.fd = s->mailbox.fd, .events = POLLIN};

                if (poll(&wait, 1, -1) >= 0)
                        mailbox_deliver(&s->mailbox);
        }
        sd_event_source_disable_unref(s->listen_source);
        sd_event_source_disable_unref(s->mailbox_source);
        sd_event_source_disable_unref(s->source_timer);
        sd_event_source_disable_unref(s->epoll_source);
        if (s->epoll_fd >= 0)
                close(s->epoll_fd);
        if (s->listen_fd >= 0)
                close(s->listen_fd);
        if (s->spare_fd >= 0)
                close(s->spare_fd);
        if (s->path)
                unlink(s->path);
        mailbox_deinit(&s->mailbox);
        free(s->path);
        free(s->baseline);
        free(s);
}

/* Does a daemon answer there? */
static bool socket_is_live(const struct sockaddr_un *address)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool live;

        if (fd < 0)
                return false;
        live = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
        close(fd);
        return live;
}

int server_listen(struct server *s, const char *path, char *why, size_t why_size)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct stat st;
        int r;

        if (strlen(path) >= sizeof(address.sun_path)) {
                snprintf(why, why_size,
                         "%s: the path is longer than the %zu bytes a socket's may have", path,
                         sizeof(address.sun_path) - 1);
                return -ENAMETOOLONG;
        }
        strcpy(address.sun_path, path);
        if (lstat(path, &st) == 0) {
                if (!S_ISSOCK(st.st_mode)) {
                        snprintf(why, why_size, "%s: there is something that is no socket", path);
                        return -EEXIST;
                }
                if (socket_is_live(&address)) {
                        snprintf(why, why_size, "%s: another energatd answers there", path);
                        return -EADDRINUSE;
                }
                if (unlink(path) < 0) {
                        r = -errno;
                        snprintf(why, why_size, "%s: cannot remove the stale socket: %s", path,
                                 strerror(-r));
                        return r;
                }
        }
        s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->listen_fd < 0 ||
            bind(s->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            chmod(path, SOCKET_MODE) < 0 || listen(s->listen_fd, LISTEN_QUEUE) < 0) {
                r = -errno;
                snprintf(why, why_size, "%s: %s", path, strerror(-r));
                return r;
        }
        s->path = strdup(path);
        return sd_event_add_io(s->event, &s->listen_source, s->listen_fd, EPOLLIN, on_listen, s);
}
