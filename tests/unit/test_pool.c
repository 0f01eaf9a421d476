/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <string.h>
#include "suite.h"
#include "mm/pool.h"

#define PAGES 8

static uint8_t memory[(PAGES + 1) * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static struct page_pool pool;

static void setup(size_t skip, uint64_t bytes)
{
        memset(memory, 0xcc, sizeof(memory));
        pool_init(&pool, memory + skip, bytes);
}

static bool is_zero(const uint8_t *page)
{
        for (size_t i = 0; i < PAGE_SIZE; i++)
                if (page[i])
                        return false;
        return true;
}

START_TEST(pages_are_zeroed_aligned_and_distinct)
{
        uint8_t *got[PAGES];
        setup(0, PAGES * PAGE_SIZE);
        for (size_t i = 0; i < PAGES; i++) {
                got[i] = pool_page(&pool, POOL_EPT02);
                ck_assert(got[i] && is_zero(got[i]) && (uintptr_t)got[i] % PAGE_SIZE == 0);
                ck_assert(got[i] >= memory && got[i] < memory + PAGES * PAGE_SIZE);
                ck_assert_uint_eq(pool.used[POOL_EPT02], i + 1);
                memset(got[i], 0xee, PAGE_SIZE); /* so that a page given twice would not be zero */
        }
        ck_assert_ptr_null(pool_page(&pool, POOL_EPT02));
        ck_assert_uint_eq(pool.used[POOL_EPT02], PAGES);
        ck_assert_uint_eq(memory[PAGES * PAGE_SIZE], 0xcc);
}
END_TEST

START_TEST(only_whole_pages_inside_are_given)
{
        static const struct {
                size_t skip;
                uint64_t bytes;
                size_t pages;
        } rows[] = {
                { 0, 0, 0 },                       { 0, PAGE_SIZE - 1, 0 },     { 0, PAGE_SIZE, 1 },
                { 0, 2 * PAGE_SIZE - 1, 1 },       { 1, PAGE_SIZE, 0 },         { 1, 2 * PAGE_SIZE - 2, 0 },
                { 1, 2 * PAGE_SIZE - 1, 1 },       { PAGE_SIZE - 1, 1, 0 },     { PAGE_SIZE - 1, 2, 0 },
                { PAGE_SIZE - 1, PAGE_SIZE + 1, 1 }, { 5, 10, 0 },
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                setup(rows[i].skip, rows[i].bytes);
                size_t n = 0;
                while (pool_page(&pool, POOL_HOST))
                        n++;
                ck_assert_msg(n == rows[i].pages, "row %zu: %zu pages", i, n);
        }
}
END_TEST

START_TEST(owners_are_counted_apart)
{
        setup(0, PAGES * PAGE_SIZE);
        void *a = pool_page(&pool, POOL_EPT01), *b = pool_page(&pool, POOL_VMCS);
        ck_assert_ptr_nonnull(pool_run(&pool, POOL_TRACE, 3));
        for (unsigned o = 0; o < POOL_NR_OWNERS; o++)
                ck_assert_uint_eq(pool.used[o], o == POOL_EPT01 || o == POOL_VMCS ? 1 : o == POOL_TRACE ? 3 : 0);
        pool_return(&pool, POOL_EPT01, a);
        ck_assert(pool.used[POOL_EPT01] == 0 && pool.used[POOL_VMCS] == 1);
        pool_return(&pool, POOL_VMCS, b);
        ck_assert_uint_eq(pool.used[POOL_VMCS], 0);
}
END_TEST

START_TEST(returned_pages_come_back_zeroed)
{
        void *got[PAGES];
        setup(0, PAGES * PAGE_SIZE);
        for (size_t i = 0; i < PAGES; i++)
                got[i] = pool_page(&pool, POOL_EPT02);
        memset(got[3], 0xaa, PAGE_SIZE);
        memset(got[5], 0xbb, PAGE_SIZE);
        pool_return(&pool, POOL_EPT02, got[3]);
        pool_return(&pool, POOL_EPT02, got[5]);
        void *a = pool_page(&pool, POOL_VMCS), *b = pool_page(&pool, POOL_VMCS);
        ck_assert((a == got[3] && b == got[5]) || (a == got[5] && b == got[3]));
        ck_assert(is_zero(a) && is_zero(b));
        ck_assert_ptr_null(pool_page(&pool, POOL_VMCS));
        ck_assert(pool.used[POOL_EPT02] == PAGES - 2 && pool.used[POOL_VMCS] == 2);
}
END_TEST

START_TEST(runs_are_contiguous_and_all_or_nothing)
{
        setup(0, PAGES * PAGE_SIZE);
        uint8_t *run = pool_run(&pool, POOL_HOST, 3), *next = pool_run(&pool, POOL_HOST, 2);
        ck_assert(run && next == run + 3 * PAGE_SIZE);
        for (size_t i = 0; i < 5; i++)
                ck_assert(is_zero(run + i * PAGE_SIZE));
        ck_assert_ptr_null(pool_run(&pool, POOL_HOST, PAGES - 5 + 1));
        ck_assert_ptr_null(pool_run(&pool, POOL_HOST, SIZE_MAX));
        ck_assert_ptr_null(pool_run(&pool, POOL_HOST, SIZE_MAX / PAGE_SIZE + 2));
        ck_assert_uint_eq(pool.used[POOL_HOST], 5);
        /* What was returned is no run again. */
        void *page = pool_run(&pool, POOL_HOST, PAGES - 5);
        ck_assert_ptr_nonnull(page);
        pool_return(&pool, POOL_HOST, page);
        ck_assert_ptr_null(pool_run(&pool, POOL_HOST, 1));
        ck_assert_ptr_eq(pool_page(&pool, POOL_HOST), page);
}
END_TEST

int main(void)
{
        return RUN_SUITE("pool", pages_are_zeroed_aligned_and_distinct, only_whole_pages_inside_are_given,
                         owners_are_counted_apart, returned_pages_come_back_zeroed,
                         runs_are_contiguous_and_all_or_nothing);
}
