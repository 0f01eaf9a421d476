/* SPDX-License-Identifier: BSD-2-Clause */
/* Operands of VMX instructions out of any instruction information, registers, segments and modes. What comes out is an
 * address that the SDM allows, computed here in wider integers, or a fault of the right class. */
#include "base/bug.h"
#include "base/x86.h"
#include "input.h"
#include "nested/operand.h"

typedef unsigned __int128 wide;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* SDM 1 "Specifying an Offset": the sum, cut to the address size. */
static uint64_t offset_of(uint32_t info, uint64_t displacement, const struct gprs *g)
{
        static const wide masks[] = { 0xffff, 0xffffffff, ~0ull };
        const wide base = info & BIT(27) ? 0 : g->r[info >> 23 & 15];
        const wide index = info & BIT(22) ? 0 : (wide)g->r[info >> 18 & 15] << (info & 3);
        return (uint64_t)((base + index + displacement) & masks[info >> 7 & 7]);
}

static bool canonical(wide linear, unsigned bits)
{
        return linear < (wide)1 << (bits - 1) || (linear >= ((wide)1 << 64) - ((wide)1 << (bits - 1)) && linear < (wide)1 << 64);
}

static bool allowed_64(const struct operand_env *e, unsigned seg, uint64_t offset, unsigned bytes, uint64_t *linear)
{
        *linear = (seg == SEG_FS || seg == SEG_GS ? e->seg[seg].base : 0) + offset;
        const wide last = ((wide)*linear + bytes - 1) & ~0ull; /* wraps as the address space does: both ends are canonical */
        return canonical(*linear, e->linear_bits) && canonical(last, e->linear_bits);
}

/* SDM 3A "Limit Checking", "Type Checking" in protected mode. */
static bool allowed_32(const struct guest_segment *s, uint64_t offset, struct operand_use use, uint64_t *linear)
{
        const wide last = (wide)offset + use.bytes - 1;
        const bool code = s->ar & 8, rw = s->ar & 2, down = !code && (s->ar & 4);
        const wide top = s->ar & AR_DB ? 0xffffffff : 0xffff;
        *linear = (s->base + offset) & 0xffffffff;
        if (s->ar & AR_UNUSABLE)
                return false;
        if (use.write ? code || !rw : code && !rw)
                return false;
        return down ? offset > s->limit && last <= top : last <= s->limit;
}

static void check_operand(uint32_t info, uint64_t displacement, struct operand_use use, const struct operand_env *e)
{
        const struct vmx_operand o = operand_decode(info, displacement, use, e);
        const struct vmx_operand again = operand_decode(info, displacement, use, e);
        BUG_UNLESS(o.fault == again.fault && o.linear == again.linear && o.is_reg == again.is_reg && o.reg == again.reg);
        if (use.can_be_reg && (info & BIT(10))) {
                BUG_UNLESS(o.is_reg && o.fault == OPERAND_OK && o.reg == (info >> 3 & 15));
                return;
        }
        BUG_UNLESS(!o.is_reg);
        const unsigned seg = info >> 15 & 7;
        if ((info >> 7 & 7) > 2 || seg > SEG_GS) {
                BUG_UNLESS(o.fault == OPERAND_GP);
                return;
        }
        const uint64_t offset = offset_of(info, displacement, e->gprs);
        uint64_t linear;
        const bool allowed = e->mode64 ? allowed_64(e, seg, offset, use.bytes, &linear)
                                       : allowed_32(&e->seg[seg], offset, use, &linear);
        if (allowed)
                BUG_UNLESS(o.fault == OPERAND_OK && o.linear == linear);
        else
                BUG_UNLESS(o.fault == (seg == SEG_SS ? OPERAND_SS : OPERAND_GP));
}

/* Near what matters: 0, the edges of 16, 32, 47 and 56 bits, 2^64. */
static uint64_t take_address(struct input *in)
{
        static const uint64_t edges[] = { 0, BIT(16), BIT(31), BIT(32), BIT(47), BIT(56), ~BITS(46, 0), ~BITS(55, 0) };
        const uint8_t which = take_u8(in);
        return which == 0xff ? take_u64(in) : edges[which % ARRAY_LEN(edges)] + (uint64_t)(int64_t)(int8_t)take_u8(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint8_t sizes[] = { 4, 8, 16 };
        struct input in = { data, size };
        struct gprs gprs;
        const uint32_t info = take_u32(&in);
        const uint8_t how = take_u8(&in);
        struct operand_env e = { .gprs = &gprs, .mode64 = how & 1, .linear_bits = how & 2 ? 57 : 48 };
        const struct operand_use use = { .bytes = sizes[(how >> 2 & 3) % 3], .write = how & 16, .can_be_reg = how & 32 };
        const uint64_t displacement = take_address(&in);
        for (unsigned i = 0; i < ARRAY_LEN(gprs.r); i++)
                gprs.r[i] = take_address(&in);
        for (unsigned s = 0; s < SEG_COUNT; s++)
                e.seg[s] = (struct guest_segment){ .base = take_address(&in), .limit = (uint32_t)take_address(&in), .ar = take_u32(&in) };
        check_operand(info, displacement, use, &e);
        check_operand(info & ~(uint32_t)(BIT(9) | BIT(17)), displacement, use, &e); /* more often something that exists */
        return 0;
}
