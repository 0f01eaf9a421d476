/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include "base/bits.h"
#include "platform/pit.h"
#include "platform/ticks.h"

static struct pit p;
static uint64_t hz; /* of the TSC in the running test */

static void fresh(uint64_t tsc_hz)
{
        hz = tsc_hz;
        pit_init(&p, tsc_hz);
}

/* First TSC tick at which n PIT ticks have passed. */
static uint64_t at(uint64_t n)
{
        return tsc_from_ticks(n, PIT_HZ, hz);
}

static void load(unsigned ch, uint8_t cw, uint16_t count, uint64_t now)
{
        pit_write(&p, PIT_CONTROL, (uint8_t)(ch << 6 | cw), now);
        pit_write(&p, (uint16_t)(PIT_PORT + ch), (uint8_t)count, now);
        pit_write(&p, (uint16_t)(PIT_PORT + ch), (uint8_t)(count >> 8), now);
}

static uint16_t count_of(unsigned ch, uint64_t now)
{
        const uint16_t low = pit_read(&p, (uint16_t)(PIT_PORT + ch), now);
        return (uint16_t)(low | pit_read(&p, (uint16_t)(PIT_PORT + ch), now) << 8);
}

static bool out2(uint64_t now)
{
        return pit_read_gate(&p, now) & 0x20;
}

START_TEST(conversions)
{
        static const uint64_t tsc[] = { 4000000, 100000000, 2399999997, 5000000000 };
        static const uint64_t slow[] = { PIT_HZ, 32768, 3579545 };
        static const uint64_t n[] = { 0, 1, 2, 65535, 65536, 3579544, 3579545, 3579546, 123456789012 };
        for (unsigned i = 0; i < ARRAY_LEN(tsc); i++) {
                for (unsigned j = 0; j < ARRAY_LEN(slow); j++) {
                        for (unsigned k = 0; k < ARRAY_LEN(n); k++) {
                                const uint64_t t = tsc_from_ticks(n[k], slow[j], tsc[i]);
                                ck_assert_uint_eq(ticks_from_tsc(t, slow[j], tsc[i]), n[k]);
                                if (t)
                                        ck_assert_uint_eq(ticks_from_tsc(t - 1, slow[j], tsc[i]), n[k] - 1);
                        }
                        /* At the far end: against arithmetic in 128 bits. */
                        const __uint128_t wide = (__uint128_t)UINT64_MAX * slow[j] / tsc[i];
                        ck_assert_uint_eq(ticks_from_tsc(UINT64_MAX, slow[j], tsc[i]), (uint64_t)wide);
                }
                ck_assert_uint_eq(tsc_from_ticks(UINT64_MAX, 32768, tsc[i]), UINT64_MAX);
        }
}
END_TEST

START_TEST(mode2_rate)
{
        static const uint64_t tsc[] = { 4000000, 5000000000 };
        for (unsigned i = 0; i < 2; i++) {
                fresh(tsc[i]);
                load(0, 0x34, 11932, 1000);
                for (uint64_t n = 1; n <= 5; n++) {
                        const uint64_t due = 1000 + at(n * 11932);
                        ck_assert_uint_eq(p.due, due);
                        ck_assert(!pit_advance(&p, due - 1));
                        ck_assert_uint_eq(count_of(0, due - 1), 1);
                        ck_assert_uint_eq(count_of(0, due), 11932);
                        ck_assert(pit_advance(&p, due));
                        ck_assert(!pit_advance(&p, due));
                }
                /* Late by several periods: one edge, and the phase stays. */
                ck_assert(pit_advance(&p, 1000 + at(20 * 11932 + 5)));
                ck_assert_uint_eq(p.due, 1000 + at(21 * 11932));
        }
}
END_TEST

START_TEST(mode0_one_shot)
{
        fresh(100000000);
        pit_write(&p, PIT_CONTROL, 0x30, 0);
        ck_assert_uint_eq(p.due, UINT64_MAX);
        pit_write(&p, PIT_PORT, 0x10, 0);
        ck_assert_uint_eq(p.due, UINT64_MAX); /* half a count starts nothing */
        pit_write(&p, PIT_PORT, 0x27, 50);
        ck_assert_uint_eq(p.due, 50 + at(0x2710));
        ck_assert_uint_eq(count_of(0, 50), 0x2710);
        ck_assert_uint_eq(count_of(0, 50 + at(1)), 0x270f);
        ck_assert(pit_advance(&p, p.due));
        ck_assert_uint_eq(p.due, UINT64_MAX);
        ck_assert_uint_eq(count_of(0, 50 + at(0x2711)), 0xffff); /* counts on */
}
END_TEST

START_TEST(mode4_strobe)
{
        fresh(100000000);
        load(0, 0x38, 100, 0);
        ck_assert_uint_eq(p.due, at(101));
        ck_assert(pit_advance(&p, at(101)));
        ck_assert_uint_eq(p.due, UINT64_MAX);
        load(2, 0x38, 100, 0);
        pit_write_gate(&p, 1, 0);
        ck_assert(out2(at(99)));
        ck_assert(!out2(at(100)));
        ck_assert(out2(at(101)));
}
END_TEST

START_TEST(mode3_square)
{
        fresh(1193182ull * 10);
        pit_write_gate(&p, 1, 0);
        load(2, 0x36, 10, 0);
        for (uint64_t n = 0; n < 30; n++) {
                ck_assert_int_eq(out2(at(n)), n % 10 < 5);
                ck_assert_uint_eq(count_of(2, at(n)), 10 - 2 * n % 10);
        }
        load(2, 0x3e, 5, 0); /* mode 7 is mode 3; odd counts are high one tick longer */
        for (uint64_t n = 0; n < 15; n++)
                ck_assert_int_eq(out2(at(n)), n % 5 < 3);
        load(0, 0x36, 1000, 0);
        ck_assert_uint_eq(p.due, at(1000));
}
END_TEST

START_TEST(zero_is_the_largest)
{
        fresh(100000000);
        load(0, 0x34, 0, 0);
        ck_assert_uint_eq(p.due, at(65536));
        ck_assert_uint_eq(count_of(0, 0), 0);
        ck_assert_uint_eq(count_of(0, at(1)), 65535);
        load(0, 0x35, 0, 0); /* BCD */
        ck_assert_uint_eq(p.due, at(10000));
        ck_assert_uint_eq(count_of(0, at(1)), 0x9999);
        load(0, 0x31, 0x1234, 0);
        ck_assert_uint_eq(p.due, at(1234));
        ck_assert_uint_eq(count_of(0, at(5)), 0x1229);
        ck_assert_uint_eq(count_of(0, at(1235)), 0x9999);
}
END_TEST

/* How kernels calibrate the TSC: channel 2, mode 0, gate by port 0x61, OUT2 in bit 5. */
START_TEST(calibration)
{
        fresh(4000000);
        pit_write_gate(&p, 0x00, 0);
        load(2, 0x30, 0xffff, 100);
        ck_assert_uint_eq(count_of(2, 5000), 0xffff); /* gate low: stands still */
        pit_write_gate(&p, 0x01, 6000);
        ck_assert_uint_eq(count_of(2, 6000 + at(300)), 0xffff - 300);
        pit_write_gate(&p, 0x00, 6000 + at(300));
        ck_assert_uint_eq(count_of(2, 900000), 0xffff - 300);
        pit_write_gate(&p, 0x01, 1000000);
        ck_assert(!out2(1000000 + at(0xffff - 300) - 1));
        ck_assert(out2(1000000 + at(0xffff - 300) + 4));
        ck_assert_uint_eq(pit_read_gate(&p, 1000000) & 0x0f, 0x01);
        pit_write_gate(&p, 0xff, 1000000);
        ck_assert_uint_eq(pit_read_gate(&p, 1000000) & 0xcf, 0x0f);
}
END_TEST

START_TEST(gate_in_periodic_modes)
{
        fresh(4000000);
        pit_write_gate(&p, 1, 0);
        load(2, 0x34, 1000, 0);
        pit_write_gate(&p, 0, at(400));
        ck_assert(out2(at(999)));
        pit_write_gate(&p, 1, 100000); /* a rising gate reloads */
        ck_assert_uint_eq(count_of(2, 100000), 1000);
        ck_assert(!out2(100000 + at(999)));
}
END_TEST

START_TEST(triggered_modes)
{
        fresh(4000000);
        load(2, 0x32, 50, 0);
        ck_assert(out2(at(1000)));
        pit_write_gate(&p, 1, 10000);
        ck_assert(!out2(10000));
        ck_assert(!out2(10000 + at(49)));
        ck_assert(out2(10000 + at(50)));
        load(0, 0x32, 50, 0); /* channel 0's gate never rises */
        ck_assert_uint_eq(p.due, UINT64_MAX);
        load(2, 0x3a, 50, 20000);
        pit_write_gate(&p, 0, 20000);
        pit_write_gate(&p, 1, 30000);
        ck_assert(out2(30000 + at(49)));
        ck_assert(!out2(30000 + at(50)));
        ck_assert(out2(30000 + at(51)));
}
END_TEST

START_TEST(latches)
{
        fresh(4000000);
        load(0, 0x34, 1000, 0);
        pit_write(&p, PIT_CONTROL, 0x00, at(100));
        pit_write(&p, PIT_CONTROL, 0x00, at(200)); /* the first latch stands */
        ck_assert_uint_eq(count_of(0, at(300)), 900);
        ck_assert_uint_eq(count_of(0, at(300)), 700);
        pit_write(&p, PIT_CONTROL, 0xc2, at(400)); /* read back: status and count of channel 0 */
        ck_assert_uint_eq(pit_read(&p, PIT_PORT, at(500)), 0xb4);
        ck_assert_uint_eq(count_of(0, at(500)), 600);
        pit_write(&p, PIT_CONTROL, 0xd2, at(400)); /* count only */
        ck_assert_uint_eq(count_of(0, at(500)), 600);
        pit_write(&p, PIT_CONTROL, 0xe2, at(400)); /* status only */
        ck_assert_uint_eq(pit_read(&p, PIT_PORT, at(999)), 0xb4);
        ck_assert_uint_eq(count_of(0, at(999)), 1);
        pit_write(&p, PIT_CONTROL, 0x34, 0);
        pit_write(&p, PIT_CONTROL, 0xe2, 0);
        ck_assert_uint_eq(pit_read(&p, PIT_PORT, 0) & 0x40, 0x40); /* no count yet */
        ck_assert_uint_eq(pit_read(&p, PIT_CONTROL, 0), 0xff);
}
END_TEST

START_TEST(byte_access_modes)
{
        fresh(4000000);
        pit_write(&p, PIT_CONTROL, 0x14, 0); /* low byte only */
        pit_write(&p, PIT_PORT, 200, 0);
        ck_assert_uint_eq(p.due, at(200));
        ck_assert_uint_eq(pit_read(&p, PIT_PORT, at(1)), 199);
        ck_assert_uint_eq(pit_read(&p, PIT_PORT, at(2)), 198);
        pit_write(&p, PIT_CONTROL, 0x24, 0); /* high byte only */
        pit_write(&p, PIT_PORT, 2, 0);
        ck_assert_uint_eq(p.due, at(512));
        ck_assert_uint_eq(pit_read(&p, PIT_PORT, at(1)), 1);
}
END_TEST

START_TEST(refresh_toggles)
{
        fresh(4000000);
        unsigned changes = 0;
        for (uint64_t n = 1; n <= 180; n++)
                changes += (pit_read_gate(&p, at(n)) ^ pit_read_gate(&p, at(n - 1))) >> 4 & 1;
        ck_assert_uint_eq(changes, 10);
}
END_TEST

int main(void)
{
        return RUN_SUITE("pit", conversions, mode2_rate, mode0_one_shot, mode4_strobe, mode3_square,
                         zero_is_the_largest, calibration, gate_in_periodic_modes, triggered_modes, latches,
                         byte_access_modes, refresh_toggles);
}
