/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CASCADE_TESTS_MODEL_REGRESSIONS_H
#define CASCADE_TESTS_MODEL_REGRESSIONS_H

#include <check.h>

void regressions_add(TCase *t);

#endif
