/* SPDX-License-Identifier: BSD-2-Clause */
/* How a cascade level divides its RAM. Addresses are only numbers here. */
#include "suite.h"
#include "base/bits.h"
#include "boot/memory.h"

#define MIB(n)      ((uint64_t)(n) << 20)
#define LEAST       (POOL_BYTES + GUEST_RAM_LEAST)
#define IMAGE_START MIB(1)
#define IMAGE_END   MIB(3)

static struct boot_info b;
static struct memory_plan plan;

static void ram(uint64_t base, uint64_t bytes)
{
        b.ram[b.ram_count++] = (struct boot_range){ base, bytes };
}

static void module(uint64_t at, uint64_t len)
{
        b.modules[b.module_count++] = (struct boot_module){ (const uint8_t *)at, len };
}

/* A PC: low memory, then `mib` in all. */
static void pc(unsigned mib)
{
        b = (struct boot_info){ .ram_count = 0 };
        ram(0, 0x9f000);
        ram(MIB(1), MIB(mib) - MIB(1));
}

static struct memory_limits limits = { .mapped_end = UINT64_MAX };

static bool plan_with(uint64_t image_start, uint64_t image_end)
{
        limits.image_start = image_start;
        limits.image_end = image_end;
        return memory_plan_make(&b, &limits, &plan);
}

static bool make(void)
{
        plan = (struct memory_plan){ 1, 2, 3, 4 };
        return plan_with(IMAGE_START, IMAGE_END);
}

/* Pool and guest in one run from `at` to `end`. */
static void check(uint64_t at, uint64_t end)
{
        ck_assert(make());
        ck_assert_uint_eq(plan.pool_at, at);
        ck_assert_uint_eq(plan.pool_bytes, POOL_BYTES);
        ck_assert_uint_eq(plan.guest_at, at + POOL_BYTES);
        ck_assert_uint_eq(plan.guest_at + plan.guest_bytes, end);
        ck_assert(plan.guest_at % SIZE_2M == 0 && plan.guest_bytes % SIZE_2M == 0);
}

START_TEST(plain_pc)
{
        pc(256);
        check(MIB(4), MIB(256)); /* from 2 MiB on, above the image, on 2 MiB boundaries */
        b.ram[1].bytes += SIZE_2M - 1;
        check(MIB(4), MIB(256));
        b.ram[1].bytes++;
        check(MIB(4), MIB(258));
}
END_TEST

START_TEST(nothing_below_two_mib_is_used)
{
        b = (struct boot_info){ .ram_count = 0 };
        ram(0, MIB(100));
        ck_assert(plan_with(MIB(200), MIB(201)));
        ck_assert_uint_eq(plan.pool_at, SIZE_2M);
}
END_TEST

START_TEST(least_that_is_enough)
{
        b = (struct boot_info){ .ram_count = 0 };
        ram(MIB(4), LEAST);
        check(MIB(4), MIB(4) + LEAST);
        ck_assert_uint_eq(plan.guest_bytes, GUEST_RAM_LEAST);
        b.ram[0].bytes--;
        ck_assert(!make());
        b.ram[0] = (struct boot_range){ MIB(4) + 1, LEAST };
        ck_assert(!make());
        b.ram[0] = (struct boot_range){ MIB(4) - 1, LEAST + 1 };
        check(MIB(4), MIB(4) + LEAST);
}
END_TEST

START_TEST(no_ram_at_all)
{
        b = (struct boot_info){ .ram_count = 0 };
        ck_assert(!make());
        ram(MIB(4), 0);
        ck_assert(!make());
        ram(0, MIB(1));
        ck_assert(!make());
        /* Pieces are not put together. */
        b = (struct boot_info){ .ram_count = 0 };
        ram(MIB(4), MIB(32));
        ram(MIB(64), MIB(32));
        ck_assert(!make());
}
END_TEST

START_TEST(modules_are_obstacles)
{
        pc(512);
        module(MIB(8), MIB(10));
        check(MIB(18), MIB(512));
        module(MIB(400), MIB(100)); /* the larger side of it */
        check(MIB(18), MIB(400));
        module(MIB(100) + 5, 1); /* rounds away from it */
        check(MIB(102), MIB(400));
        module(MIB(300) - 1, 2);
        check(MIB(102), MIB(298));
}
END_TEST

START_TEST(order_and_overlap_of_modules_do_not_matter)
{
        pc(512);
        module(MIB(200), MIB(20));
        module(MIB(10), MIB(100));
        module(MIB(50), MIB(80)); /* overlaps the one before */
        module(MIB(60), MIB(10)); /* inside it */
        check(MIB(220), MIB(512));
        module(MIB(0), MIB(600)); /* covers everything */
        ck_assert(!make());
}
END_TEST

START_TEST(guest_gets_what_it_is_to_have)
{
        pc(256);
        limits.guest_bytes = MIB(64);
        ck_assert(make() && plan.guest_bytes == MIB(64) && plan.guest_at == MIB(4) + POOL_BYTES);
        limits.guest_bytes = MIB(64) - 1;
        ck_assert(make() && plan.guest_bytes == MIB(64));
        limits.guest_bytes = MIB(252) - POOL_BYTES;
        ck_assert(make() && plan.guest_bytes == MIB(252) - POOL_BYTES);
        limits.guest_bytes++;
        ck_assert(!make());
        limits.guest_bytes = UINT64_MAX;
        ck_assert(!make());
        limits.guest_bytes = 0;
}
END_TEST

START_TEST(ram_out_of_reach_is_not_used)
{
        pc(256);
        ram(SIZE_4G, 8 * SIZE_1G);
        check(SIZE_4G, SIZE_4G + 8 * SIZE_1G);
        limits.mapped_end = SIZE_4G + SIZE_1G;
        check(SIZE_4G, SIZE_4G + SIZE_1G);
        limits.mapped_end = SIZE_4G;
        check(MIB(4), MIB(256));
        limits.mapped_end = UINT64_MAX;
}
END_TEST

START_TEST(image_in_the_middle)
{
        pc(512);
        ck_assert(plan_with(MIB(300), MIB(301)));
        ck_assert(plan.pool_at == SIZE_2M && plan.guest_at + plan.guest_bytes == MIB(300));
        ck_assert(plan_with(MIB(100) + 1, MIB(100) + 2));
        ck_assert(plan.pool_at == MIB(102) && plan.guest_at + plan.guest_bytes == MIB(512));
}
END_TEST

START_TEST(modules_that_touch_nothing)
{
        pc(512);
        module(MIB(512), MIB(100)); /* right behind */
        module(MIB(1), MIB(1));     /* below */
        module(MIB(4), 0);          /* empty, at the start */
        check(MIB(4), MIB(512));
}
END_TEST

START_TEST(largest_range_wins)
{
        pc(256);
        ram(SIZE_4G, MIB(255));
        check(SIZE_4G, SIZE_4G + MIB(254));
        b.ram[2].bytes = MIB(253);
        check(MIB(4), MIB(256)); /* equal: the first */
        ram(MIB(512), MIB(2048));
        check(MIB(512), MIB(2560));
}
END_TEST

START_TEST(above_4g_with_modules_there)
{
        pc(64);
        ram(SIZE_4G, 4 * SIZE_1G);
        module(SIZE_4G, MIB(1));
        module(SIZE_4G + 3 * SIZE_1G, 1);
        check(SIZE_4G + MIB(2), SIZE_4G + 3 * SIZE_1G);
        const struct guest_mem m = memory_guest(&plan);
        ck_assert(m.low_bytes == 3 * SIZE_1G - MIB(26) && m.high_bytes == 0);
}
END_TEST

START_TEST(hostile_maps)
{
        /* At the very end of the address space nothing wraps around. */
        b = (struct boot_info){ .ram_count = 0 };
        ram(UINT64_MAX - MIB(1), MIB(1));
        ck_assert(!make());
        ram(UINT64_MAX - 5, UINT64_MAX);
        ck_assert(!make());
        pc(256);
        module(MIB(100), UINT64_MAX); /* reaches beyond the last address: everything above it is in use */
        check(MIB(4), MIB(100));
        pc(256);
        module(UINT64_MAX, UINT64_MAX);
        check(MIB(4), MIB(256));
}
END_TEST

START_TEST(full_lists)
{
        b = (struct boot_info){ .ram_count = 0 };
        for (unsigned i = 0; i < BOOT_MAX_RANGES; i++)
                ram(MIB(4) + i * MIB(64), i == BOOT_MAX_RANGES - 1 ? MIB(64) : MIB(32));
        for (unsigned i = 0; i < BOOT_MAX_MODULES; i++)
                module(MIB(4) + i * MIB(64), MIB(1));
        check(MIB(4) + 63 * MIB(64), MIB(4) + 64 * MIB(64));
        b.modules[BOOT_MAX_MODULES - 1].bytes = (const uint8_t *)(MIB(4) + 63 * MIB(64) + MIB(32));
        ck_assert(!make());
}
END_TEST

START_TEST(guest_is_split_at_the_hole)
{
        static const struct {
                uint64_t bytes, low, high;
        } rows[] = {
                { MIB(32), MIB(32), 0 },
                { GUEST_LOW_MAX - SIZE_2M, GUEST_LOW_MAX - SIZE_2M, 0 },
                { GUEST_LOW_MAX, GUEST_LOW_MAX, 0 },
                { GUEST_LOW_MAX + SIZE_2M, GUEST_LOW_MAX, SIZE_2M },
                { 16 * SIZE_1G, GUEST_LOW_MAX, 13 * SIZE_1G },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct memory_plan p = { .guest_at = MIB(64), .guest_bytes = rows[i].bytes };
                const struct guest_mem m = memory_guest(&p);
                ck_assert((uint64_t)m.ram == MIB(64) && m.low_bytes == rows[i].low && m.high_bytes == rows[i].high);
        }
}
END_TEST

int main(void)
{
        return RUN_SUITE("memory", plain_pc, nothing_below_two_mib_is_used, least_that_is_enough, no_ram_at_all,
                         modules_are_obstacles, order_and_overlap_of_modules_do_not_matter, image_in_the_middle,
                         guest_gets_what_it_is_to_have, ram_out_of_reach_is_not_used,
                         modules_that_touch_nothing, largest_range_wins, above_4g_with_modules_there, hostile_maps,
                         full_lists, guest_is_split_at_the_hole);
}
