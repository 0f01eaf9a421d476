/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/clock.h"
#include "base/bits.h"
#include "boot/calendar.h"
#include "hw/cpu.h"

#define PIT_HZ        1193182ull
#define PIT_CHANNEL2  0x42
#define PIT_COMMAND   0x43
#define PIT_MODE0_CH2 0xb0
#define PORT_B        0x61
#define PORT_B_GATE2  BIT(0)
#define PORT_B_SPEAKER BIT(1)
#define PORT_B_OUT2   BIT(5)
#define SAMPLE_COUNT  59659u /* 50 ms */

#define CPUID_HYPERVISOR BIT(31)
#define CPUID_TSC_LEAF   0x15

static uint64_t by_pit(void)
{
        const uint8_t old = hw_inb(PORT_B);
        hw_outb(PORT_B, (uint8_t)((old & ~PORT_B_SPEAKER) | PORT_B_GATE2));
        hw_outb(PIT_COMMAND, PIT_MODE0_CH2);
        hw_outb(PIT_CHANNEL2, (uint8_t)SAMPLE_COUNT);
        hw_outb(PIT_CHANNEL2, (uint8_t)(SAMPLE_COUNT >> 8));
        const uint64_t start = hw_rdtsc();
        while (!(hw_inb(PORT_B) & PORT_B_OUT2))
                ;
        const uint64_t ticks = hw_rdtsc() - start;
        hw_outb(PORT_B, old);
        return ticks * PIT_HZ / SAMPLE_COUNT;
}

uint64_t clock_tsc_hz(void)
{
        const struct cpuid_regs top = hw_cpuid(0, 0);
        if (top.eax >= CPUID_TSC_LEAF && (hw_cpuid(1, 0).ecx & CPUID_HYPERVISOR)) {
                const struct cpuid_regs c = hw_cpuid(CPUID_TSC_LEAF, 0);
                if (c.eax && c.ebx && c.ecx)
                        return (uint64_t)c.ecx * c.ebx / c.eax;
        }
        return by_pit();
}

static uint8_t cmos(uint8_t reg)
{
        hw_outb(0x70, reg);
        return hw_inb(0x71);
}

#define CMOS_STATUS_A 0x0a
#define CMOS_STATUS_B 0x0b
#define CMOS_UPDATING BIT(7)
#define CMOS_CENTURY  0x32

uint64_t clock_epoch_seconds(void)
{
        for (int i = 0; i < 1000000 && (cmos(CMOS_STATUS_A) & CMOS_UPDATING); i++)
                ;
        const struct cmos_clock c = { .second = cmos(0), .minute = cmos(2), .hour = cmos(4), .day = cmos(7),
                                      .month = cmos(8), .year = cmos(9), .century = cmos(CMOS_CENTURY),
                                      .status_b = cmos(CMOS_STATUS_B) };
        return calendar_epoch(&c);
}
