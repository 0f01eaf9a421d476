/* SPDX-License-Identifier: BSD-2-Clause */
/* The self-test: the virtual machine as its guest sees it. Here: order of the parts, identification and
 * clocks. */
#include "base/bits.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "probe.h"

#define PIT_HZ        1193182ull
#define PIT_CHANNEL2  0x42
#define PIT_COMMAND   0x43
#define PIT_MODE0_CH2 0xb0
#define PIT_LATCH_CH2 0x80
#define PORT_B        0x61
#define PORT_B_GATE2  BIT(0)
#define PM_TIMER_PORT 0x608
#define PM_TIMER_HZ   3579545ull
#define PM_TIMER_MASK BITS(23, 0)
#define SPIN_TICKS    3000000ull
#define CPUID_TSC     0x15
#define CPUID_MHZ     0x16
#define MHZ           1000000ull

struct sample {
        uint64_t count, tsc;
};

/* The clock is read at the same place of the same path each time: what the path costs falls out of the
 * difference. */
static struct sample sample_pit(void)
{
        hw_outb(PIT_COMMAND, PIT_LATCH_CH2);
        struct sample s = { .tsc = hw_rdtsc() };
        s.count = hw_inb(PIT_CHANNEL2);
        s.count |= (uint64_t)hw_inb(PIT_CHANNEL2) << 8;
        return s;
}

static struct sample sample_pm(void)
{
        struct sample s = { .count = hw_inl(PM_TIMER_PORT) & PM_TIMER_MASK };
        s.tsc = hw_rdtsc();
        return s;
}

static void spin(uint64_t ticks)
{
        const uint64_t start = hw_rdtsc();
        while (hw_rdtsc() - start < ticks)
                ;
}

static uint64_t tsc_hz_by_pit(void)
{
        hw_outb(PORT_B, PORT_B_GATE2);
        hw_outb(PIT_COMMAND, PIT_MODE0_CH2);
        hw_outb(PIT_CHANNEL2, 0xff);
        hw_outb(PIT_CHANNEL2, 0xff);
        sample_pit();
        const struct sample a = sample_pit();
        spin(SPIN_TICKS);
        const struct sample b = sample_pit();
        const uint64_t counts = (a.count - b.count) & BITS(15, 0);
        return counts ? (b.tsc - a.tsc) * PIT_HZ / counts : 0;
}

static uint64_t tsc_hz_by_pm(void)
{
        sample_pm();
        const struct sample a = sample_pm();
        spin(SPIN_TICKS);
        const struct sample b = sample_pm();
        const uint64_t counts = (b.count - a.count) & PM_TIMER_MASK;
        return counts ? (b.tsc - a.tsc) * PM_TIMER_HZ / counts : 0;
}

static bool near(uint64_t a, uint64_t b, uint64_t one_in)
{
        const uint64_t away = a < b ? b - a : a - b;
        return b && away <= b / one_in;
}

uint64_t selftest_clock(struct probe *p)
{
        const uint64_t pit = tsc_hz_by_pit();
        check(p, pit != 0, "the PIT counts");
        if (!p->cascade)
                return pit;
        const uint64_t pm = tsc_hz_by_pm();
        const struct cpuid_regs tsc = hw_cpuid(CPUID_TSC, 0), mhz = hw_cpuid(CPUID_MHZ, 0);
        const uint64_t told = tsc.eax ? (uint64_t)tsc.ecx * tsc.ebx / tsc.eax : 0;
        check(p, near(pit, told, 1000), "leaf 15 agrees with the PIT: %llu Hz, measured %llu",
              (unsigned long long)told, (unsigned long long)pit);
        check(p, near(pm, told, 1000), "leaf 15 agrees with the PM timer: measured %llu",
              (unsigned long long)pm);
        check(p, near(mhz.eax * MHZ, told, 100), "leaf 16 agrees with leaf 15: %u MHz", mhz.eax);
        return pit;
}

static void identification(struct probe *p)
{
        if (!p->hypervisor)
                return;
        const struct cpuid_regs c = hw_cpuid(CASCADE_CPUID_BASE, 0);
        check(p, p->cascade && c.eax > CASCADE_CPUID_BASE, "the hypervisor is a cascade, highest leaf %x",
              c.eax);
        check(p, p->level >= 2, "own level is %u", p->level);
        check(p, hypercall(HC_HW_EXITS, 0, 0) < hypercall(HC_HW_EXITS, 0, 0),
              "the hypercall for L1's exits counts");
        check(p, hypercall(0xcadeffff, 0, 0) == HC_UNKNOWN, "an unknown hypercall is refused");
        check(p, hypercall(HC_CONSOLE, ~0ull, 16) == HC_BAD, "a hypercall with a bad address is refused");
}

void selftest_run(struct probe *p, const char *words)
{
        identification(p);
        const uint64_t tsc_hz = selftest_clock(p);
        selftest_cpu(p);
        selftest_memory(p);
        selftest_step(p);
        selftest_io(p);
        selftest_irq(p, tsc_hz);
        selftest_apic(p, tsc_hz);
}
