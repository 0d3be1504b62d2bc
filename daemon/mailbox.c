/* SPDX-License-Identifier: MIT */
#include "mailbox.h"

#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"

int mailbox_init(struct mailbox *m)
{
        m->newest = m->oldest = NULL;
        m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return m->fd < 0 ? -errno : 0;
}

void mailbox_deinit(struct mailbox *m)
{
        if (m->fd >= 0)
                close(m->fd);
        m->fd = -1;
}

/* Fails only when the count is at its limit, and then the receiver is awake already. */
static void ring(struct mailbox *m)
{
        uint64_t one = 1;

        if (write(m->fd, &one, sizeof(one)) < 0)
                return;
}

void mailbox_push(struct mailbox *m, struct letter *letter)
{
        letter->next = __atomic_load_n(&m->newest, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&m->newest, &letter->next, letter, 1, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED))
                ;
        ring(m);
}

/* Take what has been pushed behind what was taken before.  Only where that is empty: letters are
 * pushed newest first, and have to be turned round. */
static void take(struct mailbox *m)
{
        struct letter *list, *next;
        uint64_t count;

        /* Clear first: a letter pushed after this makes the descriptor readable again. */
        if (read(m->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
                return;
        for (list = __atomic_exchange_n(&m->newest, NULL, __ATOMIC_ACQUIRE); list; list = next) {
                next = list->next;
                list->next = m->oldest;
                m->oldest = list;
        }
}

bool mailbox_deliver_one(struct mailbox *m)
{
        struct letter *letter;

        if (!m->oldest)
                take(m);
        letter = m->oldest;
        if (!letter)
                return false;
        m->oldest = letter->next;
        letter->deliver(letter);
        return m->oldest != NULL;
}

void mailbox_deliver_for(struct mailbox *m, uint64_t ns)
{
        uint64_t end_ns = monotonic_ns() + ns;
        bool more;

        do
                more = mailbox_deliver_one(m);
        while (more && monotonic_ns() < end_ns);
        if (more)
                ring(m);
}

void mailbox_deliver(struct mailbox *m)
{
        while (mailbox_deliver_one(m))
                ;
}
