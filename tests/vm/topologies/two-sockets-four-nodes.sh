# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Sub-NUMA clustering on two sockets.
TOPOLOGY_CPUS=4,sockets=2,cores=2,threads=1
TOPOLOGY_NODES=(cpus=0 cpus=1 cpus=2 cpus=3)
TOPOLOGY_SEEN="sockets 2, nodes 4, cpus 4"
