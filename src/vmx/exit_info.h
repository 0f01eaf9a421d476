/* SPDX-License-Identifier: BSD-2-Clause */
/* exit_info.h - everything about one VM exit that decisions need, read once out of the current VMCS. [pure]
 *
 * The run loop fills it right after the exit; nobody else VMREADs exit information. Members that the exit
 * reason does not define hold whatever the processor left and must not be looked at. */
#ifndef CASCADE_VMX_EXIT_INFO_H
#define CASCADE_VMX_EXIT_INFO_H

#include <stdint.h>
#include "base/addr.h"

struct exit_info {
        uint32_t reason;     /* as read: basic reason and flags */
        uint32_t intr_info;  /* VM-exit interruption information */
        uint32_t error_code; /* VM-exit interruption error code */
        uint32_t insn_len;
        uint32_t insn_info;
        uint32_t idt_vec_info;
        uint32_t idt_vec_error;
        uint64_t qualification;
        uint64_t guest_linear;
        uint64_t guest_physical; /* in the address space of the guest that exited */
        uint64_t rcx;            /* RDMSR, WRMSR: the MSR; XSETBV: the register */
        uint64_t
                operand; /* MOV to CRn: value of the source register; VMREAD, VMWRITE: the field's encoding */
};

#endif
