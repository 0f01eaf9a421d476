/* SPDX-License-Identifier: BSD-2-Clause */
/* load_place.h - which guest RAM an image loader has given away, and where there is room for more. [pure]
 *
 * Holds no memory of its own: a struct place lives for one guest_load(). A range can be claimed when every
 * byte of it is guest RAM, is called usable by the memory map and by no other entry of it, and is not claimed
 * yet. */
#ifndef CASCADE_PLATFORM_LOAD_PLACE_H
#define CASCADE_PLATFORM_LOAD_PLACE_H

#include <stdbool.h>
#include "platform/loader.h"

#define PLACE_MAX 64

/* First address that the loader takes for its own structures: below it kernels put real-mode trampolines. */
#define PLACE_FLOOR 0x10000ull

struct place_range {
        uint64_t base;
        uint64_t bytes;
};

struct place {
        const struct load_request *req;
        struct place_range taken[PLACE_MAX];
        size_t taken_count;
};

/* Is every byte RAM that the memory map leaves to the guest? False for ranges that wrap around. */
bool place_usable(const struct place *p, uint64_t base, uint64_t bytes);
/* Claims exactly this range. False: not usable, overlaps a claimed one, or PLACE_MAX ranges are claimed. */
bool place_claim(struct place *p, uint64_t base, uint64_t bytes);

/* Claim `bytes` (0 counts as 1) within [floor, ceiling), at a multiple of `align` (a power of two): the
 * lowest or the highest place there is. False: no room. */
bool place_lowest(struct place *p, uint64_t bytes, uint64_t align, uint64_t floor, uint64_t ceiling,
                  uint64_t *base);
bool place_highest(struct place *p, uint64_t bytes, uint64_t align, uint64_t ceiling, uint64_t *base);

/* Copies all modules to page-aligned places as high as possible in low RAM below `ceiling`; at[i] is where.
 */
enum load_status place_modules(struct place *p, uint64_t ceiling, l1gpa_t at[LOAD_MODULES_MAX]);

/* Writes `len` bytes and zeroes the rest of `total` at a claimed range. */
void place_write(const struct place *p, uint64_t base, const void *bytes, uint64_t len, uint64_t total);

#endif
