/* SPDX-License-Identifier: BSD-2-Clause */
/* layout.h - constants that assembler and C share: boot protocols, selectors, sizes. [pure] */
#ifndef CASCADE_BASE_LAYOUT_H
#define CASCADE_BASE_LAYOUT_H

#define BOOT_UNKNOWN    0
#define BOOT_PVH        1
#define BOOT_MULTIBOOT2 2

#define SEL_CODE64 0x08
#define SEL_DATA   0x10
#define SEL_TSS    0x18

#define BOOT_PD_COUNT    16 /* without 1 GiB pages, 16 GiB are mapped */
#define BOOT_STACK_BYTES 65536

#endif
