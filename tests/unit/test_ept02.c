/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "ept02/combine.h"
#include "vmx/controls.h"

/* EPT12 at these pages of the guest's RAM. */
#define PML4      0x1000ull
#define PDPT      0x2000ull
#define PD        0x3000ull
#define PT        0x4000ull
#define RAM_BYTES (16 * PAGE_SIZE)
#define NOT_RAM   0x80000000ull

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static const struct guest_mem mem = { .ram = ram, .low_bytes = RAM_BYTES };
static struct vmx_caps caps;

#define EPTP          (PML4 | PUT(0, EPTP_WALK, EPTP_WALK4) | MEMTYPE_WB)
#define EPTP_TRACKING (EPTP | EPTP_AD)
#define LEAF          (EPTE_RWX | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB))
#define AT            0x8080604123ull /* indices 1, 2, 3, 4 and offset 0x123 */
#define FRAME         0x5550000ull
#define READ          (EPTQ_READ | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED)
#define WRITE         (EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED)
#define FETCH         (EPTQ_FETCH | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED)

static uint64_t *entry(uint64_t table, unsigned index)
{
        return (uint64_t *)(ram + table) + index;
}

static void setup(void)
{
        memset(ram, 0, sizeof(ram));
        caps = (struct vmx_caps){ .maxphyaddr = 40,
                                  .ept_vpid = EPTCAP_EXEC_ONLY | EPTCAP_WALK4 | EPTCAP_UC | EPTCAP_WB |
                                              EPTCAP_2M | EPTCAP_1G | EPTCAP_AD };
        *entry(PML4, 1) = PDPT | EPTE_RWX;
        *entry(PDPT, 2) = PD | EPTE_RWX;
        *entry(PD, 3) = PT | EPTE_RWX;
        *entry(PT, 4) = FRAME | LEAF;
}

static struct ept_walk walk(uint64_t access)
{
        return ept12_walk(&mem, EPTP, L2GPA(AT), access, &caps);
}

START_TEST(translates_4k)
{
        setup();
        *entry(PT, 4) |= EPTE_IPAT;
        const struct ept_walk w = walk(READ);
        ck_assert(w.verdict == EPT_OK && w.l1gpa.raw == FRAME + 0x123 && w.page_shift == SHIFT_4K);
        ck_assert(w.rwx == EPTE_RWX && w.memtype == MEMTYPE_WB && w.ipat && !w.tracks_dirty && !w.dirty);
        ck_assert(w.entry_at.raw == PT + 4 * 8 && w.entry == *entry(PT, 4));
        /* nothing was written: no flags without EPTP bit 6 */
        ck_assert_uint_eq(*entry(PML4, 1), PDPT | EPTE_RWX);
}
END_TEST

START_TEST(translates_large)
{
        setup();
        *entry(PD, 3) = 0x40200000 | EPTE_RWX | EPTE_LARGE | PUT(0, EPTE_MEMTYPE, MEMTYPE_UC);
        struct ept_walk w = walk(WRITE);
        ck_assert(w.verdict == EPT_OK && w.l1gpa.raw == 0x40204123 && w.page_shift == SHIFT_2M &&
                  w.memtype == MEMTYPE_UC);
        *entry(PDPT, 2) = 0x1000000000 | LEAF | EPTE_LARGE;
        w = walk(WRITE);
        ck_assert(w.verdict == EPT_OK && w.l1gpa.raw == 0x1000604123 && w.page_shift == SHIFT_1G);
}
END_TEST

START_TEST(permissions_are_anded)
{
        static const uint64_t tables[] = { PML4, PDPT, PD, PT };
        static const unsigned indices[] = { 1, 2, 3, 4 };
        for (unsigned level = 0; level < 4; level++) {
                for (unsigned rwx = 1; rwx < 8; rwx++) {
                        if ((rwx & 3) == 2)
                                continue; /* write without read */
                        setup();
                        uint64_t *e = entry(tables[level], indices[level]);
                        *e = (*e & ~EPTE_RWX) | rwx;
                        ck_assert(walk(0).verdict == EPT_OK && walk(0).rwx == rwx);
                        for (unsigned need = 1; need < 8; need++) {
                                const struct ept_walk w = walk(need | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED);
                                const bool allowed = (need & ~rwx) == 0;
                                ck_assert_uint_eq(w.verdict, allowed ? EPT_OK : EPT_VIOLATION);
                                if (!allowed)
                                        ck_assert_uint_eq(w.qualification, need | rwx << 3 | BIT(7) | BIT(8));
                        }
                }
        }
}
END_TEST

/* An absent entry is a violation at each level, and hides what the levels above allow. */
START_TEST(absent_entries)
{
        static const uint64_t tables[] = { PML4, PDPT, PD, PT };
        for (unsigned level = 0; level < 4; level++) {
                setup();
                *entry(tables[level], level + 1) = ~EPTE_RWX;
                const struct ept_walk w = walk(READ);
                ck_assert(w.verdict == EPT_VIOLATION && w.qualification == READ);
                ck_assert_uint_eq(w.entry_at.raw, tables[level] + (level + 1) * 8);
        }
}
END_TEST

START_TEST(qualification_bits)
{
        setup();
        *entry(PT, 4) = 0;
        ck_assert_uint_eq(walk(EPTQ_READ).qualification, EPTQ_READ);
        ck_assert_uint_eq(walk(EPTQ_READ | EPTQ_TRANSLATED).qualification, EPTQ_READ);
        ck_assert_uint_eq(walk(EPTQ_WRITE | EPTQ_LINEAR_VALID).qualification, EPTQ_WRITE | EPTQ_LINEAR_VALID);
        ck_assert_uint_eq(walk(FETCH | EPTQ_NMI_UNBLOCK).qualification, FETCH | EPTQ_NMI_UNBLOCK);
        /* the permissions of EPT02 that the silicon reported are not the guest hypervisor's to see, nor other
         * bits */
        ck_assert_uint_eq(walk(READ | EPTQ_RWX | EPTQ_X_USER | BITS(11, 9) | BIT(20)).qualification, READ);
}
END_TEST

static enum ept_verdict with(uint64_t table, unsigned index, uint64_t value)
{
        setup();
        *entry(table, index) = value;
        return walk(READ).verdict;
}

START_TEST(misconfigurations)
{
        static const struct {
                uint64_t table;
                unsigned index;
                uint64_t good;
                uint64_t reserved;
        } levels[] = {
                { PML4, 1, PDPT | EPTE_RWX, BITS(7, 3) | BITS(51, 40) },
                { PDPT, 2, PD | EPTE_RWX, BITS(6, 3) | BITS(51, 40) },
                { PD, 3, PT | EPTE_RWX, BITS(6, 3) | BITS(51, 40) },
                { PT, 4, FRAME | LEAF, BITS(51, 40) },
                { PDPT, 2, LEAF | EPTE_LARGE, BITS(29, 12) | BITS(51, 40) },
                { PD, 3, LEAF | EPTE_LARGE, BITS(20, 12) | BITS(51, 40) },
        };
        for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
                const uint64_t good = levels[i].good;
                ck_assert_uint_eq(with(levels[i].table, levels[i].index, good), EPT_OK);
                for (unsigned bit = 3; bit < 64; bit++) {
                        const bool leaf_bits = bit < 7 || (bit == 7 && good & EPTE_LARGE);
                        if ((good & BIT(bit)) || ((good & PUT(0, EPTE_MEMTYPE, 7)) && leaf_bits))
                                continue;
                        if (bit == 7 && (levels[i].table == PD || levels[i].table == PDPT))
                                continue; /* makes a leaf */
                        const bool address = bit >= 12 && bit < 40;
                        const enum ept_verdict got = with(levels[i].table, levels[i].index, good | BIT(bit));
                        if (levels[i].reserved & BIT(bit))
                                ck_assert_msg(got == EPT_MISCONFIG, "level row %zu bit %u", i, bit);
                        else if (!address || (good & PUT(0, EPTE_MEMTYPE, 7)))
                                ck_assert_msg(got == EPT_OK, "level row %zu bit %u", i, bit);
                }
                ck_assert_uint_eq(with(levels[i].table, levels[i].index, (good & ~EPTE_RWX) | EPTE_W),
                                  EPT_MISCONFIG);
                ck_assert_uint_eq(
                        with(levels[i].table, levels[i].index, (good & ~EPTE_RWX) | EPTE_W | EPTE_X),
                        EPT_MISCONFIG);
        }
}
END_TEST

START_TEST(memory_types)
{
        for (unsigned type = 0; type < 8; type++) {
                const bool defined = type != 2 && type != 3 && type != 7;
                const uint64_t leaf = EPTE_RWX | PUT(0, EPTE_MEMTYPE, type);
                const enum ept_verdict expect = defined ? EPT_OK : EPT_MISCONFIG;
                ck_assert_uint_eq(with(PT, 4, FRAME | leaf), expect);
                ck_assert_uint_eq(with(PD, 3, leaf | EPTE_LARGE), expect);
                ck_assert_uint_eq(with(PDPT, 2, leaf | EPTE_LARGE), expect);
                if (defined)
                        ck_assert_uint_eq(walk(READ).memtype, type);
        }
}
END_TEST

START_TEST(capabilities_decide)
{
        setup();
        *entry(PT, 4) = FRAME | EPTE_X | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB);
        ck_assert(walk(FETCH).verdict == EPT_OK && walk(READ).verdict == EPT_VIOLATION);
        caps.ept_vpid &= ~EPTCAP_EXEC_ONLY;
        ck_assert_uint_eq(walk(FETCH).verdict, EPT_MISCONFIG);
        setup();
        *entry(PD, 3) = LEAF | EPTE_LARGE;
        caps.ept_vpid &= ~EPTCAP_2M;
        ck_assert_uint_eq(walk(READ).verdict, EPT_MISCONFIG);
        setup();
        *entry(PDPT, 2) = LEAF | EPTE_LARGE;
        caps.ept_vpid &= ~EPTCAP_1G;
        ck_assert_uint_eq(walk(READ).verdict, EPT_MISCONFIG);
        setup();
        *entry(PT, 4) |= BIT(39);
        ck_assert_uint_eq(walk(READ).verdict, EPT_OK);
        caps.maxphyaddr = 39;
        ck_assert_uint_eq(walk(READ).verdict, EPT_MISCONFIG);
}
END_TEST

/* A misconfiguration below an entry that denies the access is still a misconfiguration. */
START_TEST(misconfiguration_before_violation)
{
        setup();
        *entry(PML4, 1) = PDPT | EPTE_R;
        *entry(PT, 4) = FRAME | EPTE_RWX | PUT(0, EPTE_MEMTYPE, 7);
        ck_assert_uint_eq(walk(WRITE).verdict, EPT_MISCONFIG);
}
END_TEST

START_TEST(tables_outside_ram)
{
        setup();
        *entry(PML4, 1) = NOT_RAM | EPTE_RWX;
        ck_assert_uint_eq(walk(READ).verdict, EPT_MISCONFIG);
        setup();
        *entry(PDPT, 2) = NOT_RAM | EPTE_RWX;
        ck_assert_uint_eq(walk(READ).verdict, EPT_MISCONFIG);
        setup();
        *entry(PD, 3) = NOT_RAM | EPTE_RWX;
        ck_assert_uint_eq(walk(READ).verdict, EPT_MISCONFIG);
        ck_assert_uint_eq(ept12_walk(&mem, EPTP | NOT_RAM, L2GPA(AT), READ, &caps).verdict, EPT_MISCONFIG);
        /* also if every address bit is legal: reserved bits of all-ones remain */
        caps.maxphyaddr = 52;
        ck_assert_uint_eq(ept12_walk(&mem, EPTP | NOT_RAM, L2GPA(AT), READ, &caps).verdict, EPT_MISCONFIG);
        ck_assert_uint_eq(walk(READ).verdict, EPT_MISCONFIG);
}
END_TEST

START_TEST(addresses_beyond_the_walk)
{
        setup();
        const struct ept_walk w = ept12_walk(&mem, EPTP, L2GPA(AT | BIT(48)), READ, &caps);
        ck_assert(w.verdict == EPT_VIOLATION && w.qualification == READ);
}
END_TEST

START_TEST(flags_are_set)
{
        setup();
        struct ept_walk w = ept12_walk(&mem, EPTP_TRACKING, L2GPA(AT), READ, &caps);
        ck_assert(w.verdict == EPT_OK && w.tracks_dirty && !w.dirty);
        ck_assert_uint_eq(*entry(PML4, 1), PDPT | EPTE_RWX | EPTE_A);
        ck_assert_uint_eq(*entry(PDPT, 2), PD | EPTE_RWX | EPTE_A);
        ck_assert_uint_eq(*entry(PD, 3), PT | EPTE_RWX | EPTE_A);
        ck_assert_uint_eq(*entry(PT, 4), FRAME | LEAF | EPTE_A);
        w = ept12_walk(&mem, EPTP_TRACKING, L2GPA(AT), WRITE, &caps);
        ck_assert(w.verdict == EPT_OK && w.dirty);
        ck_assert_uint_eq(*entry(PML4, 1), PDPT | EPTE_RWX | EPTE_A);
        ck_assert_uint_eq(*entry(PT, 4), FRAME | LEAF | EPTE_A | EPTE_D);
        ck_assert_uint_eq(w.entry, FRAME | LEAF | EPTE_A | EPTE_D);
        w = ept12_walk(&mem, EPTP_TRACKING, L2GPA(AT), READ, &caps);
        ck_assert(w.dirty);
}
END_TEST

START_TEST(flags_are_not_set)
{
        /* by a question without an access, */
        setup();
        ck_assert_uint_eq(ept12_walk(&mem, EPTP_TRACKING, L2GPA(AT), 0, &caps).verdict, EPT_OK);
        ck_assert_uint_eq(*entry(PT, 4), FRAME | LEAF);
        /* or by an access that is refused */
        *entry(PT, 4) &= ~EPTE_W;
        ck_assert_uint_eq(ept12_walk(&mem, EPTP_TRACKING, L2GPA(AT), WRITE, &caps).verdict, EPT_VIOLATION);
        ck_assert_uint_eq(*entry(PML4, 1), PDPT | EPTE_RWX);
        ck_assert_uint_eq(*entry(PT, 4), (FRAME | LEAF) & ~EPTE_W);
        /* and a dirty bit means nothing while flags are off */
        setup();
        *entry(PT, 4) |= EPTE_D;
        ck_assert(!walk(READ).dirty);
}
END_TEST

/* SDM 3C "Accessed and Dirty Flags for EPT": the walk of guest page tables writes. */
START_TEST(page_walks_write)
{
        setup();
        struct ept_walk w = ept12_walk(&mem, EPTP_TRACKING, L2GPA(AT), EPTQ_READ | EPTQ_LINEAR_VALID, &caps);
        ck_assert(w.verdict == EPT_OK && w.dirty);
        *entry(PT, 4) = (FRAME | LEAF) & ~EPTE_W;
        w = ept12_walk(&mem, EPTP_TRACKING, L2GPA(AT), EPTQ_WRITE | EPTQ_LINEAR_VALID, &caps);
        ck_assert(w.verdict == EPT_VIOLATION);
        ck_assert_uint_eq(w.qualification, EPTQ_READ | EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_R | EPTQ_X);
        ck_assert_uint_eq(walk(EPTQ_READ | EPTQ_LINEAR_VALID).verdict, EPT_OK);
}
END_TEST

/* --- combine --- */

static const struct ept01_leaf ram_2m = {
        .ram = true, .hpa = { 0x40304123 }, .page_shift = SHIFT_2M, .rwx = EPTE_RWX, .memtype = MEMTYPE_WB
};

static struct ept_walk ok_walk(unsigned shift)
{
        return (struct ept_walk){ .verdict = EPT_OK,
                                  .l1gpa = { 0x304123 },
                                  .page_shift = shift,
                                  .rwx = EPTE_RWX,
                                  .memtype = MEMTYPE_WB };
}

START_TEST(verdicts)
{
        struct ept_walk w = ok_walk(SHIFT_4K);
        struct ept01_leaf e = ram_2m;
        struct ept02_leaf out;
        ck_assert_uint_eq(ept02_combine(&w, &e, READ, &out), EPT02_FILLED);
        e.rwx = EPTE_R | EPTE_X;
        ck_assert_uint_eq(ept02_combine(&w, &e, READ, &out), EPT02_FILLED);
        ck_assert_uint_eq(out.epte & EPTE_RWX, EPTE_R | EPTE_X);
        ck_assert_uint_eq(ept02_combine(&w, &e, WRITE, &out), EPT02_L0_MMIO);
        e.ram = false;
        ck_assert_uint_eq(ept02_combine(&w, &e, READ, &out), EPT02_L0_MMIO);
        w.verdict = EPT_VIOLATION;
        ck_assert_uint_eq(ept02_combine(&w, &e, READ, &out), EPT02_L1_VIOLATION);
        w.verdict = EPT_MISCONFIG;
        ck_assert_uint_eq(ept02_combine(&w, &e, READ, &out), EPT02_L1_MISCONFIG);
}
END_TEST

START_TEST(leaf_sizes)
{
        static const unsigned shifts[] = { SHIFT_4K, SHIFT_2M, SHIFT_1G };
        for (unsigned i = 0; i < 3; i++) {
                for (unsigned j = 0; j < 3; j++) {
                        const struct ept_walk w = ok_walk(shifts[i]);
                        struct ept01_leaf e = ram_2m;
                        struct ept02_leaf out;
                        e.page_shift = shifts[j];
                        ck_assert_uint_eq(ept02_combine(&w, &e, READ, &out), EPT02_FILLED);
                        const unsigned shift = shifts[i < j ? i : j];
                        ck_assert_uint_eq(out.page_shift, shift);
                        ck_assert_uint_eq(out.epte & EPTE_ADDR, ALIGN_DOWN(0x40304123, BIT(shift)));
                        ck_assert(!(out.epte & EPTE_LARGE) == (shift == SHIFT_4K));
                        ck_assert(out.epte & EPTE_A && out.epte & EPTE_D);
                }
        }
}
END_TEST

START_TEST(combined_permissions)
{
        for (unsigned a = 1; a < 8; a++) {
                for (unsigned b = 1; b < 8; b++) {
                        struct ept_walk w = ok_walk(SHIFT_4K);
                        struct ept01_leaf e = ram_2m;
                        struct ept02_leaf out;
                        w.rwx = a;
                        e.rwx = b;
                        ck_assert_uint_eq(ept02_combine(&w, &e, 0, &out), EPT02_FILLED);
                        const unsigned both = a & b & EPTE_R ? a & b : (a & b) & ~(unsigned)EPTE_W;
                        ck_assert_uint_eq(out.epte & EPTE_RWX, both);
                }
        }
}
END_TEST

START_TEST(first_write_faults_while_clean)
{
        struct ept_walk w = ok_walk(SHIFT_4K);
        struct ept02_leaf out;
        w.tracks_dirty = true;
        ck_assert_uint_eq(ept02_combine(&w, &ram_2m, READ, &out), EPT02_FILLED);
        ck_assert_uint_eq(out.epte & EPTE_RWX, EPTE_R | EPTE_X);
        w.dirty = true;
        ck_assert_uint_eq(ept02_combine(&w, &ram_2m, WRITE, &out), EPT02_FILLED);
        ck_assert_uint_eq(out.epte & EPTE_RWX, EPTE_RWX);
}
END_TEST

START_TEST(combined_memory_types)
{
        static const struct {
                unsigned type12, type01, type02;
        } rows[] = {
                { MEMTYPE_WB, MEMTYPE_WB, MEMTYPE_WB }, { MEMTYPE_UC, MEMTYPE_WB, MEMTYPE_UC },
                { MEMTYPE_WC, MEMTYPE_WB, MEMTYPE_WC }, { MEMTYPE_WB, MEMTYPE_UC, MEMTYPE_UC },
                { MEMTYPE_WB, MEMTYPE_WT, MEMTYPE_WT }, { MEMTYPE_UC, MEMTYPE_WC, MEMTYPE_UC },
                { MEMTYPE_WC, MEMTYPE_UC, MEMTYPE_UC }, { MEMTYPE_WT, MEMTYPE_WT, MEMTYPE_WT },
                { MEMTYPE_WP, MEMTYPE_WC, MEMTYPE_UC },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct ept_walk w = ok_walk(SHIFT_4K);
                struct ept01_leaf e = ram_2m;
                struct ept02_leaf out;
                w.memtype = rows[i].type12;
                e.memtype = rows[i].type01;
                ept02_combine(&w, &e, READ, &out);
                ck_assert_msg(GET(out.epte, EPTE_MEMTYPE) == rows[i].type02, "row %zu", i);
                ck_assert(!(out.epte & EPTE_IPAT));
                w.ipat = true;
                ept02_combine(&w, &e, READ, &out);
                ck_assert(out.epte & EPTE_IPAT && GET(out.epte, EPTE_MEMTYPE) == rows[i].type02);
                w.ipat = false;
                e.ipat = true; /* EPT01 overrules */
                ept02_combine(&w, &e, READ, &out);
                ck_assert(out.epte & EPTE_IPAT && GET(out.epte, EPTE_MEMTYPE) == rows[i].type01);
        }
}
END_TEST

/* The filled leaf is the ept01 of the next level: three levels fold like two. */
START_TEST(leaves_compose)
{
        struct ept02_leaf middle, out;
        const struct ept_walk w12 = ok_walk(SHIFT_2M);
        ck_assert_uint_eq(ept02_combine(&w12, &ram_2m, READ, &middle), EPT02_FILLED);
        const struct ept01_leaf e = {
                .ram = true,
                .hpa = HPA((middle.epte & EPTE_ADDR) | 0x4123),
                .page_shift = middle.page_shift,
                .rwx = (unsigned)(middle.epte & EPTE_RWX),
                .memtype = (unsigned)GET(middle.epte, EPTE_MEMTYPE),
        };
        struct ept_walk w23 = ok_walk(SHIFT_4K);
        w23.rwx = EPTE_R;
        ck_assert_uint_eq(ept02_combine(&w23, &e, READ, &out), EPT02_FILLED);
        ck_assert_uint_eq(out.epte & (EPTE_ADDR | EPTE_RWX), 0x40204000 | EPTE_R);
}
END_TEST

START_TEST(indices_and_shifts)
{
        ck_assert(ept_shift(4) == 39 && ept_shift(3) == 30 && ept_shift(2) == 21 && ept_shift(1) == 12);
        ck_assert(ept_index(AT, 4) == 1 && ept_index(AT, 3) == 2 && ept_index(AT, 2) == 3 &&
                  ept_index(AT, 1) == 4);
        ck_assert_uint_eq(ept_index(~0ull, 4), 511);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ept02");
        TCase *t = tcase_create("walk12");
        tcase_add_test(t, translates_4k);
        tcase_add_test(t, translates_large);
        tcase_add_test(t, permissions_are_anded);
        tcase_add_test(t, absent_entries);
        tcase_add_test(t, qualification_bits);
        tcase_add_test(t, misconfigurations);
        tcase_add_test(t, memory_types);
        tcase_add_test(t, capabilities_decide);
        tcase_add_test(t, misconfiguration_before_violation);
        tcase_add_test(t, tables_outside_ram);
        tcase_add_test(t, addresses_beyond_the_walk);
        tcase_add_test(t, flags_are_set);
        tcase_add_test(t, flags_are_not_set);
        tcase_add_test(t, page_walks_write);
        tcase_add_test(t, indices_and_shifts);
        suite_add_tcase(s, t);
        t = tcase_create("combine");
        tcase_add_test(t, verdicts);
        tcase_add_test(t, leaf_sizes);
        tcase_add_test(t, combined_permissions);
        tcase_add_test(t, first_write_faults_while_clean);
        tcase_add_test(t, combined_memory_types);
        tcase_add_test(t, leaves_compose);
        suite_add_tcase(s, t);
        return suite_run(s);
}
