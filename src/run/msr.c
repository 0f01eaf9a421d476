/* SPDX-License-Identifier: BSD-2-Clause */
/* RDMSR and WRMSR that exit: everything the MSR bitmap does not let through. A register that the guest cannot have
 * raises #GP, as the SDM has it for reserved and unimplemented ones. */
#include "run/msr.h"
#include "base/bits.h"
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "hw/cpu.h"
#include "hw/vmx_ops.h"
#include "base/x86.h"
#include "run/devices.h"
#include "run/exits.h"
#include "run/inject.h"
#include "vmx/controls.h"
#include "vmx/feature_control.h"
#include "vmx/fields.h"

#define MTRR_CAP_VALUE    (MTRR_VARIABLE_REGS / 2 | BIT(8) | BIT(10)) /* fixed ranges, write combining */
#define MTRR_DEF_RESERVED (~(BITS(7, 0) | BIT(10) | BIT(11)))
#define MTRR_DEF_RESET    (6u | BIT(10) | BIT(11)) /* write-back, enabled: as firmware leaves it */
#define MISC_ENABLE_RESET (BIT(0) | BIT(11) | BIT(12)) /* fast strings; no BTS, no PEBS */
#define MISC_ENABLE_RO    (BIT(7) | BIT(11) | BIT(12))

void guest_msrs_init(struct guest_msrs *m, uint64_t feature_control)
{
        memset(m, 0, sizeof(*m));
        m->feature_control = feature_control;
        m->misc_enable = MISC_ENABLE_RESET;
        m->mtrr_def_type = MTRR_DEF_RESET;
        memset(m->mtrr_fixed, 6, sizeof(m->mtrr_fixed));
}

/* Registers whose values live in the VMCS (field), or in the processor all the time, as cascade itself uses none of
 * those. The guest reaches them without exits where it is worth a word of the bitmap: each word that is not all ones
 * has to be merged at every entry of a guest's guest. */
static const struct {
        uint32_t msr;
        uint32_t field; /* 0: in the processor */
        bool exits;
} passed_through[] = {
        { MSR_SYSENTER_CS, F_guest_sysenter_cs, true },
        { MSR_SYSENTER_ESP, F_guest_sysenter_esp, true },
        { MSR_SYSENTER_EIP, F_guest_sysenter_eip, true },
        { MSR_PAT, F_guest_pat, true },
        { MSR_EFER, F_guest_efer, false },
        { MSR_FS_BASE, F_guest_fs_base, false },
        { MSR_GS_BASE, F_guest_gs_base, false },
        { MSR_STAR, 0, false },
        { MSR_LSTAR, 0, false },
        { MSR_CSTAR, 0, false },
        { MSR_FMASK, 0, false },
        { MSR_TSC_AUX, 0, false },
        { MSR_KERNEL_GS_BASE, 0, false },
};

/* SDM 3C "MSR-Bitmap Address": four kilobytes of bits: low reads, high reads, low writes, high writes. */
#define BITMAP_HIGH_READ 1024
#define BITMAP_WRITE     2048

static void pass(uint8_t *bitmap, uint32_t msr, bool reads, bool writes)
{
        const uint32_t at = (msr & 0x1fff) / 8 + (msr >= 0xc0000000u ? BITMAP_HIGH_READ : 0);
        const uint8_t bit = (uint8_t)(1u << (msr % 8));
        if (reads)
                bitmap[at] &= (uint8_t)~bit;
        if (writes)
                bitmap[at + BITMAP_WRITE] &= (uint8_t)~bit;
}

void msr_bitmap01_build(uint8_t *bitmap)
{
        memset(bitmap, 0xff, PAGE_SIZE);
        for (size_t i = 0; i < ARRAY_LEN(passed_through); i++)
                if (!passed_through[i].exits)
                        pass(bitmap, passed_through[i].msr, true, true);
        pass(bitmap, MSR_TSC, true, false);
}

static uint64_t *mtrr_slot(struct guest_msrs *m, uint32_t msr)
{
        if (msr >= MSR_MTRR_PHYS_FIRST && msr <= MSR_MTRR_PHYS_LAST)
                return &m->mtrr_variable[msr - MSR_MTRR_PHYS_FIRST];
        switch (msr) {
        case MSR_MTRR_FIX_64K:
                return &m->mtrr_fixed[0];
        case MSR_MTRR_FIX_16K_0:
        case MSR_MTRR_FIX_16K_1:
                return &m->mtrr_fixed[1 + msr - MSR_MTRR_FIX_16K_0];
        default:
                return msr >= MSR_MTRR_FIX_4K_0 && msr <= MSR_MTRR_FIX_4K_7 ? &m->mtrr_fixed[3 + msr - MSR_MTRR_FIX_4K_0]
                                                                           : NULL;
        }
}

static bool is_apic_msr(uint32_t msr)
{
        return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE || (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

/* The devices' clock is the host's TSC, the guest's deadline is in its own. 0 disarms in both. */
static uint64_t deadline_to_host(const struct run *r, uint32_t msr, uint64_t value)
{
        if (msr != MSR_TSC_DEADLINE || value == 0)
                return value;
        const uint64_t host = value - r->nested.tsc_offset01;
        return host ? host : 1;
}

static uint64_t guest_tsc(const struct run *r)
{
        return hw_rdtsc() + r->nested.tsc_offset01;
}

bool guest_rdmsr(struct run *r, uint32_t msr, uint64_t *value)
{
        const uint64_t *slot = mtrr_slot(&r->msrs, msr);
        if (slot) {
                *value = *slot;
                return true;
        }
        if (is_apic_msr(msr)) {
                const bool ok = pc_msr_read(&r->pc, 0, msr, value, hw_rdtsc());
                if (msr == MSR_TSC_DEADLINE && *value)
                        *value += r->nested.tsc_offset01;
                return ok;
        }
        if (msr >= MSR_VMX_BASIC && msr <= MSR_VMX_LAST) {
                bool known = false;
                *value = nested_capability(&r->nested, msr, &known);
                return known;
        }
        switch (msr) {
        case MSR_TSC:
                *value = guest_tsc(r);
                return true;
        case MSR_TSC_ADJUST:
                *value = r->msrs.tsc_adjust;
                return true;
        case MSR_FEATURE_CONTROL:
                *value = r->msrs.feature_control;
                return true;
        case MSR_XSS: /* there with XSAVES, and without a bit that could be set: leaf 0xd of cpuid.c */
                *value = 0;
                return r->cpuid_config.xsaves;
        case MSR_MTRR_CAP:
                *value = MTRR_CAP_VALUE;
                return true;
        case MSR_MTRR_DEF_TYPE:
                *value = r->msrs.mtrr_def_type;
                return true;
        case MSR_MISC_ENABLE:
                *value = r->msrs.misc_enable;
                return true;
        case MSR_DEBUGCTL:
                *value = vmread(F_guest_debugctl);
                return true;
        case MSR_PLATFORM_ID:
        case MSR_BIOS_SIGN: /* no microcode */
        case MSR_MCG_CAP:   /* no machine-check banks */
        case MSR_MCG_STATUS:
                *value = 0;
                return true;
        default:
                return false;
        }
}

static void set_tsc_offset(struct run *r, uint64_t offset)
{
        nested_set_tsc_offset01(&r->nested, &r->v, offset);
}

bool guest_wrmsr(struct run *r, uint32_t msr, uint64_t value)
{
        uint64_t *slot = mtrr_slot(&r->msrs, msr);
        if (slot) {
                *slot = value;
                return true;
        }
        if (is_apic_msr(msr)) {
                struct pc_verdict verdict;
                if (!pc_msr_write(&r->pc, 0, msr, deadline_to_host(r, msr, value), hw_rdtsc(), &verdict))
                        return false;
                device_act(r, &verdict);
                return true;
        }
        switch (msr) {
        case MSR_TSC:
                r->msrs.tsc_adjust += value - guest_tsc(r);
                set_tsc_offset(r, value - hw_rdtsc());
                return true;
        case MSR_TSC_ADJUST:
                set_tsc_offset(r, r->nested.tsc_offset01 + value - r->msrs.tsc_adjust);
                r->msrs.tsc_adjust = value;
                return true;
        case MSR_FEATURE_CONTROL:
                return feature_control_write(&r->msrs.feature_control, value, r->nested.enabled);
        case MSR_MTRR_DEF_TYPE:
                if (value & MTRR_DEF_RESERVED)
                        return false;
                r->msrs.mtrr_def_type = value;
                return true;
        case MSR_MISC_ENABLE:
                r->msrs.misc_enable = (value & ~MISC_ENABLE_RO) | (r->msrs.misc_enable & MISC_ENABLE_RO);
                return true;
        case MSR_XSS:
                return r->cpuid_config.xsaves && value == 0;
        case MSR_DEBUGCTL:
                return value == 0;
        case MSR_BIOS_SIGN:
        case MSR_MCG_STATUS:
                return value == 0;
        default:
                return false;
        }
}

void exit_rdmsr(struct run *r, const struct exit_info *x)
{
        uint64_t value = 0;
        if (!guest_rdmsr_any(r, (uint32_t)r->v.gprs.r[GPR_RCX], &value)) {
                inject_gp0(r);
                return;
        }
        r->v.gprs.r[GPR_RAX] = (uint32_t)value;
        r->v.gprs.r[GPR_RDX] = value >> 32;
        skip_instruction(r);
}

void exit_wrmsr(struct run *r, const struct exit_info *x)
{
        const uint64_t value = (uint32_t)r->v.gprs.r[GPR_RAX] | r->v.gprs.r[GPR_RDX] << 32;
        if (guest_wrmsr_any(r, (uint32_t)r->v.gprs.r[GPR_RCX], value))
                skip_instruction(r);
        else
                inject_gp0(r);
}

bool guest_rdmsr_any(struct run *r, uint32_t msr, uint64_t *value)
{
        if (guest_rdmsr(r, msr, value))
                return true;
        for (size_t i = 0; i < ARRAY_LEN(passed_through); i++) {
                if (passed_through[i].msr != msr)
                        continue;
                if (!passed_through[i].field)
                        return hw_rdmsr_safe(msr, value);
                *value = vmread(passed_through[i].field);
                return true;
        }
        return false;
}

#define EFER_WRITABLE (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

/* SDM 2D "WRMSR" for registers whose value is a VMCS field: what the processor would refuse. */
static bool field_value_ok(uint32_t msr, uint64_t value, unsigned linear_bits)
{
        if (msr == MSR_PAT)
                return pat_ok(value);
        if (msr == MSR_EFER) /* LMA follows CR0.PG and LME, and cannot be written */
                return !(value & ~EFER_WRITABLE) && !((value ^ vmread(F_guest_efer)) & (EFER_LMA | EFER_LME));
        return msr == MSR_SYSENTER_CS || is_canonical(value, linear_bits); /* of the former bits 63:32 are not used */
}

bool guest_wrmsr_any(struct run *r, uint32_t msr, uint64_t value)
{
        if (guest_wrmsr(r, msr, value))
                return true;
        for (size_t i = 0; i < ARRAY_LEN(passed_through); i++) {
                if (passed_through[i].msr != msr)
                        continue;
                if (!passed_through[i].field)
                        return hw_wrmsr_safe(msr, value);
                if (!field_value_ok(msr, value, r->v.hw->linear_bits))
                        return false;
                vmwrite(passed_through[i].field, value);
                return true;
        }
        return false;
}
