/* SPDX-License-Identifier: MIT */
/*
 * Letters from one thread to another, without a lock: pushing never waits, however slow the other
 * side is.  The receiver waits on a file descriptor (eventfd) and takes all letters at once, oldest
 * first.  A letter is part of a larger object, and belongs to the receiver from push to take.
 */
#pragma once

struct letter {
        struct letter *next;
        void (*deliver)(
                struct letter *letter); /* called by mailbox_deliver() in the receiver's thread */
};

struct mailbox {
        struct letter *newest;
        int fd;
};

int mailbox_init(struct mailbox *m); /* 0 or a negative errno */
void mailbox_deinit(struct mailbox *m);
void mailbox_push(struct mailbox *m, struct letter *letter);
/* Deliver all letters that are there; clears the descriptor.  A letter may free itself. */
void mailbox_deliver(struct mailbox *m);
