/* SPDX-License-Identifier: BSD-2-Clause */
/* The nested test: the probe as a guest hypervisor. On the bare processor the same lines come from the
 * processor itself; what a cascade does differently shows in a comparison of the two. */
#include "nested.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "traps.h"

static void control_caps(struct l2 *l, const char *name, uint32_t msr, uint32_t true_msr)
{
        const uint64_t old = hw_rdmsr(msr), now = hw_rdmsr(true_msr);
        const uint32_t must = (uint32_t)old, may = (uint32_t)(old >> 32), true_must = (uint32_t)now,
                       true_may = (uint32_t)(now >> 32);
        check(l->p, !(must & ~may) && !(true_must & ~true_may) && !(true_must & ~must) && may == true_may,
              "capabilities of the %s controls are consistent", name);
}

static uint64_t highest_index(const struct l2 *l)
{
        uint64_t highest = 0;
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)id);
                const uint64_t index = GET(f.enc, FIELD_ENC_INDEX);
                if (vmcs_field_exists(&f, &l->caps) && index > highest)
                        highest = index;
        }
        return highest;
}

static void capabilities(struct l2 *l)
{
        struct probe *p = l->p;
        const struct vmx_caps *c = &l->caps;
        check(p,
              GET(c->basic, BASIC_REGION_SIZE) <= PAGE_SIZE && GET(c->basic, BASIC_MEMTYPE) == 6 &&
                      (c->basic & BASIC_TRUE_CTLS) && !(c->basic & BIT(31)),
              "IA32_VMX_BASIC: a page, write-back, TRUE controls");
        control_caps(l, "pin-based", MSR_VMX_PIN, MSR_VMX_TRUE_PIN);
        control_caps(l, "processor-based", MSR_VMX_PROC, MSR_VMX_TRUE_PROC);
        control_caps(l, "exit", MSR_VMX_EXIT, MSR_VMX_TRUE_EXIT);
        control_caps(l, "entry", MSR_VMX_ENTRY, MSR_VMX_TRUE_ENTRY);
        check(p, !(c->cr0_fixed0 & ~c->cr0_fixed1) && !(c->cr4_fixed0 & ~c->cr4_fixed1),
              "fixed bits of CR0 and CR4 are consistent");
        check(p, (hw_read_cr0() & c->cr0_fixed0) == c->cr0_fixed0 && !(hw_read_cr0() & ~c->cr0_fixed1),
              "CR0 fits VMX operation");
        check(p, GET(c->vmcs_enum, FIELD_ENC_INDEX) >= highest_index(l),
              "IA32_VMX_VMCS_ENUM covers all fields");
        check(p,
              (c->ept_vpid & EPTCAP_WALK4) && (c->ept_vpid & EPTCAP_WB) && (c->ept_vpid & EPTCAP_2M) &&
                      (c->ept_vpid & EPTCAP_INVEPT),
              "EPT: four levels, write-back, large pages, INVEPT");
        check(p,
              (c->proc2.may1 & (PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID)) ==
                      (PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID),
              "EPT, VPID and unrestricted guest are there");
        uint64_t ignored;
        check(p, !hw_wrmsr_safe(MSR_VMX_BASIC, c->basic) && !hw_wrmsr_safe(MSR_VMX_MISC, c->misc),
              "the capability MSRs are read-only");
        check(p, !hw_rdmsr_safe(MSR_VMX_LAST + 1, &ignored), "behind the last capability MSR is none");
        check(p, !hw_wrmsr_safe(MSR_FEATURE_CONTROL, 0), "IA32_FEATURE_CONTROL is locked");
}

/* A machine whose firmware has left IA32_FEATURE_CONTROL to us. */
static void be_firmware(struct probe *p)
{
        const uint64_t allowed = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
        if (hw_rdmsr(MSR_FEATURE_CONTROL) & FEATURE_CONTROL_LOCK)
                return;
        hw_write_cr4(hw_read_cr4() | CR4_VMXE);
        TRY("vmxon %[m]", , [m] "m"(l2_vmxon_page));
        check(p, traps()->vector == VEC_GP, "VMXON with IA32_FEATURE_CONTROL unlocked raises #GP");
        hw_write_cr4(hw_read_cr4() & ~CR4_VMXE);
        check(p, !hw_wrmsr_safe(MSR_FEATURE_CONTROL, allowed | BIT(3)) && !hw_wrmsr_safe(MSR_FEATURE_CONTROL, allowed | BIT(63)),
              "IA32_FEATURE_CONTROL has reserved bits");
        check(p, !hw_wrmsr_safe(MSR_FEATURE_CONTROL, allowed | FEATURE_CONTROL_VMX_IN_SMX), "and none for SMX");
        check(p, hw_wrmsr_safe(MSR_FEATURE_CONTROL, 0), "unlocked it can be written again");
        check(p, hw_wrmsr_safe(MSR_FEATURE_CONTROL, allowed) && hw_rdmsr(MSR_FEATURE_CONTROL) == allowed, "it can be locked");
}

bool nested_begin(struct l2 *l, struct probe *p)
{
        l->p = p;
        if (!vmx_start(l))
                return false;
        nested_before_vmxon(l);
        l2_clear(l, 0);
        l2_load(l, 0);
        return true;
}

void nested_run(struct probe *p, const char *words)
{
        static struct l2 l2;
        l2.p = p;
        be_firmware(p);
        if (!vmx_start(&l2))
                return;
        capabilities(&l2);
        nested_before_vmxon(&l2);
        nested_pointers(&l2);
        nested_fields(&l2);
        nested_invalidations(&l2);
        l2_clear(&l2, 0);
        l2_load(&l2, 0);
        nested_entry(&l2);
        nested_exits(&l2);
        nested_control_registers(&l2);
        nested_controls(&l2);
        nested_ept(&l2);
        nested_ept_walk(&l2);
        nested_vmfunc(&l2);
        nested_ve(&l2);
        nested_pml(&l2);
        nested_events(&l2);
        nested_apic(&l2);
        nested_debug(&l2);
        nested_injections(&l2);
        nested_nmis(&l2);
        nested_mtf(&l2);
        nested_activity(&l2);
        nested_modes(&l2);
        nested_nowhere(&l2);
        nested_host32(&l2);
        nested_vmxoff(&l2);
}
