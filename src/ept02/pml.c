/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept02/pml.h"
#include "base/bits.h"
#include "base/bug.h"

void pml_add(struct pml *p, const struct guest_mem *mem, l2gpa_t at)
{
        BUG_UNLESS(!pml_is_full(p));
        uint64_t *const entry = guest_mem_at(mem, L1GPA(p->address + p->index * sizeof(*entry)), sizeof(*entry));
        if (entry)
                *entry = ALIGN_DOWN(at.raw, PAGE_SIZE);
        p->index--; /* from 0 to all ones: full */
}
