/* SPDX-License-Identifier: BSD-2-Clause */
/* vmcs01.h - the VMCS that runs the guest: its controls, and the state the guest starts in. */
#ifndef CASCADE_VMX_VMCS01_H
#define CASCADE_VMX_VMCS01_H

#include "base/x86.h"
#include "vmx/vcpu.h"

/* How a guest's first instruction is entered. */
enum start_kind {
        START_PROTECTED32, /* flat 32-bit protected mode, paging off: PVH, 32-bit Linux protocol */
        START_LONG64,      /* flat 64-bit mode on page tables at cr3: 64-bit Linux protocol */
};

struct guest_start {
        enum start_kind kind;
        uint64_t rip, cr3;
        uint64_t rbx, rsi; /* what the boot protocol passes in registers */
        uint16_t cs, ds;   /* selectors */
        uint64_t gdt;      /* l1gpa of the table that holds them; 0: none */
        uint16_t gdt_limit;
};

/* Allocates the VMCS, makes it current and fills it. v->hw, v->pool, v->eptp01 and v->msr_bitmap01 are set. */
void vmcs01_create(struct vcpu *v, const struct guest_start *start);

/* Control register bits that the guest believes to own but that VMX operation or cascade needs (SDM 3C
 * "Guest/Host Masks and Read Shadows for CR0 and CR4"). */
#define CR0_MASK01 (CR0_NE | CR0_NW | CR0_CD)
#define CR4_MASK01 CR4_VMXE

#endif
