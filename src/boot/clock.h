/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h - how fast the TSC of this machine counts. */
#ifndef CASCADE_BOOT_CLOCK_H
#define CASCADE_BOOT_CLOCK_H

#include <stdint.h>

/* Ticks per second. Believes CPUID leaf 0x15 under a hypervisor, which knows; otherwise counts 50 ms of the 8254,
 * as emulators report the leaf of the processor they imitate, not of themselves. */
uint64_t clock_tsc_hz(void);

/* Seconds since 1970 by the CMOS clock. */
uint64_t clock_epoch_seconds(void);

#endif
