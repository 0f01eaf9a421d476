/* SPDX-License-Identifier: BSD-2-Clause */
/* suite.h - main() of a unit test: runs a list of Check tests as one suite. */
#ifndef CASCADE_TESTS_SUITE_H
#define CASCADE_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* For loops of many thousand checks: ck_assert() tells its parent process each time that it passed. */
#define REQUIRE(cond, ...)                                                                                   \
        do {                                                                                                 \
                if (!(cond))                                                                                 \
                        ck_abort_msg(__VA_ARGS__);                                                           \
        } while (0)

/* Runs what the suite has; the program's exit status. */
static inline int suite_run(Suite *s)
{
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline int run_suite(const char *name, const TTest *const *tests, size_t count)
{
        Suite *s = suite_create(name);
        TCase *t = tcase_create(name);
        for (size_t i = 0; i < count; i++)
                tcase_add_test(t, tests[i]);
        suite_add_tcase(s, t);
        return suite_run(s);
}

/* int main(void) { return RUN_SUITE("name", test_a, test_b); } */
#define RUN_SUITE(name, ...)                                                                                 \
        run_suite(name, (const TTest *const[]){ __VA_ARGS__ },                                               \
                  sizeof((const TTest *const[]){ __VA_ARGS__ }) / sizeof(const TTest *))

#endif
