/* SPDX-License-Identifier: BSD-2-Clause */
/* e820.h - one range of the guest's physical memory map, as PC firmware names them. [pure]
 * The loaders turn these into the form that their boot protocol wants (PVH and multiboot2: 24 bytes, zero
 * page: 20 bytes), so this struct is never copied to a guest as it is. */
#ifndef CASCADE_PLATFORM_E820_H
#define CASCADE_PLATFORM_E820_H

#include <stdint.h>

#define E820_RAM      1
#define E820_RESERVED 2
#define E820_MAX      4 /* ranges that pc_e820() can produce */

struct e820_entry {
        uint64_t base; /* l1gpa of the first byte */
        uint64_t bytes;
        uint32_t type; /* E820_* */
};

#endif
