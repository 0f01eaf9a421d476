/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments in front of paging: limits, types, 64-bit rules, and which exception the guest gets. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "emulate/view.h"

static _Alignas(4096) uint8_t ram[16 * PAGE_SIZE];
static const struct guest_mem mem = {.ram = ram, .low_bytes = sizeof(ram)};

#define PE       BIT(0)
#define PG       BIT(31)
#define FLAGS_VM BIT(17)

/* Access rights: present, and the type in bits 4:0. */
#define RO       0x91
#define RW       0x93
#define RO_DOWN  0x95
#define RW_DOWN  0x97
#define X_ONLY   0x99
#define X_READ   0x9b
#define BIG      0x4000
#define UNUSABLE 0x10000

static struct guest_view view_32(uint32_t ar, uint32_t limit)
{
        struct guest_view v = {.mem = &mem, .paging = {.cr0 = PE, .maxphyaddr = 40}, .mode_bits = 32};

        for (unsigned i = 0; i < NR_SEG_REGS; i++)
                v.seg[i] = (struct guest_segment){.base = 0x1000 * i, .limit = limit, .ar = ar};
        return v;
}

static const struct limit_case {
        uint32_t ar, limit;
        uint64_t offset, bytes;
        bool ok;
} limit_cases[] = {
        {RW, 0xfff, 0, 1, true},
        {RW, 0xfff, 0xffc, 4, true},
        {RW, 0xfff, 0xffd, 4, false},
        {RW, 0xfff, 0x1000, 1, false},
        {RW, 0xfff, 0, 0x1000, true},
        {RW, 0xfff, 0, 0x1001, false},
        {RW | BIG, 0xffffffff, 0xfffffffc, 4, true},
        {RW | BIG, 0xffffffff, 0xfffffffd, 4, false},
        {RW, 0xffffffff, ~0ull, 2, false},     /* wraps around in 64 bits */
        {X_READ | 0x4, 0xfff, 0xfff, 1, true}, /* the bit means "conforming" for code, not "down" */
        {RW_DOWN, 0xfff, 0xfff, 1, false},
        {RW_DOWN, 0xfff, 0x1000, 1, true},
        {RW_DOWN, 0xfff, 0xffff, 1, true},
        {RW_DOWN, 0xfff, 0xffff, 2, false},
        {RW_DOWN | BIG, 0xfff, 0xffff, 2, true},
        {RW_DOWN | BIG, 0xfff, 0xffffffff, 1, true},
        {RW_DOWN | BIG, 0xfff, 0xffffffff, 2, false},
        {RW | UNUSABLE, 0xfff, 0, 1, false},
};

START_TEST(limits)
{
        const struct limit_case *const c = &limit_cases[_i];
        const struct guest_view v = view_32(c->ar, c->limit);
        struct guest_fault fault;
        uint64_t linear = 0;

        ck_assert_int_eq(view_linear(&v, SEG_DS, c->offset, c->bytes, 0, &linear, &fault), c->ok);
        if (c->ok) {
                ck_assert_uint_eq(linear, (uint32_t)(c->offset + 0x3000));
                return;
        }
        ck_assert_uint_eq(fault.vector, VECTOR_GP);
        ck_assert(fault.has_error_code);
        ck_assert_uint_eq(fault.error_code, 0);
        ck_assert(!view_linear(&v, SEG_SS, c->offset, c->bytes, 0, &linear, &fault));
        ck_assert_uint_eq(fault.vector, VECTOR_SS);
}
END_TEST

START_TEST(types)
{
        static const struct {
                uint32_t ar;
                bool read, write, fetch;
        } t[] = {{RO, true, false, false},     {RW, true, true, false},      {RO_DOWN, true, false, false},
                 {RW_DOWN, true, true, false}, {X_ONLY, false, false, true}, {X_READ, true, false, true}};
        struct guest_fault fault;
        uint64_t linear;

        for (size_t i = 0; i < ARRAY_LEN(t); i++) {
                const bool down = t[i].ar == RO_DOWN || t[i].ar == RW_DOWN;
                struct guest_view v = view_32(t[i].ar | BIG, down ? 0 : 0xffffffff);

                ck_assert_int_eq(view_linear(&v, SEG_DS, 8, 1, 0, &linear, &fault), t[i].read);
                ck_assert_int_eq(view_linear(&v, SEG_DS, 8, 1, ACCESS_WRITE, &linear, &fault), t[i].write);
                ck_assert_int_eq(view_linear(&v, SEG_CS, 8, 1, ACCESS_FETCH, &linear, &fault), t[i].fetch);
                v.paging.rflags = FLAGS_VM; /* types mean nothing in virtual-8086 and real mode */
                ck_assert(view_linear(&v, SEG_CS, 8, 1, ACCESS_WRITE, &linear, &fault));
                v.paging.rflags = 0;
                v.paging.cr0 = 0;
                ck_assert(view_linear(&v, SEG_CS, 8, 1, ACCESS_WRITE, &linear, &fault));
        }
}
END_TEST

START_TEST(real_mode)
{
        struct guest_view v = view_32(RW, 0xffff);
        struct guest_fault fault;
        uint64_t linear;

        v.mode_bits = 16;
        v.paging.cr0 = 0;
        v.seg[SEG_ES].base = 0xffff0;
        ck_assert(view_linear(&v, SEG_ES, 0xffff, 1, 0, &linear, &fault));
        ck_assert_uint_eq(linear, 0x10ffef);
        ck_assert(!view_linear(&v, SEG_ES, 0xffff, 2, 0, &linear, &fault));
        ck_assert_uint_eq(fault.vector, VECTOR_GP);
        ck_assert(!fault.has_error_code);
}
END_TEST

START_TEST(linear_wraps_in_32_bits)
{
        struct guest_view v = view_32(RW | BIG, 0xffffffff);
        struct guest_fault fault;
        uint64_t linear;

        v.seg[SEG_GS].base = 0xfffff000;
        ck_assert(view_linear(&v, SEG_GS, 0x2345, 4, 0, &linear, &fault));
        ck_assert_uint_eq(linear, 0x1345);
}
END_TEST

START_TEST(mode_64)
{
        struct guest_view v = view_32(RW | UNUSABLE, 0);
        struct guest_fault fault;
        uint64_t linear;

        v.mode_bits = 64;
        v.seg[SEG_FS].base = 0x7ffffffff000;
        ck_assert(view_linear(&v, SEG_DS, 0x123456789, 8, ACCESS_WRITE, &linear, &fault));
        ck_assert_uint_eq(linear, 0x123456789); /* no base, no limit, no type */
        ck_assert(view_linear(&v, SEG_FS, 0xff8, 8, 0, &linear, &fault));
        ck_assert_uint_eq(linear, 0x7ffffffffff8);
        ck_assert(
                !view_linear(&v, SEG_FS, 0xff9, 8, 0, &linear, &fault)); /* the last byte is not canonical */
        ck_assert_uint_eq(fault.vector, VECTOR_GP);
        ck_assert(!view_linear(&v, SEG_SS, BIT(47), 1, 0, &linear, &fault));
        ck_assert_uint_eq(fault.vector, VECTOR_SS);
        ck_assert(view_linear(&v, SEG_GS, (uint64_t)-0x5000, 8, 0, &linear, &fault));
        ck_assert_uint_eq(linear, 0);
        ck_assert(view_linear(&v, SEG_SS, ~0ull - 7, 8, 0, &linear, &fault)); /* up to the very top */
}
END_TEST

/* 32-bit paging, tables at pages 1 and 2: linear page n -> page n, for n in 4..8 but 6. */
static struct guest_view paged_view(void)
{
        struct guest_view v = view_32(RW | BIG, 0xffffffff);

        memset(ram, 0, sizeof(ram));
        ((uint32_t *)(ram + 0x1000))[0] = 0x2000 | 7;
        for (unsigned i = 4; i <= 8; i++)
                if (i != 6)
                        ((uint32_t *)(ram + 0x2000))[i] = i << 12 | 7;
        v.paging.cr0 = PE | PG;
        v.paging.cr3 = 0x1000;
        v.seg[SEG_CS] = (struct guest_segment){.limit = 0x7fff, .ar = X_READ | BIG};
        v.seg[SEG_DS].base = 0;
        return v;
}

START_TEST(copies)
{
        const struct guest_view v = paged_view();
        struct guest_fault fault;
        char text[8] = "sesame";

        ck_assert_int_eq(view_write(&v, SEG_DS, 0x4ffe, text, 6, &fault), VIEW_OK);
        ck_assert_mem_eq(ram + 0x4ffe, "sesame", 6);
        ck_assert_uint_eq(((uint32_t *)(ram + 0x2000))[5], 0x5000 | 7 | 0x60); /* accessed and dirty */
        memset(text, 0, sizeof(text));
        ck_assert_int_eq(view_read(&v, SEG_DS, 0x4ffe, text, 6, &fault), VIEW_OK);
        ck_assert_str_eq(text, "sesame");

        ck_assert_int_eq(view_write(&v, SEG_DS, 0x5ffe, text, 6, &fault), VIEW_FAULT);
        ck_assert_uint_eq(fault.vector, VECTOR_PF);
        ck_assert_uint_eq(fault.cr2, 0x6000);
        ck_assert(fault.has_error_code);
        ck_assert_uint_eq(fault.error_code, PF_WRITE);
        ck_assert_int_eq(view_read(&v, SEG_DS, 0x5ffe, text, 6, &fault), VIEW_FAULT);
        ck_assert_uint_eq(fault.error_code, 0);
        ck_assert_int_eq(view_read(&v, SEG_CS, 0x7ffe, text, 6, &fault), VIEW_FAULT);
        ck_assert_uint_eq(fault.vector, VECTOR_GP);

        ((uint32_t *)(ram + 0x2000))[6] = 0xfee00000 | 7;
        ck_assert_int_eq(view_read(&v, SEG_DS, 0x6010, text, 4, &fault), VIEW_NOT_RAM);
        ck_assert_uint_eq(fault.at.raw, 0xfee00010);
        ck_assert_int_eq(view_write(&v, SEG_DS, 0x6010, text, 4, &fault), VIEW_NOT_RAM);
}
END_TEST

START_TEST(probes)
{
        const struct guest_view v = paged_view();
        struct guest_fault fault;

        ck_assert_int_eq(view_probe_write(&v, SEG_DS, 0x4ffe, 0x1002, &fault), VIEW_OK);
        ck_assert_uint_eq(((uint32_t *)(ram + 0x2000))[5], 0x5000 | 7); /* leaves no trace */
        ck_assert_int_eq(view_probe_write(&v, SEG_DS, 0x4ffe, 0x1003, &fault), VIEW_FAULT);
        ck_assert_uint_eq(fault.cr2, 0x6000);
        ck_assert_int_eq(view_probe_write(&v, SEG_CS, 0x4000, 1, &fault), VIEW_FAULT);
        ck_assert_uint_eq(fault.vector, VECTOR_GP);
        ((uint32_t *)(ram + 0x2000))[6] = 0xfee00000 | 7;
        ck_assert_int_eq(view_probe_write(&v, SEG_DS, 0x5ffe, 4, &fault), VIEW_NOT_RAM);
        ck_assert_uint_eq(fault.at.raw, 0xfee00000);
}
END_TEST

START_TEST(fetches)
{
        struct guest_view v = paged_view();
        struct guest_fault fault;
        uint8_t code[INSN_BYTES_MAX];
        size_t got;

        for (unsigned i = 0; i < 32; i++)
                ram[0x4ff0 + i] = (uint8_t)i;
        ck_assert_int_eq(view_fetch(&v, 0x4ff8, code, 15, &got, &fault), VIEW_OK);
        ck_assert_uint_eq(got, 15); /* over the page boundary */
        ck_assert_mem_eq(code, ram + 0x4ff8, 15);
        ck_assert_int_eq(view_fetch(&v, 0x5ff8, code, 15, &got, &fault), VIEW_OK);
        ck_assert_uint_eq(got, 8); /* up to it: the next page is not there */
        ck_assert_int_eq(view_fetch(&v, 0x6000, code, 15, &got, &fault), VIEW_FAULT);
        ck_assert_uint_eq(got, 0);
        ck_assert_uint_eq(fault.vector, VECTOR_PF);
        ck_assert_uint_eq(fault.cr2, 0x6000);
        ck_assert_int_eq(view_fetch(&v, 0x8000, code, 15, &got, &fault), VIEW_FAULT);
        ck_assert_uint_eq(fault.vector, VECTOR_GP); /* beyond the limit of CS */
        v.seg[SEG_CS].ar = RW;
        ck_assert_int_eq(view_fetch(&v, 0x4000, code, 15, &got, &fault), VIEW_FAULT);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("view");
        TCase *t = tcase_create("view");

        tcase_add_loop_test(t, limits, 0, ARRAY_LEN(limit_cases));
        tcase_add_test(t, types);
        tcase_add_test(t, real_mode);
        tcase_add_test(t, linear_wraps_in_32_bits);
        tcase_add_test(t, mode_64);
        tcase_add_test(t, copies);
        tcase_add_test(t, probes);
        tcase_add_test(t, fetches);
        suite_add_tcase(s, t);
        return suite_run(s);
}
