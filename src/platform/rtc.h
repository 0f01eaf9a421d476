/* SPDX-License-Identifier: BSD-2-Clause */
/* rtc.h - MC146818 clock and CMOS memory. [pure]
 *
 * Owns: 128 bytes and the clock. Time of day follows from `now`; it is stored only while the guest holds
 * updates off (SET). Interrupt flags are brought up to date by every access and by rtc_advance(). `due`
 * caches the TSC of the next interrupt that register B asks for. */
#ifndef CASCADE_PLATFORM_RTC_H
#define CASCADE_PLATFORM_RTC_H

#include <stdbool.h>
#include <stdint.h>

#define RTC_INDEX_PORT 0x70
#define RTC_DATA_PORT  0x71
#define RTC_CENTURY    0x32 /* CMOS index, named in the FADT */

struct rtc {
        uint8_t ram[128];
        uint8_t index;
        uint64_t tsc_hz;
        uint64_t start;   /* TSC at which the divider chain read 0 */
        int64_t epoch;    /* time of day at `start`, seconds since 1970 */
        uint64_t seconds; /* since start, as far as flags are up to date */
        uint64_t ticks;   /* of 32768 Hz, likewise */
        uint64_t due;
};

struct rtc_config {
        uint64_t tsc_hz;
        uint64_t start_tsc;
        uint64_t epoch_seconds; /* UTC at start_tsc */
        uint64_t low_bytes;     /* RAM below 4 GiB */
        uint64_t high_bytes;    /* RAM from 4 GiB up */
};

void rtc_init(struct rtc *r, const struct rtc_config *cfg);
uint8_t rtc_read(struct rtc *r, uint16_t port, uint64_t now);
void rtc_write(struct rtc *r, uint16_t port, uint8_t value, uint64_t now);
void rtc_advance(struct rtc *r, uint64_t now);
/* Level of IRQ 8. */
bool rtc_irq(const struct rtc *r);

#endif
