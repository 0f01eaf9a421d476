/* SPDX-License-Identifier: BSD-2-Clause */
/* inject.h - events into the guest that the current VMCS runs. */
#ifndef CASCADE_RUN_INJECT_H
#define CASCADE_RUN_INJECT_H

#include "hw/cpu.h"
#include "run/run.h"

/* A fault of the instruction that exited. With an event whose delivery was interrupted by the exit, it becomes
 * what SDM 3A "Interrupt 8 - Double Fault Exception" says. A fault of the guest's guest is an exit to the guest hypervisor
 * if that asked for it: vmcs01 may be current afterwards. */
void inject_fault(struct run *r, const struct guest_fault *f);
void inject_ud(struct run *r);
void inject_gp0(struct run *r);

/* While the guest's guest runs: this exit to the guest hypervisor. Afterwards vmcs01 is current. */
void exit_to_l1(struct run *r, const struct made_exit *x);

/* SDM 3C "Information for VM Exits That Occur During Event Delivery": an event whose delivery did not finish
 * because of an exit that cascade kept for itself is delivered again by the next entry. */
void reinject_interrupted_event(struct run *r);

/* Time and interrupts catch up before an entry: device timers, the preemption timer, pending interrupts and
 * NMIs of the guest. May turn a pending interrupt into an exit to the guest hypervisor. */
void catch_up(struct run *r, uint64_t now);

/* The common case, nothing to do, is decided in line: every exit ends here. */
static inline __attribute__((always_inline)) bool anything_due(const struct run *r, uint64_t now)
{
        const uint64_t next = pc_next_event(&r->pc);
        return now >= next || next != r->armed || pc_pending_vector(&r->pc, 0) >= 0 || pc_nmi_pending(&r->pc, 0) ||
               r->intr_window || r->nmi_window;
}

static inline __attribute__((always_inline)) void prepare_entry(struct run *r)
{
        const uint64_t now = hw_rdtsc();
        if (__builtin_expect(anything_due(r, now), 0))
                catch_up(r, now);
}

/* Before the current VMCS changes: withdraws the interrupt and NMI windows that prepare_entry() asked for. */
void close_windows(struct run *r);

#endif
