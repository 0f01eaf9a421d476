/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.h - one type per address space, so that mixing two of them does not compile.
 *
 * Levels are relative to this hypervisor, as in docs/levels.md: 0 is cascade itself,
 * 1 its guest, 2 its guest's guest. "gpa" without a digit is ambiguous and not used. */
#ifndef CASCADE_BASE_ADDR_H
#define CASCADE_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#define ADDR_TYPE(T) typedef struct { uint64_t raw; } T

ADDR_TYPE(hpa_t);   /* physical address as this cascade sees it: what goes into VMCSs and EPTs */
ADDR_TYPE(l1gpa_t); /* physical address of the guest: translated by ept01 */
ADDR_TYPE(l2gpa_t); /* physical address of the guest's guest: translated by ept12 (then ept01) or ept02 */

#define HPA(x)   ((hpa_t){(x)})
#define L1GPA(x) ((l1gpa_t){(x)})
#define L2GPA(x) ((l2gpa_t){(x)})

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define SIZE_2M    (1ull << 21)
#define SIZE_1G    (1ull << 30)
#define SIZE_4G    (1ull << 32)

#define LINEAR_BITS 48 /* of 4-level paging, the only one that guests are offered */

/* SDM 1 "Canonical Addressing": bits from the topmost one of the linear address up are all alike. */
static inline bool is_canonical(uint64_t linear, unsigned bits)
{
        const int64_t top = (int64_t)linear >> (bits - 1);
        return top == 0 || top == -1;
}

#endif
