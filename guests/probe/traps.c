/* SPDX-License-Identifier: BSD-2-Clause */
#include "traps.h"
#include "apic.h"
#include "base/bits.h"
#include "base/bug.h"
#include "base/layout.h"
#include "base/x86.h"
#include "boot/idt.h"
#include "boot/panic.h"
#include "hw/cpu.h"
#include "probe.h"
#include "vmx/controls.h"

#define ISR_STRIDE     16
#define NR_EXCEPTIONS  32
#define NR_VECTORS     256
#define GATE_INTERRUPT 0x8e00ull /* present, 64-bit interrupt gate */
#define PIC_MASTER     0x20
#define PIC_SLAVE      0xa0
#define PIC_EOI        0x20
#define DR6_NONE       0xffff0ff0ull

extern const uint8_t isr_table[], irq_table[];
extern const struct fixup {
        uint64_t at, to;
} fixup_start[], fixup_end[];

static struct {
        struct idt_entry idt[NR_VECTORS];
        struct traps traps;
} tables;

struct traps *traps(void)
{
        return &tables.traps;
}

/* SDM 3A "64-Bit Mode IDT"; no stack switch. */
static struct idt_entry gate(uint64_t handler)
{
        return (struct idt_entry){
                .low = (handler & 0xffff) | (uint64_t)SEL_CODE64 << 16 | GATE_INTERRUPT << 32 |
                       (handler >> 16 & 0xffff) << 48,
                .high = handler >> 32,
        };
}

void traps_init(void)
{
        for (unsigned i = 0; i < NR_VECTORS; i++) {
                const uint64_t at = i < NR_EXCEPTIONS
                                            ? (uint64_t)isr_table + i * ISR_STRIDE
                                            : (uint64_t)irq_table + (i - NR_EXCEPTIONS) * ISR_STRIDE;
                tables.idt[i] = gate(at);
        }
        const struct {
                uint16_t limit;
                uint64_t base;
        } __attribute__((packed)) idtr = { sizeof(tables.idt) - 1, (uint64_t)tables.idt };
        __asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

static void interrupt(struct exception_frame *f)
{
        struct traps *t = traps();
        t->interrupt_tsc = hw_rdtsc();
        t->interrupt_rip = f->rip;
        t->interrupts[f->vector]++;
        if (t->taken < TRAP_ORDER)
                t->order[t->taken++] = (uint8_t)f->vector;
        if (t->eoi[f->vector] == EOI_APIC)
                apic_eoi();
        else if (t->eoi[f->vector] == EOI_PIC)
                hw_outb(PIC_MASTER, PIC_EOI);
}

void host_exception(struct exception_frame *f)
{
        struct traps *t = traps();
        if (f->vector >= NR_EXCEPTIONS) {
                interrupt(f);
                return;
        }
        for (const struct fixup *x = fixup_start; x < fixup_end; x++) {
                if (x->at == f->rip) {
                        f->rip = x->to;
                        return;
                }
        }
        t->vector = f->vector;
        t->error = f->error;
        t->rip = f->rip;
        t->rflags = f->rflags;
        if (f->vector == VEC_PF)
                t->cr2 = hw_read_cr2();
        if (f->vector == VEC_DB) {
                t->dr6 = hw_read_dr6();
                hw_write_dr6(DR6_NONE); /* the processor only ever sets bits */
        }
        if (!t->resume) {
                say("FAIL exception %llu, error 0x%llx, at rip 0x%llx", (unsigned long long)f->vector,
                    (unsigned long long)f->error, (unsigned long long)f->rip);
                bug(__FILE__, __LINE__, "an exception that no test expects");
        }
        f->rip = t->resume;
        f->rflags &= ~RFLAGS_TF;
        t->resume = 0;
}

void nmi_unblock(void)
{
        uint64_t scratch;
        TRY("movq %%ss, %0\n\t"
            "pushq %0\n\t"
            "leaq 8(%%rsp), %0\n\t"
            "pushq %0\n\t"
            "pushfq\n\t"
            "movq %%cs, %0\n\t"
            "pushq %0\n\t"
            "pushq $98f\n\t"
            "iretq\n"
            "98:\tnop\n\t"
            "nop", "=&r"(scratch));
}
