/* SPDX-License-Identifier: BSD-2-Clause */
/* region.h - the VMCSs of the guest hypervisor: finding, loading, writing back, and reaching their fields.
 * All functions are called and return with vmcs01 current, but where they say otherwise. */
#ifndef CASCADE_NESTED_REGION_H
#define CASCADE_NESTED_REGION_H

#include "nested/nested.h"

/* The VMCS at `at`, which is page-aligned RAM of the guest; loaded from there unless already held. Another one that
 * is not in use is written back to make room. */
struct region12 *region12_load(struct nested *n, struct vcpu *v, l1gpa_t at);
struct region12 *region12_find(struct nested *n, l1gpa_t at);
/* The VMCS that the one which runs the guest's guest links to, or NULL: with VMCS shadowing the guest's guest accesses that
 * one. The VM entry has loaded it. */
struct region12 *region12_linked(struct nested *n);
/* Writes a VMCS back to the guest's memory and lets go of it. */
void region12_drop(struct nested *n, struct vcpu *v, struct region12 *r);

/* HW-home fields of the current VMCS, which is r->hw, into r->v: guest state and event injection; exit information. */
void region12_pull_guest(struct nested *n, struct region12 *r);
/* Only what every VM entry looks at. */
void region12_pull_flow(struct nested *n, struct region12 *r);
void region12_pull_exit(struct nested *n, struct region12 *r);
/* Guest state of r->v into the current VMCS, which is r->hw: undoes what was written to it. */
void region12_push_guest(struct nested *n, const struct region12 *r);

/* Makes r->hw current, as an ordinary VMCS that can be entered; and vmcs01 current again with r->hw put away, as a
 * shadow VMCS if shadowing is in use. While the guest's guest runs: makes r->hw, which is its shadow VMCS, current as it
 * is, and then again the VMCS that runs it. */
void region12_switch_to(struct nested *n, struct vcpu *v, struct region12 *r);
void region12_switch_back(struct nested *n, struct vcpu *v, struct region12 *r);

/* One field of a VMCS, wherever its truth lives. While the guest's guest runs: of the VMCS that its own links to. */
uint64_t region12_read(struct nested *n, struct vcpu *v, struct region12 *r, const struct vmcs_field_info *f);
void region12_write(struct nested *n, struct vcpu *v, struct region12 *r, const struct vmcs_field_info *f, uint64_t value);

/* vmcs01's link pointer follows n->current. */
void region12_link(struct nested *n, struct vcpu *v);

#endif
