/* SPDX-License-Identifier: BSD-2-Clause */
/* processor.h - a VMX processor as bad as the SDM allows, behind the functions of src/hw/.
 *
 * It keeps every translation until something must invalidate it (tlb.h), keeps the data of a VMCS to itself
 * until VMCLEAR (vmcs_cache.c), answers with garbage what is undefined, and refuses a VM entry for any
 * violated check (entry.c). Whatever a hypervisor must not do ends in model_fault(). There is one processor,
 * as the instructions name none; model_reset() starts it anew. guest.h makes the guest that runs on it
 * execute something. */
#ifndef CASCADE_TESTS_MODEL_PROCESSOR_H
#define CASCADE_TESTS_MODEL_PROCESSOR_H

#include <setjmp.h>
#include "base/gprs.h"
#include "nested/vmcs12.h"
#include "rng.h"
#include "run/run.h"
#include "tlb.h"
#include "vmx/caps.h"

#define MODEL_VMCSS 64 /* more than cascade has regions for */

/* What this processor has of what processors may lack. */
struct model_features {
        bool vpid, shadow, vmwrite_any, ept_ad, ept_1g, invept_single, invvpid_single;
        bool parent_is_cascade; /* it is really a cascade, which takes hypercalls */
};

/* A VMCS that the processor knows. */
struct cached_vmcs {
        uint64_t region; /* 0: this slot is free */
        bool active;     /* its data is here, not in memory */
        bool launched;
        uint32_t word;   /* first word of the region when it was made active: revision and shadow indicator */
        uint8_t poison;  /* what memory holds meanwhile */
        struct vmcs12 v; /* the data */
};

/* Registers that VM entries and exits exchange beside the VMCS. */
struct model_msrs {
        uint64_t efer, pat, debugctl, dr7;
};

/* Exit information. What is not `defined` reads as garbage. */
#define EXIT_HAS_LENGTH   1u
#define EXIT_HAS_INSN     2u
#define EXIT_HAS_LINEAR   4u
#define EXIT_HAS_PHYSICAL 8u
struct model_exit {
        uint32_t reason;
        uint64_t qualification, linear, physical;
        uint32_t intr_info, intr_error, idt_info, idt_error;
        uint32_t insn_len, insn_info;
        unsigned defined;
};

/* What the model leaves undone although it was told to, to see whether a test notices. */
enum sabotage {
        SABOTAGE_NONE,
#define SABOTAGE(name, text) SABOTAGE_##name,
#include "sabotage.def"
#undef SABOTAGE
        SABOTAGE_COUNT
};

struct model_statistics {
        uint64_t exits, entries02, violations;
        uint64_t cached, walked; /* translations: from something cached; by a walk */
};

struct processor {
        struct rng rng;
        struct model_features has;
        struct vmx_caps caps;
        const uint8_t *pool, *ram; /* memory of the hypervisor and of its guest */
        uint64_t pool_bytes, ram_bytes;
        uint64_t cr0, cr2, cr3, cr4, dr6, xcr0, tsc;
        struct model_msrs now, root; /* in force; of the hypervisor */
        bool vmxon;
        uint64_t vmxon_region;
        struct cached_vmcs vmcs[MODEL_VMCSS];
        struct cached_vmcs *current;
        bool in_guest;
        struct gprs gprs;   /* of the guest that runs */
        uint32_t delivered; /* event that the last VM entry injected, or 0 */
        uint32_t delivered_error;
        struct run *run; /* the hypervisor */
        struct tlb tlb;
        struct model_statistics count;
        struct model_exit last; /* the latest exit */
        enum sabotage sabotage;
        uint64_t sabotaged; /* times that something was left undone */
        jmp_buf *on_fault;  /* who wants to know of model_fault(); NULL: it ends the test */
        char fault[400];
};
extern struct processor cpu;

void model_reset(const struct model_features *has, uint64_t seed);

/* The hypervisor did what no hypervisor may do, or a guest saw what it cannot see. */
_Noreturn void model_fault(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define MODEL_REQUIRE(cond, ...)                                                                                       \
        do {                                                                                                           \
                if (__builtin_expect(!(cond), 0))                                                                      \
                        model_fault(__VA_ARGS__);                                                                      \
        } while (0)

/* True if an operation of this kind is to be left undone. */
bool sabotaged(enum sabotage kind);

/* `bytes` bytes from a host-physical address belong to the hypervisor or its guest; to the guest. */
bool model_owns(uint64_t hpa, uint64_t bytes);
bool model_is_ram(uint64_t hpa, uint64_t bytes);

/* vmcs_cache.c: the VMCS at a region, made active if it is not (VMPTRLD, or a link pointer at VM entry). */
struct cached_vmcs *vmcs_activate(uint64_t region);
struct cached_vmcs *vmcs_find(uint64_t region);
bool model_field_find(uint64_t enc, struct vmcs_field_info *f);
/* HC_VMCS_SWITCH of a cascade above: VMCLEAR and VMPTRLD that leave memory alone. */
void vmcs_switch_owned(uint64_t clear, uint64_t load);

/* entry.c: VM exit, the hypervisor's work, and the VM entry that follows. */
void model_exit(const struct model_exit *x);
/* The first VM entry. */
void model_start(struct run *r);

#endif
