/* SPDX-License-Identifier: BSD-2-Clause */
/* vmfunc.h - the VM functions of the guest's guest: SDM 3C "VM Functions". [pure]
 *
 * vmcs02 enables VM functions where vmcs12 does, but none of them, so that every VMFUNC exits and is judged here. Where
 * vmcs12 does not, the processor raises #UD by itself. */
#ifndef CASCADE_NESTED_VMFUNC_H
#define CASCADE_NESTED_VMFUNC_H

#include "base/guest_mem.h"
#include "nested/vmcs12.h"
#include "vmx/caps.h"

enum vmfunc_outcome {
        VMFUNC_SWITCH,    /* EPTP switching: *eptp is the new one, valid */
        VMFUNC_UNDEFINED, /* #UD */
        VMFUNC_EXIT,      /* the exit is the guest hypervisor's */
};

/* VMFUNC with these registers, at any privilege level, under a vmcs12 that enables VM functions. The entry of the EPTP
 * list is read once; a list that is not in RAM reads as all-ones. */
enum vmfunc_outcome vmfunc_decide(const struct vmcs12 *v, const struct vmx_caps *caps12, const struct guest_mem *mem,
                                  uint32_t eax, uint32_t ecx, uint64_t *eptp);

#endif
