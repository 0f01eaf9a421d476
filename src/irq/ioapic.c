/* SPDX-License-Identifier: BSD-2-Clause */
#include "irq/ioapic.h"
#include "base/libc.h"

#define IOREGSEL 0x00
#define IOWIN    0x10

#define REG_ID          0x00
#define REG_VERSION     0x01
#define REG_ARBITRATION 0x02
#define REG_REDIR       0x10

#define REDIR_STATUS   BIT(12)
#define REDIR_READONLY (REDIR_STATUS | REDIR_REMOTE_IRR)
#define REDIR_BITS     (REDIR_DEST | BITS(16, 0))
#define ID_BITS        BITS(27, 24)
#define BROADCAST      0xff

void ioapic_init(struct ioapic *io)
{
        memset(io, 0, sizeof(*io));
        for (unsigned i = 0; i < IOAPIC_PINS; i++)
                io->redir[i] = REDIR_MASKED;
}

static bool send(struct ioapic *io, struct apic_bus *bus, unsigned pin)
{
        const uint64_t e = io->redir[pin];
        const struct apic_msg m = {
                .dest = (uint32_t)GET(e, REDIR_DEST),
                .vector = (uint8_t)GET(e, APIC_VECTOR),
                .mode = (uint8_t)GET(e, APIC_MODE),
                .logical = e & APIC_LOGICAL,
                .level = e & APIC_LEVEL,
                .broadcast = GET(e, REDIR_DEST) == BROADCAST,
        };
        /* Starting processors is for an ICR: no firmware or kernel does it through a pin. */
        return m.mode != APIC_INIT && m.mode != APIC_STARTUP && apic_bus_deliver(bus, &m);
}

/* Sends a level-triggered pin that is high, unmasked and not already in service somewhere. */
static void service_level(struct ioapic *io, struct apic_bus *bus, unsigned pin)
{
        const uint64_t e = io->redir[pin];

        if (!(io->lines & BIT(pin)) || !(e & APIC_LEVEL) || (e & (REDIR_MASKED | REDIR_REMOTE_IRR)))
                return;
        if (send(io, bus, pin))
                io->redir[pin] |= REDIR_REMOTE_IRR;
}

void ioapic_set_pin(struct ioapic *io, struct apic_bus *bus, unsigned pin, bool level)
{
        if (pin >= IOAPIC_PINS || level == !!(io->lines & BIT(pin)))
                return;
        io->lines ^= (uint32_t)BIT(pin);
        if (!level)
                return;
        if (io->redir[pin] & APIC_LEVEL)
                service_level(io, bus, pin);
        else if (!(io->redir[pin] & REDIR_MASKED))
                send(io, bus, pin);
}

void ioapic_eoi(struct ioapic *io, struct apic_bus *bus, uint8_t vector)
{
        for (unsigned i = 0; i < IOAPIC_PINS; i++) {
                if (!(io->redir[i] & REDIR_REMOTE_IRR) || GET(io->redir[i], APIC_VECTOR) != vector)
                        continue;
                io->redir[i] &= ~REDIR_REMOTE_IRR;
                service_level(io, bus, i);
        }
}

static uint32_t read_register(const struct ioapic *io)
{
        switch (io->index) {
        case REG_ID:
        case REG_ARBITRATION:
                return io->id;
        case REG_VERSION:
                return IOAPIC_VERSION | (IOAPIC_PINS - 1) << 16;
        case REG_REDIR ... REG_REDIR + 2 * IOAPIC_PINS - 1: {
                const unsigned n = io->index - REG_REDIR;
                return (uint32_t)(io->redir[n >> 1] >> (n & 1) * 32);
        }
        default:
                return UINT32_MAX;
        }
}

uint32_t ioapic_read(const struct ioapic *io, uint32_t offset)
{
        switch (offset) {
        case IOREGSEL:
                return io->index;
        case IOWIN:
                return read_register(io);
        default:
                return UINT32_MAX;
        }
}

static void write_redir(struct ioapic *io, struct apic_bus *bus, unsigned n, uint32_t value)
{
        const unsigned pin = n >> 1;
        const uint64_t old = io->redir[pin];
        uint64_t e = n & 1 ? PUT(old, BITS(63, 32), value) : PUT(old, BITS(31, 0), value);

        e = (e & REDIR_BITS & ~REDIR_READONLY) | (old & REDIR_READONLY);
        /* Without an EOI register, making the pin edge-triggered is how software gets rid of a stuck remote
         * IRR. */
        if (!(e & APIC_LEVEL))
                e &= ~REDIR_REMOTE_IRR;
        io->redir[pin] = e;
        service_level(io, bus, pin);
}

void ioapic_write(struct ioapic *io, struct apic_bus *bus, uint32_t offset, uint32_t value)
{
        if (offset == IOREGSEL) {
                io->index = value & 0xff;
                return;
        }
        if (offset != IOWIN)
                return;
        if (io->index == REG_ID)
                io->id = (uint32_t)(value & ID_BITS);
        else if (io->index >= REG_REDIR && io->index < REG_REDIR + 2 * IOAPIC_PINS)
                write_redir(io, bus, io->index - REG_REDIR, value);
}
