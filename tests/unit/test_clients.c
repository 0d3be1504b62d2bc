/* SPDX-License-Identifier: MIT */
/* What connections may ask of the daemon, and in which order they get it.  The server is clients.c
 * on an event loop, the calls are those of org.varlink.service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clients.h"

#define CALL "{\"method\":\"org.varlink.service.GetInfo\"}" /* and its NUL */

#define ALICE     1000
#define BOB       1001
#define MAX_CALLS 10000
#define ROUNDS    20000 /* of the event loop, before a test gives up */

static struct server server;
static struct config config;

/* What connection_call() has seen. */
static uid_t asked_by[MAX_CALLS];
static unsigned int ncalls;
static struct timespec call_takes;
static bool never_answer;

void __real_connection_call(struct connection *c, json_t *message);
void __wrap_connection_call(struct connection *c, json_t *message);

void __wrap_connection_call(struct connection *c, json_t *message)
{
        assert_true(ncalls < MAX_CALLS);
        asked_by[ncalls++] = c->peer.uid;
        nanosleep(&call_takes, NULL);
        if (!never_answer) {
                __real_connection_call(c, message);
                return;
        }
        c->call = calloc(1, sizeof(*c->call));
        assert_non_null(c->call);
        c->call->connection = c;
}

static int setup(void **state)
{
        (void)state;
        ncalls = 0;
        call_takes = (struct timespec){0};
        never_answer = false;
        config_defaults(&config);
        server = (struct server){.config = &config, .epoll_fd = -1};
        assert_int_equal(sd_event_new(&server.event), 0);
        assert_true(sd_event_now(server.event, CLOCK_MONOTONIC, &(uint64_t){0}) >= 0);
        assert_true(clients_init(&server) >= 0);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        clients_deinit(&server);
        sd_event_unref(server.event);
        return 0;
}

static int come(uid_t uid, bool trusted)
{
        const struct peer peer = {.pid = 1, .uid = uid, .trusted = trusted};
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                         0);
        assert_int_equal(connection_new(&server, fds[0], &peer), 0);
        return fds[1];
}

/* Ask n times without waiting; how often the socket took it. */
static unsigned int ask(int fd, unsigned int n)
{
        for (unsigned int i = 0; i < n; i++)
                if (send(fd, CALL, sizeof(CALL), MSG_NOSIGNAL) != (ssize_t)sizeof(CALL))
                        return i;
        return n;
}

static unsigned int answers(int fd)
{
        static char bytes[65536];
        unsigned int n = 0;
        ssize_t got;

        while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
                for (ssize_t i = 0; i < got; i++)
                        n += bytes[i] == '\0';
        return n;
}

/* Until nothing is left to do just now. */
static void run(void)
{
        for (unsigned int i = 0; i < ROUNDS; i++)
                if (sd_event_run(server.event, 0) == 0)
                        return;
        fail_msg("the event loop turns without end");
}

static void all_that_is_asked_at_once_is_answered(void **state)
{
        const unsigned int n = 4000; /* more than a connection's buffer, and a socket's, take */
        unsigned int asked = 0, got = 0;
        int fd = come(ALICE, false);

        (void)state;
        for (unsigned int i = 0; i < ROUNDS && got < n; i++) {
                asked += ask(fd, n - asked);
                run();
                got += answers(fd);
        }
        assert_int_equal(got, n);
        close(fd);
}

static void one_call_is_between_any_two_of_another_user(void **state)
{
        enum { CONNECTIONS = 10, EACH = 50, OF_BOB = 5 };
        int alice[CONNECTIONS], bob, last = -1;
        unsigned int seen = 0;

        (void)state;
        for (unsigned int i = 0; i < CONNECTIONS; i++) {
                alice[i] = come(ALICE, false);
                assert_int_equal(ask(alice[i], EACH), EACH);
        }
        bob = come(BOB, false);
        assert_int_equal(ask(bob, OF_BOB), OF_BOB);
        run();
        assert_int_equal(ncalls, CONNECTIONS * EACH + OF_BOB);
        for (unsigned int i = 0; i < ncalls; i++) {
                if (asked_by[i] != BOB)
                        continue;
                assert_true((int)i - last <= 2);
                last = (int)i;
                seen++;
        }
        assert_int_equal(seen, OF_BOB);
        for (unsigned int i = 0; i < CONNECTIONS; i++)
                close(alice[i]);
        close(bob);
}

static void calls_that_take_their_time_leave_the_event_loop_its_turn(void **state)
{
        int fd = come(ALICE, false);

        (void)state;
        call_takes.tv_nsec = 2000000;
        assert_int_equal(ask(fd, 100), 100);
        assert_true(sd_event_run(server.event, 0) > 0);
        assert_in_range(ncalls, 1, 10);
        call_takes.tv_nsec = 0;
        run();
        assert_int_equal(answers(fd), 100);
        close(fd);
}

static void calls_behind_one_that_lasts_wait_in_the_socket(void **state)
{
        int fd = come(ALICE, false);

        (void)state;
        never_answer = true;
        for (unsigned int i = 0; i < ROUNDS && ask(fd, 1) == 1; i++)
                run();
        assert_int_equal(ncalls, 1);
        assert_int_equal(server.nconnections, 1);
        assert_true(server.connections->reader.size <= WIRE_MAX_CALL + 1);
        close(fd);
        run();
        assert_int_equal(server.nconnections, 0);
}

static void what_was_asked_before_hanging_up_is_done(void **state)
{
        int fd = come(ALICE, false);

        (void)state;
        assert_int_equal(ask(fd, 3), 3);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        run();
        assert_int_equal(answers(fd), 3);
        assert_int_equal(server.nconnections, 0);
        close(fd);
}

/* An answer longer than a socket takes. */
static bool answer(struct connection *c, size_t length)
{
        char *text = malloc(length);
        json_t *message;

        assert_non_null(text);
        memset(text, 'x', length);
        message = json_pack("{s:s#}", "x", text, (int)length);
        free(text);
        return connection_send(c, message);
}

static void what_waits_for_a_user_is_bounded_over_all_connections(void **state)
{
        enum { CONNECTIONS = 20, LONG = SERVER_MAX_OUTPUT_PER_USER / 4 };
        int fds[CONNECTIONS], bob;
        struct connection *first = NULL;
        unsigned int sent = 0;

        (void)state;
        for (unsigned int i = 0; i < CONNECTIONS; i++) {
                fds[i] = come(ALICE, false);
                first = i == 0 ? server.connections : first;
                sent += answer(server.connections, LONG);
        }
        assert_in_range(sent, 1, 4);
        assert_true(first->user->output <= SERVER_MAX_OUTPUT_PER_USER);
        /* another user is not touched, and one answer may be longer than all */
        assert_int_equal(server.nconnections, sent);
        bob = come(BOB, false);
        assert_true(answer(server.connections, 2 * SERVER_MAX_OUTPUT_PER_USER));
        close(bob);
        for (unsigned int i = 0; i < CONNECTIONS; i++)
                close(fds[i]);
}

static void who_takes_a_little_now_and_then_is_not_waited_for_for_ever(void **state)
{
        int slow = come(ALICE, false), steady = come(BOB, false);
        struct connection *c = server.connections;
        char byte[4096];

        (void)state;
        assert_int_equal(c->peer.uid, BOB);
        assert_true(answer(c, SERVER_MAX_OUTPUT_PER_USER / 4));
        c = c->next;
        assert_true(answer(c, SERVER_MAX_OUTPUT_PER_USER / 4));
        c->behind_us -= (SERVER_BEHIND_S + 1) * 1000000ull; /* it takes something all the time */
        assert_int_equal(recv(slow, byte, sizeof(byte), 0), sizeof(byte));
        for (unsigned int i = 0; i < 20 && server.nconnections == 2; i++)
                assert_true(sd_event_run(server.event, 500000) >= 0);
        assert_int_equal(server.nconnections, 1);
        assert_int_equal(server.connections->peer.uid, BOB);
        close(slow);
        close(steady);
}

static void places_are_kept_for_those_who_administer(void **state)
{
        int fds[3];

        (void)state;
        server.nconnections = SERVER_MAX_CONNECTIONS - SERVER_KEPT_CONNECTIONS - 1;
        fds[0] = come(ALICE, false);
        assert_int_equal(server.connections->refused, 0);
        fds[1] = come(ALICE, false);
        assert_int_equal(server.connections->refused,
                         SERVER_MAX_CONNECTIONS - SERVER_KEPT_CONNECTIONS);
        fds[2] = come(0, true);
        assert_int_equal(server.connections->refused, 0);
        for (unsigned int i = 0; i < 3; i++)
                close(fds[i]);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(all_that_is_asked_at_once_is_answered),
                TEST(one_call_is_between_any_two_of_another_user),
                TEST(calls_that_take_their_time_leave_the_event_loop_its_turn),
                TEST(calls_behind_one_that_lasts_wait_in_the_socket),
                TEST(what_was_asked_before_hanging_up_is_done),
                TEST(what_waits_for_a_user_is_bounded_over_all_connections),
                TEST(who_takes_a_little_now_and_then_is_not_waited_for_for_ever),
                TEST(places_are_kept_for_those_who_administer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
