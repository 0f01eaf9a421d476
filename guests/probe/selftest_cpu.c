/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-test of the processor: exceptions, control registers, XSETBV, page faults, single-stepping. */
#include "apic.h"
#include "base/addr.h"
#include "base/x86.h"
#include "hw/hypercall.h"
#include "probe.h"
#include "traps.h"
#include "vmx/controls.h"

#define MSR_UNKNOWN   0x1234
#define PAT_BAD       0x0007040600070402ull /* type 2 is reserved */
#define PTE_TABLE     0x3
#define PTE_READ_ONLY 0x1
#define CR4_OSXSAVE   BIT(18)
#define CR4_UNDEFINED BIT(31)
#define CPUID_1_XSAVE BIT(26)
#define CPUID_1_VMX   BIT(5)
#define CPUID_XSAVE   0xd
#define PFERR_WRITE   2
#define PFERR_PRESENT 1
#define PFERR_FETCH   16
#define DR6_BS        BIT(14)
#define POST_PORT     0x80
#define ROUNDS        200

/* --- exceptions --- */

static bool raised(unsigned vector, uint64_t error)
{
        return traps()->vector == vector && traps()->error == error;
}

static void try_rdmsr(uint32_t msr)
{
        uint32_t lo = 0, hi = 0;
        TRY("rdmsr", "+a"(lo)COMMA "+d"(hi), "c"(msr));
}

static void try_wrmsr(uint32_t msr, uint64_t value)
{
        TRY("wrmsr", , "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void exceptions(struct probe *p)
{
        TRY("ud2", );
        check(p, raised(VEC_UD, 0), "UD2 raises #UD");
        try_rdmsr(MSR_UNKNOWN);
        check(p, raised(VEC_GP, 0), "RDMSR of an unknown register raises #GP(0)");
        try_wrmsr(MSR_UNKNOWN, 0);
        check(p, raised(VEC_GP, 0), "WRMSR of an unknown register raises #GP(0)");
        try_wrmsr(MSR_PAT, PAT_BAD);
        check(p, raised(VEC_GP, 0), "WRMSR of a bad PAT raises #GP(0)");
        try_wrmsr(MSR_EFER, hw_rdmsr(MSR_EFER) | BIT(1));
        check(p, raised(VEC_GP, 0), "WRMSR of a reserved bit of EFER raises #GP(0)");
        try_wrmsr(MSR_APIC_BASE, hw_rdmsr(MSR_APIC_BASE) | BIT(0));
        check(p, raised(VEC_GP, 0), "WRMSR of a reserved bit of IA32_APIC_BASE raises #GP(0)");
        TRY("int3", );
        check(p, raised(VEC_BP, 0), "INT3 raises #BP");
        TRY("divl %%ecx", , "a"(1), "c"(0), "d"(0));
        check(p, raised(VEC_DE, 0), "a division by zero raises #DE");
        if (!(hw_cpuid(1, 0).ecx & CPUID_1_VMX))
                return;
        TRY("vmxoff", );
        check(p, raised(VEC_UD, 0), "VMXOFF outside of VMX operation raises #UD");
}

/* --- control registers --- */

static bool cr0_takes(uint64_t value)
{
        const uint64_t old = hw_read_cr0();
        TRY("mov %[v], %%cr0", , [v] "r"(value));
        const bool taken = traps()->vector == NO_VECTOR && hw_read_cr0() == value;
        hw_write_cr0(old);
        return taken && hw_read_cr0() == old;
}

static bool cr0_refuses(uint64_t value)
{
        TRY("mov %[v], %%cr0", , [v] "r"(value));
        return raised(VEC_GP, 0);
}

static bool cr4_takes(uint64_t value)
{
        const uint64_t old = hw_read_cr4();
        TRY("mov %[v], %%cr4", , [v] "r"(value));
        const bool taken = traps()->vector == NO_VECTOR && hw_read_cr4() == value;
        hw_write_cr4(old);
        return taken && hw_read_cr4() == old;
}

static bool cr4_refuses(uint64_t value)
{
        TRY("mov %[v], %%cr4", , [v] "r"(value));
        return raised(VEC_GP, 0);
}

static void control_registers(struct probe *p)
{
        const uint64_t cr0 = hw_read_cr0(), cr4 = hw_read_cr4();
        check(p, cr0_takes(cr0 ^ CR0_CD), "CR0.CD can be changed and reads back");
        check(p, cr0_takes(cr0 ^ CR0_NE), "CR0.NE can be changed and reads back");
        check(p, cr0_takes(cr0 ^ CR0_TS), "CR0.TS can be changed and reads back");
        check(p, cr0_takes(cr0 ^ CR0_WP), "CR0.WP can be changed and reads back");
        check(p, cr0_refuses(cr0 & ~CR0_PG), "clearing CR0.PG in 64-bit mode raises #GP(0)");
        check(p, cr0_refuses((cr0 ^ CR0_CD) & ~CR0_PG), "so does clearing it together with a change of CR0.CD");
        check(p, cr0_refuses(cr0 & ~CR0_PE), "clearing CR0.PE with paging on raises #GP(0)");
        check(p, cr0_refuses((cr0 | CR0_NW) & ~CR0_CD), "CR0.NW without CD raises #GP(0)");
        check(p, cr0_refuses(cr0 | BIT(32)), "a high bit of CR0 raises #GP(0)");
        check(p, hw_read_cr0() == cr0, "CR0 is as before");

        hw_write_cr0(cr0 | CR0_TS);
        __asm__ volatile("clts");
        check(p, hw_read_cr0() == cr0, "CLTS clears CR0.TS");
        __asm__ volatile("lmsw %w0" : : "r"((uint32_t)(cr0 | CR0_TS)));
        check(p, hw_read_cr0() == (cr0 | CR0_TS), "LMSW sets CR0.TS");
        hw_write_cr0(cr0);

        if (hw_cpuid(1, 0).ecx & CPUID_1_VMX)
                check(p, cr4_takes(cr4 ^ CR4_VMXE), "CR4.VMXE can be changed and reads back");
        check(p, !(cr4 & CR4_VMXE), "CR4.VMXE was 0 at the start");
        check(p, cr4_refuses(cr4 & ~CR4_PAE), "clearing CR4.PAE in 64-bit mode raises #GP(0)");
        check(p, cr4_refuses(cr4 | CR4_UNDEFINED), "an undefined bit of CR4 raises #GP(0)");
        check(p, hw_read_cr4() == cr4, "CR4 is as before");
}

static uint64_t read_cr8(void)
{
        uint64_t v;
        __asm__ volatile("mov %%cr8, %0" : "=r"(v));
        return v;
}

static void task_priority(struct probe *p)
{
        TRY("mov %[v], %%cr8", , [v] "r"(5ull));
        check(p, traps()->vector == NO_VECTOR && read_cr8() == 5 && apic_read(APIC_TPR) == 0x50,
              "CR8 is the APIC's TPR");
        apic_write(APIC_TPR, 0x72);
        check(p, read_cr8() == 7, "the APIC's TPR is CR8");
        TRY("mov %[v], %%cr8", , [v] "r"(16ull));
        check(p, raised(VEC_GP, 0), "CR8 over 15 raises #GP(0)");
        apic_write(APIC_TPR, 0);
}

static bool xcr0_takes(uint64_t value)
{
        TRY("xsetbv", , "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
        return traps()->vector == NO_VECTOR && hw_xgetbv(0) == value;
}

static bool xcr_refuses(uint32_t index, uint64_t value)
{
        TRY("xsetbv", , "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
        return raised(VEC_GP, 0);
}

static void xsetbv(struct probe *p)
{
        if (!(hw_cpuid(1, 0).ecx & CPUID_1_XSAVE))
                return;
        TRY("xsetbv", , "c"(0), "a"(1), "d"(0));
        check(p, raised(VEC_UD, 0), "XSETBV without CR4.OSXSAVE raises #UD");
        hw_write_cr4(hw_read_cr4() | CR4_OSXSAVE);
        const uint32_t x87_bytes = (xcr0_takes(1), hw_cpuid(CPUID_XSAVE, 0).ebx);
        check(p, xcr0_takes(3), "XCR0 takes x87 and SSE");
        check(p, xcr0_takes(7) && hw_cpuid(CPUID_XSAVE, 0).ebx > x87_bytes,
              "XCR0 takes AVX and leaf d follows");
        check(p, xcr_refuses(0, 0), "XCR0 without x87 raises #GP(0)");
        check(p, xcr_refuses(0, 5), "XCR0 with AVX and without SSE raises #GP(0)");
        check(p, xcr_refuses(0, BIT(62) | 1), "XCR0 with an unknown component raises #GP(0)");
        check(p, xcr_refuses(1, 1), "XCR1 raises #GP(0)");
        check(p, hw_xgetbv(0) == 7, "XCR0 is as before");
        hw_xsetbv(0, 1);
        hw_write_cr4(hw_read_cr4() & ~CR4_OSXSAVE);
}

static void time_stamps(struct probe *p)
{
        uint64_t last = hw_rdtsc();
        bool grows = true;
        for (unsigned i = 0; i < ROUNDS; i++) {
                if (i % 8 == 0)
                        hw_cpuid(0, 0);
                const uint64_t now = i % 3 == 0 ? hw_rdmsr(MSR_TSC) : hw_rdtsc();
                grows = grows && now > last;
                last = now;
        }
        check(p, grows, "the TSC only grows");
}

void selftest_cpu(struct probe *p)
{
        exceptions(p);
        control_registers(p);
        task_priority(p);
        xsetbv(p);
        time_stamps(p);
}

/* --- page faults --- */

extern uint64_t boot_pml4[];
uint8_t playground_page[PAGE_SIZE] __attribute__((aligned(4096)));

static bool page_fault(uint64_t error, uint64_t at)
{
        return raised(VEC_PF, error) && traps()->cr2 == at;
}

void selftest_memory(struct probe *p)
{
        static uint64_t tables[3][PAGE_SIZE / 8] __attribute__((aligned(4096)));
        tables[2][0] = (uint64_t)playground_page | PTE_READ_ONLY;
        tables[1][0] = (uint64_t)tables[2] | PTE_TABLE;
        tables[0][0] = (uint64_t)tables[1] | PTE_TABLE;
        boot_pml4[GET(PLAYGROUND, BITS(47, 39))] = (uint64_t)tables[0] | PTE_TABLE;
        hw_write_cr3(hw_read_cr3());
        *(volatile uint8_t *)&playground_page[8] = 0x5a;

        const uint64_t nothing = PLAYGROUND + PAGE_SIZE + 0x123;
        check(p, *(volatile uint8_t *)(PLAYGROUND + 8) == 0x5a, "a new mapping works");
        TRY("testb $1, (%[at])", , [at] "r"(nothing));
        check(p, page_fault(0, nothing), "a read of no page raises #PF, error 0");
        TRY("movb %%al, (%[at])", , [at] "r"(nothing), "a"(0));
        check(p, page_fault(PFERR_WRITE, nothing), "a write to no page raises #PF, error 2");
        TRY("movb %%al, (%[at])", , [at] "r"(PLAYGROUND + 8), "a"(0));
        check(p, page_fault(PFERR_WRITE | PFERR_PRESENT, PLAYGROUND + 8),
              "a write to a read-only page raises #PF, error 3");
        TRY("jmp *%[at]", , [at] "r"(nothing));
        check(p, page_fault(PFERR_FETCH, nothing), "a jump to no page raises #PF, error 16");
        TRY("testb $1, (%[at])", , [at] "r"(BIT(62)));
        check(p, raised(VEC_GP, 0), "a read of a non-canonical address raises #GP(0)");
}

/* --- single-stepping --- */

/* The trap has to come right after the instruction, as if it had not been emulated: SDM 3B "Single-Step
 * Exception Condition". POPFQ sets TF; the instruction behind it is the first one to be trapped. */
#define STEPPED(text, ...)                                                                                   \
        ({                                                                                                   \
                uint64_t behind;                                                                             \
                traps()->vector = NO_VECTOR;                                                                 \
                __asm__ volatile("movq $99f, %[resume]\n\t"                                                  \
                                 "movl $0xcadeffff, %%eax\n\t" /* an unknown hypercall */                    \
                                 "pushfq\n\t"                                                                \
                                 "orq $0x100, (%%rsp)\n\t"                                                   \
                                 "popfq\n\t" text "\n"                                                       \
                                 "98: nop\n\tnop\n"                                                          \
                                 "99: movq $98b, %[behind]"                                                  \
                                 : [behind] "=m"(behind)                                                     \
                                 : [resume] "m"(traps()->resume), ##__VA_ARGS__                              \
                                 : "memory", "cc", "rax", "rbx", "rcx", "rdx");                              \
                traps()->resume = 0;                                                                         \
                traps()->vector == VEC_DB &&traps()->rip == behind && (traps()->dr6 & DR6_BS);               \
        })

void selftest_step(struct probe *p)
{
        check(p, STEPPED("nop"), "a single step over NOP traps behind it");
        check(p, !STEPPED("nop; nop"), "a single step stops after one instruction");
        check(p, STEPPED("cpuid"), "a single step over CPUID traps behind it");
        check(p, STEPPED("outb %%al, $0x80"), "a single step over OUT traps behind it");
        check(p, STEPPED("movl 0xfee00030, %%eax"), "a single step over a device access traps behind it");
        check(p, STEPPED("mov %%cr8, %%rax"), "a single step over MOV from CR8 traps behind it");
        check(p, STEPPED("rdtsc"), "a single step over RDTSC traps behind it");
        if (p->cascade)
                check(p, STEPPED("vmcall"), "a single step over VMCALL traps behind it");
        traps()->dr6 = 0;
}
