/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <stdlib.h>
#include "nested/operand.h"

static const struct gprs gprs = { .r = { [GPR_RAX] = 0x1000,
                                         [GPR_RCX] = 0xffffffff00002000,
                                         [GPR_RSP] = 0x7000,
                                         [GPR_RBP] = ~0ull,
                                         [GPR_R15] = 0x20 } };
static const struct operand_use quad = { .bytes = 8 };

static struct operand_env env64(void)
{
        struct operand_env e = { .gprs = &gprs, .mode64 = true, .linear_bits = 48 };
        for (unsigned s = 0; s < SEG_COUNT; s++)
                e.seg[s] = (struct guest_segment){ .base = 0x100000 };
        return e;
}

static struct operand_env env32(void)
{
        struct operand_env e = { .gprs = &gprs, .linear_bits = 48 };
        for (unsigned s = 0; s < SEG_COUNT; s++)
                e.seg[s] = (struct guest_segment){ .base = 0x100000, .limit = UINT32_MAX, .ar = 0xc093 };
        return e;
}

#define NO_BASE  INSN_BASE_INVALID
#define NO_INDEX INSN_INDEX_INVALID

static uint32_t info(enum insn_addr_size size, enum seg_reg seg, uint64_t rest)
{
        return (uint32_t)(PUT(0, INSN_ADDR_SIZE, size) | PUT(0, INSN_SEG, seg) | rest);
}

static uint64_t base(enum gpr r)
{
        return PUT(0, INSN_BASE, r);
}

static uint64_t index_by(enum gpr r, unsigned scale)
{
        return PUT(0, INSN_INDEX, r) | PUT(0, INSN_SCALE, scale);
}

START_TEST(registers)
{
        const struct operand_env e = env64();
        const struct operand_use either = { .bytes = 8, .can_be_reg = true };
        const uint32_t i =
                info(INSN_ADDR_64, SEG_DS, NO_BASE | NO_INDEX | INSN_IS_REG | PUT(0, INSN_REG1, GPR_R15));
        struct vmx_operand o = operand_decode(i, 0x5000, either, &e);
        ck_assert(o.fault == OPERAND_OK && o.is_reg && o.reg == GPR_R15);
        o = operand_decode(i, 0x5000, quad, &e); /* of an instruction that has only memory operands */
        ck_assert(o.fault == OPERAND_OK && !o.is_reg && o.linear == 0x5000);
        ck_assert_uint_eq(operand_reg2((uint32_t)PUT(0, INSN_REG2, GPR_R9)), GPR_R9);
}
END_TEST

START_TEST(addresses_64)
{
        const struct operand_env e = env64();
        const struct {
                uint32_t info;
                uint64_t displacement, linear;
        } rows[] = {
                { info(INSN_ADDR_64, SEG_DS, NO_BASE | NO_INDEX), 0x5000, 0x5000 },
                { info(INSN_ADDR_64, SEG_DS, base(GPR_RAX) | NO_INDEX), 8, 0x1008 },
                { info(INSN_ADDR_64, SEG_SS, base(GPR_RSP) | NO_INDEX), (uint64_t)-8, 0x6ff8 },
                { info(INSN_ADDR_64, SEG_DS, base(GPR_RAX) | index_by(GPR_R15, 0)), 0, 0x1020 },
                { info(INSN_ADDR_64, SEG_DS, base(GPR_RAX) | index_by(GPR_R15, 3)), 0, 0x1100 },
                { info(INSN_ADDR_64, SEG_DS, NO_BASE | index_by(GPR_R15, 2)), 1, 0x81 },
                { info(INSN_ADDR_64, SEG_CS, base(GPR_RAX) | NO_INDEX), 0,
                  0x1000 }, /* bases but FS and GS are 0 */
                { info(INSN_ADDR_64, SEG_FS, base(GPR_RAX) | NO_INDEX), 0, 0x101000 },
                { info(INSN_ADDR_64, SEG_GS, base(GPR_RAX) | NO_INDEX), 0, 0x101000 },
                { info(INSN_ADDR_32, SEG_DS, base(GPR_RCX) | NO_INDEX), 0x10, 0x2010 }, /* cut, then based */
                { info(INSN_ADDR_32, SEG_FS, base(GPR_RBP) | NO_INDEX), 2, 0x100001 },
                { info(INSN_ADDR_64, SEG_DS, base(GPR_RBP) | NO_INDEX), 2, 1 },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct vmx_operand o = operand_decode(rows[i].info, rows[i].displacement, quad, &e);
                ck_assert_msg(o.fault == OPERAND_OK && !o.is_reg && o.linear == rows[i].linear,
                              "row %zu: %#lx", i, (unsigned long)o.linear);
        }
}
END_TEST

START_TEST(canonical_limits)
{
        struct operand_env e = env64();
        const uint32_t ds = info(INSN_ADDR_64, SEG_DS, NO_BASE | NO_INDEX);
        const uint32_t ss = info(INSN_ADDR_64, SEG_SS, NO_BASE | NO_INDEX);
        ck_assert(operand_decode(ds, BIT(47) - 8, quad, &e).fault == OPERAND_OK);
        ck_assert(operand_decode(ds, BIT(47) - 7, quad, &e).fault == OPERAND_GP);
        ck_assert(operand_decode(ds, BIT(47), quad, &e).fault == OPERAND_GP);
        ck_assert(operand_decode(ss, BIT(47), quad, &e).fault == OPERAND_SS);
        ck_assert(operand_decode(ds, ~0ull << 47, quad, &e).fault == OPERAND_OK);
        ck_assert(operand_decode(ds, (~0ull << 47) - 1, quad, &e).fault == OPERAND_GP);
        e.linear_bits = 57;
        ck_assert(operand_decode(ds, BIT(47), quad, &e).fault == OPERAND_OK);
        ck_assert(operand_decode(ds, BIT(56), quad, &e).fault == OPERAND_GP);
}
END_TEST

START_TEST(addresses_32)
{
        const struct operand_env e = env32();
        struct vmx_operand o =
                operand_decode(info(INSN_ADDR_32, SEG_DS, base(GPR_RAX) | NO_INDEX), 4, quad, &e);
        ck_assert(o.fault == OPERAND_OK && o.linear == 0x101004);
        o = operand_decode(info(INSN_ADDR_16, SEG_DS, base(GPR_RCX) | NO_INDEX), 0xf000, quad, &e);
        ck_assert(o.fault == OPERAND_OK && o.linear == 0x101000); /* 0x2000 + 0xf000 cut to 16 bits */
        o = operand_decode(info(INSN_ADDR_32, SEG_DS, NO_BASE | NO_INDEX), 0xfff00000, quad, &e);
        ck_assert(o.fault == OPERAND_OK && o.linear == 0); /* linear addresses wrap at 4 GiB */
}
END_TEST

START_TEST(segment_checks_32)
{
        struct operand_env e = env32();
        const uint32_t ds = info(INSN_ADDR_32, SEG_DS, NO_BASE | NO_INDEX);
        const uint32_t ss = info(INSN_ADDR_32, SEG_SS, NO_BASE | NO_INDEX);
        const struct operand_use store = { .bytes = 8, .write = true };
        e.seg[SEG_DS].limit = e.seg[SEG_SS].limit = 0xfff;
        ck_assert(operand_decode(ds, 0xff8, quad, &e).fault == OPERAND_OK);
        ck_assert(operand_decode(ds, 0xff9, quad, &e).fault == OPERAND_GP);
        ck_assert(operand_decode(ss, 0xff9, quad, &e).fault == OPERAND_SS);
        e.seg[SEG_DS].ar = 0xc091; /* read-only */
        ck_assert(operand_decode(ds, 0, quad, &e).fault == OPERAND_OK);
        ck_assert(operand_decode(ds, 0, store, &e).fault == OPERAND_GP);
        e.seg[SEG_DS].ar = 0xc099; /* execute-only */
        ck_assert(operand_decode(ds, 0, quad, &e).fault == OPERAND_GP);
        e.seg[SEG_DS].ar = 0xc097; /* expands down */
        ck_assert(operand_decode(ds, 0xfff, quad, &e).fault == OPERAND_GP);
        ck_assert(operand_decode(ds, 0x1000, store, &e).fault == OPERAND_OK);
        e.seg[SEG_DS].ar = AR_UNUSABLE;
        ck_assert(operand_decode(ds, 0, quad, &e).fault == OPERAND_GP);
}
END_TEST

START_TEST(impossible_information)
{
        const struct operand_env e = env64();
        const uint32_t sane = info(INSN_ADDR_64, SEG_DS, NO_BASE | NO_INDEX);
        for (unsigned size = 3; size < 8; size++)
                ck_assert(operand_decode((uint32_t)PUT(sane, INSN_ADDR_SIZE, size), 0, quad, &e).fault ==
                          OPERAND_GP);
        for (unsigned seg = SEG_COUNT; seg < 8; seg++)
                ck_assert(operand_decode((uint32_t)PUT(sane, INSN_SEG, seg), 0, quad, &e).fault ==
                          OPERAND_GP);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("operand");
        TCase *t = tcase_create("operand");
        tcase_add_test(t, registers);
        tcase_add_test(t, addresses_64);
        tcase_add_test(t, canonical_limits);
        tcase_add_test(t, addresses_32);
        tcase_add_test(t, segment_checks_32);
        tcase_add_test(t, impossible_information);
        suite_add_tcase(s, t);
        return suite_run(s);
}
