/* SPDX-License-Identifier: BSD-2-Clause */
/* nested.h - the parts of the nested test, in files of their own. Each finds VMX on and VMCS 0 current,
 * unless it says otherwise, and leaves it so. */
#ifndef PROBE_NESTED_H
#define PROBE_NESTED_H

#include "l2.h"

void nested_before_vmxon(struct l2 *l); /* VMX is off; leaves it on, no VMCS current */
bool nested_begin(struct l2 *l, struct probe *p);  /* turns VMX on and makes VMCS 0 current; false: there is no VMX */
void nested_pointers(struct l2 *l);     /* no VMCS is current at first */
void nested_fields(struct l2 *l);
void nested_invalidations(struct l2 *l);
void nested_vmxoff(struct l2 *l); /* leaves VMX off */
void nested_entry(struct l2 *l);
void nested_exits(struct l2 *l);
void nested_control_registers(struct l2 *l);
void nested_controls(struct l2 *l);
void nested_ept(struct l2 *l);
void nested_ept_walk(struct l2 *l);
void nested_vmfunc(struct l2 *l);
void nested_ve(struct l2 *l);
void nested_pml(struct l2 *l);
void nested_events(struct l2 *l);
void nested_apic(struct l2 *l);
void nested_debug(struct l2 *l);
void nested_injections(struct l2 *l);
void nested_nmis(struct l2 *l);
void nested_mtf(struct l2 *l);
void nested_activity(struct l2 *l);
void nested_host32(struct l2 *l);
void nested_modes(struct l2 *l);
void nested_nowhere(struct l2 *l);

#endif
