/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulate/insn.h"
#include "base/bug.h"

#define FLAGS_CF    BIT(0)
#define FLAGS_PF    BIT(2)
#define FLAGS_AF    BIT(4)
#define FLAGS_ZF    BIT(6)
#define FLAGS_SF    BIT(7)
#define FLAGS_DF    BIT(10)
#define FLAGS_OF    BIT(11)
#define FLAGS_ARITH (FLAGS_CF | FLAGS_PF | FLAGS_AF | FLAGS_ZF | FLAGS_SF | FLAGS_OF)

static uint64_t sign_bit(unsigned bytes)
{
        return BIT(8 * bytes - 1);
}

static uint64_t sign_extend(uint64_t v, unsigned bytes)
{
        const uint64_t s = sign_bit(bytes);

        return ((v & bytes_mask(bytes)) ^ s) - s;
}

static uint64_t flag_if(bool condition, uint64_t flag)
{
        return condition ? flag : 0;
}

/* ZF, SF and PF follow from any result alone. PF looks at its low byte only. */
static uint64_t result_flags(uint64_t r, unsigned bytes)
{
        return flag_if(!(r & bytes_mask(bytes)), FLAGS_ZF) | flag_if(r & sign_bit(bytes), FLAGS_SF) |
               flag_if(!__builtin_parity((unsigned)(r & bytes_mask(1))), FLAGS_PF);
}

static void set_arith(uint64_t *rflags, uint64_t value)
{
        *rflags = (*rflags & ~FLAGS_ARITH) | value;
}

static uint64_t add(uint64_t a, uint64_t b, bool carry, unsigned bytes, uint64_t *rflags)
{
        const uint64_t mask = bytes_mask(bytes), r = (a + b + carry) & mask;
        /* The carry out of each bit position; its top bit is CF, bit 3 is AF. */
        const uint64_t carries = (a & b) | ((a | b) & ~r);

        set_arith(rflags, result_flags(r, bytes) | flag_if(carries & sign_bit(bytes), FLAGS_CF) |
                                  flag_if(carries & BIT(3), FLAGS_AF) |
                                  flag_if(~(a ^ b) & (a ^ r) & sign_bit(bytes), FLAGS_OF));
        return r;
}

static uint64_t subtract(uint64_t a, uint64_t b, bool borrow, unsigned bytes, uint64_t *rflags)
{
        const uint64_t mask = bytes_mask(bytes), r = (a - b - borrow) & mask;
        const uint64_t borrows = (~a & b) | ((~a | b) & r);

        set_arith(rflags, result_flags(r, bytes) | flag_if(borrows & sign_bit(bytes), FLAGS_CF) |
                                  flag_if(borrows & BIT(3), FLAGS_AF) |
                                  flag_if((a ^ b) & (a ^ r) & sign_bit(bytes), FLAGS_OF));
        return r;
}

/* SDM 2 "AND", "OR", "XOR", "TEST": CF and OF are cleared, AF is undefined (cleared here). */
static uint64_t logic(uint64_t r, unsigned bytes, uint64_t *rflags)
{
        set_arith(rflags, result_flags(r, bytes));
        return r;
}

/* SDM 2 "INC", "DEC": as ADD and SUB, but CF stays. */
static uint64_t step(uint64_t a, bool up, unsigned bytes, uint64_t *rflags)
{
        const uint64_t carry = *rflags & FLAGS_CF;
        const uint64_t r = up ? add(a, 1, false, bytes, rflags) : subtract(a, 1, false, bytes, rflags);

        *rflags = (*rflags & ~FLAGS_CF) | carry;
        return r;
}

/* SDM 2 "BT", "BTS", "BTR", "BTC": the address already accounts for bit offsets beyond the operand. */
static uint64_t bit_test(enum mmio_op op, uint64_t a, uint64_t offset, unsigned bytes, uint64_t *rflags)
{
        const uint64_t bit = BIT(offset & (8 * bytes - 1));

        *rflags = (*rflags & ~FLAGS_CF) | flag_if(a & bit, FLAGS_CF);
        switch (op) {
        case MMIO_BTS:
                return a | bit;
        case MMIO_BTR:
                return a & ~bit;
        case MMIO_BTC:
                return a ^ bit;
        default:
                return a;
        }
}

/* First operand a, second operand b; returns what goes into the first. */
static uint64_t compute(enum mmio_op op, uint64_t a, uint64_t b, unsigned bytes, uint64_t *rflags)
{
        const bool carry = *rflags & FLAGS_CF;

        switch (op) {
        case MMIO_ADD:
        case MMIO_XADD:
                return add(a, b, false, bytes, rflags);
        case MMIO_ADC:
                return add(a, b, carry, bytes, rflags);
        case MMIO_SUB:
        case MMIO_CMP:
                return subtract(a, b, false, bytes, rflags);
        case MMIO_SBB:
                return subtract(a, b, carry, bytes, rflags);
        case MMIO_AND:
        case MMIO_TEST:
                return logic(a & b, bytes, rflags);
        case MMIO_OR:
                return logic(a | b, bytes, rflags);
        case MMIO_XOR:
                return logic(a ^ b, bytes, rflags);
        case MMIO_INC:
                return step(a, true, bytes, rflags);
        case MMIO_DEC:
                return step(a, false, bytes, rflags);
        case MMIO_NEG:
                return subtract(0, a, false, bytes, rflags);
        case MMIO_NOT:
                return ~a & bytes_mask(bytes);
        case MMIO_BT:
        case MMIO_BTS:
        case MMIO_BTR:
        case MMIO_BTC:
                return bit_test(op, a, b, bytes, rflags);
        default:
                return b; /* moves and XCHG */
        }
}

static uint64_t reg_operand(const struct mmio_insn *i, const struct mmio_exec *e)
{
        if (i->reg_high8)
                return GET(e->gprs->r[i->reg], BITS(15, 8));
        return gpr_read(e->gprs, i->reg, i->reg_bytes);
}

static void set_reg_operand(const struct mmio_insn *i, const struct mmio_exec *e, uint64_t v)
{
        if (i->reg_high8)
                e->gprs->r[i->reg] = PUT(e->gprs->r[i->reg], BITS(15, 8), v);
        else
                gpr_write(e->gprs, i->reg, i->reg_bytes, v);
}

static uint64_t device_read(const struct mmio_insn *i, const struct mmio_exec *e)
{
        return e->bus->read(e->bus->ctx, e->at, i->bytes) & bytes_mask(i->bytes);
}

static void device_write(const struct mmio_insn *i, const struct mmio_exec *e, uint64_t v)
{
        e->bus->write(e->bus->ctx, e->at, i->bytes, v & bytes_mask(i->bytes));
}

/* SDM 2 "CMPXCHG": memory is written in either case, with its old value if the comparison failed. */
static void compare_exchange(const struct mmio_insn *i, const struct mmio_exec *e)
{
        const uint64_t old = device_read(i, e), expected = gpr_read(e->gprs, GPR_RAX, i->bytes);

        subtract(expected, old, false, i->bytes, e->rflags);
        device_write(i, e, expected == old ? reg_operand(i, e) : old);
        if (expected != old)
                gpr_write(e->gprs, GPR_RAX, i->bytes, old);
}

static bool only_reads(enum mmio_op op)
{
        return op == MMIO_CMP || op == MMIO_TEST || op == MMIO_BT;
}

/* Register (or nothing) on the left: the device is read once. */
static void execute_to_register(const struct mmio_insn *i, const struct mmio_exec *e)
{
        const uint64_t v = device_read(i, e);

        if (i->op == MMIO_MOVSX) {
                set_reg_operand(i, e, sign_extend(v, i->bytes));
                return;
        }
        const uint64_t r = compute(i->op, reg_operand(i, e), v, i->bytes, e->rflags);
        if (!only_reads(i->op))
                set_reg_operand(i, e, r);
}

static void execute_to_memory(const struct mmio_insn *i, const struct mmio_exec *e)
{
        const uint64_t b = i->has_imm ? i->imm : reg_operand(i, e);

        if (i->op == MMIO_MOV) {
                device_write(i, e, b);
                return;
        }
        const uint64_t a = device_read(i, e);
        const uint64_t r = compute(i->op, a, b, i->bytes, e->rflags);
        if (only_reads(i->op))
                return;
        device_write(i, e, r);
        if (i->op == MMIO_XCHG || i->op == MMIO_XADD)
                set_reg_operand(i, e, a);
}

/* One iteration. RAM is checked before the device is read: reading may have side effects that cannot be
 * undone. */
static enum view_status string_once(const struct mmio_insn *i, const struct mmio_exec *e,
                                    struct guest_fault *fault)
{
        const uint64_t si = gpr_read(e->gprs, GPR_RSI, i->addr_bytes),
                       di = gpr_read(e->gprs, GPR_RDI, i->addr_bytes);
        uint64_t v = 0;

        if (i->op == MMIO_STOS) {
                device_write(i, e, e->gprs->r[GPR_RAX]);
                return VIEW_OK;
        }
        if (i->op == MMIO_LODS) {
                gpr_write(e->gprs, GPR_RAX, i->bytes, device_read(i, e));
                return VIEW_OK;
        }
        if (e->is_write) {
                const enum view_status s = view_read(e->view, i->seg, si, &v, i->bytes, fault);

                if (s == VIEW_OK)
                        device_write(i, e, v);
                return s;
        }
        const enum view_status s = view_probe_write(e->view, SEG_ES, di, i->bytes, fault);
        if (s != VIEW_OK)
                return s;
        v = device_read(i, e);
        return view_write(e->view, SEG_ES, di, &v, i->bytes, fault);
}

static void advance(const struct mmio_insn *i, const struct mmio_exec *e, unsigned reg, uint64_t by)
{
        gpr_write(e->gprs, reg, i->addr_bytes, e->gprs->r[reg] + by);
}

/* Iterations for which the device operand stays in its page, the first included. */
static uint64_t iterations_in_page(const struct mmio_insn *i, const struct mmio_exec *e)
{
        const uint64_t in_page = e->at.raw & (PAGE_SIZE - 1);

        return *e->rflags & FLAGS_DF ? in_page / i->bytes + 1 : (PAGE_SIZE - in_page) / i->bytes;
}

/* SDM 2 "REP/REPE/REPZ/REPNE/REPNZ": a fault or an interrupt leaves the registers as of the last iteration
 * that was completed, and RIP at the instruction. */
static enum mmio_status execute_string(const struct mmio_insn *i, const struct mmio_exec *start,
                                       struct guest_fault *fault)
{
        const uint64_t by = *start->rflags & FLAGS_DF ? -(uint64_t)i->bytes : i->bytes;
        struct mmio_exec e = *start;

        for (uint64_t n = start->one ? 1 : iterations_in_page(i, start); n > 0; n--) {
                if (i->rep && !gpr_read(e.gprs, GPR_RCX, i->addr_bytes))
                        return MMIO_DONE;
                const enum view_status s = string_once(i, &e, fault);
                if (s != VIEW_OK)
                        return s == VIEW_FAULT ? MMIO_FAULT : MMIO_NOT_RAM;
                if (i->op != MMIO_STOS)
                        advance(i, &e, GPR_RSI, by);
                if (i->op != MMIO_LODS)
                        advance(i, &e, GPR_RDI, by);
                if (!i->rep)
                        return MMIO_DONE;
                advance(i, &e, GPR_RCX, -1ull);
                e.at.raw += by;
        }
        return gpr_read(e.gprs, GPR_RCX, i->addr_bytes) ? MMIO_AGAIN : MMIO_DONE;
}

enum mmio_status mmio_execute(const struct mmio_insn *i, const struct mmio_exec *e, struct guest_fault *fault)
{
        BUG_UNLESS(i->op < NR_MMIO_OPS && i->reg < NR_GPRS && i->bytes && i->bytes <= 8);
        if ((e->at.raw & (PAGE_SIZE - 1)) + i->bytes > PAGE_SIZE)
                return MMIO_UNSUPPORTED;
        switch (i->op) {
        case MMIO_MOVS:
        case MMIO_STOS:
        case MMIO_LODS:
                return execute_string(i, e, fault);
        case MMIO_CMPXCHG:
                compare_exchange(i, e);
                return MMIO_DONE;
        default:
                if (i->mem_is_dest)
                        execute_to_memory(i, e);
                else
                        execute_to_register(i, e);
                return MMIO_DONE;
        }
}
