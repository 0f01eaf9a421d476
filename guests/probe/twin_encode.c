/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/libc.h"
#include "twin_encode.h"

#define REX        0x40u
#define REX_R      4u
#define REX_X      2u
#define REX_B      1u
#define ADDR_SIZE  0x67u
#define NEEDS_SIB  4u /* in the rm field: RSP and R12 as base; as index: none */
#define NEEDS_DISP 5u /* RBP and R13 as base; without displacement: none, or relative to RIP */
#define RSP        4u

static void byte(struct encoder *e, unsigned b)
{
        *e->at++ = (uint8_t)b;
}

static void word32(struct encoder *e, uint64_t w)
{
        for (unsigned i = 0; i < 4; i++, w >>= 8)
                byte(e, (unsigned)w & 0xff);
}

static unsigned pick(struct encoder *e, unsigned n)
{
        return (unsigned)(twin_random(e->t) % n);
}

static unsigned any_gpr(struct encoder *e)
{
        return pick(e, e->wide ? NR_GPRS : 8);
}

/* One that may hold an address: the guest's stack pointer stays what it is. */
static unsigned address_gpr(struct encoder *e)
{
        unsigned r;
        do
                r = any_gpr(e);
        while (r == RSP);
        return r;
}

struct address {
        bool has_base, has_index, has_disp8, relative;
        unsigned base, index, scale;
        int32_t disp;
};

static struct address choose(struct encoder *e)
{
        struct address a = {.has_base = pick(e, 5) != 0, .scale = pick(e, 4)};
        a.has_index = pick(e, 2);
        a.has_disp8 = a.has_base && pick(e, 2);
        a.relative = !a.has_base && !a.has_index;
        a.base = address_gpr(e);
        do
                a.index = address_gpr(e);
        while (a.index == a.base);
        a.disp = a.has_disp8 ? (int8_t)pick(e, 256) : (int32_t)pick(e, 0x8000) - 0x4000;
        return a;
}

/* Puts into the registers what makes the address that of the operand. */
static void load_registers(struct encoder *e, const struct address *a)
{
        uint64_t *const r = e->t->l2.gprs.r;
        const uint64_t junk = e->short_addr ? twin_random(e->t) << 32 : 0;
        uint64_t rest = e->operand - e->segment - (uint64_t)(int64_t)a->disp;
        if (a->has_index) {
                r[a->index] = pick(e, 16);
                rest -= r[a->index] << a->scale;
        }
        if (a->has_base)
                r[a->base] = e->wide && !e->short_addr ? rest : (rest & UINT32_MAX) | junk;
}

static void modrm_memory(struct encoder *e, const struct address *a, unsigned reg, unsigned tail)
{
        const bool sib = a->has_index || !a->has_base ? !a->relative || !e->wide : (a->base & 7) == NEEDS_SIB;
        const unsigned mod = !a->has_base ? 0 : a->has_disp8 ? 1 : 2;
        const bool relative = a->relative && e->wide;
        byte(e, mod << 6 | (reg & 7) << 3 | (sib ? NEEDS_SIB : relative ? NEEDS_DISP : a->base & 7));
        if (sib)
                byte(e, a->scale << 6 | (a->has_index ? a->index & 7 : NEEDS_SIB) << 3 |
                                (a->has_base ? a->base & 7 : NEEDS_DISP));
        uint64_t disp = (uint64_t)(int64_t)a->disp;
        if (!a->has_base && !a->has_index) /* what no register holds */
                disp = e->operand - e->segment - (relative ? (uint64_t)e->at + 4 + tail : 0);
        else if (!a->has_base)
                disp = e->operand - e->segment - (e->t->l2.gprs.r[a->index] << a->scale);
        if (mod == 1)
                byte(e, (unsigned)disp & 0xff);
        else
                word32(e, disp);
}

static void prefixes(struct encoder *e, const struct op *op, unsigned rex)
{
        if (e->override)
                byte(e, e->override);
        if (e->short_addr)
                byte(e, ADDR_SIZE);
        if (op->prefix)
                byte(e, op->prefix);
        if (rex)
                byte(e, REX | rex);
        for (unsigned i = 0; i < op->count; i++)
                byte(e, op->bytes[i]);
}

void encode(struct encoder *e, const struct op *op)
{
        const bool has_reg = op->form == FORM_MEM_REG || op->form == FORM_RM_REG;
        e->memory = op->form == FORM_MEM || op->form == FORM_MEM_REG ||
                    ((op->form == FORM_RM || op->form == FORM_RM_REG) && pick(e, 2));
        if (!e->memory)
                e->short_addr = false;
        if (op->form == FORM_NONE || op->form == FORM_IMM8) {
                prefixes(e, op, 0);
                if (op->form == FORM_IMM8)
                        byte(e, 0x80);
                return;
        }
        e->reg = has_reg ? any_gpr(e) : op->ext;
        unsigned rex = e->reg & 8 ? REX_R : 0;
        if (!e->memory) {
                e->rm = op->form == FORM_REG ? address_gpr(e) : any_gpr(e);
                prefixes(e, op, rex | (e->rm & 8 ? REX_B : 0));
                byte(e, 3u << 6 | (e->reg & 7) << 3 | (e->rm & 7));
                return;
        }
        const struct address a = choose(e);
        load_registers(e, &a);
        rex |= (a.has_base && (a.base & 8) ? REX_B : 0) | (a.has_index && (a.index & 8) ? REX_X : 0);
        prefixes(e, op, rex);
        modrm_memory(e, &a, e->reg, 0);
}
