/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/idt.h"
#include "base/bits.h"
#include "base/libc.h"
#include "base/layout.h"
#include "boot/panic.h"
#include "hw/cpu.h"

#define VECTOR_NMI      2
#define ISR_STRIDE      16
#define NR_EXCEPTIONS   32
#define GATE_INTERRUPT  0x8e00ull /* present, 64-bit interrupt gate */
#define TSS_AVAILABLE   0x89ull   /* present, available 64-bit TSS */

extern const uint8_t isr_table[];
extern uint64_t boot_gdt[];
extern const struct fixup {
        uint64_t at, to;
} fixup_start[], fixup_end[];

/* SDM 3A "64-Bit Mode IDT" and "TSS Descriptor in 64-bit mode". */
static struct idt_entry gate(uint64_t handler)
{
        return (struct idt_entry){
                .low = (handler & 0xffff) | (uint64_t)SEL_CODE64 << 16 | 1ull << 32 /* IST 1 */ |
                       GATE_INTERRUPT << 32 | (handler >> 16 & 0xffff) << 48,
                .high = handler >> 32,
        };
}

void idt_init(struct descriptor_tables *t)
{
        memset(t, 0, sizeof(*t));
        const uint64_t ist = (uint64_t)t->ist + sizeof(t->ist), tss = (uint64_t)&t->tss;
        t->tss.ist[0] = (uint32_t)ist;
        t->tss.ist[1] = (uint32_t)(ist >> 32);
        t->tss.io_base = sizeof(t->tss);
        for (unsigned i = 0; i < NR_EXCEPTIONS; i++)
                t->idt[i] = gate((uint64_t)isr_table + i * ISR_STRIDE);

        boot_gdt[SEL_TSS / 8] = (sizeof(t->tss) - 1) | (tss & 0xffffff) << 16 | TSS_AVAILABLE << 40 | (tss >> 24 & 0xff) << 56;
        boot_gdt[SEL_TSS / 8 + 1] = tss >> 32;
        const struct {
                uint16_t limit;
                uint64_t base;
        } __attribute__((packed)) idtr = { sizeof(t->idt) - 1, (uint64_t)t->idt };
        __asm__ volatile("lidt %0; ltr %w1" : : "m"(idtr), "r"(SEL_TSS) : "memory");
}

void host_exception(struct exception_frame *f)
{
        if (f->vector == VECTOR_NMI)
                return; /* dropped: no device of the guest's sends one */
        for (const struct fixup *x = fixup_start; x < fixup_end; x++) {
                if (x->at == f->rip) {
                        f->rip = x->to;
                        return;
                }
        }
        panic_exception(f);
}
