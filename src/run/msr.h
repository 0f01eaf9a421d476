/* SPDX-License-Identifier: BSD-2-Clause */
/* msr.h - the guest's model-specific registers. */
#ifndef CASCADE_RUN_MSR_H
#define CASCADE_RUN_MSR_H

#include "run/run.h"

void guest_msrs_init(struct guest_msrs *m, uint64_t feature_control);
/* Fills one page: registers that need no exit have their bits clear. */
void msr_bitmap01_build(uint8_t *bitmap);
/* False: #GP(0). */
bool guest_rdmsr(struct run *r, uint32_t msr, uint64_t *value);
bool guest_wrmsr(struct run *r, uint32_t msr, uint64_t value);
/* The same for any register, those included that never exit: for MSR lists. */
bool guest_rdmsr_any(struct run *r, uint32_t msr, uint64_t *value);
bool guest_wrmsr_any(struct run *r, uint32_t msr, uint64_t value);

#endif
