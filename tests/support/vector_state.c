/* SPDX-License-Identifier: BSD-2-Clause */
/* On a host the compiler itself keeps vector registers over a call. */
#include "emulate/vector_state.h"

void vector_state_save(struct vector_state *s)
{
        s->cr0 = 0;
}

void vector_state_restore(const struct vector_state *s)
{
}
