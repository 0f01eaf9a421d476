/* SPDX-License-Identifier: BSD-2-Clause */
/* calendar.h - what the CMOS clock shows, as seconds since 1970. [pure] */
#ifndef CASCADE_BOOT_CALENDAR_H
#define CASCADE_BOOT_CALENDAR_H

#include <stdint.h>

/* Registers as read; status_b tells how their numbers are written. */
struct cmos_clock {
        uint8_t second, minute, hour, day, month, year, century, status_b;
};

/* A day or month of 0 counts as 1, a month above 12 as 12; a century outside 19 to 30 as the 20th hundred. Years
 * before 1970 count as 1970. */
uint64_t calendar_epoch(const struct cmos_clock *c);

#endif
