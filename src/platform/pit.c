/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/pit.h"
#include "base/bits.h"
#include "base/libc.h"
#include "platform/ticks.h"

#define CW_CHANNEL BITS(7, 6)
#define CW_ACCESS  BITS(5, 4)
#define CW_MODE    BITS(3, 1)
#define CW_BCD     BIT(0)

#define READ_BACK           3 /* in CW_CHANNEL */
#define READ_BACK_NO_COUNT  BIT(5)
#define READ_BACK_NO_STATUS BIT(4)
#define READ_BACK_CHANNEL0  1 /* bit of channel 0 */

#define ACCESS_LATCH 0
#define ACCESS_LOW   1
#define ACCESS_HIGH  2
#define ACCESS_BOTH  3

#define STATUS_OUT  BIT(7)
#define STATUS_NULL BIT(6)

#define P61_GATE2   BIT(0)
#define P61_WRITE   BITS(3, 0)
#define P61_REFRESH BIT(4)
#define P61_OUT2    BIT(5)

#define REFRESH_TICKS 18 /* DRAM refresh, 15 us */

void pit_init(struct pit *p, uint64_t tsc_hz)
{
        memset(p, 0, sizeof(*p));
        p->tsc_hz = tsc_hz;
        p->due = UINT64_MAX;
        for (unsigned i = 0; i < 3; i++) {
                p->ch[i].access = ACCESS_BOTH;
                p->ch[i].gate = i != 2;
        }
}

/* Modes 1 and 5 start on a rising gate, not on a count. */
static bool needs_trigger(const struct pit_channel *c)
{
        return c->mode == 1 || c->mode == 5;
}

static bool is_periodic(const struct pit_channel *c)
{
        return c->mode == 2 || c->mode == 3;
}

static uint64_t elapsed(const struct pit *p, const struct pit_channel *c, uint64_t now)
{
        if (!c->running)
                return c->held;
        return now > c->start ? ticks_from_tsc(now - c->start, PIT_HZ, p->tsc_hz) : 0;
}

static bool output(const struct pit *p, const struct pit_channel *c, uint64_t now)
{
        const uint64_t t = elapsed(p, c, now);

        switch (c->mode) {
        case 0:
                return c->loaded && t >= c->count;
        case 1:
                return !c->running || t >= c->count;
        case 2:
                return !c->running || t % c->count != c->count - 1;
        case 3:
                return !c->running || t % c->count < (c->count + 1) / 2;
        default: /* 4, 5: one low tick at the end */
                return !c->running || t != c->count;
        }
}

static uint16_t to_bcd(uint32_t v)
{
        return (uint16_t)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

static uint32_t from_bcd(uint16_t v)
{
        return (uint32_t)(GET(v, BITS(15, 12)) * 1000 + GET(v, BITS(11, 8)) * 100 + GET(v, BITS(7, 4)) * 10 +
                          (v & 15));
}

static uint16_t current(const struct pit *p, const struct pit_channel *c, uint64_t now)
{
        const uint64_t wrap = c->bcd ? 10000 : 65536;
        const uint64_t t = elapsed(p, c, now);
        uint64_t left;

        if (!c->count)
                return 0;
        if (c->mode == 2)
                left = c->count - t % c->count;
        else if (c->mode == 3) /* counts down by two, twice per period */
                left = c->count - 2 * t % c->count;
        else
                left = (c->count % wrap + wrap - t % wrap) % wrap;
        return c->bcd ? to_bcd((uint32_t)(left % wrap)) : (uint16_t)left;
}

/* Next rising edge of channel 0 after `now`. */
static void schedule(struct pit *p, uint64_t now)
{
        const struct pit_channel *c = &p->ch[0];
        uint64_t at;

        p->due = UINT64_MAX;
        if (!c->running)
                return;
        if (is_periodic(c))
                at = (elapsed(p, c, now) / c->count + 1) * c->count;
        else
                at = c->mode == 0 ? c->count : c->count + 1ull; /* mode 4 rises again after its strobe */
        const uint64_t due = tsc_add(c->start, tsc_from_ticks(at, PIT_HZ, p->tsc_hz));
        if (due > now)
                p->due = due;
}

bool pit_advance(struct pit *p, uint64_t now)
{
        if (now < p->due)
                return false;
        schedule(p, now);
        return true;
}

static void start(struct pit_channel *c, uint64_t now)
{
        c->running = true;
        c->start = now;
        c->held = 0;
}

static void load(struct pit *p, struct pit_channel *c, uint16_t raw, uint64_t now)
{
        const uint32_t v = c->bcd ? from_bcd(raw) : raw;

        c->count = v ? v : (c->bcd ? 10000 : 65536);
        c->loaded = true;
        if (!needs_trigger(c)) {
                start(c, now);
                c->running = c->gate;
        }
        if (c == &p->ch[0])
                schedule(p, now);
}

static void write_count(struct pit *p, struct pit_channel *c, uint8_t value, uint64_t now)
{
        if (c->access == ACCESS_LOW) {
                load(p, c, value, now);
        } else if (c->access == ACCESS_HIGH) {
                load(p, c, (uint16_t)(value << 8), now);
        } else if (!c->have_low) {
                c->have_low = true;
                c->low = value;
        } else {
                c->have_low = false;
                load(p, c, (uint16_t)(value << 8 | c->low), now);
        }
}

static void latch_count(const struct pit *p, struct pit_channel *c, uint64_t now)
{
        if (c->count_latched)
                return; /* the first latch stands until it is read */
        c->count_latched = true;
        c->latched = current(p, c, now);
}

static void latch_status(const struct pit *p, struct pit_channel *c, uint64_t now)
{
        if (c->status_latched)
                return;
        c->status_latched = true;
        c->status =
                (uint8_t)((output(p, c, now) ? STATUS_OUT : 0) | (c->loaded ? 0 : STATUS_NULL) |
                          PUT(0, CW_ACCESS, c->access) | PUT(0, CW_MODE, c->mode) | (c->bcd ? CW_BCD : 0));
}

static void read_back(struct pit *p, uint8_t cw, uint64_t now)
{
        for (unsigned i = 0; i < 3; i++) {
                if (!(cw & BIT(READ_BACK_CHANNEL0 + i)))
                        continue;
                if (!(cw & READ_BACK_NO_STATUS))
                        latch_status(p, &p->ch[i], now);
                if (!(cw & READ_BACK_NO_COUNT))
                        latch_count(p, &p->ch[i], now);
        }
}

static void write_control(struct pit *p, uint8_t cw, uint64_t now)
{
        const unsigned n = (unsigned)GET(cw, CW_CHANNEL);
        const unsigned mode = (unsigned)GET(cw, CW_MODE);

        if (n == READ_BACK) {
                read_back(p, cw, now);
                return;
        }
        struct pit_channel *c = &p->ch[n];
        if (GET(cw, CW_ACCESS) == ACCESS_LATCH) {
                latch_count(p, c, now);
                return;
        }
        *c = (struct pit_channel){ .mode = (uint8_t)(mode > 5 ? mode - 4 : mode), /* 6 and 7 alias 2 and 3 */
                                   .access = (uint8_t)GET(cw, CW_ACCESS),
                                   .bcd = cw & CW_BCD,
                                   .gate = c->gate };
        if (n == 0)
                schedule(p, now);
}

void pit_write(struct pit *p, uint16_t port, uint8_t value, uint64_t now)
{
        if (port == PIT_CONTROL)
                write_control(p, value, now);
        else
                write_count(p, &p->ch[(port - PIT_PORT) % 3], value, now);
}

uint8_t pit_read(struct pit *p, uint16_t port, uint64_t now)
{
        if (port == PIT_CONTROL)
                return 0xff; /* write-only */
        struct pit_channel *c = &p->ch[(port - PIT_PORT) % 3];
        if (c->status_latched) {
                c->status_latched = false;
                return c->status;
        }
        const uint16_t v = c->count_latched ? c->latched : current(p, c, now);
        const bool high = c->access == ACCESS_HIGH || (c->access == ACCESS_BOTH && c->read_high);
        if (c->access == ACCESS_BOTH)
                c->read_high = !c->read_high;
        if (c->access != ACCESS_BOTH || high)
                c->count_latched = false;
        return (uint8_t)(high ? v >> 8 : v);
}

uint8_t pit_read_gate(const struct pit *p, uint64_t now)
{
        const bool refresh = ticks_from_tsc(now, PIT_HZ, p->tsc_hz) / REFRESH_TICKS & 1;

        return (uint8_t)(p->port61 | (refresh ? P61_REFRESH : 0) |
                         (output(p, &p->ch[2], now) ? P61_OUT2 : 0));
}

void pit_write_gate(struct pit *p, uint8_t value, uint64_t now)
{
        struct pit_channel *c = &p->ch[2];
        const bool gate = value & P61_GATE2;

        p->port61 = value & P61_WRITE;
        if (gate == c->gate)
                return;
        if (gate && c->loaded) {
                const uint64_t done = c->mode == 0 || c->mode == 4 ? c->held : 0;
                start(c, now);
                /* Modes 0 and 4 go on where they stopped, the others begin anew. */
                const uint64_t back = tsc_from_ticks(done, PIT_HZ, p->tsc_hz);
                c->start = now > back ? now - back : 0;
        } else if (!gate && !needs_trigger(c)) {
                c->held = elapsed(p, c, now);
                c->running = false;
        }
        c->gate = gate;
}
