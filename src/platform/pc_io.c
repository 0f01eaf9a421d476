/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/pc_wires.h"
#include "trace/record.h"

#define UART0_PORT  0x3f8
#define UART1_PORT  0x2f8
#define POST_PORT   0x80
#define DELAY_PORT  0xed
#define PORT92      0x92
#define PORT92_A20  BIT(1)
#define PORT92_INIT BIT(0)
#define RESET_CPU   BIT(2) /* in PC_RESET_PORT */

static uint8_t uart_port_read(struct pc *p, unsigned unit, unsigned reg)
{
        const uint8_t v = uart_read(&p->uart[unit], reg);
        pc_set_irq(p, uart_irq_number(unit), uart_irq(&p->uart[unit]));
        return v;
}

static struct pc_verdict uart_port_write(struct pc *p, unsigned unit, unsigned reg, uint8_t value)
{
        const bool sent = uart_write(&p->uart[unit], reg, value);
        pc_set_irq(p, uart_irq_number(unit), uart_irq(&p->uart[unit]));
        return (struct pc_verdict){ .action = sent ? PC_CONSOLE : PC_NONE, .value = value, .unit = unit };
}

static uint8_t rtc_port_read(struct pc *p, uint16_t port, uint64_t now)
{
        const uint8_t v = rtc_read(&p->rtc, port, now);
        pc_set_irq(p, IRQ_RTC, rtc_irq(&p->rtc));
        pc_schedule_devices(p);
        return v;
}

static void rtc_port_write(struct pc *p, uint16_t port, uint8_t value, uint64_t now)
{
        rtc_write(&p->rtc, port, value, now);
        pc_set_irq(p, IRQ_RTC, rtc_irq(&p->rtc));
        pc_schedule_devices(p);
}

static void pit_port_write(struct pc *p, uint16_t port, uint8_t value, uint64_t now)
{
        pit_write(&p->pit, port, value, now);
        if (p->pit.due == UINT64_MAX)
                pc_set_irq(p, IRQ_PIT, false);
        pc_schedule_devices(p);
}

static uint8_t pic_port_read(struct pc *p, uint16_t port)
{
        const uint8_t v = pic_read(&p->pic, port); /* a poll takes the interrupt away */
        pc_wire_intr(p);
        return v;
}

/* False: nobody answers at this port. */
static bool read_byte(struct pc *p, uint16_t port, uint64_t now, uint8_t *v)
{
        *v = 0xff;
        switch (port) {
        case UART0_PORT ... UART0_PORT + UART_PORTS - 1:
                *v = uart_port_read(p, 0, port - UART0_PORT);
                return true;
        case UART1_PORT ... UART1_PORT + UART_PORTS - 1:
                *v = uart_port_read(p, 1, port - UART1_PORT);
                return true;
        case PIC_MASTER ... PIC_MASTER + 1:
        case PIC_SLAVE ... PIC_SLAVE + 1:
        case PIC_ELCR ... PIC_ELCR + 1:
                *v = pic_port_read(p, port);
                return true;
        case PIT_PORT ... PIT_CONTROL:
                *v = pit_read(&p->pit, port, now);
                return true;
        case PIT_GATE_PORT:
                *v = pit_read_gate(&p->pit, now);
                return true;
        case I8042_DATA:
        case I8042_COMMAND:
                *v = i8042_read(&p->i8042, port);
                return true;
        case RTC_INDEX_PORT:
        case RTC_DATA_PORT:
                *v = rtc_port_read(p, port, now);
                return true;
        case PORT92:
                *v = p->port92;
                return true;
        case PC_DEBUG_BYTE_PORT: /* reads as its own number: how software finds the debug console */
                *v = PC_DEBUG_BYTE_PORT;
                return true;
        case PM1A_EVENT_PORT ... PM_PORT_END - 1:
                *v = (uint8_t)pm_read(&p->pm, port, now);
                return true;
        case PC_RESET_PORT:
                *v = p->reset_control;
                return true;
        case PCI_DATA_PORT ... PCI_DATA_PORT + 3:
                *v = pci_read_data(&p->pci, port);
                return true;
        case POST_PORT:
        case DELAY_PORT:
                return true;
        default:
                return false;
        }
}

static struct pc_verdict reset_if(bool yes)
{
        return (struct pc_verdict){ .action = yes ? PC_RESET : PC_NONE };
}

static struct pc_verdict write_reset_control(struct pc *p, uint8_t value)
{
        p->reset_control = (uint8_t)(value & ~RESET_CPU);
        return reset_if(value & RESET_CPU);
}

static struct pc_verdict write_port92(struct pc *p, uint8_t value)
{
        p->port92 = (uint8_t)(value & ~PORT92_INIT);
        return reset_if(value & PORT92_INIT);
}

/* Devices that only take bytes and never ask anything of the run loop. */
static bool write_quiet(struct pc *p, uint16_t port, uint8_t value, uint64_t now)
{
        switch (port) {
        case PIC_MASTER ... PIC_MASTER + 1:
        case PIC_SLAVE ... PIC_SLAVE + 1:
        case PIC_ELCR ... PIC_ELCR + 1:
                pic_write(&p->pic, port, value);
                pc_wire_intr(p);
                return true;
        case PIT_PORT ... PIT_CONTROL:
                pit_port_write(p, port, value, now);
                return true;
        case PIT_GATE_PORT:
                pit_write_gate(&p->pit, value, now);
                return true;
        case RTC_INDEX_PORT:
        case RTC_DATA_PORT:
                rtc_port_write(p, port, value, now);
                return true;
        case PCI_DATA_PORT ... PCI_DATA_PORT + 3:
                pci_write_data(&p->pci, port, value);
                return true;
        case POST_PORT:
        case DELAY_PORT:
                return true;
        default:
                return false;
        }
}

static bool write_byte(struct pc *p, uint16_t port, uint8_t value, uint64_t now, struct pc_verdict *out)
{
        *out = (struct pc_verdict){ .action = PC_NONE };
        switch (port) {
        case UART0_PORT ... UART0_PORT + UART_PORTS - 1:
                *out = uart_port_write(p, 0, port - UART0_PORT, value);
                return true;
        case UART1_PORT ... UART1_PORT + UART_PORTS - 1:
                *out = uart_port_write(p, 1, port - UART1_PORT, value);
                return true;
        case PC_DEBUG_BYTE_PORT:
                *out = (struct pc_verdict){ .action = PC_DEBUG_BYTE, .value = value };
                return true;
        case I8042_DATA:
        case I8042_COMMAND:
                *out = reset_if(i8042_write(&p->i8042, port, value));
                return true;
        case PORT92:
                *out = write_port92(p, value);
                return true;
        case PC_RESET_PORT:
                *out = write_reset_control(p, value);
                return true;
        case PM1A_EVENT_PORT ... PM_PORT_END - 1:
                if (pm_write(&p->pm, port, value))
                        out->action = PC_POWER_OFF;
                return true;
        default:
                return write_quiet(p, port, value, now);
        }
}

static void unknown(struct pc *p, uint16_t port)
{
        p->unknown_io++;
        p->last_unknown_port = port;
}

uint32_t pc_io_read(struct pc *p, uint16_t port, unsigned bytes, uint64_t now)
{
        uint32_t v = 0;
        bool known = false;

        pc_advance(p, now);
        if (port == PCI_ADDRESS_PORT && bytes == 4)
                return pci_read_address(&p->pci);
        /* The PM timer must not tear. */
        if (port >= PM1A_EVENT_PORT && port < PM_PORT_END && (port & 3) + bytes <= 4)
                return (uint32_t)(pm_read(&p->pm, port, now) & BITS(bytes * 8 - 1, 0));
        for (unsigned i = 0; i < bytes && i < 4; i++) {
                uint8_t byte = 0xff;
                if (port + i <= UINT16_MAX && read_byte(p, (uint16_t)(port + i), now, &byte))
                        known = true;
                v |= (uint32_t)byte << 8 * i;
        }
        if (!known)
                unknown(p, port);
        return v;
}

struct pc_verdict pc_io_write(struct pc *p, uint16_t port, unsigned bytes, uint32_t value, uint64_t now)
{
        struct pc_verdict first = { .action = PC_NONE };
        bool known = false;

        pc_advance(p, now);
        if (port == PC_DEBUG_EXIT_PORT)
                return (struct pc_verdict){ .action = PC_DEBUG_EXIT,
                                            .value = (uint32_t)(value & BITS(bytes * 8 - 1, 0)) };
        if (port == MARKER_PORT && bytes == 4)
                return (struct pc_verdict){ .action = PC_MARKER, .value = value };
        if (port == PCI_ADDRESS_PORT && bytes == 4) {
                pci_write_address(&p->pci, value);
                return first;
        }
        for (unsigned i = 0; i < bytes && i < 4; i++) {
                struct pc_verdict v = { .action = PC_NONE };
                if (port + i <= UINT16_MAX &&
                    write_byte(p, (uint16_t)(port + i), (uint8_t)(value >> 8 * i), now, &v))
                        known = true;
                if (first.action == PC_NONE)
                        first = v;
        }
        if (!known)
                unknown(p, port);
        return first;
}
