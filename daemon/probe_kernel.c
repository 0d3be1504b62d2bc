/* SPDX-License-Identifier: MIT */
#include "probe_kernel.h"

#include <bpf/btf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* PROC_PID_INIT_INO, include/linux/proc_ns.h: the same in every kernel since 3.8 */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCu

static bool struct_has(const struct btf *btf, const char *name, const char *member)
{
        int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
        const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (unsigned int)id) : NULL;

        for (int i = 0; type && i < btf_vlen(type); i++)
                if (strcmp(btf__name_by_offset(btf, btf_members(type)[i].name_off), member) == 0)
                        return true;
        return false;
}

struct probe_kernel probe_kernel_of(const struct btf *btf)
{
        struct probe_kernel k = {0};

        if (!btf)
                return k;
        /* CONFIG_IRQ_TIME_ACCOUNTING: its per-CPU variable is there */
        k.accounts_irq = btf__find_by_name_kind(btf, "cpu_irqtime", BTF_KIND_VAR) > 0;
        /* CONFIG_FAIR_GROUP_SCHED: see rq_of() in the probe */
        k.has_clocks = struct_has(btf, "sched_entity", "cfs_rq");
        return k;
}

struct probe_kernel probe_kernel_running(void)
{
        struct btf *btf = btf__load_vmlinux_btf();
        struct probe_kernel k = probe_kernel_of(btf);

        btf__free(btf);
        return k;
}

/*
 * BPF may name a kernel variable when kallsyms has it, which needs CONFIG_KALLSYMS_ALL.  A sandbox
 * (ProtectKernelTunables=) hides the file, or has an empty one in its place, which who has
 * CAP_DAC_READ_SEARCH can open.
 */
bool probe_kernel_names_runqueues(const char *proc_root)
{
        char path[PATH_MAX], line[256];
        bool found = false, any = false;
        FILE *f;

        snprintf(path, sizeof(path), "%s/kallsyms", proc_root);
        f = fopen(path, "re");
        if (!f)
                return true;
        while (!found && fgets(line, sizeof(line), f)) {
                char symbol[128];

                any = true;
                found = sscanf(line, "%*s %*s %127s", symbol) == 1 &&
                        strcmp(symbol, "runqueues") == 0;
        }
        fclose(f);
        return found || !any;
}

int probe_kernel_check_namespace(const char *proc_root, char *why, size_t why_size)
{
        char path[PATH_MAX];
        struct stat st;

        snprintf(path, sizeof(path), "%s/self/ns/pid", proc_root);
        if (stat(path, &st) < 0) {
                if (errno == ENOENT)
                        return 0; /* CONFIG_PID_NS is off: there is one only */
                snprintf(why, why_size, "bpf: cannot tell the pid namespace: %s: %s", path,
                         strerror(errno));
                return -EOPNOTSUPP;
        }
        if (st.st_ino == INITIAL_PID_NAMESPACE)
                return 0;
        snprintf(why, why_size,
                 "bpf: energatd is in a pid namespace of its own, and the probe's process numbers "
                 "are those outside it; give the container the host's (--pid=host)");
        return -EOPNOTSUPP;
}
