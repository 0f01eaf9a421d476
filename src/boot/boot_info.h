/* SPDX-License-Identifier: BSD-2-Clause */
/* boot_info.h - what the boot loader handed over, in one form for PVH and multiboot2.
 * Filled once from the loader's structures, which may be overwritten afterwards. Counts are bounded: surplus
 * modules and memory map entries are ignored. Modules stay where the loader put them. [pure] */
#ifndef CASCADE_BOOT_BOOT_INFO_H
#define CASCADE_BOOT_BOOT_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOT_CMDLINE_BYTES 4096
#define BOOT_MAX_MODULES   16
#define BOOT_MAX_RANGES    64

struct boot_range {
        uint64_t base, bytes; /* usable RAM */
};

struct boot_module {
        const uint8_t *bytes;
        uint64_t len;
};

struct boot_info {
        char cmdline[BOOT_CMDLINE_BYTES]; /* zero-terminated; truncated if longer */
        struct boot_module modules[BOOT_MAX_MODULES];
        size_t module_count;
        struct boot_range ram[BOOT_MAX_RANGES];
        size_t ram_count;
};

/* Reads the structure at `info` (identity-mapped) of the protocol (BOOT_*). False if it is not valid. */
bool boot_info_read(struct boot_info *out, uint32_t protocol, const void *info);

/* If module 0 is a container ("CASCMODS", see boot_info.c), replaces the module list by what it contains.
 * False if it is a container but damaged. */
bool boot_info_unpack(struct boot_info *b);

#endif
