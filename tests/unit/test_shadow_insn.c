/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <string.h>
#include "base/x86.h"
#include "emulate/shadow_insn.h"

#define GDT        0x1000u
#define STACK      0x2000u
#define DATA       0x2100u
#define SEL_DATA   0x10
#define SEL_USER   0x1b
#define SEL_CODE   0x20
#define SEL_ABSENT 0x28
#define RIP        0x500u

static _Alignas(4096) uint8_t ram[0x4000];
static const struct guest_mem mem = { .ram = ram, .low_bytes = sizeof(ram) };
static struct guest_view view;
static struct gprs gprs;

static struct shadow_env env(uint8_t mode_bits, uint64_t cr0)
{
        static const uint64_t gdt[] = { 0, 0, 0x00cf92000000ffffull, 0x00cff3000000ffffull, 0x00cf9b000000ffffull,
                                        0x00cf13000000ffffull };
        memset(ram, 0, sizeof(ram));
        memcpy(ram + GDT, gdt, sizeof(gdt));
        view = (struct guest_view){ .mem = &mem, .paging = { .cr0 = cr0, .rflags = 2, .maxphyaddr = 40 }, .mode_bits = mode_bits };
        for (unsigned i = 0; i < NR_SEG_REGS; i++)
                view.seg[i] = (struct guest_segment){ .limit = 0xffffffff, .ar = mode_bits == 16 ? 0x93 : 0xc093 };
        gprs = (struct gprs){ .r = { [GPR_RSP] = STACK, [GPR_RAX] = SEL_DATA, [GPR_RBX] = DATA, [GPR_R9] = SEL_DATA } };
        return (struct shadow_env){ .view = &view, .gdt = { .base = GDT, .limit = sizeof(gdt) - 1, .usable = true },
                                    .gprs = &gprs, .rip = RIP, .rflags = 2 };
}

static const struct {
        const char *what;
        uint8_t code[8];
        uint8_t n, mode_bits;
        bool protected;
        enum shadow_insn done;
        uint8_t length;
} rows[] = {
        { "sti", { 0xfb }, 1, 32, true, SHADOW_INSN_STI, 1 },
        { "sti behind a prefix", { 0x66, 0xfb }, 2, 32, true, SHADOW_INSN_STI, 2 },
        { "nop", { 0x90 }, 1, 32, true, SHADOW_INSN_NONE, 0 },
        { "locked", { 0xf0, 0xfb }, 2, 32, true, SHADOW_INSN_NONE, 0 },
        { "cut off", { 0x66 }, 1, 32, true, SHADOW_INSN_NONE, 0 },
        { "mov ss, ax", { 0x8e, 0xd0 }, 2, 32, true, SHADOW_INSN_SS, 2 },
        { "mov ss, r9w", { 0x41, 0x8e, 0xd1 }, 3, 64, true, SHADOW_INSN_SS, 3 },
        { "a REX that does not count", { 0x41, 0x66, 0x8e, 0xd0 }, 4, 64, true, SHADOW_INSN_SS, 4 },
        { "mov ds, ax", { 0x8e, 0xd8 }, 2, 32, true, SHADOW_INSN_NONE, 0 },
        { "mov ss, [ebx]", { 0x8e, 0x13 }, 2, 32, true, SHADOW_INSN_SS, 2 },
        { "mov ss, [ebx + 0x10]", { 0x8e, 0x53, 0x10 }, 3, 32, true, SHADOW_INSN_NONE, 0 }, /* null */
        { "mov ss, [rbx + 0x10]", { 0x8e, 0x53, 0x10 }, 3, 64, true, SHADOW_INSN_SS, 3 },   /* null is fine there */
        { "mov ss, [rip + 0x1bfa]", { 0x8e, 0x15, 0xfa, 0x1b, 0, 0 }, 6, 64, true, SHADOW_INSN_SS, 6 },
        { "mov ss, [0x2100]", { 0x8e, 0x15, 0x00, 0x21, 0, 0 }, 6, 32, true, SHADOW_INSN_SS, 6 },
        { "mov ss, [esp + 0x100]", { 0x8e, 0x94, 0x24, 0, 1, 0, 0 }, 7, 32, true, SHADOW_INSN_SS, 7 },
        { "mov ss, [bx]", { 0x8e, 0x17 }, 2, 16, false, SHADOW_INSN_SS, 2 },
        { "mov ss, [0x2100] of 16 bits", { 0x8e, 0x16, 0x00, 0x21 }, 4, 16, false, SHADOW_INSN_SS, 4 },
        { "displacement cut off", { 0x8e, 0x15, 0x00 }, 3, 32, true, SHADOW_INSN_NONE, 0 },
        { "pop ss", { 0x17 }, 1, 32, true, SHADOW_INSN_SS, 1 },
        { "pop ss of 16 bits", { 0x66, 0x17 }, 2, 32, true, SHADOW_INSN_SS, 2 },
        { "pop ss in 64-bit mode", { 0x17 }, 1, 64, true, SHADOW_INSN_NONE, 0 },
};

/* STI, MOV to SS and POP SS in every form. */
START_TEST(decodes)
{
        struct shadow_env e = env(rows[_i].mode_bits, rows[_i].protected ? CR0_PE : 0);
        ram[STACK] = ram[DATA] = SEL_DATA;
        ck_assert_msg(shadow_insn_execute(&e, rows[_i].code, rows[_i].n) == rows[_i].done, "%s", rows[_i].what);
        ck_assert_uint_eq(e.rip, RIP + rows[_i].length);
}
END_TEST

static enum shadow_insn mov_ss(struct shadow_env *e, uint16_t sel)
{
        gprs.r[GPR_RAX] = sel;
        return shadow_insn_execute(e, (const uint8_t[]){ 0x8e, 0xd0 }, 2);
}

START_TEST(loads_what_may_be_loaded)
{
        struct shadow_env e = env(32, CR0_PE);
        ck_assert_int_eq(mov_ss(&e, SEL_DATA), SHADOW_INSN_SS);
        ck_assert_uint_eq(e.ss_sel, SEL_DATA);
        ck_assert_uint_eq(e.ss.ar, 0xc093);
        ck_assert_uint_eq(e.ss.limit, UINT32_MAX);
        ck_assert_uint_eq(ram[GDT + SEL_DATA + 5], 0x93); /* accessed */
        static const uint16_t bad[] = { 0, SEL_USER, SEL_DATA | 3, SEL_CODE, SEL_ABSENT, 0x30, SEL_DATA | 4 };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                e = env(32, CR0_PE);
                ck_assert_int_eq(mov_ss(&e, bad[i]), SHADOW_INSN_NONE);
                ck_assert_uint_eq(e.rip, RIP);
        }
        e = env(32, CR0_PE);
        view.paging.cpl = 3;
        ck_assert_int_eq(mov_ss(&e, SEL_USER), SHADOW_INSN_SS);
        e = env(16, 0);
        ck_assert_int_eq(mov_ss(&e, 0x1234), SHADOW_INSN_SS);
        ck_assert_uint_eq(e.ss.base, 0x12340);
        ck_assert_uint_eq(e.ss.ar, 0x93);
}
END_TEST

START_TEST(pops)
{
        struct shadow_env e = env(32, CR0_PE);
        ram[STACK] = SEL_DATA;
        ck_assert_int_eq(shadow_insn_execute(&e, (const uint8_t[]){ 0x17 }, 1), SHADOW_INSN_SS);
        ck_assert_uint_eq(gprs.r[GPR_RSP], STACK + 4);
        e = env(16, 0);
        ck_assert_int_eq(shadow_insn_execute(&e, (const uint8_t[]){ 0x17 }, 1), SHADOW_INSN_SS);
        ck_assert_uint_eq(gprs.r[GPR_RSP], STACK + 2);
}
END_TEST

START_TEST(sti_that_changes_nothing_or_faults)
{
        const uint8_t sti = 0xfb;
        struct shadow_env e = env(32, CR0_PE);
        e.rflags |= RFLAGS_IF;
        ck_assert_int_eq(shadow_insn_execute(&e, &sti, 1), SHADOW_INSN_NONE);
        e = env(32, CR0_PE);
        view.paging.cpl = 3;
        ck_assert_int_eq(shadow_insn_execute(&e, &sti, 1), SHADOW_INSN_NONE);
        e.rflags |= RFLAGS_IOPL;
        ck_assert_int_eq(shadow_insn_execute(&e, &sti, 1), SHADOW_INSN_STI);
        ck_assert(e.rflags & RFLAGS_IF);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("shadow_insn");
        TCase *t = tcase_create("shadow_insn");

        tcase_add_loop_test(t, decodes, 0, ARRAY_LEN(rows));
        tcase_add_test(t, loads_what_may_be_loaded);
        tcase_add_test(t, pops);
        tcase_add_test(t, sti_that_changes_nothing_or_faults);
        suite_add_tcase(s, t);
        return suite_run(s);
}
