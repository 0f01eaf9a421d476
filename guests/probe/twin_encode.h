/* SPDX-License-Identifier: BSD-2-Clause */
/* twin_encode.h - instructions with every form of operand, written byte by byte. SDM 2 "Instruction Format".
 */
#ifndef PROBE_TWIN_ENCODE_H
#define PROBE_TWIN_ENCODE_H

#include "twin.h"

enum form {
        FORM_NONE,
        FORM_IMM8,    /* a port */
        FORM_MEM,     /* memory; `ext` in the reg field of ModRM */
        FORM_RM,      /* memory or a register; the same */
        FORM_REG,     /* a register; the same */
        FORM_MEM_REG, /* memory and any register */
        FORM_RM_REG,  /* memory or a register, and any register */
        FORM_CR,      /* register number `ext`, and any general register */
};

struct op {
        const char *name;
        uint8_t prefix; /* mandatory, or 0 */
        uint8_t bytes[3], count;
        uint8_t form, ext;
};

struct encoder {
        struct twin *t;
        uint8_t *at;      /* where the next byte goes */
        bool wide;        /* 64-bit mode */
        bool short_addr;  /* address-size prefix, in 64-bit mode only */
        uint64_t operand; /* linear address that a memory operand is to reach */
        uint64_t segment; /* base of the segment override, if there is one */
        uint8_t override;
        unsigned reg, rm; /* registers that were chosen */
        bool memory;
};

/* Writes the instruction at e->at, and into the guest's registers what its memory operand needs. */
void encode(struct encoder *e, const struct op *op);

#endif
