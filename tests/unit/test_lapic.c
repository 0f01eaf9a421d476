/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include "irq/apic_bus.h"

#define ON (BIT(8) | 0xff)

static struct apic_bus bus;
static struct lapic *const l = &bus.cpu[0];

static void power_up(unsigned cpus)
{
        bus = (struct apic_bus){ .count = cpus };
        for (unsigned i = 0; i < cpus; i++) {
                lapic_init(&bus.cpu[i], i, i == 0, 39);
                bus.cpu[i].svr = ON;
        }
}

static void enter_x2(struct lapic *a)
{
        ck_assert(lapic_set_base(a, a->base | APICBASE_EXTD));
}

static uint64_t get(struct lapic *a, unsigned reg, uint64_t now)
{
        uint64_t v = 0xdeadbeef;
        ck_assert(lapic_read(a, reg, now, &v));
        return v;
}

static void set(unsigned reg, uint64_t v, uint64_t now)
{
        ck_assert_int_ne(apic_bus_write(&bus, 0, reg, v, now).kind, APIC_REFUSED);
}

START_TEST(power_up_state)
{
        power_up(2);
        lapic_init(&bus.cpu[1], 1, false, 39);
        ck_assert_uint_eq(bus.cpu[0].base, 0xfee00900);
        ck_assert_uint_eq(bus.cpu[1].base, 0xfee00800);
        ck_assert_uint_eq(get(&bus.cpu[1], LAPIC_SVR, 0), 0xff);
        ck_assert_uint_eq(get(&bus.cpu[1], LAPIC_DFR, 0), 0xffffffff);
        ck_assert_uint_eq(get(&bus.cpu[1], LAPIC_ID, 0), 1u << 24);
        ck_assert_uint_eq(get(&bus.cpu[1], LAPIC_VER, 0), 0x50014);
        for (unsigned i = 0; i < LVT_COUNT; i++)
                ck_assert_uint_eq(get(&bus.cpu[1], LAPIC_LVT + i, 0), 0x10000);
        /* Virtual wire on the boot processor only. */
        ck_assert_uint_eq(get(l, LAPIC_LVT + LVT_LINT0, 0), 0x700);
        ck_assert_uint_eq(get(l, LAPIC_LVT + LVT_LINT1, 0), 0x400);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
}
END_TEST

START_TEST(priorities)
{
        power_up(1);
        ck_assert(lapic_accept(l, 0x31, false));
        ck_assert(lapic_accept(l, 0x45, false));
        ck_assert_int_eq(l->offer, 0x45);
        ck_assert_int_eq(lapic_ack(l), 0x45);
        ck_assert_uint_eq(lapic_ppr(l), 0x40);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR); /* 0x31 is below the class in service */
        lapic_accept(l, 0x4f, false);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR); /* same class does not preempt */
        lapic_accept(l, 0x50, false);
        ck_assert_int_eq(lapic_ack(l), 0x50);
        ck_assert_int_eq(lapic_eoi(l), LAPIC_NO_VECTOR);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
        lapic_eoi(l);
        ck_assert_int_eq(lapic_ack(l), 0x4f);
        lapic_eoi(l);
        ck_assert_int_eq(l->offer, 0x31);
        ck_assert_int_eq(lapic_eoi(l), LAPIC_NO_VECTOR); /* nothing in service */
        ck_assert_int_eq(l->offer, 0x31);
}
END_TEST

START_TEST(task_priority)
{
        power_up(1);
        lapic_accept(l, 0x3f, false);
        lapic_set_cr8(l, 3);
        ck_assert_uint_eq(get(l, LAPIC_TPR, 0), 0x30);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
        lapic_set_cr8(l, 2);
        ck_assert_int_eq(l->offer, 0x3f);
        set(LAPIC_TPR, 0x2f, 0);
        ck_assert_uint_eq(get(l, LAPIC_PPR, 0), 0x2f); /* TPR wins with its subclass */
        ck_assert_uint_eq(lapic_get_cr8(l), 2);
        ck_assert_int_eq(lapic_ack(l), 0x3f);
        ck_assert_uint_eq(get(l, LAPIC_PPR, 0), 0x30);
        ck_assert_uint_eq(get(l, LAPIC_ISR + 1, 0), 0x80000000);
        ck_assert_uint_eq(get(l, LAPIC_IRR + 1, 0), 0);
}
END_TEST

START_TEST(vector_registers)
{
        power_up(1);
        for (unsigned v = 16; v < 256; v++) {
                lapic_init(l, 0, true, 39);
                ck_assert(lapic_accept(l, (uint8_t)v, v & 1));
                ck_assert_uint_eq(get(l, LAPIC_IRR + v / 32, 0), 1u << v % 32);
                ck_assert_uint_eq(get(l, LAPIC_TMR + v / 32, 0), v & 1 ? 1u << v % 32 : 0);
                ck_assert_int_eq(lapic_ack(l), (int)v);
                ck_assert_uint_eq(get(l, LAPIC_ISR + v / 32, 0), 1u << v % 32);
                ck_assert_int_eq(lapic_eoi(l), v & 1 ? (int)v : LAPIC_NO_VECTOR);
        }
}
END_TEST

START_TEST(level_eoi)
{
        power_up(1);
        lapic_accept(l, 0x60, true);
        lapic_ack(l);
        ck_assert_int_eq(lapic_eoi(l), 0x60);
        lapic_accept(l, 0x60, false);
        lapic_ack(l);
        ck_assert_int_eq(lapic_eoi(l), LAPIC_NO_VECTOR);
}
END_TEST

START_TEST(software_disable)
{
        power_up(1);
        set(LAPIC_LVT + LVT_TIMER, 0x40, 0);
        set(LAPIC_SVR, 0xff, 0);
        ck_assert_uint_eq(get(l, LAPIC_LVT + LVT_TIMER, 0), 0x10040);
        ck_assert_uint_eq(get(l, LAPIC_LVT + LVT_LINT0, 0), 0x10700);
        set(LAPIC_LVT + LVT_TIMER, 0x41, 0); /* mask cannot be cleared */
        ck_assert_uint_eq(get(l, LAPIC_LVT + LVT_TIMER, 0), 0x10041);
        ck_assert(!lapic_accept(l, 0x40, false));
        set(LAPIC_SVR, ON, 0);
        ck_assert_uint_eq(get(l, LAPIC_LVT + LVT_TIMER, 0), 0x10041);
        ck_assert(lapic_accept(l, 0x40, false));
}
END_TEST

START_TEST(lint0_virtual_wire)
{
        power_up(1);
        lapic_accept(l, 0xff, false);
        lapic_set_lint0(l, true);
        ck_assert_int_eq(l->offer, LAPIC_EXTINT);
        set(LAPIC_LVT + LVT_LINT0, 0x10700, 0);
        ck_assert_int_eq(l->offer, 0xff);
        set(LAPIC_LVT + LVT_LINT0, 0x00000, 0); /* fixed mode is not ExtINT */
        ck_assert_int_eq(l->offer, 0xff);
        set(LAPIC_LVT + LVT_LINT0, 0x00700, 0);
        ck_assert_int_eq(l->offer, LAPIC_EXTINT);
        lapic_set_lint0(l, false);
        ck_assert_int_eq(l->offer, 0xff);
        ck_assert(lapic_set_base(l, LAPIC_BASE_RESET)); /* disabled: INTR passes, IRR is lost */
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
        lapic_set_lint0(l, true);
        ck_assert_int_eq(l->offer, LAPIC_EXTINT);
}
END_TEST

START_TEST(one_shot)
{
        power_up(1);
        set(LAPIC_LVT + LVT_TIMER, 0x40, 0);
        set(LAPIC_TIMER_DIVIDE, 0x3, 0); /* by 16 */
        set(LAPIC_TIMER_INITIAL, 100, 1000);
        ck_assert_uint_eq(l->timer_due, 2600);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 1000), 100);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 1015), 100);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 1016), 99);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 2599), 1);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 2600), 0);
        lapic_advance(l, 2599);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
        lapic_advance(l, 2600);
        ck_assert_int_eq(l->offer, 0x40);
        ck_assert_uint_eq(l->timer_due, LAPIC_NEVER);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 9999), 0);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_INITIAL, 9999), 100);
        set(LAPIC_TIMER_INITIAL, 5, 10000);
        set(LAPIC_TIMER_INITIAL, 0, 10001); /* stops */
        ck_assert_uint_eq(l->timer_due, LAPIC_NEVER);
}
END_TEST

START_TEST(divide_values)
{
        static const struct {
                uint32_t code, by;
        } row[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
        for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
                power_up(1);
                set(LAPIC_TIMER_DIVIDE, row[i].code, 0);
                ck_assert_uint_eq(get(l, LAPIC_TIMER_DIVIDE, 0), row[i].code);
                set(LAPIC_TIMER_INITIAL, UINT32_MAX, 7);
                ck_assert_uint_eq(l->timer_due, 7 + (uint64_t)UINT32_MAX * row[i].by);
        }
        /* While running: what is left goes on at the new speed. */
        power_up(1);
        set(LAPIC_TIMER_DIVIDE, 11, 0);
        set(LAPIC_TIMER_INITIAL, 100, 0);
        set(LAPIC_TIMER_DIVIDE, 0, 40);
        ck_assert_uint_eq(l->timer_due, 40 + 60 * 2);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 42), 59);
}
END_TEST

START_TEST(periodic)
{
        power_up(1);
        set(LAPIC_TIMER_DIVIDE, 11, 0);
        set(LAPIC_LVT + LVT_TIMER, 0x20040, 0);
        set(LAPIC_TIMER_INITIAL, 1000, 500);
        for (uint64_t due = 1500; due < 6000; due += 1000) {
                ck_assert_uint_eq(l->timer_due, due);
                lapic_advance(l, due);
                ck_assert_int_eq(lapic_ack(l), 0x40);
                lapic_eoi(l);
        }
        lapic_advance(l, 9700); /* late: missed periods fold, the phase stays */
        ck_assert_int_eq(l->offer, 0x40);
        ck_assert_uint_eq(l->timer_due, 10500);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 9700), 800);
        set(LAPIC_TIMER_INITIAL, 1, UINT64_MAX - 1); /* at the end of time nothing wraps */
        ck_assert_uint_eq(l->timer_due, UINT64_MAX);
}
END_TEST

/* A timer that is due all the time would leave the guest none. */
START_TEST(short_periods_fold)
{
        static const uint32_t counts[] = { 1, 2, 100, 255, 256, 257 };
        for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
                power_up(1);
                set(LAPIC_TIMER_DIVIDE, 11, 0);
                set(LAPIC_LVT + LVT_TIMER, i % 2 ? 0x20040 : 0x30040, 0);
                set(LAPIC_TIMER_INITIAL, counts[i], 1000);
                const uint64_t first = l->timer_due;
                lapic_advance(l, first);
                ck_assert_uint_ge(l->timer_due, first + 256);
                ck_assert_uint_eq((l->timer_due - 1000) % counts[i], 0);
                ck_assert_uint_le(get(l, LAPIC_TIMER_CURRENT, first + 200), counts[i]);
        }
}
END_TEST

START_TEST(deadline)
{
        power_up(1);
        lapic_set_deadline(l, 5000, 10); /* not in that mode: ignored */
        ck_assert_uint_eq(l->deadline, 0);
        set(LAPIC_LVT + LVT_TIMER, 0x40040, 0);
        lapic_set_deadline(l, 5000, 10);
        ck_assert_uint_eq(l->timer_due, 5000);
        ck_assert_uint_eq(l->deadline, 5000);
        set(LAPIC_TIMER_INITIAL, 77, 20); /* ignored here */
        ck_assert_uint_eq(get(l, LAPIC_TIMER_INITIAL, 20), 0);
        ck_assert_uint_eq(get(l, LAPIC_TIMER_CURRENT, 20), 0);
        lapic_advance(l, 4999);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
        lapic_advance(l, 5000);
        ck_assert_int_eq(l->offer, 0x40);
        ck_assert_uint_eq(l->deadline, 0);
        lapic_ack(l);
        lapic_eoi(l);
        lapic_set_deadline(l, 1, 6000); /* in the past: at once */
        ck_assert_int_eq(l->offer, 0x40);
        lapic_set_deadline(l, 9000, 6000);
        lapic_set_deadline(l, 0, 6000); /* disarms */
        ck_assert_uint_eq(l->timer_due, LAPIC_NEVER);
        lapic_set_deadline(l, 9000, 6000);
        set(LAPIC_LVT + LVT_TIMER, 0x00040, 6000); /* leaving the mode disarms */
        ck_assert_uint_eq(l->timer_due, LAPIC_NEVER);
        ck_assert_uint_eq(l->deadline, 0);
        set(LAPIC_TIMER_INITIAL, 77, 6000);
        set(LAPIC_LVT + LVT_TIMER, 0x40040, 6000); /* so does entering it */
        ck_assert_uint_eq(l->timer_due, LAPIC_NEVER);
}
END_TEST

START_TEST(masked_timer)
{
        power_up(1);
        set(LAPIC_LVT + LVT_TIMER, 0x50040, 0);
        lapic_set_deadline(l, 100, 0);
        lapic_advance(l, 100);
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
        ck_assert_uint_eq(l->deadline, 0);
}
END_TEST

START_TEST(base_transitions)
{
        /* EXTD:EN before and after; SDM 3A "x2APIC State Transitions" */
        static const bool legal[4][4] = {
                [0] = { [0] = true, [2] = true },
                [2] = { [0] = true, [2] = true, [3] = true },
                [3] = { [0] = true, [3] = true },
        };
        static const uint64_t state[4] = { 0, APICBASE_EXTD, APICBASE_EN, APICBASE_EN | APICBASE_EXTD };
        for (unsigned from = 0; from < 4; from++) {
                for (unsigned to = 0; from != 1 && to < 4; to++) {
                        power_up(1);
                        if (from == 0)
                                ck_assert(lapic_set_base(l, LAPIC_BASE_RESET));
                        if (from == 3)
                                enter_x2(l);
                        const uint64_t before = l->base;
                        ck_assert_int_eq(lapic_set_base(l, LAPIC_BASE_RESET | state[to]), legal[from][to]);
                        ck_assert_uint_eq(l->base, legal[from][to] ? LAPIC_BASE_RESET | state[to] : before);
                }
        }
}
END_TEST

START_TEST(base_reserved_bits)
{
        for (unsigned bit = 0; bit < 64; bit++) {
                power_up(1);
                const uint64_t v = (l->base & ~BIT(bit)) | BIT(bit);
                const bool reserved = bit < 8 || bit == 9 || bit >= 39;
                ck_assert_int_eq(lapic_set_base(l, v), !reserved);
        }
}
END_TEST

START_TEST(disable_loses_state)
{
        power_up(2);
        bus.cpu[1].lint0 = false;
        struct lapic *a = &bus.cpu[1];
        enter_x2(a);
        lapic_accept(a, 0x50, false);
        lapic_set_tpr(a, 0x20);
        ck_assert(lapic_set_base(a, LAPIC_BASE_RESET));
        ck_assert(lapic_set_base(a, LAPIC_BASE_RESET | APICBASE_EN));
        ck_assert_uint_eq(get(a, LAPIC_ID, 0), 1u << 24);
        ck_assert_uint_eq(get(a, LAPIC_TPR, 0), 0);
        ck_assert_uint_eq(get(a, LAPIC_SVR, 0), 0xff);
        ck_assert_int_eq(a->offer, LAPIC_NO_VECTOR);
        a->base = 0xfee00c00;
        a->tpr = 0x30;
        lapic_init_reset(a); /* INIT: mode and ID stay */
        ck_assert_uint_eq(a->base, 0xfee00c00);
        ck_assert_uint_eq(a->id, 1);
        ck_assert_uint_eq(a->tpr, 0);
}
END_TEST

START_TEST(x2_register_access)
{
        /* r: readable, w: writable with 0; everything else is #GP. EOI is elsewhere. */
        static const char *const rw[256] = {
                [0x02] = "r",  [0x03] = "r",  [0x08] = "rw", [0x0a] = "r",   [0x0d] = "r",
                [0x0f] = "rw", [0x10] = "r",  [0x11] = "r",  [0x12] = "r",  [0x13] = "r",  [0x14] = "r",
                [0x15] = "r",  [0x16] = "r",  [0x17] = "r",  [0x18] = "r",  [0x19] = "r",  [0x1a] = "r",
                [0x1b] = "r",  [0x1c] = "r",  [0x1d] = "r",  [0x1e] = "r",  [0x1f] = "r",  [0x20] = "r",
                [0x21] = "r",  [0x22] = "r",  [0x23] = "r",  [0x24] = "r",  [0x25] = "r",  [0x26] = "r",
                [0x27] = "r",  [0x28] = "rw", [0x30] = "rw", [0x32] = "rw", [0x33] = "rw", [0x34] = "rw",
                [0x35] = "rw", [0x36] = "rw", [0x37] = "rw", [0x38] = "rw", [0x39] = "r",  [0x3e] = "rw",
                [0x3f] = "w",
        };
        power_up(1);
        enter_x2(l);
        for (unsigned reg = 0; reg < 256; reg++) {
                const char *const allowed = rw[reg] ? rw[reg] : "";
                uint64_t v;
                ck_assert_msg(lapic_read(l, reg, 0, &v) == (allowed[0] == 'r'), "read %#x", reg);
                const bool w = allowed[0] == 'w' || (allowed[0] && allowed[1] == 'w');
                ck_assert_msg((apic_bus_write(&bus, 0, reg, 0, 0).kind != APIC_REFUSED) == w, "write %#x",
                              reg);
        }
}
END_TEST

START_TEST(x2_reserved_bits)
{
        static const struct { unsigned reg; uint64_t ok; } row[] = {
                { LAPIC_TPR, 0xff }, { LAPIC_SVR, 0x1ff }, { LAPIC_ESR, 0 },
                { LAPIC_ICR, 0xffffffff000cdfff }, { LAPIC_LVT + LVT_TIMER, 0x710ff },
                { LAPIC_LVT + LVT_THERMAL, 0x117ff }, { LAPIC_LVT + LVT_PERF, 0x117ff },
                { LAPIC_LVT + LVT_LINT0, 0x1f7ff }, { LAPIC_LVT + LVT_LINT1, 0x1f7ff },
                { LAPIC_LVT + LVT_ERROR, 0x110ff }, { LAPIC_TIMER_INITIAL, 0xffffffff },
                { LAPIC_TIMER_DIVIDE, 0xb }, { LAPIC_SELF_IPI, 0xff },
        };
        for (unsigned i = 0; i < ARRAY_LEN(row); i++)
                for (unsigned bit = 0; bit < 64; bit++)
                        ck_assert_msg(lapic_x2_write_ok(row[i].reg, BIT(bit)) == !!(row[i].ok & BIT(bit)),
                                      "register %#x bit %u", row[i].reg, bit);
        /* xAPIC ignores reserved bits. */
        power_up(1);
        set(LAPIC_LVT + LVT_TIMER, 0xffffffff, 0);
        ck_assert_uint_eq(get(l, LAPIC_LVT + LVT_TIMER, 0), 0x700ff);
}
END_TEST

START_TEST(x2_ids)
{
        power_up(1);
        lapic_init(l, 0x25, false, 39);
        ck_assert_uint_eq(get(l, LAPIC_ID, 0), 0x25000000);
        enter_x2(l);
        ck_assert_uint_eq(get(l, LAPIC_ID, 0), 0x25);
        ck_assert_uint_eq(get(l, LAPIC_LDR, 0), 0x20020);
}
END_TEST

START_TEST(error_status)
{
        power_up(1);
        set(LAPIC_LVT + LVT_ERROR, 0xfe, 0);
        set(LAPIC_ICR, 0x0000f | PUT(0, ICR_SHORTHAND, 1), 0); /* self, vector 15 */
        ck_assert_int_eq(l->offer, 0xfe);
        ck_assert_uint_eq(get(l, LAPIC_ESR, 0), 0);
        set(LAPIC_ESR, 0, 0);
        ck_assert_uint_eq(get(l, LAPIC_ESR, 0), ESR_SEND_ILLEGAL);
        ck_assert(!lapic_accept(l, 15, false));
        set(LAPIC_ESR, 0, 0);
        ck_assert_uint_eq(get(l, LAPIC_ESR, 0), ESR_RECEIVE_ILLEGAL);
        set(LAPIC_ESR, 0, 0);
        ck_assert_uint_eq(get(l, LAPIC_ESR, 0), 0);
        /* An illegal vector in LVT Error must not run away. */
        set(LAPIC_LVT + LVT_ERROR, 0x3, 0);
        lapic_error(l, ESR_BAD_REGISTER);
        set(LAPIC_ESR, 0, 0);
        ck_assert_uint_eq(get(l, LAPIC_ESR, 0), ESR_BAD_REGISTER | ESR_RECEIVE_ILLEGAL);
}
END_TEST

static uint32_t who_got(uint8_t vector)
{
        uint32_t set_of = 0;
        for (unsigned i = 0; i < bus.count; i++)
                if (bus.cpu[i].irr[vector >> 6] & BIT(vector & 63))
                        set_of |= 1u << i;
        return set_of;
}

START_TEST(icr_xapic)
{
        static const struct { uint32_t high, low, got; } row[] = {
                { 2u << 24, 0x41, 0x4 },                 /* physical */
                { 9u << 24, 0x41, 0x0 },                 /* nobody */
                { 0xffu << 24, 0x41, 0xf },              /* broadcast */
                { 0, 0x41 | 1 << 18, 0x1 },              /* self */
                { 0, 0x41 | 2 << 18, 0xf },              /* all */
                { 0, 0x41 | 3 << 18, 0xe },              /* others */
                { 0x0au << 24, 0x41 | 1 << 11, 0xa },    /* logical flat: processors 1 and 3 */
                { 0xffu << 24, 0x41 | 1 << 11, 0xf },
                { 0x0eu << 24, 0x141 | 1 << 11, 0x4 },   /* lowest priority: 1 and 3 are busy */
        };
        for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
                power_up(4);
                for (unsigned c = 0; c < 4; c++)
                        bus.cpu[c].ldr = 1u << (24 + c);
                bus.cpu[1].tpr = 0x20;
                bus.cpu[3].tpr = 0x10;
                set(LAPIC_ICR_HIGH, row[i].high, 0);
                set(LAPIC_ICR, row[i].low, 0);
                ck_assert_msg(who_got(0x41) == row[i].got, "row %u: %#x", i, who_got(0x41));
                ck_assert_uint_eq(get(l, LAPIC_ICR, 0), row[i].low);
                ck_assert_uint_eq(get(l, LAPIC_ICR_HIGH, 0), row[i].high);
        }
}
END_TEST

START_TEST(icr_cluster)
{
        power_up(4);
        static const uint32_t ldr[4] = { 0x11, 0x12, 0x21, 0x22 };
        for (unsigned c = 0; c < 4; c++) {
                bus.cpu[c].ldr = ldr[c] << 24;
                bus.cpu[c].dfr = 0x0fffffff;
        }
        struct apic_msg m = { .dest = 0x13, .vector = 0x50, .logical = true };
        ck_assert_uint_eq(apic_bus_deliver(&bus, &m), 0x3);
        m.dest = 0x22;
        ck_assert_uint_eq(apic_bus_deliver(&bus, &m), 0x8);
        m.dest = 0xf1; /* all clusters */
        ck_assert_uint_eq(apic_bus_deliver(&bus, &m), 0x5);
        bus.cpu[0].svr = 0xff; /* switched off: does not accept */
        ck_assert_uint_eq(apic_bus_deliver(&bus, &m), 0x4);
}
END_TEST

START_TEST(icr_x2)
{
        power_up(3);
        for (unsigned c = 0; c < 3; c++)
                enter_x2(&bus.cpu[c]);
        set(LAPIC_ICR, (uint64_t)2 << 32 | 0x61, 0);
        ck_assert_uint_eq(who_got(0x61), 0x4);
        set(LAPIC_ICR, (uint64_t)0x5 << 32 | 0x862, 0); /* logical: cluster 0, members 0 and 2 */
        ck_assert_uint_eq(who_got(0x62), 0x5);
        set(LAPIC_ICR, (uint64_t)UINT32_MAX << 32 | 0x63, 0);
        ck_assert_uint_eq(who_got(0x63), 0x7);
        set(LAPIC_ICR, (uint64_t)0xff << 32 | 0x64, 0); /* 0xff is a plain ID here */
        ck_assert_uint_eq(who_got(0x64), 0);
        set(LAPIC_SELF_IPI, 0x65, 0);
        ck_assert_uint_eq(who_got(0x65), 0x1);
        ck_assert_uint_eq(get(l, LAPIC_ICR, 0), (uint64_t)0xff << 32 | 0x64);
}
END_TEST

START_TEST(icr_nmi_init_sipi)
{
        power_up(3);
        set(LAPIC_ICR, 0x400 | 3 << 18, 0);
        ck_assert(!bus.cpu[0].nmi_pending && bus.cpu[1].nmi_pending && bus.cpu[2].nmi_pending);
        set(LAPIC_ICR_HIGH, 1u << 24, 0);
        struct apic_effect e = apic_bus_write(&bus, 0, LAPIC_ICR, 0xc500, 0); /* INIT, level, assert */
        ck_assert_int_eq(e.kind, APIC_START_CPU);
        ck_assert_uint_eq(e.cpus, 0x2);
        ck_assert_int_eq(apic_bus_write(&bus, 0, LAPIC_ICR, 0x8500, 0).kind, APIC_DONE); /* de-assert */
        e = apic_bus_write(&bus, 0, LAPIC_ICR, 0x6 << 8 | 0x9a | 3 << 18, 0);
        ck_assert_int_eq(e.kind, APIC_START_CPU);
        ck_assert_uint_eq(e.cpus, 0x6);
        ck_assert_uint_eq(GET(e.icr, APIC_VECTOR), 0x9a);
        set(LAPIC_ICR_HIGH, 7u << 24, 0); /* nobody there */
        ck_assert_int_eq(apic_bus_write(&bus, 0, LAPIC_ICR, 0x600, 0).kind, APIC_DONE);
        set(LAPIC_ICR, 0x200 | 2 << 18, 0); /* SMI: dropped */
        ck_assert_int_eq(l->offer, LAPIC_NO_VECTOR);
}
END_TEST

START_TEST(xapic_only_registers)
{
        power_up(1);
        set(LAPIC_LDR, 0x12345678, 0);
        ck_assert_uint_eq(get(l, LAPIC_LDR, 0), 0x12000000);
        set(LAPIC_DFR, 0x00000000, 0);
        ck_assert_uint_eq(get(l, LAPIC_DFR, 0), 0x0fffffff);
        set(LAPIC_ID, 0x55000000, 0); /* read-only */
        ck_assert_uint_eq(get(l, LAPIC_ID, 0), 0);
        uint64_t v;
        for (unsigned reg = 0; reg < 256; reg++) /* no register past the last, none refused that exists */
                ck_assert_int_eq(lapic_read(l, reg, 0, &v),
                                 reg == 2 || reg == 3 || (reg >= 8 && reg <= 0x28) ||
                                         (reg >= 0x30 && reg <= 0x39) || reg == 0x3e);
        ck_assert_int_eq(apic_bus_write(&bus, 0, LAPIC_SELF_IPI, 0x50, 0).kind, APIC_REFUSED);
}
END_TEST

int main(void)
{
        return RUN_SUITE("lapic", power_up_state, priorities, task_priority, vector_registers, level_eoi,
                         software_disable, lint0_virtual_wire, one_shot, divide_values, periodic, short_periods_fold, deadline,
                         masked_timer, base_transitions, base_reserved_bits, disable_loses_state,
                         x2_register_access, x2_reserved_bits, x2_ids, error_status, icr_xapic, icr_cluster,
                         icr_x2, icr_nmi_init_sipi, xapic_only_registers);
}
