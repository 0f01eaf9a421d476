/* SPDX-License-Identifier: BSD-2-Clause */
/* What single exits cost, seen by the guest that causes them: the instruction in a loop, the difference of
 * two RDTSC divided by the count. The loop's own few instructions are part of the figure, as in the
 * figures of KVM that it is compared with; `empty` shows how much that is. Prints `bench OPERATION.WHAT
 * VALUE`:
 *   ticks      mean, rounded
 *   min_ticks  the cheapest single iteration, without the loop
 *   hw_exits   hardware exits that L1 took per operation, mean, rounded (under cascade) */
#include "apic.h"
#include "hw/hypercall.h"
#include "probe.h"

#define ITERATIONS 1000
#define WARM_UP    8
#define SINGLES    32
#define FAR_FUTURE (1ull << 48) /* ticks from now */
#define PORT_B     0x61
#define HC_NONE    0xcadeffffu /* a hypercall that nobody knows */
#define LVT_VECTOR 0x40u

/* One line of C per operation: the loop is the same for all. */
#define OPERATION(name, statement)                                                                           \
        static void op_##name(uint64_t n)                                                                    \
        {                                                                                                    \
                for (; n; n--)                                                                               \
                        statement;                                                                           \
        }

OPERATION(empty, __asm__ volatile(""))
OPERATION(cpuid, hw_cpuid(0, 0))
OPERATION(rdmsr, hw_rdmsr(MSR_APIC_BASE))
OPERATION(pio_in, hw_inb(PORT_B))
OPERATION(mmio_read, xapic_read(APIC_VERSION))
OPERATION(mmio_write, xapic_write(APIC_TPR, 0))

static void op_vmcall(uint64_t n)
{
        for (; n; n--) {
                uint64_t rax = HC_NONE;
                __asm__ volatile("vmcall" : "+a"(rax) : : "memory", "cc");
        }
}

static void op_wrmsr(uint64_t n)
{
        const uint64_t deadline = hw_rdtsc() + FAR_FUTURE;
        for (; n; n--)
                hw_wrmsr(MSR_TSC_DEADLINE, deadline);
}

static const struct operation {
        const char *name;
        void (*run)(uint64_t n);
        bool needs_hypervisor;
} operations[] = {
        { "empty", op_empty, false },         { "cpuid", op_cpuid, false },
        { "vmcall", op_vmcall, true },        { "rdmsr", op_rdmsr, false },
        { "wrmsr", op_wrmsr, false },         { "pio_in", op_pio_in, false },
        { "mmio_read", op_mmio_read, false }, { "mmio_write", op_mmio_write, false },
};

static uint64_t exits_so_far(const struct probe *p)
{
        return p->cascade ? hypercall(HC_HW_EXITS, 0, 0) : 0;
}

/* The cheapest of some single runs, RDTSC and call included: for every operation the same ones, hence
 * noipa. */
static __attribute__((noipa)) uint64_t cheapest(void (*run)(uint64_t n))
{
        uint64_t least = UINT64_MAX;
        for (unsigned i = 0; i < SINGLES; i++) {
                const uint64_t start = hw_rdtsc();
                run(1);
                const uint64_t ticks = hw_rdtsc() - start;
                least = ticks < least ? ticks : least;
        }
        return least;
}

static void measure(const struct probe *p, const struct operation *o)
{
        o->run(WARM_UP);
        const uint64_t before_calibration = exits_so_far(p), before = exits_so_far(p);
        const uint64_t start = hw_rdtsc();
        o->run(ITERATIONS);
        const uint64_t ticks = hw_rdtsc() - start;
        const uint64_t exits = exits_so_far(p) - before - (before - before_calibration);

        say("bench %s.ticks %llu", o->name, (unsigned long long)((ticks + ITERATIONS / 2) / ITERATIONS));
        say("bench %s.min_ticks %llu", o->name, (unsigned long long)(cheapest(o->run) - cheapest(op_empty)));
        if (p->cascade)
                say("bench %s.hw_exits %llu", o->name,
                    (unsigned long long)((exits + ITERATIONS / 2) / ITERATIONS));
}

void bench_run(struct probe *p, const char *words)
{
        xapic_write(APIC_LVT_TIMER, LVT_DEADLINE | LVT_MASKED | LVT_VECTOR);
        for (unsigned i = 0; i < ARRAY_LEN(operations); i++)
                if (!operations[i].needs_hypervisor || p->hypervisor)
                        measure(p, &operations[i]);
}
