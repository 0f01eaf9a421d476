/* SPDX-License-Identifier: BSD-2-Clause */
/* cpu_local.h - what one processor of the host owns. GS and FS point to it for ever; offset 0x28 is the stack
 * guard that libcapstone, built with the stack protector, reads through FS. */
#ifndef CASCADE_VMX_CPU_LOCAL_H
#define CASCADE_VMX_CPU_LOCAL_H

#include <stddef.h>
#include <stdint.h>
#include "hw/cpu.h"
#include "trace/console.h"

struct run;

struct cpu_local {
        struct cpu_local *self;
        struct run *run;          /* what it runs; NULL during start-up */
        struct console *console;
        uint64_t unused[2];
        uint64_t stack_guard;
};
_Static_assert(offsetof(struct cpu_local, stack_guard) == 0x28, "System V psABI, x86-64 TLS layout");

static inline struct cpu_local *cpu_local(void)
{
        return hw_gs_self();
}

#endif
