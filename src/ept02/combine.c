/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept02/combine.h"
#include "vmx/controls.h"

/* Memory types of two levels of mapping. SDM 3A "Selecting Memory Types": UC wins over all, WB gives way to
 * all; two others that differ have no type in common but UC. */
static unsigned combine_memtype(unsigned a, unsigned b)
{
        if (a == b || b == MEMTYPE_WB)
                return a;
        return a == MEMTYPE_WB ? b : MEMTYPE_UC;
}

static unsigned combine_rwx(const struct ept_walk *w12, const struct ept01_leaf *e01)
{
        unsigned rwx = w12->rwx & e01->rwx;
        if (w12->tracks_dirty && !w12->dirty)
                rwx &= ~(unsigned)EPTE_W;
        if (!(rwx & EPTE_R))
                rwx &= ~(unsigned)EPTE_W; /* write without read would be a misconfiguration */
        return rwx;
}

enum ept02_verdict ept02_combine(const struct ept_walk *w12, const struct ept01_leaf *e01, uint64_t access,
                                 struct ept02_leaf *out)
{
        const unsigned needs = (unsigned)(access & (EPTQ_READ | EPTQ_WRITE | EPTQ_FETCH));
        switch (w12->verdict) {
        case EPT_VIOLATION:
                return EPT02_L1_VIOLATION;
        case EPT_MISCONFIG:
                return EPT02_L1_MISCONFIG;
        case EPT_LOG_FULL:
                return EPT02_L1_LOG_FULL;
        case EPT_OK:
                break;
        }
        if (!e01->ram || (e01->rwx & needs) != needs)
                return EPT02_L0_MMIO;

        const unsigned shift = w12->page_shift < e01->page_shift ? w12->page_shift : e01->page_shift;
        /* Where EPT01 overrules the guest's memory types, it does so for the guest's guest. */
        const unsigned memtype = e01->ipat ? e01->memtype : combine_memtype(w12->memtype, e01->memtype);
        uint64_t epte = ALIGN_DOWN(e01->hpa.raw, BIT(shift)) | combine_rwx(w12, e01) | EPTE_A | EPTE_D;
        epte = PUT(epte, EPTE_MEMTYPE, memtype);
        epte |= w12->ipat || e01->ipat ? EPTE_IPAT : 0;
        epte |= shift > SHIFT_4K ? EPTE_LARGE : 0;
        *out = (struct ept02_leaf){ .epte = epte, .page_shift = shift };
        return EPT02_FILLED;
}
