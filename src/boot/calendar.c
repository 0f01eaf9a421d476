/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/calendar.h"
#include <stdbool.h>
#include "base/bits.h"

#define B_24H    BIT(1)
#define B_BINARY BIT(2)
#define HOUR_PM  BIT(7) /* without B_24H: hours run from 12 over 1 to 11 */

static unsigned number(const struct cmos_clock *c, unsigned raw)
{
        return c->status_b & B_BINARY ? raw : (raw >> 4) * 10 + (raw & 15);
}

static unsigned hours(const struct cmos_clock *c)
{
        if (c->status_b & B_24H)
                return number(c, c->hour);
        return number(c, c->hour & (uint8_t)~HOUR_PM) % 12 + (c->hour & HOUR_PM ? 12 : 0);
}

/* Days from 1970-01-01 in the Gregorian calendar, for years from 1970. */
static uint64_t days_since_1970(unsigned y, unsigned m, unsigned d)
{
        static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
        const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        const unsigned past = y - 1;
        const uint64_t leaps = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
        return (uint64_t)(y - 1970) * 365 + leaps + before[m - 1] + (leap && m > 2) + d - 1;
}

uint64_t calendar_epoch(const struct cmos_clock *c)
{
        const unsigned century = number(c, c->century), month = number(c, c->month), day = number(c, c->day);
        const unsigned year = (century >= 19 && century <= 30 ? century : 20) * 100 + number(c, c->year);
        const uint64_t days = days_since_1970(year < 1970 ? 1970 : year, month == 0 ? 1 : month > 12 ? 12 : month,
                                              day == 0 ? 1 : day);
        return days * 86400 + hours(c) * 3600ull + number(c, c->minute) * 60ull + number(c, c->second);
}
