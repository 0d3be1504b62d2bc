/* SPDX-License-Identifier: MIT */
/*
 * energat top: which programs use power now.
 *
 * A look comes from top_feed.c, what it means from top_model.c, how it looks from top_view.c, where
 * it goes from top_terminal.c or top_batch.c; here is the loop.
 */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "settings.h"
#include "signals.h"
#include "text.h"
#include "top_batch.h"
#include "top_feed.h"
#include "top_keys.h"
#include "top_model.h"
#include "top_owner.h"
#include "top_terminal.h"
#include "top_view.h"

/* Of a screen without a terminal: the unit is shown, and names of processes are not cut. */
#define BATCH_WIDTH 132
/* The first view compares with a look so long ago, so that nobody has to wait for --delay. */
#define FIRST_DELAY_NS (500 * NS_PER_MS)
/* Ordinary users are told of a newer moment only after a second. */
#define OWN_DELAY_NS (1100 * NS_PER_MS)

struct top {
        const struct options *options;
        struct top_feed feed;
        struct top_model model;
        struct top_order order;
        struct top_view view;
        struct top_owners *owners;
        struct top_screen *screen;
        struct signals signals;
        char user[TOP_NAME_MAX];
        bool batch;
        uint64_t next_ns; /* when to ask again */
        long long shown;  /* views */
        unsigned int looks;
        int status;
        bool done;
};

static void fail(struct top *t, int error)
{
        top_terminal_close();
        text_message("energat top: %s", strerror(-error));
        t->status = STATUS_FAILED;
        t->done = true;
}

static void draw(struct top *t)
{
        t->view.trouble = t->feed.trouble[0] ? t->feed.trouble : NULL;
        top_terminal_size(&t->view.width, &t->view.height);
        if (t->view.height > TOP_HEIGHT_MAX)
                t->view.height = TOP_HEIGHT_MAX;
        if (t->view.width > TOP_WIDTH_MAX)
                t->view.width = TOP_WIDTH_MAX;
        top_view_draw(t->screen, &t->view, &t->model, &t->order);
        top_terminal_draw(t->screen);
}

static void print(struct top *t)
{
        int r;

        t->view.trouble = t->feed.trouble[0] ? t->feed.trouble : NULL;
        if (t->shown > 0 && !t->options->json)
                putchar('\n');
        r = t->options->json ? top_batch_json(stdout, &t->model, &t->order)
                             : top_batch_text(stdout, &t->model, &t->order, &t->view);
        if (r < 0 && !ferror(stdout)) {
                fail(t, r);
                return;
        }
        t->status = command_finish_output();
        t->done = t->status != STATUS_OK;
}

static void arrange(struct top *t)
{
        int r = top_owners_look_up(t->owners, &t->model.now);

        if (r == 0)
                r = top_model_arrange(&t->model, &t->order);
        if (r < 0)
                fail(t, r);
}

/* The moments at which to ask are a grid, whatever an answer takes. */
static void plan_next(struct top *t, bool first)
{
        uint64_t now_ns = clock_now_ns();
        uint64_t delay_ns = (uint64_t)(t->view.delay_s * (double)NS_PER_S);

        if (t->feed.own_only && delay_ns < OWN_DELAY_NS)
                delay_ns = OWN_DELAY_NS;
        if (first && !t->batch && !t->feed.own_only && delay_ns > FIRST_DELAY_NS)
                delay_ns = FIRST_DELAY_NS;
        t->next_ns += delay_ns;
        if (first || t->next_ns <= now_ns)
                t->next_ns = now_ns + delay_ns;
}

static void take_look(struct top *t)
{
        struct top_snapshot next;
        int r = top_feed_take(&t->feed, &t->model.now, &next);

        if (r == -EPERM) {
                top_terminal_close();
                text_message("%s", t->feed.trouble);
                t->status = STATUS_FAILED;
                t->done = true;
        }
        if (r <= 0)
                return;
        if (t->view.paused) {
                top_snapshot_deinit(&next);
                return;
        }
        r = top_model_update(&t->model, &next);
        if (r < 0) {
                fail(t, r);
                return;
        }
        t->looks++;
        /* A person need not wait for the second look; who is refused the first asks later. */
        if (t->looks == 1 && (!t->batch || t->feed.own_only))
                plan_next(t, true);
        arrange(t);
        if (t->done)
                return;
        /* The first look has nothing to compare with: only a person at a screen wants to see it. */
        if (!t->batch)
                draw(t);
        else if (t->looks > 1)
                print(t);
        if (!t->batch || t->looks > 1)
                t->shown++;
        if (t->options->iterations && t->shown >= t->options->iterations + (t->batch ? 0 : 1))
                t->done = true;
        if (t->done)
                return;
        r = top_owners_refresh(t->owners, &t->model.now); /* shows with the next view */
        if (r < 0)
                fail(t, r);
}

static void take_events(struct top *t)
{
        enum top_event event;
        int key = 0, column = 0, line = 0;

        while (!t->done && (event = top_terminal_next(&key, &column, &line)) != TOP_EVENT_NONE) {
                enum top_action action = TOP_REDRAW;

                if (event == TOP_EVENT_KEY)
                        action = top_keys_press(&t->view, &t->order, &t->model, t->screen, key);
                else if (event == TOP_EVENT_CLICK)
                        action = top_keys_click(&t->view, &t->order, &t->model, t->screen, column,
                                                line);
                else if (event == TOP_EVENT_WHEEL)
                        action = top_keys_wheel(&t->view, &t->model, line);
                if (action == TOP_QUIT)
                        t->done = true;
                else if (action == TOP_REARRANGE)
                        arrange(t);
                else if (action == TOP_DELAY)
                        plan_next(t, true);
                if (!t->done && action != TOP_NOTHING)
                        draw(t);
        }
}

/* Ctrl-C is an ordinary way to leave; other signals are told to who waits for us. */
static void take_signals(struct top *t)
{
        struct signalfd_siginfo info;

        while (signals_read(&t->signals, &info) > 0) {
                t->done = true;
                if (info.ssi_signo != SIGINT)
                        t->status = STATUS_SIGNAL + (int)info.ssi_signo;
        }
}

static void loop(struct top *t)
{
        top_feed_ask(&t->feed, &t->model.now);
        t->next_ns = clock_now_ns() + (uint64_t)(t->view.delay_s * (double)NS_PER_S);
        while (!t->done) {
                struct pollfd fds[] = {
                        {.fd = t->signals.fd, .events = POLLIN},
                        {.fd = top_feed_fd(&t->feed), .events = POLLIN},
                        {.fd = t->batch ? -1 : STDIN_FILENO, .events = POLLIN},
                };
                bool was_in_trouble = t->feed.trouble[0];

                poll(fds, sizeof(fds) / sizeof(fds[0]), clock_poll_timeout_ms(t->next_ns));
                take_signals(t);
                if (!t->batch) {
                        take_events(t); /* also after SIGWINCH, which ends poll() early */
                        if (fds[2].revents & (POLLHUP | POLLERR | POLLNVAL))
                                t->done = true; /* the terminal has gone */
                }
                if (!t->done)
                        take_look(t);
                if (t->done || clock_now_ns() < t->next_ns)
                        continue;
                plan_next(t, false);
                top_feed_ask(&t->feed, &t->model.now);
                if (t->feed.trouble[0] && t->batch) {
                        text_message("%s", t->feed.trouble);
                        t->status = STATUS_NO_DAEMON;
                        t->done = true;
                } else if (t->feed.trouble[0] || was_in_trouble) {
                        draw(t);
                }
        }
}

static void find_user(struct top *t)
{
        const struct passwd *entry = getpwuid(getuid());

        if (entry)
                snprintf(t->user, sizeof(t->user), "%s", entry->pw_name);
        else
                snprintf(t->user, sizeof(t->user), "%u", getuid());
        t->view.user = t->user;
}

static void take_options(struct top *t)
{
        const struct options *o = t->options;

        t->order = (struct top_order){
                .sort = (enum top_sort)top_sort_of(settings_text(o->settings, SETTING_TOP_SORT)),
                .group = (enum top_group)top_group_of(
                        settings_text(o->settings, SETTING_TOP_GROUP)),
                .tree = o->tree,
        };
        if (o->filter)
                snprintf(t->order.filter, sizeof(t->order.filter), "%s", o->filter);
        if (o->user)
                snprintf(t->order.user, sizeof(t->order.user), "%s", o->user);
        t->view = (struct top_view){
                .width = BATCH_WIDTH,
                .height = TOP_HEIGHT_MAX,
                .utf8 = text_utf8(),
                .delay_s = settings_number(o->settings, SETTING_TOP_DELAY),
        };
        t->batch = o->batch || o->json;
        find_user(t);
}

static int open_terminal(void)
{
        int r = top_terminal_open(text_colour(stdout));
        const char *type = getenv("TERM");

        if (r == -ENOTTY)
                text_message("this is no terminal; 'energat top --batch' prints text for pipes and "
                             "files");
        else if (r < 0)
                text_message("the terminal '%s' (TERM) is not known here; 'energat top --batch' "
                             "needs none",
                             type ? type : "");
        return r < 0 ? STATUS_USAGE : STATUS_OK;
}

static int start(struct top *t)
{
        static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};
        struct connection *connection = NULL;
        bool same_pids;
        int r;

        r = command_connect(&connection, t->options);
        if (r != STATUS_OK)
                return r;
        same_pids = connection_same_pids(connection);
        if (!same_pids)
                text_message("energatd knows processes by other pids than this container does: "
                             "pids are its own, users and units are not known");
        top_feed_init(&t->feed, t->options->socket, connection);
        r = top_owners_new(&t->owners, same_pids ? "/proc" : NULL);
        if (r == 0)
                r = signals_open(&t->signals, wanted, sizeof(wanted) / sizeof(wanted[0]));
        t->screen = calloc(1, sizeof(*t->screen));
        if (r < 0 || !t->screen) {
                text_message("energat top: %s", strerror(r < 0 ? -r : ENOMEM));
                return STATUS_FAILED;
        }
        return t->batch ? STATUS_OK : open_terminal();
}

static void top_deinit(struct top *t)
{
        top_terminal_close();
        signals_close(&t->signals);
        top_feed_deinit(&t->feed);
        top_model_deinit(&t->model);
        top_owners_free(t->owners);
        free(t->screen);
}

static int top(const struct options *options)
{
        __attribute__((cleanup(top_deinit))) struct top t = {
                .options = options,
                .signals = SIGNALS_NONE,
        };

        take_options(&t);
        if (!t.batch && (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1))
                return open_terminal(); /* says so, before a daemon is asked */
        t.status = start(&t);
        if (t.status == STATUS_OK)
                loop(&t);
        return t.status;
}

const struct command command_top = {
        .name = "top",
        .is_verb = true,
        .options = OPTION_SOCKET | OPTION_FORMAT | OPTION_BATCH | OPTION_ITERATIONS | OPTION_DELAY |
                   OPTION_SORT | OPTION_GROUP | OPTION_TREE | OPTION_FILTER | OPTION_USER,
        .usage = "top [options]",
        .summary = "watch which programs use power now",
        .details = "Full screen: '?' tells the keys.  --batch prints text for pipes, --format json "
                   "one\n"
                   "line of JSON for each view.  Ordinary users see their own processes.\n",
        .example = "  energat top --group user            who uses the power\n"
                   "  energat top --batch -n 1 | head -20  once, the first rows\n",
        .run = top,
};
