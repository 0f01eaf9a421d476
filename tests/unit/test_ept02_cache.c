/* SPDX-License-Identifier: BSD-2-Clause */
/* The cache of EPT02: what it holds, which pages it takes and gives back, and when the processor is told. */
#include "suite.h"
#include "ept02/ept02.h"
#include "base/bits.h"
#include "fake_hw.h"
#include "vmx/epte.h"

#define POOL_PAGES (EPT02_PAGES_MAX + EPT02_ROOTS + 16)

static const struct vmx_caps caps;
static struct page_pool pool;
static struct ept02_cache c;
static uint8_t *memory;

static void setup_with(size_t pages)
{
        free(memory);
        memory = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
        pool_init(&pool, memory, pages * PAGE_SIZE);
        ept02_init(&c, &pool, &caps);
        fake_hw = (struct fake_hw){ 0 };
}

static void setup(void)
{
        setup_with(POOL_PAGES);
}

/* Tables that can be reached from `table`, itself not counted. */
static size_t tables_below(const uint64_t *table, unsigned level)
{
        size_t n = 0;
        for (unsigned i = 0; i < EPT_ENTRIES; i++)
                if (table[i] && level > 1 && !(table[i] & EPTE_LARGE))
                        n += 1 + tables_below(ptr_of(HPA(table[i] & EPTE_ADDR)), level - 1);
        return n;
}

/* Each page that the pool counts is in one tree, and the cache counts the same. */
static void check_balance(void)
{
        size_t tables = 0, roots = 0;
        for (unsigned i = 0; i < EPT02_ROOTS; i++) {
                if (c.root[i].table) {
                        roots++;
                        tables += tables_below(c.root[i].table, EPT_LEVELS);
                }
        }
        ck_assert_uint_eq(c.pages, tables);
        ck_assert_uint_eq(pool.used[POOL_EPT02], tables + roots);
        ck_assert(c.pages <= EPT02_PAGES_MAX);
}

/* The entry that translates `at`, or 0; its level. */
static uint64_t lookup(const struct ept02_root *r, uint64_t at, unsigned *level)
{
        const uint64_t *table = r->table;
        for (*level = EPT_LEVELS; *level >= 1; (*level)--) {
                const uint64_t e = table[ept_index(at, *level)];
                if (!e || *level == 1 || (e & EPTE_LARGE))
                        return e;
                ck_assert_uint_eq(e & ~EPTE_ADDR, EPTE_RWX);
                table = ptr_of(HPA(e & EPTE_ADDR));
        }
        return 0;
}

static uint64_t entry_of(uint64_t hpa, unsigned shift)
{
        return hpa | EPTE_RWX | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB) | EPTE_A | EPTE_D |
               (shift > SHIFT_4K ? EPTE_LARGE : 0);
}

static void install(struct ept02_root *r, uint64_t at, uint64_t hpa, unsigned shift)
{
        const struct ept02_leaf leaf = { .epte = entry_of(hpa, shift), .page_shift = shift };
        ept02_install(&c, r, L2GPA(at), &leaf);
        check_balance();
}

static void check_at(const struct ept02_root *r, uint64_t at, uint64_t hpa, unsigned shift)
{
        unsigned level;
        ck_assert_uint_eq(lookup(r, at, &level), entry_of(hpa, shift));
        ck_assert_uint_eq(ept_shift(level), shift);
}

static void check_empty(const struct ept02_root *r, uint64_t at)
{
        unsigned level;
        ck_assert_uint_eq(lookup(r, at, &level), 0);
}

/* EPTP12s as a guest hypervisor has them. */
static uint64_t eptp12(uint64_t n)
{
        return n << 12 | MEMTYPE_WB | PUT(0, EPTP_WALK, EPTP_WALK4);
}

START_TEST(leaves_of_each_size)
{
        setup();
        struct ept02_root *r = ept02_root_for(&c, eptp12(1));
        ck_assert_uint_eq(pool.used[POOL_EPT02], 1);
        install(r, 0x123456000, 0x7000, SHIFT_4K);
        ck_assert_uint_eq(c.pages, 3);
        install(r, 0x7f8012345fff, 0x40200000, SHIFT_2M); /* another level-4 entry */
        ck_assert_uint_eq(c.pages, 5);
        install(r, 0x8000000000, 0x80000000, SHIFT_1G);
        ck_assert_uint_eq(c.pages, 6);
        check_at(r, 0x123456789, 0x7000, SHIFT_4K);
        check_at(r, 0x7f8012200000, 0x40200000, SHIFT_2M);
        check_at(r, 0x8000000000 + SIZE_1G - 1, 0x80000000, SHIFT_1G);
        check_empty(r, 0x123457000);
        check_empty(r, 0x123455fff);
        check_empty(r, 0x7f8012400000);
        check_empty(r, 0x8000000000 + SIZE_1G);
        ck_assert(c.fills == 3 && c.flushes == 0 && fake_hw.ept_flushes == 0);
}
END_TEST

START_TEST(neighbours_share_tables)
{
        setup();
        struct ept02_root *r = ept02_root_for(&c, eptp12(1));
        for (uint64_t i = 0; i < EPT_ENTRIES; i++)
                install(r, i * PAGE_SIZE, SIZE_1G + i * PAGE_SIZE, SHIFT_4K);
        ck_assert_uint_eq(c.pages, 3);
        for (uint64_t i = 0; i < EPT_ENTRIES; i++)
                check_at(r, i * PAGE_SIZE, SIZE_1G + i * PAGE_SIZE, SHIFT_4K);
        install(r, SIZE_2M, 0, SHIFT_4K);
        ck_assert_uint_eq(c.pages, 4);
}
END_TEST

START_TEST(a_leaf_in_place_of_a_leaf)
{
        setup();
        struct ept02_root *r = ept02_root_for(&c, eptp12(1));
        install(r, 0x5000, 0x7000, SHIFT_4K);
        install(r, 0x5000, 0x9000, SHIFT_4K);
        check_at(r, 0x5000, 0x9000, SHIFT_4K);
        ck_assert(c.pages == 3 && fake_hw.ept_flushes == 0);
}
END_TEST

START_TEST(small_leaves_in_place_of_a_large_one)
{
        setup();
        struct ept02_root *r = ept02_root_for(&c, eptp12(1));
        install(r, 0, 0x40000000, SHIFT_1G);
        ck_assert_uint_eq(c.pages, 1);
        install(r, SIZE_2M, 0x80000000, SHIFT_2M);
        ck_assert_uint_eq(c.pages, 2);
        check_at(r, SIZE_2M, 0x80000000, SHIFT_2M);
        check_empty(r, 0); /* the rest of the gigabyte is asked for again */
        install(r, SIZE_2M + 5 * PAGE_SIZE, 0x3000, SHIFT_4K);
        ck_assert_uint_eq(c.pages, 3);
        check_at(r, SIZE_2M + 5 * PAGE_SIZE, 0x3000, SHIFT_4K);
        check_empty(r, SIZE_2M);
        /* At once, over two levels. */
        install(r, 0, 0x40000000, SHIFT_1G);
        install(r, 0x7000, 0x4000, SHIFT_4K);
        check_at(r, 0x7000, 0x4000, SHIFT_4K);
        ck_assert_uint_eq(c.pages, 3);
}
END_TEST

START_TEST(a_large_leaf_in_place_of_tables)
{
        setup();
        struct ept02_root *r = ept02_root_for(&c, eptp12(1));
        for (uint64_t i = 0; i < 10; i++)
                install(r, i * SIZE_2M, i * PAGE_SIZE, SHIFT_4K);
        install(r, 10 * SIZE_2M, 0x40000000, SHIFT_2M);
        ck_assert_uint_eq(c.pages, 2 + 10);
        install(r, 0, 0x200000, SHIFT_2M);
        ck_assert_uint_eq(c.pages, 2 + 9);
        ck_assert_uint_eq(fake_hw.ept_flushes, 1); /* the processor may hold the table that went */
        ck_assert_uint_eq(fake_hw.last_eptp, ept02_eptp(r));
        check_at(r, SIZE_2M - 1, 0x200000, SHIFT_2M);
        check_at(r, SIZE_2M, PAGE_SIZE, SHIFT_4K);
        install(r, 0, 0x80000000, SHIFT_1G);
        ck_assert_uint_eq(c.pages, 1);
        ck_assert_uint_eq(fake_hw.ept_flushes, 2);
        check_at(r, 5 * SIZE_2M, 0x80000000, SHIFT_1G);
        /* And back, in tables that were used before: nothing of their past is in them. */
        install(r, 3 * SIZE_2M, 0xa000, SHIFT_4K);
        check_at(r, 3 * SIZE_2M, 0xa000, SHIFT_4K);
        for (uint64_t i = 0; i < 11; i++)
                if (i != 3)
                        check_empty(r, i * SIZE_2M);
}
END_TEST

START_TEST(pointer_for_the_processor)
{
        setup();
        const struct ept02_root *r = ept02_root_for(&c, eptp12(1));
        /* Write-back and four levels whatever EPTP12 says; flags are tracked if EPTP12 asks for it. */
        ck_assert_uint_eq(ept02_eptp(r), hpa_of(r->table).raw | MEMTYPE_WB | EPTP_WALK4 << 3);
        ck_assert_uint_eq(hpa_of(r->table).raw % PAGE_SIZE, 0);
        r = ept02_root_for(&c, (eptp12(2) & EPTP_ADDR) | EPTP_AD | MEMTYPE_UC);
        ck_assert_uint_eq(ept02_eptp(r), hpa_of(r->table).raw | MEMTYPE_WB | EPTP_WALK4 << 3 | EPTP_AD);
}
END_TEST

START_TEST(one_root_per_pointer)
{
        setup();
        struct ept02_root *a = ept02_root_for(&c, eptp12(1)), *b = ept02_root_for(&c, eptp12(2));
        struct ept02_root *tracking = ept02_root_for(&c, eptp12(1) | EPTP_AD);
        struct ept02_root *zero = ept02_root_for(&c, eptp12(0));
        ck_assert(a != b && a != tracking && b != tracking && zero != a && zero != b && zero != tracking);
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(1)), a);
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(1) & EPTP_ADDR), a); /* the rest of it makes no difference */
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(2)), b);
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(1) | EPTP_AD), tracking);
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(0)), zero);
        install(a, 0, 0x1000, SHIFT_4K);
        install(b, 0, 0x2000, SHIFT_4K);
        check_at(a, 0, 0x1000, SHIFT_4K);
        check_at(b, 0, 0x2000, SHIFT_4K);
        check_empty(tracking, 0);
        ck_assert_uint_eq(pool.used[POOL_EPT02], 4 + 6);
}
END_TEST

START_TEST(variants_of_one_pointer)
{
        setup();
        struct ept02_root *plain = ept02_root_for(&c, eptp12(1)), *other = ept02_root_variant(&c, eptp12(1), 0xfee00001);
        ck_assert(plain != other && ept02_eptp(plain) != ept02_eptp(other));
        ck_assert_ptr_eq(ept02_root_variant(&c, eptp12(1), 0), plain);
        ck_assert_ptr_eq(ept02_root_variant(&c, eptp12(1), 0xfee00001), other);
        install(plain, 0, 0x1000, SHIFT_4K);
        install(other, 0, 0x2000, SHIFT_4K);
        check_at(plain, 0, 0x1000, SHIFT_4K);
        check_at(other, 0, 0x2000, SHIFT_4K);
        ept02_invalidate(&c, eptp12(1));
        check_empty(plain, 0);
        check_empty(other, 0);
        ck_assert_uint_eq(fake_hw.ept_flushes, 2);
        check_balance();
}
END_TEST

START_TEST(least_recently_used_root_gives_way)
{
        struct ept02_root *r[EPT02_ROOTS];
        setup();
        for (unsigned i = 0; i < EPT02_ROOTS; i++) {
                r[i] = ept02_root_for(&c, eptp12(i + 1));
                install(r[i], 0, i * PAGE_SIZE, SHIFT_4K);
        }
        ck_assert_uint_eq(fake_hw.ept_flushes, 0);
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(1)), r[0]); /* now the second is the oldest */
        const uint64_t *table = r[1]->table;
        struct ept02_root *fresh = ept02_root_for(&c, eptp12(100));
        ck_assert_ptr_eq(fresh, r[1]);
        ck_assert_ptr_eq(fresh->table, table); /* root pages are kept */
        check_empty(fresh, 0);
        ck_assert(c.flushes == 1 && fake_hw.ept_flushes == 1 && fake_hw.last_eptp == ept02_eptp(fresh));
        check_balance();
        for (unsigned i = 0; i < EPT02_ROOTS; i++)
                if (i != 1)
                        check_at(r[i], 0, i * PAGE_SIZE, SHIFT_4K);
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(2)), r[2]); /* gone, and comes back empty in the oldest's place */
        check_empty(r[2], 0);
        ck_assert_uint_eq(pool.used[POOL_EPT02], EPT02_ROOTS + 3 * (EPT02_ROOTS - 2));
}
END_TEST

/* A 4-KiB leaf in each of many 2-MiB regions: a table each. Returns how many until something was evicted. */
static uint64_t fill_until_eviction(struct ept02_root *r)
{
        uint64_t i = 0;
        for (const uint64_t before = c.flushes; c.flushes == before; i++) {
                ck_assert(i <= EPT02_PAGES_MAX);
                const struct ept02_leaf leaf = { .epte = entry_of(i * PAGE_SIZE, SHIFT_4K), .page_shift = SHIFT_4K };
                ept02_install(&c, r, L2GPA(i * SIZE_2M), &leaf);
        }
        check_balance();
        return i;
}

START_TEST(eviction_at_the_bound)
{
        setup();
        struct ept02_root *other = ept02_root_for(&c, eptp12(1)), *r = ept02_root_for(&c, eptp12(2));
        install(other, 0, 0x1000, SHIFT_4K);
        /* EPT02_PAGES_MAX tables: three of the other root; here a PDPT, and a directory for each 512 PTs. */
        const uint64_t room = EPT02_PAGES_MAX - 3;
        uint64_t fit = 0;
        while (1 + (fit + EPT_ENTRIES) / EPT_ENTRIES + fit + 1 <= room)
                fit++;
        const uint64_t n = fill_until_eviction(r);
        ck_assert_uint_eq(n, fit + 1); /* the last one went into an empty cache */
        ck_assert_uint_eq(c.pages, 3);
        ck_assert_uint_eq(pool.used[POOL_EPT02], 3 + 2);
        ck_assert(c.flushes == 2 && fake_hw.ept_flushes == 2); /* both roots */
        check_at(r, (n - 1) * SIZE_2M, (n - 1) * PAGE_SIZE, SHIFT_4K);
        check_empty(r, 0);
        check_empty(other, 0);
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(1)), other);
        ck_assert_uint_eq(c.fills, 1 + n);
}
END_TEST

START_TEST(eviction_when_the_pool_is_empty)
{
        setup_with(20);
        struct ept02_root *r = ept02_root_for(&c, eptp12(1));
        const uint64_t n = fill_until_eviction(r);
        ck_assert_uint_eq(n, 20 - 3 + 1); /* root, PDPT and directory, then a PT each */
        ck_assert(c.pages == 3 && pool.used[POOL_EPT02] == 4);
        ck_assert_uint_eq(fill_until_eviction(r), 20 - 4 + 1); /* and the PT that the last round left */
}
END_TEST

START_TEST(a_root_for_which_no_page_is_left)
{
        setup_with(EPT02_PAGES_LEAST);
        struct ept02_root *r[EPT02_ROOTS];
        r[0] = ept02_root_for(&c, eptp12(1));
        for (uint64_t i = 0; i < EPT02_PAGES_LEAST - 3; i++)
                install(r[0], i * SIZE_2M, 0x1000, SHIFT_4K);
        ck_assert(pool.used[POOL_EPT02] == EPT02_PAGES_LEAST && c.flushes == 0);
        r[1] = ept02_root_for(&c, eptp12(2));
        ck_assert(c.flushes == 1 && fake_hw.ept_flushes == 1 && pool.used[POOL_EPT02] == 2);
        check_empty(r[0], 0);
        check_empty(r[1], 0);
        check_balance();
        for (unsigned i = 2; i < EPT02_ROOTS; i++)
                r[i] = ept02_root_for(&c, eptp12(i + 1));
        for (unsigned i = 0; i < EPT02_ROOTS; i++) { /* the least is enough for each of them in turn */
                install(r[i], i * SIZE_1G, 0x2000, SHIFT_4K);
                check_at(r[i], i * SIZE_1G, 0x2000, SHIFT_4K);
                ck_assert_uint_eq(pool.used[POOL_EPT02], EPT02_PAGES_LEAST);
        }
        ck_assert_uint_eq(c.pages, 3);
}
END_TEST

START_TEST(eviction_loses_no_page_however_often)
{
        setup_with(64);
        struct ept02_root *r[3];
        for (unsigned i = 0; i < 3; i++)
                r[i] = ept02_root_for(&c, eptp12(i + 1));
        for (uint64_t i = 0; i < 20000; i++) {
                static const unsigned shifts[] = { SHIFT_4K, SHIFT_2M, SHIFT_1G };
                const unsigned shift = shifts[i % 7 % 3];
                const uint64_t at = i * 0x9e3779b97f4a7c15 >> 16;
                const struct ept02_leaf leaf = { .epte = entry_of(0, shift), .page_shift = shift };
                ept02_install(&c, r[i % 3], L2GPA(at), &leaf);
                unsigned level;
                ck_assert_uint_eq(lookup(r[i % 3], at, &level), leaf.epte);
        }
        check_balance();
        ck_assert(c.flushes > 1000);
        ept02_invalidate_all(&c);
        check_balance();
        ck_assert(c.pages == 0 && pool.used[POOL_EPT02] == 3);
        for (size_t n = 0; n < 64 - 3; n++)
                ck_assert_ptr_nonnull(pool_page(&pool, POOL_HOST));
        ck_assert_ptr_null(pool_page(&pool, POOL_HOST));
}
END_TEST

START_TEST(invalidate_one)
{
        setup();
        struct ept02_root *a = ept02_root_for(&c, eptp12(1)), *b = ept02_root_for(&c, eptp12(2) | EPTP_AD);
        install(a, 0, 0x1000, SHIFT_4K);
        install(b, 0, 0x2000, SHIFT_4K);
        ept02_invalidate(&c, eptp12(3)); /* never seen: nothing to do */
        ept02_invalidate(&c, eptp12(0));
        ck_assert(c.flushes == 0 && fake_hw.ept_flushes == 0);
        ept02_invalidate(&c, eptp12(1));
        check_empty(a, 0);
        check_at(b, 0, 0x2000, SHIFT_4K);
        ck_assert(c.flushes == 1 && fake_hw.ept_flushes == 1 && fake_hw.last_eptp == ept02_eptp(a));
        check_balance();
        ck_assert_ptr_eq(ept02_root_for(&c, eptp12(1)), a);
        ept02_invalidate(&c, eptp12(1)); /* empty, but the processor may know more than the tables */
        ck_assert_uint_eq(fake_hw.ept_flushes, 2);
        ept02_invalidate(&c, eptp12(2) | EPTP_AD);
        ck_assert(fake_hw.ept_flushes == 3 && fake_hw.last_eptp == ept02_eptp(b));
        ck_assert(c.pages == 0 && pool.used[POOL_EPT02] == 2);
}
END_TEST

/* SDM 3C "INVEPT": mappings are tagged with the address in an EPTP, not with its flags. */
START_TEST(invalidate_with_and_without_flags)
{
        setup();
        struct ept02_root *a = ept02_root_for(&c, eptp12(1)), *b = ept02_root_for(&c, eptp12(1) | EPTP_AD);
        for (unsigned flags = 0; flags < 2; flags++) {
                install(a, 0, 0x1000, SHIFT_4K);
                install(b, 0, 0x2000, SHIFT_4K);
                ept02_invalidate(&c, eptp12(1) | (flags ? EPTP_AD : 0));
                check_empty(a, 0);
                check_empty(b, 0);
        }
        ck_assert_uint_eq(fake_hw.ept_flushes, 4);
        check_balance();
}
END_TEST

START_TEST(invalidate_all)
{
        setup();
        ept02_invalidate_all(&c);
        ck_assert_uint_eq(fake_hw.ept_flushes, 0);
        for (unsigned i = 0; i < 5; i++)
                install(ept02_root_for(&c, eptp12(i + 1)), i * SIZE_1G, 0, SHIFT_4K);
        ept02_invalidate_all(&c);
        ck_assert(c.flushes == 5 && fake_hw.ept_flushes == 5);
        ck_assert(c.pages == 0 && pool.used[POOL_EPT02] == 5);
        for (unsigned i = 0; i < 5; i++)
                check_empty(ept02_root_for(&c, eptp12(i + 1)), i * SIZE_1G);
        ck_assert_uint_eq(fake_hw.ept_flushes, 5);
        check_balance();
}
END_TEST

int main(void)
{
        return RUN_SUITE("ept02_cache", leaves_of_each_size, neighbours_share_tables, a_leaf_in_place_of_a_leaf,
                         small_leaves_in_place_of_a_large_one, a_large_leaf_in_place_of_tables,
                         pointer_for_the_processor, one_root_per_pointer, variants_of_one_pointer, least_recently_used_root_gives_way,
                         eviction_at_the_bound, eviction_when_the_pool_is_empty, a_root_for_which_no_page_is_left,
                         eviction_loses_no_page_however_often, invalidate_one,
                         invalidate_with_and_without_flags, invalidate_all);
}
