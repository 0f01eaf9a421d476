/* SPDX-License-Identifier: BSD-2-Clause */
/* ref.h - the VMX that a guest hypervisor must see: a plain interpreter of SDM 3C without processor, caches
 * or merging.
 *
 * A VMCS is a map of fields wherever it is; an instruction is its pseudocode; every VM entry makes every
 * check. What the SDM leaves undefined is marked unknown, and matches whatever is read. */
#ifndef CASCADE_TESTS_MODEL_REF_H
#define CASCADE_TESTS_MODEL_REF_H

#include "guest.h"
#include "layout.h"
#include "nested/vmcs12.h"

struct ref_vmcs {
        uint64_t at;
        uint32_t word; /* first word in memory */
        bool launched;
        bool owned;
        bool wild; /* its memory was scribbled on, or never made: nothing of it is known */
        struct vmcs12 v;
        bool unknown[VMCS_FIELD_COUNT];
};

struct ref {
        const struct vmx_caps *caps; /* as offered */
        const struct guest_mem *mem;
        bool vmxon;
        struct ref_vmcs vmcs[VMCSS];
        struct ref_vmcs *current; /* NULL: none */
        bool in_l2;
        uint64_t timer_left; /* of the preemption timer, while level 2 runs */
        unsigned owned;
};
extern struct ref ref;

/* What an instruction must come to. */
struct expect {
        enum outcome outcome;
        enum vmx_flags flags; /* DONE */
        uint8_t vector;       /* FAULTED */
};

void ref_reset(const struct vmx_caps *caps12, const struct guest_mem *mem);
struct ref_vmcs *ref_vmcs_at(uint64_t at);
/* Its memory holds anything. */
void ref_forget(struct ref_vmcs *r);

struct expect ref_vmxon(uint64_t at);
struct expect ref_vmxoff(void);
struct expect ref_vmclear(uint64_t at);
struct expect ref_vmptrld(uint64_t at);
struct expect ref_vmptrst(uint64_t *at);
struct expect ref_vmread(uint64_t enc, uint64_t *value, bool *known);
struct expect ref_vmwrite(uint64_t enc, uint64_t value);
struct expect ref_invept(uint64_t type, uint64_t eptp, uint64_t reserved);
struct expect ref_invvpid(uint64_t type, uint64_t first, uint64_t linear);
/* VMLAUNCH or VMRESUME. LEFT: level 2 runs (in_l2), or the entry failed as an exit. */
struct expect ref_enter(bool launch);
/* The current VMCS passes all checks: only its launch state is left to be right. */
bool ref_would_enter(void);
bool ref_own(uint64_t at);
bool ref_switch(uint64_t clear, uint64_t load);

/* An exit of level 2, which was at *now, to the guest hypervisor. */
void ref_exit(const struct model_exit *x, const struct vmcs12 *now);

/* What VMREAD or VMWRITE of level 2 does. */
enum ref_l2_field {
        L2_FIELD_EXITS,
        L2_FIELD_INVALID, /* VMfailInvalid: there is no VMCS to access */
        L2_FIELD_LINKED,  /* accesses *link */
};
enum ref_l2_field ref_field_of_l2(uint64_t enc, bool write, struct ref_vmcs **link);

#endif
