/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR lists of vmcs12. SDM 3C "Loading MSRs" of VM entries and of VM exits, "Saving MSRs". */
#include <string.h>
#include "suite.h"
#include "base/bits.h"
#include "base/msr_numbers.h"
#include "nested/entry.h"

#define RAM_BYTES  (16 * PAGE_SIZE)
#define HIGH_BYTES (4 * PAGE_SIZE)
#define LIST       0x1000ull
#define LIST_MAX   512u
#define MSR_REFUSED 0x123u

static uint8_t ram[RAM_BYTES + HIGH_BYTES];
static struct vcpu v;
static struct nested n;

/* What the guest hypervisor's MSRs were asked for. */
static struct {
        struct {
                uint32_t msr;
                uint64_t value;
        } write[LIST_MAX + 8];
        size_t writes, reads;
} asked;

static bool fake_write(void *ctx, uint32_t msr, uint64_t value)
{
        ck_assert_ptr_eq(ctx, &asked);
        if (msr == MSR_REFUSED)
                return false;
        asked.write[asked.writes].msr = msr;
        asked.write[asked.writes++].value = value;
        return true;
}

static bool fake_read(void *ctx, uint32_t msr, uint64_t *value)
{
        ck_assert_ptr_eq(ctx, &asked);
        if (msr == MSR_REFUSED)
                return false;
        *value = 0xabcd000000000000 | msr;
        asked.reads++;
        return true;
}

static void setup(void)
{
        memset(ram, 0, sizeof(ram));
        memset(&asked, 0, sizeof(asked));
        v.mem = (struct guest_mem){ .ram = ram, .low_bytes = RAM_BYTES, .high_bytes = HIGH_BYTES };
        n.msr = (struct msr_access){ .ctx = &asked, .read = fake_read, .write = fake_write };
}

/* Entry `i` of the list at `at`: index, reserved word, value. */
static void entry(uint64_t at, uint32_t i, uint32_t msr, uint32_t reserved, uint64_t value)
{
        uint8_t *p = ram + at + i * 16;
        memcpy(p, &msr, 4);
        memcpy(p + 4, &reserved, 4);
        memcpy(p + 8, &value, 8);
}

static uint64_t value_at(uint64_t at, uint32_t i)
{
        uint64_t value;
        memcpy(&value, ram + at + i * 16 + 8, 8);
        return value;
}

/* Three good entries, with the middle one as told. */
static void three(uint32_t msr, uint32_t reserved)
{
        setup();
        entry(LIST, 0, MSR_LSTAR, 0, 0x11);
        entry(LIST, 1, msr, reserved, 0x22);
        entry(LIST, 2, MSR_STAR, 0, 0x33);
}

START_TEST(loads_in_order)
{
        three(MSR_KERNEL_GS_BASE, 0);
        ck_assert_uint_eq(nested_load_msrs(&n, &v, LIST, 3), 0);
        ck_assert_uint_eq(asked.writes, 3);
        ck_assert(asked.write[0].msr == MSR_LSTAR && asked.write[0].value == 0x11);
        ck_assert(asked.write[1].msr == MSR_KERNEL_GS_BASE && asked.write[1].value == 0x22);
        ck_assert(asked.write[2].msr == MSR_STAR && asked.write[2].value == 0x33);
        ck_assert_uint_eq(asked.reads, 0);
}
END_TEST

START_TEST(stores_values_only)
{
        three(MSR_KERNEL_GS_BASE, 0);
        uint8_t before[RAM_BYTES + HIGH_BYTES];
        memcpy(before, ram, sizeof(ram));
        ck_assert_uint_eq(nested_store_msrs(&n, &v, LIST, 3), 0);
        ck_assert(asked.reads == 3 && asked.writes == 0);
        static const uint32_t msrs[] = { MSR_LSTAR, MSR_KERNEL_GS_BASE, MSR_STAR };
        for (uint32_t i = 0; i < 3; i++) {
                ck_assert_uint_eq(value_at(LIST, i), 0xabcd000000000000 | msrs[i]);
                memcpy(ram + LIST + i * 16 + 8, before + LIST + i * 16 + 8, 8);
        }
        ck_assert_mem_eq(before, ram, sizeof(ram)); /* indices, neighbours */
}
END_TEST

START_TEST(an_empty_list_may_be_anywhere)
{
        static const uint64_t at[] = { 0, LIST, RAM_BYTES, UINT64_MAX };
        setup();
        for (size_t i = 0; i < ARRAY_LEN(at); i++) {
                ck_assert_uint_eq(nested_load_msrs(&n, &v, at[i], 0), 0);
                ck_assert_uint_eq(nested_store_msrs(&n, &v, at[i], 0), 0);
        }
        ck_assert(asked.reads == 0 && asked.writes == 0);
}
END_TEST

static const struct {
        uint32_t msr, reserved;
        bool loads, stores;
} rows[] = {
        { MSR_EFER, 0, true, true },
        { MSR_EFER, 1, false, false },
        { MSR_EFER, BIT(31), false, false },
        { MSR_REFUSED, 0, false, false },
        { MSR_FS_BASE, 0, false, true },
        { MSR_GS_BASE, 0, false, true },
        { MSR_FS_BASE - 1, 0, true, true },
        { MSR_KERNEL_GS_BASE, 0, true, true },
        { 0x9b, 0, false, true },  /* IA32_SMM_MONITOR_CTL */
        { 0x9e, 0, true, false },  /* IA32_SMBASE */
        { 0x7ff, 0, true, true },
        { 0x800, 0, false, false }, /* x2APIC: indices whose bits 31:8 are 8 */
        { 0x808, 0, false, false },
        { 0x8ff, 0, false, false },
        { 0x900, 0, true, true },
        { 0x00010800, 0, true, true },
        { 0x80000808, 0, true, true },
};

START_TEST(entries_that_are_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                three(rows[i].msr, rows[i].reserved);
                const uint64_t bad = nested_load_msrs(&n, &v, LIST, 3);
                ck_assert_msg(bad == (rows[i].loads ? 0 : 2), "load of %#x", rows[i].msr);
                ck_assert_uint_eq(asked.writes, rows[i].loads ? 3 : 1); /* those before it stay loaded, none after */
        }
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                three(rows[i].msr, rows[i].reserved);
                const uint64_t bad = nested_store_msrs(&n, &v, LIST, 3);
                ck_assert_msg(bad == (rows[i].stores ? 0 : 2), "store of %#x", rows[i].msr);
                ck_assert_uint_eq(value_at(LIST, 0), 0xabcd000000000000 | MSR_LSTAR);
                ck_assert_uint_eq(value_at(LIST, 1), rows[i].stores ? 0xabcd000000000000 | rows[i].msr : 0x22);
                ck_assert_uint_eq(value_at(LIST, 2), rows[i].stores ? 0xabcd000000000000 | MSR_STAR : 0x33);
        }
}
END_TEST

START_TEST(first_and_last_entry_are_judged_too)
{
        three(MSR_EFER, 0);
        entry(LIST, 0, MSR_EFER, 1, 0);
        ck_assert_uint_eq(nested_load_msrs(&n, &v, LIST, 3), 1);
        ck_assert_uint_eq(nested_store_msrs(&n, &v, LIST, 3), 1);
        three(MSR_EFER, 0);
        entry(LIST, 2, MSR_EFER, 1, 0);
        ck_assert_uint_eq(nested_load_msrs(&n, &v, LIST, 3), 3);
        ck_assert_uint_eq(nested_store_msrs(&n, &v, LIST, 3), 3);
        ck_assert_uint_eq(nested_load_msrs(&n, &v, LIST, 2), 0); /* not counted: not looked at */
}
END_TEST

START_TEST(lists_that_leave_ram)
{
        static const struct {
                uint64_t at;
                uint32_t fit;
        } places[] = {
                { RAM_BYTES - 32, 2 },          { RAM_BYTES - 16, 1 },    { RAM_BYTES - 8, 0 },
                { RAM_BYTES, 0 },               { GUEST_LOW_MAX, 0 },     { SIZE_4G - 16, 0 },
                { SIZE_4G, HIGH_BYTES / 16 },   { SIZE_4G + HIGH_BYTES - 16, 1 },
                { SIZE_4G + HIGH_BYTES, 0 },    { UINT64_MAX - 15, 0 },   { UINT64_MAX - 31, 0 },
        };
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
                setup();
                const uint32_t fit = places[i].fit < LIST_MAX ? places[i].fit : LIST_MAX;
                ck_assert_uint_eq(nested_load_msrs(&n, &v, places[i].at, fit), 0);
                ck_assert_uint_eq(asked.writes, fit);
                setup();
                ck_assert_uint_eq(nested_load_msrs(&n, &v, places[i].at, fit + 1), fit + 1);
                ck_assert_uint_eq(nested_store_msrs(&n, &v, places[i].at, fit), 0);
                ck_assert_uint_eq(nested_store_msrs(&n, &v, places[i].at, fit + 1), fit + 1);
        }
}
END_TEST

START_TEST(no_list_wraps_around)
{
        setup();
        /* The third entry would be at address 0, which is RAM. */
        ck_assert_uint_eq(nested_load_msrs(&n, &v, -32ull, 3), 1);
        ck_assert_uint_eq(nested_store_msrs(&n, &v, -32ull, 3), 1);
}
END_TEST

/* SDM 3D "Miscellaneous Data": more than 512 may do anything; here they end the list as a bad entry does. */
START_TEST(count_is_bounded)
{
        setup();
        ck_assert_uint_eq(nested_load_msrs(&n, &v, LIST, LIST_MAX), 0);
        ck_assert_uint_eq(asked.writes, LIST_MAX);
        setup();
        ck_assert_uint_eq(nested_load_msrs(&n, &v, LIST, LIST_MAX + 1), LIST_MAX + 1);
        ck_assert_uint_eq(asked.writes, LIST_MAX);
        setup();
        ck_assert_uint_eq(nested_load_msrs(&n, &v, LIST, UINT32_MAX), LIST_MAX + 1);
        ck_assert_uint_eq(nested_store_msrs(&n, &v, LIST, LIST_MAX), 0);
        ck_assert_uint_eq(nested_store_msrs(&n, &v, LIST, UINT32_MAX), LIST_MAX + 1);
        ck_assert_uint_eq(asked.reads, 2 * LIST_MAX);
        ck_assert_uint_eq(value_at(LIST, LIST_MAX), 0);
}
END_TEST

int main(void)
{
        return RUN_SUITE("msr_list", loads_in_order, stores_values_only, an_empty_list_may_be_anywhere,
                         entries_that_are_refused, first_and_last_entry_are_judged_too, lists_that_leave_ram,
                         no_list_wraps_around, count_is_bounded);
}
