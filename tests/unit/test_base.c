/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <stdlib.h>
#include "base/bits.h"
#include "base/guest_mem.h"

static uint8_t ram[16 * PAGE_SIZE];
static const struct guest_mem mem = { .ram = ram, .low_bytes = 8 * PAGE_SIZE, .high_bytes = 8 * PAGE_SIZE };

START_TEST(guest_mem_inside)
{
        ck_assert_ptr_eq(guest_mem_at(&mem, L1GPA(0), 1), ram);
        ck_assert_ptr_eq(guest_mem_at(&mem, L1GPA(0), 8 * PAGE_SIZE), ram);
        ck_assert_ptr_eq(guest_mem_at(&mem, L1GPA(8 * PAGE_SIZE - 1), 1), ram + 8 * PAGE_SIZE - 1);
        ck_assert_ptr_eq(guest_mem_at(&mem, L1GPA(SIZE_4G), 8 * PAGE_SIZE), ram + 8 * PAGE_SIZE);
}
END_TEST

START_TEST(guest_mem_outside)
{
        ck_assert_ptr_null(guest_mem_at(&mem, L1GPA(8 * PAGE_SIZE), 1));
        ck_assert_ptr_null(guest_mem_at(&mem, L1GPA(8 * PAGE_SIZE - 1), 2));
        ck_assert_ptr_null(guest_mem_at(&mem, L1GPA(SIZE_4G - 1), 2));
        ck_assert_ptr_null(guest_mem_at(&mem, L1GPA(SIZE_4G + 8 * PAGE_SIZE), 1));
        ck_assert_ptr_null(guest_mem_at(&mem, L1GPA(~0ull), 2));
        ck_assert_ptr_null(guest_mem_at(&mem, L1GPA(1), ~0ull));
}
END_TEST

START_TEST(bit_helpers)
{
        ck_assert_uint_eq(BITS(63, 0), ~0ull);
        ck_assert_uint_eq(PUT(0, BITS(31, 31), 1), 0x80000000u);
        ck_assert_uint_eq(ALIGN_UP(4097, PAGE_SIZE), 8192);
        ck_assert_uint_eq(ALIGN_DOWN(4097, PAGE_SIZE), 4096);
        ck_assert(IS_ALIGNED(0, PAGE_SIZE) && !IS_ALIGNED(1, PAGE_SIZE));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("base");
        TCase *t = tcase_create("base");
        tcase_add_test(t, guest_mem_inside);
        tcase_add_test(t, guest_mem_outside);
        tcase_add_test(t, bit_helpers);
        suite_add_tcase(s, t);
        return suite_run(s);
}
