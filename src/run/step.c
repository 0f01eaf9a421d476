/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/step.h"
#include "base/bits.h"
#include "vmx/controls.h"

void step_finish(uint64_t rflags, bool repeats)
{
        /* SDM 3B "Instruction-Breakpoint Exception Condition": RF lasts for one instruction. */
        if ((rflags & RFLAGS_RF) && !repeats)
                vmwrite(F_guest_rflags, rflags & ~RFLAGS_RF);
        if (step_is_due(rflags, vmread(F_guest_debugctl)))
                vmwrite(F_guest_pending_dbg, vmread(F_guest_pending_dbg) | PENDING_DBG_BS);
}

void step_forget(uint32_t reason)
{
        static const uint64_t keep = BIT(EXIT_INIT) | BIT(EXIT_IO_SMI) | BIT(EXIT_OTHER_SMI) | BIT(EXIT_ENTRY_GUEST_STATE) |
                                     BIT(EXIT_ENTRY_MSR_LOAD) | BIT(EXIT_MTF) | BIT(EXIT_ENTRY_MCE) | BIT(EXIT_TPR_THRESHOLD) |
                                     BIT(EXIT_VIRTUALIZED_EOI) | BIT(EXIT_APIC_WRITE);
        const uint64_t basic = GET(reason, EXIT_REASON_BASIC);
        if (basic < 64 && (keep >> basic & 1))
                return;
        if (!(vmread(F_guest_interruptibility) & INTRBLK_MOV_SS))
                vmwrite(F_guest_pending_dbg, 0);
}
