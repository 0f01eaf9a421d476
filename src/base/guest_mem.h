/* SPDX-License-Identifier: BSD-2-Clause */
/* guest_mem.h - the guest's RAM as bytes this hypervisor can reach. [pure]
 *
 * The guest sees RAM at l1gpa [0, low_bytes) and, when it has more than fits below the hole for devices,
 * at [4 GiB, 4 GiB + high_bytes). Both parts are one contiguous run of bytes at `ram`.
 * Every address that a guest hands over goes through guest_mem_at(): there is no other way in. */
#ifndef CASCADE_BASE_GUEST_MEM_H
#define CASCADE_BASE_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include "base/addr.h"

struct guest_mem {
        uint8_t *ram;        /* where byte 0 of the guest's RAM is in our address space */
        uint64_t low_bytes;  /* RAM below the device hole; <= GUEST_LOW_MAX */
        uint64_t high_bytes; /* RAM from 4 GiB up */
};

#define GUEST_LOW_MAX 0xc0000000ull /* 3 GiB: the device hole is [3 GiB, 4 GiB) */

/* Our pointer to `bytes` bytes of guest RAM from `at`, or NULL if any of them is not RAM (device hole,
 * beyond the end, wrapping around, straddling the hole). */
static inline void *guest_mem_at(const struct guest_mem *m, l1gpa_t at, uint64_t bytes)
{
        if (at.raw < m->low_bytes && bytes <= m->low_bytes - at.raw)
                return m->ram + at.raw;
        if (at.raw >= SIZE_4G && at.raw - SIZE_4G < m->high_bytes && bytes <= m->high_bytes - (at.raw - SIZE_4G))
                return m->ram + m->low_bytes + (at.raw - SIZE_4G);
        return NULL;
}

#endif
