/* SPDX-License-Identifier: BSD-2-Clause */
/* pc_wires.h - between pc.c and pc_io.c only: the wires from devices to interrupt controllers. [pure] */
#ifndef CASCADE_PLATFORM_PC_WIRES_H
#define CASCADE_PLATFORM_PC_WIRES_H

#include "platform/pc.h"

#define IRQ_PIT 0
#define IRQ_RTC 8

static inline unsigned uart_irq_number(unsigned unit)
{
        return unit == 0 ? 4 : 3;
}

/* Level of an ISA interrupt: to the 8259 pair and the I/O APIC. */
void pc_set_irq(struct pc *p, unsigned irq, bool level);
/* The 8259 pair was accessed: its INTR output goes to every LINT0. */
void pc_wire_intr(struct pc *p);
/* PIT or RTC were programmed: when is the next event? */
void pc_schedule_devices(struct pc *p);

#endif
