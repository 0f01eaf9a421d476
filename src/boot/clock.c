/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/clock.h"
#include "base/bits.h"
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

static unsigned cmos(uint8_t reg)
{
        hw_outb(0x70, reg);
        return hw_inb(0x71);
}

#define CMOS_STATUS_A 0x0a
#define CMOS_STATUS_B 0x0b
#define CMOS_UPDATING BIT(7)
#define CMOS_BINARY   BIT(2)
#define CMOS_CENTURY  0x32

static unsigned cmos_number(uint8_t reg, bool binary)
{
        const unsigned v = cmos(reg);
        return binary ? v : (v >> 4) * 10 + (v & 15);
}

/* Days from 1970-01-01 in the Gregorian calendar, for years from 1970. */
static uint64_t days_since_1970(unsigned y, unsigned m, unsigned d)
{
        static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
        const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        const unsigned past = y - 1;
        const uint64_t leaps = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
        return (uint64_t)(y - 1970) * 365 + leaps + before[(m + 11) % 12] + (leap && m > 2) + d - 1;
}

uint64_t clock_epoch_seconds(void)
{
        for (int i = 0; i < 1000000 && (cmos(CMOS_STATUS_A) & CMOS_UPDATING); i++)
                ;
        const bool binary = cmos(CMOS_STATUS_B) & CMOS_BINARY;
        const unsigned second = cmos_number(0, binary), minute = cmos_number(2, binary), hour = cmos_number(4, binary);
        const unsigned day = cmos_number(7, binary), month = cmos_number(8, binary), year = cmos_number(9, binary);
        const unsigned century = cmos_number(CMOS_CENTURY, binary);
        const unsigned full = (century >= 19 && century <= 30 ? century : 20) * 100 + year;
        return days_since_1970(full < 1970 ? 1970 : full, month, day) * 86400 + hour * 3600ull + minute * 60ull + second;
}
