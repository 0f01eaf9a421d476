/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulate/shadow_insn.h"
#include "base/bits.h"
#include "base/libc.h"
#include "base/x86.h"

#define OP_STI       0xfb
#define OP_POP_SS    0x17
#define OP_MOV_TO_SR 0x8e
#define SR_SS        2

#define MODRM_MOD BITS(7, 6)
#define MODRM_REG BITS(5, 3)
#define MODRM_RM  BITS(2, 0)
#define REX_B     BIT(0)
#define REX_X     BIT(1)

/* Access rights as in the VMCS. */
#define AR_DPL      BITS(6, 5)
#define AR_DB       BIT(14)
#define AR_UNUSABLE ((uint32_t)BIT(16))

#define DESC_ACCESSED BIT(40)
#define DESC_WRITABLE BIT(41)
#define DESC_CODE     BIT(43)
#define DESC_S        BIT(44)
#define DESC_DPL      BITS(46, 45)
#define DESC_P        BIT(47)
#define DESC_G        BIT(55)
#define TYPE_BYTE     5

/* One instruction being taken apart. */
struct parse {
        const uint8_t *code;
        size_t n, at;
        bool bad;
        uint8_t rex, operand_bytes, addr_bytes;
        bool seg_given;
        enum seg_reg seg;
};

static uint8_t next(struct parse *p)
{
        if (p->at >= p->n) {
                p->bad = true;
                return 0;
        }
        return p->code[p->at++];
}

static int64_t displacement(struct parse *p, unsigned bytes)
{
        uint64_t v = 0;
        for (unsigned i = 0; i < bytes; i++)
                v |= (uint64_t)next(p) << 8 * i;
        const unsigned shift = 64 - 8 * bytes;
        return bytes ? (int64_t)(v << shift) >> shift : 0;
}

/* SDM 2 "Instruction Prefixes". Returns the opcode. */
static uint8_t prefixes(struct parse *p, unsigned mode_bits)
{
        static const struct {
                uint8_t byte;
                enum seg_reg seg;
        } segs[] = { { 0x26, SEG_ES }, { 0x2e, SEG_CS }, { 0x36, SEG_SS }, { 0x3e, SEG_DS }, { 0x64, SEG_FS }, { 0x65, SEG_GS } };
        p->operand_bytes = mode_bits == 16 ? 2 : 4;
        p->addr_bytes = (uint8_t)(mode_bits / 8);
        bool operand = false, addr = false;
        for (;;) {
                const uint8_t b = next(p);
                const bool rex = mode_bits == 64 && (b & 0xf0) == 0x40;
                bool known = rex;
                for (size_t i = 0; i < ARRAY_LEN(segs); i++)
                        if (segs[i].byte == b) {
                                known = p->seg_given = true;
                                p->seg = segs[i].seg;
                        }
                operand |= b == 0x66;
                addr |= b == 0x67;
                known |= b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3;
                if (!known || p->bad) {
                        p->operand_bytes = operand ? p->operand_bytes ^ 6 : p->operand_bytes;
                        p->addr_bytes = addr ? (uint8_t)(mode_bits == 32 ? 2 : 4) : p->addr_bytes;
                        return b;
                }
                p->rex = rex ? b : 0; /* counts only right before the opcode */
        }
}

static uint64_t reg(const struct shadow_env *e, const struct parse *p, unsigned number, uint64_t rex_bit)
{
        return gpr_read(e->gprs, number | (p->rex & rex_bit ? 8 : 0), p->addr_bytes);
}

/* Offset of a memory operand, and the segment it is in unless a prefix says otherwise. */
static uint64_t offset16(const struct shadow_env *e, struct parse *p, unsigned mod, unsigned rm, enum seg_reg *seg)
{
        static const struct {
                uint8_t base, index;
        } forms[] = { { GPR_RBX, GPR_RSI }, { GPR_RBX, GPR_RDI }, { GPR_RBP, GPR_RSI }, { GPR_RBP, GPR_RDI },
                      { GPR_RSI, NR_GPRS }, { GPR_RDI, NR_GPRS }, { GPR_RBP, NR_GPRS }, { GPR_RBX, NR_GPRS } };
        if (mod == 0 && rm == 6)
                return (uint64_t)displacement(p, 2);
        uint64_t at = reg(e, p, forms[rm].base, 0);
        if (forms[rm].index != NR_GPRS)
                at += reg(e, p, forms[rm].index, 0);
        *seg = forms[rm].base == GPR_RBP ? SEG_SS : SEG_DS;
        return at + (uint64_t)displacement(p, mod);
}

static uint64_t offset32(const struct shadow_env *e, struct parse *p, unsigned mod, unsigned rm, enum seg_reg *seg)
{
        uint64_t at = 0;
        unsigned base = rm;
        if (rm == 4) {
                const uint8_t sib = next(p);
                const unsigned index = (unsigned)GET(sib, MODRM_REG);
                base = (unsigned)GET(sib, MODRM_RM);
                if (index != 4 || (p->rex & REX_X))
                        at = reg(e, p, index, REX_X) << GET(sib, MODRM_MOD);
        }
        if (mod == 0 && base == 5) {
                at += (uint64_t)displacement(p, 4);
                /* SDM 2 "RIP-Relative Addressing": no immediate follows, so the instruction ends here. */
                return rm == 5 && e->view->mode_bits == 64 ? at + e->rip + p->at : at;
        }
        at += reg(e, p, base, REX_B);
        if ((base == 4 || base == 5) && !(p->rex & REX_B))
                *seg = SEG_SS;
        return at + (uint64_t)displacement(p, mod == 2 ? 4 : mod);
}

static bool read_selector(const struct shadow_env *e, struct parse *p, uint16_t *out)
{
        const uint8_t modrm = next(p);
        const unsigned mod = (unsigned)GET(modrm, MODRM_MOD), rm = (unsigned)GET(modrm, MODRM_RM);
        if (p->bad || GET(modrm, MODRM_REG) != SR_SS)
                return false;
        if (mod == 3) {
                *out = (uint16_t)e->gprs->r[rm | (p->rex & REX_B ? 8u : 0u)];
                return true;
        }
        enum seg_reg seg = SEG_DS;
        const uint64_t at = p->addr_bytes == 2 ? offset16(e, p, mod, rm, &seg) : offset32(e, p, mod, rm, &seg);
        struct guest_fault ignored;
        return !p->bad && view_read(e->view, p->seg_given ? p->seg : seg, at & bytes_mask(p->addr_bytes), out, sizeof(*out),
                                    &ignored) == VIEW_OK;
}

/* SDM 2 "MOV": loading SS in protected mode. False: it faults. */
static bool load_descriptor(struct shadow_env *e, uint16_t sel)
{
        const struct guest_view *v = e->view;
        const unsigned cpl = v->paging.cpl, rpl = sel & 3;
        if (!(sel & ~3u)) {
                e->ss = (struct guest_segment){ .ar = AR_UNUSABLE | (uint32_t)PUT(0, AR_DPL, cpl) };
                return v->mode_bits == 64 && cpl != 3 && rpl == cpl;
        }
        const struct shadow_table *t = sel & SEL_TI ? &e->ldt : &e->gdt;
        if (!t->usable || (sel | 7u) > t->limit || rpl != cpl)
                return false;
        const uint64_t at = t->base + (sel & ~7u);
        struct gva_result g;
        uint64_t d;
        if (!guest_read_linear(v->mem, &v->paging, at, &d, sizeof(d), ACCESS_SYSTEM | ACCESS_SET_AD, &g))
                return false;
        const uint64_t must = DESC_S | DESC_WRITABLE | DESC_P;
        if ((d & (must | DESC_CODE)) != must || GET(d, DESC_DPL) != cpl)
                return false;
        if (!(d & DESC_ACCESSED)) {
                d |= DESC_ACCESSED;
                const uint8_t type = (uint8_t)(d >> 8 * TYPE_BYTE);
                if (!guest_write_linear(v->mem, &v->paging, at + TYPE_BYTE, &type, 1, ACCESS_SYSTEM | ACCESS_SET_AD, &g))
                        return false;
        }
        const uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
        e->ss = (struct guest_segment){ .base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
                                        .limit = d & DESC_G ? limit << 12 | 0xfff : limit,
                                        .ar = (uint32_t)(d >> 40 & 0xf0ff) };
        return true;
}

static bool load_ss(struct shadow_env *e, uint16_t sel)
{
        const struct guest_paging *p = &e->view->paging;
        e->ss_sel = sel;
        if ((p->cr0 & CR0_PE) && !(p->rflags & RFLAGS_VM))
                return load_descriptor(e, sel);
        e->ss = e->view->seg[SEG_SS];
        e->ss.base = (uint64_t)sel << 4;
        return true;
}

static bool pop_ss(struct shadow_env *e, const struct parse *p)
{
        const unsigned width = e->view->seg[SEG_SS].ar & AR_DB ? 4 : 2;
        const uint64_t sp = gpr_read(e->gprs, GPR_RSP, width);
        uint32_t value = 0;
        struct guest_fault ignored;
        if (e->view->mode_bits == 64 || view_read(e->view, SEG_SS, sp, &value, p->operand_bytes, &ignored) != VIEW_OK ||
            !load_ss(e, (uint16_t)value))
                return false;
        gpr_write(e->gprs, GPR_RSP, width, sp + p->operand_bytes);
        return true;
}

/* SDM 2 "STI": with IOPL below CPL it faults or is about VIF, which blocks nothing. */
static bool sti(struct shadow_env *e)
{
        const struct guest_paging *p = &e->view->paging;
        const bool allowed = !(p->cr0 & CR0_PE) || GET(e->rflags, RFLAGS_IOPL) >= p->cpl;
        if (!allowed || (e->rflags & RFLAGS_IF))
                return false;
        e->rflags |= RFLAGS_IF;
        return true;
}

enum shadow_insn shadow_insn_execute(struct shadow_env *e, const uint8_t *code, size_t n)
{
        struct parse p = { .code = code, .n = n };
        const uint8_t opcode = prefixes(&p, e->view->mode_bits);
        enum shadow_insn done = SHADOW_INSN_NONE;
        uint16_t sel = 0;
        if (p.bad)
                return SHADOW_INSN_NONE;
        if (opcode == OP_STI && sti(e))
                done = SHADOW_INSN_STI;
        else if (opcode == OP_POP_SS && pop_ss(e, &p))
                done = SHADOW_INSN_SS;
        else if (opcode == OP_MOV_TO_SR && read_selector(e, &p, &sel) && load_ss(e, sel))
                done = SHADOW_INSN_SS;
        if (done != SHADOW_INSN_NONE)
                e->rip += p.at;
        return done;
}
