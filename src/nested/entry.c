/* SPDX-License-Identifier: BSD-2-Clause */
/* VM entry as the guest hypervisor asks for it: SDM 3C chapter "VM Entries". */
#include "nested/entry.h"
#include "base/bits.h"
#include "base/x86.h"
#include "hw/vmx_ops.h"
#include "nested/region.h"
#include "nested/route.h"
#include "vmx/ctl.h"
#include "vmx/root.h"

#define LINK_NONE (~0ull)

static struct insn_result fail_valid(struct nested *n, struct vcpu *v, uint32_t error)
{
        const struct vmcs_field_info f = vmcs_field_at(FI_insn_error);
        region12_write(n, v, n->current, &f, error);
        return (struct insn_result){ .outcome = INSN_FAIL_VALID, .error = error };
}

/* The bitmaps lie in the guest's memory, where it may change them at any time: merged at every entry. Ours lets only
 * a few words' worth of registers and fields through, so few words are touched. */
static void merge_bitmaps(struct nested *n, struct vcpu *v, const struct region12 *r)
{
        bitmap_merge(&n->msr_merge, n->msr_bitmap01, bitmap12(v, r->v.proc_ctls & PROC_MSR_BITMAPS, r->v.msr_bitmap),
                     r->msr_bitmap02);
        if (!n->shadowing || !(vmcs12_proc2(&r->v) & PROC2_SHADOW))
                return;
        bitmap_merge(&n->vmread_merge, n->vmread_bitmap01, bitmap12(v, true, r->v.vmread_bitmap), n->vmread_bitmap02);
        bitmap_merge(&n->vmwrite_merge, n->vmwrite_bitmap01, bitmap12(v, true, r->v.vmwrite_bitmap), n->vmwrite_bitmap02);
}

/* vmcs02's link pointer: the VMCS of ours that stands for the one that vmcs12 links to. vmcs01 is current. */
static uint64_t link02(struct nested *n, struct vcpu *v, const struct region12 *r)
{
        if (!n->shadowing || !(vmcs12_proc2(&r->v) & PROC2_SHADOW) || r->v.vmcs_link == LINK_NONE)
                return LINK_NONE;
        const l1gpa_t at = L1GPA(r->v.vmcs_link);
        if (!IS_ALIGNED(at.raw, PAGE_SIZE) || !guest_mem_at(&v->mem, at, PAGE_SIZE))
                return LINK_NONE; /* the entry checks refuse it */
        const struct region12 *linked = region12_load(n, v, at);
        return linked == r ? LINK_NONE : linked->hw.region.raw;
}

static void write_controls(struct nested *n, struct vcpu *v, struct region12 *r)
{
        const struct vmcs01_policy policy = {
                .exit = EXIT_CTL_SAVE_PREEMPTION_TIMER,
                .cr4_mask = v->hw->cr4_fixed1 & ~n->caps12.cr4_fixed1, /* what the guest's CPUID hides stays hidden below it */
                .tsc_offset = n->tsc_offset01,
                .preemption_timer = true,
                .shadow = n->shadowing,
        };
        struct vmcs02_controls c;
        merge_controls(&r->v, &policy, v->hw, &c);
        ctl_write(v, pin_ctls, c.pin);
        ctl_write(v, proc_ctls, c.proc);
        ctl_write(v, proc2_ctls, c.proc2);
        ctl_write(v, exit_ctls, c.exit);
        ctl_write(v, entry_ctls, c.entry);
        ctl_write(v, exception_bitmap, c.exception_bitmap);
        ctl_write(v, pf_error_mask, c.pf_error_mask);
        ctl_write(v, pf_error_match, c.pf_error_match);
        ctl_write(v, cr3_target_count, c.cr3_target_count);
        for (unsigned i = 0; i < c.cr3_target_count; i++)
                ctl_write_field(v, CTL_cr3_target0 + i, F_cr3_target0 + 2 * i, c.cr3_target[i]);
        ctl_write(v, cr0_mask, c.cr0_mask);
        ctl_write(v, cr0_shadow, c.cr0_shadow);
        ctl_write(v, cr4_mask, c.cr4_mask);
        ctl_write(v, cr4_shadow, c.cr4_shadow);
        ctl_write(v, tsc_offset, c.tsc.offset);
        if (c.proc2 & PROC2_TSC_SCALING)
                ctl_write(v, tsc_multiplier, c.tsc.multiplier);
        if (c.proc2 & PROC2_PLE) {
                ctl_write(v, ple_gap, c.ple_gap);
                ctl_write(v, ple_window, c.ple_window);
        }
        if (c.proc2 & PROC2_VMFUNC)
                ctl_write(v, vmfunc_ctls, 0); /* all exit: vmfunc.h */
        if (v->hw->proc2.may1 & PROC2_VPID)
                ctl_write(v, vpid, VPID02);
        if (c.proc2 & PROC2_XSAVES)
                ctl_write(v, xss_exit_bitmap, c.xss_exit_bitmap);
        ctl_write(v, msr_bitmap, hpa_of(r->msr_bitmap02).raw);
        nested_apicv_write(n, v, r);
        ctl_write(v, exit_msr_store_count, 0);
        ctl_write(v, exit_msr_load_count, 0);
        ctl_write(v, entry_msr_load_count, 0);
        if (n->shadowing) {
                ctl_write(v, vmread_bitmap, hpa_of(n->vmread_bitmap02).raw);
                ctl_write(v, vmwrite_bitmap, hpa_of(n->vmwrite_bitmap02).raw);
        }
        r->controls_dirty = false;
}

/* Fields of vmcs02 that VM entry loads although vmcs12 does not ask for it: they take what stays in force. What
 * vmcs12 holds in their place is kept in r->v until the exit. */
static void write_unloaded_msrs(struct region12 *r, const struct l1_msrs *l1)
{
        if (!(r->v.entry_ctls & ENTRY_CTL_LOAD_EFER))
                vmwrite(F_guest_efer, merge_guest_efer(&r->v, l1));
        if (!(r->v.entry_ctls & ENTRY_CTL_LOAD_PAT))
                vmwrite(F_guest_pat, merge_guest_pat(&r->v, l1));
        if (!(r->v.entry_ctls & ENTRY_CTL_LOAD_DEBUG)) {
                vmwrite(F_guest_debugctl, merge_guest_debugctl(&r->v, l1));
                vmwrite(F_guest_dr7, merge_guest_dr7(&r->v, l1));
        }
}

/* Without EPT the guest's guest shares the guest's memory: the processor loads its PDPTEs from the VMCS, where the
 * guest hypervisor had no reason to put them. The entry checks have validated those in memory. */
static void write_pdptes(struct vcpu *v, const struct region12 *r)
{
        if ((vmcs12_proc2(&r->v) & PROC2_EPT) || !(r->v.guest_cr0 & CR0_PG) || !(r->v.guest_cr4 & CR4_PAE) ||
            (r->v.entry_ctls & ENTRY_CTL_GUEST_64))
                return;
        uint64_t pdpte[PDPTES];
        const bool ok = pdptes_read(&v->mem, v->hw, r->v.guest_cr3, pdpte); /* unless the guest changed them meanwhile */
        for (unsigned i = 0; i < PDPTES; i++)
                vmwrite(F_guest_pdpte0 + 2 * i, ok ? pdpte[i] : 0);
}

static void write_address_spaces(struct nested *n, struct vcpu *v, const struct region12 *r)
{
        const uint32_t proc2 = vmcs12_proc2(&r->v);
        ctl_write(v, eptp, proc2 & (PROC2_EPT | PROC2_APIC_ACCESS) ? ept02_eptp(nested_root02(n)) : v->eptp01);
        /* SDM 3C "Cached Translations and VM Entries": without VPIDs every entry invalidates; and VPID02 is shared by
         * all VPIDs of the guest hypervisor, one after the other. */
        const uint16_t vpid = proc2 & PROC2_VPID ? r->v.vpid : 0;
        if (vpid == 0 || vpid != n->vpid12)
                vpid_flush(v->hw, VPID02);
        n->vpid12 = vpid;
}

static struct check_fail run_checks(struct nested *n, struct vcpu *v, struct region12 *r, bool lma)
{
        const struct check_env env = { .caps = &n->caps12, .mem = &v->mem, .current = r->at, .lma = lma };
        struct check_fail f = { .kind = CHECK_PASSED };
        if (r->checks_due || (r->v.entry_intr_info & INTR_VALID))
                f = check_controls(&r->v, &env);
        else if (__builtin_expect(r->apicv, 0) && apicv_tpr_shadow(&r->v))
                f = check_tpr(&r->v, &env);
        if (f.kind == CHECK_PASSED && r->checks_due)
                f = check_host(&r->v, &env);
        if (f.kind == CHECK_PASSED && !r->guest_due && !r->checks_due)
                return check_flow(&r->v, &env);
        if (f.kind == CHECK_PASSED)
                f = check_guest(&r->v, &env);
        r->checks_due = r->guest_due = f.kind != CHECK_PASSED;
        return f;
}

static struct l1_msrs l1_msrs_now(void)
{
        return (struct l1_msrs){ .efer = vmread(F_guest_efer), .pat = vmread(F_guest_pat),
                                 .debugctl = vmread(F_guest_debugctl), .dr7 = vmread(F_guest_dr7) };
}

static struct insn_result entry_failed(struct nested *n, struct vcpu *v, uint32_t reason, uint64_t qualification)
{
        const bool ok = nested_entry_failure(n, v, reason, qualification);
        return (struct insn_result){ .outcome = ok ? INSN_EXITED : INSN_ABORTED };
}

/* SDM 3C "Injection of Pending MTF VM Exits": no event for the processor. */
static bool injects_mtf(const struct vmcs12 *v12)
{
        const uint32_t info = v12->entry_intr_info;
        return (info & INTR_VALID) && GET(info, INTR_TYPE) == INTR_TYPE_OTHER;
}

static void take_mtf(struct nested *n, const struct region12 *r)
{
        n->mtf.due = true;
        vmwrite(F_entry_intr_info, r->v.entry_intr_info & ~INTR_VALID);
}

/* vmcs02 is current and vmcs12 has passed: everything the processor needs to run the guest's guest. */
static struct insn_result load_l2(struct nested *n, struct vcpu *v, struct region12 *r, const struct l1_msrs *l1, uint64_t link)
{
        if (r->controls_dirty)
                write_controls(n, v, r);
        ctl_write(v, vmcs_link, link);
        merge_bitmaps(n, v, r);
        write_address_spaces(n, v, r);
        if (n->fill_for == r)
                nested_ept_fill(n, v);
        write_unloaded_msrs(r, l1);
        write_pdptes(v, r);
        if (__builtin_expect(r->apicv, 0))
                nested_apicv_enter(n, v, r);
        n->in_l2 = true;
        n->mtf.on = r->v.proc_ctls & PROC_MTF;
        n->mtf.due = false;
        if (__builtin_expect(injects_mtf(&r->v), 0))
                take_mtf(n, r);
        n->timer12_rest = 0; /* the field holds all of vmcs12's timer until nested_arm_timer() finds an earlier deadline */
        const bool timer12 = route_l1_wants_preemption_timer(&r->v);
        n->timer02_is_0 = timer12 && r->v.guest_preemption_timer == 0;
        if (!timer12)
                vmwrite(F_guest_preemption_timer, UINT32_MAX);
        const uint64_t bad = nested_load_msrs(n, v, r->v.entry_msr_load, r->v.entry_msr_load_count);
        if (bad)
                return entry_failed(n, v, EXIT_ENTRY_MSR_LOAD, bad);
        r->v.launched = 1;
        return (struct insn_result){ .outcome = INSN_ENTERED };
}

struct insn_result nested_enter(struct nested *n, struct vcpu *v, bool launch)
{
        struct region12 *r = n->current;
        if (!r || (r->v.revision & VMCS_REVISION_SHADOW))
                return (struct insn_result){ .outcome = INSN_FAIL_INVALID };
        if (vmread(F_guest_interruptibility) & INTRBLK_MOV_SS)
                return fail_valid(n, v, VMX_ERR_ENTRY_MOV_SS);
        if (launch && r->v.launched)
                return fail_valid(n, v, VMX_ERR_VMLAUNCH_NOT_CLEAR);
        if (!launch && !r->v.launched)
                return fail_valid(n, v, VMX_ERR_VMRESUME_NOT_LAUNCHED);

        const struct l1_msrs l1 = l1_msrs_now();
        const uint64_t link = link02(n, v, r);
        r->last_use = ++n->uses;
        n->entered_by_launch = launch;
        region12_switch_to(n, v, r);
        if (r->guest_due || r->checks_due || r->v.entry_msr_load_count)
                region12_pull_guest(n, r);
        else
                region12_pull_flow(n, r);
        if (r->checks_due)
                nested_apicv_note(n, r);
        const struct check_fail f = run_checks(n, v, r, l1.efer & EFER_LMA);
        if (f.kind == CHECK_PASSED)
                return load_l2(n, v, r, &l1, link);

        trace_emit(&v->trace, TRACE_CHECK_FAIL, v->level + 1, f.id, f.code, r->at.raw);
        if (f.kind == CHECK_VM_FAIL) {
                region12_switch_back(n, v, r);
                return fail_valid(n, v, f.code);
        }
        n->in_l2 = true;
        n->timer12_rest = 0;
        return entry_failed(n, v, EXIT_ENTRY_GUEST_STATE, f.code);
}

struct insn_result nested_entry_refused(struct nested *n, struct vcpu *v)
{
        struct region12 *r = n->current;
        n->in_l2 = false;
        if (n->entered_by_launch)
                r->v.launched = 0;
        region12_switch_back(n, v, r);
        return fail_valid(n, v, VMX_ERR_ENTRY_CONTROLS);
}
