/* SPDX-License-Identifier: BSD-2-Clause */
/* epte.h - layout of EPT entries and of the EPT pointer. SDM 3C "EPT Translation Mechanism". Constants and
 * arithmetic on them only. [pure]
 *
 *   level 4        level 3            level 2            level 1
 *   EPT PML4E  ->  EPT PDPTE (1G) ->  EPT PDE (2M)  ->   EPT PTE (4K)
 *   bits 47:39     bits 38:30         bits 29:21         bits 20:12 of the guest-physical address */
#ifndef CASCADE_VMX_EPTE_H
#define CASCADE_VMX_EPTE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/bits.h"
#include "base/x86.h"

#define EPTE_R       BIT(0)
#define EPTE_W       BIT(1)
#define EPTE_X       BIT(2)
#define EPTE_RWX     BITS(2, 0)
#define EPTE_MEMTYPE BITS(5, 3) /* leaves; enum memtype */
#define EPTE_IPAT    BIT(6)     /* leaves: ignore the guest's PAT */
#define EPTE_LARGE   BIT(7)     /* levels 3 and 2: this entry is a leaf */
#define EPTE_A       BIT(8)
#define EPTE_D       BIT(9) /* leaves */
#define EPTE_XU      BIT(10) /* execute access of user-mode addresses, with mode-based execution */
#define EPTE_ADDR    BITS(51, 12)
#define EPTE_SVE     BIT(63) /* suppress #VE */

#define EPTP_MEMTYPE  BITS(2, 0)
#define EPTP_WALK     BITS(5, 3) /* levels - 1 */
#define EPTP_AD       BIT(6)
#define EPTP_RESERVED BITS(11, 7)
#define EPTP_ADDR     BITS(51, 12)
#define EPTP_WALK4    3

#define EPT_LEVELS   4
#define EPT_ENTRIES  512
#define EPT_GPA_BITS 48 /* what a walk of four levels translates */

/* Address bits below the part that `level` (4 .. 1) translates: 39, 30, 21, 12. */
static inline unsigned ept_shift(unsigned level)
{
        return PAGE_SHIFT + 9 * (level - 1);
}

static inline unsigned ept_index(uint64_t gpa, unsigned level)
{
        return (unsigned)(gpa >> ept_shift(level) & (EPT_ENTRIES - 1));
}

#define SHIFT_4K 12
#define SHIFT_2M 21
#define SHIFT_1G 30

#endif
