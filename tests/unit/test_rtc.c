/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <time.h>
#include "base/bits.h"
#include "platform/rtc.h"
#include "platform/ticks.h"

#define HZ    4000000ull
#define START 12345ull

static struct rtc r;

static void fresh(uint64_t epoch)
{
        const struct rtc_config cfg = { .tsc_hz = HZ, .start_tsc = START, .epoch_seconds = epoch,
                                        .low_bytes = 0xc0000000, .high_bytes = 0x140000000 };
        rtc_init(&r, &cfg);
}

static uint64_t at(uint64_t second)
{
        return START + second * HZ;
}

static uint8_t get(uint8_t index, uint64_t now)
{
        rtc_write(&r, 0x70, index, now);
        return rtc_read(&r, 0x71, now);
}

static void set(uint8_t index, uint8_t v, uint64_t now)
{
        rtc_write(&r, 0x70, index, now);
        rtc_write(&r, 0x71, v, now);
}

static unsigned bcd(unsigned v)
{
        return v / 10 * 16 + v % 10;
}

static void expect_time(time_t t, uint64_t now)
{
        struct tm tm;
        ck_assert_ptr_nonnull(gmtime_r(&t, &tm));
        ck_assert_uint_eq(get(0, now), bcd(tm.tm_sec));
        ck_assert_uint_eq(get(2, now), bcd(tm.tm_min));
        ck_assert_uint_eq(get(4, now), bcd(tm.tm_hour));
        ck_assert_uint_eq(get(6, now), (unsigned)tm.tm_wday + 1);
        ck_assert_uint_eq(get(7, now), bcd(tm.tm_mday));
        ck_assert_uint_eq(get(8, now), bcd(tm.tm_mon + 1));
        ck_assert_uint_eq(get(9, now), bcd((tm.tm_year + 1900) % 100));
        ck_assert_uint_eq(get(0x32, now), bcd((tm.tm_year + 1900) / 100));
}

START_TEST(calendar)
{
        static const uint64_t t[] = {0,          951782399,  951782400,  951868800,  1709164800,
                                     1709251199, 1709251200, 1798761599, 4107542399, 4107542400,
                                     2147483647, 2147483648, 4294967296};
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
                fresh(t[i]);
                expect_time((time_t)t[i], at(0));
                expect_time((time_t)t[i] + 1, at(1));
                expect_time((time_t)t[i] + 86399, at(86399));
        }
        for (uint64_t day = 0; day < 400 * 366; day += 13) {
                fresh(day * 86400 + day % 86400);
                expect_time((time_t)(day * 86400 + day % 86400), at(0));
        }
}
END_TEST

START_TEST(formats)
{
        fresh(13 * 3600 + 59 * 60 + 58); /* 13:59:58 */
        ck_assert_uint_eq(get(11, at(0)), 0x02);
        ck_assert_uint_eq(get(4, at(0)), 0x13);
        set(11, 0x06, at(0)); /* binary, 24 h */
        ck_assert_uint_eq(get(4, at(0)), 13);
        ck_assert_uint_eq(get(2, at(0)), 59);
        set(11, 0x00, at(0)); /* BCD, 12 h */
        ck_assert_uint_eq(get(4, at(0)), 0x81);
        ck_assert_uint_eq(get(4, at(11 * 3600)), 0x12); /* half past midnight is 12 */
        ck_assert_uint_eq(get(4, at(23 * 3600)), 0x92); /* noon is 12 PM */
        set(11, 0x04, at(0));
        ck_assert_uint_eq(get(4, at(0)), 0x81);
}
END_TEST

START_TEST(setting_the_time)
{
        fresh(1000);
        set(11, 0x82, at(10)); /* hold updates */
        ck_assert_uint_eq(get(0, at(10)), 0x50);
        ck_assert_uint_eq(get(0, at(19)), 0x50); /* frozen */
        ck_assert_uint_eq(get(10, at(19) + HZ - 10) & 0x80, 0);
        static const uint8_t v[][2] = {{0, 0x56}, {2, 0x34}, {4, 0x12},   {7, 0x29},
                                       {8, 0x02}, {9, 0x24}, {0x32, 0x20}};
        for (unsigned i = 0; i < ARRAY_LEN(v); i++)
                set(v[i][0], v[i][1], at(20));
        set(11, 0x02, at(30));
        expect_time(1709210096, at(30)); /* 2024-02-29 12:34:56 */
        expect_time(1709210096 + 86400, at(30 + 86400));
        set(4, 0x07, at(40)); /* without SET: takes effect at once */
        expect_time(1709210106 - 5 * 3600, at(40));
}
END_TEST

START_TEST(nonsense_is_survived)
{
        fresh(1000);
        for (unsigned i = 0; i <= 0x7f; i++)
                set((uint8_t)i, 0xff, at(1));
        set(11, 0x00, at(1));
        for (unsigned v = 0; v < 256; v++) {
                for (unsigned i = 0; i < 10; i++)
                        set((uint8_t)i, (uint8_t)v, at(2));
                set(0x32, (uint8_t)v, at(2));
                set(11, (uint8_t)(v & 0x86), at(2));
                for (unsigned i = 0; i < 10; i++)
                        get((uint8_t)i, at(3));
        }
        rtc_advance(&r, UINT64_MAX - 1);
        get(0, UINT64_MAX);
        ck_assert_uint_eq(rtc_read(&r, 0x70, 0), 0xff);
}
END_TEST

START_TEST(update_in_progress)
{
        fresh(0);
        const uint64_t begin = at(0) + tsc_from_ticks(32768 - 8, 32768, HZ);
        ck_assert_uint_eq(get(10, begin - 1), 0x26);
        ck_assert_uint_eq(get(10, begin), 0xa6);
        ck_assert_uint_eq(get(10, at(1) - 1), 0xa6);
        ck_assert_uint_eq(get(10, at(1)), 0x26);
        set(10, 0xff, at(1)); /* UIP is read-only */
        ck_assert_uint_eq(get(10, at(1)), 0x7f);
}
END_TEST

START_TEST(periodic)
{
        static const struct {
                uint8_t rate;
                unsigned hz;
        } row[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {15, 2}};
        for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
                fresh(0);
                set(10, 0x20 | row[i].rate, at(0));
                ck_assert_uint_eq(r.due, UINT64_MAX);
                set(11, 0x42, at(0));
                for (uint64_t n = 1; n < 4; n++) {
                        const uint64_t due = START + tsc_from_ticks(n * 32768 / row[i].hz, 32768, HZ);
                        ck_assert_uint_eq(r.due, due);
                        rtc_advance(&r, due - 1);
                        ck_assert(!rtc_irq(&r));
                        rtc_advance(&r, due);
                        ck_assert(rtc_irq(&r));
                        ck_assert_uint_eq(get(12, due) & ~0x10, 0xc0); /* seconds pass as well */
                        ck_assert(!rtc_irq(&r));
                        ck_assert_uint_eq(get(12, due), 0);
                }
        }
        set(10, 0x20, at(5)); /* rate 0: none */
        ck_assert_uint_eq(r.due, UINT64_MAX);
}
END_TEST

START_TEST(update_interrupt)
{
        fresh(0);
        set(10, 0x20, at(0));
        set(11, 0x12, at(0) + 5);
        ck_assert_uint_eq(r.due, at(1));
        rtc_advance(&r, at(1));
        ck_assert(rtc_irq(&r));
        ck_assert_uint_eq(get(12, at(1)), 0x90);
        ck_assert(!rtc_irq(&r));
        set(11, 0x02, at(1));
        ck_assert_uint_eq(r.due, UINT64_MAX);
        ck_assert_uint_eq(get(12, at(3)), 0x10); /* the flag shows without the interrupt */
        ck_assert(!rtc_irq(&r));
        set(12, 0xff, at(3)); /* read-only */
        ck_assert_uint_eq(get(12, at(3)), 0);
        /* Enabling with the flag already up raises the line. */
        rtc_write(&r, 0x70, 11, at(3));
        rtc_read(&r, 0x71, at(4));
        set(11, 0x12, at(4));
        ck_assert(rtc_irq(&r));
        set(11, 0x02, at(4));
        ck_assert(!rtc_irq(&r));
}
END_TEST

START_TEST(alarm)
{
        fresh(0);
        set(10, 0x20, at(0));
        set(1, 0x03, at(0));
        set(3, 0xff, at(0)); /* any minute */
        set(5, 0xc0, at(0)); /* any hour */
        set(11, 0x22, at(0));
        for (uint64_t s = 1; s < 130; s++) {
                rtc_advance(&r, at(s));
                ck_assert_int_eq(rtc_irq(&r), s % 60 == 3);
                ck_assert_uint_eq(get(12, at(s)) & 0x20, s % 60 == 3 ? 0x20 : 0);
        }
        set(3, 0x05, at(130));
        rtc_advance(&r, at(183));
        ck_assert(!rtc_irq(&r));
        for (uint64_t s = 184; s <= 303; s++)
                rtc_advance(&r, at(s));
        ck_assert(rtc_irq(&r));
}
END_TEST

START_TEST(memory)
{
        fresh(0);
        ck_assert_uint_eq(get(0x15, 0) | get(0x16, 0) << 8, 636);
        ck_assert_uint_eq(get(0x17, 0) | get(0x18, 0) << 8, 0xffff);
        ck_assert_uint_eq(get(0x30, 0) | get(0x31, 0) << 8, 0xffff);
        ck_assert_uint_eq(get(0x34, 0) | get(0x35, 0) << 8, 0xbf00);
        ck_assert_uint_eq(get(0x5b, 0) | get(0x5c, 0) << 8 | get(0x5d, 0) << 16, 0x14000);
        ck_assert_uint_eq(get(13, 0), 0x80);
        set(13, 0, 0);
        ck_assert_uint_eq(get(13, 0), 0x80);
        for (uint8_t i = 14; i < 128; i++) {
                if (i == 0x32)
                        continue;
                set(i, (uint8_t)(i ^ 0x5a), 0);
                ck_assert_uint_eq(get((uint8_t)(i | 0x80), 0), i ^ 0x5a); /* bit 7 masks NMI, not the index */
        }
}
END_TEST

int main(void)
{
        return RUN_SUITE("rtc", calendar, formats, setting_the_time, nonsense_is_survived, update_in_progress,
                         periodic, update_interrupt, alarm, memory);
}
