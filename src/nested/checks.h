/* SPDX-License-Identifier: BSD-2-Clause */
/* checks.h - what VM entry checks of vmcs12 before it runs: SDM 3C chapter "VM Entries". [pure]
 *
 * The rows are in checks_controls.def, checks_host.def and checks_guest.def. Each function stops at the first
 * row that fails; the order of rows is the order in which the SDM lists the checks, which it does not
 * prescribe. Rows about features that are never offered (caps12_derive()) are there too: caps decide, not
 * this file. */
#ifndef CASCADE_NESTED_CHECKS_H
#define CASCADE_NESTED_CHECKS_H

#include "base/guest_mem.h"
#include "nested/vmcs12.h"
#include "vmx/caps.h"

enum check_id {
        CHK_NONE,
#define CHECK(id, how, sdm, ok) CHK_##id,
#include "nested/checks.def"
#undef CHECK
        CHECK_COUNT
};

enum check_kind {
        CHECK_PASSED,
        CHECK_VM_FAIL,    /* VMfailValid with instruction error `code` */
        CHECK_ENTRY_FAIL, /* VM-entry failure exit EXIT_ENTRY_GUEST_STATE with qualification `code` */
};

struct check_fail {
        enum check_id id;
        enum check_kind kind;
        uint32_t code;
};

/* What the checks look at besides vmcs12 itself. */
struct check_env {
        const struct vmx_caps *caps; /* those offered to the guest hypervisor */
        const struct guest_mem *mem;
        l1gpa_t current; /* the current-VMCS pointer of the guest hypervisor */
        bool lma;        /* IA32_EFER.LMA of the guest hypervisor as it executes VMLAUNCH */
};

/* Before anything is loaded, in this order; controls and host state may be skipped while none of their
 * fields, nor a field of the rows that they read, has been written since they last passed (guest_cr0 for
 * event injection). What may change unseen is in checks_tpr.def, which is part of the controls and for a
 * vmcs12 with a TPR shadow has to be checked at every VM entry. */
struct check_fail check_controls(const struct vmcs12 *v, const struct check_env *e);
struct check_fail check_tpr(const struct vmcs12 *v, const struct check_env *e);
struct check_fail check_host(const struct vmcs12 *v, const struct check_env *e);

/* Guest state, all of it; and only the part that has to be checked at every VM entry (checks_flow.def), which is enough
 * if nothing else of vmcs12 was written since check_guest() passed: state that an exit saved is valid. With EPT the PDPTEs of vmcs12 are checked, else those in memory at guest_cr3. */
struct check_fail check_guest(const struct vmcs12 *v, const struct check_env *e);
struct check_fail check_flow(const struct vmcs12 *v, const struct check_env *e);

/* The PDPTEs in the guest's memory at cr3, each read once. False: not in RAM, or a reserved bit is set in one of them
 * (SDM 3C "Checks on Guest Page-Directory-Pointer-Table Entries"). */
#define PDPTES 4
bool pdptes_read(const struct guest_mem *mem, const struct vmx_caps *c, uint64_t cr3, uint64_t out[PDPTES]);

/* "CTL_PIN_RESERVED", and the heading of the SDM that asks for the check. Out of range: "?". */
const char *check_name(enum check_id id);
const char *check_sdm(enum check_id id);

#endif
