/* SPDX-License-Identifier: MIT */
/*
 * Many clients at once, good and bad, and what the honest ones among them see.
 *
 *     many_clients SOCKET DAEMON_PID SECONDS STREAMS COMING GARBAGE SILENT
 *
 * STREAMS follow this process at 1 s; COMING connect, ask, take the answer, leave and come again at
 * once, without end; GARBAGE send what is no call, are sent away, and come again; SILENT ask
 * without end and never read.  One more, a process of its own so that it never waits for this one,
 * asks 50 times a second.  Figures go to stdout as JSON: how long the last two kinds of honest
 * clients waited for an answer, what was not answered, and what it took of the daemon.
 *
 * In C because the load must not be what is slow: in Python it needed a core for itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"

#define NS_PER_MS       UINT64_C(1000000)
#define PROBE_PERIOD_NS (20 * NS_PER_MS)
#define ANSWER_LIMIT_NS (30 * NS_PER_S) /* an honest client that waits longer is not answered */
#define LOOK_PERIOD_NS  (500 * NS_PER_MS)
#define RETRY_MS        1 /* where the daemon's queue is full */
#define EVENTS_AT_ONCE  64
#define GARBAGE_BYTES   2000
#define CALLS_AT_ONCE   20 /* of those that never read */
#define MAX_GUESTS      4096
#define LOOK_TEXT_MAX   4096
#define ANSWER_BEGINS   "{\"parameters\":"
#define PERMILLE_OF_P50 500
#define PERMILLE_OF_P99 990

static const char get_info[] = "{\"method\":\"org.varlink.service.GetInfo\"}";
static const char describe[] = "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                               "\"parameters\":{\"interface\":\"io.energat\"}}";

enum kind { STREAM, COMING, GARBAGE, SILENT, KINDS };

struct guest {
        enum kind kind;
        int fd; /* -1: it has to come again */
        uint64_t begin_ns;
        uint64_t taken; /* bytes of this connection's answers */
        uint64_t replies;
};

/* How long each answer took. */
struct waits {
        uint64_t *ns;
        size_t n, size;
};

struct crowd {
        struct sockaddr_un address;
        int epoll_fd;
        struct guest guests[MAX_GUESTS];
        size_t nguests, naway;
        struct waits waits;                 /* of those that come and go */
        uint64_t unanswered, closed[KINDS]; /* closed by the daemon */
        uint64_t queue_full;
};

static void fail(const char *what)
{
        fprintf(stderr, "many_clients: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void waits_add(struct waits *w, uint64_t ns)
{
        if (w->n == w->size) {
                w->size = w->size ? 2 * w->size : 65536;
                w->ns = reallocarray(w->ns, w->size, sizeof(*w->ns));
                if (!w->ns)
                        fail("memory");
        }
        w->ns[w->n++] = ns;
}

/* ---- the crowd ---- */

static void send_as(struct crowd *c, struct guest *g)
{
        char text[GARBAGE_BYTES + CALLS_AT_ONCE * sizeof(describe)];
        size_t length = 0;
        ssize_t n;

        switch (g->kind) {
        case STREAM:
                length = (size_t)snprintf(text, sizeof(text),
                                          "{\"method\":\"io.energat.Follow\",\"more\":true,"
                                          "\"parameters\":{\"pid\":%d,\"interval_s\":1}}",
                                          (int)getpid()) +
                         1;
                break;
        case COMING:
                memcpy(text, get_info, length = sizeof(get_info));
                break;
        case GARBAGE:
                length = GARBAGE_BYTES;
                if (getrandom(text, length, 0) != (ssize_t)length)
                        fail("getrandom");
                text[length++] = '\0';
                break;
        default:
                for (size_t i = 0; i < CALLS_AT_ONCE; i++, length += sizeof(describe))
                        memcpy(text + length, describe, sizeof(describe));
        }
        n = send(g->fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        /* Whoever sends garbage may be sent away meanwhile, and a full socket is what SILENT
         * wants. */
        if (n != (ssize_t)length && (g->kind == STREAM || g->kind == COMING))
                c->unanswered++;
}

/* false: there is no place in the daemon's queue now */
static bool come(struct crowd *c, struct guest *g)
{
        /* SILENT is never read from, and only its end is of interest. */
        struct epoll_event event = {.events = g->kind == SILENT ? EPOLLOUT | EPOLLRDHUP : EPOLLIN,
                                    .data.ptr = g};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                fail("socket");
        if (connect(fd, (struct sockaddr *)&c->address, sizeof(c->address)) < 0) {
                if (errno != EAGAIN)
                        fail("connect");
                c->queue_full++;
                close(fd);
                return false;
        }
        g->fd = fd;
        g->taken = 0;
        if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                fail("epoll_ctl");
        send_as(c, g);
        return true;
}

static void leave(struct crowd *c, struct guest *g)
{
        close(g->fd);
        g->fd = -1;
        g->begin_ns = clock_now_ns();
        if (g->kind != STREAM && !come(c, g))
                c->naway++;
}

static void take(struct crowd *c, struct guest *g)
{
        char bytes[65536];
        ssize_t n = recv(g->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                c->closed[g->kind]++;
                c->unanswered += g->kind == COMING || g->kind == STREAM;
                leave(c, g);
                return;
        }
        if (g->kind == COMING && g->taken == 0 &&
            ((size_t)n < strlen(ANSWER_BEGINS) ||
             memcmp(bytes, ANSWER_BEGINS, strlen(ANSWER_BEGINS)) != 0))
                c->unanswered++;
        g->taken += (uint64_t)n;
        for (const char *at = bytes, *end = bytes + n; (at = memchr(at, '\0', (size_t)(end - at)));
             at++)
                g->replies++;
        if (g->kind == COMING && bytes[n - 1] == '\0') {
                waits_add(&c->waits, clock_now_ns() - g->begin_ns);
                leave(c, g);
        }
}

static void serve(struct crowd *c, const struct epoll_event *event)
{
        struct guest *g = event->data.ptr;

        if (g->kind != SILENT) {
                take(c, g);
        } else if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
                c->closed[SILENT]++;
                leave(c, g);
        } else {
                send_as(c, g);
        }
}

/* Serve what there is, for a millisecond at most. */
static void turn(struct crowd *c)
{
        struct epoll_event events[EVENTS_AT_ONCE];
        int n;

        for (size_t i = 0; c->naway > 0 && i < c->nguests; i++)
                if (c->guests[i].fd < 0 && c->guests[i].kind != STREAM && come(c, &c->guests[i]))
                        c->naway--;
        n = epoll_wait(c->epoll_fd, events, EVENTS_AT_ONCE, RETRY_MS);
        for (int i = 0; i < n; i++)
                serve(c, &events[i]);
}

static void invite(struct crowd *c, enum kind kind, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct guest *g = &c->guests[c->nguests++];

                *g = (struct guest){.kind = kind, .fd = -1, .begin_ns = clock_now_ns()};
                while (!come(c, g))
                        turn(c);
        }
}

/* ---- the honest client beside it ---- */

static void probe(const char *path, uint64_t end_ns, uint64_t *waits, size_t size)
{
        static const char *const methods[] = {"org.varlink.service.GetInfo",
                                              "io.energat.GetTotals"};
        const struct sched_param soon = {.sched_priority = 1};
        struct connection *c = NULL;
        size_t n = 0;

        /* So that it does not measure how long it waits for a CPU itself. */
        if (sched_setscheduler(0, SCHED_FIFO, &soon) < 0)
                _exit(1);
        if (connection_open(&c, path, CONNECTION_TIMEOUT_NS) < 0)
                _exit(1);
        while (clock_now_ns() < end_ns && n < size) {
                uint64_t begin_ns = clock_now_ns();
                const struct timespec rest = {.tv_nsec = PROBE_PERIOD_NS};
                json_t *reply = NULL;

                if (connection_call(c, methods[n % 2], NULL, ANSWER_LIMIT_NS, &reply) < 0)
                        _exit(1);
                waits[n++] = clock_now_ns() - begin_ns;
                json_decref(reply);
                nanosleep(&rest, NULL);
        }
        _exit(0);
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static json_t *waits_json(struct waits *w)
{
        if (w->n == 0)
                return json_null();
        qsort(w->ns, w->n, sizeof(*w->ns), compare);
        return json_pack("{s:I, s:f, s:f, s:f}", "answers", (json_int_t)w->n, "p50_s",
                         (double)w->ns[w->n * PERMILLE_OF_P50 / 1000] / NS_PER_S, "p99_s",
                         (double)w->ns[w->n * PERMILLE_OF_P99 / 1000] / NS_PER_S, "max_s",
                         (double)w->ns[w->n - 1] / NS_PER_S);
}

/* A file of /proc/PID. */
static const char *look(char text[LOOK_TEXT_MAX], const char *pid, const char *name)
{
        char path[64];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, LOOK_TEXT_MAX - 1);
        if (n < 0)
                fail(path);
        close(fd);
        text[n] = '\0';
        return text;
}

static uint64_t rss_kib(const char *pid)
{
        char text[LOOK_TEXT_MAX];
        const char *at = strstr(look(text, pid, "status"), "VmRSS:");

        return at ? strtoull(at + strlen("VmRSS:"), NULL, 10) : 0;
}

/* The thread that serves: how long it ran, and how long it was ready and had no CPU. */
struct scheduled {
        uint64_t ran_ns, waited_ns;
};

static struct scheduled scheduled(const char *pid)
{
        char text[LOOK_TEXT_MAX], *end;
        struct scheduled s;

        s.ran_ns = strtoull(look(text, pid, "schedstat"), &end, 10);
        s.waited_ns = strtoull(end, NULL, 10);
        return s;
}

static json_int_t ticks(const char *path, const char *key)
{
        struct connection *c = NULL;
        json_t *status = NULL;
        json_int_t n;

        if (connection_open(&c, path, CONNECTION_TIMEOUT_NS) < 0 ||
            connection_call(c, "io.energat.GetStatus", NULL, ANSWER_LIMIT_NS, &status) < 0)
                fail("GetStatus");
        n = json_integer_value(json_object_get(status, key));
        json_decref(status);
        connection_close(c);
        return n;
}

int main(int argc, char **argv)
{
        static struct crowd crowd;
        uint64_t end_ns, look_ns = 0, highest_kib = 0, fewest = UINT64_MAX, *probes;
        struct waits probed = {0};
        struct scheduled before, after;
        json_int_t missed;
        double seconds;
        pid_t prober;
        json_t *out;
        int status;

        if (argc != 8 || !((seconds = atof(argv[3])) > 0) ||
            strlen(argv[1]) >= sizeof(crowd.address.sun_path)) {
                fputs("usage: many_clients SOCKET DAEMON_PID SECONDS STREAMS COMING GARBAGE "
                      "SILENT\n",
                      stderr);
                return 2;
        }
        crowd.address.sun_family = AF_UNIX;
        strcpy(crowd.address.sun_path, argv[1]);
        crowd.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        probed.size = (size_t)(seconds * NS_PER_S / PROBE_PERIOD_NS) + 1;
        probed.ns = probes = mmap(NULL, probed.size * sizeof(*probes), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (crowd.epoll_fd < 0 || probes == MAP_FAILED)
                fail("start");
        for (int kind = STREAM; kind < KINDS; kind++)
                if (atoi(argv[4 + kind]) < 0 || atoi(argv[4 + kind]) > MAX_GUESTS / KINDS)
                        fail(argv[4 + kind]);
        invite(&crowd, STREAM, (size_t)atoi(argv[4 + STREAM]));
        missed = ticks(argv[1], "missed_ticks");
        before = scheduled(argv[2]);
        end_ns = clock_now_ns() + (uint64_t)(seconds * NS_PER_S);
        prober = fork();
        if (prober == 0)
                probe(argv[1], end_ns, probes, probed.size);
        if (prober < 0)
                fail("fork");
        for (int kind = COMING; kind < KINDS; kind++)
                invite(&crowd, (enum kind)kind, (size_t)atoi(argv[4 + kind]));
        while (clock_now_ns() < end_ns) {
                turn(&crowd);
                if (clock_now_ns() > look_ns + LOOK_PERIOD_NS) {
                        uint64_t kib = rss_kib(argv[2]);

                        look_ns = clock_now_ns();
                        highest_kib = kib > highest_kib ? kib : highest_kib;
                }
        }
        after = scheduled(argv[2]);
        missed = ticks(argv[1], "missed_ticks") - missed;
        if (waitpid(prober, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                crowd.unanswered++; /* the honest client beside it had to give up */
        while (probed.n < probed.size && probes[probed.n])
                probed.n++;
        for (size_t i = 0; i < crowd.nguests; i++) {
                const struct guest *g = &crowd.guests[i];

                if (g->kind == STREAM && g->replies < fewest)
                        fewest = g->replies;
                if (g->kind == COMING && clock_now_ns() - g->begin_ns > ANSWER_LIMIT_NS)
                        crowd.unanswered++;
        }
        out = json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I}", "asking",
                        waits_json(&probed), "coming", waits_json(&crowd.waits), "unanswered",
                        (json_int_t)crowd.unanswered, "fewest_intervals",
                        (json_int_t)(fewest == UINT64_MAX ? 0 : fewest), "garbage_closed",
                        (json_int_t)crowd.closed[GARBAGE], "silent_dropped",
                        (json_int_t)crowd.closed[SILENT], "queue_full",
                        (json_int_t)crowd.queue_full, "missed_ticks", missed, "daemon_ran_s",
                        (double)(after.ran_ns - before.ran_ns) / NS_PER_S, "daemon_waited_s",
                        (double)(after.waited_ns - before.waited_ns) / NS_PER_S, "rss_kib",
                        (json_int_t)highest_kib);
        json_dumpf(out, stdout, JSON_REAL_PRECISION(6));
        putchar('\n');
        return 0;
}
