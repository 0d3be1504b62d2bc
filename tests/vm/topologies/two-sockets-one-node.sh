# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Node interleaving switched on in the BIOS: one node spans two energy domains.
TOPOLOGY_CPUS=4,sockets=2,cores=2,threads=1
TOPOLOGY_NODES=(cpus=0-3)
TOPOLOGY_SEEN="sockets 2, nodes 1, cpus 4"
