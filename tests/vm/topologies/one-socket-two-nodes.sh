# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Sub-NUMA clustering: one energy domain spans two nodes.
TOPOLOGY_CPUS=4,sockets=1,cores=4,threads=1
TOPOLOGY_NODES=(cpus=0-1 cpus=2-3)
TOPOLOGY_SEEN="sockets 1, nodes 2, cpus 4"
