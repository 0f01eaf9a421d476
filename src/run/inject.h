/* SPDX-License-Identifier: BSD-2-Clause */
/* inject.h - events into the guest that the current VMCS runs. */
#ifndef CASCADE_RUN_INJECT_H
#define CASCADE_RUN_INJECT_H

#include "run/run.h"

/* A fault of the instruction that exited. With an event whose delivery was interrupted by the exit, it becomes
 * what SDM 3A "Interrupt 8 - Double Fault Exception" says. */
void inject_fault(struct run *r, const struct guest_fault *f);
void inject_ud(struct run *r);
void inject_gp0(struct run *r);

/* SDM 3C "Information for VM Exits That Occur During Event Delivery": an event whose delivery did not finish
 * because of an exit that cascade kept for itself is delivered again by the next entry. */
void reinject_interrupted_event(struct run *r);

/* Time and interrupts catch up before an entry: device timers, the preemption timer, pending interrupts and
 * NMIs of the guest. May turn a pending interrupt into an exit to the guest hypervisor. */
void prepare_entry(struct run *r);

/* Before the current VMCS changes: withdraws the interrupt and NMI windows that prepare_entry() asked for. */
void close_windows(struct run *r);

#endif
