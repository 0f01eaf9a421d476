/* SPDX-License-Identifier: BSD-2-Clause */
/* disk.h - how a boot disk for machines without a PVH loader is laid out. The launcher (scripts/cascade_cli/
 * bootdisk.py) writes it with everything already in its final form; the loader only copies.
 *
 *   LBA 0            boot sector: reads LBA 1..LOADER_SECTORS-1 behind itself by one BIOS call
 *   LBA 1..31        the loader
 *   LBA 32           the catalogue: struct catalogue, one sector
 *   LBA 33...        the blobs the catalogue names, each from a sector boundary
 *
 * The loader reads from the primary ATA channel's master by PIO: far fewer instructions a byte than the BIOS,
 * and no bounce buffer. It enters the image as PVH defines ("x86/HVM direct boot ABI"): 32-bit protected mode
 * without paging, EBX -> hvm_start_info. Fails by one `@cascade ... event=exit` line on port 0xE9 and a stop. */
#ifndef BOOT_DISK_H
#define BOOT_DISK_H

#define LOADER_ADDR      0x7c00 /* where every BIOS puts a boot sector */
#define LOADER_SECTORS   32
#define SECTOR_BYTES     512
#define CATALOGUE_LBA    LOADER_SECTORS
#define CATALOGUE_MAGIC  0x4b53494443534143ull /* "CASCDISK" read as a little-endian word */
#define CATALOGUE_BLOBS  15
#define CMDLINE_ADDR     0x20000 /* the launcher places the command line here, above loader and stack */
#define E820_MAX         32

#ifndef __ASSEMBLER__
#include <stdint.h>

enum blob_kind {
        BLOB_SEGMENT = 1, /* part of the image */
        BLOB_MODULE = 2,  /* listed in hvm_start_info */
        BLOB_CMDLINE = 3, /* NUL-terminated */
};

struct blob {
        uint64_t phys;       /* where it goes */
        uint64_t bytes;      /* that many from lba */
        uint64_t zero_bytes; /* then that many zeroes (an ELF segment's memsz - filesz) */
        uint32_t lba;
        uint32_t kind;
};

struct catalogue {
        uint64_t magic;
        uint32_t entry; /* physical address of the image's PVH entry */
        uint32_t count;
        uint64_t reserved[2];
        struct blob blob[CATALOGUE_BLOBS];
};
_Static_assert(sizeof(struct catalogue) == SECTOR_BYTES, "the catalogue is one sector");

/* What INT 15h AX=E820h returns. */
struct e820_entry {
        uint64_t addr;
        uint64_t bytes;
        uint32_t type;
} __attribute__((packed));
#endif
#endif
