/* SPDX-License-Identifier: BSD-2-Clause */
/* checks_rules.h - the words in which the rows of checks.def are written; for checks_*.c, and for instructions that make
 * some of the same checks. [pure]
 * All are predicates of vmcs12, capabilities and, for three of them, the guest's memory; a place that is not
 * RAM reads as all-ones. */
#ifndef CASCADE_NESTED_CHECKS_RULES_H
#define CASCADE_NESTED_CHECKS_RULES_H

#include "base/libc.h"
#include "base/x86.h"
#include "nested/apicv.h"
#include "nested/checks.h"
#include "vmx/epte.h"

#define TPR_THRESHOLD    BITS(3, 0)
#define PI_DESC_ALIGN    64
#define MSR_ENTRY_BYTES  16ull
#define INSN_LEN_MAX     15
#define LINK_NONE        (~0ull)
#define AR_V8086         0xf3u
#define INTRBLK_RESERVED ((uint32_t)BITS(31, 5))
#define DEBUGCTL_BLD     BIT(2) /* bus-lock detection */
#define BNDCFGS_RESERVED BITS(11, 2)
#define CS_TYPE_DATA     3 /* read/write data: CS of a real-mode unrestricted guest */

static inline bool pin(const struct vmcs12 *v, uint32_t ctl)
{
        return v->pin_ctls & ctl;
}

static inline bool proc(const struct vmcs12 *v, uint32_t ctl)
{
        return v->proc_ctls & ctl;
}

static inline bool proc2(const struct vmcs12 *v, uint32_t any_of)
{
        return vmcs12_proc2(v) & any_of;
}

static inline bool exits(const struct vmcs12 *v, uint32_t ctl)
{
        return v->exit_ctls & ctl;
}

static inline bool enters(const struct vmcs12 *v, uint32_t ctl)
{
        return v->entry_ctls & ctl;
}

static inline bool blocks(const struct vmcs12 *v, uint32_t any_of)
{
        return v->guest_interruptibility & any_of;
}

static inline bool in_width(const struct vmx_caps *c, uint64_t address)
{
        return !(address >> c->maxphyaddr);
}

static inline bool canonical(const struct vmx_caps *c, uint64_t linear)
{
        return is_canonical(linear, c->linear_bits);
}

/* Less than canonical: bits above the linear-address width are all alike, but need not repeat its topmost
 * bit. */
static inline bool rip_ok(const struct vmx_caps *c, uint64_t rip)
{
        const int64_t top = (int64_t)rip >> c->linear_bits;
        return top == 0 || top == -1;
}

/* VM entries and exits leave CD and NW alone, so these two are not looked at. */
static inline bool cr_fixed(uint64_t value, uint64_t fixed0, uint64_t fixed1)
{
        return (value & fixed0) == fixed0 && !(value & ~fixed1);
}

static inline unsigned vtpr_class(const struct vmcs12 *v, const struct check_env *e)
{
        const uint8_t *page = guest_mem_at(e->mem, L1GPA(v->virtual_apic_page), PAGE_SIZE);
        return page ? page[VAPIC_TPR] >> 4 : 0xf;
}

static inline bool eptp_memtype_ok(const struct vmx_caps *c, uint64_t eptp)
{
        const uint64_t type = GET(eptp, EPTP_MEMTYPE);
        return (type == MEMTYPE_UC && (c->ept_vpid & EPTCAP_UC)) ||
               (type == MEMTYPE_WB && (c->ept_vpid & EPTCAP_WB));
}

static inline bool eptp_walk_ok(const struct vmx_caps *c, uint64_t eptp)
{
        const uint64_t walk = GET(eptp, EPTP_WALK);
        return (walk == EPTP_WALK4 && (c->ept_vpid & EPTCAP_WALK4)) ||
               (walk == EPTP_WALK4 + 1 && (c->ept_vpid & EPTCAP_WALK5));
}

/* An EPTP that VM entry would accept. */
static inline bool eptp_ok(const struct vmx_caps *c, uint64_t eptp)
{
        return eptp_memtype_ok(c, eptp) && eptp_walk_ok(c, eptp) && !(eptp & EPTP_RESERVED) &&
               (!(eptp & EPTP_AD) || (c->ept_vpid & EPTCAP_AD)) && in_width(c, eptp);
}

static inline bool eptp_switching(const struct vmcs12 *v)
{
        return proc2(v, PROC2_VMFUNC) && (v->vmfunc_ctls & VMFUNC_EPTP_SWITCHING);
}

static inline bool injects_any(const struct vmcs12 *v)
{
        return v->entry_intr_info & INTR_VALID;
}

static inline bool injects(const struct vmcs12 *v, enum intr_type type)
{
        return injects_any(v) && GET(v->entry_intr_info, INTR_TYPE) == type;
}

static inline bool injects_error(const struct vmcs12 *v)
{
        return injects_any(v) && (v->entry_intr_info & INTR_ERROR_VALID);
}

/* Events whose delivery pushes an address after the instruction. */
static inline bool injects_software(const struct vmcs12 *v)
{
        return injects(v, INTR_TYPE_SW_INTR) || injects(v, INTR_TYPE_PRIV_SW_EXCEPTION) ||
               injects(v, INTR_TYPE_SW_EXCEPTION);
}

static inline unsigned event_vector(const struct vmcs12 *v)
{
        return (unsigned)GET(v->entry_intr_info, INTR_VECTOR);
}

static inline bool unrestricted(const struct vmcs12 *v)
{
        return proc2(v, PROC2_UNRESTRICTED);
}

/* The event meets a guest in protected mode. Only an unrestricted guest can be elsewhere. */
static inline bool event_protected(const struct vmcs12 *v)
{
        return !unrestricted(v) || (v->guest_cr0 & CR0_PE);
}

static inline bool pushes_error(const struct vmx_caps *c, unsigned vector)
{
        const uint64_t always = BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) |
                                BIT(VEC_PF) | BIT(VEC_AC);
        const uint64_t with = always | (c->cr4_fixed1 & CR4_CET ? BIT(VEC_CP) : 0);
        return vector <= 31 && (with >> vector & 1);
}

static inline uint64_t guest_cr0_fixed0(const struct vmcs12 *v, const struct vmx_caps *c)
{
        return unrestricted(v) ? c->cr0_fixed0 & ~(CR0_PE | CR0_PG) : c->cr0_fixed0;
}

static inline bool bndcfgs_ok(const struct vmx_caps *c, uint64_t bndcfgs)
{
        return !(bndcfgs & BNDCFGS_RESERVED) && canonical(c, ALIGN_DOWN(bndcfgs, PAGE_SIZE));
}

static inline bool v8086(const struct vmcs12 *v)
{
        return v->guest_rflags & RFLAGS_VM;
}

static inline bool usable(uint32_t ar)
{
        return !(ar & AR_UNUSABLE);
}

static inline unsigned ar_type(uint32_t ar)
{
        return (unsigned)GET(ar, AR_TYPE);
}

static inline unsigned ar_dpl(uint32_t ar)
{
        return (unsigned)GET(ar, AR_DPL);
}

static inline bool cs_type_ok(const struct vmcs12 *v)
{
        const unsigned type = ar_type(v->guest_cs_ar);
        return (type & 9) == 9 ||
               (type == CS_TYPE_DATA && unrestricted(v)); /* 9, 11, 13, 15: accessed code */
}

static inline bool cs_dpl_ok(const struct vmcs12 *v)
{
        const unsigned type = ar_type(v->guest_cs_ar), dpl = ar_dpl(v->guest_cs_ar),
                       ss = ar_dpl(v->guest_ss_ar);
        if (type == CS_TYPE_DATA)
                return dpl == 0;
        return type & 4 ? dpl <= ss : dpl == ss; /* conforming or not */
}

/* A limit with a 0 in its low 12 bits can only be in bytes; one with a 1 in its high 12 bits only in pages.
 */
static inline bool g_clear_ok(uint32_t ar, uint32_t limit)
{
        return (limit & BITS(11, 0)) == BITS(11, 0) || !(ar & AR_G);
}

static inline bool g_set_ok(uint32_t ar, uint32_t limit)
{
        return !(limit & BITS(31, 20)) || (ar & AR_G);
}

static inline bool tr_type_ok(const struct vmcs12 *v)
{
        const unsigned type = ar_type(v->guest_tr_ar);
        return type == 11 || (type == 3 && !enters(v, ENTRY_CTL_GUEST_64)); /* busy TSS: 32/64-bit, 16-bit */
}

static inline bool code64(const struct vmcs12 *v)
{
        return enters(v, ENTRY_CTL_GUEST_64) && (v->guest_cs_ar & AR_L);
}

static inline bool activity_supported(const struct vmx_caps *c, uint32_t activity)
{
        static const uint64_t needs[] = {
                [ACTIVITY_HLT] = MISC_HLT,
                [ACTIVITY_SHUTDOWN] = MISC_SHUTDOWN,
                [ACTIVITY_WAIT_SIPI] = MISC_WAIT_SIPI,
        };
        return activity == ACTIVITY_ACTIVE || (activity < ARRAY_LEN(needs) && (c->misc & needs[activity]));
}

/* Which events can wake which inactive state. */
static inline bool activity_takes_event(const struct vmcs12 *v)
{
        const bool machine_check = injects(v, INTR_TYPE_HW_EXCEPTION) && event_vector(v) == VEC_MC;
        switch (v->guest_activity) {
        case ACTIVITY_ACTIVE:
                return true;
        case ACTIVITY_HLT:
                return injects(v, INTR_TYPE_EXT) || injects(v, INTR_TYPE_NMI) ||
                       injects(v, INTR_TYPE_OTHER) || machine_check ||
                       (injects(v, INTR_TYPE_HW_EXCEPTION) && event_vector(v) == VEC_DB);
        case ACTIVITY_SHUTDOWN:
                return injects(v, INTR_TYPE_NMI) || machine_check;
        }
        return false;
}

static inline uint64_t pending_dbg_mask(const struct vmx_caps *c)
{
        return PENDING_DBG_B0_B3 | PENDING_DBG_ENABLED_BP | PENDING_DBG_BS | PENDING_DBG_RTM |
               (c->debugctl_mask & DEBUGCTL_BLD ? PENDING_DBG_BUS_LOCK : 0);
}

/* A single-step trap of the instruction before cannot have been delivered yet. */
static inline bool single_step_held(const struct vmcs12 *v)
{
        return blocks(v, INTRBLK_STI | INTRBLK_MOV_SS) || v->guest_activity == ACTIVITY_HLT;
}

static inline bool single_steps(const struct vmcs12 *v)
{
        return (v->guest_rflags & RFLAGS_TF) && !(v->guest_debugctl & DEBUGCTL_BTF);
}

static inline bool pending_rtm_ok(const struct vmcs12 *v, const struct vmx_caps *c)
{
        return c->rtm && v->guest_pending_dbg == (PENDING_DBG_RTM | PENDING_DBG_ENABLED_BP) &&
               !blocks(v, INTRBLK_MOV_SS);
}

/* First word of the VMCS that the link pointer names. */
static inline uint32_t link_word(const struct vmcs12 *v, const struct check_env *e)
{
        const void *region = guest_mem_at(e->mem, L1GPA(v->vmcs_link), PAGE_SIZE);
        uint32_t word = UINT32_MAX;
        if (region)
                memcpy(&word, region, sizeof(word));
        return word;
}

static inline bool uses_pae(const struct vmcs12 *v)
{
        return (v->guest_cr0 & CR0_PG) && (v->guest_cr4 & CR4_PAE) && !enters(v, ENTRY_CTL_GUEST_64);
}

bool pdptes_ok(const struct vmcs12 *v, const struct check_env *e);

/* What a failed row answers. */
#define HOW_ENTRY_CONTROLS   CHECK_VM_FAIL, VMX_ERR_ENTRY_CONTROLS
#define HOW_ENTRY_HOST_STATE CHECK_VM_FAIL, VMX_ERR_ENTRY_HOST_STATE
#define HOW_GUEST            CHECK_ENTRY_FAIL, ENTRY_FAIL_QUAL_NONE
#define HOW_GUEST_PDPTE      CHECK_ENTRY_FAIL, ENTRY_FAIL_QUAL_PDPTE
#define HOW_GUEST_LINK       CHECK_ENTRY_FAIL, ENTRY_FAIL_QUAL_LINK
#define FAIL_UNLESS(id, how, sdm, ok)                                                                        \
        if (!(ok))                                                                                           \
                return (struct check_fail){ CHK_##id, HOW_##how };

#endif
