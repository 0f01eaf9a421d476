/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/merge.h"
#include "base/x86.h"
#include "nested/apicv.h"

/* Controls of vmcs12 that reach vmcs02 as they are, because what they cause is the guest hypervisor's. */
#define PASS_PROC                                                                                            \
        (PROC_INTR_WINDOW | PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC | PROC_RDTSC | PROC_CR3_LOAD |  \
         PROC_CR3_STORE | PROC_NMI_WINDOW | PROC_MOV_DR | PROC_MONITOR | PROC_PAUSE | PROC_MTF)
#define PASS_PROC2                                                                                           \
        (PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_WBINVD | PROC2_UNRESTRICTED | PROC2_PLE | PROC2_RDRAND |    \
         PROC2_INVPCID | PROC2_VMFUNC | PROC2_RDSEED | PROC2_XSAVES | PROC2_APIC_ACCESS | PROC2_X2APIC |   \
         PROC2_APIC_REGS | PROC2_VID)

/* What vmcs02 has whatever anybody asks for, see merge.h. */
#define OWN_PIN   (PIN_EXT_INTR | PIN_NMI)
#define OWN_PROC  (PROC_UNCOND_IO | PROC_MSR_BITMAPS | PROC_SECONDARY)
#define OWN_PROC2 (PROC2_EPT | PROC2_VPID)
#define OWN_EXIT                                                                                             \
        (EXIT_CTL_SAVE_DEBUG | EXIT_CTL_HOST_64 | EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT |                    \
         EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER)
#define OWN_ENTRY (ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER)

static uint32_t fit(uint32_t wanted, struct ctl_caps hw)
{
        return (wanted & hw.may1) | hw.must1;
}

/* NMI exiting is ours in vmcs02. SDM 3C "Pin-Based VM-Execution Controls": where the NMIs of the guest's guest are not for
 * the guest hypervisor, its IRET ends blocking by NMI, which with NMI exiting takes virtual NMIs. */
static uint32_t nmi_pin(const struct vmcs12 *v)
{
        return v->pin_ctls & PIN_NMI ? v->pin_ctls & PIN_VIRTUAL_NMI : PIN_VIRTUAL_NMI;
}

/* Scaling takes part in offsetting and does nothing without. */
static bool scaled(const struct vmcs12 *v)
{
        return (v->proc_ctls & PROC_TSC_OFFSET) && (vmcs12_proc2(v) & PROC2_TSC_SCALING);
}

struct tsc_map merge_tsc(const struct vmcs12 *v, uint64_t offset01)
{
        const struct tsc_map map12 = { .multiplier = scaled(v) ? v->tsc_multiplier : TSC_UNSCALED,
                                       .offset = v->proc_ctls & PROC_TSC_OFFSET ? v->tsc_offset : 0 };
        return tsc_map_behind(offset01, map12);
}

uint32_t merge_hlt(const struct vmcs12 *v)
{
        return (v->proc_ctls & (PROC_INTR_WINDOW | PROC_NMI_WINDOW)) || apicv_delivers(v) ? PROC_HLT : 0;
}

static void merge_words(const struct vmcs12 *v, const struct vmcs01_policy *p, const struct vmx_caps *hw,
                        struct vmcs02_controls *out)
{
        const bool timer = p->preemption_timer || (v->pin_ctls & PIN_PREEMPTION_TIMER);
        const bool shadow = p->shadow && (vmcs12_proc2(v) & PROC2_SHADOW);

        out->tsc = merge_tsc(v, p->tsc_offset);
        out->pin = fit(OWN_PIN | nmi_pin(v) | p->pin | (timer ? PIN_PREEMPTION_TIMER : 0), hw->pin);
        out->proc =
                fit(OWN_PROC | apicv_proc(v) | merge_hlt(v) | (v->proc_ctls & PASS_PROC) | p->proc | (out->tsc.offset || scaled(v) ? PROC_TSC_OFFSET : 0),
                    hw->proc);
        out->proc2 = fit(OWN_PROC2 | (vmcs12_proc2(v) & PASS_PROC2) | p->proc2 | (shadow ? PROC2_SHADOW : 0) |
                                 (scaled(v) ? PROC2_TSC_SCALING : 0),
                         hw->proc2);
        out->exit = fit(OWN_EXIT | p->exit | (timer ? EXIT_CTL_SAVE_PREEMPTION_TIMER : 0), hw->exit);
        out->entry = fit(OWN_ENTRY | (v->entry_ctls & ENTRY_CTL_GUEST_64) | p->entry, hw->entry);
}

/* SDM 3C "Guest/Host Masks and Read Shadows for CR0 and CR4". A bit that only we own reads as the guest's
 * guest left it, which is what vmcs12's guest-state field holds. */
static uint64_t merge_shadow(uint64_t mask12, uint64_t shadow12, uint64_t guest)
{
        return (shadow12 & mask12) | (guest & ~mask12);
}

/* SDM 3C "Exceptions": the mask and match fields say which page faults bit 14 is about. If we want other page
 * faults than vmcs12 does, all exit and the router sorts them. */
static void merge_exceptions(const struct vmcs12 *v, const struct vmcs01_policy *p,
                             struct vmcs02_controls *out)
{
        const bool all_faults = p->exception_bitmap & BIT(VEC_PF);
        out->exception_bitmap = v->exception_bitmap | p->exception_bitmap;
        out->pf_error_mask = all_faults ? 0 : v->pf_error_mask;
        out->pf_error_match = all_faults ? 0 : v->pf_error_match;
}

void merge_controls(const struct vmcs12 *v, const struct vmcs01_policy *policy, const struct vmx_caps *hw,
                    struct vmcs02_controls *out)
{
        *out = (struct vmcs02_controls){
                .cr0_mask = v->cr0_mask | policy->cr0_mask,
                .cr0_shadow = merge_shadow(v->cr0_mask, v->cr0_shadow, v->guest_cr0),
                .cr4_mask = v->cr4_mask | policy->cr4_mask,
                .cr4_shadow = merge_shadow(v->cr4_mask, v->cr4_shadow, v->guest_cr4),
                .cr3_target_count = v->cr3_target_count,
                .cr3_target = { v->cr3_target0, v->cr3_target1, v->cr3_target2, v->cr3_target3 },
                .ple_gap = v->ple_gap,
                .ple_window = v->ple_window,
                .xss_exit_bitmap = v->xss_exit_bitmap,
        };
        merge_words(v, policy, hw, out);
        merge_exceptions(v, policy, out);
}

/* LMA and LME follow the "IA-32e mode guest" control where EFER is not loaded as a whole; LME only if paging
 * is on. */
uint64_t merge_guest_efer(const struct vmcs12 *v, const struct l1_msrs *l1)
{
        if (v->entry_ctls & ENTRY_CTL_LOAD_EFER)
                return v->guest_efer;
        const bool long_mode = v->entry_ctls & ENTRY_CTL_GUEST_64;
        const uint64_t follows = EFER_LMA | (v->guest_cr0 & CR0_PG ? EFER_LME : 0);
        return (l1->efer & ~follows) | (long_mode ? follows : 0);
}

uint64_t merge_guest_pat(const struct vmcs12 *v, const struct l1_msrs *l1)
{
        return v->entry_ctls & ENTRY_CTL_LOAD_PAT ? v->guest_pat : l1->pat;
}

uint64_t merge_guest_debugctl(const struct vmcs12 *v, const struct l1_msrs *l1)
{
        return v->entry_ctls & ENTRY_CTL_LOAD_DEBUG ? v->guest_debugctl : l1->debugctl;
}

uint64_t merge_guest_dr7(const struct vmcs12 *v, const struct l1_msrs *l1)
{
        return v->entry_ctls & ENTRY_CTL_LOAD_DEBUG ? v->guest_dr7 : l1->dr7;
}

/* Bits of CR0 that a VM exit leaves alone: SDM 3C "Loading Host Control Registers, Debug Registers, MSRs". */
#define CR0_KEPT    (BITS(63, 32) | CR0_CD | CR0_NW | BITS(28, 19) | BIT(17) | BITS(15, 6) | CR0_ET)
#define CR3_IGNORED BITS(63, 52)

#define AR_CODE32 (11u | AR_S | AR_P | AR_DB | AR_G)
#define AR_CODE64 (11u | AR_S | AR_P | AR_L | AR_G)
#define AR_DATA   (3u | AR_S | AR_P | AR_DB | AR_G)
#define AR_TSS    (11u | AR_P)
#define TSS_LIMIT 0x67
#define DT_LIMIT  0xffff

static uint64_t keep(uint64_t now, uint64_t loaded, uint64_t kept)
{
        return (now & kept) | (loaded & ~kept);
}

static void load_registers(const struct vmcs12 *v, const struct vmx_caps *c, const struct l2_at_exit *now,
                           struct l1_state_after_exit *out)
{
        const bool host64 = v->exit_ctls & EXIT_CTL_HOST_64;
        /* Bits that VMX operation fixes are not modified either; they are as required already. */
        out->cr0 = keep(now->cr0, v->host_cr0, CR0_KEPT) | c->cr0_fixed0;
        out->cr3 = v->host_cr3 & ~CR3_IGNORED & (BIT(c->maxphyaddr) - 1);
        out->cr4 = (v->host_cr4 | c->cr4_fixed0) & c->cr4_fixed1;
        out->cr4 = host64 ? out->cr4 | CR4_PAE : out->cr4 & ~CR4_PCIDE;
        out->rip = v->host_rip;
        out->rsp = v->host_rsp;
        out->rflags = RFLAGS_FIXED1;
        out->dr7 = DR7_RESET;
        out->debugctl = 0;
        out->efer = v->exit_ctls & EXIT_CTL_LOAD_EFER ? v->host_efer : now->efer & ~(EFER_LMA | EFER_LME);
        if (host64)
                out->efer |= EFER_LMA | EFER_LME;
        out->pat = v->exit_ctls & EXIT_CTL_LOAD_PAT ? v->host_pat : now->pat;
        out->sysenter_cs = v->host_sysenter_cs;
        out->sysenter_esp = v->host_sysenter_esp;
        out->sysenter_eip = v->host_sysenter_eip;
        out->load_pdptes = !host64 && (out->cr4 & CR4_PAE);
}

/* A null selector makes the register unusable. */
static struct seg_state data_segment(uint16_t sel, uint64_t base)
{
        return (struct seg_state){
                .sel = sel, .base = base, .limit = UINT32_MAX, .ar = sel ? AR_DATA : AR_UNUSABLE
        };
}

/* SDM 3C "Loading Host Segment and Descriptor-Table Registers" */
static void load_segments(const struct vmcs12 *v, struct l1_state_after_exit *out)
{
        out->seg[SEG_CS] = (struct seg_state){
                .sel = v->host_cs_sel,
                .limit = UINT32_MAX,
                .ar = v->exit_ctls & EXIT_CTL_HOST_64 ? AR_CODE64 : AR_CODE32,
        };
        out->seg[SEG_ES] = data_segment(v->host_es_sel, 0);
        out->seg[SEG_SS] = data_segment(v->host_ss_sel, 0);
        out->seg[SEG_DS] = data_segment(v->host_ds_sel, 0);
        out->seg[SEG_FS] = data_segment(v->host_fs_sel, v->host_fs_base);
        out->seg[SEG_GS] = data_segment(v->host_gs_sel, v->host_gs_base);
        out->tr = (struct seg_state){
                .sel = v->host_tr_sel, .base = v->host_tr_base, .limit = TSS_LIMIT, .ar = AR_TSS
        };
        out->ldtr = (struct seg_state){ .ar = AR_UNUSABLE };
        out->gdtr_base = v->host_gdtr_base;
        out->idtr_base = v->host_idtr_base;
        out->gdtr_limit = out->idtr_limit = DT_LIMIT;
}

void merge_host_to_l1(const struct vmcs12 *v, const struct vmx_caps *caps12, const struct l2_at_exit *now,
                      struct l1_state_after_exit *out)
{
        /* SDM 3C "Updating Non-Register State": active, nothing blocked, nothing pending */
        *out = (struct l1_state_after_exit){ .activity = ACTIVITY_ACTIVE };
        load_registers(v, caps12, now, out);
        load_segments(v, out);
}

void bitmap_merge_prepare(struct bitmap_merge *m, const uint64_t bitmap01[BITMAP_WORDS],
                          uint64_t out[BITMAP_WORDS])
{
        m->count = 0;
        for (uint16_t i = 0; i < BITMAP_WORDS; i++) {
                out[i] = ~0ull;
                if (bitmap01[i] != ~0ull)
                        m->index[m->count++] = i;
        }
}

void bitmap_merge(const struct bitmap_merge *m, const uint64_t bitmap01[BITMAP_WORDS],
                  const uint64_t *bitmap12, uint64_t out[BITMAP_WORDS])
{
        for (unsigned k = 0; k < m->count; k++) {
                const unsigned i = m->index[k];
                out[i] = bitmap12 ? bitmap01[i] | bitmap12[i] : ~0ull;
        }
}
