/* SPDX-License-Identifier: BSD-2-Clause */
/* pc.h - the PC that a guest sees: every device behind one face for the run loop. [pure]
 *
 * Owns: all device state and interrupt wires of one guest. Nothing here exits, injects or prints: what a
 * device cannot do itself comes back as a verdict for the run loop to act on. Accesses of any port, width or
 * address are safe; what nobody answers reads as all ones, drops writes and is counted.
 *
 * Time: `now` is the TSC, never less than in the call before. The run loop calls pc_advance() when
 * pc_next_event() has come; every access does so too, so that nothing programs a timer anew before it has
 * fired. Processor numbers must be below cfg.cpus.
 *
 * The local APIC's page belongs to the device only while that APIC is in xAPIC mode, and the guest may move
 * it: ask pc_is_mmio() about an address that is not RAM. */
#ifndef CASCADE_PLATFORM_PC_H
#define CASCADE_PLATFORM_PC_H

#include "base/addr.h"
#include "base/msr_numbers.h"
#include "irq/apic_bus.h"
#include "irq/ioapic.h"
#include "irq/pic.h"
#include "platform/e820.h"
#include "platform/i8042.h"
#include "platform/pci.h"
#include "platform/pit.h"
#include "platform/pm.h"
#include "platform/rtc.h"
#include "platform/uart.h"

#define PC_NEVER            UINT64_MAX
#define PC_UARTS            2
#define PC_DEBUG_BYTE_PORT  0xe9
#define PC_DEBUG_EXIT_PORT  0xf4
#define PC_RESET_PORT       0xcf9 /* the FADT's reset register */
#define PC_RESET_VALUE      0x06

enum pc_action {
        PC_NONE,
        PC_CONSOLE,    /* value: byte sent by UART `unit` */
        PC_DEBUG_BYTE, /* value: byte written to port 0xe9 */
        PC_POWER_OFF,
        PC_RESET,
        PC_DEBUG_EXIT, /* value: as written to port 0xf4 */
        PC_MARKER,     /* value: as written to MARKER_PORT (trace/record.h) */
        PC_IPI,        /* INIT or SIPI: value64 is the ICR, cpus a bit per addressed processor */
};

struct pc_verdict {
        enum pc_action action;
        uint32_t value;
        uint32_t unit;
        uint32_t cpus;
        uint64_t value64;
};

struct pc_config {
        unsigned cpus;          /* 1..LAPIC_MAX */
        uint8_t maxphyaddr;     /* of the guest's processors: 32..52 */
        uint64_t tsc_hz;        /* also the rate of the local APICs' timers */
        uint64_t start_tsc;     /* now */
        uint64_t epoch_seconds; /* UTC now, for the clock */
        uint64_t low_bytes;     /* guest RAM as in struct guest_mem */
        uint64_t high_bytes;
};

struct pc {
        struct apic_bus bus;
        uint64_t next_event; /* cache for pc_next_event() */
        uint64_t device_due; /* cache: earliest of PIT and RTC */
        struct ioapic ioapic;
        struct pic pic;
        struct uart uart[PC_UARTS];
        struct pit pit;
        struct rtc rtc;
        struct pm pm;
        struct pci pci;
        struct i8042 i8042;
        uint32_t irq_lines;  /* level of each ISA interrupt */
        uint8_t port92;
        uint8_t reset_control;
        uint16_t last_unknown_port;
        uint64_t unknown_io;   /* accesses that no device answered */
        uint64_t unknown_mmio;
};

void pc_init(struct pc *p, const struct pc_config *cfg);
/* INIT reached processor `cpu`: its local APIC starts over. */
void pc_init_cpu(struct pc *p, unsigned cpu);

/* bytes: 1, 2 or 4. Wider accesses to byte-wide devices fall apart into byte accesses, as on an ISA bus. */
struct pc_verdict pc_io_write(struct pc *p, uint16_t port, unsigned bytes, uint32_t value, uint64_t now);
uint32_t pc_io_read(struct pc *p, uint16_t port, unsigned bytes, uint64_t now);
/* bytes: 1, 2, 4 or 8. */
struct pc_verdict pc_mmio_write(struct pc *p, unsigned cpu, l1gpa_t at, unsigned bytes, uint64_t value,
                                uint64_t now);
uint64_t pc_mmio_read(struct pc *p, unsigned cpu, l1gpa_t at, unsigned bytes, uint64_t now);
/* IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800..0x8ff. False: the access is #GP(0). `verdict` may say PC_IPI.
 */
bool pc_msr_read(struct pc *p, unsigned cpu, uint32_t msr, uint64_t *value, uint64_t now);
bool pc_msr_write(struct pc *p, unsigned cpu, uint32_t msr, uint64_t value, uint64_t now,
                  struct pc_verdict *verdict);

void pc_advance(struct pc *p, uint64_t now);
/* A byte for UART `unit`; false if it has no room: offer it again later. */
bool pc_console_input(struct pc *p, unsigned unit, uint8_t byte);
/* Takes the vector that pc_pending_vector() names (which must not be -1): APIC's IRR to ISR, or an INTA
 * cycle. */
int pc_ack_vector(struct pc *p, unsigned cpu);
/* The same, and ends the interrupt at once by writing zero to the local APIC's EOI register. */
void pc_dismiss_vector(struct pc *p, unsigned cpu);
/* The memory map for boot protocols; returns the number of entries written, at most min(max, E820_MAX). */
size_t pc_e820(const struct pc_config *cfg, struct e820_entry *out, size_t max);

/* Earliest TSC at which pc_advance() has work; PC_NEVER if none. */
static inline uint64_t pc_next_event(const struct pc *p)
{
        return p->next_event;
}

/* Vector that the processor would take now if it takes interrupts at all, or -1. The 8259 comes first, as
 * INTR does when both are pending. */
static inline int pc_pending_vector(const struct pc *p, unsigned cpu)
{
        const int offer = p->bus.cpu[cpu].offer;
        return __builtin_expect(offer == LAPIC_EXTINT, 0) ? pic_peek(&p->pic) : offer;
}

static inline bool pc_nmi_pending(const struct pc *p, unsigned cpu)
{
        return p->bus.cpu[cpu].nmi_pending;
}

/* Some pin would send an NMI. */
static inline bool pc_nmi_possible(const struct pc *p)
{
        for (unsigned i = 0; i < IOAPIC_PINS; i++)
                if (!(p->ioapic.redir[i] & REDIR_MASKED) && GET(p->ioapic.redir[i], APIC_MODE) == APIC_NMI)
                        return true;
        return false;
}

static inline void pc_ack_nmi(struct pc *p, unsigned cpu)
{
        p->bus.cpu[cpu].nmi_pending = false;
}

static inline bool pc_is_mmio(const struct pc *p, unsigned cpu, l1gpa_t at)
{
        const struct lapic *l = &p->bus.cpu[cpu];
        const uint64_t page = ALIGN_DOWN(at.raw, PAGE_SIZE);

        return page == IOAPIC_BASE || (lapic_is_xapic(l) && page == (l->base & APICBASE_ADDR));
}

static inline uint64_t pc_get_cr8(const struct pc *p, unsigned cpu)
{
        return lapic_get_cr8(&p->bus.cpu[cpu]);
}

static inline void pc_set_cr8(struct pc *p, unsigned cpu, uint64_t cr8)
{
        lapic_set_cr8(&p->bus.cpu[cpu], cr8);
}

#endif
