/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-test of interrupt delivery: the PIT through I/O APIC and 8259, the UART, and the instructions
 * around IF. */
#include "apic.h"
#include "irq_wait.h"
#include "probe.h"

#define VECTOR_SELF   0x51u
#define VECTOR_PIT    0x71u
#define VECTOR_UART   0x81u
#define VECTOR_PIC    0x20u
#define VECTOR_PIC_2  0x28u
#define IOAPIC_AT     0xfec00000ull
#define IOAPIC_DATA   0x10
#define IOAPIC_REDIR  0x10
#define PIN_PIT       2u /* ISA interrupt 0 is overridden to it in the MADT */
#define PIN_UART      4u
#define PIC_COMMAND_1 0x20
#define PIC_DATA_1    0x21
#define PIC_COMMAND_2 0xa0
#define PIC_DATA_2    0xa1
#define PIC_ICW1      0x11
#define PIT_CHANNEL0  0x40
#define PIT_COMMAND   0x43
#define PIT_MODE2_CH0 0x34
#define PIT_MODE0_CH0 0x30
#define PERIOD_MS     20u /* long enough for a deep stack of hypervisors to keep up */
#define PERIOD_COUNT  (PERIOD_MS * 1193u)
#define TIMES         5u
#define UART          0x3f8
#define UART_IER      (UART + 1)
#define UART_IIR      (UART + 2)
#define UART_LCR      (UART + 3)
#define UART_MCR      (UART + 4)
#define UART_LSR      (UART + 5)
#define IER_THRE      0x02
#define MCR_OUT2      0x08
#define IIR_THRE      0x02
#define IIR_NONE      0x01

static void ioapic_route(unsigned pin, uint64_t entry)
{
        volatile uint32_t *const select = (volatile uint32_t *)IOAPIC_AT;
        volatile uint32_t *const data = (volatile uint32_t *)(IOAPIC_AT + IOAPIC_DATA);
        *select = IOAPIC_REDIR + 2 * pin + 1;
        *data = (uint32_t)(entry >> 32);
        *select = IOAPIC_REDIR + 2 * pin;
        *data = (uint32_t)entry;
}

static void pic_init(uint8_t mask)
{
        hw_outb(PIC_COMMAND_1, PIC_ICW1);
        hw_outb(PIC_COMMAND_2, PIC_ICW1);
        hw_outb(PIC_DATA_1, VECTOR_PIC);
        hw_outb(PIC_DATA_2, VECTOR_PIC_2);
        hw_outb(PIC_DATA_1, 4);
        hw_outb(PIC_DATA_2, 2);
        hw_outb(PIC_DATA_1, 1);
        hw_outb(PIC_DATA_2, 1);
        hw_outb(PIC_DATA_1, mask);
        hw_outb(PIC_DATA_2, 0xff);
}

static void pit_start(unsigned count)
{
        hw_outb(PIT_COMMAND, PIT_MODE2_CH0);
        hw_outb(PIT_CHANNEL0, (uint8_t)count);
        hw_outb(PIT_CHANNEL0, (uint8_t)(count >> 8));
}

static void pit_stop(void)
{
        hw_outb(PIT_COMMAND, PIT_MODE0_CH0); /* and no count */
}

static bool five_periods(uint64_t start, uint64_t end, uint64_t ms)
{
        const uint64_t took = end - start;
        const bool good = took >= (TIMES - 1) * PERIOD_MS * ms && took <= (TIMES + 1) * PERIOD_MS * ms;
        if (!good)
                say("     took %llu ticks of %llu", (unsigned long long)took,
                    (unsigned long long)(TIMES * PERIOD_MS * ms));
        return good;
}

static void pit(struct probe *p, uint64_t ms)
{
        irq_forget(VECTOR_PIT, EOI_APIC);
        ioapic_route(PIN_PIT, VECTOR_PIT);
        uint64_t start = hw_rdtsc();
        pit_start(PERIOD_COUNT);
        const bool by_ioapic = irq_wait(VECTOR_PIT, TIMES, start + 2 * TIMES * PERIOD_MS * ms);
        check(p, by_ioapic && five_periods(start, traps()->interrupt_tsc, ms),
              "the PIT interrupts through the I/O APIC");
        ioapic_route(PIN_PIT, LVT_MASKED | VECTOR_PIT);
        irq_let_in();

        irq_forget(VECTOR_PIC, EOI_PIC);
        pic_init(0xfe);
        apic_write(APIC_LVT_LINT0, LVT_EXTINT);
        start = hw_rdtsc();
        const bool by_pic = irq_wait(VECTOR_PIC, TIMES, start + 2 * TIMES * PERIOD_MS * ms);
        check(p, by_pic && five_periods(start, traps()->interrupt_tsc, ms),
              "the PIT interrupts through 8259 and ExtINT");
        hw_outb(PIC_DATA_1, 0xff);
        irq_forget(VECTOR_PIC, EOI_PIC);
        check(p, !irq_wait(VECTOR_PIC, 1, hw_rdtsc() + 2 * PERIOD_MS * ms), "a masked 8259 is silent");
        pit_stop();
        apic_write(APIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED);
}

static void uart(struct probe *p, uint64_t ms)
{
        irq_forget(VECTOR_UART, EOI_APIC);
        ioapic_route(PIN_UART, VECTOR_UART);
        hw_outb(UART_LCR, 3);
        hw_outb(UART_MCR, MCR_OUT2);
        hw_inb(UART_IIR);
        hw_outb(UART_IER, IER_THRE);
        check(p, irq_wait(VECTOR_UART, 1, hw_rdtsc() + 5 * ms),
              "enabling the UART's THRE interrupt raises it");
        check(p, (hw_inb(UART_IIR) & 0xf) == IIR_THRE, "the UART names THRE as the cause");
        check(p, (hw_inb(UART_IIR) & 0xf) == IIR_NONE, "naming it ends it");
        irq_forget(VECTOR_UART, EOI_APIC);
        hw_outb(UART, '\n');
        check(p, irq_wait(VECTOR_UART, 1, hw_rdtsc() + 5 * ms), "a byte that is sent raises THRE again");
        hw_outb(UART_IER, 0);
        ioapic_route(PIN_UART, LVT_MASKED | VECTOR_UART);
}

/* --- IF --- */

/* Runs `text` with an IPI to itself pending and IF = 0; label 98 in it is where the interrupt should come
 * in. */
#define TAKEN_AT_98(text)                                                                                    \
        ({                                                                                                   \
                uint64_t at;                                                                                 \
                irq_forget(VECTOR_SELF, EOI_APIC);                                                           \
                xapic_write(APIC_ICR, ICR_SELF | VECTOR_SELF);                                               \
                __asm__ volatile(text "\n\tcli\n\tmovq $98b, %0"                                             \
                                 : "=m"(at)                                                                  \
                                 :                                                                           \
                                 : "memory", "cc", "rax", "rbx", "rcx", "rdx");                              \
                trap_count(VECTOR_SELF) == 1 && traps()->interrupt_rip == at;                                \
        })

static void interrupt_flag(struct probe *p)
{
        check(p, TAKEN_AT_98("sti; nop; 98: nop; nop"),
              "STI lets an interrupt in after one more instruction");
        check(p, TAKEN_AT_98("sti; cpuid; 98: nop; nop"), "the shadow of STI covers CPUID");
        check(p, TAKEN_AT_98("sti; outb %%al, $0x80; 98: nop; nop"), "the shadow of STI covers OUT");
        check(p, TAKEN_AT_98("sti; movl 0xfee00030, %%eax; 98: nop; nop"),
              "the shadow of STI covers a device access");
        check(p, TAKEN_AT_98("sti; hlt; 98: nop; nop"), "HLT in the shadow of STI is left at once");
        check(p, TAKEN_AT_98("pushfq; orq $0x200, (%%rsp); popfq; 98: nop; nop"),
              "POPF lets an interrupt in at once");
        irq_forget(VECTOR_SELF, EOI_APIC);
        xapic_write(APIC_ICR, ICR_SELF | VECTOR_SELF);
        __asm__ volatile("sti; cli; nop; nop" : : : "memory");
        check(p, trap_count(VECTOR_SELF) == 0, "no interrupt comes between STI and CLI");
        irq_let_in();
        check(p, trap_count(VECTOR_SELF) == 1, "it comes with the next STI");
}

void selftest_irq(struct probe *p, uint64_t tsc_hz)
{
        const uint64_t ms = tsc_hz / 1000;
        apic_write(APIC_SVR, (uint32_t)SVR_ENABLE | SVR_SPURIOUS);
        apic_write(APIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED);
        pic_init(0xff);
        interrupt_flag(p);
        pit(p, ms);
        if (p->hypervisor)
                uart(p, ms);
}
