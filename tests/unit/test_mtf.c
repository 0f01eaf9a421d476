/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor trap flag: when its exit is due, and what a debug exception is that comes before it. */
#include "suite.h"
#include "base/bits.h"
#include "base/x86.h"
#include "nested/mtf.h"
#include "vmx/controls.h"

static const struct {
        const char *what;
        struct mtf_entry e;
        enum mtf_plan plan;
} entries[] = {
        { "plain", { .vectoring = false }, MTF_AFTER_STEP },
        { "vectoring", { .vectoring = true }, MTF_AFTER_EVENT },
        { "vectoring comes before the timer", { .vectoring = true, .timer12 = true }, MTF_AFTER_EVENT },
        { "a trap is pending", { .pending_dbg = PENDING_DBG_BS }, MTF_AFTER_EVENT },
        { "a breakpoint is pending", { .pending_dbg = PENDING_DBG_ENABLED_BP | 1 }, MTF_AFTER_EVENT },
        { "one that is not enabled", { .pending_dbg = 1 }, MTF_AFTER_STEP },
        { "a trap held back by MOV SS", { .pending_dbg = PENDING_DBG_BS, .blocked_mov_ss = true }, MTF_AFTER_STEP },
        { "the timer has run out", { .timer12 = true, .timer12_left = MTF_TICKS_STEP - 1 }, MTF_TIMER_FIRST },
        { "the timer has not", { .timer12 = true, .timer12_left = MTF_TICKS_STEP }, MTF_AFTER_STEP },
        { "a timer that is off", { .timer12_left = 0 }, MTF_AFTER_STEP },
};

START_TEST(plans)
{
        ck_assert_msg(mtf_plan(&entries[_i].e) == entries[_i].plan, "%s", entries[_i].what);
}
END_TEST

#define EXCEPTION (INTR_VALID | (uint32_t)INTR_TYPE_HW_EXCEPTION << 8 | VEC_DB)
#define INT1      (INTR_VALID | (uint32_t)INTR_TYPE_PRIV_SW_EXCEPTION << 8 | VEC_DB)
#define BS        BIT(14)
#define BD        BIT(13)
#define DATA1     BIT(20) /* breakpoint 1 is one for writes */

static const struct {
        uint32_t info;
        uint64_t qualification, dr7;
        enum mtf_db db;
} exceptions[] = {
        { EXCEPTION, BS, 0, MTF_DB_TRAP },
        { EXCEPTION, BS | 1, 0, MTF_DB_TRAP },
        { EXCEPTION, BD, 0, MTF_DB_FAULT },
        { EXCEPTION, 1, 0, MTF_DB_FAULT },         /* breakpoint 0 is one for instructions */
        { EXCEPTION, 1, DATA1, MTF_DB_FAULT },
        { EXCEPTION, 2, DATA1, MTF_DB_TRAP },
        { EXCEPTION, 3, DATA1, MTF_DB_TRAP },
        { EXCEPTION, 8, BIT(28), MTF_DB_TRAP },
        { INT1, 0, 0, MTF_DB_SOFTWARE },
};

START_TEST(debug_exceptions)
{
        ck_assert_int_eq(mtf_db(exceptions[_i].info, exceptions[_i].qualification, exceptions[_i].dr7), exceptions[_i].db);
}
END_TEST

START_TEST(what_is_pending)
{
        ck_assert_uint_eq(mtf_pending(BS), PENDING_DBG_BS);
        ck_assert_uint_eq(mtf_pending(BS | 2), PENDING_DBG_BS | PENDING_DBG_ENABLED_BP | 2);
        ck_assert_uint_eq(mtf_pending(BD | 8), PENDING_DBG_ENABLED_BP | 8);
}
END_TEST

START_TEST(when_to_watch)
{
        ck_assert(!mtf_db_possible(RFLAGS_FIXED1, DR7_RESET));
        ck_assert(mtf_db_possible(RFLAGS_FIXED1 | RFLAGS_TF, DR7_RESET));
        ck_assert(mtf_db_possible(RFLAGS_FIXED1, DR7_RESET | 1));
        ck_assert(mtf_db_possible(RFLAGS_FIXED1, DR7_RESET | BIT(7)));
        ck_assert(mtf_db_possible(RFLAGS_FIXED1, DR7_RESET | BIT(13)));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("mtf");
        TCase *t = tcase_create("mtf");

        tcase_add_loop_test(t, plans, 0, ARRAY_LEN(entries));
        tcase_add_loop_test(t, debug_exceptions, 0, ARRAY_LEN(exceptions));
        tcase_add_test(t, what_is_pending);
        tcase_add_test(t, when_to_watch);
        suite_add_tcase(s, t);
        return suite_run(s);
}
