/* SPDX-License-Identifier: BSD-2-Clause */
/* ops_state.h - what the files of ops.h share. */
#ifndef CASCADE_TESTS_MODEL_OPS_STATE_H
#define CASCADE_TESTS_MODEL_OPS_STATE_H

#include "processor.h"
#include "ref.h"

void op_begins(void);
void agree(const struct expect *e, enum outcome o, const char *what);

/* A word of the guest hypervisor's memory. */
uint64_t *l1_word(uint64_t at);

/* Level 2 was entered with the state of ref.current, by level 1 with these registers; level 1 runs again with the host
 * state of ref.current, after these. */
void check_l2_entered(const struct model_msrs *l1);
void check_l1_after_exit(const struct model_msrs *before);

#endif
