/* SPDX-License-Identifier: BSD-2-Clause */
/* idt.h - the host's descriptor tables. cascade takes no interrupts of its own: every exception is a bug of ours,
 * except NMI, which is counted for the run loop, and the faults of hw_rdmsr_safe() and hw_wrmsr_safe(). */
#ifndef CASCADE_BOOT_IDT_H
#define CASCADE_BOOT_IDT_H

#include <stdint.h>

struct idt_entry {
        uint64_t low, high;
};

struct tss64 {
        uint32_t _0;
        uint32_t rsp[6];
        uint32_t _1[2];
        uint32_t ist[14];
        uint32_t _2[2];
        uint16_t _3, io_base;
} __attribute__((packed));
_Static_assert(sizeof(struct tss64) == 104, "SDM 3A \"64-Bit TSS\"");

#define IST_BYTES 16384

/* One processor's tables; it keeps using them for ever. */
struct descriptor_tables {
        struct tss64 tss;
        struct idt_entry idt[256];
        uint8_t ist[IST_BYTES] __attribute__((aligned(16)));
};

void idt_init(struct descriptor_tables *t);

#endif
