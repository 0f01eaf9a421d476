/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/caps.h"
#include "base/addr.h"
#include "base/x86.h"
#include "vmx/controls.h"

/* What a guest hypervisor can be offered if the silicon has it. A control that is not listed is not
 * virtualized. */
#define OFFER_PIN (PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER | PIN_POSTED_INTR)
#define OFFER_PROC                                                                                           \
        (PROC_INTR_WINDOW | PROC_TSC_OFFSET | PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC |             \
         PROC_RDTSC | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_NMI_WINDOW |    \
         PROC_MOV_DR | PROC_UNCOND_IO | PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_MONITOR | PROC_PAUSE |     \
         PROC_SECONDARY | PROC_TPR_SHADOW)
#define OFFER_PROC2                                                                                          \
        (PROC2_EPT | PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED |      \
         PROC2_PLE | PROC2_RDRAND | PROC2_INVPCID | PROC2_VMFUNC | PROC2_SHADOW | PROC2_RDSEED |            \
         PROC2_PML | PROC2_VE | PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VID)
#define OFFER_EXIT                                                                                           \
        (EXIT_CTL_SAVE_DEBUG | EXIT_CTL_HOST_64 | EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT |                    \
         EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER | EXIT_CTL_SAVE_PREEMPTION_TIMER)
#define OFFER_ENTRY (ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_GUEST_64 | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER)
#define OFFER_EPT                                                                                            \
        (EPTCAP_EXEC_ONLY | EPTCAP_WALK4 | EPTCAP_UC | EPTCAP_WB | EPTCAP_2M | EPTCAP_1G | EPTCAP_INVEPT |   \
         EPTCAP_AD | EPTCAP_INVEPT_SINGLE | EPTCAP_INVEPT_ALL)
#define OFFER_VPID                                                                                           \
        (EPTCAP_INVVPID | EPTCAP_INVVPID_ADDR | EPTCAP_INVVPID_SINGLE | EPTCAP_INVVPID_ALL |                 \
         EPTCAP_INVVPID_GLOBAL)

/* Architectural bits of IA32_DEBUGCTL of every processor with VMX: LBR, BTF, TR .. FREEZE_WHILE_SMM. */
#define DEBUGCTL_ARCH (DEBUGCTL_LBR | DEBUGCTL_BTF | BITS(12, 6) | BIT(14))
#define CR3_TARGETS   4

static struct ctl_caps ctl_from_msr(uint64_t msr)
{
        return (struct ctl_caps){ .must1 = (uint32_t)msr, .may1 = (uint32_t)(msr >> 32) };
}

void vmx_caps_from_msrs(struct vmx_caps *caps, uint64_t (*rdmsr)(void *ctx, uint32_t msr), void *ctx)
{
        const uint64_t basic = rdmsr(ctx, MSR_VMX_BASIC);
        const uint32_t true_ctls = basic & BASIC_TRUE_CTLS ? MSR_VMX_TRUE_PIN - MSR_VMX_PIN : 0;
        *caps = (struct vmx_caps){
                .basic = basic,
                /* SDM 3D "Basic VMX Information", bit 55: the TRUE MSRs say which default1 bits can be 0 */
                .pin = ctl_from_msr(rdmsr(ctx, MSR_VMX_PIN + true_ctls)),
                .proc = ctl_from_msr(rdmsr(ctx, MSR_VMX_PROC + true_ctls)),
                .exit = ctl_from_msr(rdmsr(ctx, MSR_VMX_EXIT + true_ctls)),
                .entry = ctl_from_msr(rdmsr(ctx, MSR_VMX_ENTRY + true_ctls)),
                .misc = rdmsr(ctx, MSR_VMX_MISC),
                .cr0_fixed0 = rdmsr(ctx, MSR_VMX_CR0_FIXED0),
                .cr0_fixed1 = rdmsr(ctx, MSR_VMX_CR0_FIXED1),
                .cr4_fixed0 = rdmsr(ctx, MSR_VMX_CR4_FIXED0),
                .cr4_fixed1 = rdmsr(ctx, MSR_VMX_CR4_FIXED1),
                .vmcs_enum = rdmsr(ctx, MSR_VMX_VMCS_ENUM),
                .maxphyaddr = 36,
                .linear_bits = 48,
                .efer_mask = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE,
                .debugctl_mask = DEBUGCTL_ARCH,
        };
        if (caps->proc.may1 & PROC_SECONDARY)
                caps->proc2 = ctl_from_msr(rdmsr(ctx, MSR_VMX_PROC2));
        if (caps->proc2.may1 & (PROC2_EPT | PROC2_VPID))
                caps->ept_vpid = rdmsr(ctx, MSR_VMX_EPT_VPID);
        if (caps->proc2.may1 & PROC2_VMFUNC)
                caps->vmfunc = rdmsr(ctx, MSR_VMX_VMFUNC);
}

/* The default1 class reads as 1 in `may1` whatever is offered: those bits are part of every control word. */
static struct ctl_caps offer(struct ctl_caps hw, uint32_t offered, uint32_t default1)
{
        return (struct ctl_caps){ .must1 = hw.must1, .may1 = hw.must1 | (hw.may1 & (offered | default1)) };
}

/* SDM 3C "Checks on VMX Controls", of APIC virtualization. */
static void drop_apic_orphans(struct vmx_caps *c)
{
        if (!(c->proc.may1 & PROC_TPR_SHADOW))
                c->proc2.may1 &= ~(PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VID);
        if (!(c->pin.may1 & PIN_EXT_INTR))
                c->proc2.may1 &= ~PROC2_VID;
        if (!(c->proc2.may1 & PROC2_VID) || !(c->exit.may1 & EXIT_CTL_ACK_INTR))
                c->pin.may1 &= ~PIN_POSTED_INTR;
}

/* Takes out of `c` what depends on something that is not there. Ordered so that one pass is enough. */
static void drop_orphans(struct vmx_caps *c)
{
        if (!(c->proc.may1 & PROC_SECONDARY))
                c->proc2.may1 = 0;
        if (!(c->ept_vpid & EPTCAP_WALK4))
                c->proc2.may1 &= ~PROC2_EPT;
        if (!(c->proc2.may1 & PROC2_EPT)) {
                c->proc2.may1 &= ~(PROC2_UNRESTRICTED | PROC2_VPID | PROC2_VMFUNC | PROC2_VE);
                c->ept_vpid &= ~OFFER_EPT;
        }
        if (!(c->ept_vpid & EPTCAP_AD))
                c->proc2.may1 &= ~PROC2_PML;
        if (!(c->proc2.may1 & PROC2_VMFUNC))
                c->vmfunc = 0;
        if (!(c->ept_vpid & EPTCAP_INVVPID))
                c->proc2.may1 &= ~PROC2_VPID;
        if (!(c->proc2.may1 & PROC2_VPID))
                c->ept_vpid &= ~OFFER_VPID;
        drop_apic_orphans(c);
        if (!c->proc2.may1)
                c->proc.may1 &= ~PROC_SECONDARY;
        if (!(c->pin.may1 & PIN_NMI))
                c->pin.may1 &= ~PIN_VIRTUAL_NMI;
        if (!(c->pin.may1 & PIN_VIRTUAL_NMI))
                c->proc.may1 &= ~PROC_NMI_WINDOW;
        if (!(c->pin.may1 & PIN_PREEMPTION_TIMER))
                c->exit.may1 &= ~EXIT_CTL_SAVE_PREEMPTION_TIMER;
        if (!(c->exit.may1 & EXIT_CTL_SAVE_PREEMPTION_TIMER))
                c->pin.may1 &= ~PIN_PREEMPTION_TIMER;
}

/* SDM 3D "Miscellaneous Data". HLT is the only activity state offered besides active: in the others a
 * processor takes no external interrupt, and the guest's guest could keep it. */
static uint64_t misc_derive(const struct vmx_caps *hw, const struct vmx_caps *c)
{
        uint64_t targets = GET(hw->misc, MISC_CR3_TARGETS);
        if (targets > CR3_TARGETS)
                targets = CR3_TARGETS;
        uint64_t misc = hw->misc & (MISC_STORES_LMA | MISC_HLT | MISC_INJECT_ILEN0);
        misc = PUT(misc, MISC_CR3_TARGETS, targets);
        if (c->pin.may1 & PIN_PREEMPTION_TIMER)
                misc |= hw->misc & MISC_TIMER_SHIFT;
        return misc | MISC_VMWRITE_ANY;
}

static uint64_t vmcs_enum_derive(const struct vmx_caps *c)
{
        uint64_t highest = 0;
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                const uint64_t index = GET(f.enc, FIELD_ENC_INDEX);
                if (vmcs_field_exists(&f, c) && index > highest)
                        highest = index;
        }
        return PUT(0, FIELD_ENC_INDEX, highest);
}

struct vmx_caps caps12_derive(const struct vmx_caps *hw, const struct nested_config *cfg)
{
        uint32_t masked2 = 0;
        masked2 |= cfg->ept ? 0 : PROC2_EPT;
        masked2 |= cfg->vpid ? 0 : PROC2_VPID;
        masked2 |= cfg->unrestricted ? 0 : PROC2_UNRESTRICTED;
        masked2 |= cfg->shadow ? 0 : PROC2_SHADOW;
        const uint32_t masked_pin = cfg->preemption_timer ? 0 : PIN_PREEMPTION_TIMER;

        struct vmx_caps c = *hw; /* what is not VMX's own: fixed bits, widths, MSR masks */
        c.basic = PUT(hw->basic & (BASIC_INS_OUTS | BASIC_ANY_ERRORCODE), BASIC_REVISION,
                      CASCADE_VMCS12_REVISION);
        c.basic = PUT(c.basic, BASIC_REGION_SIZE, PAGE_SIZE);
        c.basic = PUT(c.basic, BASIC_MEMTYPE, MEMTYPE_WB) | BASIC_TRUE_CTLS;
        c.pin = offer(hw->pin, OFFER_PIN & ~masked_pin, PIN_DEFAULT1);
        c.proc = offer(hw->proc, OFFER_PROC, PROC_DEFAULT1);
        c.proc2 = offer(hw->proc2, OFFER_PROC2 & ~masked2, 0);
        c.exit = offer(hw->exit, OFFER_EXIT, EXIT_CTL_DEFAULT1);
        c.entry = offer(hw->entry, OFFER_ENTRY, ENTRY_CTL_DEFAULT1);
        c.ept_vpid = hw->ept_vpid & (OFFER_EPT | OFFER_VPID);
        c.vmfunc = hw->vmfunc & VMFUNC_EPTP_SWITCHING;
        drop_orphans(&c);
        c.misc = misc_derive(hw, &c);
        c.vmcs_enum = vmcs_enum_derive(&c);
        return c;
}

static uint64_t ctl_msr(struct ctl_caps c, uint32_t default1)
{
        return (uint64_t)(c.may1 | default1) << 32 | c.must1 | default1;
}

uint64_t caps12_msr(const struct vmx_caps *c, uint32_t msr, bool *known)
{
        const bool secondary = c->proc.may1 & PROC_SECONDARY;
        *known = true;
        switch (msr) {
        case MSR_VMX_BASIC:
                return c->basic;
        case MSR_VMX_PIN:
                return ctl_msr(c->pin, PIN_DEFAULT1);
        case MSR_VMX_PROC:
                return ctl_msr(c->proc, PROC_DEFAULT1);
        case MSR_VMX_EXIT:
                return ctl_msr(c->exit, EXIT_CTL_DEFAULT1);
        case MSR_VMX_ENTRY:
                return ctl_msr(c->entry, ENTRY_CTL_DEFAULT1);
        case MSR_VMX_TRUE_PIN:
                return ctl_msr(c->pin, 0);
        case MSR_VMX_TRUE_PROC:
                return ctl_msr(c->proc, 0);
        case MSR_VMX_TRUE_EXIT:
                return ctl_msr(c->exit, 0);
        case MSR_VMX_TRUE_ENTRY:
                return ctl_msr(c->entry, 0);
        case MSR_VMX_MISC:
                return c->misc;
        case MSR_VMX_CR0_FIXED0:
                return c->cr0_fixed0;
        case MSR_VMX_CR0_FIXED1:
                return c->cr0_fixed1;
        case MSR_VMX_CR4_FIXED0:
                return c->cr4_fixed0;
        case MSR_VMX_CR4_FIXED1:
                return c->cr4_fixed1;
        case MSR_VMX_VMCS_ENUM:
                return c->vmcs_enum;
        case MSR_VMX_PROC2:
                *known = secondary;
                return ctl_msr(c->proc2, 0);
        case MSR_VMX_EPT_VPID:
                *known = secondary && (c->proc2.may1 & (PROC2_EPT | PROC2_VPID));
                return c->ept_vpid;
        case MSR_VMX_VMFUNC:
                *known = secondary && (c->proc2.may1 & PROC2_VMFUNC);
                return c->vmfunc;
        }
        *known = false;
        return 0;
}

bool vmcs_field_exists(const struct vmcs_field_info *f, const struct vmx_caps *c)
{
        /* A row holds if any of its controls can be 1. */
        static const struct {
                uint32_t pin, proc, proc2, exit, entry;
        } needs[] = {
                [NEEDS_SECONDARY] = { .proc = PROC_SECONDARY },
                [NEEDS_TPR_SHADOW] = { .proc = PROC_TPR_SHADOW },
                [NEEDS_MSR_BITMAP] = { .proc = PROC_MSR_BITMAPS },
                [NEEDS_APIC_ACCESS] = { .proc2 = PROC2_APIC_ACCESS },
                [NEEDS_EPT] = { .proc2 = PROC2_EPT },
                [NEEDS_VPID] = { .proc2 = PROC2_VPID },
                [NEEDS_VID] = { .proc2 = PROC2_VID },
                [NEEDS_PI] = { .pin = PIN_POSTED_INTR },
                [NEEDS_PLE] = { .proc2 = PROC2_PLE },
                [NEEDS_VMFUNC] = { .proc2 = PROC2_VMFUNC },
                [NEEDS_SHADOW] = { .proc2 = PROC2_SHADOW },
                [NEEDS_VE] = { .proc2 = PROC2_VE },
                [NEEDS_XSAVES] = { .proc2 = PROC2_XSAVES },
                [NEEDS_ENCLS] = { .proc2 = PROC2_ENCLS },
                [NEEDS_SPP] = { .proc2 = PROC2_SPP },
                [NEEDS_TSC_SCALING] = { .proc2 = PROC2_TSC_SCALING },
                [NEEDS_PML] = { .proc2 = PROC2_PML },
                [NEEDS_PREEMPTION_TIMER] = { .pin = PIN_PREEMPTION_TIMER },
                [NEEDS_PAT] = { .exit = EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_PAT, .entry = ENTRY_CTL_LOAD_PAT },
                [NEEDS_EFER] = { .exit = EXIT_CTL_LOAD_EFER | EXIT_CTL_SAVE_EFER,
                                 .entry = ENTRY_CTL_LOAD_EFER },
                [NEEDS_PERF_GLOBAL] = { .exit = EXIT_CTL_LOAD_PERF_GLOBAL,
                                        .entry = ENTRY_CTL_LOAD_PERF_GLOBAL },
                [NEEDS_BNDCFGS] = { .exit = EXIT_CTL_CLEAR_BNDCFGS, .entry = ENTRY_CTL_LOAD_BNDCFGS },
        };
        if (f->needs == NEEDS_ALWAYS)
                return true;
        if (f->needs == NEEDS_EPTP_SWITCHING)
                return (c->proc2.may1 & PROC2_VMFUNC) && (c->vmfunc & VMFUNC_EPTP_SWITCHING);
        return (c->pin.may1 & needs[f->needs].pin) || (c->proc.may1 & needs[f->needs].proc) ||
               (c->proc2.may1 & needs[f->needs].proc2) || (c->exit.may1 & needs[f->needs].exit) ||
               (c->entry.may1 & needs[f->needs].entry);
}
