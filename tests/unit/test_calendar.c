/* SPDX-License-Identifier: BSD-2-Clause */
/* The CMOS clock against the C library's calendar. */
#define _DEFAULT_SOURCE
#include <time.h>
#include "suite.h"
#include "boot/calendar.h"

#define B_24H    2
#define B_BINARY 4
#define PM       0x80

static uint8_t bcd(int n)
{
        return (uint8_t)(n / 10 << 4 | n % 10);
}

static struct cmos_clock clock_of(const struct tm *t, uint8_t status_b)
{
        uint8_t raw[7];
        const int year = t->tm_year + 1900;
        const int hour12 = t->tm_hour % 12 ? t->tm_hour % 12 : 12;
        const int values[7] = { t->tm_sec,      t->tm_min, status_b & B_24H ? t->tm_hour : hour12, t->tm_mday,
                                t->tm_mon + 1, year % 100, year / 100 };
        for (int i = 0; i < 7; i++)
                raw[i] = status_b & B_BINARY ? (uint8_t)values[i] : bcd(values[i]);
        if (!(status_b & B_24H) && t->tm_hour >= 12)
                raw[2] |= PM;
        return (struct cmos_clock){ raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6], status_b };
}

static void check(time_t at, uint8_t status_b)
{
        struct tm t;
        gmtime_r(&at, &t);
        const struct cmos_clock c = clock_of(&t, status_b);
        REQUIRE(calendar_epoch(&c) == (uint64_t)at, "%lld is read as %llu, status B %u", (long long)at,
                (unsigned long long)calendar_epoch(&c), status_b);
}

START_TEST(every_day_of_centuries)
{
        /* To the end of 2399: all three rules of the leap year. Odd seconds move through the hours of the day. */
        for (time_t at = 0; at < 13569465600; at += 86400 - 61)
                check(at, B_24H);
}
END_TEST

START_TEST(every_format)
{
        for (time_t at = 1582934400; at < 1583193600; at += 47) /* around 2020-02-29 */
                for (uint8_t b = 0; b <= (B_24H | B_BINARY); b += 2)
                        check(at, b);
}
END_TEST

START_TEST(known_days)
{
        const struct cmos_clock first = { .day = 1, .month = 1, .year = 0x70, .century = 0x19, .status_b = B_24H };
        ck_assert_uint_eq(calendar_epoch(&first), 0);
        const struct cmos_clock leap = { 0x59, 0x59, 0x23, 0x29, 0x02, 0x24, 0x20, B_24H };
        ck_assert_uint_eq(calendar_epoch(&leap), 1709251199);
        const struct cmos_clock no_leap = { 0, 0, 0, 0x01, 0x03, 0x00, 0x21, B_24H }; /* 2100-03-01 */
        ck_assert_uint_eq(calendar_epoch(&no_leap), 4107542400);
}
END_TEST

START_TEST(registers_with_nonsense)
{
        /* No century register: it reads as zero, or as all ones. */
        struct cmos_clock c = { .day = 1, .month = 1, .year = 0x24, .status_b = B_24H };
        ck_assert_uint_eq(calendar_epoch(&c), 1704067200);
        c.century = 0xff;
        ck_assert_uint_eq(calendar_epoch(&c), 1704067200);
        c.century = 0x18;
        ck_assert_uint_eq(calendar_epoch(&c), 1704067200);
        c.century = 0x31;
        ck_assert_uint_eq(calendar_epoch(&c), 1704067200);
        c = (struct cmos_clock){ .day = 1, .month = 1, .year = 0x69, .century = 0x19, .status_b = B_24H };
        ck_assert_uint_eq(calendar_epoch(&c), 0);
        c = (struct cmos_clock){ .year = 0x70, .century = 0x19, .status_b = B_24H }; /* day 0 of month 0 */
        ck_assert_uint_eq(calendar_epoch(&c), 0);
        c.month = 0x13;
        c.day = 1;
        ck_assert_uint_eq(calendar_epoch(&c), 334 * 86400);
        c.month = 0xff;
        ck_assert_uint_eq(calendar_epoch(&c), 334 * 86400);
}
END_TEST

int main(void)
{
        return RUN_SUITE("calendar", every_day_of_centuries, every_format, known_days, registers_with_nonsense);
}
