/* SPDX-License-Identifier: MIT */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "state_file.h"

#define PERIOD_US   500000ull /* with the writing itself below a second */
#define PHASE_US    20000ull  /* behind the tick that is a mark */
#define ACCURACY_US 1000ull
#define WRITER_NICE 5
#define LATE_S      5.0 /* older than this, and the disk hangs */
#define BOOT_ID     "/proc/sys/kernel/random/boot_id"

/* The totals at one moment, and as of the last mark before it. */
struct moment {
        struct state exact, mark;
};

struct keeper {
        struct server *server;
        sd_event_source *timer;
        struct letter take, taken;
        bool taking;
        bool resumed; /* the time without a daemon is booked in `before` */
        bool frozen;  /* what is there can be neither used nor replaced */
        char boot_id[STATE_BOOT_ID_MAX];
        char found[512];   /* what was wrong with the file at the start; "" if nothing */
        char missing[512]; /* energy of the time without a daemon is not known; "" if it is */
        struct totals_live live, live_mark;
        struct state before;
        struct moment now;

        pthread_t thread;
        bool have_thread;
        char dir[CONFIG_PATH_MAX];
        int told_error; /* the last one in the log, 0: it is well */

        /* between the two threads */
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool waiting; /* `next` is to be written */
        bool ending;
        struct moment next;
        struct moment told; /* what clients are told: what has been written, so that no crash takes
                               anything back */
        int error;          /* of the last write, or 0 */
        uint64_t saved_ns;  /* boottime_ns of what is on disk; 0: nothing yet */
};

/* ---- the writer ---- */

static void *write_states(void *arg)
{
        struct keeper *k = arg;
        struct moment *moment = malloc(sizeof(*moment));
        bool ending = false;

        prctl(PR_SET_NAME, "energatd/keep");
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), WRITER_NICE);
        while (!ending) {
                bool have;
                int r = -ENOMEM;

                pthread_mutex_lock(&k->mutex);
                while (!k->waiting && !k->ending)
                        pthread_cond_wait(&k->changed, &k->mutex);
                ending = k->ending;
                have = k->waiting;
                k->waiting = false;
                if (have && moment)
                        *moment = k->next;
                pthread_mutex_unlock(&k->mutex);
                if (!have)
                        continue;
                if (moment)
                        r = state_save(&moment->exact, k->dir);
                pthread_mutex_lock(&k->mutex);
                k->error = r;
                if (r == 0)
                        k->saved_ns = moment->exact.boottime_ns;
                if (moment) /* also when the disk is full: measuring goes on */
                        k->told = *moment;
                pthread_mutex_unlock(&k->mutex);
        }
        free(moment);
        return NULL;
}

/* ---- in the sampler ---- */

static void run_take(struct letter *letter)
{
        struct keeper *k = (struct keeper *)(void *)((char *)letter -
                                                     offsetof(struct keeper, take));

        totals_take(&k->live_mark, k->server->sampler, false);
        totals_take(&k->live, k->server->sampler, true);
        mailbox_push(&k->server->mailbox, &k->taken);
}

/* ---- in the server ---- */

/* Each trouble is one line when it begins and one when it ends, however long it lasts. */
static void tell(struct keeper *k, int error)
{
        if (error && error != k->told_error)
                log_warning("totals are not saved: %s/%s: %s; measuring goes on", k->dir,
                            STATE_FILE, strerror(-error));
        else if (!error && k->told_error)
                log_notice("totals are saved again in %s/%s", k->dir, STATE_FILE);
        k->told_error = error;
}

static void resume(struct keeper *k)
{
        struct state *before = &k->before;
        char said[512];
        bool known = totals_resume(before, &k->live, k->boot_id, said, sizeof(said));

        if (strcmp(before->boot_id, k->boot_id) != 0)
                before->boots++;
        before->starts++;
        snprintf(before->boot_id, sizeof(before->boot_id), "%s", k->boot_id);
        if (!known)
                snprintf(k->missing, sizeof(k->missing), "%s", said);
        if (!known)
                log_warning("%s", said);
        else if (said[0])
                log_notice("%s", said);
        k->resumed = true;
}

static void hand_over(struct keeper *k, bool ending)
{
        int error;

        if (!k->resumed)
                resume(k);
        k->now.exact = k->now.mark = k->before;
        totals_add(&k->now.exact, &k->live);
        totals_add(&k->now.mark, &k->live_mark);
        k->now.exact.saved_s = (uint64_t)time(NULL);
        pthread_mutex_lock(&k->mutex);
        k->next = k->now;
        if (k->frozen)
                k->told = k->now;
        k->waiting = !k->frozen;
        k->ending = ending;
        error = k->error;
        pthread_cond_signal(&k->changed);
        pthread_mutex_unlock(&k->mutex);
        tell(k, error);
}

static void on_taken(struct letter *letter)
{
        struct keeper *k = (struct keeper *)(void *)((char *)letter -
                                                     offsetof(struct keeper, taken));

        k->taking = false;
        hand_over(k, false);
}

static void take(struct keeper *k)
{
        if (k->taking)
                return;
        k->taking = true;
        sampler_post(k->server->sampler, &k->take);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        take(userdata);
        sd_event_source_set_time(timer, (usec / PERIOD_US + 1) * PERIOD_US + PHASE_US);
        return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void keeper_totals(const struct keeper *k, bool exact, struct state *ret)
{
        struct keeper *mutable = (struct keeper *)k;

        pthread_mutex_lock(&mutable->mutex);
        *ret = exact ? k->told.exact : k->told.mark;
        pthread_mutex_unlock(&mutable->mutex);
}

uint64_t keeper_before_uj(const struct keeper *k, const char *label)
{
        const struct state_domain *d = k ? state_find((struct state *)&k->before, label) : NULL;

        return d ? d->energy_uj : 0;
}

double keeper_age_s(const struct keeper *k)
{
        struct keeper *mutable = (struct keeper *)k;
        uint64_t saved_ns;

        pthread_mutex_lock(&mutable->mutex);
        saved_ns = k->saved_ns;
        pthread_mutex_unlock(&mutable->mutex);
        return saved_ns ? (double)(clock_ns(CLOCK_BOOTTIME) - saved_ns) / NS_PER_S : NAN;
}

void keeper_problems(const struct keeper *k, json_t *warnings)
{
        char text[CONFIG_PATH_MAX + 128];
        double age_s = keeper_age_s(k);

        if (k->found[0])
                json_array_append_new(warnings, json_string(k->found));
        if (k->missing[0])
                json_array_append_new(warnings, json_string(k->missing));
        if (k->told_error)
                snprintf(text, sizeof(text), "totals are not saved: %s/%s: %s", k->dir, STATE_FILE,
                         strerror(-k->told_error));
        else if (age_s > LATE_S)
                snprintf(text, sizeof(text),
                         "totals were last saved %.0f s ago: writing %s/%s hangs", age_s, k->dir,
                         STATE_FILE);
        else
                return;
        json_array_append_new(warnings, json_string(text));
}

/* ---- life ---- */

static void read_boot_id(struct keeper *k)
{
        int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, k->boot_id, sizeof(k->boot_id) - 1);

        if (fd >= 0)
                close(fd);
        k->boot_id[n > 0 ? n : 0] = '\0';
        k->boot_id[strcspn(k->boot_id, "\n")] = '\0';
}

static void load(struct keeper *k)
{
        int r = state_load(&k->before, k->dir, k->found, sizeof(k->found));

        if (r == 0)
                return;
        k->before = (struct state){.since_s = (uint64_t)time(NULL)};
        if (r == -ENOENT)
                k->found[0] = '\0';
        k->frozen = r != -ENOENT && r != -EBADMSG;
        if (k->frozen && !k->found[0])
                snprintf(k->found, sizeof(k->found), "totals are not kept: %s", strerror(-r));
        if (k->found[0])
                log_warning("%s", k->found);
}

int keeper_new(struct keeper **ret, struct server *server)
{
        struct keeper *k = calloc(1, sizeof(*k));
        uint64_t now_us = 0;
        int r;

        if (!k)
                return -ENOMEM;
        k->server = server;
        k->take.deliver = run_take;
        k->taken.deliver = on_taken;
        pthread_mutex_init(&k->mutex, NULL);
        pthread_cond_init(&k->changed, NULL);
        snprintf(k->dir, sizeof(k->dir), "%s", server->config->state_dir);
        read_boot_id(k);
        load(k);
        k->told.exact = k->told.mark = k->before;
        r = sd_event_now(server->event, CLOCK_MONOTONIC, &now_us);
        if (r >= 0)
                r = sd_event_add_time(server->event, &k->timer, CLOCK_MONOTONIC, now_us + PERIOD_US,
                                      ACCURACY_US, on_timer, k);
        if (r >= 0)
                r = -pthread_create(&k->thread, NULL, write_states, k);
        k->have_thread = r == 0;
        if (r < 0) {
                keeper_free(k);
                return r;
        }
        /* The first letter of all: what was before is complete when the first client is answered.
         */
        take(k);
        *ret = k;
        return 0;
}

void keeper_free(struct keeper *k)
{
        if (!k)
                return;
        sd_event_source_disable_unref(k->timer);
        if (k->have_thread) {
                /* The sampler has stopped: what it holds may be read from here. */
                totals_take(&k->live_mark, k->server->sampler, false);
                totals_take(&k->live, k->server->sampler, true);
                hand_over(k, true);
                pthread_join(k->thread, NULL);
                tell(k, k->error);
        }
        pthread_cond_destroy(&k->changed);
        pthread_mutex_destroy(&k->mutex);
        free(k);
}
