# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Two threads in each core.
TOPOLOGY_CPUS=8,sockets=2,cores=2,threads=2
TOPOLOGY_NODES=(cpus=0-3 cpus=4-7)
TOPOLOGY_SEEN="sockets 2, nodes 2, cpus 8"
