/* SPDX-License-Identifier: BSD-2-Clause */
/* pvh.h - the boot information of the PVH entry (Xen's public interface, hvm/start_info.h, version 1). [pure]
 *
 * start_info, module list, memory map and all strings go into one claimed range of low guest RAM, in two
 * steps: claim before the modules are placed, write when their addresses are known. Also read by src/boot
 * when cascade itself is entered this way. */
#ifndef CASCADE_PLATFORM_PVH_H
#define CASCADE_PLATFORM_PVH_H

#include "platform/load_place.h"

#define PVH_MAGIC     0x336ec578u /* "xEn3" with the top bit of the E set */
#define PVH_VERSION   1
#define PVH_NOTE_TYPE 18 /* XEN_ELFNOTE_PHYS32_ENTRY of owner "Xen" */

struct pvh_start_info {
        uint32_t magic;
        uint32_t version;
        uint32_t flags;
        uint32_t module_count;
        uint64_t modules; /* l1gpa of struct pvh_module[] */
        uint64_t cmdline; /* l1gpa of a terminated string */
        uint64_t rsdp;
        uint64_t memmap; /* l1gpa of struct pvh_memmap[] */
        uint32_t memmap_count;
        uint32_t _zero;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "version 1 of hvm_start_info");

struct pvh_module {
        uint64_t base;
        uint64_t bytes;
        uint64_t cmdline; /* l1gpa of a terminated string, 0: none */
        uint64_t _zero;
};
_Static_assert(sizeof(struct pvh_module) == 32, "hvm_modlist_entry");

struct pvh_memmap {
        uint64_t base;
        uint64_t bytes;
        uint32_t type; /* as in e820 */
        uint32_t _zero;
};
_Static_assert(sizeof(struct pvh_memmap) == 24, "hvm_memmap_table_entry");

/* LOAD_TOO_LARGE if there is no room in low RAM. */
enum load_status pvh_claim(struct place *p, l1gpa_t *start_info);
void pvh_write(const struct place *p, l1gpa_t start_info, const l1gpa_t module_at[LOAD_MODULES_MAX]);

#endif
