/* SPDX-License-Identifier: BSD-2-Clause */
/* operand.h - the operands of VMX instructions, decoded from the exit information of the instruction. [pure]
 *
 * No instruction bytes are read: SDM 3C "VM-Exit Instruction-Information Field" tells registers, scaling,
 * segment and address size, the exit qualification tells the displacement. Translating the linear address
 * (and #PF) is up to the caller. */
#ifndef CASCADE_NESTED_OPERAND_H
#define CASCADE_NESTED_OPERAND_H

#include <stdbool.h>
#include <stdint.h>
#include "base/gprs.h"
#include "emulate/view.h"
#include "vmx/controls.h"

#define SEG_COUNT NR_SEG_REGS

/* State of the guest that executed the instruction. */
struct operand_env {
        const struct gprs *gprs;             /* with RSP filled in */
        struct guest_segment seg[SEG_COUNT]; /* indexed by enum seg_reg */
        bool mode64;                         /* 64-bit mode: EFER.LMA and CS.L */
        uint8_t linear_bits;                 /* 48 or 57 */
};

/* The VMX instructions' operands differ in size and direction. */
struct operand_use {
        uint8_t bytes;   /* of the memory operand */
        bool write;      /* VMPTRST, VMREAD */
        bool can_be_reg; /* VMREAD, VMWRITE; in all others the bits that say so are undefined */
};

enum operand_fault {
        OPERAND_OK,
        OPERAND_GP, /* #GP(0) */
        OPERAND_SS, /* #SS(0) */
};

struct vmx_operand {
        enum operand_fault fault;
        bool is_reg;
        enum gpr reg;    /* is_reg */
        uint64_t linear; /* otherwise */
};

/* Faults are what the instruction raises before it touches memory: SDM 3A "Limit Checking", "Type Checking",
 * SDM 1 "Canonical Addressing". Outside 64-bit mode VMX instructions only execute in protected mode; the
 * processor has checked. Information that no processor gives (an address size or segment that does not exist)
 * is OPERAND_GP. */
struct vmx_operand operand_decode(uint32_t insn_info, uint64_t displacement, struct operand_use use,
                                  const struct operand_env *env);

/* Second register operand: with the field's encoding for VMREAD and VMWRITE, with the type for INVEPT and
 * INVVPID. */
static inline enum gpr operand_reg2(uint32_t insn_info)
{
        return (enum gpr)GET(insn_info, INSN_REG2);
}

/* Memory operands of INVEPT and INVVPID. */
struct invept_desc {
        uint64_t eptp;
        uint64_t reserved; /* must be 0 */
};

struct invvpid_desc {
        uint16_t vpid;
        uint16_t reserved[3]; /* must be 0 */
        uint64_t linear;
};
_Static_assert(sizeof(struct invept_desc) == 16 && sizeof(struct invvpid_desc) == 16, "128-bit descriptors");

#endif
