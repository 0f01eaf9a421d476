/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include "irq/ioapic.h"

static struct apic_bus bus;
static struct ioapic io;
static struct lapic *const l = &bus.cpu[0];

static void fresh(unsigned cpus)
{
        bus = (struct apic_bus){ .count = cpus };
        for (unsigned i = 0; i < cpus; i++) {
                lapic_init(&bus.cpu[i], i, i == 0, 39);
                bus.cpu[i].svr = SVR_ENABLE | 0xff;
                bus.cpu[i].ldr = 1u << (24 + i);
        }
        ioapic_init(&io);
}

static void put(uint32_t index, uint32_t v)
{
        ioapic_write(&io, &bus, 0x00, index);
        ioapic_write(&io, &bus, 0x10, v);
}

static uint32_t get(uint32_t index)
{
        ioapic_write(&io, &bus, 0x00, index);
        return ioapic_read(&io, 0x10);
}

static void redir(unsigned pin, uint32_t high, uint32_t low)
{
        put(0x11 + 2 * pin, high);
        put(0x10 + 2 * pin, low);
}

static int take(void)
{
        return l->offer == LAPIC_NO_VECTOR ? LAPIC_NO_VECTOR : lapic_ack(l);
}

START_TEST(registers)
{
        fresh(1);
        ck_assert_uint_eq(get(1), 0x00170011);
        put(0, 0xffffffff);
        ck_assert_uint_eq(get(0), 0x0f000000);
        ck_assert_uint_eq(get(2), 0x0f000000);
        put(1, 0); /* read-only */
        ck_assert_uint_eq(get(1), 0x00170011);
        for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
                ck_assert_uint_eq(get(0x10 + 2 * pin), 0x10000);
                redir(pin, 0xffffffff, 0xffffffff);
                ck_assert_uint_eq(get(0x10 + 2 * pin), 0x1afff);
                ck_assert_uint_eq(get(0x11 + 2 * pin), 0xff000000);
        }
        ck_assert_uint_eq(get(0x40), 0xffffffff);
        ck_assert_uint_eq(get(0xff), 0xffffffff);
        put(0x40, 0);
        ck_assert_uint_eq(ioapic_read(&io, 0x00), 0x40);
        ck_assert_uint_eq(ioapic_read(&io, 0x20), 0xffffffff);
        ioapic_write(&io, &bus, 0x40, 0x30); /* no EOI register in this version */
}
END_TEST

START_TEST(edge)
{
        fresh(1);
        ioapic_set_pin(&io, &bus, 4, true); /* masked: the edge is lost */
        redir(4, 0, 0x34);
        ck_assert_int_eq(take(), LAPIC_NO_VECTOR);
        ioapic_set_pin(&io, &bus, 4, true); /* no edge */
        ck_assert_int_eq(take(), LAPIC_NO_VECTOR);
        ioapic_set_pin(&io, &bus, 4, false);
        ioapic_set_pin(&io, &bus, 4, true);
        ck_assert_int_eq(take(), 0x34);
        ck_assert_int_eq(lapic_eoi(l), LAPIC_NO_VECTOR);
        ck_assert_int_eq(take(), LAPIC_NO_VECTOR);
        ioapic_set_pin(&io, &bus, 24, true); /* no such pin */
        ioapic_set_pin(&io, &bus, 1000, true);
        ck_assert_uint_eq(io.lines, 0x10);
}
END_TEST

START_TEST(level)
{
        fresh(1);
        redir(9, 0, 0x8039);
        ioapic_set_pin(&io, &bus, 9, true);
        ck_assert_int_eq(take(), 0x39);
        ck_assert_uint_eq(get(0x10 + 18), 0xc039);
        ioapic_set_pin(&io, &bus, 9, false);
        ioapic_set_pin(&io, &bus, 9, true); /* remote IRR blocks it */
        ck_assert_uint_eq(l->irr[0], 0);
        ck_assert_int_eq(lapic_eoi(l), 0x39);
        ioapic_eoi(&io, &bus, 0x39); /* still high: comes again */
        ck_assert_int_eq(take(), 0x39);
        ck_assert_uint_eq(get(0x10 + 18), 0xc039);
        ioapic_set_pin(&io, &bus, 9, false);
        lapic_eoi(l);
        ioapic_eoi(&io, &bus, 0x38); /* another vector */
        ck_assert_uint_eq(get(0x10 + 18), 0xc039);
        ioapic_eoi(&io, &bus, 0x39);
        ck_assert_uint_eq(get(0x10 + 18), 0x8039);
        ck_assert_int_eq(take(), LAPIC_NO_VECTOR);
}
END_TEST

START_TEST(level_unmask)
{
        fresh(1);
        redir(9, 0, 0x18039);
        ioapic_set_pin(&io, &bus, 9, true);
        ck_assert_int_eq(take(), LAPIC_NO_VECTOR);
        put(0x10 + 18, 0x8039);
        ck_assert_int_eq(take(), 0x39);
        /* Mask and edge, then level again: gets rid of remote IRR (and the high level shows once more). */
        lapic_eoi(l);
        put(0x10 + 18, 0x18039);
        ck_assert_uint_eq(get(0x10 + 18), 0x1c039);
        put(0x10 + 18, 0x10039);
        ck_assert_uint_eq(get(0x10 + 18), 0x10039);
        put(0x10 + 18, 0x8039);
        ck_assert_int_eq(take(), 0x39);
}
END_TEST

START_TEST(level_not_accepted)
{
        fresh(1);
        l->svr = 0xff;
        redir(9, 0, 0x8039);
        ioapic_set_pin(&io, &bus, 9, true);
        ck_assert_uint_eq(get(0x10 + 18), 0x8039); /* nobody took it: no remote IRR */
        l->svr |= SVR_ENABLE;
        put(0x10 + 18, 0x8039);
        ck_assert_int_eq(take(), 0x39);
}
END_TEST

START_TEST(destinations)
{
        static const struct { uint32_t high, low, cpus;
        } row[] = {
                {1u << 24, 0x44, 0x2},
                {0xffu << 24, 0x44, 0x7},
                {0x6u << 24, 0x844, 0x6},
                {0x6u << 24, 0x944, 0x4},
                {0x5u << 24, 0x44, 0},
                {0, 0x544, 0},
                {0, 0x644, 0},
                {0, 0x744, 0},
        };
        for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
                fresh(3);
                bus.cpu[1].tpr = 0x80;
                redir(2, row[i].high, row[i].low);
                ioapic_set_pin(&io, &bus, 2, true);
                for (unsigned c = 0; c < 3; c++)
                        ck_assert_msg(!!(bus.cpu[c].irr[1] & BIT(4)) == !!(row[i].cpus & BIT(c)), "row %u",
                                      i);
        }
        fresh(2);
        redir(2, 1u << 24, 0x400);
        ioapic_set_pin(&io, &bus, 2, true);
        ck_assert(bus.cpu[1].nmi_pending && !bus.cpu[0].nmi_pending);
}
END_TEST

int main(void)
{
        return RUN_SUITE("ioapic", registers, edge, level, level_unmask, level_not_accepted, destinations);
}
