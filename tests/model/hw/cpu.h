/* SPDX-License-Identifier: BSD-2-Clause */
/* cpu.h - stands in for src/hw/cpu.h in tests of the model: the same functions, executed by the modelled
 * processor (tests/model/processor.h). */
#ifndef CASCADE_HW_CPU_H
#define CASCADE_HW_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_regs {
        uint32_t eax, ebx, ecx, edx;
};

struct cpuid_regs hw_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t hw_rdtsc(void);
uint64_t hw_rdmsr(uint32_t msr);
void hw_wrmsr(uint32_t msr, uint64_t value);
bool hw_rdmsr_safe(uint32_t msr, uint64_t *value);
bool hw_wrmsr_safe(uint32_t msr, uint64_t value);

#define HW_REGISTER(name)                                                                                    \
        uint64_t hw_read_##name(void);                                                                       \
        void hw_write_##name(uint64_t v);
HW_REGISTER(cr0)
HW_REGISTER(cr2)
HW_REGISTER(cr3)
HW_REGISTER(cr4)
HW_REGISTER(dr6)
#undef HW_REGISTER

uint64_t hw_xgetbv(uint32_t index);
void hw_xsetbv(uint32_t index, uint64_t value);

#define HW_PORT(suffix, type)                                                                                \
        type hw_in##suffix(uint16_t port);                                                                   \
        void hw_out##suffix(uint16_t port, type v);
HW_PORT(b, uint8_t)
HW_PORT(w, uint16_t)
HW_PORT(l, uint32_t)
#undef HW_PORT

void hw_outs_b(uint16_t port, const void *bytes, uint64_t count);
void hw_outs_w(uint16_t port, const void *words, uint64_t count);

uint64_t hw_gdt_base(void);
uint64_t hw_idt_base(void);
void *hw_gs_self(void);
void hw_unblock_nmi(void);
uint64_t hw_vmcall(uint64_t rax, uint64_t rbx, uint64_t rcx);
void hw_wbinvd(void);
_Noreturn void hw_halt_forever(void);

#endif
