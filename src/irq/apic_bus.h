/* SPDX-License-Identifier: BSD-2-Clause */
/* apic_bus.h - the local APICs of one guest and the messages between them. [pure]
 *
 * Owns: all local APICs. Fixed, lowest-priority and NMI messages are delivered here; INIT and SIPI start or
 * stop processors, which is not for an APIC to do: they come back to the caller. EOI is not written through
 * here but is lapic_eoi(), as the I/O APIC may have to hear of it. */
#ifndef CASCADE_IRQ_APIC_BUS_H
#define CASCADE_IRQ_APIC_BUS_H

#include "irq/lapic.h"

#define LAPIC_MAX 8 /* processors of one guest: what flat logical addressing reaches */

struct apic_bus {
        struct lapic cpu[LAPIC_MAX]; /* index = processor number = APIC ID */
        unsigned count;
};

struct apic_msg {
        uint32_t dest; /* APIC ID, or a logical destination */
        uint8_t vector;
        uint8_t mode;  /* enum apic_mode */
        bool logical;
        bool level;
        bool broadcast; /* dest is the all-ones of the sender's width */
};

struct apic_effect {
        enum { APIC_DONE, APIC_REFUSED, APIC_START_CPU } kind;
        uint32_t cpus; /* APIC_START_CPU: bit per addressed processor */
        uint64_t icr;  /* APIC_START_CPU: INIT or SIPI as it was sent */
};

/* Bit per processor that accepted (fixed, lowest, NMI) or is addressed (INIT, SIPI). */
uint32_t apic_bus_deliver(struct apic_bus *bus, const struct apic_msg *m);
/* A register of processor `cpu` (not EOI) is written in its present mode. APIC_REFUSED: see lapic_write(). */
struct apic_effect apic_bus_write(struct apic_bus *bus, unsigned cpu, unsigned reg, uint64_t value,
                                  uint64_t now);

#endif
