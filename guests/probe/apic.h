/* SPDX-License-Identifier: BSD-2-Clause */
/* apic.h - the local APIC in either of its modes, at its usual address. SDM 3A "Advanced Programmable
 * Interrupt Controller (APIC)". Registers are named by their offset in the page. */
#ifndef PROBE_APIC_H
#define PROBE_APIC_H

#include <stdint.h>
#include "base/bits.h"
#include "base/msr_numbers.h"
#include "hw/cpu.h"

#define APIC_BASE      0xfee00000ull
#define APIC_ID        0x020
#define APIC_VERSION   0x030
#define APIC_TPR       0x080
#define APIC_EOI       0x0b0
#define APIC_SVR       0x0f0
#define APIC_ISR       0x100
#define APIC_IRR       0x200
#define APIC_ICR       0x300
#define APIC_ICR_HIGH  0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_INITIAL   0x380
#define APIC_CURRENT   0x390
#define APIC_DIVIDE    0x3e0
#define APIC_SELF_IPI  0x3f0 /* x2APIC only */

#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define SVR_ENABLE       BIT(8)
#define SVR_SPURIOUS     0xffu
#define LVT_MASKED       ((uint32_t)1 << 16)
#define LVT_PERIODIC     ((uint32_t)1 << 17)
#define LVT_DEADLINE     ((uint32_t)1 << 18)
#define LVT_EXTINT       ((uint32_t)7 << 8)
#define DIVIDE_BY_1      0xbu
#define ICR_SELF         ((uint32_t)1 << 18)

static inline bool apic_is_x2(void)
{
        return hw_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

static inline uint32_t xapic_read(uint32_t reg)
{
        return *(volatile uint32_t *)(APIC_BASE + reg);
}

static inline void xapic_write(uint32_t reg, uint32_t value)
{
        *(volatile uint32_t *)(APIC_BASE + reg) = value;
}

static inline uint32_t apic_read(uint32_t reg)
{
        return apic_is_x2() ? (uint32_t)hw_rdmsr(MSR_X2APIC_FIRST + (reg >> 4)) : xapic_read(reg);
}

static inline void apic_write(uint32_t reg, uint32_t value)
{
        if (apic_is_x2())
                hw_wrmsr(MSR_X2APIC_FIRST + (reg >> 4), value);
        else
                xapic_write(reg, value);
}

static inline void apic_eoi(void)
{
        apic_write(APIC_EOI, 0);
}

#endif
