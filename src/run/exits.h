/* SPDX-License-Identifier: BSD-2-Clause */
/* exits.h - the handlers of exits, one per reason or family. Each leaves the guest ready to be entered again. */
#ifndef CASCADE_RUN_EXITS_H
#define CASCADE_RUN_EXITS_H

#include "base/x86.h"
#include "hw/vmx_ops.h"
#include "run/run.h"
#include "run/step.h"
#include "vmx/controls.h"

typedef void exit_fn(struct run *r, const struct exit_info *x);

exit_fn exit_cpuid, exit_cr_access, exit_io, exit_rdmsr, exit_wrmsr, exit_xsetbv, exit_ept_violation, exit_vmcall, exit_vmfunc;

/* Steps over the instruction that exited: RIP, and the blocking by STI or MOV SS that ends with it (SDM 3A
 * "Masking Exceptions and Interrupts When Switching Stacks"); a single-step trap becomes pending. */
static inline __attribute__((always_inline)) void skip_bytes(struct run *r, uint64_t bytes)
{
        vmwrite(F_guest_rip, vmread(F_guest_rip) + bytes);
        const uint64_t blocked = vmread(F_guest_interruptibility);
        if (__builtin_expect(blocked & (INTRBLK_STI | INTRBLK_MOV_SS), 0))
                vmwrite(F_guest_interruptibility, blocked & ~(uint64_t)(INTRBLK_STI | INTRBLK_MOV_SS));
        const uint64_t rflags = vmread(F_guest_rflags);
        if (__builtin_expect(rflags & (RFLAGS_TF | RFLAGS_RF), 0))
                step_finish(rflags, false);
}

/* The exit that exit information describes goes to the guest hypervisor. */
void reflect(struct run *r);

/* What the guest's guest could not reach by EPT12 is its own hypervisor's matter, or its own. False: neither, the
 * memory is a device. */
bool serve_l2_memory(struct run *r, enum nested_ept verdict);

/* By the length that the exit tells. */
static inline __attribute__((always_inline)) void skip_instruction(struct run *r)
{
        skip_bytes(r, vmread(F_exit_insn_len));
}

#endif
