/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/ept01.h"
#include "base/bits.h"
#include "base/bug.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

struct builder {
        const struct vmx_caps *caps;
        struct page_pool *pool;
        uint64_t *root;
};

static uint64_t *table_page(struct builder *b)
{
        uint64_t *table = pool_page(b->pool, POOL_EPT01);
        BUG_UNLESS(table);
        return table;
}

/* The largest leaf that starts at both addresses and does not reach beyond `bytes`. */
static unsigned leaf_level(const struct builder *b, uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
        if ((b->caps->ept_vpid & EPTCAP_1G) && IS_ALIGNED(gpa | hpa, SIZE_1G) && bytes >= SIZE_1G)
                return 3;
        return IS_ALIGNED(gpa | hpa, SIZE_2M) && bytes >= SIZE_2M ? 2 : 1;
}

static void map_leaf(struct builder *b, uint64_t gpa, uint64_t hpa, unsigned level)
{
        uint64_t *table = b->root;
        for (unsigned l = EPT_LEVELS; l > level; l--) {
                uint64_t *e = &table[ept_index(gpa, l)];
                if (!*e)
                        *e = hpa_of(table_page(b)).raw | EPTE_RWX;
                table = ptr_of(HPA(*e & EPTE_ADDR));
        }
        table[ept_index(gpa, level)] =
                hpa | EPTE_RWX | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB) | (level > 1 ? EPTE_LARGE : 0);
}

static void map_range(struct builder *b, uint64_t gpa, uint64_t hpa, uint64_t bytes)
{
        while (bytes) {
                const unsigned level = leaf_level(b, gpa, hpa, bytes);
                const uint64_t step = BIT(ept_shift(level));
                map_leaf(b, gpa, hpa, level);
                gpa += step;
                hpa += step;
                bytes -= step;
        }
}

uint64_t ept01_build(const struct guest_mem *mem, const struct vmx_caps *caps, struct page_pool *pool)
{
        struct builder b = { .caps = caps, .pool = pool };
        BUG_UNLESS(IS_ALIGNED(hpa_of(mem->ram).raw | mem->low_bytes | mem->high_bytes, PAGE_SIZE));
        b.root = table_page(&b);
        map_range(&b, 0, hpa_of(mem->ram).raw, mem->low_bytes);
        map_range(&b, SIZE_4G, hpa_of(mem->ram).raw + mem->low_bytes, mem->high_bytes);
        const uint64_t eptp = hpa_of(b.root).raw | PUT(0, EPTP_MEMTYPE, MEMTYPE_WB) | PUT(0, EPTP_WALK, EPTP_WALK4);
        return caps->ept_vpid & EPTCAP_AD ? eptp | EPTP_AD : eptp;
}

struct ept01_leaf ept01_lookup(uint64_t eptp01, l1gpa_t at)
{
        const uint64_t *table = ptr_of(HPA(eptp01 & EPTP_ADDR));
        if (at.raw >> EPT_GPA_BITS)
                return (struct ept01_leaf){ .ram = false };
        for (unsigned level = EPT_LEVELS; level >= 1; level--) {
                const uint64_t e = table[ept_index(at.raw, level)];
                if (!e)
                        break;
                if (level == 1 || (e & EPTE_LARGE)) {
                        const uint64_t offset = BIT(ept_shift(level)) - 1;
                        return (struct ept01_leaf){
                                .ram = true,
                                .hpa = HPA((e & EPTE_ADDR & ~offset) | (at.raw & offset)),
                                .page_shift = ept_shift(level),
                                .rwx = (unsigned)(e & EPTE_RWX),
                                .memtype = (unsigned)GET(e, EPTE_MEMTYPE),
                                .ipat = e & EPTE_IPAT,
                        };
                }
                table = ptr_of(HPA(e & EPTE_ADDR));
        }
        return (struct ept01_leaf){ .ram = false };
}
