/* SPDX-License-Identifier: BSD-2-Clause */
/* elf_load.h - ELF executables (32 and 64 bit) into guest RAM, entered through their PVH note. [pure]
 *
 * Segments go to their physical addresses. Each must lie in usable RAM and clear of every other; what follows
 * a segment's file bytes is zeroed. */
#ifndef CASCADE_PLATFORM_ELF_LOAD_H
#define CASCADE_PLATFORM_ELF_LOAD_H

#include "platform/load_place.h"

bool elf_recognise(const uint8_t *kernel, uint64_t len);

/* Claims and writes all segments; *entry is what the PVH note says. */
enum load_status elf_load(struct place *p, l1gpa_t *entry);

#endif
