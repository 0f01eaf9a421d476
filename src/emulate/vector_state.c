/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulate/vector_state.h"
#include "base/bits.h"
#include "hw/cpu.h"

#define CR0_EM BIT(2)
#define CR0_TS BIT(3)

/* SDM 2 "FXSAVE": #NM if CR0.TS or CR0.EM is 1. */
void vector_state_save(struct vector_state *s)
{
        s->cr0 = hw_read_cr0();
        if (s->cr0 & (CR0_EM | CR0_TS))
                hw_write_cr0(s->cr0 & ~(CR0_EM | CR0_TS));
        __asm__ volatile("fxsave64 %0" : "=m"(s->fxsave));
}

void vector_state_restore(const struct vector_state *s)
{
        __asm__ volatile("fxrstor64 %0" : : "m"(s->fxsave));
        if (s->cr0 & (CR0_EM | CR0_TS))
                hw_write_cr0(s->cr0);
}
