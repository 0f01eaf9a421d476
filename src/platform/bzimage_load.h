/* SPDX-License-Identifier: BSD-2-Clause */
/* bzimage_load.h - Linux bzImages, boot protocol 2.06 and later, by their 64-bit or 32-bit entry. [pure]
 *
 * Offsets and meanings are those of the kernel's Documentation/x86/boot.rst ("The Real-Mode Kernel Header")
 * and zero-page.rst. The real-mode part is not run: the zero page ("boot_params") is built here instead. */
#ifndef CASCADE_PLATFORM_BZIMAGE_LOAD_H
#define CASCADE_PLATFORM_BZIMAGE_LOAD_H

#include "platform/load_place.h"

bool bzimage_recognise(const uint8_t *kernel, uint64_t len);

/* Claims and writes the kernel, the initrd (module 0, the only one there may be) and the boot information. */
enum load_status bzimage_load(struct place *p, struct load_result *result);

#endif
