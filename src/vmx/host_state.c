/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/host_state.h"
#include "base/bug.h"
#include "base/msr_numbers.h"
#include "base/layout.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "hw/vmx_ops.h"
#include "vmx/controls.h"
#include "vmx/cpu_local.h"
#include "vmx/fields.h"

/* SDM 3A "TSS Descriptor in 64-bit mode": the base is spread over the descriptor. */
static uint64_t tss_base(void)
{
        const uint64_t *d = (const uint64_t *)(hw_gdt_base() + SEL_TSS);
        return GET(d[0], BITS(39, 16)) | GET(d[0], BITS(63, 56)) << 24 | d[1] << 32;
}

void host_state_write(struct vcpu *v)
{
        const struct {
                enum vmcs_field field;
                uint64_t value;
        } rows[] = {
                { F_host_es_sel, SEL_DATA },
                { F_host_cs_sel, SEL_CODE64 },
                { F_host_ss_sel, SEL_DATA },
                { F_host_ds_sel, SEL_DATA },
                { F_host_fs_sel, 0 },
                { F_host_gs_sel, 0 },
                { F_host_tr_sel, SEL_TSS },
                { F_host_pat, hw_rdmsr(MSR_PAT) },
                { F_host_efer, hw_rdmsr(MSR_EFER) },
                { F_host_sysenter_cs, 0 },
                { F_host_sysenter_esp, 0 },
                { F_host_sysenter_eip, 0 },
                { F_host_cr0, hw_read_cr0() },
                { F_host_cr3, hw_read_cr3() },
                { F_host_cr4, hw_read_cr4() },
                { F_host_fs_base, (uint64_t)cpu_local() },
                { F_host_gs_base, (uint64_t)cpu_local() },
                { F_host_tr_base, tss_base() },
                { F_host_gdtr_base, hw_gdt_base() },
                { F_host_idtr_base, hw_idt_base() },
                { F_host_rsp, (uint64_t)v + sizeof(v->gprs) },
                { F_host_rip, (uint64_t)vmx_exit_point },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                vmwrite(rows[i].field, rows[i].value);
}

void vmcs_make_current(struct vcpu *v, struct hw_vmcs *to)
{
        BUG_UNLESS(hw_vmptrld(to->region) == HW_OK);
        v->current = to;
}

static void set_indicator(const struct vcpu *v, const struct hw_vmcs *vmcs, bool shadow)
{
        uint32_t *revision = ptr_of(vmcs->region);
        *revision = (uint32_t)GET(v->hw->basic, BASIC_REVISION) | (shadow ? VMCS_REVISION_SHADOW : 0);
}

void vmcs_switch(struct vcpu *v, struct hw_vmcs *clear, bool shadow, struct hw_vmcs *to)
{
        if (clear->owned && to->owned) {
                set_indicator(v, clear, shadow);
                BUG_UNLESS(hypercall(HC_VMCS_SWITCH, clear->region.raw, to->region.raw) == HC_OK);
                clear->launched = false;
                v->current = to;
                return;
        }
        vmcs_clear(clear);
        set_indicator(v, clear, shadow);
        vmcs_make_current(v, to);
}

void vmcs_own(struct vcpu *v, struct hw_vmcs *vmcs, unsigned level)
{
        vmcs->owned = v->parent_is_cascade && hypercall(HC_VMCS_OWN, vmcs->region.raw, level) == HC_OK;
}

void vmcs_clear(struct hw_vmcs *vmcs)
{
        BUG_UNLESS(hw_vmclear(vmcs->region) == HW_OK);
        vmcs->launched = false;
}
