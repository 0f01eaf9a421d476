/* SPDX-License-Identifier: BSD-2-Clause */
/* ept02.h - the page tables that run the guest's guest: EPT12 folded with EPT01, filled on demand.
 *
 * One root per EPTP12, kept across VMCS switches until INVEPT or until pages run short. The architecture lets a
 * processor use stale translations until INVEPT, so EPT12 is not write-protected (SDM 3C "Caching Translation
 * Information"). Owns every page reachable from its roots; pages come from the pool given at initialisation and
 * count against EPT02_PAGES_MAX, so that a hostile EPT12 only evicts its own translations. */
#ifndef CASCADE_EPT02_EPT02_H
#define CASCADE_EPT02_EPT02_H

#include "ept02/combine.h"
#include "mm/pool.h"
#include "vmx/caps.h"

#define EPT02_ROOTS       8
#define EPT02_PAGES_MAX   1024
#define EPT02_PAGES_LEAST (EPT02_ROOTS + 3) /* what the pool must be able to give: the roots, and tables for one leaf */

struct ept02_root {
        uint64_t eptp12;  /* key: address and A/D bit of the guest hypervisor's EPTP */
        uint64_t variant; /* and what else tells its leaves from those of the same EPTP; 0: nothing */
        uint64_t *table;  /* level 4 */
        uint64_t last_use;
};

struct ept02_cache {
        struct ept02_root root[EPT02_ROOTS];
        struct ept02_root *recent; /* the last one that was asked for */
        struct page_pool *pool;
        const struct vmx_caps *hw;
        size_t pages;
        uint64_t uses;
        uint64_t fills, flushes;
};

void ept02_init(struct ept02_cache *c, struct page_pool *pool, const struct vmx_caps *hw);

/* What of an EPTP12 has an EPT02 of its own: the address of its tables, and whether it tracks accesses, as leaves of EPT02
 * then depend on the flags. The memory type says how the processor is to read EPT12, which it never does; the walk
 * length has one legal value. */
#define EPTP_KEY (EPTP_ADDR | EPTP_AD)

/* The root that stands for this EPTP12, made empty if there is none. When pages run short everything else of the cache
 * is dropped first. INVEPT of an EPTP12 is for all its variants. */
struct ept02_root *ept02_root_find(struct ept02_cache *c, uint64_t eptp12, uint64_t variant);
static inline struct ept02_root *ept02_root_variant(struct ept02_cache *c, uint64_t eptp12, uint64_t variant)
{
        struct ept02_root *r = c->recent; /* most often it is the same as before */
        return r && r->eptp12 == (eptp12 & EPTP_KEY) && r->variant == variant ? r : ept02_root_find(c, eptp12, variant);
}
static inline struct ept02_root *ept02_root_for(struct ept02_cache *c, uint64_t eptp12)
{
        return ept02_root_variant(c, eptp12, 0);
}
uint64_t ept02_eptp(const struct ept02_root *r);

/* Enters a leaf at `at`. When pages run short everything else of the cache is dropped first. */
void ept02_install(struct ept02_cache *c, struct ept02_root *r, l2gpa_t at, const struct ept02_leaf *leaf);

/* The guest hypervisor gets an EPT violation for `at` in the tables that `by` stands for. That invalidates the mappings of
 * the address, in all that belongs to its EPTP12 (SDM 3C "Operations that Invalidate Cached Mappings"): what is mapped there
 * then needs no INVEPT. `by_processor`: the processor saw the violation too, and has done so in what it cached of `by`. */
void ept02_violated(struct ept02_cache *c, const struct ept02_root *by, l2gpa_t at, bool by_processor);

/* INVEPT of the guest hypervisor: one EPTP12, or all of them. The processor's caches are flushed too. SDM 3C "INVEPT": of
 * an EPTP only the address counts, so one with the other setting of the A/D bit is flushed as well. */
void ept02_invalidate(struct ept02_cache *c, uint64_t eptp12);
void ept02_invalidate_all(struct ept02_cache *c);

#endif
