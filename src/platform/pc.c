/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/pc_wires.h"
#include "base/bug.h"
#include "base/libc.h"

#define PIN_PIT 2 /* the MADT's override: ISA interrupt 0 is wired to pin 2 */

#define LOW_RAM_END  0x9f000ull /* above: firmware data, video memory, ROMs */
#define HIGH_RAM     0x100000ull

static void schedule(struct pc *p)
{
        uint64_t due = p->device_due;

        for (unsigned i = 0; i < p->bus.count; i++)
                if (p->bus.cpu[i].timer_due < due)
                        due = p->bus.cpu[i].timer_due;
        p->next_event = due;
}

void pc_schedule_devices(struct pc *p)
{
        p->device_due = p->pit.due < p->rtc.due ? p->pit.due : p->rtc.due;
        schedule(p);
}

void pc_wire_intr(struct pc *p)
{
        for (unsigned i = 0; i < p->bus.count; i++)
                lapic_set_lint0(&p->bus.cpu[i], p->pic.intr);
}

void pc_set_irq(struct pc *p, unsigned irq, bool level)
{
        if (level == !!(p->irq_lines & BIT(irq)))
                return;
        p->irq_lines ^= (uint32_t)BIT(irq);
        pic_set_line(&p->pic, irq, level);
        pc_wire_intr(p);
        ioapic_set_pin(&p->ioapic, &p->bus, irq == IRQ_PIT ? PIN_PIT : irq, level);
}

void pc_init(struct pc *p, const struct pc_config *cfg)
{
        const struct rtc_config rtc = { .tsc_hz = cfg->tsc_hz, .start_tsc = cfg->start_tsc,
                                        .epoch_seconds = cfg->epoch_seconds, .low_bytes = cfg->low_bytes,
                                        .high_bytes = cfg->high_bytes };

        BUG_UNLESS(cfg->cpus >= 1 && cfg->cpus <= LAPIC_MAX);
        BUG_UNLESS(cfg->maxphyaddr >= 32 && cfg->maxphyaddr <= 52);
        BUG_UNLESS(cfg->tsc_hz > 0 && cfg->tsc_hz >> 37 == 0); /* platform/ticks.h */
        memset(p, 0, sizeof(*p));
        p->bus.count = cfg->cpus;
        for (unsigned i = 0; i < cfg->cpus; i++)
                lapic_init(&p->bus.cpu[i], i, i == 0, cfg->maxphyaddr);
        ioapic_init(&p->ioapic);
        pic_init(&p->pic);
        for (unsigned i = 0; i < PC_UARTS; i++)
                uart_init(&p->uart[i]);
        pit_init(&p->pit, cfg->tsc_hz);
        rtc_init(&p->rtc, &rtc);
        pm_init(&p->pm, cfg->tsc_hz);
        pci_init(&p->pci);
        i8042_init(&p->i8042);
        pc_schedule_devices(p);
}

void pc_init_cpu(struct pc *p, unsigned cpu)
{
        lapic_init_reset(&p->bus.cpu[cpu]);
        schedule(p);
}

void pc_advance(struct pc *p, uint64_t now)
{
        if (now < p->next_event)
                return;
        for (unsigned i = 0; i < p->bus.count; i++)
                lapic_advance(&p->bus.cpu[i], now);
        if (now >= p->device_due) {
                if (pit_advance(&p->pit, now)) {
                        pc_set_irq(p, IRQ_PIT, false);
                        pc_set_irq(p, IRQ_PIT, true);
                }
                rtc_advance(&p->rtc, now);
                pc_set_irq(p, IRQ_RTC, rtc_irq(&p->rtc));
        }
        pc_schedule_devices(p);
}

bool pc_console_input(struct pc *p, unsigned unit, uint8_t byte)
{
        if (unit >= PC_UARTS || !uart_input(&p->uart[unit], byte))
                return false;
        pc_set_irq(p, uart_irq_number(unit), uart_irq(&p->uart[unit]));
        return true;
}

int pc_ack_vector(struct pc *p, unsigned cpu)
{
        struct lapic *l = &p->bus.cpu[cpu];

        if (l->offer != LAPIC_EXTINT)
                return lapic_ack(l);
        const int vector = pic_ack(&p->pic);
        pc_wire_intr(p);
        return vector;
}

/* ---- memory-mapped registers ---- */

/* The most frequent write of all: kept short. */
static void end_of_interrupt(struct pc *p, struct lapic *l)
{
        const int level = lapic_eoi(l);

        if (level != LAPIC_NO_VECTOR)
                ioapic_eoi(&p->ioapic, &p->bus, (uint8_t)level);
}

void pc_dismiss_vector(struct pc *p, unsigned cpu)
{
        pc_ack_vector(p, cpu);
        end_of_interrupt(p, &p->bus.cpu[cpu]);
}

static struct pc_verdict act(struct apic_effect e)
{
        if (e.kind != APIC_START_CPU)
                return (struct pc_verdict){ .action = PC_NONE };
        return (struct pc_verdict){ .action = PC_IPI, .cpus = e.cpus, .value64 = e.icr };
}

struct pc_verdict pc_mmio_write(struct pc *p, unsigned cpu, l1gpa_t at, unsigned bytes, uint64_t value,
                                uint64_t now)
{
        const uint32_t offset = (uint32_t)(at.raw & (PAGE_SIZE - 1));
        struct lapic *l = &p->bus.cpu[cpu];

        pc_advance(p, now);
        /* Registers lie 16 bytes apart; SDM 3A "The Local APIC Block Diagram": other accesses are undefined.
         */
        if (!pc_is_mmio(p, cpu, at) || (offset & 15) || bytes > 4) {
                p->unknown_mmio++;
                return (struct pc_verdict){ .action = PC_NONE };
        }
        /* The APIC's page hides the I/O APIC if the guest moves one over the other. */
        if (!lapic_is_xapic(l) || ALIGN_DOWN(at.raw, PAGE_SIZE) != (l->base & APICBASE_ADDR)) {
                ioapic_write(&p->ioapic, &p->bus, offset, (uint32_t)value);
                return (struct pc_verdict){ .action = PC_NONE };
        }
        if (bytes != 4) {
                p->unknown_mmio++;
                return (struct pc_verdict){ .action = PC_NONE };
        }
        if (offset >> 4 == LAPIC_EOI) {
                end_of_interrupt(p, l);
                return (struct pc_verdict){ .action = PC_NONE };
        }
        const uint64_t due = l->timer_due;
        const struct apic_effect e = apic_bus_write(&p->bus, cpu, offset >> 4, (uint32_t)value, now);
        if (e.kind == APIC_REFUSED)
                lapic_error(l, ESR_BAD_REGISTER);
        if (l->timer_due != due)
                schedule(p);
        return act(e);
}

static uint64_t low_bytes_of(uint64_t v, unsigned bytes)
{
        return bytes >= 8 ? v : v & (BIT(bytes * 8) - 1);
}

uint64_t pc_mmio_read(struct pc *p, unsigned cpu, l1gpa_t at, unsigned bytes, uint64_t now)
{
        const uint32_t offset = (uint32_t)(at.raw & (PAGE_SIZE - 1)), within = offset & 15;
        struct lapic *l = &p->bus.cpu[cpu];
        uint64_t v = 0;

        pc_advance(p, now);
        if (!pc_is_mmio(p, cpu, at) || bytes > 4 || within + bytes > 4) {
                p->unknown_mmio++;
                return low_bytes_of(UINT64_MAX, bytes);
        }
        if (!lapic_is_xapic(l) || ALIGN_DOWN(at.raw, PAGE_SIZE) != (l->base & APICBASE_ADDR))
                v = ioapic_read(&p->ioapic, offset - within);
        else if (!lapic_read(l, offset >> 4, now, &v))
                lapic_error(l, ESR_BAD_REGISTER);
        return low_bytes_of(v >> within * 8, bytes);
}

/* ---- MSRs ---- */

bool pc_msr_read(struct pc *p, unsigned cpu, uint32_t msr, uint64_t *value, uint64_t now)
{
        struct lapic *l = &p->bus.cpu[cpu];

        pc_advance(p, now);
        if (msr == MSR_TSC_DEADLINE) {
                *value = l->deadline;
                return true;
        }
        if (msr == MSR_APIC_BASE) {
                *value = l->base;
                return true;
        }
        /* SDM 3A "x2APIC Register Address Space": #GP in any other mode. */
        return msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST && lapic_is_x2(l) &&
               lapic_read(l, msr - MSR_X2APIC_FIRST, now, value);
}

bool pc_msr_write(struct pc *p, unsigned cpu, uint32_t msr, uint64_t value, uint64_t now,
                  struct pc_verdict *verdict)
{
        struct lapic *l = &p->bus.cpu[cpu];

        pc_advance(p, now);
        *verdict = (struct pc_verdict){ .action = PC_NONE };
        if (msr == MSR_TSC_DEADLINE) {
                lapic_set_deadline(l, value, now);
                schedule(p);
                return true;
        }
        if (msr == MSR_APIC_BASE) {
                const bool ok = lapic_set_base(l, value);
                schedule(p);
                return ok;
        }
        if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !lapic_is_x2(l))
                return false;
        if (msr == MSR_X2APIC_FIRST + LAPIC_EOI) {
                if (value) /* SDM 3A "x2APIC Register Address Space": anything but 0 is #GP */
                        return false;
                end_of_interrupt(p, l);
                return true;
        }
        const uint64_t due = l->timer_due;
        const struct apic_effect e = apic_bus_write(&p->bus, cpu, msr - MSR_X2APIC_FIRST, value, now);
        if (e.kind == APIC_REFUSED)
                return false;
        if (l->timer_due != due)
                schedule(p);
        *verdict = act(e);
        return true;
}

/* ---- memory map ---- */

size_t pc_e820(const struct pc_config *cfg, struct e820_entry *out, size_t max)
{
        const uint64_t low = cfg->low_bytes;
        const struct e820_entry all[E820_MAX] = {
                { 0, low < LOW_RAM_END ? low : LOW_RAM_END, E820_RAM },
                { LOW_RAM_END, HIGH_RAM - LOW_RAM_END, E820_RESERVED },
                { HIGH_RAM, low > HIGH_RAM ? low - HIGH_RAM : 0, E820_RAM },
                { SIZE_4G, cfg->high_bytes, E820_RAM },
        };
        size_t n = 0;

        for (size_t i = 0; i < E820_MAX && n < max; i++)
                if (all[i].bytes)
                        out[n++] = all[i];
        return n;
}
