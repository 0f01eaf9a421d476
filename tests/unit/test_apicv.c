/* SPDX-License-Identifier: BSD-2-Clause */
/* APIC virtualization: what vmcs02 holds for it, and what is decided in software. */
#include "suite.h"
#include <string.h>
#include "base/x86.h"
#include "ept02/combine.h"
#include "nested/apicv.h"

#define X2APIC_MSRS 256
#define MSR_TPR     0x08 /* less 0x800 */
#define MSR_EOI     0x0b
#define MSR_SELF    0x3f
#define PAGE        0x7654000ull
#define NOWHERE     0xabc000ull
#define FRAME       0x40000000ull /* where EPT01 maps PAGE's region */

static struct vmcs12 with(uint32_t proc, uint32_t proc2)
{
        return (struct vmcs12){ .proc_ctls = proc | PROC_SECONDARY, .proc2_ctls = proc2, .apic_access_page = PAGE };
}

START_TEST(primary_controls)
{
        const uint32_t cr8 = PROC_CR8_LOAD | PROC_CR8_STORE;
        const struct vmcs12 none = with(0, PROC2_VID), shadow = with(PROC_TPR_SHADOW, 0),
                            load = with(PROC_TPR_SHADOW | PROC_CR8_LOAD, 0), vid = with(PROC_TPR_SHADOW, PROC2_VID);
        ck_assert_uint_eq(apicv_proc(&none), cr8);
        ck_assert_uint_eq(apicv_proc(&shadow), PROC_TPR_SHADOW);
        ck_assert_uint_eq(apicv_proc(&load), PROC_TPR_SHADOW | PROC_CR8_LOAD);
        ck_assert_uint_eq(apicv_proc(&vid), PROC_TPR_SHADOW | PROC_HLT);
        struct vmcs12 off = vid;
        off.proc_ctls &= ~PROC_SECONDARY;
        ck_assert_uint_eq(apicv_proc(&off), PROC_TPR_SHADOW);
}
END_TEST

/* --- the MSR bitmap --- */

static uint64_t bitmap12[PAGE_SIZE / 8], merged[PAGE_SIZE / 8];

/* Registers of the x2APIC range that `v` lets through: number less 0x800, +256 for writes. */
static bool through(unsigned bit)
{
        const unsigned at = (bit & X2APIC_MSRS ? 2048u * 8 : 0) + 0x800 + bit % X2APIC_MSRS;
        return !(merged[at / 64] >> at % 64 & 1);
}

static void merge(const struct vmcs12 *v, const uint64_t *from)
{
        memset(merged, 0xa5, sizeof(merged));
        apicv_merge_x2apic(v, from, merged);
        for (unsigned i = 0; i < ARRAY_LEN(merged); i++)
                if ((i < X2APIC_READ_WORD || i >= X2APIC_READ_WORD + X2APIC_WORDS) &&
                    (i < X2APIC_WRITE_WORD || i >= X2APIC_WRITE_WORD + X2APIC_WORDS))
                        ck_assert_uint_eq(merged[i], 0xa5a5a5a5a5a5a5a5);
}

/* SDM 3C "Virtualizing MSR-Based APIC Accesses", register by register, for every combination of controls. */
START_TEST(x2apic_registers)
{
        const uint32_t bits[] = { PROC2_X2APIC, PROC2_APIC_REGS, PROC2_VID };
        memset(bitmap12, 0, sizeof(bitmap12));
        for (unsigned set = 0; set < 8; set++) {
                uint32_t proc2 = PROC2_EPT;
                for (unsigned i = 0; i < ARRAY_LEN(bits); i++)
                        proc2 |= set >> i & 1 ? bits[i] : 0;
                const struct vmcs12 v = with(PROC_TPR_SHADOW, proc2);
                const bool x2 = proc2 & PROC2_X2APIC, regs = proc2 & PROC2_APIC_REGS, vid = proc2 & PROC2_VID;
                merge(&v, bitmap12);
                for (unsigned msr = 0; msr < X2APIC_MSRS; msr++) {
                        REQUIRE(through(msr) == (x2 && (regs || msr == MSR_TPR)), "set %u, read of %#x", set, msr);
                        REQUIRE(through(X2APIC_MSRS + msr) ==
                                        (x2 && (msr == MSR_TPR || (vid && (msr == MSR_EOI || msr == MSR_SELF)))),
                                "set %u, write of %#x", set, msr);
                }
                merge(&v, NULL);
                for (unsigned bit = 0; bit < 2 * X2APIC_MSRS; bit++)
                        REQUIRE(!through(bit), "set %u without a bitmap, %#x", set, bit);
        }
}
END_TEST

START_TEST(x2apic_bitmap_of_the_guest)
{
        const struct vmcs12 v = with(PROC_TPR_SHADOW, PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VID);
        memset(bitmap12, 0xff, sizeof(bitmap12));
        merge(&v, bitmap12);
        for (unsigned bit = 0; bit < 2 * X2APIC_MSRS; bit++)
                REQUIRE(!through(bit), "%#x", bit);
        bitmap12[X2APIC_READ_WORD + 3] = ~BIT(5);
        bitmap12[X2APIC_WRITE_WORD] = ~(BIT(MSR_EOI) | BIT(MSR_EOI + 1));
        merge(&v, bitmap12);
        for (unsigned bit = 0; bit < 2 * X2APIC_MSRS; bit++)
                REQUIRE(through(bit) == (bit == 3 * 64 + 5 || bit == X2APIC_MSRS + MSR_EOI), "%#x", bit);
}
END_TEST

/* --- the APIC-access page --- */

static struct ept01_leaf ram(uint64_t at, unsigned shift)
{
        return (struct ept01_leaf){ .ram = true, .hpa = HPA(FRAME + at), .page_shift = shift, .rwx = EPTE_RWX,
                                    .memtype = MEMTYPE_WB };
}

static struct ept_walk walked(uint64_t at, unsigned shift)
{
        struct ept_walk w = apicv_walk_untranslated(L2GPA(at));
        w.page_shift = shift;
        return w;
}

START_TEST(access_page_in_memory)
{
        const struct vmcs12 v = with(0, PROC2_APIC_ACCESS);
        const struct ept_walk w = walked(PAGE + 0x123, SHIFT_2M);
        struct ept01_leaf e01 = ram(PAGE + 0x123, SHIFT_1G);
        struct ept02_leaf leaf;
        apicv_shape_leaf(&v, &w, HPA(NOWHERE), &e01);
        ck_assert_int_eq(ept02_combine(&w, &e01, EPTQ_WRITE, &leaf), EPT02_FILLED);
        ck_assert_uint_eq(leaf.page_shift, SHIFT_4K);
        ck_assert_uint_eq(leaf.epte & EPTE_ADDR, FRAME + PAGE);
        ck_assert_uint_eq(leaf.epte & EPTE_RWX, EPTE_R | EPTE_W);
        ck_assert_int_eq(ept02_combine(&w, &e01, EPTQ_FETCH, &leaf), EPT02_L0_MMIO);
}
END_TEST

START_TEST(access_page_without_memory)
{
        const struct vmcs12 v = with(0, PROC2_APIC_ACCESS);
        struct ept_walk w = walked(PAGE + 0xff0, SHIFT_4K);
        struct ept01_leaf e01 = { .ram = false };
        struct ept02_leaf leaf;
        w.rwx = EPTE_R | EPTE_X;
        apicv_shape_leaf(&v, &w, HPA(NOWHERE), &e01);
        ck_assert_int_eq(ept02_combine(&w, &e01, EPTQ_READ, &leaf), EPT02_FILLED);
        ck_assert_uint_eq(leaf.epte & EPTE_ADDR, NOWHERE);
        ck_assert_uint_eq(leaf.epte & EPTE_RWX, EPTE_R);
        ck_assert_uint_eq(GET(leaf.epte, EPTE_MEMTYPE), MEMTYPE_WB);
        /* Another page without memory stays a device. */
        w.l1gpa = L1GPA(PAGE + PAGE_SIZE);
        e01 = (struct ept01_leaf){ .ram = false };
        apicv_shape_leaf(&v, &w, HPA(NOWHERE), &e01);
        ck_assert_int_eq(ept02_combine(&w, &e01, EPTQ_READ, &leaf), EPT02_L0_MMIO);
}
END_TEST

/* Beside the APIC-access page leaves are as large as they can be without it. */
START_TEST(leaves_beside_the_access_page)
{
        const struct vmcs12 v = with(0, PROC2_APIC_ACCESS);
        static const struct {
                uint64_t at;
                unsigned shift12, shift01, want;
        } rows[] = {
                { PAGE - PAGE_SIZE, SHIFT_1G, SHIFT_1G, SHIFT_4K },
                { PAGE - PAGE_SIZE, SHIFT_2M, SHIFT_1G, SHIFT_4K },
                { PAGE + SIZE_2M, SHIFT_1G, SHIFT_1G, SHIFT_2M },
                { PAGE + SIZE_2M, SHIFT_2M, SHIFT_1G, SHIFT_1G },
                { PAGE + SIZE_1G, SHIFT_1G, SHIFT_1G, SHIFT_1G },
                { PAGE + SIZE_2M, SHIFT_4K, SHIFT_2M, SHIFT_4K },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct ept_walk w = walked(rows[i].at, rows[i].shift12);
                struct ept01_leaf e01 = ram(rows[i].at, rows[i].shift01);
                struct ept02_leaf leaf;
                apicv_shape_leaf(&v, &w, HPA(NOWHERE), &e01);
                ck_assert_int_eq(ept02_combine(&w, &e01, EPTQ_FETCH, &leaf), EPT02_FILLED);
                const unsigned want = rows[i].want < rows[i].shift12 ? rows[i].want : rows[i].shift12;
                ck_assert_msg(leaf.page_shift == want, "row %zu: %u", i, leaf.page_shift);
                const uint64_t first = ALIGN_DOWN(rows[i].at, BIT(leaf.page_shift));
                ck_assert_msg(PAGE < first || PAGE - first >= BIT(leaf.page_shift), "row %zu", i);
        }
}
END_TEST

START_TEST(nothing_is_shaped_without_need)
{
        const struct vmcs12 off = with(0, PROC2_EPT), on = with(0, PROC2_APIC_ACCESS);
        struct ept_walk w = walked(PAGE, SHIFT_1G);
        const struct ept01_leaf before = ram(PAGE, SHIFT_1G);
        struct ept01_leaf e01 = before;
        apicv_shape_leaf(&off, &w, HPA(NOWHERE), &e01);
        ck_assert_mem_eq(&e01, &before, sizeof(e01));
        w.verdict = EPT_VIOLATION;
        apicv_shape_leaf(&on, &w, HPA(NOWHERE), &e01);
        ck_assert_mem_eq(&e01, &before, sizeof(e01));
        ck_assert(!apicv_is_access_page(&off, L1GPA(PAGE)) && apicv_is_access_page(&on, L1GPA(PAGE + 0xfff)) &&
                  !apicv_is_access_page(&on, L1GPA(PAGE + PAGE_SIZE)));
}
END_TEST

START_TEST(variants_of_ept02)
{
        struct vmcs12 v = with(0, PROC2_EPT);
        ck_assert_uint_eq(apicv_ept02_variant(&v), 0);
        const struct vmcs12 ept = with(0, PROC2_EPT | PROC2_APIC_ACCESS), flat = with(0, PROC2_APIC_ACCESS);
        struct vmcs12 first = ept;
        first.apic_access_page = 0;
        ck_assert_uint_ne(apicv_ept02_variant(&ept), apicv_ept02_variant(&flat));
        ck_assert_uint_ne(apicv_ept02_variant(&ept), apicv_ept02_variant(&first));
        ck_assert_uint_ne(apicv_ept02_variant(&first), 0);
}
END_TEST

/* --- the TPR threshold --- */

START_TEST(exits_at_entry)
{
        const struct vmcs12 v = with(PROC_TPR_SHADOW, PROC2_APIC_ACCESS), vid = with(PROC_TPR_SHADOW, PROC2_APIC_ACCESS | PROC2_VID),
                            no_page = with(PROC_TPR_SHADOW, PROC2_APIC_REGS), no_shadow = with(0, PROC2_APIC_ACCESS);
        ck_assert(apicv_exits_at_entry(&v, 0x3f, 4) && apicv_exits_at_entry(&v, 0xef, 0xf));
        ck_assert(!apicv_exits_at_entry(&v, 0x40, 4) && !apicv_exits_at_entry(&v, 0, 0));
        ck_assert(!apicv_exits_at_entry(&vid, 0, 4) && !apicv_exits_at_entry(&no_page, 0, 4) &&
                  !apicv_exits_at_entry(&no_shadow, 0, 4));
}
END_TEST

/* --- virtual interrupts --- */

START_TEST(interrupts_by_priority)
{
        const struct vmcs12 v = with(PROC_TPR_SHADOW, PROC2_VID), off = with(PROC_TPR_SHADOW, PROC2_APIC_REGS);
        const struct vmcs12 window = with(PROC_TPR_SHADOW | PROC_INTR_WINDOW, PROC2_VID);
        static const struct {
                uint8_t rvi, svi, vtpr;
                bool interrupts;
        } rows[] = {
                { 0x55, 0, 0, true },     { 0x55, 0, 0x4f, true },  { 0x55, 0, 0x50, false }, { 0x55, 0x4f, 0, true },
                { 0x5f, 0x50, 0, false }, { 0x60, 0x5f, 0x5f, true }, { 0, 0, 0, false },     { 0x0f, 0, 0, false },
                { 0xff, 0xef, 0xef, true }, { 0xff, 0, 0xff, false },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const uint16_t status = (uint16_t)(rows[i].rvi | rows[i].svi << 8);
                ck_assert_msg(apicv_interrupts(&v, rows[i].vtpr, status) == rows[i].interrupts, "row %zu", i);
                ck_assert(!apicv_interrupts(&off, rows[i].vtpr, status));
                ck_assert(!apicv_interrupts(&window, rows[i].vtpr, status));
        }
}
END_TEST

/* --- posted interrupts --- */

static uint8_t vapic[PAGE_SIZE] __attribute__((aligned(4096)));

static bool irr(unsigned vector)
{
        uint32_t word;
        memcpy(&word, vapic + VAPIC_IRR + vector / 32 * 16, sizeof(word));
        return word >> vector % 32 & 1;
}

START_TEST(each_vector_can_be_posted)
{
        for (unsigned vector = 0; vector < 256; vector++) {
                uint64_t descriptor[POSTED_BYTES / 8] = { [POSTED_NOTIFY_WORD] = ~0ull, [7] = 0x77 };
                memset(vapic, 0, sizeof(vapic));
                descriptor[vector / 64] = BIT(vector % 64);
                const uint16_t status = apicv_take_posted(descriptor, vapic, 0x3320);
                REQUIRE(status == (0x3300 | (vector > 0x20 ? vector : 0x20)), "vector %u: %#x", vector, status);
                for (unsigned other = 0; other < 256; other++)
                        REQUIRE(irr(other) == (other == vector), "vector %u, VIRR of %u", vector, other);
                for (unsigned i = 0; i < POSTED_WORDS; i++)
                        REQUIRE(descriptor[i] == 0, "vector %u stays posted", vector);
                /* Only the outstanding notification is cleared; the rest is software's. */
                REQUIRE(descriptor[POSTED_NOTIFY_WORD] == ~1ull && descriptor[7] == 0x77, "vector %u", vector);
        }
}
END_TEST

START_TEST(posted_on_top_of_requested)
{
        uint64_t descriptor[POSTED_BYTES / 8] = { BIT(50), BIT(0), 0, BIT(63), 1 };
        memset(vapic, 0, sizeof(vapic));
        vapic[VAPIC_IRR + 0x20] = 0x02;
        ck_assert_uint_eq(apicv_take_posted(descriptor, vapic, 0x0041), 255);
        ck_assert(irr(50) && irr(64) && irr(65) && irr(255) && !irr(66));
        ck_assert_uint_eq(apicv_take_posted(descriptor, vapic, 0x8041), 0x8041);
}
END_TEST

START_TEST(notification_vector)
{
        struct vmcs12 v = with(PROC_TPR_SHADOW, PROC2_VID);
        v.posted_intr_vector = 0xf2;
        ck_assert(!apicv_is_notification(&v, 0xf2));
        v.pin_ctls = PIN_POSTED_INTR;
        ck_assert(apicv_is_notification(&v, 0xf2) && !apicv_is_notification(&v, 0xf3) &&
                  !apicv_is_notification(&v, -1));
}
END_TEST

int main(void)
{
        return RUN_SUITE("apicv", primary_controls, x2apic_registers, x2apic_bitmap_of_the_guest, access_page_in_memory,
                         access_page_without_memory, leaves_beside_the_access_page, nothing_is_shaped_without_need,
                         variants_of_ept02, exits_at_entry, interrupts_by_priority, each_vector_can_be_posted, posted_on_top_of_requested,
                         notification_vector);
}
