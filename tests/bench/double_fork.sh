#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run a command as a daemon is started: by a child's child in a session of its own, whose parents
# have gone.
(setsid "$@" &)
