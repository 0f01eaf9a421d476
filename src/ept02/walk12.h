/* SPDX-License-Identifier: BSD-2-Clause */
/* walk12.h - the walk of EPT12, the tables by which the guest hypervisor maps its guest. [pure]
 *
 * EPT12 lies in the guest's RAM, is read through struct guest_mem only and may change while it is read: each
 * entry is read once and judged as read. A table that is not in RAM reads as all-ones. The walk has a bounded
 * number of steps whatever the tables hold. It writes nothing but accessed and dirty flags (EPTP bit 6), each
 * by an atomic exchange that leaves an entry alone which has changed since it was read. */
#ifndef CASCADE_EPT02_WALK12_H
#define CASCADE_EPT02_WALK12_H

#include "base/guest_mem.h"
#include "vmx/caps.h"
#include "vmx/epte.h"

enum ept_verdict {
        EPT_OK,
        EPT_VIOLATION,
        EPT_MISCONFIG,
        EPT_LOG_FULL, /* a flag would have to be set, but the page-modification log is full: nothing was set */
};

struct ept_walk {
        enum ept_verdict verdict;
        l1gpa_t l1gpa;          /* EPT_OK: what the address translates to, offset in the page included */
        l1gpa_t entry_at;       /* where the last entry read is */
        uint64_t entry;         /* that entry, flags set by this walk included */
        bool entry_valid;       /* an entry was read: false for an address beyond what the tables translate */
        uint64_t qualification; /* EPT_VIOLATION, EPT_LOG_FULL: what the guest hypervisor gets to see */
        unsigned page_shift;    /* EPT_OK: SHIFT_4K, SHIFT_2M or SHIFT_1G */
        unsigned rwx;           /* EPTE_R | _W | _X: all entries of the walk, ANDed */
        unsigned memtype;       /* EPT_OK: enum memtype of the leaf */
        bool ipat;              /* EPT_OK: of the leaf */
        bool tracks_dirty;      /* EPTP bit 6 is set */
        bool dirty;             /* tracks_dirty: the leaf's dirty flag is set */
};

struct pml;

/* Translates `at` by the tables of `eptp12`, which has passed the VM-entry checks with these `caps` (those
 * offered to the guest). `access` is the exit qualification of the EPT violation that asks (bits EPTQ_READ,
 * _WRITE, _FETCH, _LINEAR_VALID, _TRANSLATED, _NMI_UNBLOCK); 0 asks for the translation and no access. With
 * EPTP bit 6, an access to a guest paging structure (_LINEAR_VALID without _TRANSLATED) is a write. `log`: where dirty
 * flags that are set are noted, or NULL. */
struct ept_walk ept12_walk_logged(const struct guest_mem *mem, uint64_t eptp12, l2gpa_t at, uint64_t access,
                                  const struct vmx_caps *caps, struct pml *log);

static inline struct ept_walk ept12_walk(const struct guest_mem *mem, uint64_t eptp12, l2gpa_t at, uint64_t access,
                                         const struct vmx_caps *caps)
{
        return ept12_walk_logged(mem, eptp12, at, access, caps, NULL);
}

#endif
