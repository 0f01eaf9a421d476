/* SPDX-License-Identifier: BSD-2-Clause */
/* pm.h - ACPI fixed hardware: PM1a event and control blocks, PM timer. [pure]
 * Owns the registers; the timer follows from `now`. No event is ever raised: there is nothing to press. ACPI
 * mode is on from the start (SCI_EN reads 1). */
#ifndef CASCADE_PLATFORM_PM_H
#define CASCADE_PLATFORM_PM_H

#include <stdbool.h>
#include <stdint.h>

#define PM1A_EVENT_PORT   0x600 /* 4 bytes: status, enable */
#define PM1A_CONTROL_PORT 0x604 /* 2 bytes */
#define PM_TIMER_PORT     0x608 /* 4 bytes, read-only */
#define PM_PORT_END       0x60c
#define PM_TIMER_HZ       3579545
#define PM_SLEEP_S5       5 /* SLP_TYP that powers off; the DSDT's \_S5 says so */

struct pm {
        uint16_t enable;
        uint16_t control;
        uint64_t tsc_hz;
};

void pm_init(struct pm *pm, uint64_t tsc_hz);
/* port within [PM1A_EVENT_PORT, PM_PORT_END). A read returns the bytes from there to the end of its 32-bit
 * register; a write goes to one byte and returns true if the machine powers off. */
uint32_t pm_read(const struct pm *pm, uint16_t port, uint64_t now);
bool pm_write(struct pm *pm, uint16_t port, uint8_t value);

#endif
