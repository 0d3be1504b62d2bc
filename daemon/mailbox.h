/* SPDX-License-Identifier: MIT */
/*
 * Letters from one thread to another, without a lock: pushing never waits, however slow the other
 * side is.  The receiver waits on a file descriptor (eventfd); letters are delivered oldest first.
 * A letter is part of a larger object, and belongs to the receiver from push to take.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct letter {
        struct letter *next;
        void (*deliver)(
                struct letter *letter); /* called by mailbox_deliver() in the receiver's thread */
};

struct mailbox {
        struct letter *newest; /* pushed, and not taken yet */
        struct letter *oldest; /* taken, and not delivered yet: the receiver's */
        int fd;
};

int mailbox_init(struct mailbox *m); /* 0 or a negative errno */
void mailbox_deinit(struct mailbox *m);
void mailbox_push(struct mailbox *m, struct letter *letter);
/*
 * Deliver the oldest letter, which may free itself.  true: there are more, and the descriptor may
 * not be readable for them.  For a receiver who has something to look at between two letters.
 */
bool mailbox_deliver_one(struct mailbox *m);
/* Deliver letters for so long, one at least.  The descriptor stays readable while there are more.
 */
void mailbox_deliver_for(struct mailbox *m, uint64_t ns);
/* Deliver all letters that are there; clears the descriptor. */
void mailbox_deliver(struct mailbox *m);
