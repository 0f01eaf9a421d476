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

/* Control fields whose values are remembered beside the VMCS, see ctl.h. */
#define CTL_FIELDS(CTL_FIELD)                                                                                \
        CTL_FIELD(vpid) CTL_FIELD(io_bitmap_a) CTL_FIELD(io_bitmap_b) CTL_FIELD(msr_bitmap) CTL_FIELD(tsc_offset) CTL_FIELD(tsc_multiplier) CTL_FIELD(vmfunc_ctls) CTL_FIELD(eptp) CTL_FIELD(vmread_bitmap)  \
        CTL_FIELD(vmwrite_bitmap) CTL_FIELD(xss_exit_bitmap) CTL_FIELD(vmcs_link) CTL_FIELD(pin_ctls)         \
        CTL_FIELD(proc_ctls) CTL_FIELD(proc2_ctls) CTL_FIELD(exit_ctls) CTL_FIELD(entry_ctls)                 \
        CTL_FIELD(exception_bitmap) CTL_FIELD(pf_error_mask) CTL_FIELD(pf_error_match)                        \
        CTL_FIELD(cr3_target_count) CTL_FIELD(cr3_target0) CTL_FIELD(cr3_target1) CTL_FIELD(cr3_target2)      \
        CTL_FIELD(cr3_target3) CTL_FIELD(exit_msr_store_count) CTL_FIELD(exit_msr_load_count)                 \
        CTL_FIELD(entry_msr_load_count) CTL_FIELD(ple_gap) CTL_FIELD(ple_window) CTL_FIELD(cr0_mask)          \
        CTL_FIELD(cr0_shadow) CTL_FIELD(cr4_mask) CTL_FIELD(cr4_shadow) CTL_FIELD(virtual_apic_page)             \
        CTL_FIELD(apic_access_page)
enum ctl_id {
#define CTL_FIELD(name) CTL_##name,
        CTL_FIELDS(CTL_FIELD)
#undef CTL_FIELD
        CTL_COUNT
};
_Static_assert(CTL_COUNT <= 64, "one bit of ctl_known each");

/* A hardware VMCS region of ours. */
struct hw_vmcs {
        hpa_t region;
        bool launched; /* since its last VMCLEAR */
        bool owned;    /* the cascade above knows it by HC_VMCS_OWN */
        uint64_t ctl_known;
        uint64_t ctl[CTL_COUNT];
};

struct vcpu {
        struct gprs gprs;          /* of the guest that exited; RSP stays in its VMCS */
        void *host_stack_top;      /* for the handlers of its exits */

        bool parent_is_cascade;    /* it takes hypercalls */
        unsigned level;            /* absolute level of this cascade */
        struct guest_mem mem;
        const struct vmx_caps *hw; /* of the silicon below */
        struct page_pool *pool;
        const struct console *console;
        struct trace trace;

        struct hw_vmcs vmcs01;
        struct hw_vmcs *current;   /* the one that VMREAD and VMWRITE reach, and that the next entry uses */
        uint64_t eptp01;
        hpa_t msr_bitmap01, io_bitmap01; /* the latter two pages: ports 0 to 0x7fff and 0x8000 up */
        uint64_t hw_exits;         /* hardware exits so far */
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
