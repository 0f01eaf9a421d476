/* SPDX-License-Identifier: BSD-2-Clause */
/* merge.h - what vmcs02 holds so that the guest's guest sees vmcs12 and we keep the machine; and the state
 * that a guest hypervisor continues with after an exit. Functions over plain structs. [pure] */
#ifndef CASCADE_NESTED_MERGE_H
#define CASCADE_NESTED_MERGE_H

#include "emulate/view.h"
#include "nested/tsc.h"
#include "nested/vmcs12.h"
#include "vmx/caps.h"

/* What this hypervisor wants of vmcs02, beyond what merge_controls() always asks for. A merged
 * vmcs02_controls says the same about the next level, so policies compose. */
struct vmcs01_policy {
        uint32_t pin, proc, proc2, exit, entry; /* control bits to set if the silicon has them */
        uint32_t exception_bitmap;
        uint64_t cr0_mask, cr4_mask; /* bits that the guest does not own */
        uint64_t tsc_offset;         /* that the guest itself runs with; cascade does not scale its guest's TSC */
        bool preemption_timer;       /* a deadline of ours is armed */
        bool shadow;                 /* offer hardware shadowing on to the guest's guest where vmcs12 does */
};

struct vmcs02_controls {
        uint32_t pin, proc, proc2, exit, entry;
        uint32_t exception_bitmap, pf_error_mask, pf_error_match;
        uint32_t cr3_target_count;
        uint32_t ple_gap, ple_window;
        uint64_t xss_exit_bitmap;
        uint64_t cr3_target[4];
        uint64_t cr0_mask, cr0_shadow, cr4_mask, cr4_shadow;
        struct tsc_map tsc; /* the multiplier counts if proc2 says so */
};

/* Precondition: *v has passed check_controls() with capabilities derived from *hw. guest_cr0 and guest_cr4 of
 * *v are looked at only for bits in the policy's masks and not in vmcs12's.
 *
 * Always on: external-interrupt and NMI exiting, CR8 exiting without a TPR shadow (see
 * apicv_proc()), unconditional I/O exiting (vmcs12's I/O bitmaps are consulted at the exit), MSR bitmaps,
 * secondary controls, EPT, VPID if there is any, 64-bit host, acknowledging of interrupts, load and save of
 * EFER, PAT and debug controls. VM entries into vmcs02 therefore load those from vmcs02 whatever vmcs12 asks
 * for: the merge_guest_*() functions say which value belongs there. VM exits save them whatever vmcs12 asks
 * for: where vmcs12 does not, the field of vmcs12 keeps its value at a reflected exit (SDM 3C "Saving Control
 * Registers, Debug Registers, and MSRs"). */
void merge_controls(const struct vmcs12 *v, const struct vmcs01_policy *policy, const struct vmx_caps *hw,
                    struct vmcs02_controls *out);

/* How the guest's guest reads the TSC, while the guest itself reads it `offset01` later. */
struct tsc_map merge_tsc(const struct vmcs12 *v, uint64_t offset01);

/* Work-around for Bochs 2.7, harmless elsewhere: what wakes from HLT by the SDM does not there (windows, virtual interrupts):
 * HLT exits to us where vmcs12 has one of them. */
uint32_t merge_hlt(const struct vmcs12 *v);

/* MSRs and DR7 of the guest hypervisor as it executed VMLAUNCH: they stay in force where vmcs12 does not
 * load. */
struct l1_msrs {
        uint64_t efer, pat, debugctl, dr7;
};

/* What vmcs02 loads. SDM 3C "Loading Guest Control Registers, Debug Registers, and MSRs". */
uint64_t merge_guest_efer(const struct vmcs12 *v, const struct l1_msrs *l1);
uint64_t merge_guest_pat(const struct vmcs12 *v, const struct l1_msrs *l1);
uint64_t merge_guest_debugctl(const struct vmcs12 *v, const struct l1_msrs *l1);
uint64_t merge_guest_dr7(const struct vmcs12 *v, const struct l1_msrs *l1);

/* A segment register as a VMCS holds it. */
struct seg_state {
        uint16_t sel;
        uint32_t limit, ar;
        uint64_t base;
};

/* The state of the guest's guest as the exit left it, of which a guest hypervisor keeps what its vmcs12 does
 * not load. */
struct l2_at_exit {
        uint64_t cr0, cr4, efer, pat;
};

/* State that the guest hypervisor continues with. */
struct l1_state_after_exit {
        uint64_t cr0, cr3, cr4;
        uint64_t rip, rsp, rflags;
        uint64_t dr7, debugctl, efer, pat;
        uint64_t sysenter_esp, sysenter_eip;
        uint32_t sysenter_cs;
        struct seg_state seg[NR_SEG_REGS]; /* indexed by enum seg_reg */
        struct seg_state tr, ldtr;
        uint64_t gdtr_base, idtr_base;
        uint32_t gdtr_limit, idtr_limit;
        uint32_t interruptibility; /* blocking by NMI is the caller's to add, after an NMI exit */
        uint32_t activity;
        uint64_t pending_dbg;
        bool load_pdptes; /* the host state is PAE paging: PDPTEs come from memory at cr3 */
};

/* SDM 3C "Loading Host State", with all its parts but the MSR-load list and the checks of PDPTEs. */
void merge_host_to_l1(const struct vmcs12 *v, const struct vmx_caps *caps12, const struct l2_at_exit *now,
                      struct l1_state_after_exit *out);

/* Bitmaps of a page in which a 1 means exit: the MSR bitmap, the VMREAD and the VMWRITE bitmap. Ours is ones
 * but for a few words, so only those words of the merged bitmap can ever hold a 0; the others are written
 * once, at set-up. */
#define BITMAP_WORDS (PAGE_SIZE / sizeof(uint64_t))

struct bitmap_merge {
        uint16_t count;
        uint16_t index[BITMAP_WORDS]; /* words of bitmap01 that are not all ones, ascending */
};

/* Notes the interesting words of bitmap01 and fills `out` with ones. */
void bitmap_merge_prepare(struct bitmap_merge *m, const uint64_t bitmap01[BITMAP_WORDS],
                          uint64_t out[BITMAP_WORDS]);

/* out = bitmap01 | bitmap12 in those words. bitmap12 NULL: everything exits (no bitmap, or not in RAM). */
void bitmap_merge(const struct bitmap_merge *m, const uint64_t bitmap01[BITMAP_WORDS],
                  const uint64_t *bitmap12, uint64_t out[BITMAP_WORDS]);

#endif
