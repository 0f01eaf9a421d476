/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h - how one cascade level divides its RAM: the image, the modules while they are needed, its own pool, and
 * all the rest for its guest. [pure] */
#ifndef CASCADE_BOOT_MEMORY_H
#define CASCADE_BOOT_MEMORY_H

#include "base/guest_mem.h"
#include "boot/boot_info.h"
#include "mm/pool.h"

#define POOL_BYTES      (24ull << 20)
#define GUEST_RAM_LEAST (32ull << 20)

struct memory_plan {
        uint64_t pool_at, pool_bytes;
        uint64_t guest_at, guest_bytes; /* 2 MiB aligned */
};

struct memory_limits {
        uint64_t image_start, image_end; /* where the image is */
        uint64_t mapped_end;             /* RAM from here on is out of our page tables' reach */
        uint64_t guest_bytes;            /* what the guest is to have; 0: all that is left */
};

/* The image and every module stay untouched. False: not enough for pool and guest. */
bool memory_plan_make(const struct boot_info *b, const struct memory_limits *limits, struct memory_plan *out);

/* Splits the guest's RAM at the hole for devices. */
struct guest_mem memory_guest(const struct memory_plan *p);

#endif
