/* SPDX-License-Identifier: BSD-2-Clause */
/* INS and OUTS: what is moved, what registers show after each way to stop. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "emulate/string_io.h"

static _Alignas(4096) uint8_t ram[32 * PAGE_SIZE];
static const struct guest_mem mem = {.ram = ram, .low_bytes = sizeof(ram)};

#define DF BIT(10)

/* A port that writes down what it is given and gives 1, 2, 3, ... */
static struct port {
        uint16_t number;
        uint8_t log[2 * STRING_IO_BYTES_MAX];
        size_t logged; /* bytes */
        uint32_t next;
        unsigned reads;
} port;

static uint32_t port_in(void *ctx, uint16_t number, unsigned bytes)
{
        struct port *const p = ctx;

        p->number = number;
        p->reads++;
        return ++p->next | (bytes < 4 ? 0xabcd0000 : 0); /* what lies above the element must not matter */
}

static void port_out(void *ctx, uint16_t number, unsigned bytes, uint32_t value)
{
        struct port *const p = ctx;

        p->number = number;
        ck_assert_uint_le(p->logged + bytes, sizeof(p->log));
        ck_assert(bytes == 4 || value >> 8 * bytes == 0);
        memcpy(p->log + p->logged, &value, bytes);
        p->logged += bytes;
}

static const struct port_bus bus = {.ctx = &port, .in = port_in, .out = port_out};

/* Flat, no paging; RAM is 128 KiB: goes on where 16-bit addresses wrap. */
static struct guest_view flat_view(uint64_t rflags)
{
        struct guest_view v = {
                .mem = &mem, .paging = {.cr0 = 1, .rflags = rflags, .maxphyaddr = 40}, .mode_bits = 32};

        for (unsigned i = 0; i < NR_SEG_REGS; i++)
                v.seg[i] = (struct guest_segment){.limit = 0xffffffff, .ar = 0xc093};
        for (size_t i = 0; i < sizeof(ram); i++)
                ram[i] = (uint8_t)(i ^ i >> 8 ^ i >> 13);
        memset(&port, 0, sizeof(port));
        return v;
}

static const struct out_case {
        const char *what;
        uint8_t bytes, addr_bytes;
        bool rep;
        uint64_t rflags, si, cx;
        enum string_io_status status;
        size_t elements; /* moved */
        uint64_t si_after, cx_after;
} out_cases[] = {
        {"one", 1, 4, false, 0, 0x100, 9, STRING_IO_DONE, 1, 0x101, 9},
        {"one dword", 4, 8, false, 0, 0x100, 9, STRING_IO_DONE, 1, 0x104, 9},
        {"one down", 2, 4, false, DF, 0x100, 9, STRING_IO_DONE, 1, 0xfe, 9},
        {"rep none", 1, 4, true, 0, 0x100, 0, STRING_IO_DONE, 0, 0x100, 0},
        {"rep some", 1, 4, true, 0, 0x101, 300, STRING_IO_DONE, 300, 0x22d, 0},
        {"rep words over a page", 2, 4, true, 0, 0xf81, 200, STRING_IO_DONE, 200, 0x1111, 0},
        {"rep down", 4, 4, true, DF, 0x200, 3, STRING_IO_DONE, 3, 0x1f4, 0},
        {"the bound exactly", 1, 4, true, 0, 0, 4096, STRING_IO_DONE, 4096, 0x1000, 0},
        {"one above the bound", 1, 4, true, 0, 0, 4097, STRING_IO_AGAIN, 4096, 0x1000, 1},
        {"huge", 4, 8, true, 0, 0, BIT(60), STRING_IO_AGAIN, 1024, 0x1000, BIT(60) - 1024},
        {"huge count in 32 bits", 4, 4, true, 0, 0, BIT(60) | 2, STRING_IO_DONE, 2, 8, 0},
        {"16-bit index wraps", 1, 2, true, 0, 0x7fffe, 0x50004, STRING_IO_DONE, 4, 0x70002, 0x50000},
        {"16-bit index wraps down", 2, 2, true, DF, 0x70002, 3, STRING_IO_DONE, 3, 0x7fffc, 0},
        {"RAM ends", 1, 4, true, 0, 0x1fff0, 32, STRING_IO_NOT_RAM, 16, 0x20000, 16},
        {"RAM ends inside an element", 4, 4, true, 0, 0x1fff2, 8, STRING_IO_NOT_RAM, 3, 0x1fffe, 5},
        {"not RAM at all", 4, 4, false, 0, 0xe0000000, 8, STRING_IO_NOT_RAM, 0, 0xe0000000, 8},
};

START_TEST(outs)
{
        const struct out_case *const c = &out_cases[_i];
        const struct guest_view v = flat_view(c->rflags);
        const struct string_io s = {
                .port = 0x3f8, .bytes = c->bytes, .addr_bytes = c->addr_bytes, .seg = SEG_DS, .rep = c->rep};
        struct gprs g = {.r = {[GPR_RCX] = c->cx, [GPR_RSI] = c->si, [GPR_RDI] = 0x77}};
        struct guest_fault fault;

        ck_assert_int_eq(string_io_run(&s, &v, &g, &bus, &fault), c->status);
        ck_assert_uint_eq(g.r[GPR_RSI], c->si_after);
        ck_assert_uint_eq(g.r[GPR_RCX], c->cx_after);
        ck_assert_uint_eq(g.r[GPR_RDI], 0x77);
        ck_assert_uint_eq(port.logged, c->elements * c->bytes);
        ck_assert_uint_eq(port.number, c->elements ? 0x3f8 : 0);
        const uint64_t mask = bytes_mask(c->addr_bytes), by = c->rflags & DF ? -(uint64_t)c->bytes : c->bytes;
        for (size_t i = 0; i < c->elements; i++)
                ck_assert_mem_eq(port.log + i * c->bytes, ram + ((c->si + i * by) & mask), c->bytes);
}
END_TEST

START_TEST(ins)
{
        static const struct {
                uint8_t bytes;
                uint64_t rflags, di, cx;
                const char *want; /* at the lowest address */
                size_t n;
                uint64_t lowest, di_after;
        } t[] = {
                {1, 0, 0xffe, 4, "\1\2\3\4", 4, 0xffe, 0x1002},
                {2, 0, 0x100, 2, "\1\0\2\0", 4, 0x100, 0x104},
                {4, 0, 0x100, 2, "\1\0\0\0\2\0\0\0", 8, 0x100, 0x108},
                {1, DF, 0x103, 4, "\4\3\2\1", 4, 0x100, 0xff},
        };
        for (size_t i = 0; i < ARRAY_LEN(t); i++) {
                const struct guest_view v = flat_view(t[i].rflags);
                const struct string_io s = {.bytes = t[i].bytes, .addr_bytes = 4, .in = true, .rep = true};
                struct gprs g = {.r = {[GPR_RCX] = t[i].cx, [GPR_RDI] = t[i].di, [GPR_RSI] = 0x77}};
                const uint8_t before = ram[t[i].lowest - 1], after = ram[t[i].lowest + t[i].n];
                struct guest_fault fault;

                ck_assert_int_eq(string_io_run(&s, &v, &g, &bus, &fault), STRING_IO_DONE);
                ck_assert_mem_eq(ram + t[i].lowest, t[i].want, t[i].n);
                ck_assert_uint_eq(ram[t[i].lowest - 1], before);
                ck_assert_uint_eq(ram[t[i].lowest + t[i].n], after);
                ck_assert_uint_eq(g.r[GPR_RDI], t[i].di_after);
                ck_assert_uint_eq(g.r[GPR_RCX], 0);
                ck_assert_uint_eq(g.r[GPR_RSI], 0x77);
        }
}
END_TEST

/* A fault in the middle: elements before it are moved, the port is not read for the one that faults. */
START_TEST(faults)
{
        struct guest_view v = flat_view(0);
        struct string_io s = {.bytes = 4, .addr_bytes = 4, .in = true, .rep = true};
        struct gprs g = {.r = {[GPR_RCX] = 10, [GPR_RDI] = 0x1f4, [GPR_RSI] = 0x1f4}};
        struct guest_fault fault;

        v.seg[SEG_ES].limit = 0x1ff;
        ck_assert_int_eq(string_io_run(&s, &v, &g, &bus, &fault), STRING_IO_FAULT);
        ck_assert_uint_eq(fault.vector, VECTOR_GP);
        ck_assert_uint_eq(port.reads, 3);
        ck_assert_uint_eq(g.r[GPR_RDI], 0x200);
        ck_assert_uint_eq(g.r[GPR_RCX], 7);

        v = flat_view(0);
        v.seg[SEG_FS].limit = 0x1ff;
        s.in = false;
        s.seg = SEG_FS;
        g.r[GPR_RCX] = 10;
        ck_assert_int_eq(string_io_run(&s, &v, &g, &bus, &fault), STRING_IO_FAULT);
        ck_assert_uint_eq(port.logged, 12);
        ck_assert_uint_eq(g.r[GPR_RSI], 0x200);
        ck_assert_uint_eq(g.r[GPR_RCX], 7);
}
END_TEST

START_TEST(one_by_one)
{
        const struct guest_view v = flat_view(0);
        const struct string_io s = {.port = 0x3f8, .bytes = 2, .addr_bytes = 4, .seg = SEG_DS, .rep = true, .one = true};
        struct guest_fault f;
        struct gprs g = {{0}};

        g.r[GPR_RSI] = 0x100;
        g.r[GPR_RCX] = 2;
        ck_assert_int_eq(string_io_run(&s, &v, &g, &bus, &f), STRING_IO_AGAIN);
        ck_assert_uint_eq(g.r[GPR_RCX], 1);
        ck_assert_uint_eq(g.r[GPR_RSI], 0x102);
        ck_assert_int_eq(string_io_run(&s, &v, &g, &bus, &f), STRING_IO_DONE);
        ck_assert_uint_eq(port.logged, 4);
}
END_TEST

START_TEST(decodes)
{
        static const struct {
                uint64_t qual;
                uint32_t info;
                bool ok;
                struct string_io want;
        } t[] = {
                {0x03f80010, 3 << 15 | 1 << 7, true, {.port = 0x3f8, .bytes = 1, .addr_bytes = 4, .seg = SEG_DS}},
                {0x03f80031, 4 << 15 | 2 << 7, true, {.port = 0x3f8, .bytes = 2, .addr_bytes = 8, .seg = SEG_FS, .rep = true}},
                {0xffff003b,
                 7 << 15 | 0 << 7,
                 true,
                 {.port = 0xffff, .bytes = 4, .addr_bytes = 2, .seg = SEG_ES, .in = true, .rep = true}}, /* no segment for INS */
                {0x03f80012, 3 << 15 | 1 << 7, false, {0}}, /* 3 bytes */
                {0x03f80017, 3 << 15 | 1 << 7, false, {0}}, /* 8 bytes */
                {0x03f80000, 3 << 15 | 1 << 7, false, {0}}, /* no string instruction */
                {0x03f80010, 6 << 15 | 1 << 7, false, {0}},
                {0x03f80010, 3 << 15 | 3 << 7, false, {0}},
        };
        for (size_t i = 0; i < ARRAY_LEN(t); i++) {
                struct string_io s;

                ck_assert_int_eq(string_io_decode(t[i].qual, t[i].info, &s), t[i].ok);
                if (!t[i].ok)
                        continue;
                ck_assert_uint_eq(s.port, t[i].want.port);
                ck_assert_uint_eq(s.bytes, t[i].want.bytes);
                ck_assert_uint_eq(s.addr_bytes, t[i].want.addr_bytes);
                ck_assert_uint_eq(s.seg, t[i].want.seg);
                ck_assert_uint_eq(s.in, t[i].want.in);
                ck_assert_uint_eq(s.rep, t[i].want.rep);
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("string_io");
        TCase *t = tcase_create("string_io");

        tcase_add_loop_test(t, outs, 0, ARRAY_LEN(out_cases));
        tcase_add_test(t, ins);
        tcase_add_test(t, faults);
        tcase_add_test(t, one_by_one);
        tcase_add_test(t, decodes);
        suite_add_tcase(s, t);
        return suite_run(s);
}
