/* SPDX-License-Identifier: BSD-2-Clause */
/* x86.h - bits of control registers, EFER, RFLAGS and debug registers. SDM 3A "System Architecture Overview".
 * Constants, and what one of them may hold. [pure] */
#ifndef CASCADE_BASE_X86_H
#define CASCADE_BASE_X86_H

#include <stdbool.h>
#include "base/bits.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_PSE   BIT(4)
#define CR4_PAE   BIT(5)
#define CR4_PGE   BIT(7)
#define CR4_VMXE  BIT(13)
#define CR4_PCIDE BIT(17)
#define CR4_SMEP  BIT(20)
#define CR4_CET   BIT(23)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

#define RFLAGS_CF       BIT(0)
#define RFLAGS_FIXED1   BIT(1)
#define RFLAGS_PF       BIT(2)
#define RFLAGS_AF       BIT(4)
#define RFLAGS_ZF       BIT(6)
#define RFLAGS_SF       BIT(7)
#define RFLAGS_TF       BIT(8)
#define RFLAGS_IF       BIT(9)
#define RFLAGS_OF       BIT(11)
#define RFLAGS_IOPL     BITS(13, 12)
#define RFLAGS_RF       BIT(16)
#define RFLAGS_VM       BIT(17)
#define RFLAGS_RESERVED (BITS(63, 22) | BIT(15) | BIT(5) | BIT(3))

#define DEBUGCTL_LBR BIT(0)
#define DEBUGCTL_BTF BIT(1)
#define DR7_RESET    0x400ull

/* Segment selectors. */
#define SEL_RPL BITS(1, 0)
#define SEL_TI  BIT(2)

/* Memory types as PAT, MTRRs and EPT encode them. */
enum memtype { MEMTYPE_UC = 0, MEMTYPE_WC = 1, MEMTYPE_WT = 4, MEMTYPE_WP = 5, MEMTYPE_WB = 6 };

/* What IA32_PAT may hold: eight memory types, or 7 for UC-. */
static inline bool pat_ok(uint64_t pat)
{
        const uint64_t known = BIT(MEMTYPE_UC) | BIT(MEMTYPE_WC) | BIT(MEMTYPE_WT) | BIT(MEMTYPE_WP) |
                               BIT(MEMTYPE_WB) | BIT(7);
        for (unsigned i = 0; i < 8; i++, pat >>= 8)
                if ((pat & 0xff) > 7 || !(known >> (pat & 7) & 1))
                        return false;
        return true;
}

#endif
