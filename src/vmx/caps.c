/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/caps.h"
#include "base/addr.h"
#include "base/x86.h"
#include "vmx/controls.h"

/* Architectural bits of IA32_DEBUGCTL of every processor with VMX: LBR, BTF, TR .. FREEZE_WHILE_SMM. */
#define DEBUGCTL_ARCH (DEBUGCTL_LBR | DEBUGCTL_BTF | BITS(12, 6) | BIT(14))
#define CR3_TARGETS   4

/* Bits of CR4 whose feature a guest's CPUID can show: VME to UMIP, VMXE, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP, PKE. Not SMXE,
 * LA57, CET, nor what came later. */
#define CR4_OFFERED (BITS(11, 0) | CR4_VMXE | BITS(18, 16) | BITS(22, 20))

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

/* --- features: bits of one of the words --- */

static const uint32_t default1[WORD_COUNT] = {
        [WORD_PIN] = PIN_DEFAULT1,
        [WORD_PROC] = PROC_DEFAULT1,
        [WORD_EXIT] = EXIT_CTL_DEFAULT1,
        [WORD_ENTRY] = ENTRY_CTL_DEFAULT1,
};

/* The control word of a feature word, NULL for those that are plain bits. */
static struct ctl_caps *ctl_word(struct vmx_caps *c, enum feature_word w)
{
        struct ctl_caps *const words[WORD_COUNT] = {
                [WORD_PIN] = &c->pin,   [WORD_PROC] = &c->proc,   [WORD_PROC2] = &c->proc2,
                [WORD_EXIT] = &c->exit, [WORD_ENTRY] = &c->entry,
        };
        return words[w];
}

static uint64_t *plain_word(struct vmx_caps *c, enum feature_word w)
{
        uint64_t *const words[WORD_COUNT] = {
                [WORD_EPT_VPID] = &c->ept_vpid,
                [WORD_VMFUNC] = &c->vmfunc,
                [WORD_MISC] = &c->misc,
                [WORD_BASIC] = &c->basic,
        };
        return words[w];
}

static bool has(struct vmx_caps *c, enum feature f)
{
        const struct feature_info *i = feature_info(f);
        const struct ctl_caps *ctl = ctl_word(c, i->word);
        return (ctl ? ctl->may1 : *plain_word(c, i->word)) & i->bits;
}

/* Keeps of a word what is offered. What has to be 1, and the default1 class, stays in `may1` whatever is offered: those
 * bits are part of every control word. */
static void restrict_word(struct vmx_caps *c, enum feature_word w, uint64_t offered)
{
        struct ctl_caps *ctl = ctl_word(c, w);
        if (ctl)
                ctl->may1 &= (uint32_t)offered | ctl->must1 | default1[w];
        else
                *plain_word(c, w) &= offered;
}

/* False: it was not there, or the silicon insists on it. */
static bool drop(struct vmx_caps *c, enum feature f)
{
        const bool had = has(c, f);
        restrict_word(c, feature_info(f)->word, ~feature_info(f)->bits);
        return had && !has(c, f);
}

static bool orphan(struct vmx_caps *c, enum feature f)
{
        const struct feature_info *i = feature_info(f);
        if (i->word == WORD_PROC2 && !has(c, FEATURE_secondary))
                return true;
        for (unsigned n = 0; n < FEATURE_NEEDS_MAX; n++)
                if (i->needs[n] != FEATURE_none && !has(c, i->needs[n]))
                        return true;
        return false;
}

/* Takes out of `c` what depends on something that is not there, until nothing does; and the secondary controls as such when
 * none of them is left. */
static void drop_orphans(struct vmx_caps *c)
{
        bool dropped;
        do {
                dropped = !c->proc2.may1 && drop(c, FEATURE_secondary);
                if (!has(c, FEATURE_secondary))
                        c->proc2 = (struct ctl_caps){ 0 }; /* also what the silicon insists on */
                for (enum feature f = FEATURE_none + 1; f < FEATURE_COUNT; f++)
                        if (orphan(c, f) && drop(c, f))
                                dropped = true;
        } while (dropped);
}

/* SDM 3D "Miscellaneous Data", "Basic VMX Information": what is not a feature. */
static void rest_derive(struct vmx_caps *c, const struct vmx_caps *hw)
{
        if (GET(c->misc, MISC_CR3_TARGETS) > CR3_TARGETS)
                c->misc = PUT(c->misc, MISC_CR3_TARGETS, CR3_TARGETS);
        if (c->pin.may1 & PIN_PREEMPTION_TIMER)
                c->misc |= hw->misc & MISC_TIMER_SHIFT;
        c->basic = PUT(c->basic, BASIC_REVISION, CASCADE_VMCS12_REVISION);
        c->basic = PUT(c->basic, BASIC_REGION_SIZE, PAGE_SIZE);
        c->basic = PUT(c->basic, BASIC_MEMTYPE, MEMTYPE_WB);
        if (c->basic & BASIC_TRUE_CTLS)
                return;
        for (enum feature_word w = WORD_PIN; w <= WORD_ENTRY; w++)
                ctl_word(c, w)->must1 |= default1[w];
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

struct vmx_caps caps12_derive(const struct vmx_caps *hw, const struct feature_mask *mask)
{
        struct vmx_caps c = *hw; /* what is not VMX's own: fixed bits, widths, MSR masks */
        uint64_t offered[WORD_COUNT] = { 0 };
        for (enum feature f = FEATURE_none + 1; f < FEATURE_COUNT; f++) {
                const struct feature_info *i = feature_info(f);
                if (i->kind == KIND_FEATURE && !mask->off[f])
                        offered[i->word] |= i->bits;
        }
        for (enum feature_word w = 0; w < WORD_COUNT; w++)
                restrict_word(&c, w, offered[w]);
        c.cr4_fixed1 = hw->cr4_fixed1 & (CR4_OFFERED | hw->cr4_fixed0);
        drop_orphans(&c);
        rest_derive(&c, hw);
        c.vmcs_enum = vmcs_enum_derive(&c);
        return c;
}

static uint64_t ctl_msr(struct ctl_caps c, uint32_t always)
{
        return (uint64_t)(c.may1 | always) << 32 | c.must1 | always;
}

uint64_t caps12_msr(const struct vmx_caps *c, uint32_t msr, bool *known)
{
        const bool secondary = c->proc.may1 & PROC_SECONDARY;
        *known = msr < MSR_VMX_TRUE_PIN || msr > MSR_VMX_TRUE_ENTRY || (c->basic & BASIC_TRUE_CTLS);
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
