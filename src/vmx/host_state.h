/* SPDX-License-Identifier: BSD-2-Clause */
/* host_state.h - the host-state area that every hardware VMCS of ours carries: where an exit arrives. */
#ifndef CASCADE_VMX_HOST_STATE_H
#define CASCADE_VMX_HOST_STATE_H

#include "vmx/vcpu.h"

/* Writes the host-state fields of the current VMCS from this processor's registers, for exits to run_exit(v). */
void host_state_write(struct vcpu *v);

/* Makes `to` the current VMCS. */
void vmcs_make_current(struct vcpu *v, struct hw_vmcs *to);

/* VMCLEAR: all its data is in memory, and its next entry is a VMLAUNCH. */
void vmcs_clear(struct hw_vmcs *vmcs);

#endif
