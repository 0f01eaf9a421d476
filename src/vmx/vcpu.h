/* SPDX-License-Identifier: BSD-2-Clause */
/* vcpu.h - one virtual processor: what every module below the run loop needs of it.
 * Owned by the run loop; enter.S relies on the first members. The guest it runs is level + 1. */
#ifndef CASCADE_VMX_VCPU_H
#define CASCADE_VMX_VCPU_H

#include <stdbool.h>
#include <stddef.h>
#include "base/gprs.h"
#include "base/guest_mem.h"
#include "mm/pool.h"
#include "trace/console.h"
#include "trace/trace.h"
#include "vmx/caps.h"

/* A hardware VMCS region of ours. */
struct hw_vmcs {
        hpa_t region;
        bool launched; /* since its last VMCLEAR */
};

struct vcpu {
        struct gprs gprs;          /* of the guest that exited; RSP stays in its VMCS */
        void *host_stack_top;      /* for the handlers of its exits */

        unsigned level;            /* absolute level of this cascade */
        struct guest_mem mem;
        const struct vmx_caps *hw; /* of the silicon below */
        struct page_pool *pool;
        const struct console *console;
        struct trace trace;

        struct hw_vmcs vmcs01;
        struct hw_vmcs *current;   /* the one that VMREAD and VMWRITE reach, and that the next entry uses */
        uint64_t eptp01;
        hpa_t msr_bitmap01;
        uint64_t hw_exits;         /* hardware exits so far */
        uint64_t timer_value;      /* what the VMCS of the guest was last given, see run/timer.c */
};
_Static_assert(offsetof(struct vcpu, host_stack_top) == sizeof(struct gprs), "enter.S");

#define VPID01 1
#define VPID02 2

/* enter.S: runs the guest for ever; each exit calls run_exit(v), whose answer is how to enter again. */
enum entry_insn { ENTER_RESUME, ENTER_LAUNCH };
_Noreturn void vmx_enter(struct vcpu *v, enum entry_insn how);
extern const uint8_t vmx_exit_point[]; /* HOST_RIP */
uint64_t run_exit(struct vcpu *v);
_Noreturn void run_entry_failed(struct vcpu *v, uint64_t rflags);

#endif
