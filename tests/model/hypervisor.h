/* SPDX-License-Identifier: BSD-2-Clause */
/* hypervisor.h - cascade started on the modelled processor, with a guest hypervisor in its RAM. */
#ifndef CASCADE_TESTS_MODEL_HYPERVISOR_H
#define CASCADE_TESTS_MODEL_HYPERVISOR_H

#include "processor.h"

#define GUEST_RAM_BYTES (8ull << 20)

/* Resets the processor and starts cascade on it as src/boot/main.c does. The guest hypervisor runs in 64-bit
 * mode at `rip` on the page tables at `cr3`, all of which is up to the caller to put into ram afterwards. */
struct run *hypervisor_start(const struct model_features *has, uint64_t seed, uint64_t rip, uint64_t cr3);
void hypervisor_free(struct run *r);
uint8_t *hypervisor_ram(void);

#endif
