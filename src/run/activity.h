/* SPDX-License-Identifier: BSD-2-Clause */
/* activity.h - inactive states of the guest's guest, and INIT. SDM 3C "Activity State".
 *
 * The processor itself only ever halts: from shutdown and wait-for-SIPI it could not be called back. In those the guest's
 * guest stays outside of the processor until something wakes it. */
#ifndef CASCADE_RUN_ACTIVITY_H
#define CASCADE_RUN_ACTIVITY_H

#include "run/run.h"

/* A VM entry of the guest's guest has loaded a state other than active. Afterwards it can be entered, or vmcs01 is current. */
void activity_enter(struct run *r);

/* The guest's guest has executed HLT, which exited for our sake only: halts it, or makes the exit of a window that is open. */
void activity_halt(struct run *r);

/* An INIT signal has reached the guest's processor: held while it is in VMX root operation, an exit of its guest, else the end. */
void activity_init(struct run *r);
/* One is pending: what becomes of it now. */
void activity_take_init(struct run *r);

#endif
