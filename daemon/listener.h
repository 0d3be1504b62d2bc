/* SPDX-License-Identifier: MIT */
/*
 * The Unix socket that clients come to: given by the service manager (sd_listen_fds(3)), or made at
 * the configured path.  It outlives a server: while measuring begins anew, clients wait in its
 * queue instead of being refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config.h"

struct listener {
        int fd;                     /* -1: not open */
        char path[CONFIG_PATH_MAX]; /* to unlink at the end; "": not ours */
};

#define LISTENER_NONE ((struct listener){.fd = -1})

/*
 * Listen.  A stale socket at the path is replaced; one that is answered is -EADDRINUSE, a directory
 * where others than root, `uid` and `gid` could put another socket in its place is -EPERM.  `why`
 * (CONFIG_PATH_MAX + 256 bytes) says what happened on failure.
 */
int listener_open(struct listener *l, const char *path, uid_t uid, gid_t gid, char *why,
                  size_t why_size);
void listener_close(struct listener *l);
