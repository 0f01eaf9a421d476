/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM 3A "Interrupt 8 - Double Fault Exception": both tables, and every pair of vectors by them. */
#include "suite.h"
#include "run/event_combine.h"

enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

/* Table "Interrupt and Exception Classes"; what it does not name is benign. */
static enum class class_of(unsigned vector)
{
        switch (vector) {
        case 0:  /* #DE */
        case 10: /* #TS */
        case 11: /* #NP */
        case 12: /* #SS */
        case 13: /* #GP */
        case 21: /* #CP */
                return CONTRIBUTORY;
        case 14: /* #PF */
        case 20: /* #VE */
                return PAGE_FAULT;
        case 8:
                return DOUBLE_FAULT;
        default:
                return BENIGN;
        }
}

/* Table "Conditions for Generating a Double Fault". #DF as the second one is not raised by delivery: it would be
 * delivered like a benign one. */
static const enum event_pair pairs[4][4] = {
        [BENIGN] = { EVENT_SERIAL, EVENT_SERIAL, EVENT_SERIAL, EVENT_SERIAL },
        [CONTRIBUTORY] = { EVENT_SERIAL, EVENT_DOUBLE_FAULT, EVENT_SERIAL, EVENT_SERIAL },
        [PAGE_FAULT] = { EVENT_SERIAL, EVENT_DOUBLE_FAULT, EVENT_DOUBLE_FAULT, EVENT_SERIAL },
        [DOUBLE_FAULT] = { EVENT_SERIAL, EVENT_TRIPLE_FAULT, EVENT_TRIPLE_FAULT, EVENT_SERIAL },
};

START_TEST(every_pair)
{
        for (unsigned a = 0; a < 32; a++)
                for (unsigned b = 0; b < 32; b++)
                        ck_assert_msg(event_combine((uint8_t)a, (uint8_t)b) == pairs[class_of(a)][class_of(b)],
                                      "%u, then %u", a, b);
}
END_TEST

START_TEST(well_known_pairs)
{
        ck_assert_int_eq(event_combine(13, 14), EVENT_SERIAL);       /* #GP whose handler is paged out */
        ck_assert_int_eq(event_combine(14, 13), EVENT_DOUBLE_FAULT); /* #PF through a bad gate */
        ck_assert_int_eq(event_combine(14, 14), EVENT_DOUBLE_FAULT);
        ck_assert_int_eq(event_combine(13, 13), EVENT_DOUBLE_FAULT);
        ck_assert_int_eq(event_combine(1, 13), EVENT_SERIAL);
        ck_assert_int_eq(event_combine(13, 6), EVENT_SERIAL);
        ck_assert_int_eq(event_combine(8, 14), EVENT_TRIPLE_FAULT);
        ck_assert_int_eq(event_combine(8, 6), EVENT_SERIAL);
}
END_TEST

int main(void)
{
        return RUN_SUITE("event_combine", every_pair, well_known_pairs);
}
