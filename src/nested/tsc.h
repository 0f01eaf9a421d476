/* SPDX-License-Identifier: BSD-2-Clause */
/* tsc.h - how VMX maps the time-stamp counter for a guest. [pure]
 *
 * SDM 3C "Time-Stamp Counter Offset and Multiplier": RDTSC, RDTSCP and RDMSR of the guest read
 * (TSC * multiplier >> 48) + offset. */
#ifndef CASCADE_NESTED_TSC_H
#define CASCADE_NESTED_TSC_H

#include <stdint.h>

#define TSC_FRACTION_BITS 48
#define TSC_UNSCALED      (1ull << TSC_FRACTION_BITS)

struct tsc_map {
        uint64_t multiplier; /* unsigned, 48 bits behind the point */
        uint64_t offset;     /* two's complement */
};

static inline uint64_t tsc_read(struct tsc_map m, uint64_t tsc)
{
        return (uint64_t)((unsigned __int128)tsc * m.multiplier >> TSC_FRACTION_BITS) + m.offset;
}

/* The map of the processor's TSC for one who is to see `m` of a TSC that is `offset` ahead of the processor's. `offset` is
 * signed, and so is its product, which is rounded down: a reading can be one tick less than m of the TSC that is ahead. */
static inline struct tsc_map tsc_map_behind(uint64_t offset, struct tsc_map m)
{
        const __int128 scaled = (__int128)(int64_t)offset * (__int128)m.multiplier >> TSC_FRACTION_BITS;
        return (struct tsc_map){ .multiplier = m.multiplier, .offset = (uint64_t)scaled + m.offset };
}

#endif
