/* SPDX-License-Identifier: BSD-2-Clause */
/* apicv.h - the local APIC that a guest hypervisor gives its guest by VMX controls: SDM 3C chapter "APIC
 * Virtualization and Virtual Interrupts". The processor's own features do the work, in vmcs02; here is what vmcs02 has
 * to hold for that, and what the processor does not do for us. Functions over plain structs. [pure]
 *
 * The virtual-APIC page and the APIC-access page are pages of the guest's RAM, and vmcs02 names where those are. A guest
 * hypervisor may name addresses where no RAM is: then a page of ours stands for them, so that nothing is hurt. */
#ifndef CASCADE_NESTED_APICV_H
#define CASCADE_NESTED_APICV_H

#include "base/guest_mem.h"
#include "ept02/walk12.h"
#include "nested/vmcs12.h"
#include "vmx/ept01.h"

/* Offsets of registers in a virtual-APIC page: SDM 3C "Virtualized APIC Registers". */
#define VAPIC_TPR 0x080
#define VAPIC_IRR 0x200 /* eight registers of 32 bits, 16 bytes apart */

/* SDM 3C "Guest Non-Register State", guest interrupt status: what virtual-interrupt delivery works with. */
#define STATUS_RVI BITS(7, 0)  /* requesting virtual interrupt */
#define STATUS_SVI BITS(15, 8) /* servicing virtual interrupt */

/* SDM 3C "Exit Qualification for APIC-Access VM Exits from Linear Accesses and Guest-Physical Accesses" */
#define APICQ_OFFSET BITS(11, 0)
#define APICQ_TYPE   BITS(15, 12)
enum apic_access { APIC_ACCESS_READ = 0, APIC_ACCESS_WRITE = 1, APIC_ACCESS_FETCH = 2, APIC_ACCESS_PHYSICAL = 15 };

static inline bool apicv_tpr_shadow(const struct vmcs12 *v)
{
        return v->proc_ctls & PROC_TPR_SHADOW;
}

/* Any of it. */
static inline bool apicv_used(const struct vmcs12 *v)
{
        return apicv_tpr_shadow(v) ||
               (vmcs12_proc2(v) & (PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VID));
}

static inline bool apicv_x2apic(const struct vmcs12 *v)
{
        return vmcs12_proc2(v) & PROC2_X2APIC;
}

static inline bool apicv_delivers(const struct vmcs12 *v)
{
        return vmcs12_proc2(v) & PROC2_VID;
}

/* Primary controls of vmcs02 that this is about. Without a TPR shadow the TPR of the guest's guest is that of the guest
 * hypervisor's local APIC, which is ours: every access exits. With one it is vmcs12's own affair.
 * Work-around for Bochs 2.7, harmless elsewhere: a virtual interrupt does not wake a processor from HLT there (SDM 3C
 * "Virtual-Interrupt Delivery" lets it), so HLT exits to us, see apicv_interrupts(). */
static inline uint32_t apicv_proc(const struct vmcs12 *v)
{
        const uint32_t cr8 = PROC_CR8_LOAD | PROC_CR8_STORE;
        if (!apicv_tpr_shadow(v))
                return cr8;
        return PROC_TPR_SHADOW | (v->proc_ctls & cr8) | (apicv_delivers(v) ? PROC_HLT : 0);
}

/* --- the MSR bitmap --- */

/* MSRs 0x800 to 0x8ff in an MSR bitmap page: one run of words for reads, one for writes. */
#define X2APIC_WORDS      4
#define X2APIC_READ_WORD  (0x800 / 64)
#define X2APIC_WRITE_WORD (2048 / 8 + X2APIC_READ_WORD)

/* SDM 3C "Virtualizing MSR-Based APIC Accesses": writes the words of `out` that are about x2APIC registers. A bit is 0
 * only if vmcs12 has "virtualize x2APIC mode", its own bitmap (NULL: none) lets the access through, and the processor
 * serves it from the virtual-APIC page: any other would reach the local APIC of the processor. */
void apicv_merge_x2apic(const struct vmcs12 *v, const uint64_t *bitmap12, uint64_t *out);

/* --- the APIC-access page --- */

static inline bool apicv_has_access_page(const struct vmcs12 *v)
{
        return vmcs12_proc2(v) & PROC2_APIC_ACCESS;
}

/* This address of the guest is in vmcs12's APIC-access page. */
static inline bool apicv_is_access_page(const struct vmcs12 *v, l1gpa_t at)
{
        return apicv_has_access_page(v) && ALIGN_DOWN(at.raw, PAGE_SIZE) == v->apic_access_page;
}

/* What tells apart page tables for vmcs12 from others with the same EPTP12: its APIC-access page is mapped in a way of its
 * own. 0: vmcs12 has none. */
uint64_t apicv_ept02_variant(const struct vmcs12 *v);

/* A walk of no EPT12 at all: addresses of the guest's guest are those of the guest. */
struct ept_walk apicv_walk_untranslated(l2gpa_t at);

/* What EPT02 shall see of EPT01 for the address that *w came to: the leaf *e01, but for vmcs12's APIC-access page. That
 * is always a page of 4 KiB of its own (SDM 3C "Virtualizing Memory-Mapped APIC Accesses": in a larger one the processor
 * may miss accesses), from the guest's RAM or else at `nowhere`, and cannot be executed: a fetch from it is an EPT
 * violation, which becomes the exit for an APIC access. (Bochs 2.7 gives up on such a fetch.) */
void apicv_shape_leaf(const struct vmcs12 *v, const struct ept_walk *w, hpa_t nowhere, struct ept01_leaf *e01);

/* --- the TPR threshold --- */

/* SDM 3C "VM Exits Induced by the TPR Threshold": a VM entry exits at once, before anything but the event it injects. */
static inline bool apicv_exits_at_entry(const struct vmcs12 *v, uint8_t vtpr, uint32_t threshold)
{
        return apicv_tpr_shadow(v) && apicv_has_access_page(v) && !apicv_delivers(v) && (threshold & 0xf) > vtpr >> 4;
}

/* --- virtual interrupts --- */

/* SDM 3C "Evaluation of Pending Virtual Interrupts": a virtual interrupt would be delivered as soon as RFLAGS.IF is 1 and
 * nothing is blocked. `vtpr` is the virtual TPR, `status` the guest interrupt status. */
bool apicv_interrupts(const struct vmcs12 *v, uint8_t vtpr, uint16_t status);

/* --- posted interrupts --- */

/* SDM 3C "Posted-Interrupt Processing". The descriptor: a bit per vector, then the outstanding notification. */
#define POSTED_WORDS       4
#define POSTED_BYTES       64
#define POSTED_NOTIFY_WORD 4 /* 64-bit word, whose bit 0 it is */

/* The vector notifies vmcs12's guest of posted interrupts, while that runs. */
static inline bool apicv_is_notification(const struct vmcs12 *v, int vector)
{
        return (v->pin_ctls & PIN_POSTED_INTR) && vector == (int)(v->posted_intr_vector & 0xff);
}

/* Moves the requests of the descriptor to the virtual-APIC page; returns the guest interrupt status that comes of it. The
 * guest hypervisor's other processors may post meanwhile: each word is taken by one atomic exchange. */
uint16_t apicv_take_posted(uint64_t descriptor[POSTED_BYTES / 8], uint8_t *vapic, uint16_t status);

#endif
