/* SPDX-License-Identifier: BSD-2-Clause */
/* cpu.h - privileged and processor-specific instructions outside VMX, one inline function each. No policy. */
#ifndef CASCADE_HW_CPU_H
#define CASCADE_HW_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_regs {
        uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs hw_cpuid(uint32_t leaf, uint32_t subleaf)
{
        struct cpuid_regs r;
        __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
        return r;
}

static inline uint64_t hw_rdtsc(void)
{
        uint32_t lo, hi;
        __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
        return (uint64_t)hi << 32 | lo;
}

static inline uint64_t hw_rdmsr(uint32_t msr)
{
        uint32_t lo, hi;
        __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
        return (uint64_t)hi << 32 | lo;
}

static inline void hw_wrmsr(uint32_t msr, uint64_t value)
{
        __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* RDMSR and WRMSR that survive #GP: false when the processor refuses. Their fault is fixed up by src/boot/idt.c. */
bool hw_rdmsr_safe(uint32_t msr, uint64_t *value);
bool hw_wrmsr_safe(uint32_t msr, uint64_t value);

#define HW_CR(n)                                                                                             \
        static inline uint64_t hw_read_cr##n(void)                                                           \
        {                                                                                                    \
                uint64_t v;                                                                                  \
                __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                            \
                return v;                                                                                    \
        }                                                                                                    \
        static inline void hw_write_cr##n(uint64_t v)                                                        \
        {                                                                                                    \
                __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                                   \
        }
HW_CR(0)
HW_CR(2)
HW_CR(3)
HW_CR(4)
#undef HW_CR

#define HW_DR(n)                                                                                             \
        static inline uint64_t hw_read_dr##n(void)                                                           \
        {                                                                                                    \
                uint64_t v;                                                                                  \
                __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));                                            \
                return v;                                                                                    \
        }                                                                                                    \
        static inline void hw_write_dr##n(uint64_t v)                                                        \
        {                                                                                                    \
                __asm__ volatile("mov %0, %%dr" #n : : "r"(v));                                              \
        }
HW_DR(6)
#undef HW_DR

static inline uint64_t hw_xgetbv(uint32_t index)
{
        uint32_t lo, hi;
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
        return (uint64_t)hi << 32 | lo;
}

static inline void hw_xsetbv(uint32_t index, uint64_t value)
{
        __asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

#define HW_PORT(suffix, type)                                                                                \
        static inline type hw_in##suffix(uint16_t port)                                                      \
        {                                                                                                    \
                type v;                                                                                      \
                __asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port));                             \
                return v;                                                                                    \
        }                                                                                                    \
        static inline void hw_out##suffix(uint16_t port, type v)                                             \
        {                                                                                                    \
                __asm__ volatile("out" #suffix " %0, %1" : : "a"(v), "Nd"(port));                            \
        }
HW_PORT(b, uint8_t)
HW_PORT(w, uint16_t)
HW_PORT(l, uint32_t)
#undef HW_PORT

static inline void hw_outs_b(uint16_t port, const void *bytes, uint64_t count)
{
        __asm__ volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(port) : "memory");
}

static inline void hw_outs_w(uint16_t port, const void *words, uint64_t count)
{
        __asm__ volatile("rep outsw" : "+S"(words), "+c"(count) : "d"(port) : "memory");
}

/* Bases of the descriptor tables in use. */
#define HW_TABLE_BASE(name, insn)                                                                            \
        static inline uint64_t name(void)                                                                    \
        {                                                                                                    \
                struct {                                                                                     \
                        uint16_t limit;                                                                      \
                        uint64_t base;                                                                       \
                } __attribute__((packed)) r;                                                                 \
                __asm__(insn " %0" : "=m"(r));                                                               \
                return r.base;                                                                               \
        }
HW_TABLE_BASE(hw_gdt_base, "sgdt")
HW_TABLE_BASE(hw_idt_base, "sidt")
#undef HW_TABLE_BASE

/* The pointer at GS:0. */
static inline void *hw_gs_self(void)
{
        void *p;
        __asm__("mov %%gs:0, %0" : "=r"(p));
        return p;
}

static inline uint64_t hw_vmcall(uint64_t rax, uint64_t rbx, uint64_t rcx)
{
        __asm__ volatile("vmcall" : "+a"(rax) : "b"(rbx), "c"(rcx) : "memory", "cc");
        return rax;
}

static inline void hw_wbinvd(void)
{
        __asm__ volatile("wbinvd" : : : "memory");
}

/* The host's handler of vector 2 does nothing; its IRET ends blocking by NMI. */
static inline void hw_unblock_nmi(void)
{
        __asm__ volatile("int $2" : : : "memory");
}

static inline _Noreturn void hw_halt_forever(void)
{
        for (;;)
                __asm__ volatile("cli; hlt");
}

#endif
