/* SPDX-License-Identifier: BSD-2-Clause */
/* insn.h - carries out an instruction whose memory operand is a device's register. [pure]
 *
 * The instruction comes decoded (emulate/decode.h), the device access goes through struct mmio_bus, registers
 * and flags are changed as the processor would. String instructions run for as long as the device operand
 * stays in its page. The caller advances RIP on MMIO_DONE, leaves it on MMIO_AGAIN, injects *fault on
 * MMIO_FAULT. */
#ifndef CASCADE_EMULATE_INSN_H
#define CASCADE_EMULATE_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/gprs.h"
#include "emulate/view.h"

enum mmio_op {
        MMIO_MOV,
        MMIO_MOVZX,
        MMIO_MOVSX,
        MMIO_ADD,
        MMIO_OR,
        MMIO_ADC,
        MMIO_SBB,
        MMIO_AND,
        MMIO_SUB,
        MMIO_XOR,
        MMIO_CMP,
        MMIO_TEST,
        MMIO_INC,
        MMIO_DEC,
        MMIO_NOT,
        MMIO_NEG,
        MMIO_XCHG,
        MMIO_XADD,
        MMIO_CMPXCHG,
        MMIO_BT,
        MMIO_BTS,
        MMIO_BTR,
        MMIO_BTC,
        MMIO_MOVS,
        MMIO_STOS,
        MMIO_LODS,
        NR_MMIO_OPS,
};

struct mmio_insn {
        uint8_t op;         /* enum mmio_op */
        uint8_t len;        /* of the instruction, in bytes */
        uint8_t bytes;      /* of the memory operand: 1, 2, 4 or 8 */
        uint8_t reg;        /* enum gpr: the register operand, if there is one */
        uint8_t reg_bytes;  /* its size: differs from `bytes` for MOVZX and MOVSX only */
        uint8_t addr_bytes; /* address size: width of the counters of string instructions */
        uint8_t seg;        /* enum seg_reg of the source of MOVS and LODS */
        bool mem_is_dest;   /* memory is the first operand; else a register is */
        bool reg_high8;     /* AH, CH, DH or BH: bits 15:8 of register `reg` */
        bool has_imm;       /* the other operand is `imm`, not a register */
        bool rep;
        uint64_t imm; /* extended to the operand's size */
};

struct mmio_bus {
        void *ctx;
        uint64_t (*read)(void *ctx, l1gpa_t at, unsigned bytes);
        void (*write)(void *ctx, l1gpa_t at, unsigned bytes, uint64_t value);
};

struct mmio_exec {
        const struct guest_view *view; /* for the RAM operand of MOVS; may be NULL for anything else */
        const struct mmio_bus *bus;
        struct gprs *gprs;
        uint64_t *rflags;
        l1gpa_t at;    /* where the device access goes */
        bool is_write; /* the exit was due to a write: tells the operands of MOVS apart */
        bool one;      /* REP instructions: one iteration and no more */
};

enum mmio_status {
        MMIO_DONE,
        MMIO_AGAIN,       /* a REP instruction has iterations left: let the guest execute it again */
        MMIO_FAULT,       /* *fault is due; registers show the iterations that were completed */
        MMIO_NOT_RAM,     /* so do they; fault->at, ->use and ->cr2 say which memory operand is no RAM */
        MMIO_UNSUPPORTED, /* access crosses a page, or MOVS from device to device */
};

enum mmio_status mmio_execute(const struct mmio_insn *i, const struct mmio_exec *e,
                              struct guest_fault *fault);

#endif
