/* SPDX-License-Identifier: BSD-2-Clause */
/* cascade on the worst processor that the SDM allows (processor.h), against VMX without any caching (ref.h).
 *
 * MODEL_SEED and MODEL_OPERATIONS in the environment set the seed and the number of operations of the random
 * run. */
#include <stdio.h>
#include <stdlib.h>
#include "ops.h"
#include "random.h"
#include "regressions.h"
#include "suite.h"

#define OPERATIONS           1000000
#define SABOTAGED_OPERATIONS 100000
#define LEAST_FOR_COUNTS     10000

#define INVALIDATIONS .invept_single = true, .invvpid_single = true
static const struct model_features processors[] = {
        { .vpid = true, .shadow = true, .vmwrite_any = true, .ept_ad = true, .ept_1g = true, INVALIDATIONS },
        { .vpid = true, .shadow = true, .vmwrite_any = true, .ept_ad = true, INVALIDATIONS },
        { .vpid = true, .vmwrite_any = true, .ept_ad = true },
        { .vpid = true, INVALIDATIONS },
        { .shadow = true, .vmwrite_any = true, .ept_ad = true, .ept_1g = true, .invept_single = true },
        { .vpid = true, .shadow = true, .vmwrite_any = true, .ept_ad = true, .parent_is_cascade = true, INVALIDATIONS },
};

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
        const char *given = getenv(name);
        return given ? strtoull(given, NULL, 0) : otherwise;
}

/* What a run did, so that one that does nothing is noticed. */
static void report(unsigned i)
{
        const struct model_statistics *n = &cpu.count;
        printf("processor %u: %llu operations, %llu exits, %llu entries of level 2, %llu EPT violations, %llu cached "
               "and %llu "
               "walked translations\n",
               i, (unsigned long long)ops_count(), (unsigned long long)n->exits, (unsigned long long)n->entries02,
               (unsigned long long)n->violations, (unsigned long long)n->cached, (unsigned long long)n->walked);
        fflush(stdout);
        if (ops_count() < LEAST_FOR_COUNTS)
                return;
        ck_assert_uint_gt(n->entries02, ops_count() / 50);
        ck_assert_uint_gt(n->violations, ops_count() / 200);
        ck_assert_uint_gt(n->cached, ops_count() / 20);
        ck_assert_uint_gt(n->walked, ops_count() / 20);
}

START_TEST(random_operations)
{
        const uint64_t seed = from_environment("MODEL_SEED", 20240901),
                       operations = from_environment("MODEL_OPERATIONS", OPERATIONS);
        printf("MODEL_SEED=%llu MODEL_OPERATIONS=%llu\n", (unsigned long long)seed, (unsigned long long)operations);
        fflush(stdout);
        for (unsigned i = 0; i < ARRAY_LEN(processors); i++) {
                if (random_run(&processors[i], seed + i, operations / ARRAY_LEN(processors), SABOTAGE_NONE)) {
                        report(i);
                        continue;
                }
                random_print_latest();
                ck_abort_msg("processor %u, operation %llu: %s", i, (unsigned long long)ops_count(), cpu.fault);
        }
}
END_TEST

/* A test that cannot fail proves nothing: each operation that the model leaves undone is noticed. */
static const char *const sabotage_texts[] = {
#define SABOTAGE(name, text) [SABOTAGE_##name] = text,
#include "sabotage.def"
#undef SABOTAGE
};

START_TEST(a_dropped_operation_is_noticed)
{
        const enum sabotage kind = (enum sabotage)_i;
        const bool found = !random_run(&processors[0], 7, SABOTAGED_OPERATIONS, kind);
        printf("without %s: operation %llu: %s\n", sabotage_texts[kind], (unsigned long long)ops_count(), cpu.fault);
        fflush(stdout);
        ck_assert_msg(found, "nobody misses %s, which was left out %llu times", sabotage_texts[kind],
                      (unsigned long long)cpu.sabotaged);
        ck_assert_uint_gt(cpu.sabotaged, 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("model");
        TCase *t = tcase_create("model");
        regressions_add(t);
        tcase_add_test(t, random_operations);
        tcase_add_loop_test(t, a_dropped_operation_is_noticed, SABOTAGE_NONE + 1, SABOTAGE_COUNT);
        suite_add_tcase(s, t);
        return suite_run(s);
}
