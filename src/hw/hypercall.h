/* SPDX-License-Identifier: BSD-2-Clause */
/* hypercall.h - what a guest may ask of the cascade above it, by VMCALL: number in RAX, arguments in RBX and RCX,
 * result in RAX (HC_OK, HC_UNKNOWN, HC_BAD). A guest may use it only after CPUID leaf CASCADE_CPUID_BASE showed
 * the signature. All of it is a convenience: no call changes what the guest may do. */
#ifndef CASCADE_HW_HYPERCALL_H
#define CASCADE_HW_HYPERCALL_H

#include <stdint.h>
#include "hw/cpu.h"

/* CPUID leaf CASCADE_CPUID_BASE: EAX = highest leaf, EBX/ECX/EDX = "cascadecasca" (SDM 2A "CPUID": leaves
 * 0x40000000 and up are left to software). Leaf +1: EAX = absolute level of the cascade that answers. */
#define CASCADE_CPUID_BASE 0x40000000u
#define CASCADE_CPUID_EBX  0x63736163u /* "casc" */
#define CASCADE_CPUID_ECX  0x63656461u /* "adec" */
#define CASCADE_CPUID_EDX  0x61637361u /* "asca" */

enum hypercall_number {
        HC_CONSOLE = 0xcade0001,    /* write rcx bytes at guest-physical rbx to the console, unchanged */
        HC_VMCS_OWN = 0xcade0002,   /* the region at guest-physical rbx is a VMCS and will be for ever; it runs a guest of
                                     * absolute level rcx (0: not known yet). Its data need not be in memory after VMCLEAR. */
        HC_MARKER = 0xcade0003,     /* record a marker of level rbx[39:32], code rbx[7:0], value rcx */
        HC_VMCS_SWITCH = 0xcade0005, /* VMCLEAR of the region at rbx and VMPTRLD of the one at rcx in one exit; both owned */
        HC_HW_EXITS = 0xcade0004,   /* rax = hardware exits of L1 so far on this processor, for benchmarks */
};

#define HC_OK      0ull
#define HC_BAD     (~0ull)
#define HC_UNKNOWN (~0ull - 1)

static inline uint64_t hypercall(enum hypercall_number nr, uint64_t rbx, uint64_t rcx)
{
        return hw_vmcall(nr, rbx, rcx);
}

#endif
