/* SPDX-License-Identifier: BSD-2-Clause */
/* feature_control.h - IA32_FEATURE_CONTROL of a processor without SMX: firmware sets what is allowed and locks it until reset.
 * SDM 3C "Enabling and Entering VMX Operation". [pure] */
#ifndef CASCADE_VMX_FEATURE_CONTROL_H
#define CASCADE_VMX_FEATURE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include "vmx/controls.h"

/* As the guest finds it: as firmware leaves it, or, for a guest that is its own firmware, as a reset does. */
static inline uint64_t feature_control_initial(bool vmx, bool locked)
{
        const uint64_t allowed = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
        return !vmx ? FEATURE_CONTROL_LOCK : locked ? allowed : 0;
}

/* WRMSR. False: #GP(0), because it is locked or a bit is set that stands for nothing the processor has. */
static inline bool feature_control_write(uint64_t *reg, uint64_t value, bool vmx)
{
        const uint64_t defined = FEATURE_CONTROL_LOCK | (vmx ? FEATURE_CONTROL_VMX : 0);
        if ((*reg & FEATURE_CONTROL_LOCK) || (value & ~defined))
                return false;
        *reg = value;
        return true;
}

/* VMXON outside of SMX operation; otherwise it raises #GP(0). */
static inline bool feature_control_allows_vmxon(uint64_t reg)
{
        const uint64_t needed = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
        return (reg & needed) == needed;
}

#endif
