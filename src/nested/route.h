/* SPDX-License-Identifier: BSD-2-Clause */
/* route.h - whose is an exit of the guest's guest: ours, or the guest hypervisor's? [pure]
 *
 * One row per exit reason. Reads vmcs12 (controls and read shadows; never guest state) and, for bitmaps, the
 * guest's memory; a bitmap that is not in RAM reads as all-ones. An exit that the guest hypervisor did not
 * ask for is ours: vmcs02 traps more than vmcs12, and we emulate what the guest's guest did. */
#ifndef CASCADE_NESTED_ROUTE_H
#define CASCADE_NESTED_ROUTE_H

#include "base/guest_mem.h"
#include "nested/vmcs12.h"
#include "vmx/exit_info.h"

enum exit_owner { OWNER_L0, OWNER_L1 };

/* Who handles the exit *x. The members of *x that its reason defines are filled in; x->rcx and x->operand too
 * where exit_info.h says so. External interrupts, NMIs, INIT and SIPI are ours: physical events belong to
 * this hypervisor; what of them the guest hypervisor gets is decided by irq/. EPT violations and
 * misconfigurations are ours: ept02 decides. An expired preemption timer is ours: vmcs02's timer is the
 * earlier one of two deadlines, see route_l1_wants_preemption_timer(). An exit reason that the table does not
 * know is the guest hypervisor's. */
enum exit_owner route_l2_exit(const struct vmcs12 *v, const struct exit_info *x, const struct guest_mem *mem);

/* The exit is the guest hypervisor's whatever vmcs12 and the exit information say: route_l2_exit() need not be asked. */
bool route_always_l1(uint32_t reason);

/* The guest hypervisor runs its guest with a preemption timer: a deadline of its own. */
static inline bool route_l1_wants_preemption_timer(const struct vmcs12 *v)
{
        return v->pin_ctls & PIN_PREEMPTION_TIMER;
}

/* The guest hypervisor would take an exit for this event in its guest (SDM 3C "Other Causes of VM Exits",
 * "Exceptions"): for events that irq/ is about to inject. */
static inline bool route_l1_wants_ext_intr(const struct vmcs12 *v)
{
        return v->pin_ctls & PIN_EXT_INTR;
}

static inline bool route_l1_wants_nmi(const struct vmcs12 *v)
{
        return v->pin_ctls & PIN_NMI;
}

bool route_l1_wants_exception(const struct vmcs12 *v, unsigned vector, uint32_t error_code);

#endif
