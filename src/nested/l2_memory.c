/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of the guest's guest, which its hypervisor maps by EPT12: faults of EPT02, and who gets to see them. */
#include "base/x86.h"
#include "emulate/paging.h"
#include "ept02/pml.h"
#include "hw/vmx_ops.h"
#include "nested/entry.h"
#include "nested/nested.h"
#include "nested/ve.h"
#include "vmx/ctl.h"
#include "vmx/ept01.h"
#include "vmx/root.h"

/* Walks EPT12, if there is one, for an access that is being made, so that flags are set and logged. */
static struct ept_walk walk(struct nested *n, const struct vcpu *v, l2gpa_t at, uint64_t access)
{
        const struct vmcs12 *v12 = &n->current->v;
        if (!nested_has_ept12(n))
                return apicv_walk_untranslated(at);
        if (__builtin_expect(!(vmcs12_proc2(v12) & PROC2_PML), 1))
                return ept12_walk(&v->mem, v12->eptp, at, access, &n->caps12);
        const uint16_t before = (uint16_t)vmread(F_pml_index);
        struct pml log = { .address = v12->pml_address, .index = before };
        const struct ept_walk w = ept12_walk_logged(&v->mem, v12->eptp, at, access, &n->caps12, &log);
        if (log.index != before)
                vmwrite(F_pml_index, log.index);
        return w;
}

/* What the guest hypervisor gets to see of a walk of its tables that failed. */
static void reflect_walk(struct nested *n, const struct ept_walk *w)
{
        static const enum exit_reason reasons[] = {
                [EPT_VIOLATION] = EXIT_EPT_VIOLATION,
                [EPT_MISCONFIG] = EXIT_EPT_MISCONFIG,
                [EPT_LOG_FULL] = EXIT_PML_FULL,
        };
        nested_set_exit_field(n, FI_exit_reason, reasons[w->verdict]);
        nested_set_exit_field(n, FI_exit_qualification, w->verdict == EPT_MISCONFIG ? 0 : w->qualification);
}

/* SDM 3C "Virtualizing Memory-Mapped APIC Accesses": the exit for an access to vmcs12's APIC-access page that the
 * processor did not see as one. */
static enum nested_ept reflect_apic_access(struct nested *n, l1gpa_t at, enum apic_access type)
{
        nested_set_exit_field(n, FI_exit_reason, EXIT_APIC_ACCESS);
        nested_set_exit_field(n, FI_exit_qualification, PUT(at.raw & APICQ_OFFSET, APICQ_TYPE, type));
        return NESTED_EPT_REFLECT;
}

/* Folds what EPT12 and EPT01 say about an address into EPT02. */
static enum ept02_verdict fold(struct nested *n, struct vcpu *v, l2gpa_t at, uint64_t access, struct ept_walk *w,
                               struct ept02_leaf *leaf)
{
        *w = walk(n, v, at, access);
        struct ept01_leaf e01 = { .ram = false };
        if (w->verdict == EPT_OK)
                e01 = ept01_lookup(v->eptp01, w->l1gpa);
        apicv_shape_leaf(&n->current->v, w, n->apicv.no_access_page, &e01);
        const enum ept02_verdict verdict = ept02_combine(w, &e01, access, leaf);
        if (verdict == EPT02_FILLED)
                ept02_install(&n->ept02, nested_root02(n), at, leaf);
        return verdict;
}

/* As a read: a processor may set accessed flags for what it translates ahead, but never dirty flags. */
void nested_ept_fill(struct nested *n, struct vcpu *v)
{
        struct ept_walk w;
        struct ept02_leaf leaf;
        n->fill_for = NULL;
        if (nested_has_ept12(n))
                fold(n, v, n->fill_at, EPTQ_READ | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED, &w, &leaf);
}

/* An access of ours in the place of the guest's guest, as an exit qualification tells it. */
static uint64_t access_of(unsigned use)
{
        if (use & ACCESS_STRUCTURE)
                return (use & ACCESS_WRITE ? EPTQ_WRITE : EPTQ_READ) | EPTQ_LINEAR_VALID;
        const uint64_t kind = use & ACCESS_WRITE ? EPTQ_WRITE : use & ACCESS_FETCH ? EPTQ_FETCH : EPTQ_READ;
        return kind | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED;
}

bool nested_l2_address(struct nested *n, struct vcpu *v, l2gpa_t at, unsigned use, l1gpa_t *out)
{
        const struct ept_walk w = walk(n, v, at, access_of(use));
        *out = w.l1gpa;
        return w.verdict == EPT_OK && !apicv_is_access_page(&n->current->v, w.l1gpa);
}

/* A violation of EPT12: an exception for the guest's guest, or an exit. `by_processor`: of EPT02 too. */
static enum nested_ept violation(struct nested *n, const struct vcpu *v, const struct ept_walk *w, l2gpa_t at,
                                 uint64_t linear, bool by_processor)
{
        ept02_violated(&n->ept02, nested_root02(n), at, by_processor);
        const struct ve_cause cause = {
                .walk = w,
                .guest_linear = linear,
                .guest_physical = at.raw,
                .protected_mode = vmread(F_guest_cr0) & CR0_PE,
                .delivering_event = vmread(F_idt_vec_info) & INTR_VALID,
        };
        if (ve_take(&n->current->v, &v->mem, &cause))
                return NESTED_EPT_VE;
        reflect_walk(n, w);
        return NESTED_EPT_REFLECT;
}

static enum apic_access apic_access_of(unsigned use)
{
        if (use & ACCESS_STRUCTURE)
                return APIC_ACCESS_PHYSICAL;
        return use & ACCESS_WRITE ? APIC_ACCESS_WRITE : use & ACCESS_FETCH ? APIC_ACCESS_FETCH : APIC_ACCESS_READ;
}

enum nested_ept nested_ept_missing(struct nested *n, struct vcpu *v, l2gpa_t at, uint64_t linear, unsigned use)
{
        const struct ept_walk w = walk(n, v, at, access_of(use));
        if (w.verdict == EPT_OK)
                return apicv_is_access_page(&n->current->v, w.l1gpa) ? reflect_apic_access(n, w.l1gpa, apic_access_of(use))
                                                                     : NESTED_EPT_MMIO;
        nested_set_exit_field(n, FI_guest_physical, at.raw);
        nested_set_exit_field(n, FI_guest_linear, linear);
        if (w.verdict == EPT_VIOLATION)
                return violation(n, v, &w, at, linear, false);
        reflect_walk(n, &w);
        return NESTED_EPT_REFLECT;
}

enum nested_ept nested_ept_fault(struct nested *n, struct vcpu *v, const struct exit_info *x, l1gpa_t *at)
{
        const l2gpa_t gpa = L2GPA(x->guest_physical);
        *at = L1GPA(gpa.raw);
        if (!nested_has_ept02(n))
                return NESTED_EPT_MMIO; /* it runs on EPT01, which maps all there is */

        struct ept_walk w;
        struct ept02_leaf leaf;
        const enum ept02_verdict verdict = fold(n, v, gpa, x->qualification, &w, &leaf);
        trace_emit(&v->trace, TRACE_EPT02_FAULT, nested_l2_level(n, v), verdict, gpa.raw,
                   verdict == EPT02_FILLED ? leaf.epte : w.qualification);
        *at = w.l1gpa;
        switch (verdict) {
        case EPT02_FILLED:
                return NESTED_EPT_RESUME;
        case EPT02_L1_VIOLATION:
                n->fill_for = n->current;
                n->fill_at = gpa;
                return violation(n, v, &w, gpa, x->guest_linear, true);
        case EPT02_L1_MISCONFIG:
        case EPT02_L1_LOG_FULL:
                reflect_walk(n, &w);
                return NESTED_EPT_REFLECT;
        case EPT02_L0_MMIO:
                break;
        }
        return apicv_is_access_page(&n->current->v, w.l1gpa) ? reflect_apic_access(n, w.l1gpa, APIC_ACCESS_FETCH)
                                                             : NESTED_EPT_MMIO;
}

/* SDM 3C "EPTP Switching" */
enum vmfunc_outcome nested_vmfunc(struct nested *n, struct vcpu *v)
{
        struct vmcs12 *v12 = &n->current->v;
        const uint32_t ecx = (uint32_t)v->gprs.r[GPR_RCX];
        uint64_t eptp;
        const enum vmfunc_outcome outcome =
                vmfunc_decide(v12, &n->caps12, &v->mem, (uint32_t)v->gprs.r[GPR_RAX], ecx, &eptp);
        if (outcome != VMFUNC_SWITCH)
                return outcome;
        v12->eptp = eptp;
        if (n->caps12.proc2.may1 & PROC2_VE)
                v12->eptp_index = (uint16_t)ecx;
        ctl_write(v, eptp, ept02_eptp(nested_root02(n)));
        /* Translations of VPID02 are told apart by the EPT02 they came by. But without VPIDs of its own the guest
         * hypervisor may count on the switch to invalidate them. */
        if (!(vmcs12_proc2(v12) & PROC2_VPID))
                vpid_flush(v->hw, VPID02);
        return outcome;
}
