/* SPDX-License-Identifier: BSD-2-Clause */
/* bits.h - names for bits and bit ranges of hardware layouts: BIT, BITS, GET, PUT. [pure] */
#ifndef CASCADE_BASE_BITS_H
#define CASCADE_BASE_BITS_H

#include <stddef.h>
#include <stdint.h>

#define BIT(n)       (1ull << (n))
/* Mask of bits hi..lo, both included. */
#define BITS(hi, lo) ((~0ull >> (63 - (hi))) & (~0ull << (lo)))
/* Value of the field `mask` in v, shifted down; and v with the field replaced by x. */
#define GET(v, mask)    (((uint64_t)(v) & (mask)) >> __builtin_ctzll(mask))
#define PUT(v, mask, x) (((uint64_t)(v) & ~(mask)) | (((uint64_t)(x) << __builtin_ctzll(mask)) & (mask)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a) - 1))
#define ALIGN_UP(x, a)   ALIGN_DOWN((uint64_t)(x) + (uint64_t)(a) - 1, a)
#define IS_ALIGNED(x, a) (((uint64_t)(x) & ((uint64_t)(a) - 1)) == 0)

_Static_assert(BITS(10, 8) == 0x700, "BITS");
_Static_assert(GET(0x80000b0eull, BITS(10, 8)) == 3, "GET");
_Static_assert(PUT(0xffull, BITS(7, 4), 2) == 0x2f, "PUT");

#endif
