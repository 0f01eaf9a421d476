/* SPDX-License-Identifier: BSD-2-Clause */
/* irq_wait.h - waiting for interrupts with an end in sight. */
#ifndef PROBE_IRQ_WAIT_H
#define PROBE_IRQ_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include "hw/cpu.h"
#include "traps.h"

static inline void irq_off(void)
{
        __asm__ volatile("cli" : : : "memory");
}

/* Interrupts on, until `vector` has arrived `times` times or the TSC has reached `end`; then off. */
static inline bool irq_wait(unsigned vector, uint32_t times, uint64_t end)
{
        __asm__ volatile("sti" : : : "memory");
        while (trap_count(vector) < times && hw_rdtsc() < end)
                ;
        irq_off();
        return trap_count(vector) >= times;
}

/* Lets in what is pending now. */
static inline void irq_let_in(void)
{
        __asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

static inline void irq_forget(unsigned vector, enum trap_eoi eoi)
{
        traps()->interrupts[vector] = 0;
        traps()->eoi[vector] = (uint8_t)eoi;
        traps()->taken = 0;
}

#endif
