/* SPDX-License-Identifier: BSD-2-Clause */
/* nested.h - VMX as the guest of one virtual processor sees it: the hardware side of it.
 *
 * Owns the guest's VMX operation: its VMCSs (struct region12), which of them is current, and which VMCS of ours
 * runs. The pure decisions are in checks.h, merge.h, route.h, operand.h, ept02/; here they are fed from and
 * written to the processor. Nothing here emulates a device or injects an event: it answers with a verdict.
 *
 * Where the truth of a VMCS12 lives: control and host-state fields in struct region12.v; guest-state and
 * exit-information fields (home HW in fields.def) in the hardware VMCS that runs the guest's guest. With hardware
 * VMCS shadowing that same VMCS is also the guest hypervisor's shadow VMCS, so nothing is copied between the two:
 * it is VMCLEARed and its shadow-VMCS indicator flipped on the way in and out (SDM 3C "Shadow-VMCS Indicator").
 * Without shadowing every VMREAD and VMWRITE exits and reaches the same fields through VMPTRLD. */
#ifndef CASCADE_NESTED_NESTED_H
#define CASCADE_NESTED_NESTED_H

#include "ept02/ept02.h"
#include "emulate/view.h"
#include "hw/vmx_ops.h"
#include "nested/apicv.h"
#include "nested/checks.h"
#include "nested/merge.h"
#include "nested/mtf.h"
#include "nested/vmcs12.h"
#include "nested/vmfunc.h"
#include "vmx/exit_info.h"
#include "vmx/vcpu.h"

#define NESTED_REGIONS 16 /* VMCSs of a guest held at a time; any number may exist in its memory */

/* One VMCS of the guest hypervisor. */
struct region12 {
        bool used;
        bool owned;          /* by HC_VMCS_OWN: held for ever, VMCLEAR need not write it back */
        l1gpa_t at;          /* its region in the guest's memory */
        struct vmcs12 v;
        struct hw_vmcs hw;   /* our VMCS that runs it */
        bool controls_dirty; /* v's control fields changed since vmcs02's were merged from them */
        bool checks_due;     /* v's control or host fields changed since they last passed their checks */
        bool guest_due;      /* so did guest state beyond what check_flow() looks at */
        bool apicv;          /* nested_apicv_note(): v uses APIC virtualization, */
        uint64_t *msr_bitmap02, ept02_variant; /* the bitmap page for it, and what tells apart its EPT02 */
        bool host_known;     /* `host` is what v's host fields come to after an exit that found `host_for` */
        struct l2_at_exit host_for;
        struct l1_state_after_exit host;
        unsigned level;      /* absolute level of what it runs; 0: not told, assume one below the hypervisor */
        uint64_t last_use;
};

/* RDMSR and WRMSR as the guest that the current VMCS runs would execute them; false: #GP. */
struct msr_access {
        void *ctx;
        bool (*read)(void *ctx, uint32_t msr, uint64_t *value);
        bool (*write)(void *ctx, uint32_t msr, uint64_t value);
};

/* Pages of ours for APIC virtualization, where the guest is offered it. */
struct apicv_pages {
        uint64_t *msr_bitmap02; /* in place of nested.msr_bitmap02 for a vmcs12 with x2APIC mode: no other VMCS of ours
                                 * ever lets an x2APIC register through */
        uint8_t *no_vapic;      /* a virtual-APIC page that is not RAM */
        hpa_t no_access_page;   /* an APIC-access page that is not RAM */
};

struct nested {
        struct msr_access msr;
        bool enabled;              /* the guest may use VMX at all */
        bool shadowing;            /* by the hardware */
        bool shadowing_paused;     /* in the current VMCS, for one instruction */
        uint64_t link_paused;      /* its link pointer meanwhile */
        uint64_t paused_at;        /* RIP of that instruction, if it may not have been one after all; else all ones */
        bool exit_info_in_image;   /* the silicon has no VMWRITE to read-only fields: theirs is region12.v */
        bool held[VMCS_FIELD_COUNT]; /* fields that the guest is offered */
        bool vmxon;
        l1gpa_t vmxon_at;
        struct region12 *current;  /* NULL: current-VMCS pointer is all ones */
        bool in_l2;                /* the current VMCS is current->hw and runs the guest's guest */
        bool entered_by_launch;    /* the VM entry under way was a VMLAUNCH */
        uint64_t timer12_rest;     /* ticks of vmcs12's preemption timer beyond what vmcs02's was set to */
        bool timer02_is_0;         /* vmcs02's timer, as it was set last */
        uint16_t vpid12;           /* whose translations VPID02 holds */
        const struct region12 *fill_for; /* its guest had an EPT violation at fill_at: it is likely mapped by now */
        l2gpa_t fill_at;
        struct vmx_caps caps12;
        struct region12 region[NESTED_REGIONS];
        uint64_t uses;
        struct ept02_cache ept02;
        uint64_t tsc_offset01;     /* what the guest made of its TSC */

        uint64_t *msr_bitmap01, *msr_bitmap02;         /* ours; merged with vmcs12's */
        uint64_t *vmread_bitmap01, *vmwrite_bitmap01;  /* fields that the guest hypervisor reaches without exit */
        uint64_t *vmread_bitmap02, *vmwrite_bitmap02;  /* and its guest */
        struct bitmap_merge msr_merge, vmread_merge, vmwrite_merge;
        struct apicv_pages apicv;
        struct mtf mtf;
};

struct nested_options {
        bool enabled;
        struct msr_access msr; /* for the MSR lists of vmcs12 */
        struct feature_mask mask; /* not to be offered; without FEATURE_shadow the hardware's is not used either */
        enum mtf_method mtf;
};

/* After vmcs01_create(). Takes what it needs from v->pool. */
void nested_init(struct nested *n, struct vcpu *v, const struct nested_options *o);
uint64_t nested_capability(const struct nested *n, uint32_t msr, bool *known);
void nested_set_tsc_offset01(struct nested *n, struct vcpu *v, uint64_t offset);

/* What a VMX instruction of the guest comes to. */
enum insn_outcome {
        INSN_SUCCEED,      /* VMsucceed */
        INSN_FAIL_VALID,   /* VMfailValid; the error number is in the current VMCS */
        INSN_FAIL_INVALID, /* VMfailInvalid */
        INSN_FAULT,        /* `fault` is due */
        INSN_ENTERED,      /* the guest's guest is to be entered: current VMCS is vmcs02 */
        INSN_EXITED,       /* VM entry failed as an exit: the guest continues at its host RIP */
        INSN_ABORTED,      /* and that exit ended in a VMX abort: the guest is shut down */
};

struct insn_result {
        enum insn_outcome outcome;
        uint32_t error; /* enum vmx_insn_error, INSN_FAIL_VALID */
        struct guest_fault fault;
};

/* Emulates the VMX instruction that exited from the guest (vmcs01 is current). `view` is asked for only when the
 * instruction has a memory operand. */
struct insn_result nested_insn(struct nested *n, struct vcpu *v, const struct exit_info *x,
                               void (*view)(void *ctx, struct guest_view *out), void *ctx);

/* To be called first at every exit from the guest's guest. */
void nested_note_exit(struct nested *n);

/* An exit from the guest's guest (vmcs02 is current): hands it to the guest hypervisor. Afterwards vmcs01 is
 * current and the guest is about to continue at its host RIP. False: VMX abort, the guest is shut down. */
bool nested_reflect(struct nested *n, struct vcpu *v);

/* An EPT violation or misconfiguration of the guest's guest. */
enum nested_ept {
        NESTED_EPT_RESUME,  /* EPT02 was filled: enter again */
        NESTED_EPT_REFLECT, /* the guest hypervisor's; exit information is complete */
        NESTED_EPT_VE,      /* the guest's guest gets a virtualization exception */
        NESTED_EPT_MMIO,    /* allowed by the guest hypervisor, but no RAM of ours is there; *at says where */
};
enum nested_ept nested_ept_fault(struct nested *n, struct vcpu *v, const struct exit_info *x, l1gpa_t *at);

/* Where an address of the guest's guest is in the guest's memory, for an access that we make in its place; `use` is what
 * for (ACCESS_* of emulate/paging.h). Flags of EPT12 are set and logged. False: EPT12 does not allow it, or accesses to it
 * are not to be made but to be told to the guest hypervisor. */
bool nested_l2_address(struct nested *n, struct vcpu *v, l2gpa_t at, unsigned use, l1gpa_t *out);
/* That access, to this linear address, was refused or met no RAM. If that is for the guest hypervisor to solve, completes
 * the exit information as nested_ept_fault() does; _MMIO: EPT12 does map it. */
enum nested_ept nested_ept_missing(struct nested *n, struct vcpu *v, l2gpa_t at, uint64_t linear, unsigned use);

/* Before the guest's guest runs on after an EPT violation that its hypervisor served: maps what is there now, which saves
 * a second violation for the same address. */
void nested_ept_fill(struct nested *n, struct vcpu *v);

/* VMFUNC of the guest's guest (vmcs02 is current). VMFUNC_SWITCH: it runs on the EPT it chose. */
enum vmfunc_outcome nested_vmfunc(struct nested *n, struct vcpu *v);

/* VMREAD and VMWRITE that the processor carries out itself may have an operand in memory that is no RAM, where they cannot
 * finish. With shadowing off in the current VMCS the instruction exits instead and is emulated. False: it is off, or
 * the instruction at RIP had its chance. To be resumed at the next exit, before another VMCS becomes current; `served`: not
 * by the same access again. */
bool nested_pause_shadowing(struct nested *n, struct vcpu *v);
void nested_resume_shadowing(struct nested *n, struct vcpu *v, bool served);

/* vmcs02's preemption timer expired: for the guest hypervisor? */
bool nested_timer12_expired(const struct nested *n);
/* Sets the preemption timer of the current VMCS for a deadline of ours in `ticks` units, or earlier if the guest
 * hypervisor's own is due. */
void nested_arm_timer(struct nested *n, struct vcpu *v, uint32_t ticks);

/* What to do about an interrupt or NMI for the guest that arrives while its guest runs. */
enum nested_intr {
        NESTED_INTR_INJECT,    /* the guest hypervisor does not intercept: it is its guest's */
        NESTED_INTR_EXIT,      /* exit to the guest hypervisor now: nested_make_exit() */
        NESTED_INTR_EXIT_SOON, /* after the event that the next entry injects: nested_force_exit() */
        NESTED_INTR_WINDOW,    /* when the shadow of STI or MOV SS is over: a window tells */
        NESTED_INTR_BLOCKED,   /* not before its guest has left: NMIs without virtual NMIs */
        NESTED_INTR_LATER,     /* after an exit that comes first, and that the processor makes */
        NESTED_INTR_WINDOW_EXIT,     /* after an exit for the interrupt window that the guest hypervisor has open, */
        NESTED_INTR_NMI_WINDOW_EXIT, /* or for its NMI window: nested_make_exit() */
};
enum nested_intr nested_want_intr_exit(const struct nested *n, const struct vcpu *v);
enum nested_intr nested_want_nmi_exit(const struct nested *n, const struct vcpu *v);
bool nested_acks_intr(const struct nested *n);
void nested_force_exit(struct nested *n, struct vcpu *v);

/* An exit of the guest's guest that the processor did not make: what it would have told. */
struct made_exit {
        uint32_t reason;
        uint64_t qualification;
        uint32_t intr_info, intr_error;
        bool in_delivery; /* of another event: IDT-vectoring information is the one of the processor's own exit */
};
/* Hands it to the guest hypervisor, as nested_reflect() does. */
bool nested_make_exit(struct nested *n, struct vcpu *v, const struct made_exit *x);

/* The vector of an interrupt for the guest that arrives while its guest runs: if it notifies that one of posted interrupts,
 * they are made virtual interrupts of it. The caller then ends the interrupt; the guest hypervisor is not told of it. */
bool nested_take_posted(struct nested *n, struct vcpu *v, int vector);
/* The processor refused to enter the guest's guest again after an exit that was ours: because the virtual TPR fell below
 * the threshold meanwhile, by a plain write to the virtual-APIC page? Then completes the exit information of that exit. */
bool nested_apicv_tpr_fell(struct nested *n, const struct vcpu *v);
/* The guest's guest is in HLT: wakes it if a virtual interrupt is to be delivered. */
void nested_apicv_wake(struct nested *n, struct vcpu *v);
/* Ticks of vmcs12's preemption timer, for exits after which its guest is where it was. What cascade does meanwhile takes
 * none, so that a guest which does nothing else would keep its hypervisor waiting for ever. */
void nested_spend_ticks(struct nested *n, uint64_t ticks);

/* vmcs02 was refused by the processor: the guest hypervisor gets VMfailValid. */
struct insn_result nested_entry_refused(struct nested *n, struct vcpu *v);

/* Hypercall HC_VMCS_SWITCH. */
bool nested_switch_vmcs(struct nested *n, struct vcpu *v, l1gpa_t clear, l1gpa_t load);
/* Hypercall HC_VMCS_OWN. */
bool nested_own_vmcs(struct nested *n, struct vcpu *v, l1gpa_t vmcs, uint64_t level);

/* Ticks left of vmcs12's preemption timer, while vmcs02 is current. */
static inline uint64_t nested_timer12_left(const struct nested *n)
{
        return vmread(F_guest_preemption_timer) + n->timer12_rest;
}

/* vmcs12 has a preemption timer, and it has run out. */
static inline bool nested_timer12_ran_out(const struct nested *n)
{
        return (n->current->v.pin_ctls & PIN_PREEMPTION_TIMER) && nested_timer12_left(n) == 0;
}

/* Primary processor-based controls that vmcs12 needs on while its guest runs: not ours to switch off. */
static inline uint32_t nested_proc12(const struct nested *n)
{
        return n->in_l2 ? n->current->v.proc_ctls | apicv_proc(&n->current->v) : 0;
}

/* The guest's guest runs on page tables of the guest hypervisor's. */
static inline bool nested_has_ept12(const struct nested *n)
{
        return vmcs12_proc2(&n->current->v) & PROC2_EPT;
}

/* It runs on an EPT02; otherwise on EPT01. */
static inline bool nested_has_ept02(const struct nested *n)
{
        return nested_has_ept12(n) || apicv_has_access_page(&n->current->v);
}

static inline unsigned nested_l2_level(const struct nested *n, const struct vcpu *v)
{
        return n->current->level ? n->current->level : v->level + 2;
}

#endif
