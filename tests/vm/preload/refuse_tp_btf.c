/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into energatd: a kernel that does not take the probe's tp_btf program at sched_switch,
 * as those before 5.5 do not, and all else.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSED "on_switch" /* of bpf/probe.bpf.c */

typedef long syscall_function(long number, ...);

static int is_refused(long number, const long *arguments)
{
        const union bpf_attr *attr = (const union bpf_attr *)(uintptr_t)arguments[1];

        return number == __NR_bpf && arguments[0] == BPF_PROG_LOAD &&
               attr->expected_attach_type == BPF_TRACE_RAW_TP &&
               strncmp(attr->prog_name, REFUSED, sizeof(attr->prog_name)) == 0;
}

/* libbpf comes by here with every bpf(2). */
long syscall(long number, ...)
{
        static syscall_function *next;
        long arguments[6]; /* as many as a call can have; those beyond its own are not looked at */
        va_list list;

        va_start(list, number);
        for (int i = 0; i < 6; i++)
                arguments[i] = va_arg(list, long);
        va_end(list);
        if (is_refused(number, arguments)) {
                errno = EINVAL;
                return -1;
        }
        if (!next)
                next = (syscall_function *)dlsym(RTLD_NEXT, "syscall");
        return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                    arguments[5]);
}
