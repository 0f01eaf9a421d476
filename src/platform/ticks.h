/* SPDX-License-Identifier: BSD-2-Clause */
/* ticks.h - exact conversion between TSC ticks and the ticks of a slow clock. [pure]
 *
 * Precondition: 0 < hz < 2^26 and 0 < tsc_hz < 2^37 (a hundred GHz). Whole seconds and the rest are converted
 * apart, so that no product needs more than 64 bits and nothing drifts. The two functions fit each other:
 * ticks_from_tsc(tsc_from_ticks(n)) == n as long as hz <= tsc_hz, and one TSC tick earlier it is n - 1. */
#ifndef CASCADE_PLATFORM_TICKS_H
#define CASCADE_PLATFORM_TICKS_H

#include <stdint.h>

/* Ticks of the slow clock completed in `tsc` TSC ticks. */
static inline uint64_t ticks_from_tsc(uint64_t tsc, uint64_t hz, uint64_t tsc_hz)
{
        return tsc / tsc_hz * hz + tsc % tsc_hz * hz / tsc_hz;
}

/* TSC ticks after which `ticks` are completed, rounded up; UINT64_MAX when that is beyond 64 bits. */
static inline uint64_t tsc_from_ticks(uint64_t ticks, uint64_t hz, uint64_t tsc_hz)
{
        const uint64_t rest = (ticks % hz * tsc_hz + hz - 1) / hz;
        uint64_t whole, sum;

        if (__builtin_mul_overflow(ticks / hz, tsc_hz, &whole) || __builtin_add_overflow(whole, rest, &sum))
                return UINT64_MAX;
        return sum;
}

static inline uint64_t tsc_add(uint64_t a, uint64_t b)
{
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
