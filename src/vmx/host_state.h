/* SPDX-License-Identifier: BSD-2-Clause */
/* host_state.h - the host-state area that every hardware VMCS of ours carries: where an exit arrives. */
#ifndef CASCADE_VMX_HOST_STATE_H
#define CASCADE_VMX_HOST_STATE_H

#include "vmx/vcpu.h"

/* Writes the host-state fields of the current VMCS from this processor's registers, for exits to run_exit(v). */
void host_state_write(struct vcpu *v);

/* Makes `to` the current VMCS. */
void vmcs_make_current(struct vcpu *v, struct hw_vmcs *to);

/* vmcs_clear(clear), then vmcs_make_current(to); under another cascade in one exit. The shadow-VMCS indicator of `clear`
 * is set to `shadow` in between (SDM 3C "Format of the VMCS Region"). */
void vmcs_switch(struct vcpu *v, struct hw_vmcs *clear, bool shadow, struct hw_vmcs *to);

/* Tells the cascade above, if there is one, that this region is a VMCS for ever; it runs a guest of this absolute
 * level (0: not known yet). */
void vmcs_own(struct vcpu *v, struct hw_vmcs *vmcs, unsigned level);

/* VMCLEAR: all its data is in memory, and its next entry is a VMLAUNCH. */
void vmcs_clear(struct hw_vmcs *vmcs);

#endif
