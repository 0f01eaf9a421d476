/* SPDX-License-Identifier: BSD-2-Clause */
/* host32.h - the probe as a guest hypervisor in 32-bit protected mode. */
#ifndef PROBE_HOST32_H
#define PROBE_HOST32_H

#include "l2.h"

/* Makes VMCS 1 current, for such a host, with PAE paging or without, and a guest in protected mode that executes CPUID. */
void host32_prepare(struct l2 *l, bool pae);
/* Runs it, in 32-bit mode: VMX goes off and on again meanwhile. */
void host32_run(struct l2 *l);
/* With PAE paging: its page-directory pointers. */
extern uint64_t host32_pdpt[4];

#endif
