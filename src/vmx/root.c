/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/root.h"
#include "base/bits.h"
#include "base/bug.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "hw/vmx_ops.h"
#include "vmx/controls.h"

#define CPUID_1_ECX_VMX    BIT(5)

static uint64_t read_msr(void *ctx, uint32_t msr)
{
        uint64_t v;
        return hw_rdmsr_safe(msr, &v) ? v : 0;
}

/* SDM 3C "Enabling and Entering VMX Operation": VMXON faults unless the MSR is locked with VMX allowed. Firmware
 * that leaves it unlocked leaves the decision to us. */
static bool feature_control_allows(void)
{
        uint64_t v;
        if (!hw_rdmsr_safe(MSR_FEATURE_CONTROL, &v))
                return false;
        if (!(v & FEATURE_CONTROL_LOCK))
                return hw_wrmsr_safe(MSR_FEATURE_CONTROL, v | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
        return v & FEATURE_CONTROL_VMX;
}

enum exit_status vmx_probe(struct vmx_caps *caps)
{
        if (!(hw_cpuid(1, 0).ecx & CPUID_1_ECX_VMX))
                return EXIT_STATUS_NO_VMX;
        if (!feature_control_allows())
                return EXIT_STATUS_VMX_LOCKED;
        vmx_caps_from_msrs(caps, read_msr, NULL);
        vmx_caps_add_cpuid(caps, hw_cpuid);
        if (!(caps->proc.may1 & PROC_SECONDARY) || !(caps->proc2.may1 & PROC2_EPT))
                return EXIT_STATUS_NO_EPT;
        if (!(caps->proc2.may1 & PROC2_UNRESTRICTED))
                return EXIT_STATUS_NO_UNRESTRICTED;
        const uint64_t ept_needs = EPTCAP_WALK4 | EPTCAP_WB | EPTCAP_2M | EPTCAP_INVEPT | EPTCAP_INVEPT_ALL;
        if ((caps->ept_vpid & ept_needs) != ept_needs || !(caps->proc.may1 & PROC_MSR_BITMAPS) ||
            !(caps->pin.may1 & PIN_PREEMPTION_TIMER) || !(caps->exit.may1 & EXIT_CTL_SAVE_PREEMPTION_TIMER))
                return EXIT_STATUS_VMX_TOO_OLD;
        return EXIT_STATUS_OK;
}

hpa_t vmcs_region_alloc(const struct vmx_caps *caps, struct page_pool *pool)
{
        uint32_t *region = pool_page(pool, POOL_VMCS);
        BUG_UNLESS(region);
        *region = (uint32_t)GET(caps->basic, BASIC_REVISION);
        return hpa_of(region);
}

void vmx_root_enter(const struct vmx_caps *caps, struct page_pool *pool)
{
        /* SDM 3D "VMX-Fixed Bits in CR0", "VMX-Fixed Bits in CR4" */
        hw_write_cr0((hw_read_cr0() | caps->cr0_fixed0) & caps->cr0_fixed1);
        hw_write_cr4(((hw_read_cr4() | CR4_VMXE) | caps->cr4_fixed0) & caps->cr4_fixed1);
        BUG_UNLESS(hw_vmxon(vmcs_region_alloc(caps, pool)) == HW_OK);
}

void ept_flush(const struct vmx_caps *caps, uint64_t eptp)
{
        const bool single = caps->ept_vpid & EPTCAP_INVEPT_SINGLE;
        BUG_UNLESS(hw_invept(single ? INVEPT_SINGLE : INVEPT_ALL, single ? eptp : 0) == HW_OK);
}

void vpid_flush(const struct vmx_caps *caps, uint16_t vpid)
{
        if (!(caps->proc2.may1 & PROC2_VPID) || !(caps->ept_vpid & EPTCAP_INVVPID))
                return;
        const bool single = caps->ept_vpid & EPTCAP_INVVPID_SINGLE;
        BUG_UNLESS(hw_invvpid(single ? INVVPID_SINGLE : INVVPID_ALL, vpid, 0) == HW_OK);
}
