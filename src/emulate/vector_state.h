/* SPDX-License-Identifier: BSD-2-Clause */
/* vector_state.h - keeps the guest's x87 and SSE registers over a call of code that was built with SSE.
 *
 * The image itself uses no vector register, so at any time they hold the guest's values. The libraries linked
 * in are built for baseline x86-64: they use legacy SSE instructions, which leave bits 128 and up of vector
 * registers alone, and they neither use nor change the rest of the extended state. FXSAVE and FXRSTOR
 * therefore cover all of it, whatever the guest has in XCR0 - unlike XSAVE, which leaves SSE out where XCR0
 * does.
 *
 * Precondition of the image's version (src/emulate/vector_state.c): host CR4.OSFXSR is 1. Host programs,
 * whose compiler knows what is live, link an empty one (tests/support/vector_state.c). */
#ifndef CASCADE_EMULATE_VECTOR_STATE_H
#define CASCADE_EMULATE_VECTOR_STATE_H

#include <stdint.h>

struct vector_state {
        _Alignas(16) uint8_t fxsave[512]; /* SDM 1 "FXSAVE Area" */
        uint64_t cr0;                     /* as found: TS and EM are clear between save and restore */
};

void vector_state_save(struct vector_state *s);
void vector_state_restore(const struct vector_state *s);

#endif
