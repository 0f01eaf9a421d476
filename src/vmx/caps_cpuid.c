/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/caps.h"
#include "base/bits.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "vmx/controls.h"

#define CPUID_7_EBX_RTM    BIT(11)
#define CPUID_EXT_BASE     0x80000000u
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_EXT_SIZES    0x80000008u
#define CPUID_EXT_SYSCALL  BIT(11)
#define CPUID_EXT_NX       BIT(20)
#define CPUID_EXT_LM       BIT(29)

enum cpuid_reg { EBX, ECX, EDX, EAX };

/* SDM 2A "CPUID": which bit says that the instruction of a control exists. */
static const struct {
        uint32_t control; /* secondary */
        uint32_t leaf, subleaf;
        enum cpuid_reg reg;
        unsigned bit;
} instructions[] = {
        { PROC2_RDTSCP, CPUID_EXT_FEATURES, 0, EDX, 27 },
        { PROC2_RDRAND, 1, 0, ECX, 30 },
        { PROC2_INVPCID, 7, 0, EBX, 10 },
        { PROC2_RDSEED, 7, 0, EBX, 18 },
        { PROC2_XSAVES, 0xd, 1, EAX, 3 },
};

static uint32_t cpuid_reg(const struct cpuid_regs *r, enum cpuid_reg reg)
{
        return reg == EAX ? r->eax : reg == EBX ? r->ebx : reg == ECX ? r->ecx : r->edx;
}

void vmx_caps_add_cpuid(struct vmx_caps *caps, struct cpuid_regs (*cpuid)(uint32_t leaf, uint32_t subleaf))
{
        const uint32_t max = cpuid(0, 0).eax, max_ext = cpuid(CPUID_EXT_BASE, 0).eax;
        if (max_ext >= CPUID_EXT_SIZES) {
                const uint32_t sizes = cpuid(CPUID_EXT_SIZES, 0).eax;
                caps->maxphyaddr = (uint8_t)GET(sizes, BITS(7, 0));
                caps->linear_bits = (uint8_t)GET(sizes, BITS(15, 8));
        }
        const uint32_t ext = max_ext >= CPUID_EXT_FEATURES ? cpuid(CPUID_EXT_FEATURES, 0).edx : 0;
        caps->efer_mask = (ext & CPUID_EXT_SYSCALL ? EFER_SCE : 0) | (ext & CPUID_EXT_LM ? EFER_LME | EFER_LMA : 0) |
                          (ext & CPUID_EXT_NX ? EFER_NXE : 0);
        caps->rtm = max >= 7 && (cpuid(7, 0).ebx & CPUID_7_EBX_RTM);
        for (size_t i = 0; i < ARRAY_LEN(instructions); i++) {
                const uint32_t leaf = instructions[i].leaf;
                const struct cpuid_regs r = cpuid(leaf, instructions[i].subleaf);
                const bool known = leaf <= (leaf >= CPUID_EXT_BASE ? max_ext : max);
                if (!known || !(cpuid_reg(&r, instructions[i].reg) >> instructions[i].bit & 1))
                        caps->proc2.may1 &= ~instructions[i].control | caps->proc2.must1;
        }
}
