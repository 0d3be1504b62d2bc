/* SPDX-License-Identifier: MIT */
/*
 * The users who are connected: what each has, and whose turn it is.
 *
 * A connection with something to do waits for its turn.  Turns go round by user, and within a user
 * by connection, so that what one user asks costs any other one call of waiting, however many
 * connections and calls it has.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct connection;
struct server;

struct user {
        struct user *next;
        struct user *turn_next, *turn_prev; /* among those with connections that wait */
        struct connection *first, *last;    /* that wait for their turn */
        uid_t uid;
        unsigned int nconnections;
        size_t output; /* bytes that wait on all of them */
};

/* One more connection of `uid`; NULL: no memory.  user_leave() gives it back. */
struct user *user_enter(struct server *s, uid_t uid);
void user_leave(struct server *s, struct user *user);

/* Have a connection wait for its turn; nothing happens where it does already. */
void turns_add(struct connection *c);
void turns_remove(struct connection *c);
/* Whose turn it is, which then waits no longer; NULL: nobody waits. */
struct connection *turns_next(struct server *s);
