/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/cpuid.h"
#include "base/bits.h"
#include "base/libc.h"
#include "hw/hypercall.h"

/* SDM 2A "CPUID - CPU Identification": the feature bits that the guest does not get, because what they stand for
 * is not virtualized, and those it gets whatever the silicon says, because cascade provides them. */
enum { LEAF_FEATURES = 1, LEAF_CACHE = 4, LEAF_MWAIT = 5, LEAF_POWER = 6, LEAF_STRUCTURED = 7, LEAF_PMU = 0xa,
       LEAF_TOPOLOGY = 0xb, LEAF_XSAVE = 0xd, LEAF_TSC = 0x15, LEAF_MHZ = 0x16 };

#define F1_ECX_DTES64   BIT(2)
#define F1_ECX_MONITOR  BIT(3)
#define F1_ECX_DS_CPL   BIT(4)
#define F1_ECX_VMX      BIT(5)
#define F1_ECX_SMX      BIT(6)
#define F1_ECX_EIST     BIT(7)
#define F1_ECX_TM2      BIT(8)
#define F1_ECX_SDBG     BIT(11)
#define F1_ECX_XTPR     BIT(14)
#define F1_ECX_PDCM     BIT(15)
#define F1_ECX_X2APIC   BIT(21)
#define F1_ECX_DEADLINE BIT(24)
#define F1_ECX_OSXSAVE  BIT(27)
#define F1_ECX_HYPER    BIT(31)
#define F1_ECX_HIDDEN   (F1_ECX_DTES64 | F1_ECX_MONITOR | F1_ECX_DS_CPL | F1_ECX_VMX | F1_ECX_SMX | F1_ECX_EIST | \
                         F1_ECX_TM2 | F1_ECX_SDBG | F1_ECX_XTPR | F1_ECX_PDCM | F1_ECX_OSXSAVE)
#define F1_EDX_DS       BIT(21)
#define F1_EDX_ACPI     BIT(22)
#define F1_EDX_HTT      BIT(28)
#define F1_EDX_TM       BIT(29)
#define F1_EDX_PBE      BIT(31)
#define F1_EDX_HIDDEN   (F1_EDX_DS | F1_EDX_ACPI | F1_EDX_HTT | F1_EDX_TM | F1_EDX_PBE)
#define F1_EBX_APIC_ID  BITS(31, 24)
#define F1_EBX_LOGICAL  BITS(23, 16)

#define F6_EAX_ARAT     BIT(2)

#define F7_EBX_SGX      BIT(2)
#define F7_EBX_INVPCID  BIT(10)
#define F7_EBX_PQM      BIT(12)
#define F7_EBX_MPX      BIT(14)
#define F7_EBX_PQE      BIT(15)
#define F7_EBX_PT       BIT(25)
#define F7_EBX_HIDDEN   (F7_EBX_SGX | F7_EBX_PQM | F7_EBX_MPX | F7_EBX_PQE | F7_EBX_PT)
#define F7_ECX_OSPKE    BIT(4)
#define F7_ECX_WAITPKG  BIT(5)
#define F7_ECX_CET_SS   BIT(7)
#define F7_ECX_TME      BIT(13)
#define F7_ECX_LA57     BIT(16)
#define F7_ECX_BUSLOCK  BIT(24)
#define F7_ECX_SGX_LC   BIT(30)
#define F7_ECX_PKS      BIT(31)
#define F7_ECX_HIDDEN   (F7_ECX_OSPKE | F7_ECX_WAITPKG | F7_ECX_CET_SS | F7_ECX_TME | F7_ECX_LA57 | F7_ECX_BUSLOCK | \
                         F7_ECX_SGX_LC | F7_ECX_PKS)
#define F7_EDX_4VNNIW   BIT(2)
#define F7_EDX_4FMAPS   BIT(3)
#define F7_EDX_FSRM     BIT(4)
#define F7_EDX_MD_CLEAR BIT(10)
/* Speculation-control MSRs would have to be switched at each entry: not offered. */
#define F7_EDX_OFFERED  (F7_EDX_4VNNIW | F7_EDX_4FMAPS | F7_EDX_FSRM | F7_EDX_MD_CLEAR)

#define FD1_EAX_XSAVES  BIT(3)
#define FD_ECX_SUPERVISOR BIT(0) /* a component of XSAVES, enabled in IA32_XSS */
#define E1_EDX_RDTSCP   BIT(27)
#define E1_ECX_SVM      BIT(2)
#define E7_EDX_INVARIANT_TSC BIT(8)

#define CR4_OSXSAVE BIT(18)
#define CR4_PKE     BIT(22)

#define EXT_BASE 0x80000000u

static bool has_subleaves(uint32_t leaf)
{
        return leaf == LEAF_CACHE || leaf == LEAF_STRUCTURED || leaf == LEAF_TOPOLOGY || leaf == LEAF_XSAVE;
}

static void build_features(struct cpuid_table *t, const struct cpuid_config *c)
{
        struct cpuid_regs *f = &t->basic[LEAF_FEATURES][0];
        f->ecx &= (uint32_t)~F1_ECX_HIDDEN;
        f->ecx |= (uint32_t)(F1_ECX_X2APIC | F1_ECX_DEADLINE | F1_ECX_HYPER | (c->vmx ? F1_ECX_VMX : 0));
        f->edx &= (uint32_t)~F1_EDX_HIDDEN;
        f->ebx = (uint32_t)PUT(PUT(f->ebx, F1_EBX_APIC_ID, c->apic_id), F1_EBX_LOGICAL, 1);

        struct cpuid_regs *s = t->basic[LEAF_STRUCTURED];
        s->eax = 0; /* no further subleaves */
        s->ebx &= (uint32_t)~(F7_EBX_HIDDEN | (c->invpcid ? 0 : F7_EBX_INVPCID));
        s->ecx &= (uint32_t)~F7_ECX_HIDDEN;
        s->edx &= (uint32_t)F7_EDX_OFFERED;
        memset(s + 1, 0, sizeof(*s) * (CPUID_SUBLEAVES - 1));
}

/* One thread on one core. */
static void build_topology(struct cpuid_table *t, const struct cpuid_config *c)
{
        for (unsigned i = 0; i < CPUID_SUBLEAVES; i++) {
                t->basic[LEAF_CACHE][i].eax &= (uint32_t)~BITS(31, 14);
                const uint32_t kind = i < 2 ? i + 1 : 0; /* SMT, core, end */
                t->basic[LEAF_TOPOLOGY][i] =
                        (struct cpuid_regs){ .ebx = i < 2, .ecx = i | kind << 8, .edx = c->apic_id };
        }
}

static void build_clock(struct cpuid_table *t, const struct cpuid_config *c)
{
        const uint32_t mhz = (uint32_t)((c->tsc_hz + 500000) / 1000000);
        /* The crystal that leaf 0x15 names is the TSC itself, ratio 1: exact, and the local APIC's timer counts it. */
        if (c->tsc_hz <= UINT32_MAX) /* else unsaid: ECX has no room, and another ratio would be another timer */
                t->basic[LEAF_TSC][0] = (struct cpuid_regs){ 1, 1, (uint32_t)c->tsc_hz, 0 };
        t->basic[LEAF_MHZ][0] = (struct cpuid_regs){ mhz, mhz, 100, 0 };
}

void cpuid_refresh_xsave(struct cpuid_table *t, const struct cpuid_config *c, cpuid_fn *silicon)
{
        struct cpuid_regs *const leaf = t->basic[LEAF_XSAVE];
        for (uint32_t i = 0; i < CPUID_SUBLEAVES; i++) {
                leaf[i] = silicon(LEAF_XSAVE, i);
                if (i > 1 && (leaf[i].ecx & FD_ECX_SUPERVISOR))
                        leaf[i] = (struct cpuid_regs){ 0 };
        }
        leaf[1].ecx = leaf[1].edx = 0; /* no supervisor state: IA32_XSS is always 0 */
        if (!c->xsaves)
                leaf[1].eax &= (uint32_t)~FD1_EAX_XSAVES;
}

void cpuid_build(struct cpuid_table *t, const struct cpuid_config *c, cpuid_fn *silicon)
{
        memset(t, 0, sizeof(*t));
        const uint32_t max_basic = silicon(0, 0).eax;
        for (uint32_t leaf = 0; leaf < CPUID_BASIC_LEAVES && leaf <= max_basic; leaf++)
                for (uint32_t i = 0; i < (has_subleaves(leaf) ? CPUID_SUBLEAVES : 1); i++)
                        t->basic[leaf][i] = silicon(leaf, i);
        /* Nothing above the XSAVE leaf is virtualized but the clock. */
        memset(t->basic[LEAF_XSAVE + 1], 0, sizeof(t->basic[0]) * (CPUID_BASIC_LEAVES - LEAF_XSAVE - 1));
        memset(t->basic[LEAF_PMU], 0, sizeof(t->basic[0]));
        memset(t->basic[LEAF_MWAIT], 0, sizeof(t->basic[0]));
        t->basic[LEAF_POWER][0] = (struct cpuid_regs){ .eax = F6_EAX_ARAT };
        t->basic[0][0].eax = CPUID_BASIC_LEAVES - 1;
        build_features(t, c);
        build_topology(t, c);
        build_clock(t, c);
        if (max_basic >= LEAF_XSAVE)
                cpuid_refresh_xsave(t, c, silicon);

        const uint32_t silicon_max_ext = silicon(EXT_BASE, 0).eax;
        for (uint32_t i = 0; i < CPUID_EXT_LEAVES && EXT_BASE + i <= silicon_max_ext; i++)
                t->ext[i] = silicon(EXT_BASE + i, 0);
        t->ext[0].eax = EXT_BASE + CPUID_EXT_LEAVES - 1;
        t->ext[1].edx &= (uint32_t)~(c->rdtscp ? 0 : E1_EDX_RDTSCP);
        t->ext[1].ecx &= (uint32_t)~E1_ECX_SVM;
        t->ext[7].edx |= (uint32_t)E7_EDX_INVARIANT_TSC;

        t->hyper[0] = (struct cpuid_regs){ CASCADE_CPUID_BASE + CPUID_HYPER_LEAVES - 1, CASCADE_CPUID_EBX,
                                           CASCADE_CPUID_ECX, CASCADE_CPUID_EDX };
        t->hyper[1] = (struct cpuid_regs){ .eax = c->level };
}

struct cpuid_regs cpuid_answer(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, uint64_t cr4)
{
        if (leaf - CASCADE_CPUID_BASE < CPUID_HYPER_LEAVES)
                return t->hyper[leaf - CASCADE_CPUID_BASE];
        if (leaf - EXT_BASE < CPUID_EXT_LEAVES)
                return t->ext[leaf - EXT_BASE];
        /* Beyond the highest leaf the processor answers as for the highest basic one. */
        if (leaf >= CPUID_BASIC_LEAVES)
                leaf = CPUID_BASIC_LEAVES - 1;
        if (has_subleaves(leaf)) {
                /* SDM 2A "CPUID - CPU Identification", leaf 0BH: ECX[7:0] repeats the subleaf, EDX is always valid. */
                if (subleaf >= CPUID_SUBLEAVES && leaf == LEAF_TOPOLOGY)
                        return (struct cpuid_regs){ .ecx = subleaf & 0xff, .edx = t->basic[leaf][0].edx };
                if (subleaf >= CPUID_SUBLEAVES)
                        return (struct cpuid_regs){ 0 };
        } else {
                subleaf = 0;
        }
        struct cpuid_regs r = t->basic[leaf][subleaf];
        if (leaf == LEAF_FEATURES && (cr4 & CR4_OSXSAVE))
                r.ecx |= (uint32_t)F1_ECX_OSXSAVE;
        if (leaf == LEAF_STRUCTURED && subleaf == 0 && (cr4 & CR4_PKE))
                r.ecx |= (uint32_t)F7_ECX_OSPKE;
        return r;
}
