/* SPDX-License-Identifier: BSD-2-Clause */
/* traps.h - exceptions and interrupts of the probe: recorded, counted, and execution goes on where the
 * test says.
 *
 * There is one table of handlers and one record, as there is one processor. An exception that no test
 * expects ends the probe with a FAIL line. All handlers run on the stack that was interrupted, with
 * interrupts off. */
#ifndef PROBE_TRAPS_H
#define PROBE_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

#define NO_VECTOR  0xffffu
#define TRAP_ORDER 16

/* How the handler of a vector tells the controller that it is done. */
enum trap_eoi { EOI_NONE, EOI_APIC, EOI_PIC };

struct traps {
        uint64_t resume; /* where to go on after an exception; 0: none is expected */
        uint64_t vector; /* of the last exception, or NO_VECTOR */
        uint64_t error;  /* its error code */
        uint64_t cr2;    /* at a #PF */
        uint64_t rip;    /* that it was pushed with */
        uint64_t dr6;    /* at a #DB */
        uint64_t rflags; /* pushed */
        uint32_t interrupts[256];
        uint64_t interrupt_rip;    /* pushed by the last interrupt */
        uint64_t interrupt_tsc;    /* when it arrived */
        uint8_t order[TRAP_ORDER]; /* vectors of the first interrupts since taken was cleared */
        unsigned taken;
        uint8_t eoi[256]; /* enum trap_eoi */
};

void traps_init(void);
struct traps *traps(void);

/* An IRET from no interrupt, which ends blocking by NMI; an NMI that was held back is recorded. */
void nmi_unblock(void);

/* Interrupts of `vector` so far. */
static inline uint32_t trap_count(unsigned vector)
{
        return __atomic_load_n(&traps()->interrupts[vector], __ATOMIC_RELAXED);
}

/* Runs instructions that may raise an exception; afterwards traps()->vector says which. `text` must not
 * end with a label; operands follow as in an asm statement, outputs first. */
#define COMMA ,
#define TRY(text, outputs, ...)                                                                              \
        do {                                                                                                 \
                traps()->vector = NO_VECTOR;                                                                 \
                __asm__ volatile("movq $99f, %[resume]\n\t" text "\n99:"                                     \
                                 : outputs                                                                   \
                                 : [resume] "m"(traps()->resume), ##__VA_ARGS__                              \
                                 : "memory", "cc");                                                          \
                traps()->resume = 0;                                                                         \
        } while (0)

#endif
