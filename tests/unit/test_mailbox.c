/* SPDX-License-Identifier: MIT */
/* Letters between threads.  Also built with ThreadSanitizer, see CMakeLists.txt. */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "mailbox.h"

#define NSENDERS       4
#define LETTERS_EACH   50000
#define MAX_DELIVERIES 16
#define PATIENCE_MS    20000

static struct mailbox mailbox;

/* What was delivered, in order. */
static int delivered[MAX_DELIVERIES];
static size_t ndelivered;

struct note {
        struct letter letter;
        int number;
        struct note *answer; /* pushed when this one is delivered, or NULL */
};

static int setup(void **state)
{
        ndelivered = 0;
        return mailbox_init(&mailbox);
}

static int teardown(void **state)
{
        mailbox_deinit(&mailbox);
        return 0;
}

static void note_down(struct letter *letter)
{
        struct note *note = (struct note *)(void *)letter;

        assert_true(ndelivered < MAX_DELIVERIES);
        delivered[ndelivered++] = note->number;
        if (note->answer)
                mailbox_push(&mailbox, &note->answer->letter);
}

static void note_down_and_free(struct letter *letter)
{
        note_down(letter);
        free(letter);
}

static bool is_readable(int timeout_ms)
{
        struct pollfd fd = {.fd = mailbox.fd, .events = POLLIN};
        int r = poll(&fd, 1, timeout_ms);

        assert_true(r >= 0);
        return r == 1;
}

static void letters_arrive_in_order(void **state)
{
        struct note notes[5];

        for (int i = 0; i < 5; i++) {
                notes[i] = (struct note){.letter.deliver = note_down, .number = i};
                mailbox_push(&mailbox, &notes[i].letter);
        }
        assert_int_equal(ndelivered, 0); /* not before the receiver asks */
        mailbox_deliver(&mailbox);
        assert_int_equal(ndelivered, 5);
        for (int i = 0; i < 5; i++)
                assert_int_equal(delivered[i], i);
        mailbox_deliver(&mailbox);
        assert_int_equal(ndelivered, 5);
}

static void the_descriptor_is_readable_while_there_are_letters(void **state)
{
        struct note a = {.letter.deliver = note_down}, b = a;

        assert_false(is_readable(0));
        mailbox_push(&mailbox, &a.letter);
        mailbox_push(&mailbox, &b.letter);
        assert_true(is_readable(0));
        mailbox_deliver(&mailbox);
        assert_false(is_readable(0));
        /* and asking an empty one is no harm */
        mailbox_deliver(&mailbox);
        assert_int_equal(ndelivered, 2);
}

static void a_letter_pushed_during_delivery_is_delivered_later(void **state)
{
        struct note answer = {.letter.deliver = note_down, .number = 9},
                    first = {.letter.deliver = note_down, .number = 1, .answer = &answer},
                    second = {.letter.deliver = note_down, .number = 2};

        mailbox_push(&mailbox, &first.letter);
        mailbox_push(&mailbox, &second.letter);
        mailbox_deliver(&mailbox);
        assert_int_equal(ndelivered, 2);
        assert_true(is_readable(0));
        mailbox_deliver(&mailbox);
        assert_int_equal(ndelivered, 3);
        assert_int_equal(delivered[2], 9);
}

static void a_letter_can_be_sent_again_when_it_was_delivered(void **state)
{
        struct note note = {.letter.deliver = note_down, .number = 1};

        for (int i = 0; i < 3; i++) {
                mailbox_push(&mailbox, &note.letter);
                mailbox_deliver(&mailbox);
        }
        assert_int_equal(ndelivered, 3);
        /* even by itself */
        note.answer = &note;
        mailbox_push(&mailbox, &note.letter);
        mailbox_deliver(&mailbox);
        note.answer = NULL;
        mailbox_deliver(&mailbox);
        assert_int_equal(ndelivered, 5);
}

static void one_at_a_time_they_keep_their_order(void **state)
{
        struct note late = {.letter.deliver = note_down, .number = 3},
                    notes[3] = {{.letter.deliver = note_down, .number = 0},
                                {.letter.deliver = note_down, .number = 1, .answer = &late},
                                {.letter.deliver = note_down, .number = 2}};

        assert_false(mailbox_deliver_one(&mailbox));
        for (int i = 0; i < 3; i++)
                mailbox_push(&mailbox, &notes[i].letter);
        assert_true(mailbox_deliver_one(&mailbox));
        assert_int_equal(ndelivered, 1);
        assert_true(mailbox_deliver_one(&mailbox));
        /* one that comes meanwhile is behind those that were there, and makes itself known */
        assert_false(mailbox_deliver_one(&mailbox));
        assert_true(is_readable(0));
        assert_false(mailbox_deliver_one(&mailbox));
        assert_false(is_readable(0));
        assert_int_equal(ndelivered, 4);
        for (int i = 0; i < 4; i++)
                assert_int_equal(delivered[i], i);
}

static void in_no_time_one_is_delivered_and_the_others_make_themselves_known(void **state)
{
        struct note notes[3] = {{.letter.deliver = note_down, .number = 0},
                                {.letter.deliver = note_down, .number = 1},
                                {.letter.deliver = note_down, .number = 2}};

        for (int i = 0; i < 3; i++)
                mailbox_push(&mailbox, &notes[i].letter);
        mailbox_deliver_for(&mailbox, 0);
        assert_int_equal(ndelivered, 1);
        assert_true(is_readable(0));
        mailbox_deliver_for(&mailbox, UINT32_MAX);
        assert_int_equal(ndelivered, 3);
        for (int i = 0; i < 3; i++)
                assert_int_equal(delivered[i], i);
        mailbox_deliver_for(&mailbox, 0); /* an empty one is no harm */
        assert_int_equal(ndelivered, 3);
}

static void a_letter_may_free_itself(void **state)
{
        for (int i = 0; i < 4; i++) {
                struct note *note = calloc(1, sizeof(*note));

                assert_non_null(note);
                note->letter.deliver = note_down_and_free;
                note->number = i;
                mailbox_push(&mailbox, &note->letter);
        }
        mailbox_deliver(&mailbox);
        assert_int_equal(ndelivered, 4);
}

/* ---- many senders ---- */

struct parcel {
        struct letter letter;
        int sender, number;
};

static struct parcel parcels[NSENDERS][LETTERS_EACH];
static int next_of[NSENDERS];

static void take_parcel(struct letter *letter)
{
        const struct parcel *p = (const struct parcel *)(const void *)letter;

        assert_int_equal(p->number, next_of[p->sender]);
        next_of[p->sender]++;
}

static void *send_parcels(void *arg)
{
        int sender = (int)(intptr_t)arg;

        for (int i = 0; i < LETTERS_EACH; i++) {
                struct parcel *p = &parcels[sender][i];

                *p = (struct parcel){.letter.deliver = take_parcel, .sender = sender, .number = i};
                mailbox_push(&mailbox, &p->letter);
        }
        return NULL;
}

static int received(void)
{
        int n = 0;

        for (int i = 0; i < NSENDERS; i++)
                n += next_of[i];
        return n;
}

static void nothing_is_lost_between_many_senders(void **state)
{
        pthread_t senders[NSENDERS];

        for (intptr_t i = 0; i < NSENDERS; i++)
                assert_int_equal(pthread_create(&senders[i], NULL, send_parcels, (void *)i), 0);
        while (received() < NSENDERS * LETTERS_EACH) {
                /* a letter without a wake-up would stay there for ever */
                assert_true(is_readable(PATIENCE_MS));
                mailbox_deliver(&mailbox);
        }
        for (int i = 0; i < NSENDERS; i++)
                assert_int_equal(pthread_join(senders[i], NULL), 0);
        mailbox_deliver(&mailbox);
        for (int i = 0; i < NSENDERS; i++)
                assert_int_equal(next_of[i], LETTERS_EACH);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(letters_arrive_in_order),
                TEST(the_descriptor_is_readable_while_there_are_letters),
                TEST(a_letter_pushed_during_delivery_is_delivered_later),
                TEST(a_letter_can_be_sent_again_when_it_was_delivered),
                TEST(one_at_a_time_they_keep_their_order),
                TEST(in_no_time_one_is_delivered_and_the_others_make_themselves_known),
                TEST(a_letter_may_free_itself),
                TEST(nothing_is_lost_between_many_senders),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
