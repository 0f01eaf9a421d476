/* SPDX-License-Identifier: BSD-2-Clause */
/* ops_state.h - what the files of ops.h share. */
#ifndef CASCADE_TESTS_MODEL_OPS_STATE_H
#define CASCADE_TESTS_MODEL_OPS_STATE_H

#include "ref.h"

void op_begins(void);
void agree(const struct expect *e, enum outcome o, const char *what);

/* A word of the guest hypervisor's memory. */
uint64_t *l1_word(uint64_t at);

/* Level 2 was entered with the state of ref.current; level 1 runs again with its host state. */
void check_l2_entered(void);
void check_l1_after_exit(void);

#endif
