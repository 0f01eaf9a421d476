/* SPDX-License-Identifier: BSD-2-Clause */
/* entry.h - between the guest hypervisor and its guest: VMLAUNCH and VMRESUME one way, exits the other. */
#ifndef CASCADE_NESTED_ENTRY_H
#define CASCADE_NESTED_ENTRY_H

#include "nested/nested.h"

/* vmcs01 is current. */
struct insn_result nested_enter(struct nested *n, struct vcpu *v, bool launch);

/* vmcs02 is current and the VM entry failed for a reason of vmcs12: what the guest hypervisor sees is an exit.
 * `reason` without bit 31. False: VMX abort. */
bool nested_entry_failure(struct nested *n, struct vcpu *v, uint32_t reason, uint64_t qualification);

/* Sets a read-only field of vmcs12 for the exit that is about to be reflected. */
void nested_set_exit_field(struct nested *n, enum vmcs_field_id id, uint64_t value);

/* MSR lists of vmcs12: SDM 3C "Loading MSRs", "Saving MSRs". Number of the first bad entry, from 1; 0: all done. */
uint64_t nested_load_msrs(struct nested *n, struct vcpu *v, uint64_t list, uint32_t count);
uint64_t nested_store_msrs(struct nested *n, struct vcpu *v, uint64_t list, uint32_t count);

/* The EPT02 that runs the guest's guest, if nested_has_ept02(). */
struct ept02_root *nested_root02(struct nested *n);

/* APIC virtualization (apicv.h): pages of ours; vmcs02's control fields, when some of vmcs12's was written; what every
 * entry does if vmcs12 has a TPR shadow. The latter two with vmcs02 current. */
void nested_apicv_init(struct nested *n, struct vcpu *v);
void nested_apicv_write(struct nested *n, struct vcpu *v, const struct region12 *r);
void nested_apicv_enter(struct nested *n, struct vcpu *v);

#endif
