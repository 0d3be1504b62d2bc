// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A program on sched_switch that does nothing: what being called and being timed costs, which is in
 * every other program's run time, too.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("tp_btf/sched_switch")
int empty_switch(void *ctx)
{
        return 0;
}
