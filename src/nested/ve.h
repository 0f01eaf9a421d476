/* SPDX-License-Identifier: BSD-2-Clause */
/* ve.h - EPT violations that the guest's guest gets as exceptions: SDM 3C "Virtualization Exceptions". [pure]
 *
 * Made in software from EPT violations of EPT12, whatever the silicon has: vmcs02 never has the control, as what
 * EPT02 lacks says nothing about EPT12. */
#ifndef CASCADE_NESTED_VE_H
#define CASCADE_NESTED_VE_H

#include "ept02/walk12.h"
#include "nested/vmcs12.h"

/* An EPT violation of the guest's guest, as its hypervisor would get to see it. */
struct ve_cause {
        const struct ept_walk *walk; /* verdict EPT_VIOLATION */
        uint64_t guest_linear, guest_physical;
        bool protected_mode;   /* CR0.PE of the guest's guest */
        bool delivering_event; /* IDT-vectoring information is valid */
};

/* True: a virtualization exception is due instead of an exit, and the information area has been written. */
bool ve_take(const struct vmcs12 *v, const struct guest_mem *mem, const struct ve_cause *c);

#endif
