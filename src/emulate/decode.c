/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulate/decode.h"
#include <capstone/capstone.h>
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"
#include "emulate/vector_state.h"

#define REX_R BIT(2)
#define REX_W BIT(3)

#define MODRM_REG BITS(5, 3)

/* Instructions with an explicit memory operand, by libcapstone's number. Moves to and from segment registers
 * have the number of MOV, too: their opcodes are refused. */
static const struct row {
        uint16_t id;
        uint8_t op;
} rows[] = {
        {X86_INS_MOV, MMIO_MOV},         {X86_INS_MOVABS, MMIO_MOV},  {X86_INS_MOVNTI, MMIO_MOV},
        {X86_INS_MOVZX, MMIO_MOVZX},     {X86_INS_MOVSX, MMIO_MOVSX}, {X86_INS_MOVSXD, MMIO_MOVSX},
        {X86_INS_ADD, MMIO_ADD},         {X86_INS_OR, MMIO_OR},       {X86_INS_ADC, MMIO_ADC},
        {X86_INS_SBB, MMIO_SBB},         {X86_INS_AND, MMIO_AND},     {X86_INS_SUB, MMIO_SUB},
        {X86_INS_XOR, MMIO_XOR},         {X86_INS_CMP, MMIO_CMP},     {X86_INS_TEST, MMIO_TEST},
        {X86_INS_INC, MMIO_INC},         {X86_INS_DEC, MMIO_DEC},     {X86_INS_NOT, MMIO_NOT},
        {X86_INS_NEG, MMIO_NEG},         {X86_INS_XCHG, MMIO_XCHG},   {X86_INS_XADD, MMIO_XADD},
        {X86_INS_CMPXCHG, MMIO_CMPXCHG}, {X86_INS_BT, MMIO_BT},       {X86_INS_BTS, MMIO_BTS},
        {X86_INS_BTR, MMIO_BTR},         {X86_INS_BTC, MMIO_BTC},
};

#define OPCODE_MOV_FROM_SREG 0x8c
#define OPCODE_MOV_TO_SREG   0x8e

/* String instructions are known by their opcode: the name MOVSD stands for an SSE instruction as well. */
static const struct string_row {
        uint8_t opcode; /* of the byte form; the next opcode is the wider one */
        uint8_t op;
        uint8_t memory; /* which operand of libcapstone's is in memory */
} string_rows[] = {{0xa4, MMIO_MOVS, 0}, {0xaa, MMIO_STOS, 0}, {0xac, MMIO_LODS, 1}};

static size_t engine_of(unsigned mode_bits)
{
        BUG_UNLESS(mode_bits == 16 || mode_bits == 32 || mode_bits == 64);
        return mode_bits / 32;
}

/* The engines allocate once more when they decode for the first time: that is done here. */
static bool warm_up(struct decoder *d)
{
        static const uint8_t nop[] = {0x90};

        for (size_t i = 0; i < ARRAY_LEN(d->engine); i++) {
                const uint8_t *code = nop;
                size_t n = sizeof(nop);
                uint64_t at = 0;

                if (!cs_disasm_iter(d->engine[i], &code, &n, &at, d->insn) || d->insn->id != X86_INS_NOP)
                        return false;
        }
        return true;
}

bool decoder_open(struct decoder *d)
{
        static const cs_mode modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
        struct vector_state vectors;
        bool ok = true;

        memset(d, 0, sizeof(*d));
        vector_state_save(&vectors);
        for (size_t i = 0; ok && i < ARRAY_LEN(d->engine); i++)
                ok = cs_open(CS_ARCH_X86, modes[i], &d->engine[i]) == CS_ERR_OK &&
                     cs_option(d->engine[i], CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK;
        if (ok)
                d->insn = cs_malloc(d->engine[0]);
        ok = ok && d->insn && warm_up(d);
        vector_state_restore(&vectors);
        return ok;
}

static bool disassemble(struct decoder *d, const uint8_t *code, size_t n, unsigned mode_bits)
{
        struct vector_state vectors;
        uint64_t at = 0;

        vector_state_save(&vectors);
        const bool ok = cs_disasm_iter(d->engine[engine_of(mode_bits)], &code, &n, &at, d->insn);
        vector_state_restore(&vectors);
        return ok && d->insn->size <= INSN_BYTES_MAX;
}

static enum seg_reg segment_override(const cs_x86 *x)
{
        switch (x->prefix[1]) {
        case X86_PREFIX_ES:
                return SEG_ES;
        case X86_PREFIX_CS:
                return SEG_CS;
        case X86_PREFIX_SS:
                return SEG_SS;
        case X86_PREFIX_FS:
                return SEG_FS;
        case X86_PREFIX_GS:
                return SEG_GS;
        default:
                return SEG_DS;
        }
}

static bool size_known(unsigned bytes)
{
        return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

/* The size of a memory operand. libcapstone 4.0 overlooks the prefix 66 in front of F2 or F3 (it would select
 * another instruction if these were SSE opcodes) and answers 4 where the operand has 2 bytes. */
static uint8_t memory_bytes(const cs_x86 *x, const cs_x86_op *mem, unsigned mode_bits)
{
        const bool word = mode_bits != 16 && x->prefix[2] == X86_PREFIX_OPSIZE && !(x->rex & REX_W);

        return mem->size == 4 && word ? 2 : mem->size;
}

/* SDM 2 "REP/REPE/REPZ/REPNE/REPNZ": F2 is not defined for these; processors repeat as for F3. All bytes of
 * such an instruction but the last are prefixes. */
static bool has_rep(const cs_insn *insn)
{
        for (size_t i = 0; i + 1 < insn->size; i++)
                if (insn->bytes[i] == X86_PREFIX_REP || insn->bytes[i] == X86_PREFIX_REPNE)
                        return true;
        return false;
}

static enum decode_status take_string(const cs_insn *insn, const struct string_row *row, unsigned mode_bits,
                                      struct mmio_insn *out)
{
        const cs_x86 *const x = &insn->detail->x86;

        out->op = row->op;
        out->bytes = x->opcode[0] == row->opcode ? 1 : memory_bytes(x, &x->operands[row->memory], mode_bits);
        out->reg_bytes = out->bytes;
        out->seg = (uint8_t)segment_override(x);
        out->rep = has_rep(insn);
        return size_known(out->bytes) ? DECODE_OK : DECODE_UNSUPPORTED;
}

/* SDM 2 "Instruction Prefixes", "REX Prefixes": which register the ModR/M byte names. Without a ModR/M byte
 * (MOV of the accumulator, A0 to A3) it is RAX. */
static void take_register(const cs_x86 *x, struct mmio_insn *out)
{
        const unsigned low = x->encoding.modrm_offset ? (unsigned)GET(x->modrm, MODRM_REG) : GPR_RAX;

        out->reg = (uint8_t)(low | (x->rex & REX_R ? 8 : 0));
        out->reg_high8 = out->reg_bytes == 1 && !x->rex && low >= GPR_RSP;
        if (out->reg_high8)
                out->reg = (uint8_t)(low - GPR_RSP);
}

/* An immediate is what the instruction ends with; sign-extended to the operand in every row of the table. */
static uint64_t take_imm(const struct mmio_insn *insn, const uint8_t *code, unsigned bytes)
{
        uint64_t v = 0;

        memcpy(&v, code, bytes);
        const uint64_t sign = BIT(8 * bytes - 1);
        return ((v ^ sign) - sign) & bytes_mask(insn->bytes);
}

static enum decode_status take_operands(const cs_insn *insn, unsigned mode_bits, struct mmio_insn *out)
{
        const cs_x86 *const x = &insn->detail->x86;
        const unsigned mem = x->operands[0].type == X86_OP_MEM ? 0 : 1;

        if (x->op_count < 1 || x->op_count > 2 || x->operands[mem].type != X86_OP_MEM || mem >= x->op_count)
                return DECODE_UNSUPPORTED;
        out->mem_is_dest = mem == 0;
        out->bytes = memory_bytes(x, &x->operands[mem], mode_bits);
        if (!size_known(out->bytes))
                return DECODE_UNSUPPORTED;
        out->reg_bytes = out->bytes;
        if (x->op_count == 1)
                return DECODE_OK;

        const cs_x86_op *const other = &x->operands[1 - mem];
        out->has_imm = other->type == X86_OP_IMM;
        if (out->has_imm) {
                const unsigned offset = x->encoding.imm_offset, n = insn->size - offset;

                if (offset == 0 || offset >= insn->size || !size_known(n))
                        return DECODE_UNSUPPORTED;
                out->imm = take_imm(out, insn->bytes + offset, n);
                return DECODE_OK;
        }
        if (other->type != X86_OP_REG)
                return DECODE_UNSUPPORTED;
        if (out->op == MMIO_MOVZX || out->op == MMIO_MOVSX)
                out->reg_bytes = other->size;
        if (!size_known(out->reg_bytes))
                return DECODE_UNSUPPORTED;
        take_register(x, out);
        return DECODE_OK;
}

static enum decode_status take(const cs_insn *insn, unsigned mode_bits, struct mmio_insn *out)
{
        const cs_x86 *const x = &insn->detail->x86;

        *out = (struct mmio_insn){.len = (uint8_t)insn->size, .addr_bytes = x->addr_size};
        for (size_t i = 0; i < ARRAY_LEN(string_rows); i++)
                if ((x->opcode[0] & ~1) == string_rows[i].opcode)
                        return take_string(insn, &string_rows[i], mode_bits, out);
        if (x->opcode[0] == OPCODE_MOV_FROM_SREG || x->opcode[0] == OPCODE_MOV_TO_SREG)
                return DECODE_UNSUPPORTED;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                if (insn->id != rows[i].id)
                        continue;
                out->op = rows[i].op;
                return take_operands(insn, mode_bits, out);
        }
        return DECODE_UNSUPPORTED;
}

static struct decoder_line *line_of(struct decoder *d, uint64_t rip)
{
        /* Fibonacci hashing: neighbouring instructions and equal page offsets spread alike. */
        return &d->cache[(rip * 0x9e3779b97f4a7c15ull) >> 56];
}
_Static_assert(DECODER_CACHE == 256, "the top 8 bits of the product are the index");

/* An instruction's meaning depends on its own bytes and the mode only: whether `code` goes on differently
 * after it makes no difference, and a guest that has changed it is noticed. */
static bool line_matches(const struct decoder_line *l, uint64_t rip, const uint8_t *code, size_t n,
                         unsigned mode_bits)
{
        return l->rip == rip && l->mode_bits == mode_bits && n >= l->insn.len &&
               memcmp(l->code, code, l->insn.len) == 0;
}

enum decode_status mmio_decode(struct decoder *d, uint64_t rip, const uint8_t *code, size_t n,
                               unsigned mode_bits, struct mmio_insn *out)
{
        struct decoder_line *const l = line_of(d, rip);

        if (line_matches(l, rip, code, n, mode_bits)) {
                d->hits++;
                *out = l->insn;
                return DECODE_OK;
        }
        d->misses++;
        if (n > INSN_BYTES_MAX)
                n = INSN_BYTES_MAX;
        if (!disassemble(d, code, n, mode_bits) || take(d->insn, mode_bits, out) != DECODE_OK)
                return DECODE_UNSUPPORTED;
        *l = (struct decoder_line){.rip = rip, .mode_bits = (uint8_t)mode_bits, .insn = *out};
        memcpy(l->code, code, out->len);
        return DECODE_OK;
}
