/* SPDX-License-Identifier: BSD-2-Clause */
/* edges.h - a small guest's RAM on both sides of the hole for devices, and addresses around all its edges. */
#ifndef CASCADE_TESTS_FUZZ_EDGES_H
#define CASCADE_TESTS_FUZZ_EDGES_H

#include "base/bits.h"
#include "base/guest_mem.h"
#include "input.h"

#define EDGES_LOW  (8 * PAGE_SIZE)
#define EDGES_HIGH (4 * PAGE_SIZE)

/* An address within 64 KiB of where RAM begins or ends, of the hole, of the physical width, of 2^64; or any. */
static inline uint64_t take_edge(struct input *in)
{
        static const uint64_t edges[] = {
                0, EDGES_LOW, GUEST_LOW_MAX, SIZE_4G, SIZE_4G + EDGES_HIGH, BIT(39), BIT(40), BIT(52), 0xfee00000ull,
        };
        const uint8_t which = take_u8(in);
        const int16_t off = (int16_t)take_u16(in);
        if (which == 0xff)
                return take_u64(in);
        return edges[which % ARRAY_LEN(edges)] + (uint64_t)(int64_t)off;
}

/* Whether all of it is RAM, said in another way than guest_mem_at() says it. */
static inline bool edges_is_ram(uint64_t at, uint64_t bytes)
{
        const unsigned __int128 end = (unsigned __int128)at + bytes;
        return (end <= EDGES_LOW && at < EDGES_LOW) ||
               (at >= SIZE_4G && at < SIZE_4G + EDGES_HIGH && end <= SIZE_4G + EDGES_HIGH);
}

#endif
