/* SPDX-License-Identifier: BSD-2-Clause */
/* gprs.h - the general-purpose registers of a guest, in the order that instruction encodings use. [pure]
 *
 * Whoever saves them at an exit owns them. The processor keeps RSP in the VMCS: whoever reads the file as a
 * whole fills r[GPR_RSP] from there first, and writes it back if it changed. */
#ifndef CASCADE_BASE_GPRS_H
#define CASCADE_BASE_GPRS_H

#include <stdint.h>
#include "base/bits.h"

enum gpr {
        GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
        GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
        NR_GPRS,
};

struct gprs {
        uint64_t r[NR_GPRS]; /* indexed by enum gpr */
};

/* All ones in the low 1, 2, 4 or 8 bytes. */
static inline uint64_t bytes_mask(unsigned bytes)
{
        return BITS(8 * bytes - 1, 0);
}

static inline uint64_t gpr_read(const struct gprs *g, unsigned reg, unsigned bytes)
{
        return g->r[reg] & bytes_mask(bytes);
}

/* SDM 1 "General-Purpose Registers in 64-Bit Mode": 32-bit results are zero-extended, 8-bit and 16-bit
 * results leave the upper bits alone. */
static inline void gpr_write(struct gprs *g, unsigned reg, unsigned bytes, uint64_t value)
{
        const uint64_t mask = bytes_mask(bytes);

        g->r[reg] = bytes >= 4 ? value & mask : (g->r[reg] & ~mask) | (value & mask);
}

#endif
