/* SPDX-License-Identifier: MIT */
/*
 * A target's ring of reports, between the sampler's side and the server's.  Also built with
 * ThreadSanitizer, see CMakeLists.txt.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "processes.h"
#include "target.h"

#define NSOCKETS    2
#define INTERVALS   20000u
#define PATIENCE_MS 20000

static const struct accounts accounts = {
        .n = 3,
        .nslots = 4,
        .nsockets = NSOCKETS,
        .nsums = 3 * SUM_COLUMNS + SUM_MACHINE_COLUMNS + 5,
};

static struct mailbox mailbox;
static struct target *target;
static unsigned int nnews, nfarewells;

static void on_news(struct letter *letter)
{
        assert_ptr_equal(letter, &target->news);
        nnews++;
}

static void on_farewell(struct letter *letter)
{
        assert_ptr_equal(letter, &target->farewell);
        nfarewells++;
}

static int setup(void **state)
{
        nnews = nfarewells = 0;
        assert_int_equal(mailbox_init(&mailbox), 0);
        assert_int_equal(target_new(&target, &accounts, &mailbox, NULL), 0);
        target->news.deliver = on_news;
        target->farewell.deliver = on_farewell;
        return 0;
}

static int teardown(void **state)
{
        target_free(target);
        mailbox_deinit(&mailbox);
        return 0;
}

static bool send_numbered(uint64_t number, bool final)
{
        struct report *r = target_report(target, final);

        if (!r)
                return false;
        r->event = final ? REPORT_FINAL : REPORT_INTERVAL;
        r->start_ns = number;
        for (unsigned int i = 0; i < NSOCKETS; i++)
                r->sockets[i].cpu_ns = number * 10 + i;
        target_send(target, final);
        return true;
}

static void expect_numbered(uint64_t number, bool final)
{
        const struct report *r = target_peek(target);

        assert_non_null(r);
        assert_int_equal(r->event, final ? REPORT_FINAL : REPORT_INTERVAL);
        assert_int_equal(r->start_ns, number);
        assert_int_equal(r->nsockets, NSOCKETS);
        for (unsigned int i = 0; i < NSOCKETS; i++)
                assert_int_equal(r->sockets[i].cpu_ns, number * 10 + i);
        target_next(target);
}

static void the_ring_keeps_a_place_for_the_final_report(void **state)
{
        unsigned int sent = 0;

        /* nobody reads */
        while (send_numbered(sent, false))
                sent++;
        assert_int_equal(sent, TARGET_REPORTS - 1);
        assert_true(send_numbered(99, true));
        assert_null(target_report(target, true));
        /* all of them are there, in order */
        for (unsigned int i = 0; i < sent; i++)
                expect_numbered(i, false);
        expect_numbered(99, true);
        assert_null(target_peek(target));
}

static void places_that_were_read_serve_again(void **state)
{
        assert_null(target_peek(target));
        for (uint64_t i = 0; i < 10 * TARGET_REPORTS; i++) {
                assert_true(send_numbered(2 * i, false));
                assert_true(send_numbered(2 * i + 1, false));
                expect_numbered(2 * i, false);
                expect_numbered(2 * i + 1, false);
        }
        /* a report that was only looked at still has its place */
        while (send_numbered(0, false))
                ;
        assert_non_null(target_peek(target));
        assert_null(target_report(target, false));
        target_next(target);
        assert_non_null(target_report(target, false));
}

static void a_report_that_is_not_sent_is_not_seen(void **state)
{
        assert_non_null(target_report(target, false));
        assert_null(target_peek(target));
        mailbox_deliver(&mailbox);
        assert_int_equal(nnews, 0);
}

static void news_is_sent_once_until_taken(void **state)
{
        send_numbered(1, false);
        send_numbered(2, false);
        mailbox_deliver(&mailbox);
        assert_int_equal(nnews, 1);
        /* delivered, but not taken yet: the letter must not be pushed while it is in a list */
        send_numbered(3, false);
        mailbox_deliver(&mailbox);
        assert_int_equal(nnews, 1);
        target_news_taken(target);
        send_numbered(4, false);
        mailbox_deliver(&mailbox);
        assert_int_equal(nnews, 2);
        assert_int_equal(nfarewells, 0);
}

static void farewell_is_always_sent(void **state)
{
        /* whether news is pending ... */
        send_numbered(1, false);
        send_numbered(2, true);
        mailbox_deliver(&mailbox);
        assert_int_equal(nnews, 1);
        assert_int_equal(nfarewells, 1);
        /* ... or not */
        teardown(state);
        setup(state);
        send_numbered(1, true);
        mailbox_deliver(&mailbox);
        assert_int_equal(nnews, 0);
        assert_int_equal(nfarewells, 1);
}

static void its_arrays_do_not_overlap(void **state)
{
        unsigned int cells = accounts.nslots + 1;

        /* each is filled to its end with a number of its own */
        for (unsigned int i = 0; i < cells; i++) {
                target->used.cpu_ns[i] = 1;
                target->used_before.cpu_ns[i] = 2;
        }
        for (unsigned int i = 0; i < accounts.n; i++) {
                target->used.share_uj[i] = 3;
                target->used_before.share_uj[i] = 4;
                target->attributed_j[i] = 5;
        }
        for (size_t i = 0; i < accounts.nsums; i++) {
                target->sums_begin[i] = 6;
                target->sums_before[i] = 7;
        }
        for (unsigned int i = 0; i < cells; i++) {
                assert_int_equal(target->used.cpu_ns[i], 1);
                assert_int_equal(target->used_before.cpu_ns[i], 2);
        }
        for (unsigned int i = 0; i < accounts.n; i++) {
                assert_int_equal(target->used.share_uj[i], 3);
                assert_int_equal(target->used_before.share_uj[i], 4);
                assert_true(target->attributed_j[i] == 5);
        }
        for (size_t i = 0; i < accounts.nsums; i++)
                assert_int_equal(target->sums_begin[i], 6);
        for (unsigned int i = 0; i < TARGET_REPORTS; i++)
                for (unsigned int k = i + 1; k < TARGET_REPORTS; k++)
                        assert_true(target->ring[i].sockets + NSOCKETS <= target->ring[k].sockets);
}

static void the_most_at_a_time_is_kept(void **state)
{
        target_count(target, 1, 4);
        target_count(target, 1, 0);
        target_count(target, -1, -3);
        assert_int_equal(target->nprocesses, 1);
        assert_int_equal(target->nthreads, 1);
        assert_int_equal(target->max_processes, 2);
        assert_int_equal(target->max_threads, 4);
        target_count(target, -1, -1);
        assert_int_equal(target->nprocesses, 0);
        assert_int_equal(target->max_processes, 2);
}

/* ---- both sides at once ---- */

/* The sampler: an interval that finds no place goes on, and its number with it. */
static void *be_the_sampler(void *arg)
{
        uint64_t next = 0;

        while (next < INTERVALS) {
                if (send_numbered(next, false))
                        next++;
                else
                        sched_yield();
        }
        assert_true(send_numbered(next, true));
        return NULL;
}

static uint64_t expected;

static void read_news(struct letter *letter)
{
        target_news_taken(target);
        while (target_peek(target) && target_peek(target)->event == REPORT_INTERVAL)
                expect_numbered(expected++, false);
}

static void read_farewell(struct letter *letter)
{
        read_news(letter);
        assert_int_equal(expected, INTERVALS);
        expect_numbered(INTERVALS, true);
        nfarewells++;
}

static void every_report_arrives_once_and_in_order(void **state)
{
        struct pollfd fd = {.fd = mailbox.fd, .events = POLLIN};
        pthread_t sampler;

        expected = 0;
        target->news.deliver = read_news;
        target->farewell.deliver = read_farewell;
        assert_int_equal(pthread_create(&sampler, NULL, be_the_sampler, NULL), 0);
        while (!nfarewells) {
                /* reports without news would never be read, and the ring stay full */
                assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
                mailbox_deliver(&mailbox);
        }
        assert_int_equal(pthread_join(sampler, NULL), 0);
        assert_null(target_peek(target));
        assert_int_equal(nfarewells, 1);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(the_ring_keeps_a_place_for_the_final_report),
                TEST(places_that_were_read_serve_again),
                TEST(a_report_that_is_not_sent_is_not_seen),
                TEST(news_is_sent_once_until_taken),
                TEST(farewell_is_always_sent),
                TEST(its_arrays_do_not_overlap),
                TEST(the_most_at_a_time_is_kept),
                TEST(every_report_arrives_once_and_in_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
