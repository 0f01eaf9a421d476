/* SPDX-License-Identifier: BSD-2-Clause */
/* VM exits as the guest hypervisor sees them: SDM 3C chapter "VM Exits". */
#include "base/bits.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "hw/vmx_ops.h"
#include "nested/entry.h"
#include "nested/region.h"
#include "vmx/ctl.h"
#include "vmx/root.h"
#include "vmx/vmcs01.h"

/* SDM 3C "VMX Aborts" */
enum vmx_abort { ABORT_SAVE_MSR = 1, ABORT_PDPTE = 2, ABORT_LOAD_MSR = 4, ABORT_HOST_32 = 6 };

static bool abort12(struct vcpu *v, struct region12 *r, enum vmx_abort indicator)
{
        uint32_t *region = guest_mem_at(&v->mem, r->at, PAGE_SIZE);
        if (region)
                region[1] = indicator;
        console_log(v->console, "VMX abort %u of L%u", (unsigned)indicator, v->level + 1);
        return false;
}

/* A field that most exits find as they would leave it. Under another cascade VMREAD is free and VMWRITE of such a field
 * exits; on the processor itself a look costs as much as the write. */
static inline __attribute__((always_inline)) void update(bool look, enum vmcs_field field, uint64_t value)
{
        if (!look || vmread(field) != value)
                vmwrite(field, value);
}

static inline __attribute__((always_inline)) void write_segment(bool look, enum vmcs_field sel, const struct seg_state *s)
{
        const unsigned i = (unsigned)(sel - F_guest_es_sel); /* 2 per register, in every group of fields */
        update(look, sel, s->sel);
        update(look, F_guest_es_base + i, s->base);
        update(look, F_guest_es_limit + i, s->limit);
        update(look, F_guest_es_ar + i, s->ar);
}

static inline __attribute__((always_inline)) void write_segments(bool look, const struct l1_state_after_exit *s)
{
        for (unsigned i = 0; i < NR_SEG_REGS; i++)
                write_segment(look, (enum vmcs_field)(F_guest_es_sel + 2 * i), &s->seg[i]);
        write_segment(look, F_guest_ldtr_sel, &s->ldtr);
        write_segment(look, F_guest_tr_sel, &s->tr);
        update(look, F_guest_gdtr_base, s->gdtr_base);
        update(look, F_guest_gdtr_limit, s->gdtr_limit);
        update(look, F_guest_idtr_base, s->idtr_base);
        update(look, F_guest_idtr_limit, s->idtr_limit);
}

static bool write_pdptes(bool look, struct vcpu *v, uint64_t cr3)
{
        uint64_t pdpte[PDPTES];
        if (!pdptes_read(&v->mem, v->hw, cr3, pdpte))
                return false;
        for (unsigned i = 0; i < PDPTES; i++)
                update(look, F_guest_pdpte0 + 2 * i, pdpte[i]);
        return true;
}

/* vmcs01 is current. Bits of CR0 and CR4 that are not the guest's keep what VMX operation needs; the guest sees its
 * own in the read shadows. */
static inline __attribute__((always_inline)) void write_control_registers(bool look, struct vcpu *v, const struct l1_state_after_exit *s)
{
        update(look, F_guest_cr0, (s->cr0 & ~(CR0_CD | CR0_NW)) | (v->hw->cr0_fixed0 & CR0_NE));
        ctl_write(v, cr0_shadow, s->cr0);
        vmwrite(F_guest_cr3, s->cr3);
        update(look, F_guest_cr4, s->cr4 | CR4_VMXE);
        ctl_write(v, cr4_shadow, s->cr4);
        ctl_set_ia32e(v, s->efer & EFER_LMA);
}

static inline __attribute__((always_inline)) bool write_l1_state(bool look, struct vcpu *v, const struct l1_state_after_exit *s)
{
        write_control_registers(look, v, s);
        write_segments(look, s);
        update(look, F_guest_efer, s->efer);
        update(look, F_guest_pat, s->pat);
        update(look, F_guest_debugctl, s->debugctl);
        update(look, F_guest_dr7, s->dr7);
        update(look, F_guest_sysenter_cs, s->sysenter_cs);
        update(look, F_guest_sysenter_esp, s->sysenter_esp);
        update(look, F_guest_sysenter_eip, s->sysenter_eip);
        vmwrite(F_guest_rip, s->rip);
        vmwrite(F_guest_rsp, s->rsp);
        vmwrite(F_guest_rflags, s->rflags);
        vmwrite(F_guest_interruptibility, s->interruptibility);
        vmwrite(F_guest_activity, s->activity);
        vmwrite(F_guest_pending_dbg, s->pending_dbg);
        vmwrite(F_entry_intr_info, 0);
        return !s->load_pdptes || write_pdptes(look, v, s->cr3);
}

static struct l2_at_exit l2_now(void)
{
        return (struct l2_at_exit){ .cr0 = vmread(F_guest_cr0), .cr4 = vmread(F_guest_cr4),
                                    .efer = vmread(F_guest_efer), .pat = vmread(F_guest_pat) };
}

/* The same of the guest hypervisor itself: vmcs01 is current and as it was at VMLAUNCH. */
static struct l2_at_exit l1_now(const struct vcpu *v)
{
        return (struct l2_at_exit){ .cr0 = ctl_guest_cr0(v), .cr4 = ctl_guest_cr4(v),
                                    .efer = vmread(F_guest_efer), .pat = vmread(F_guest_pat) };
}

static bool same(const struct l2_at_exit *a, const struct l2_at_exit *b)
{
        return a->cr0 == b->cr0 && a->cr4 == b->cr4 && a->efer == b->efer && a->pat == b->pat;
}

/* Makes vmcs01 current and loads the guest hypervisor's host state. `l2`: what its guest left in the registers that host
 * state does not load; NULL: that guest's state was never loaded. False: VMX abort. */
static bool leave(struct nested *n, struct vcpu *v, const struct l2_at_exit *l2)
{
        struct region12 *r = n->current;
        const uint64_t blocking02 = vmread(F_guest_interruptibility) & INTRBLK_NMI;
        n->in_l2 = false;
        region12_switch_back(n, v, r);
        if (__builtin_expect(blocking02 != 0, 0))
                hw_unblock_nmi(); /* Bochs 2.7 would keep it for the guest hypervisor: docs/silicon.md */
        if (n->tsc_offset01)
                ctl_write(v, tsc_offset, n->tsc_offset01);
        /* SDM 3C "Operations that Invalidate Cached Mappings": a VM exit without VPIDs invalidates those of VPID 0, which
         * the guest hypervisor's own are to it. */
        if (!(vmcs12_proc2(&r->v) & PROC2_VPID))
                vpid_flush(v->hw, VPID01);

        const struct l2_at_exit now = l2 ? *l2 : l1_now(v);
        /* SDM 3C "Interruptibility State": with virtual NMIs the VM entry has ended blocking by NMI, else it is what the
         * guest's guest leaves. */
        const uint64_t left02 = r->v.pin_ctls & PIN_VIRTUAL_NMI ? 0 : blocking02;
        const uint64_t nmi_blocking = l2 ? left02 : vmread(F_guest_interruptibility) & INTRBLK_NMI;
        if (!r->host_known || !same(&r->host_for, &now)) {
                merge_host_to_l1(&r->v, &n->caps12, &now, &r->host);
                r->host_for = now;
                r->host_known = true;
        }
        if (!(v->parent_is_cascade ? write_l1_state(true, v, &r->host) : write_l1_state(false, v, &r->host)))
                return abort12(v, r, ABORT_PDPTE);
        if (__builtin_expect(nmi_blocking != 0, 0))
                vmwrite(F_guest_interruptibility, nmi_blocking);
        if (nested_load_msrs(n, v, r->v.exit_msr_load, r->v.exit_msr_load_count))
                return abort12(v, r, ABORT_LOAD_MSR);
        return true;
}

/* The preemption timer of vmcs12 as the exit leaves it: SDM 3C "Saving Non-Register State". */
static void save_timer(const struct nested *n, const struct region12 *r)
{
        uint64_t value = r->v.guest_preemption_timer;
        if ((r->v.pin_ctls & PIN_PREEMPTION_TIMER) && (r->v.exit_ctls & EXIT_CTL_SAVE_PREEMPTION_TIMER))
                value = nested_timer12_left(n);
        vmwrite(F_guest_preemption_timer, value < UINT32_MAX ? value : UINT32_MAX);
}

/* vmcs02 always saves; where vmcs12 does not, its field keeps what it held at the entry. */
static void restore_unsaved(const struct nested *n, const struct vcpu *v, struct region12 *r, bool lma)
{
        const bool look = v->parent_is_cascade;
        if (!(r->v.exit_ctls & EXIT_CTL_SAVE_EFER))
                update(look, F_guest_efer, r->v.guest_efer);
        if (!(r->v.exit_ctls & EXIT_CTL_SAVE_PAT))
                update(look, F_guest_pat, r->v.guest_pat);
        if (!(r->v.exit_ctls & EXIT_CTL_SAVE_DEBUG)) {
                update(look, F_guest_debugctl, r->v.guest_debugctl);
                update(look, F_guest_dr7, r->v.guest_dr7);
        }
        /* SDM 3C "Saving Control Registers, Debug Registers, and MSRs": LMA goes to "IA-32e mode guest". */
        r->v.entry_ctls = (r->v.entry_ctls & ~ENTRY_CTL_GUEST_64) | (lma ? ENTRY_CTL_GUEST_64 : 0);
        save_timer(n, r);
}

/* What vmcs02 has in the place of vmcs12's because vmcs12 does not load it; the processor may still refuse to enter. */
static void restore_replaced(const struct vcpu *v, const struct region12 *r)
{
        const bool look = v->parent_is_cascade;
        update(look, F_guest_efer, r->v.guest_efer);
        update(look, F_guest_pat, r->v.guest_pat);
        update(look, F_guest_debugctl, r->v.guest_debugctl);
        update(look, F_guest_dr7, r->v.guest_dr7);
        update(look, F_guest_preemption_timer, r->v.guest_preemption_timer);
}

/* What the exit left in vmcs02, before anything in it is replaced. */
void nested_note_exit(struct nested *n)
{
        if (__builtin_expect(n->timer02_is_0, 0))
                vmwrite(F_guest_preemption_timer, 0);
        if (!n->exit_info_in_image)
                return;
        const uint32_t error = n->current->v.insn_error; /* the one read-only field that no exit writes */
        region12_pull_exit(n, n->current);
        n->current->v.insn_error = error;
}

static void trace_reflect(struct nested *n, struct vcpu *v)
{
        if (v->trace.buffer)
                trace_emit(&v->trace, TRACE_REFLECT, nested_l2_level(n, v), (uint32_t)vmread(F_exit_reason),
                           vmread(F_guest_rip), vmread(F_exit_qualification));
}

/* SDM 3C "VM-Entry Failures During or After Loading Guest State": no state is saved, the launch state stays. Guest state
 * that failed its checks was not loaded, and may be anything; that of a failure in the MSR list was, and r->v has what
 * vmcs12 holds of it. */
static bool leave_failed_entry(struct nested *n, struct vcpu *v, uint32_t reason)
{
        const struct l2_at_exit now = l2_now();
        if (n->entered_by_launch)
                n->current->v.launched = 0;
        if (GET(reason, EXIT_REASON_BASIC) != EXIT_ENTRY_MSR_LOAD) {
                restore_replaced(v, n->current);
                return leave(n, v, NULL);
        }
        region12_push_guest(n, n->current);
        return leave(n, v, &now);
}

bool nested_reflect(struct nested *n, struct vcpu *v)
{
        struct region12 *r = n->current;
        trace_reflect(n, v);
        const uint32_t reason = (uint32_t)vmread(F_exit_reason);
        if (reason & EXIT_REASON_ENTRY_FAIL)
                return leave_failed_entry(n, v, reason);
        const struct l2_at_exit now = l2_now();
        if (nested_store_msrs(n, v, r->v.exit_msr_store, r->v.exit_msr_store_count))
                return abort12(v, r, ABORT_SAVE_MSR);
        if ((now.efer & EFER_LMA) && !(r->v.exit_ctls & EXIT_CTL_HOST_64))
                return abort12(v, r, ABORT_HOST_32);
        ctl_sync_entry(v); /* before guest_efer changes */
        restore_unsaved(n, v, r, now.efer & EFER_LMA);
        return leave(n, v, &now);
}

void nested_set_exit_field(struct nested *n, enum vmcs_field_id id, uint64_t value)
{
        const struct vmcs_field_info f = vmcs_field_at(id);
        if (n->exit_info_in_image)
                vmcs12_write(&n->current->v, &f, value);
        else
                vmwrite(f.enc, value);
}

bool nested_entry_failure(struct nested *n, struct vcpu *v, uint32_t reason, uint64_t qualification)
{
        nested_set_exit_field(n, FI_exit_reason, reason | EXIT_REASON_ENTRY_FAIL);
        nested_set_exit_field(n, FI_exit_qualification, qualification);
        trace_reflect(n, v);
        return leave_failed_entry(n, v, reason);
}

bool nested_make_exit(struct nested *n, struct vcpu *v, const struct made_exit *x)
{
        nested_set_exit_field(n, FI_exit_reason, x->reason);
        nested_set_exit_field(n, FI_exit_qualification, x->qualification);
        nested_set_exit_field(n, FI_exit_intr_info, x->intr_info);
        if (x->intr_info & INTR_ERROR_VALID)
                nested_set_exit_field(n, FI_exit_intr_error, x->intr_error);
        if (!x->in_delivery)
                nested_set_exit_field(n, FI_idt_vec_info, 0);
        const uint64_t injected = vmread(F_entry_intr_info);
        if (injected & INTR_VALID) /* the processor's exits clear it */
                vmwrite(F_entry_intr_info, injected & ~(uint64_t)INTR_VALID);
        if (!nested_reflect(n, v))
                return false;
        /* SDM 3C "Updating Non-Register State": an exit caused by an NMI leaves NMIs blocked. */
        if ((x->intr_info & INTR_VALID) && GET(x->intr_info, INTR_TYPE) == INTR_TYPE_NMI)
                vmwrite(F_guest_interruptibility, INTRBLK_NMI);
        return true;
}
