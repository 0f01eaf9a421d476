/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/rtc.h"
#include "base/addr.h"
#include "base/bits.h"
#include "base/libc.h"
#include "platform/ticks.h"

enum {
        SECONDS,
        SECONDS_ALARM,
        MINUTES,
        MINUTES_ALARM,
        HOURS,
        HOURS_ALARM,
        WEEKDAY,
        DAY,
        MONTH,
        YEAR,
        REG_A,
        REG_B,
        REG_C,
        REG_D
};

#define CRYSTAL_HZ 32768

#define A_UIP       BIT(7)
#define A_RATE      BITS(3, 0)
#define A_NORMAL    0x26 /* divider on, 1024 Hz */
#define B_SET       BIT(7)
#define B_PIE       BIT(6)
#define B_AIE       BIT(5)
#define B_UIE       BIT(4)
#define B_BINARY    BIT(2)
#define B_24H       BIT(1)
#define C_IRQF      BIT(7)
#define C_PF        BIT(6)
#define C_AF        BIT(5)
#define C_UF        BIT(4)
#define D_VALID     BIT(7)
#define HOUR_PM     BIT(7)
#define ALARM_ANY   BITS(7, 6) /* both set: matches every value */
#define UIP_TICKS   8          /* UIP is up for 244 us before an update */
#define INDEX_BITS  BITS(6, 0)

/* Where PC firmware says how much memory there is. */
#define CMOS_BASE_KIB  0x15
#define CMOS_EXT_KIB   0x17
#define CMOS_EXT_KIB2  0x30
#define CMOS_ABOVE_16M 0x34 /* in 64 KiB */
#define CMOS_ABOVE_4G  0x5b /* in 64 KiB, three bytes */
#define BASE_KIB       636  /* up to 0x9f000, as pc_e820() has it */

struct civil {
        int64_t year;
        unsigned month, day, weekday, hour, minute, second;
};

/* Days since 1970-01-01 of a date in the Gregorian calendar. Years are counted from March, so that the leap
 * day is a year's last; 719468 days lie between 0000-03-01 and 1970-01-01. Only years >= 0 occur. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
        const int64_t y = month > 2 ? year : year - 1;
        const int64_t from_march = (month + 9) % 12;
        return 365 * y + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + (int64_t)day - 1 - 719468;
}

static bool is_leap(int64_t y)
{
        return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static struct civil civil_of(int64_t seconds)
{
        static const uint8_t month_days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        const int64_t days = seconds / 86400, rest = seconds % 86400;
        struct civil c = { .year = 1970 + days / 366, .month = 1 };

        while (days_of(c.year + 1, 1, 1) <= days)
                c.year++;
        unsigned day = (unsigned)(days - days_of(c.year, 1, 1));
        for (;;) {
                const unsigned n = month_days[c.month - 1] + (c.month == 2 && is_leap(c.year));
                if (day < n)
                        break;
                day -= n;
                c.month++;
        }
        c.day = day + 1;
        c.weekday = (unsigned)((days + 4) % 7) + 1; /* 1970-01-01 was a Thursday; Sunday is 1 */
        c.hour = (unsigned)(rest / 3600);
        c.minute = (unsigned)(rest / 60 % 60);
        c.second = (unsigned)(rest % 60);
        return c;
}

static uint8_t encode(const struct rtc *r, unsigned v)
{
        return (uint8_t)(r->ram[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(const struct rtc *r, uint8_t v)
{
        return r->ram[REG_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t encode_hour(const struct rtc *r, unsigned hour)
{
        if (r->ram[REG_B] & B_24H)
                return encode(r, hour);
        return (uint8_t)(encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(const struct rtc *r, uint8_t v)
{
        if (r->ram[REG_B] & B_24H)
                return decode(r, v);
        return decode(r, (uint8_t)(v & ~HOUR_PM)) % 12 + (v & HOUR_PM ? 12 : 0);
}

static uint64_t seconds_at(const struct rtc *r, uint64_t now)
{
        return now > r->start ? (now - r->start) / r->tsc_hz : 0;
}

static uint64_t ticks_at(const struct rtc *r, uint64_t now)
{
        return now > r->start ? ticks_from_tsc(now - r->start, CRYSTAL_HZ, r->tsc_hz) : 0;
}

/* Puts the running time into the time registers. */
static void store_time(struct rtc *r, uint64_t now)
{
        const struct civil c = civil_of(r->epoch + (int64_t)seconds_at(r, now));

        r->ram[SECONDS] = encode(r, c.second);
        r->ram[MINUTES] = encode(r, c.minute);
        r->ram[HOURS] = encode_hour(r, c.hour);
        r->ram[WEEKDAY] = encode(r, c.weekday);
        r->ram[DAY] = encode(r, c.day);
        r->ram[MONTH] = encode(r, c.month);
        r->ram[YEAR] = encode(r, (unsigned)(c.year % 100));
        r->ram[RTC_CENTURY] = encode(r, (unsigned)(c.year / 100 % 100));
}

/* Makes the time registers the running time. Nonsense (month 77) becomes some date; it stays in the guest. */
static void load_time(struct rtc *r, uint64_t now)
{
        const int64_t year = decode(r, r->ram[RTC_CENTURY]) * 100 + decode(r, r->ram[YEAR]);
        const unsigned month = decode(r, r->ram[MONTH]);
        const unsigned day = decode(r, r->ram[DAY]);
        const int64_t days = days_of(year, month ? (month - 1) % 12 + 1 : 1, day ? day : 1);
        const int64_t at = days * 86400 + decode_hour(r, r->ram[HOURS]) * 3600 +
                           decode(r, r->ram[MINUTES]) * 60 + decode(r, r->ram[SECONDS]);

        r->epoch = (at < 0 ? 0 : at) - (int64_t)seconds_at(r, now);
}

static bool is_set(const struct rtc *r)
{
        return r->ram[REG_B] & B_SET;
}

/* Ticks of the crystal per periodic interrupt, 0 if off. Rates 1 and 2 are those of 8 and 9. */
static uint64_t period(const struct rtc *r)
{
        const unsigned rate = (unsigned)GET(r->ram[REG_A], A_RATE);
        return rate ? BIT((rate < 3 ? rate + 7 : rate) - 1) : 0;
}

static bool alarm_matches(const struct rtc *r, uint64_t now)
{
        static const uint8_t time_reg[3] = { SECONDS, MINUTES, HOURS };
        struct rtc t = *r;

        store_time(&t, now);
        for (unsigned i = 0; i < 3; i++) {
                const uint8_t want = r->ram[time_reg[i] + 1];
                if ((want & ALARM_ANY) != ALARM_ANY && want != t.ram[time_reg[i]])
                        return false;
        }
        return true;
}

/* Sets the flags of what happened until now; schedules what register B wants to hear of. */
static void catch_up(struct rtc *r, uint64_t now)
{
        const uint64_t seconds = seconds_at(r, now), ticks = ticks_at(r, now), per = period(r);

        if (seconds != r->seconds && !is_set(r)) {
                r->ram[REG_C] |= C_UF;
                if (alarm_matches(r, now))
                        r->ram[REG_C] |= C_AF;
        }
        if (per && ticks / per != r->ticks / per)
                r->ram[REG_C] |= C_PF;
        r->seconds = seconds;
        r->ticks = ticks;
        if (r->ram[REG_C] & r->ram[REG_B] & (C_PF | C_AF | C_UF))
                r->ram[REG_C] |= C_IRQF;

        r->due = UINT64_MAX;
        if ((r->ram[REG_B] & (B_UIE | B_AIE)) && !is_set(r))
                r->due = tsc_add(r->start, (seconds + 1) * r->tsc_hz);
        if ((r->ram[REG_B] & B_PIE) && per) {
                const uint64_t at = tsc_from_ticks((ticks / per + 1) * per, CRYSTAL_HZ, r->tsc_hz);
                if (tsc_add(r->start, at) < r->due)
                        r->due = tsc_add(r->start, at);
        }
}

void rtc_advance(struct rtc *r, uint64_t now)
{
        if (now >= r->due)
                catch_up(r, now);
}

bool rtc_irq(const struct rtc *r)
{
        return r->ram[REG_C] & C_IRQF;
}

static void put_le(uint8_t *at, unsigned bytes, uint64_t v, uint64_t most)
{
        v = v > most ? most : v;
        for (unsigned i = 0; i < bytes; i++)
                at[i] = (uint8_t)(v >> 8 * i);
}

void rtc_init(struct rtc *r, const struct rtc_config *cfg)
{
        const uint64_t low = cfg->low_bytes;
        const uint64_t ext_kib = low > 0x100000 ? (low - 0x100000) >> 10 : 0;

        memset(r, 0, sizeof(*r));
        r->tsc_hz = cfg->tsc_hz;
        r->start = cfg->start_tsc;
        r->epoch = (int64_t)(cfg->epoch_seconds &
                             BITS(40, 0)); /* year 71,000: keeps arithmetic far from overflow */
        r->due = UINT64_MAX;
        r->ram[REG_A] = A_NORMAL;
        r->ram[REG_B] = B_24H;
        r->ram[REG_D] = D_VALID;
        put_le(&r->ram[CMOS_BASE_KIB], 2, BASE_KIB, 0xffff);
        put_le(&r->ram[CMOS_EXT_KIB], 2, ext_kib, 0xffff);
        put_le(&r->ram[CMOS_EXT_KIB2], 2, ext_kib, 0xffff);
        put_le(&r->ram[CMOS_ABOVE_16M], 2, low > 16 * 0x100000 ? (low - 16 * 0x100000) >> 16 : 0, 0xffff);
        put_le(&r->ram[CMOS_ABOVE_4G], 3, cfg->high_bytes >> 16, 0xffffff);
}

static bool is_time(unsigned index)
{
        return index == SECONDS || index == MINUTES || index == HOURS ||
               (index >= WEEKDAY && index <= YEAR) || index == RTC_CENTURY;
}

static bool update_in_progress(const struct rtc *r, uint64_t now)
{
        return !is_set(r) && r->ticks % CRYSTAL_HZ >= CRYSTAL_HZ - UIP_TICKS && now > r->start;
}

uint8_t rtc_read(struct rtc *r, uint16_t port, uint64_t now)
{
        if (port != RTC_DATA_PORT)
                return 0xff; /* the index is write-only */
        catch_up(r, now);
        if (is_time(r->index) && !is_set(r))
                store_time(r, now);
        const uint8_t v = r->ram[r->index];
        if (r->index == REG_C)
                r->ram[REG_C] = 0;
        if (r->index == REG_A && update_in_progress(r, now))
                return (uint8_t)(v | A_UIP);
        return v;
}

static void write_reg_b(struct rtc *r, uint8_t value, uint64_t now)
{
        const bool was_set = is_set(r);

        if (!was_set)
                store_time(r, now);
        if (was_set && !(value & B_SET)) {
                /* The time was written in the format announced together with SET or now: the latter counts.
                 */
                r->ram[REG_B] = (uint8_t)(value | B_SET);
                load_time(r, now);
        }
        r->ram[REG_B] = value;
        if (r->ram[REG_C] & value & (C_PF | C_AF | C_UF))
                r->ram[REG_C] |= C_IRQF;
        else
                r->ram[REG_C] &= (uint8_t)~C_IRQF;
}

void rtc_write(struct rtc *r, uint16_t port, uint8_t value, uint64_t now)
{
        if (port == RTC_INDEX_PORT) {
                r->index = value & INDEX_BITS;
                return;
        }
        catch_up(r, now);
        switch (r->index) {
        case REG_A:
                r->ram[REG_A] = (uint8_t)(value & ~A_UIP);
                break;
        case REG_B:
                write_reg_b(r, value, now);
                break;
        case REG_C:
        case REG_D:
                break; /* read-only */
        default:
                if (is_time(r->index) && !is_set(r))
                        store_time(r, now);
                r->ram[r->index] = value;
                if (is_time(r->index) && !is_set(r))
                        load_time(r, now);
                break;
        }
        catch_up(r, now);
}
