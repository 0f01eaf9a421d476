/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept02/ept02.h"
#include "base/bits.h"
#include "base/bug.h"
#include "vmx/root.h"

void ept02_init(struct ept02_cache *c, struct page_pool *pool, const struct vmx_caps *hw)
{
        *c = (struct ept02_cache){ .pool = pool, .hw = hw };
}

static uint64_t *table_page(struct ept02_cache *c)
{
        if (c->pages >= EPT02_PAGES_MAX)
                return NULL;
        uint64_t *t = pool_page(c->pool, POOL_EPT02);
        if (t)
                c->pages++;
        return t;
}

static uint64_t *table_of(uint64_t entry)
{
        return ptr_of(HPA(entry & EPTE_ADDR));
}

static bool is_leaf(uint64_t entry, unsigned level)
{
        return level == 1 || (entry & EPTE_LARGE);
}

/* Returns all tables below `table`, which is of this level, and empties it. Depth is bounded by the level. */
static void clear_table(struct ept02_cache *c, uint64_t *table, unsigned level)
{
        for (unsigned i = 0; i < EPT_ENTRIES; i++) {
                if (table[i] && !is_leaf(table[i], level)) {
                        clear_table(c, table_of(table[i]), level - 1);
                        pool_return(c->pool, POOL_EPT02, table_of(table[i]));
                        c->pages--;
                }
                table[i] = 0;
        }
}

static void clear_root(struct ept02_cache *c, struct ept02_root *r)
{
        if (!r->table)
                return;
        clear_table(c, r->table, EPT_LEVELS);
        c->flushes++;
        ept_flush(c->hw, ept02_eptp(r));
}

struct ept02_root *ept02_root_find(struct ept02_cache *c, uint64_t eptp12, uint64_t variant)
{
        const uint64_t key = eptp12 & EPTP_KEY;
        struct ept02_root *oldest = &c->root[0];
        for (struct ept02_root *r = c->root; r < c->root + EPT02_ROOTS; r++) {
                if (r->table && r->eptp12 == key && r->variant == variant) {
                        r->last_use = ++c->uses;
                        return c->recent = r;
                }
                if (r->last_use < oldest->last_use)
                        oldest = r;
        }
        clear_root(c, oldest);
        if (!oldest->table) {
                oldest->table = pool_page(c->pool, POOL_EPT02);
                if (!oldest->table) {
                        ept02_invalidate_all(c);
                        oldest->table = pool_page(c->pool, POOL_EPT02);
                }
                BUG_UNLESS(oldest->table); /* EPT02_PAGES_LEAST */
        }
        oldest->eptp12 = key;
        oldest->variant = variant;
        oldest->last_use = ++c->uses;
        return c->recent = oldest;
}

uint64_t ept02_eptp(const struct ept02_root *r)
{
        /* With A/D flags on, the processor's walks of the guest's paging structures count as writes to them: as the guest
         * hypervisor sees it only if its own EPTP has them on. Leaves of EPT02 have both flags set already. */
        return hpa_of(r->table).raw | PUT(0, EPTP_MEMTYPE, MEMTYPE_WB) | PUT(0, EPTP_WALK, EPTP_WALK4) |
               (r->eptp12 & EPTP_AD);
}

/* The entry that holds a leaf of this level, or NULL if pages ran out on the way. A larger leaf in the way gives
 * way: the smaller one was asked for because EPT12 changed. */
static uint64_t *entry_at(struct ept02_cache *c, struct ept02_root *r, uint64_t gpa, unsigned level)
{
        uint64_t *table = r->table;
        for (unsigned l = EPT_LEVELS; l > level; l--) {
                uint64_t *e = &table[ept_index(gpa, l)];
                if (!*e || is_leaf(*e, l)) {
                        uint64_t *below = table_page(c);
                        if (!below)
                                return NULL;
                        *e = hpa_of(below).raw | EPTE_RWX;
                }
                table = table_of(*e);
        }
        return &table[ept_index(gpa, level)];
}

void ept02_install(struct ept02_cache *c, struct ept02_root *r, l2gpa_t at, const struct ept02_leaf *leaf)
{
        const unsigned level = (leaf->page_shift - PAGE_SHIFT) / 9 + 1;
        uint64_t *e = entry_at(c, r, at.raw, level);
        if (!e) {
                ept02_invalidate_all(c);
                e = entry_at(c, r, at.raw, level);
                BUG_UNLESS(e); /* EPT02_PAGES_LEAST */
        }
        /* A leaf in place of a table: what the table mapped goes. */
        if (*e && !is_leaf(*e, level)) {
                clear_table(c, table_of(*e), level - 1);
                pool_return(c->pool, POOL_EPT02, table_of(*e));
                c->pages--;
                ept_flush(c->hw, ept02_eptp(r));
        }
        *e = leaf->epte;
        c->fills++;
}

/* Takes out the leaf that translates `at`. False: there is none. */
static bool drop_leaf(struct ept02_root *r, uint64_t at)
{
        uint64_t *table = r->table;
        for (unsigned level = EPT_LEVELS; level && !(at >> EPT_GPA_BITS); level--) {
                uint64_t *e = &table[ept_index(at, level)];
                if (!*e)
                        break;
                if (is_leaf(*e, level)) {
                        *e = 0;
                        return true;
                }
                table = table_of(*e);
        }
        return false;
}

void ept02_violated(struct ept02_cache *c, const struct ept02_root *by, l2gpa_t at, bool by_processor)
{
        for (struct ept02_root *r = c->root; r < c->root + EPT02_ROOTS; r++)
                if (r->table && !((r->eptp12 ^ by->eptp12) & EPTP_ADDR) && drop_leaf(r, at.raw) && !(by_processor && r == by))
                        ept_flush(c->hw, ept02_eptp(r));
}

void ept02_invalidate(struct ept02_cache *c, uint64_t eptp12)
{
        for (struct ept02_root *r = c->root; r < c->root + EPT02_ROOTS; r++)
                if (r->table && !((r->eptp12 ^ eptp12) & EPTP_ADDR))
                        clear_root(c, r);
}

void ept02_invalidate_all(struct ept02_cache *c)
{
        for (struct ept02_root *r = c->root; r < c->root + EPT02_ROOTS; r++)
                clear_root(c, r);
}
