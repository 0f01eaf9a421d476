/* SPDX-License-Identifier: BSD-2-Clause */
/* EPT01 against struct guest_mem: what is RAM by the one is RAM by the other, at the same place. The guest's RAM is
 * only a number here: building its tables does not touch it. */
#include "suite.h"
#include "base/bits.h"
#include "vmx/controls.h"
#include "vmx/ept01.h"
#include "vmx/epte.h"

#define MIB(n)     ((uint64_t)(n) << 20)
#define POOL_PAGES 4096

static struct page_pool pool;
static struct guest_mem mem;
static uint64_t eptp;
static uint8_t *pages;

static void build(uint64_t ram, uint64_t low, uint64_t high, uint64_t ept_caps)
{
        const struct vmx_caps caps = { .ept_vpid = ept_caps };
        free(pages);
        pages = aligned_alloc(PAGE_SIZE, POOL_PAGES * PAGE_SIZE);
        pool_init(&pool, pages, POOL_PAGES * PAGE_SIZE);
        mem = (struct guest_mem){ .ram = (uint8_t *)ram, .low_bytes = low, .high_bytes = high };
        eptp = ept01_build(&mem, &caps, &pool);
}

static void check(uint64_t at)
{
        const struct ept01_leaf e = ept01_lookup(eptp, L1GPA(at));
        const uint8_t *there = guest_mem_at(&mem, L1GPA(at), 1);
        REQUIRE(e.ram == (there != NULL), "%#llx: %s", (unsigned long long)at, e.ram ? "mapped" : "not mapped");
        if (!e.ram)
                return;
        REQUIRE(e.hpa.raw == (uint64_t)there, "%#llx is at %#llx", (unsigned long long)at,
                (unsigned long long)e.hpa.raw);
        REQUIRE(e.rwx == EPTE_RWX && e.memtype == MEMTYPE_WB && !e.ipat, "attributes of %#llx", (unsigned long long)at);
        /* The whole leaf is RAM, in one piece. */
        const uint64_t first = ALIGN_DOWN(at, BIT(e.page_shift));
        REQUIRE(e.page_shift == SHIFT_4K || e.page_shift == SHIFT_2M || e.page_shift == SHIFT_1G, "leaf size");
        REQUIRE(guest_mem_at(&mem, L1GPA(first), BIT(e.page_shift)) == (uint8_t *)(e.hpa.raw - (at - first)),
                "the leaf of %#llx is not all RAM", (unsigned long long)at);
}

static void check_around(uint64_t at)
{
        static const uint64_t steps[] = { 0, 1, 8, PAGE_SIZE - 1, PAGE_SIZE,
                                          SIZE_2M - 1, SIZE_2M, SIZE_1G - 1, SIZE_1G };
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
                check(at + steps[i]);
                check(at - steps[i]); /* may wrap around: outside of any RAM */
        }
}

static void check_boundaries(void)
{
        const uint64_t at[] = { 0, mem.low_bytes, GUEST_LOW_MAX, SIZE_4G, SIZE_4G + mem.high_bytes, MIB(1), MIB(1024),
                                BIT(EPT_GPA_BITS), BIT(EPT_GPA_BITS) + MIB(1), UINT64_MAX };
        for (size_t i = 0; i < ARRAY_LEN(at); i++)
                check_around(at[i]);
}

static const uint64_t rams[] = { SIZE_1G, 5 * SIZE_1G, MIB(64), SIZE_1G + SIZE_2M, MIB(7), MIB(64) + 4096,
                                 3 * SIZE_1G - 4096 };
static const struct {
        uint64_t low, high;
} sizes[] = {
        { PAGE_SIZE, 0 },
        { 3 * PAGE_SIZE, 0 },
        { MIB(32), 0 },
        { MIB(33), 0 },
        { MIB(33) + PAGE_SIZE, 0 },
        { SIZE_2M - PAGE_SIZE, 0 },
        { SIZE_1G, 0 },
        { SIZE_1G + PAGE_SIZE, 0 },
        { 2 * SIZE_1G - SIZE_2M, 0 },
        { GUEST_LOW_MAX, 0 },
        { GUEST_LOW_MAX, PAGE_SIZE },
        { GUEST_LOW_MAX, SIZE_2M },
        { GUEST_LOW_MAX, SIZE_1G },
        { GUEST_LOW_MAX, SIZE_1G + SIZE_2M + PAGE_SIZE },
        { MIB(16), MIB(4) },
        { MIB(16) + PAGE_SIZE, MIB(4) },
};

static void check_all_sizes(uint64_t caps)
{
        for (size_t r = 0; r < ARRAY_LEN(rams); r++) {
                for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
                        build(rams[r], sizes[s].low, sizes[s].high, caps);
                        check_boundaries();
                }
        }
}

START_TEST(every_size_with_1g_pages)
{
        check_all_sizes(EPTCAP_1G | EPTCAP_2M | EPTCAP_AD);
}
END_TEST

START_TEST(every_size_without_1g_pages)
{
        check_all_sizes(EPTCAP_2M);
}
END_TEST

static unsigned shift_at(uint64_t at)
{
        return ept01_lookup(eptp, L1GPA(at)).page_shift;
}

START_TEST(leaves_are_as_large_as_possible)
{
        build(SIZE_1G, GUEST_LOW_MAX, SIZE_1G + SIZE_2M + PAGE_SIZE, EPTCAP_1G | EPTCAP_2M);
        ck_assert_uint_eq(shift_at(0), SHIFT_1G);
        ck_assert_uint_eq(shift_at(GUEST_LOW_MAX - 1), SHIFT_1G);
        ck_assert_uint_eq(shift_at(SIZE_4G), SHIFT_1G); /* 3 GiB into the RAM: still aligned alike */
        ck_assert_uint_eq(shift_at(SIZE_4G + SIZE_1G), SHIFT_2M);
        ck_assert_uint_eq(shift_at(SIZE_4G + SIZE_1G + SIZE_2M), SHIFT_4K);
        ck_assert_uint_eq(pool.used[POOL_EPT01], 1 + 1 + 1 + 1); /* the last two for the last 2 MiB + 4 KiB */
        build(SIZE_1G, GUEST_LOW_MAX, 0, EPTCAP_2M);
        ck_assert_uint_eq(shift_at(0), SHIFT_2M);
        ck_assert_uint_eq(pool.used[POOL_EPT01], 1 + 1 + 3);
        build(SIZE_2M, MIB(1025), 0, EPTCAP_1G | EPTCAP_2M);
        ck_assert_uint_eq(shift_at(0), SHIFT_2M); /* aligned to 2 MiB only */
        ck_assert_uint_eq(shift_at(MIB(1024)), SHIFT_4K);
        ck_assert_uint_eq(pool.used[POOL_EPT01], 1 + 1 + 2 + 1);
        build(PAGE_SIZE, MIB(4), 0, EPTCAP_1G | EPTCAP_2M);
        ck_assert_uint_eq(shift_at(SIZE_2M), SHIFT_4K);
        ck_assert_uint_eq(pool.used[POOL_EPT01], 1 + 1 + 1 + 2);
}
END_TEST

START_TEST(pointer_of_the_tables)
{
        build(SIZE_1G, MIB(64), 0, EPTCAP_2M);
        const uint64_t root = eptp & EPTP_ADDR;
        ck_assert(root >= (uint64_t)pages && root < (uint64_t)pages + POOL_PAGES * PAGE_SIZE);
        ck_assert_uint_eq(eptp & ~EPTP_ADDR, MEMTYPE_WB | EPTP_WALK4 << 3);
        build(SIZE_1G, MIB(64), 0, EPTCAP_2M | EPTCAP_AD);
        ck_assert_uint_eq(eptp & ~EPTP_ADDR, MEMTYPE_WB | EPTP_WALK4 << 3 | EPTP_AD);
}
END_TEST

START_TEST(every_page_of_a_small_guest)
{
        build(MIB(64) + PAGE_SIZE, MIB(5) + PAGE_SIZE, MIB(3), EPTCAP_1G | EPTCAP_2M);
        for (uint64_t at = 0; at < MIB(8); at += PAGE_SIZE / 2) {
                check(at);
                check(SIZE_4G - MIB(1) + at);
        }
}
END_TEST

int main(void)
{
        return RUN_SUITE("ept01", every_size_with_1g_pages, every_size_without_1g_pages,
                         leaves_are_as_large_as_possible, pointer_of_the_tables, every_page_of_a_small_guest);
}
