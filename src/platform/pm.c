/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/pm.h"
#include "base/bits.h"
#include "platform/ticks.h"

#define PM1A_ENABLE_PORT (PM1A_EVENT_PORT + 2)

#define CONTROL_SCI_EN BIT(0)
#define CONTROL_TYPE   BITS(12, 10)
#define CONTROL_SLEEP  BIT(13) /* write-only */

void pm_init(struct pm *pm, uint64_t tsc_hz)
{
        *pm = (struct pm){ .tsc_hz = tsc_hz };
}

uint32_t pm_read(const struct pm *pm, uint16_t port, uint64_t now)
{
        const unsigned shift = (port & 3) * 8;

        switch (port & ~3) {
        case PM1A_EVENT_PORT: /* status, always 0, below enable */
                return (uint32_t)pm->enable << 16 >> shift;
        case PM1A_CONTROL_PORT:
                return (uint32_t)(pm->control | CONTROL_SCI_EN) >> shift;
        default:
                return (uint32_t)ticks_from_tsc(now, PM_TIMER_HZ, pm->tsc_hz) >> shift;
        }
}

bool pm_write(struct pm *pm, uint16_t port, uint8_t value)
{
        switch (port) {
        case PM1A_ENABLE_PORT:
                pm->enable = (uint16_t)PUT(pm->enable, BITS(7, 0), value);
                return false;
        case PM1A_ENABLE_PORT + 1:
                pm->enable = (uint16_t)PUT(pm->enable, BITS(15, 8), value);
                return false;
        case PM1A_CONTROL_PORT:
                pm->control = (uint16_t)PUT(pm->control, BITS(7, 0), value);
                return false;
        case PM1A_CONTROL_PORT + 1:
                pm->control = (uint16_t)(PUT(pm->control, BITS(15, 8), value) & ~CONTROL_SLEEP);
                return (value << 8 & CONTROL_SLEEP) && GET(pm->control, CONTROL_TYPE) == PM_SLEEP_S5;
        default:
                return false;
        }
}
