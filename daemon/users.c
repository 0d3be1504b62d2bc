/* SPDX-License-Identifier: MIT */
#include "users.h"

#include <stdlib.h>

#include "clients.h"

struct user *user_enter(struct server *s, uid_t uid)
{
        struct user *u = s->users;

        while (u && u->uid != uid)
                u = u->next;
        if (!u) {
                u = calloc(1, sizeof(*u));
                if (!u)
                        return NULL;
                u->uid = uid;
                u->next = s->users;
                s->users = u;
        }
        u->nconnections++;
        return u;
}

void user_leave(struct server *s, struct user *user)
{
        struct user **at = &s->users;

        if (--user->nconnections)
                return;
        while (*at != user)
                at = &(*at)->next;
        *at = user->next;
        free(user);
}

/* ---- turns ---- */

/* Behind all others. */
static void user_line_up(struct server *s, struct user *u)
{
        u->turn_prev = s->turns_last;
        u->turn_next = NULL;
        if (s->turns_last)
                s->turns_last->turn_next = u;
        else
                s->turns = u;
        s->turns_last = u;
}

static void user_step_out(struct server *s, struct user *u)
{
        if (u->turn_prev)
                u->turn_prev->turn_next = u->turn_next;
        else
                s->turns = u->turn_next;
        if (u->turn_next)
                u->turn_next->turn_prev = u->turn_prev;
        else
                s->turns_last = u->turn_prev;
}

void turns_add(struct connection *c)
{
        struct user *u = c->user;

        if (c->waiting)
                return;
        if (!u->first)
                user_line_up(c->server, u);
        c->waiting = true;
        c->turn_prev = u->last;
        c->turn_next = NULL;
        if (u->last)
                u->last->turn_next = c;
        else
                u->first = c;
        u->last = c;
}

void turns_remove(struct connection *c)
{
        struct user *u = c->user;

        if (!c->waiting)
                return;
        c->waiting = false;
        if (c->turn_prev)
                c->turn_prev->turn_next = c->turn_next;
        else
                u->first = c->turn_next;
        if (c->turn_next)
                c->turn_next->turn_prev = c->turn_prev;
        else
                u->last = c->turn_prev;
        if (!u->first)
                user_step_out(c->server, u);
}

struct connection *turns_next(struct server *s)
{
        struct user *u = s->turns;
        struct connection *c = u ? u->first : NULL;

        if (!c)
                return NULL;
        turns_remove(c);
        if (u->first) {
                user_step_out(s, u);
                user_line_up(s, u);
        }
        return c;
}
