# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# scenarios: by name
#
# The base machine, beside the others: to boot it twice takes a minute.
TOPOLOGY_CPUS=4,sockets=2,cores=2,threads=1
TOPOLOGY_NODES=(cpus=0-1 cpus=2-3)
TOPOLOGY_SEEN="sockets 2, nodes 2, cpus 4"
