/* SPDX-License-Identifier: BSD-2-Clause */
/* exits.h - the handlers of exits, one per reason or family. Each leaves the guest ready to be entered again. */
#ifndef CASCADE_RUN_EXITS_H
#define CASCADE_RUN_EXITS_H

#include "run/run.h"

typedef void exit_fn(struct run *r, const struct exit_info *x);

exit_fn exit_cpuid, exit_cr_access, exit_io, exit_rdmsr, exit_wrmsr, exit_xsetbv, exit_ept_violation, exit_vmcall;

/* Steps over the instruction that exited: RIP, and the blocking by STI or MOV SS that ends with it (SDM 3A
 * "Masking Exceptions and Interrupts When Switching Stacks"); a single-step trap becomes pending. */
void skip_instruction(struct run *r);
/* The same for an instruction whose length the exit does not tell. */
void skip_bytes(struct run *r, uint64_t bytes);

#endif
