/* SPDX-License-Identifier: BSD-2-Clause */
/* view.h - the current VMCS's guest as src/emulate wants it. */
#ifndef CASCADE_RUN_VIEW_H
#define CASCADE_RUN_VIEW_H

#include "run/run.h"

/* ctx: struct run, which *out refers to. Reads some thirty fields: for exits that look at the guest's memory only. */
void run_view(void *ctx, struct guest_view *out);

#endif
