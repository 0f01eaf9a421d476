/* SPDX-License-Identifier: BSD-2-Clause */
/* ioapic.h - one I/O APIC of 24 pins (82093AA, version 0x11). [pure]
 *
 * Owns: redirection table and pin levels. Sends its messages to the local APICs on `bus`. Pins are given as
 * levels, active high; the polarity bit of an entry is kept for the guest and has no effect. An edge on a
 * masked pin is lost, as on the chip; a level is sent when it is unmasked. */
#ifndef CASCADE_IRQ_IOAPIC_H
#define CASCADE_IRQ_IOAPIC_H

#include "irq/apic_bus.h"

#define IOAPIC_PINS    24
#define IOAPIC_BASE    0xfec00000ull
#define IOAPIC_BYTES   0x1000
#define IOAPIC_VERSION 0x11

/* Bits of a redirection entry beyond APIC_VECTOR, APIC_MODE, APIC_LOGICAL and APIC_LEVEL. */
#define REDIR_REMOTE_IRR BIT(14)
#define REDIR_MASKED     BIT(16)
#define REDIR_DEST       BITS(63, 56)

struct ioapic {
        uint64_t redir[IOAPIC_PINS];
        uint32_t lines; /* level of each pin */
        uint32_t index; /* IOREGSEL */
        uint32_t id;
};

void ioapic_init(struct ioapic *io);
void ioapic_set_pin(struct ioapic *io, struct apic_bus *bus, unsigned pin, bool level);
/* A local APIC ended this level-triggered vector. */
void ioapic_eoi(struct ioapic *io, struct apic_bus *bus, uint8_t vector);
/* offset: within the page; the registers are 32 bits wide and 16 bytes apart. */
uint32_t ioapic_read(const struct ioapic *io, uint32_t offset);
void ioapic_write(struct ioapic *io, struct apic_bus *bus, uint32_t offset, uint32_t value);

#endif
