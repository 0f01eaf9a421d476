/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/vmcs01.h"
#include "base/bug.h"
#include "hw/vmx_ops.h"
#include "vmx/controls.h"
#include "vmx/ctl.h"
#include "vmx/fields.h"
#include "vmx/host_state.h"
#include "vmx/root.h"

#define PAT_RESET 0x0007040600070406ull
#define LINK_NONE (~0ull)

/* Flat segments: base 0, limit 4 GiB. */
#define AR_CODE32 (11u | AR_S | AR_P | AR_DB | AR_G)
#define AR_CODE64 (11u | AR_S | AR_P | AR_L | AR_G)
#define AR_DATA   (3u | AR_S | AR_P | AR_DB | AR_G)
#define AR_TSS    (11u | AR_P)
#define AR_LDT    (2u | AR_P | AR_UNUSABLE)

/* What we want, with what the processor insists on, without what it does not have. */
static uint32_t allowed(struct ctl_caps c, uint32_t want)
{
        return (want & c.may1) | c.must1;
}

/* The interrupt window comes and goes with run/inject.c. */
static uint32_t proc_ctls(const struct vmx_caps *hw)
{
        return allowed(hw->proc, PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_SECONDARY | PROC_MWAIT | PROC_MONITOR |
                                         PROC_RDPMC | PROC_CR8_LOAD | PROC_CR8_STORE);
}

static uint32_t proc2_ctls(const struct vmx_caps *hw)
{
        return allowed(hw->proc2,
                       PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID | PROC2_RDTSCP | PROC2_INVPCID | PROC2_XSAVES);
}

static void write_controls(struct vcpu *v, bool long_mode)
{
        const struct vmx_caps *hw = v->hw;
        ctl_write(v, pin_ctls, allowed(hw->pin, PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER));
        ctl_write(v, proc_ctls, proc_ctls(hw));
        ctl_write(v, proc2_ctls, proc2_ctls(hw));
        ctl_write(v, exit_ctls, allowed(hw->exit, EXIT_CTL_HOST_64 | EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT | EXIT_CTL_LOAD_PAT |
                                                       EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER | EXIT_CTL_SAVE_DEBUG |
                                                       EXIT_CTL_SAVE_PREEMPTION_TIMER));
        ctl_write(v, entry_ctls, allowed(hw->entry, ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER | ENTRY_CTL_LOAD_DEBUG |
                                                         (long_mode ? ENTRY_CTL_GUEST_64 : 0)));
        ctl_write(v, exception_bitmap, 0);
        ctl_write(v, pf_error_mask, 0);
        ctl_write(v, pf_error_match, 0);
        ctl_write(v, cr3_target_count, 0);
        ctl_write(v, exit_msr_store_count, 0);
        ctl_write(v, exit_msr_load_count, 0);
        ctl_write(v, entry_msr_load_count, 0);
        vmwrite(F_entry_intr_info, 0);
        ctl_write(v, msr_bitmap, v->msr_bitmap01.raw);
        ctl_write(v, io_bitmap_a, v->io_bitmap01.raw);
        ctl_write(v, io_bitmap_b, v->io_bitmap01.raw + PAGE_SIZE);
        ctl_write(v, tsc_offset, 0);
        ctl_write(v, vmcs_link, LINK_NONE);
        ctl_write(v, eptp, v->eptp01);
        if (hw->proc2.may1 & PROC2_VPID)
                ctl_write(v, vpid, VPID01);
        if (hw->proc2.may1 & PROC2_XSAVES)
                ctl_write(v, xss_exit_bitmap, 0);
        vmwrite(F_guest_preemption_timer, UINT32_MAX);
}

/* Selector, base, limit and access rights of all segment registers are 2 apart in the same order. */
static void write_segment(enum vmcs_field sel, uint16_t selector, uint32_t limit, uint32_t ar)
{
        const unsigned i = (unsigned)(sel - F_guest_es_sel);
        vmwrite(sel, selector);
        vmwrite(F_guest_es_base + i, 0);
        vmwrite(F_guest_es_limit + i, limit);
        vmwrite(F_guest_es_ar + i, ar);
}

static void write_segments(const struct guest_start *s)
{
        const bool long_mode = s->kind == START_LONG64;
#define SEGMENT(name, selector, limit, ar) write_segment(F_guest_##name##_sel, selector, limit, ar)
        SEGMENT(es, s->ds, UINT32_MAX, AR_DATA);
        SEGMENT(cs, s->cs, UINT32_MAX, long_mode ? AR_CODE64 : AR_CODE32);
        SEGMENT(ss, s->ds, UINT32_MAX, AR_DATA);
        SEGMENT(ds, s->ds, UINT32_MAX, AR_DATA);
        SEGMENT(fs, s->ds, UINT32_MAX, AR_DATA);
        SEGMENT(gs, s->ds, UINT32_MAX, AR_DATA);
        SEGMENT(ldtr, 0, 0, AR_LDT);
        SEGMENT(tr, 0, 0x67, AR_TSS);
#undef SEGMENT
        vmwrite(F_guest_gdtr_base, s->gdt);
        vmwrite(F_guest_gdtr_limit, s->gdt_limit);
        vmwrite(F_guest_idtr_base, 0);
        vmwrite(F_guest_idtr_limit, 0);
}

static void write_registers(struct vcpu *v, const struct guest_start *s)
{
        const bool long_mode = s->kind == START_LONG64;
        const uint64_t cr0 = CR0_PE | CR0_ET | (long_mode ? CR0_PG | CR0_WP : 0);
        const uint64_t cr4 = long_mode ? CR4_PAE : 0;
        /* PE and PG are free under unrestricted guest; the other fixed bits hold. */
        const uint64_t fixed0 = v->hw->cr0_fixed0 & ~(CR0_PE | CR0_PG);
        vmwrite(F_guest_cr0, cr0 | fixed0);
        ctl_write(v, cr0_shadow, cr0);
        ctl_write(v, cr0_mask, CR0_MASK01);
        vmwrite(F_guest_cr3, s->cr3);
        vmwrite(F_guest_cr4, cr4 | v->hw->cr4_fixed0);
        ctl_write(v, cr4_shadow, cr4);
        ctl_write(v, cr4_mask, CR4_MASK01);
        vmwrite(F_guest_efer, long_mode ? EFER_LME | EFER_LMA : 0);
        vmwrite(F_guest_pat, PAT_RESET);
        vmwrite(F_guest_dr7, DR7_RESET);
        vmwrite(F_guest_rip, s->rip);
        vmwrite(F_guest_rsp, 0);
        vmwrite(F_guest_rflags, RFLAGS_FIXED1);
        vmwrite(F_guest_debugctl, 0);
        vmwrite(F_guest_sysenter_cs, 0);
        vmwrite(F_guest_sysenter_esp, 0);
        vmwrite(F_guest_sysenter_eip, 0);
        vmwrite(F_guest_interruptibility, 0);
        vmwrite(F_guest_activity, ACTIVITY_ACTIVE);
        vmwrite(F_guest_pending_dbg, 0);
        v->gprs = (struct gprs){ { 0 } };
        v->gprs.r[GPR_RBX] = s->rbx;
        v->gprs.r[GPR_RSI] = s->rsi;
}

void vmcs01_create(struct vcpu *v, const struct guest_start *start)
{
        v->vmcs01.region = vmcs_region_alloc(v->hw, v->pool);
        vmcs_clear(&v->vmcs01);
        vmcs_make_current(v, &v->vmcs01);
        host_state_write(v);
        write_controls(v, start->kind == START_LONG64);
        write_segments(start);
        write_registers(v, start);
}
