# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Two sockets of two dies: four package domains.
TOPOLOGY_CPUS=4,sockets=2,dies=2,cores=1,threads=1
TOPOLOGY_MODEL=max,vendor=GenuineIntel # Intel's way to tell dies
TOPOLOGY_NODES=(cpus=0-1 cpus=2-3)
TOPOLOGY_SEEN="sockets 2, nodes 2, cpus 4"
