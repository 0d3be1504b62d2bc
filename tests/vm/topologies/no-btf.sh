# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# scenarios: by name
#
# The base machine with a kernel that has no BTF, from its boot on.
TOPOLOGY_CPUS=4,sockets=2,cores=2,threads=1
TOPOLOGY_NODES=(cpus=0-1 cpus=2-3)
TOPOLOGY_SEEN="sockets 2, nodes 2, cpus 4"
TOPOLOGY_KERNEL=energat_hide=btf # see guest/init
