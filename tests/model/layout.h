/* SPDX-License-Identifier: BSD-2-Clause */
/* layout.h - what lies where in the memory of the modelled guest hypervisor, and in that of its guests.
 *
 * Page numbers are physical to the guest hypervisor. Data pages are those that linear addresses of either
 * level ever lead to; which one an access reached is what the tests compare. */
#ifndef CASCADE_TESTS_MODEL_LAYOUT_H
#define CASCADE_TESTS_MODEL_LAYOUT_H

#include "base/addr.h"

#define PAGE(n) ((uint64_t)(n)*PAGE_SIZE)

#define P_DATA        0 /* 32 data pages; so are the first 8 pages of each 2 MiB at 2 and 6 MiB */
#define P_DATA_2M     512
#define P_DATA_6M     1536
#define P_VMCS        64
#define VMCSS         24 /* more than cascade holds */
#define P_VMXON       90
#define P_MSR_BITMAP  91
#define P_VMREAD      94 /* VMREAD bitmap */
#define P_VMWRITE     95
#define P_MSR_LIST    96
#define MSR_LIST_GOOD 2        /* entries of the list; the next one is bad */
#define MSR_LIST_ESP  0xabc000 /* what the second one loads into IA32_SYSENTER_ESP */
#define P_OPERAND     100      /* memory operands */
#define P_NO_VMCS     101      /* a page whose first word is no revision */
#define P_EPTP_LIST   102
#define P_L1_PML4     110
#define P_L1_PDPT     111
#define P_L1_PD       112
#define P_L1_PD_WIN   113
#define P_L1_PT_WIN   114
#define P_EPT_ROOT    128 /* per root: level 4, 3, 2 */
#define ROOTS         10  /* more than EPT02_ROOTS */
#define P_EPT_PT      160 /* level 1, shared by all roots */
#define EPT_PTS       12
#define P_EPT_FIXED   172  /* level 1 of the region of the paging structures, the same in all roots */
#define P_L2_TREE     1024 /* paging structures of level 2, at the same address physical to it: two trees of 4 pages */
#define L2_TREES      2

/* Linear window of either level. */
#define WINDOW       8
#define L1_WINDOW_AT SIZE_1G
#define L2_WINDOW_AT 0ull

/* Pages that the windows of level 2 may lead to, physical to it: the first 8 of the first two 2 MiB. */
#define L2_PAGES 16
static inline uint64_t l2_page_at(unsigned i)
{
        return i < 8 ? PAGE(i) : SIZE_2M + PAGE(i - 8);
}

#endif
