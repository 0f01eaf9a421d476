/* SPDX-License-Identifier: BSD-2-Clause */
/* EPT02 as a guest hypervisor can drive it: EPT12 trees with cycles and garbage in the pages of its RAM, accesses of its
 * guest, INVEPT, many EPTPs, few pages to hold it all. After every step EPT02 maps nothing but the guest's RAM, with no
 * right that EPT12 denied when the leaf was made, and its pages add up.
 *
 * Input: how many pages there are, then steps: 1 byte of kind, 8 of address or value, 2 of place. */
#include <stdlib.h>
#include "base/bug.h"
#include "ept02/ept02.h"
#include "input.h"
#include "vmx/controls.h"
#include "vmx/ept01.h"

#define TABLES    8 /* pages of RAM that hold EPT12s */
#define LOW       (2 * SIZE_2M)
#define HIGH      (SIZE_2M + 4 * PAGE_SIZE)
#define RAM_BYTES (LOW + HIGH)
#define POOL_MAX  (EPT02_PAGES_LEAST + 32)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct vmx_caps caps = { .ept_vpid = EPTCAP_EXEC_ONLY | EPTCAP_WALK4 | EPTCAP_WB | EPTCAP_UC | EPTCAP_2M |
                                                  EPTCAP_1G | EPTCAP_AD, .maxphyaddr = 40 };
static struct guest_mem mem = { .low_bytes = LOW, .high_bytes = HIGH };
static uint64_t eptp01, *tables;
static uint8_t *pool_bytes;
static struct page_pool pool;
static struct ept02_cache cache;

static void *aligned(size_t alignment, size_t bytes)
{
        void *p = NULL;
        BUG_UNLESS(posix_memalign(&p, alignment, bytes) == 0);
        memset(p, 0, bytes);
        return p;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        static struct page_pool pool01;
        (void)argc;
        (void)argv;
        mem.ram = aligned(SIZE_2M, RAM_BYTES);
        tables = (uint64_t *)(void *)mem.ram;
        pool_init(&pool01, aligned(PAGE_SIZE, 16 * PAGE_SIZE), 16 * PAGE_SIZE);
        eptp01 = ept01_build(&mem, &caps, &pool01);
        pool_bytes = aligned(PAGE_SIZE, POOL_MAX * PAGE_SIZE);
        return 0;
}

/* Every leaf below `table`; counts tables. */
static size_t check_tree(const uint64_t *table, unsigned level)
{
        size_t n = 0;
        for (unsigned i = 0; i < EPT_ENTRIES; i++) {
                const uint64_t e = table[i];
                if (!e)
                        continue;
                if (level > 1 && !(e & EPTE_LARGE)) {
                        BUG_UNLESS((e & ~EPTE_ADDR) == EPTE_RWX);
                        n += 1 + check_tree(ptr_of(HPA(e & EPTE_ADDR)), level - 1);
                        continue;
                }
                const uint64_t bytes = BIT(ept_shift(level)), at = e & EPTE_ADDR & ~(bytes - 1), ram = hpa_of(mem.ram).raw;
                BUG_UNLESS(at >= ram && at - ram <= RAM_BYTES - bytes);
                BUG_UNLESS(!(e & EPTE_W) || (e & EPTE_R));
                BUG_UNLESS((level > 1) == !!(e & EPTE_LARGE));
        }
        return n;
}

static void check_cache(void)
{
        size_t n = 0, roots = 0;
        for (unsigned i = 0; i < EPT02_ROOTS; i++) {
                if (!cache.root[i].table)
                        continue;
                roots++;
                n += check_tree(cache.root[i].table, EPT_LEVELS);
        }
        BUG_UNLESS(cache.pages == n && pool.used[POOL_EPT02] == n + roots && n <= EPT02_PAGES_MAX);
}

static uint64_t lookup(const struct ept02_root *r, uint64_t at)
{
        const uint64_t *table = r->table;
        for (unsigned level = EPT_LEVELS; level >= 1; level--) {
                const uint64_t e = table[ept_index(at, level)];
                if (!e || level == 1 || (e & EPTE_LARGE))
                        return e;
                table = ptr_of(HPA(e & EPTE_ADDR));
        }
        return 0;
}

/* What nested_ept_fault() does. */
static void fault(uint64_t eptp12, uint64_t at, uint64_t access)
{
        const struct ept_walk w = ept12_walk(&mem, eptp12, L2GPA(at), access, &caps);
        const struct ept01_leaf e01 = w.verdict == EPT_OK ? ept01_lookup(eptp01, w.l1gpa) : (struct ept01_leaf){ .ram = false };
        struct ept02_leaf leaf;
        BUG_UNLESS(!e01.ram || guest_mem_at(&mem, w.l1gpa, 1) == ptr_of(e01.hpa));
        if (ept02_combine(&w, &e01, access, &leaf) != EPT02_FILLED)
                return;
        struct ept02_root *r = ept02_root_for(&cache, eptp12);
        ept02_install(&cache, r, L2GPA(at), &leaf);
        const uint64_t e = lookup(r, at), offset = BIT(leaf.page_shift) - 1;
        BUG_UNLESS(e == leaf.epte && (e & EPTE_ADDR & ~offset) + (at & offset) == e01.hpa.raw);
        BUG_UNLESS(!(e & EPTE_RWX & ~(uint64_t)w.rwx));
        BUG_UNLESS(!(w.tracks_dirty && !w.dirty) || !(e & EPTE_W));
}

static void step(struct input *in)
{
        const uint8_t kind = take_u8(in);
        const uint64_t value = take_u64(in);
        const uint16_t where = take_u16(in);
        const uint64_t eptp12 = (uint64_t)(where >> 2 & 7) << PAGE_SHIFT | MEMTYPE_WB | PUT(0, EPTP_WALK, EPTP_WALK4) |
                                (where & 1 ? EPTP_AD : 0);
        switch (kind & 7) {
        case 0:
                tables[where % (TABLES * EPT_ENTRIES)] = value;
                break;
        case 1: /* a table or a page that is there */
                tables[where % (TABLES * EPT_ENTRIES)] = (value & (TABLES - 1)) << PAGE_SHIFT | EPTE_RWX | (value >> 8 & BITS(11, 3));
                break;
        case 2: /* a large page of low or high RAM, or over their ends */
                tables[where % (TABLES * EPT_ENTRIES)] = (value & 3) * SIZE_2M + (value & 4 ? SIZE_4G : 0) | EPTE_RWX | EPTE_LARGE |
                                                         (value >> 8 & BITS(11, 3));
                break;
        case 3:
                ept02_invalidate(&cache, eptp12);
                break;
        case 4:
                if (value & 1)
                        ept02_invalidate_all(&cache);
                break;
        default:
                fault(eptp12, value & BITS(48, 0), 1u << (kind >> 3 & 3) | (kind & 0x20 ? EPTQ_LINEAR_VALID : 0) |
                                                           (kind & 0x40 ? EPTQ_TRANSLATED : 0));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = { data, size };
        memset(tables, 0, TABLES * PAGE_SIZE);
        /* A start: page 0 holds itself at its first entries, so that small addresses are mapped. */
        for (unsigned i = 0; i < TABLES; i++)
                for (unsigned j = 0; j < TABLES; j++)
                        tables[i * EPT_ENTRIES + j] = (uint64_t)j << PAGE_SHIFT | EPTE_RWX | PUT(0, EPTE_MEMTYPE, i % 2 ? MEMTYPE_WB : 0);
        pool_init(&pool, pool_bytes, (EPT02_PAGES_LEAST + take_u8(&in) % 33) * PAGE_SIZE);
        ept02_init(&cache, &pool, &caps);
        while (in.left)
                step(&in);
        check_cache();
        return 0;
}
