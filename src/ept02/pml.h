/* SPDX-License-Identifier: BSD-2-Clause */
/* pml.h - the page-modification log of the guest hypervisor: SDM 3C "Page-Modification Logging". [pure]
 *
 * The log is kept by the walk of EPT12, which is what sets dirty flags, so it needs nothing of the silicon. */
#ifndef CASCADE_EPT02_PML_H
#define CASCADE_EPT02_PML_H

#include <stdbool.h>
#include "base/guest_mem.h"

#define PML_ENTRIES 512

struct pml {
        uint64_t address; /* of the log, a page of the guest hypervisor's memory */
        uint16_t index;   /* the next entry to be written, counting down */
};

/* No flag of EPT12 may be set any more. */
static inline bool pml_is_full(const struct pml *p)
{
        return p->index >= PML_ENTRIES;
}

/* Notes that a dirty flag went from 0 to 1 for this address. The log must not be full; one that is not in RAM takes
 * nothing in. */
void pml_add(struct pml *p, const struct guest_mem *mem, l2gpa_t at);

#endif
