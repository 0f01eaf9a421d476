/* SPDX-License-Identifier: BSD-2-Clause */
/* cpuid.h - CPUID as the guest sees it. [pure] except cpuid_build's reader.
 *
 * The whole answer is computed once: under another hypervisor CPUID itself exits, so executing it in a handler
 * would double the cost of the guest's CPUID at each level. Only what depends on CR4 or XCR0 is filled in at
 * the exit. */
#ifndef CASCADE_RUN_CPUID_H
#define CASCADE_RUN_CPUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hw/cpu.h"

#define CPUID_BASIC_LEAVES 0x17
#define CPUID_SUBLEAVES    16
#define CPUID_EXT_LEAVES   9
#define CPUID_HYPER_LEAVES 2

struct cpuid_table {
        struct cpuid_regs basic[CPUID_BASIC_LEAVES][CPUID_SUBLEAVES];
        struct cpuid_regs ext[CPUID_EXT_LEAVES];
        struct cpuid_regs hyper[CPUID_HYPER_LEAVES];
};

struct cpuid_config {
        unsigned level;    /* absolute level of this cascade, told in the hypervisor leaf */
        uint64_t tsc_hz;   /* told in leaves 0x15 and 0x16 */
        uint32_t apic_id;
        bool vmx;          /* the guest may be a hypervisor */
        bool rdtscp, invpcid, xsaves; /* enabled in vmcs01 */
};

typedef struct cpuid_regs cpuid_fn(uint32_t leaf, uint32_t subleaf);
void cpuid_build(struct cpuid_table *t, const struct cpuid_config *c, cpuid_fn *silicon);

/* Leaf 0xd reports sizes for the current XCR0: read again after that changed. The guest's IA32_XSS is always 0. */
void cpuid_refresh_xsave(struct cpuid_table *t, const struct cpuid_config *c, cpuid_fn *silicon);

/* The answer for leaf (EAX) and subleaf (ECX) while CR4 holds cr4. */
struct cpuid_regs cpuid_answer(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, uint64_t cr4);

/* Basic leaves whose answer depends on ECX, CR4 or XCR0: features, caches, structured features, topology, XSAVE. */
#define CPUID_VARYING (1u << 1 | 1u << 4 | 1u << 7 | 1u << 0xb | 1u << 0xd)

/* The answer for a basic leaf that never varies, or NULL: what cpuid_answer() says of it. */
static inline const struct cpuid_regs *cpuid_constant(const struct cpuid_table *t, uint32_t leaf)
{
        return leaf < CPUID_BASIC_LEAVES && !(CPUID_VARYING >> leaf & 1) ? &t->basic[leaf][0] : NULL;
}

#endif
