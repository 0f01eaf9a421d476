/* SPDX-License-Identifier: BSD-2-Clause */
/* entry.h - between the guest hypervisor and its guest: VMLAUNCH and VMRESUME one way, exits the other. */
#ifndef CASCADE_NESTED_ENTRY_H
#define CASCADE_NESTED_ENTRY_H

#include "nested/nested.h"

/* A page of ours, for bitmaps and the like. At start only: there has to be one. */
uint64_t *nested_page(struct vcpu *v);

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

/* The EPT02 that runs the guest's guest, if that does not run on EPT01 (nested_has_ept02()). */
static inline struct ept02_root *nested_root02(struct nested *n)
{
        const struct region12 *r = n->current;
        return ept02_root_variant(&n->ept02, vmcs12_proc2(&r->v) & PROC2_EPT ? r->v.eptp : 0, r->ept02_variant);
}

/* A bitmap of vmcs12's; NULL: everything exits. */
static inline const uint64_t *bitmap12(const struct vcpu *v, bool used, uint64_t at)
{
        return used ? guest_mem_at(&v->mem, L1GPA(at), PAGE_SIZE) : NULL;
}

/* APIC virtualization (apicv.h): pages of ours; what of it a VMCS uses, to be called when a control field of vmcs12 was
 * written; the control fields of vmcs02, likewise; what every entry does for a VMCS that uses it. The latter two with
 * vmcs02 current. */
void nested_apicv_init(struct nested *n, struct vcpu *v);
void nested_apicv_note(const struct nested *n, struct region12 *r);
void nested_apicv_write(struct nested *n, struct vcpu *v, const struct region12 *r);
void nested_apicv_enter(struct nested *n, struct vcpu *v, const struct region12 *r);
/* The next entry into vmcs02 exits at once because of the TPR threshold. */
bool nested_apicv_exits_at_entry(const struct nested *n, const struct vcpu *v);

#endif
