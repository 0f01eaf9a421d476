/* SPDX-License-Identifier: BSD-2-Clause */
/* The account of exits: sequences with answers known to the last digit. */
#include "suite.h"
#include <stdlib.h>
#include "base/bits.h"
#include "../../tools/account.h"
#include "../../tools/names.h"

#define CPUID    10u
#define HLT      12u
#define VMRESUME 24u

static struct account *acc;

static void setup(void)
{
        acc = malloc(sizeof(*acc));
        ck_assert_ptr_nonnull(acc);
        account_init(acc);
}

static void teardown(void)
{
        account_free(acc);
        free(acc);
}

static void add(uint8_t event, uint64_t tsc, uint8_t level, uint32_t aux, uint64_t a, uint8_t cpu)
{
        const struct trace_record r = {
                .tsc = tsc, .event = event, .level = level, .cpu = cpu, .aux = aux, .a = a};
        ck_assert(account_add(acc, &r));
}

static void exits(uint64_t tsc, uint8_t level, uint32_t reason)
{
        add(TRACE_VM_EXIT, tsc, level, reason, 0, 0);
}

static void enters(uint64_t tsc, uint8_t level)
{
        add(TRACE_VM_ENTRY, tsc, level, 0, 0, 0);
}

static void expect(uint8_t level, uint32_t reason, uint64_t count, uint64_t sum, uint64_t l1_exits,
                   uint64_t hosted)
{
        const struct account_cell *c = acc->level[level].cell[reason];
        ck_assert_ptr_nonnull(c);
        ck_assert_uint_eq(c->count, count);
        ck_assert_uint_eq(c->ticks, sum);
        ck_assert_uint_eq(c->l1_exits, l1_exits);
        ck_assert_uint_eq(c->hosted, hosted);
}

START_TEST(one_exit)
{
        enters(90, 2); /* the first entry ends no exit */
        exits(100, 2, CPUID);
        enters(130, 2);
        account_end(acc);
        expect(2, CPUID, 1, 30, 1, 0);
        ck_assert_uint_eq(acc->unmatched, 0);
        ck_assert_uint_eq(acc->events, 3);
        ck_assert_uint_eq(acc->level[2].exits, 1);
}
END_TEST

START_TEST(reflected_exit_costs_two)
{
        enters(90, 3);
        exits(100, 3, CPUID);
        add(TRACE_REFLECT, 105, 3, CPUID, 0, 0);
        enters(110, 2);
        exits(150, 2, VMRESUME);
        enters(190, 3);
        account_end(acc);
        expect(3, CPUID, 1, 90, 2, 0);
        ck_assert_uint_eq(acc->unmatched, 1); /* the VMRESUME: L2 never ran again */
}
END_TEST

/* L2's VMRESUME lasts until L2 runs again; of that, L3 runs from 200 to 700 and from 720 to 900. */
START_TEST(vmresume_hosts_the_deeper_level)
{
        enters(100, 2);
        exits(150, 2, VMRESUME);
        enters(200, 3);
        exits(700, 3, HLT);
        enters(720, 3);
        exits(900, 3, CPUID);
        enters(930, 2);
        account_end(acc);
        expect(2, VMRESUME, 1, 780, 3, 680);
        expect(3, HLT, 1, 20, 1, 0);
        ck_assert_uint_eq(acc->unmatched, 1); /* L3's CPUID */
}
END_TEST

/* Three levels: an exit of L4 goes to L3 by way of L2. */
START_TEST(reflected_twice)
{
        enters(0, 4);
        exits(1000, 4, CPUID);
        enters(1010, 2);
        exits(1020, 2, VMRESUME);
        enters(1030, 3);
        exits(1040, 3, VMRESUME);
        enters(1050, 2);
        exits(1060, 2, VMRESUME);
        enters(1070, 4);
        account_end(acc);
        expect(4, CPUID, 1, 70, 4, 0);
        expect(2, VMRESUME, 1, 30, 2, 10); /* from 1020 to 1050, L3 ran 10 of it */
        ck_assert_uint_eq(acc->unmatched, 2);
}
END_TEST

START_TEST(drain_is_not_the_guests_time)
{
        exits(100, 2, CPUID);
        add(TRACE_DRAIN, 180, 1, 512, 120, 0);
        add(TRACE_DRAIN, 195, 1, 512, 190, 0);
        enters(200, 2);
        expect(2, CPUID, 1, 100 - 60 - 5, 1, 0);
        ck_assert_uint_eq(acc->drained, 65);
        /* Begun before the exit: only what lies inside counts. Ending before it began: no interval at all. */
        exits(300, 2, HLT);
        add(TRACE_DRAIN, 340, 1, 512, 290, 0);
        add(TRACE_DRAIN, 341, 1, 512, 342, 0);
        enters(350, 2);
        expect(2, HLT, 1, 10, 1, 0);
        ck_assert_uint_eq(acc->drained, 65 + 50);
        /* Drained before the exit: nothing to take off. */
        add(TRACE_DRAIN, 390, 1, 512, 380, 0);
        exits(400, 2, HLT);
        enters(407, 2);
        expect(2, HLT, 2, 17, 2, 0);
        /* The drain of another processor is that one's affair. */
        exits(500, 2, HLT);
        add(TRACE_DRAIN, 508, 1, 512, 501, 1);
        enters(510, 2);
        expect(2, HLT, 3, 27, 3, 0);
}
END_TEST

START_TEST(processors_are_apart)
{
        add(TRACE_VM_EXIT, 100, 2, CPUID, 0, 0);
        add(TRACE_VM_EXIT, 110, 2, CPUID, 0, 1);
        add(TRACE_VM_ENTRY, 120, 2, 0, 0, 1);
        add(TRACE_VM_ENTRY, 150, 2, 0, 0, 0);
        expect(2, CPUID, 2, 60, 2, 0);
}
END_TEST

START_TEST(unmatched_and_lost)
{
        exits(100, 2, CPUID);
        exits(110, 2, HLT); /* the CPUID never got its entry */
        ck_assert_uint_eq(acc->unmatched, 1);
        add(TRACE_LOST, 120, 1, 0, 9, 0);
        ck_assert_uint_eq(acc->unmatched, 2);
        ck_assert_uint_eq(acc->lost, 9);
        enters(130, 2);
        ck_assert_ptr_null(acc->level[2].cell[HLT]);
        exits(140, 2, HLT);
        account_end(acc);
        account_end(acc);
        ck_assert_uint_eq(acc->unmatched, 3);
        ck_assert_uint_eq(acc->level[2].exits, 3);
}
END_TEST

START_TEST(reason_is_the_basic_one)
{
        exits(100, 2, 0x80000000u | 33);
        enters(101, 2);
        expect(2, 33, 1, 1, 1, 0);
        exits(200, 2, 127);
        enters(202, 2);
        exits(300, 2, 0xffff);
        enters(303, 2);
        expect(2, ACCOUNT_REASONS - 1, 2, 5, 2, 0);
}
END_TEST

START_TEST(extreme_records)
{
        add(TRACE_VM_EXIT, UINT64_MAX, 255, 0xffffffff, UINT64_MAX, 255);
        add(TRACE_VM_ENTRY, 0, 255, 0xffffffff, UINT64_MAX, 255);
        add(TRACE_GUEST, 0, 255, 0xffffffff, 0, 255);
        add(TRACE_MARKER, 0, 0, MARK_RESULT, UINT64_MAX, 255);
        ck_assert_uint_eq(acc->levels, 256);
        ck_assert_str_eq(guest_kind_text(acc->level[255].kind), "unknown");
}
END_TEST

START_TEST(levels_and_markers)
{
        add(TRACE_SESSION, 1, 1, TRACE_SCHEMA_VERSION, 3000000000u, 0);
        add(TRACE_GUEST, 2, 2, GUEST_CASCADE, 0, 0);
        add(TRACE_GUEST, 3, 3, GUEST_LINUX, 0, 0);
        add(TRACE_MARKER, 4, 3, MARK_USERSPACE, 0, 0);
        add(TRACE_MARKER, 5, 3, MARK_RESULT, 42, 0);
        ck_assert(!acc->level[3].powered_off);
        add(TRACE_MARKER, 6, 3, MARK_POWER_OFF, 0, 0);
        ck_assert(acc->session && acc->version == TRACE_SCHEMA_VERSION && acc->tsc_hz == 3000000000u);
        ck_assert(!acc->level[1].seen && acc->level[2].seen && !acc->level[2].reached_userspace);
        ck_assert(!acc->level[2].has_result && acc->level[2].kind == GUEST_CASCADE);
        const struct account_level *l = &acc->level[3];
        ck_assert(l->reached_userspace && l->powered_off && l->has_result && l->result == 42 &&
                  l->kind == GUEST_LINUX);
}
END_TEST

/* Costs 1..n in scrambled order: the q-th percentile is the ceil(q n / 100)-th smallest. */
static void costs_up_to(uint64_t n, uint64_t step)
{
        for (uint64_t i = 0; i < n; i++) {
                exits(1000 * n, 2, CPUID);
                enters(1000 * n + 1 + i * step % n, 2);
        }
}

START_TEST(percentiles_exact)
{
        static const struct {
                uint64_t n, step, p50, p99, p100;
        } rows[] = {{1, 1, 1, 1, 1},          {2, 1, 1, 2, 2},         {3, 2, 2, 3, 3},
                    {100, 37, 50, 99, 100},   {101, 37, 51, 100, 101}, {200, 7, 100, 198, 200},
                    {999, 500, 500, 990, 999}};
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                account_free(acc);
                costs_up_to(rows[i].n, rows[i].step);
                struct account_cell *c = acc->level[2].cell[CPUID];
                ck_assert_uint_eq(account_percentile(c, 50), rows[i].p50);
                ck_assert_uint_eq(account_percentile(c, 99), rows[i].p99);
                ck_assert_uint_eq(account_percentile(c, 100), rows[i].p100);
        }
        struct account_cell empty = {0};
        ck_assert_uint_eq(account_percentile(&empty, 50), 0);
}
END_TEST

/* Adding after a percentile was asked for sorts anew. */
START_TEST(percentile_then_more)
{
        exits(100, 2, CPUID);
        enters(150, 2);
        ck_assert_uint_eq(account_percentile(acc->level[2].cell[CPUID], 50), 50);
        exits(200, 2, CPUID);
        enters(210, 2);
        ck_assert_uint_eq(account_percentile(acc->level[2].cell[CPUID], 50), 10);
}
END_TEST

START_TEST(classes_are_fine_enough)
{
        unsigned last = 0;
        for (uint64_t v = 0; v < BIT(ACCOUNT_CLASS_BITS + 1); v++) {
                ck_assert_uint_eq(account_class(v), v);
                ck_assert_uint_eq(account_class_middle((unsigned)v), v);
        }
        for (unsigned shift = 0; shift < 64; shift++) {
                for (uint64_t v = BIT(shift) - 1; v <= BIT(shift) + 1; v++) {
                        const unsigned class = account_class(v);
                        const uint64_t middle = account_class_middle(class);
                        const uint64_t off = middle > v ? middle - v : v - middle;
                        ck_assert(class >= last || v < BIT(shift));
                        ck_assert_uint_lt(class, ACCOUNT_CLASSES);
                        ck_assert_uint_le(off, v / 250);
                        last = class;
                }
        }
        ck_assert_uint_eq(account_class(UINT64_MAX), ACCOUNT_CLASSES - 1);
}
END_TEST

/* One sample more than are kept exactly; 65536 lies in the middle of a class of 512. */
START_TEST(percentiles_beyond_the_exact)
{
        struct trace_record out = {.event = TRACE_VM_EXIT, .level = 2, .aux = CPUID};
        struct trace_record in = {.event = TRACE_VM_ENTRY, .level = 2};
        bool ok = true; /* Check takes its time over each assertion */
        for (uint64_t i = 0; i < ACCOUNT_EXACT_SAMPLES; i++) {
                in.tsc = i % 2 ? 100 : 65536;
                ok = account_add(acc, &out) && account_add(acc, &in) && ok;
        }
        ck_assert(ok);
        struct account_cell *c = acc->level[2].cell[CPUID];
        ck_assert_ptr_null(c->classes);
        ck_assert_uint_eq(account_percentile(c, 99), 65536);
        exits(0, 2, CPUID);
        enters(100, 2);
        ck_assert_ptr_nonnull(c->classes);
        ck_assert_uint_eq(c->count, ACCOUNT_EXACT_SAMPLES + 1);
        ck_assert_uint_eq(account_percentile(c, 50), 100);
        ck_assert_uint_eq(account_percentile(c, 99), 65536 + 256);
        ck_assert_uint_eq(c->ticks, ACCOUNT_EXACT_SAMPLES / 2 * (65536ull + 100) + 100);
}
END_TEST

START_TEST(names_of_reasons)
{
        char buf[16];
        ck_assert_str_eq(reason_text(CPUID, buf), "CPUID");
        ck_assert_str_eq(reason_text(48, buf), "EPT violation");
        ck_assert_str_eq(reason_text(127, buf), "reason 127");
        ck_assert_int_eq(reason_number("ept_violation"), 48);
        ck_assert_int_eq(reason_number("EPT Violation"), 48);
        ck_assert_int_eq(reason_number("48"), 48);
        ck_assert_int_eq(reason_number("0"), 0);
        ck_assert_int_eq(reason_number("65536"), -1);
        ck_assert_int_eq(reason_number("48x"), -1);
        ck_assert_int_eq(reason_number(""), -1);
        ck_assert_int_eq(reason_number("-1"), -1);
        ck_assert_str_eq(guest_kind_text(GUEST_LINUX), "linux");
        ck_assert_str_eq(guest_kind_text(99), "unknown");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("report");
        TCase *t = tcase_create("account");
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, one_exit);
        tcase_add_test(t, reflected_exit_costs_two);
        tcase_add_test(t, vmresume_hosts_the_deeper_level);
        tcase_add_test(t, reflected_twice);
        tcase_add_test(t, drain_is_not_the_guests_time);
        tcase_add_test(t, processors_are_apart);
        tcase_add_test(t, unmatched_and_lost);
        tcase_add_test(t, reason_is_the_basic_one);
        tcase_add_test(t, extreme_records);
        tcase_add_test(t, levels_and_markers);
        tcase_add_test(t, percentiles_exact);
        tcase_add_test(t, percentile_then_more);
        tcase_add_test(t, classes_are_fine_enough);
        tcase_add_test(t, percentiles_beyond_the_exact);
        tcase_add_test(t, names_of_reasons);
        suite_add_tcase(s, t);
        return suite_run(s);
}
