/* SPDX-License-Identifier: BSD-2-Clause */
/* combine.h - one leaf of EPT02 out of a walk of EPT12 and the leaf of EPT01 behind it. [pure]
 *
 * The result is as large as both parents allow and permits what both permit. Composes: the result of one
 * level can be the ept01 leaf of the next. */
#ifndef CASCADE_EPT02_COMBINE_H
#define CASCADE_EPT02_COMBINE_H

#include "ept02/walk12.h"
#include "vmx/ept01.h"

enum ept02_verdict {
        EPT02_FILLED,       /* install *out and let the instruction run again */
        EPT02_L1_VIOLATION, /* EPT violation for the guest hypervisor; walk's qualification */
        EPT02_L1_MISCONFIG, /* EPT misconfiguration for the guest hypervisor */
        EPT02_L0_MMIO,      /* EPT12 allows the access, EPT01 does not: not RAM, or memory that we guard */
        EPT02_L1_LOG_FULL,  /* page-modification log full, for the guest hypervisor; walk's qualification */
};

struct ept02_leaf {
        uint64_t epte;       /* complete entry: large bit, permissions, memory type, A and D set */
        unsigned page_shift; /* where it goes: PTE (12), PDE (21) or PDPTE (30) */
};

/* `access` as for ept12_walk(), which produced *w12; *e01 is what EPT01 says about w12->l1gpa. While EPT12 tracks
 * dirty pages and its dirty flag is clear, the leaf does not allow writes: the first write faults, the walk sets the
 * flag, and the leaf becomes writable. So a filled leaf may still refuse `access`, if EPT12 changed in between: the
 * access then faults again. */
enum ept02_verdict ept02_combine(const struct ept_walk *w12, const struct ept01_leaf *e01, uint64_t access,
                                 struct ept02_leaf *out);

#endif
