/* SPDX-License-Identifier: BSD-2-Clause */
/* run.h - the run loop of one virtual processor and everything that serves its exits.
 *
 * Each exit is one pass: read the reason, decide whose it is, handle it or hand it to the guest hypervisor, let
 * time and interrupts catch up, enter again. Handlers act on the current VMCS, which is vmcs01 or, while the
 * guest's guest runs, vmcs02: most exits that cascade keeps for itself are served alike in both. */
#ifndef CASCADE_RUN_RUN_H
#define CASCADE_RUN_RUN_H

#include "base/exit_status.h"
#include "emulate/decode.h"
#include "emulate/view.h"
#include "nested/nested.h"
#include "platform/pc.h"
#include "run/cpuid.h"
#include "trace/console.h"
#include "trace/store.h"
#include "vmx/vcpu.h"

#define MTRR_VARIABLE_REGS 16
#define MTRR_FIXED_REGS    11

/* Registers that only exist for the guest to read back. */
struct guest_msrs {
        uint64_t feature_control;
        uint64_t tsc_adjust;
        uint64_t misc_enable;
        uint64_t mtrr_def_type;
        uint64_t mtrr_variable[MTRR_VARIABLE_REGS];
        uint64_t mtrr_fixed[MTRR_FIXED_REGS];
};

struct run {
        struct vcpu v; /* first: enter.S hands us a pointer to it */
        struct pc pc;
        struct nested nested;
        struct cpuid_table cpuid;
        struct cpuid_config cpuid_config;
        struct guest_msrs msrs;
        struct decoder decoder;
        struct second_stage ept12_stage; /* for the view of the exit that is being served */
        struct trace_store store;
        struct console_line uart[PC_UARTS];
        struct console_line debug_line;
        uint64_t tsc_hz;
        uint64_t armed;       /* TSC that the preemption timer of the current VMCS was last set for */
        bool intr_window;     /* PROC_INTR_WINDOW is set in the current VMCS, by us */
        bool nmi_window;
        bool init_pending;    /* an INIT signal that is blocked so far */
        uint32_t guest_result; /* MARK_RESULT of the bottom guest, as far as it passed here */
};

/* The current VMCS has changed: its preemption timer stood still meanwhile. A timer that is set for nothing may. */
static inline void rearm_after_switch(struct run *r)
{
        if (r->armed != PC_NEVER)
                r->armed = 0;
}

/* Ends the machine (boot/end.c). */
_Noreturn void run_end(struct run *r, enum exit_status status, const char *why);

static inline struct run *run_of(struct vcpu *v)
{
        return (struct run *)v;
}

/* Absolute level of the guest that the current VMCS runs. */
static inline unsigned run_level(const struct run *r)
{
        return r->nested.in_l2 ? nested_l2_level(&r->nested, &r->v) : r->v.level + 1;
}

#endif
