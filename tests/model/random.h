/* SPDX-License-Identifier: BSD-2-Clause */
/* random.h - random sequences of ops.h. */
#ifndef CASCADE_TESTS_MODEL_RANDOM_H
#define CASCADE_TESTS_MODEL_RANDOM_H

#include "processor.h"

/* Runs at least `operations` of them from a fresh start. False: model and reference differ, cpu.fault says
 * how. */
bool random_run(const struct model_features *has, uint64_t seed, uint64_t operations, enum sabotage sabotage);

/* Prints the latest operations, for the report of a fault. */
void random_print_latest(void);

#endif
