/* SPDX-License-Identifier: BSD-2-Clause */
/* shadow_insn.h - STI, MOV to SS and POP SS: the instructions that hold events back until the next one is done. [pure]
 *
 * For single steps on a processor whose only means of stopping is such an event. What would fault, or is none of the three,
 * is left to the processor (SHADOW_INSN_NONE): it then stops where it should by itself. */
#ifndef CASCADE_EMULATE_SHADOW_INSN_H
#define CASCADE_EMULATE_SHADOW_INSN_H

#include "base/gprs.h"
#include "emulate/view.h"

enum shadow_insn {
        SHADOW_INSN_NONE,
        SHADOW_INSN_STI, /* with IF clear before */
        SHADOW_INSN_SS,
};

struct shadow_table {
        uint64_t base;
        uint32_t limit;
        bool usable;
};

struct shadow_env {
        const struct guest_view *view;
        struct shadow_table gdt, ldt;
        struct gprs *gprs; /* with RSP, which POP SS moves */
        uint64_t rip, rflags;
        /* SHADOW_INSN_SS: what SS holds then; segment register `ss` of *view is what it held before */
        uint16_t ss_sel;
        struct guest_segment ss;
};

/* Carries out the instruction `code` of `n` bytes at e->rip: changes e->rip, and what it says above. */
enum shadow_insn shadow_insn_execute(struct shadow_env *e, const uint8_t *code, size_t n);

#endif
