# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# More CPUs than a test machine has.
TOPOLOGY_CPUS=16,sockets=2,cores=8,threads=1
TOPOLOGY_NODES=(cpus=0-7 cpus=8-15)
TOPOLOGY_SEEN="sockets 2, nodes 2, cpus 16"
