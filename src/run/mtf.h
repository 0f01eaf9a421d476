/* SPDX-License-Identifier: BSD-2-Clause */
/* mtf.h - exits of the guest's guest by the monitor trap flag. nested/mtf.h decides. */
#ifndef CASCADE_RUN_MTF_H
#define CASCADE_RUN_MTF_H

#include "run/run.h"

/* At boot: how this processor lets us stop after one instruction. */
enum mtf_method mtf_find(const struct vcpu *v);

/* vmcs12's monitor trap flag is on, or its entry injects the exit. */
static inline bool mtf_in_use(const struct run *r)
{
        return r->nested.mtf.on | r->nested.mtf.due;
}

/* Before each entry of the guest's guest that has the flag on, after everything else is known that the entry does. True: the
 * exit was due already; vmcs01 is current. */
bool mtf_arm(struct run *r);

/* Serves an exit of the guest's guest, by `serve` unless it is of the flag's making, and looks whether the exit is due
 * afterwards: an instruction that was carried out for the guest's guest counts as well. */
void mtf_serve(struct run *r, const struct exit_info *x, void (*serve)(struct run *r, const struct exit_info *x));

#endif
