/* SPDX-License-Identifier: BSD-2-Clause */
/* step.h - single-stepping through instructions that cascade carries out for the guest of the current VMCS, and what
 * exits tell of it. */
#ifndef CASCADE_RUN_STEP_H
#define CASCADE_RUN_STEP_H

#include "base/x86.h"
#include "hw/vmx_ops.h"
#include "run/run.h"
#include "vmx/fields.h"

/* SDM 3B "Single-Step Exception Condition", "Single-Stepping on Branches": a trap is due after an instruction that began
 * with these flags and is no branch. */
static inline bool step_is_due(uint64_t rflags, uint64_t debugctl)
{
        return (rflags & RFLAGS_TF) && !(debugctl & DEBUGCTL_BTF);
}

/* An instruction, or with `repeats` one iteration of it, was carried out. `rflags` is what the guest has now. */
void step_finish(uint64_t rflags, bool repeats);

/* The guest runs REP instructions one iteration at a time. */
static inline bool step_by_iteration(const struct run *r)
{
        return (vmread(F_guest_rflags) & RFLAGS_TF) || (r->nested.in_l2 && r->nested.mtf.on);
}

/* To be called at an exit with this reason that finds debug exceptions pending. Work-around for Bochs 2.7, which saves the
 * trap that the instruction would have had if it had not exited: SDM 3C "Saving Non-Register State". */
void step_forget(uint32_t reason);

#endif
