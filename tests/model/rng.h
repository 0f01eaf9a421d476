/* SPDX-License-Identifier: BSD-2-Clause */
/* rng.h - random numbers from a seed that can be printed: xorshift64*. */
#ifndef CASCADE_TESTS_MODEL_RNG_H
#define CASCADE_TESTS_MODEL_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
        uint64_t state; /* never 0 */
};

static inline struct rng rng_seeded(uint64_t seed)
{
        return (struct rng){ (seed + 1) * 0x9e3779b97f4a7c15ull | 1 };
}

static inline uint64_t rng_any(struct rng *r)
{
        r->state ^= r->state >> 12;
        r->state ^= r->state << 25;
        r->state ^= r->state >> 27;
        return r->state * 0x2545f4914f6cdd1dull;
}

/* 0 .. n - 1 */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
        return (rng_any(r) >> 16) % n;
}

static inline bool rng_one_in(struct rng *r, uint64_t n)
{
        return rng_below(r, n) == 0;
}

#endif
