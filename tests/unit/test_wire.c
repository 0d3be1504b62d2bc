/* SPDX-License-Identifier: MIT */
/* Varlink's framing: what comes in pieces, what is too long, what is no message. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire.h"

struct fixture {
        int ours, theirs; /* we read from ours what is written to theirs */
        struct wire_reader reader;
};

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int ends[2];

        if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
                free(f);
                return -1;
        }
        f->ours = ends[0];
        f->theirs = ends[1];
        wire_reader_init(&f->reader, WIRE_MAX_CALL);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        wire_reader_deinit(&f->reader);
        close(f->ours);
        if (f->theirs >= 0)
                close(f->theirs);
        free(f);
        return 0;
}

static void feed(struct fixture *f, const void *bytes, size_t length)
{
        assert_int_equal(write(f->theirs, bytes, length), length);
}

/* Write and read in turns until everything is read, or the reader refuses. */
static int pump(struct fixture *f, const char *bytes, size_t length)
{
        size_t sent = 0, got = 0;

        while (got < length) {
                ssize_t n = write(f->theirs, bytes + sent, length - sent);
                int r;

                if (n > 0)
                        sent += (size_t)n;
                r = wire_reader_fill(&f->reader, f->ours);
                if (r < 0)
                        return r;
                got += (size_t)r;
        }
        return 0;
}

/* Feed a text with its NUL, read it, and return what the reader makes of it. */
static int read_one(struct fixture *f, const char *text, json_t **ret)
{
        assert_int_equal(pump(f, text, strlen(text) + 1), 0);
        return wire_reader_next(&f->reader, ret);
}

static void assert_refused(struct fixture *f, const char *text)
{
        json_t *message = NULL;

        if (read_one(f, text, &message) != -EBADMSG)
                fail_msg("accepted: %.60s", text);
        assert_null(message);
        assert_int_equal(wire_reader_next(&f->reader, &message), 0);
}

static void assert_accepted(struct fixture *f, const char *text)
{
        json_t *message = NULL;

        if (read_one(f, text, &message) != 1)
                fail_msg("refused: %.60s", text);
        assert_true(json_is_object(message));
        json_decref(message);
        assert_int_equal(wire_reader_next(&f->reader, &message), 0);
}

/* After whatever was refused, the next message must be read as if nothing had been. */
static void assert_still_in_step(struct fixture *f)
{
        assert_accepted(f, "{\"still\":\"in step\"}");
}

static const char sample[] = "{\"method\":\"io.energat.Follow\",\"parameters\":{\"pid\":1}}";

static void a_message_split_at_any_byte_is_one_message(void **state)
{
        struct fixture *f = *state;

        for (size_t cut = 1; cut < sizeof(sample); cut++) {
                json_t *message = NULL;

                feed(f, sample, cut);
                assert_int_equal(wire_reader_fill(&f->reader, f->ours), cut);
                assert_int_equal(wire_reader_next(&f->reader, &message), 0);
                feed(f, sample + cut, sizeof(sample) - cut);
                assert_int_equal(wire_reader_fill(&f->reader, f->ours), sizeof(sample) - cut);
                assert_int_equal(wire_reader_next(&f->reader, &message), 1);
                assert_string_equal(json_string_value(json_object_get(message, "method")),
                                    "io.energat.Follow");
                json_decref(message);
                assert_int_equal(f->reader.used, 0);
        }
}

static void a_message_in_single_bytes_is_one_message(void **state)
{
        struct fixture *f = *state;
        json_t *message = NULL;

        for (size_t i = 0; i < sizeof(sample); i++) {
                assert_int_equal(wire_reader_next(&f->reader, &message), 0);
                feed(f, sample + i, 1);
                assert_int_equal(wire_reader_fill(&f->reader, f->ours), 1);
        }
        assert_int_equal(wire_reader_next(&f->reader, &message), 1);
        json_decref(message);
}

static void several_messages_in_one_read_come_one_by_one(void **state)
{
        static const char three[] = "{\"n\":1}\0{\"n\":2}\0{\"n\":3}\0{\"n\":";
        struct fixture *f = *state;
        json_t *message = NULL;

        feed(f, three, sizeof(three) - 1);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), sizeof(three) - 1);
        for (int n = 1; n <= 3; n++) {
                assert_int_equal(wire_reader_next(&f->reader, &message), 1);
                assert_int_equal(json_integer_value(json_object_get(message, "n")), n);
                json_decref(message);
        }
        assert_int_equal(wire_reader_next(&f->reader, &message), 0);
        feed(f, "4}", 3);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), 3);
        assert_int_equal(wire_reader_next(&f->reader, &message), 1);
        assert_int_equal(json_integer_value(json_object_get(message, "n")), 4);
        json_decref(message);
}

/* {"x":"aaa..."} of exactly that many bytes, its NUL not counted */
static char *message_of(size_t length)
{
        static const char head[] = "{\"x\":\"", tail[] = "\"}";
        char *text = malloc(length + 1);

        assert_non_null(text);
        memset(text, 'a', length);
        memcpy(text, head, strlen(head));
        memcpy(text + length - strlen(tail), tail, sizeof(tail));
        return text;
}

static void the_longest_message_is_accepted(void **state)
{
        struct fixture *f = *state;
        char *text = message_of(WIRE_MAX_CALL);
        json_t *message = NULL;

        assert_int_equal(pump(f, text, WIRE_MAX_CALL + 1), 0);
        assert_int_equal(wire_reader_next(&f->reader, &message), 1);
        json_decref(message);
        assert_still_in_step(f);
        free(text);
}

static void one_byte_more_is_too_long(void **state)
{
        struct fixture *f = *state;
        char *text = message_of(WIRE_MAX_CALL + 1);

        assert_int_equal(pump(f, text, WIRE_MAX_CALL + 1), -EMSGSIZE); /* before its NUL */
        free(text);
}

static void a_flood_without_a_nul_is_refused_and_stays_bounded(void **state)
{
        struct fixture *f = *state;
        char *text = message_of(4 * WIRE_MAX_CALL);

        assert_int_equal(pump(f, text, 4 * WIRE_MAX_CALL), -EMSGSIZE);
        assert_true(f->reader.size <= WIRE_MAX_CALL + 1);
        /* and it stays refused, whatever else comes */
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), -EMSGSIZE);
        free(text);
}

static void a_long_message_behind_a_short_one_is_measured_alone(void **state)
{
        struct fixture *f = *state;
        char *text = message_of(WIRE_MAX_CALL);
        json_t *message = NULL;

        feed(f, "{}", 3);
        feed(f, text, 10000);
        assert_int_not_equal(wire_reader_fill(&f->reader, f->ours), 0);
        assert_int_equal(wire_reader_next(&f->reader, &message), 1);
        json_decref(message);
        while (wire_reader_fill(&f->reader, f->ours) > 0)
                continue;
        assert_int_equal(f->reader.used, 10000);
        assert_int_equal(pump(f, text + 10000, WIRE_MAX_CALL + 1 - 10000), 0);
        assert_int_equal(wire_reader_next(&f->reader, &message), 1);
        json_decref(message);
        free(text);
}

static void a_full_buffer_of_messages_must_be_taken_first(void **state)
{
        enum { TEN = 10 };
        struct fixture *f = *state;
        json_t *message = NULL;
        int r;

        wire_reader_deinit(&f->reader);
        wire_reader_init(&f->reader, TEN);
        feed(f, "{}\0{}\0{}\0{}\0{}", 15);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), TEN + 1);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), -ENOBUFS);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(wire_reader_next(&f->reader, &message), 1);
                json_decref(message);
        }
        r = wire_reader_fill(&f->reader, f->ours);
        assert_int_equal(r, 15 - (TEN + 1));
        for (int i = 0; i < 2; i++) {
                assert_int_equal(wire_reader_next(&f->reader, &message), 1);
                json_decref(message);
        }
        assert_int_equal(wire_reader_next(&f->reader, &message), 0);
}

static void an_empty_message_is_refused(void **state)
{
        struct fixture *f = *state;

        assert_refused(f, "");
        assert_refused(f, "  ");
        assert_still_in_step(f);
}

static void a_nul_inside_a_message_ends_it(void **state)
{
        static const char bytes[] = "{\"a\":\0\"b\"}\0{\"c\":\"d\0\"}\0";
        struct fixture *f = *state;
        json_t *message = NULL;

        feed(f, bytes, sizeof(bytes) - 1);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), sizeof(bytes) - 1);
        for (int i = 0; i < 4; i++)
                assert_int_equal(wire_reader_next(&f->reader, &message), -EBADMSG);
        assert_int_equal(wire_reader_next(&f->reader, &message), 0);
        assert_null(message);
        assert_still_in_step(f);
}

static void nuls_in_a_row_are_refused_one_by_one(void **state)
{
        struct fixture *f = *state;
        json_t *message = NULL;

        feed(f, "\0\0\0{}", 6);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), 6);
        for (int i = 0; i < 3; i++)
                assert_int_equal(wire_reader_next(&f->reader, &message), -EBADMSG);
        assert_int_equal(wire_reader_next(&f->reader, &message), 1);
        json_decref(message);
}

static void an_escaped_nul_is_refused(void **state)
{
        assert_refused(*state, "{\"a\":\"b\\u0000c\"}");
        assert_refused(*state, "{\"a\\u0000\":1}");
}

static void what_is_not_an_object_is_refused(void **state)
{
        static const char *const texts[] = {
                "[]",  "[{}]",  "1",   "\"text\"",  "true",  "null",       "{",   "}",
                "{}}", "{} {}", "{}x", "{\"a\" 1}", "{a:1}", "{\"a\":1,}", "nan", "{\"a\":NaN}",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                assert_refused(*state, texts[i]);
        assert_still_in_step(*state);
}

static void a_number_that_does_not_fit_is_refused(void **state)
{
        assert_refused(*state, "{\"a\":123456789012345678901234567890}");
        assert_refused(*state, "{\"a\":1e999}");
}

static void a_duplicate_key_is_refused(void **state)
{
        assert_refused(*state, "{\"method\":\"a\",\"method\":\"b\"}");
        assert_refused(*state, "{\"p\":{\"pid\":1,\"pid\":2}}");
        assert_accepted(*state, "{\"p\":{\"pid\":1},\"pid\":2}");
}

/* {"a":[[[...]]]} with `depth` levels, the object included; closed or not */
static char *nest(size_t depth, bool closed)
{
        char *text = malloc(2 * depth + 8);
        size_t n = 0;

        assert_non_null(text);
        n += (size_t)sprintf(text, "{\"a\":");
        memset(text + n, '[', depth - 1);
        n += depth - 1;
        if (closed) {
                memset(text + n, ']', depth - 1);
                n += depth - 1;
                text[n++] = '}';
        }
        text[n] = '\0';
        return text;
}

static void nesting_is_bounded(void **state)
{
        static const size_t refused[] = {WIRE_MAX_DEPTH + 1, 2048, 30000};
        char *text = nest(WIRE_MAX_DEPTH, true);

        assert_accepted(*state, text);
        free(text);
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                text = nest(refused[i], true);
                assert_refused(*state, text);
                free(text);
                text = nest(refused[i], false);
                assert_refused(*state, text);
                free(text);
        }
        assert_still_in_step(*state);
}

static void brackets_in_strings_do_not_nest(void **state)
{
        char text[256] = "{\"a\":\"\\\"";

        for (int i = 0; i < 2 * WIRE_MAX_DEPTH; i++)
                strcat(text, i % 2 ? "[" : "{");
        strcat(text, "\\\\\"}");
        assert_accepted(*state, text);
}

static void siblings_do_not_nest(void **state)
{
        char text[1024] = "{\"a\":[";

        for (int i = 0; i < 3 * WIRE_MAX_DEPTH; i++)
                strcat(text, i ? ",[{}]" : "[{}]");
        strcat(text, "]}");
        assert_accepted(*state, text);
}

static void invalid_utf8_is_refused(void **state)
{
        static const char *const texts[] = {
                "{\"a\":\"\xff\"}",         /* no such byte */
                "{\"a\":\"\x80\"}",         /* a continuation of nothing */
                "{\"a\":\"\xc3\"}",         /* cut short */
                "{\"a\":\"\xc0\xaf\"}",     /* longer than it need be */
                "{\"a\":\"\xed\xa0\x80\"}", /* a surrogate */
                "{\"\xfe\":1}",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                assert_refused(*state, texts[i]);
        assert_accepted(*state, "{\"a\":\"\xc3\xa4 \xe2\x86\x92 \xf0\x9f\x94\x8b\"}");
}

static void end_of_stream_in_the_middle_is_seen(void **state)
{
        struct fixture *f = *state;
        json_t *message = NULL;

        feed(f, sample, 10);
        close(f->theirs);
        f->theirs = -1;
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), 10);
        assert_int_equal(wire_reader_next(&f->reader, &message), 0);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), 0);
        assert_int_equal(wire_reader_next(&f->reader, &message), 0);
        assert_null(message);
        assert_int_equal(f->reader.used, 10); /* which tells it from an end between messages */
}

static void nothing_to_read_is_eagain(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(wire_reader_fill(&f->reader, f->ours), -EAGAIN);
}

static void a_read_error_is_handed_on(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(wire_reader_fill(&f->reader, -1), -EBADF);
}

static void what_is_encoded_is_read_back(void **state)
{
        struct fixture *f = *state;
        const double awkward = 0.1 + 0.2;
        json_t *message, *back = NULL;
        size_t length = 0;
        char *text;

        message = json_pack("{s:s, s:{s:f, s:I, s:n}}", "method", "a\nb\"\\\xc3\xa4", "parameters",
                            "real", awkward, "integer", (json_int_t)INT64_MAX, "null");
        assert_non_null(message);
        text = wire_encode(message, &length);
        assert_non_null(text);
        assert_int_equal(length, strlen(text) + 1);

        feed(f, text, length);
        assert_int_equal(wire_reader_fill(&f->reader, f->ours), length);
        assert_int_equal(wire_reader_next(&f->reader, &back), 1);
        assert_true(json_equal(message, back)); /* the double to its last bit */
        json_decref(back);
        json_decref(message);
        free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_message_split_at_any_byte_is_one_message),
                TEST(a_message_in_single_bytes_is_one_message),
                TEST(several_messages_in_one_read_come_one_by_one),
                TEST(the_longest_message_is_accepted),
                TEST(one_byte_more_is_too_long),
                TEST(a_flood_without_a_nul_is_refused_and_stays_bounded),
                TEST(a_long_message_behind_a_short_one_is_measured_alone),
                TEST(a_full_buffer_of_messages_must_be_taken_first),
                TEST(an_empty_message_is_refused),
                TEST(a_nul_inside_a_message_ends_it),
                TEST(nuls_in_a_row_are_refused_one_by_one),
                TEST(an_escaped_nul_is_refused),
                TEST(what_is_not_an_object_is_refused),
                TEST(a_number_that_does_not_fit_is_refused),
                TEST(a_duplicate_key_is_refused),
                TEST(nesting_is_bounded),
                TEST(brackets_in_strings_do_not_nest),
                TEST(siblings_do_not_nest),
                TEST(invalid_utf8_is_refused),
                TEST(end_of_stream_in_the_middle_is_seen),
                TEST(nothing_to_read_is_eagain),
                TEST(a_read_error_is_handed_on),
                TEST(what_is_encoded_is_read_back),
        };

        return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
