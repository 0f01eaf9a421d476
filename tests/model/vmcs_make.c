/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmcs_make.h"
#include "base/x86.h"
#include "ops.h"
#include "ref_memory.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

#define PAT_RESET 0x0007040600070406ull

static void valid_segments(struct vmcs12 *v)
{
        const uint32_t data = 3u | AR_S | AR_P | AR_DB | AR_G;
        v->guest_cs_sel = 8;
        v->guest_cs_limit = UINT32_MAX;
        v->guest_cs_ar = 11u | AR_S | AR_P | AR_L | AR_G;
        v->guest_ss_sel = v->guest_ds_sel = v->guest_es_sel = v->guest_fs_sel = v->guest_gs_sel = 16;
        v->guest_ss_limit = v->guest_ds_limit = v->guest_es_limit = v->guest_fs_limit = v->guest_gs_limit = UINT32_MAX;
        v->guest_ss_ar = v->guest_ds_ar = v->guest_es_ar = v->guest_fs_ar = v->guest_gs_ar = data;
        v->guest_ldtr_ar = AR_UNUSABLE;
        v->guest_tr_sel = 24;
        v->guest_tr_limit = 0x67;
        v->guest_tr_ar = 11u | AR_P;
}

static void valid_host(struct vmcs12 *v)
{
        v->host_cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
        v->host_cr3 = PAGE(P_L1_PML4);
        v->host_cr4 = CR4_PAE | CR4_VMXE;
        v->host_cs_sel = 8;
        v->host_ss_sel = v->host_ds_sel = v->host_es_sel = 16;
        v->host_tr_sel = 24;
        v->host_efer = EFER_LME | EFER_LMA | EFER_NXE;
        v->host_pat = PAT_RESET;
        v->host_rip = 0x20000;
        v->host_rsp = 0x8000;
}

void vmcs_valid(const struct vmx_caps *c, struct vmcs12 *v)
{
        *v = (struct vmcs12){
                .pin_ctls = c->pin.must1,
                .proc_ctls = c->proc.must1 | PROC_SECONDARY,
                .proc2_ctls = c->proc2.must1,
                .exit_ctls = c->exit.must1 | EXIT_CTL_HOST_64,
                .entry_ctls = c->entry.must1 | ENTRY_CTL_GUEST_64,
                .msr_bitmap = PAGE(P_MSR_BITMAP),
                .eptp_list = PAGE(P_EPTP_LIST),
                .vmread_bitmap = PAGE(P_VMREAD),
                .vmwrite_bitmap = PAGE(P_VMWRITE),
                .exit_msr_store = PAGE(P_MSR_LIST + 1),
                .exit_msr_load = PAGE(P_MSR_LIST),
                .entry_msr_load = PAGE(P_MSR_LIST),
                .vmcs_link = ~0ull,
                .eptp = eptp_of(0, false),
                .vpid = 1,
                .guest_cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG,
                .guest_cr3 = l2_cr3(0),
                .guest_cr4 = CR4_PAE | CR4_VMXE,
                .guest_efer = EFER_LME | EFER_LMA | EFER_NXE,
                .guest_pat = PAT_RESET,
                .guest_dr7 = DR7_RESET,
                .guest_rip = 0x30000,
                .guest_rflags = RFLAGS_FIXED1,
                .guest_gdtr_limit = 0xffff,
                .guest_idtr_limit = 0xffff,
        };
        valid_segments(v);
        valid_host(v);
}

/* --- legal changes --- */

struct change {
        struct rng *rng;
        const struct vmx_caps *caps;
        const struct vmcs12 *v;
        struct field_write *out;
        unsigned n;
};

static void put(struct change *c, uint32_t enc, uint64_t value)
{
        c->out[c->n++] = (struct field_write){ enc, value };
}

static uint32_t some_of(struct change *c, uint32_t bits)
{
        return (uint32_t)rng_any(c->rng) & bits;
}

static void change_registers(struct change *c)
{
        put(c, F_guest_rip, rng_below(c->rng, 1 << 30));
        put(c, F_guest_rsp, rng_any(c->rng));
        put(c, F_guest_efer, EFER_LME | EFER_LMA | (rng_any(c->rng) & (EFER_NXE | EFER_SCE)));
        put(c, F_guest_rflags, RFLAGS_FIXED1 | (rng_any(c->rng) & (RFLAGS_CF | RFLAGS_IF)));
        if (!(c->v->entry_intr_info & INTR_VALID))
                return;
        put(c, F_entry_intr_info, 0); /* an external interrupt wants IF */
}

static void change_rare_state(struct change *c)
{
        static const uint32_t any[] = { F_guest_fs_base,     F_guest_gs_base,      F_guest_gdtr_base,
                                        F_guest_idtr_base,   F_guest_sysenter_esp, F_guest_sysenter_eip,
                                        F_host_sysenter_eip, F_host_gs_base,       F_host_idtr_base,
                                        F_host_tr_base };
        put(c, any[rng_below(c->rng, ARRAY_LEN(any))], rng_below(c->rng, 1ull << 40));
        put(c, F_guest_gdtr_limit, rng_below(c->rng, 0x10000));
        put(c, F_guest_smbase, rng_any(c->rng));
        put(c, F_guest_sysenter_cs, rng_any(c->rng));
}

static void change_host(struct change *c)
{
        put(c, F_host_rip, rng_below(c->rng, 1 << 30));
        put(c, F_host_rsp, rng_any(c->rng));
        put(c, F_host_cs_sel, 8 * (1 + rng_below(c->rng, 7)));
}

static void change_address_space(struct change *c)
{
        put(c, F_guest_cr3, l2_cr3((unsigned)rng_below(c->rng, L2_TREES)));
        if (c->caps->proc2.may1 & PROC2_EPT)
                put(c, F_eptp,
                    eptp_of((unsigned)rng_below(c->rng, ROOTS),
                            (c->caps->ept_vpid & EPTCAP_AD) && rng_one_in(c->rng, 3)));
        if (c->caps->proc2.may1 & PROC2_VPID)
                put(c, F_vpid, 1 + rng_below(c->rng, VPIDS - 1));
}

static void change_proc2(struct change *c)
{
        uint32_t may =
                c->caps->proc2.may1 & (PROC2_SHADOW | PROC2_WBINVD | PROC2_RDTSCP | PROC2_DESC_TABLE | PROC2_INVPCID);
        uint32_t on = some_of(c, may);
        if (!rng_one_in(c->rng, 4))
                on |= c->caps->proc2.may1 & PROC2_EPT;
        if (!rng_one_in(c->rng, 3))
                on |= c->caps->proc2.may1 & PROC2_VPID;
        if ((on & PROC2_EPT) && (c->caps->proc2.may1 & PROC2_VMFUNC) && rng_one_in(c->rng, 2))
                on |= PROC2_VMFUNC;
        if (c->caps->proc2.may1 & PROC2_VMFUNC)
                put(c, F_vmfunc_ctls, on & PROC2_VMFUNC && !rng_one_in(c->rng, 4) ? VMFUNC_EPTP_SWITCHING : 0);
        put(c, F_proc2_ctls, c->caps->proc2.must1 | on);
}

/* With it the shadow VMCS that a guest hypervisor gives to its guest. */
static void change_link(struct change *c)
{
        uint64_t link = ~0ull;
        const unsigned from = (unsigned)rng_below(c->rng, VMCSS);
        const uint32_t shadow = vmcs12_proc2(c->v) & PROC2_SHADOW ? VMCS_REVISION_SHADOW : 0;
        for (unsigned i = 0; i < VMCSS && shadow; i++) {
                const struct ref_vmcs *r = &ref.vmcs[(from + i) % VMCSS];
                if ((r->word & VMCS_REVISION_SHADOW) == shadow && &r->v != c->v && !r->wild)
                        link = r->at;
        }
        put(c, F_vmcs_link, link);
}

static void change_controls(struct change *c)
{
        const bool timer = rng_one_in(c->rng, 3) && (c->caps->pin.may1 & PIN_PREEMPTION_TIMER);
        put(c, F_pin_ctls,
            c->caps->pin.must1 | some_of(c, c->caps->pin.may1 & (PIN_EXT_INTR | PIN_NMI)) |
                    (timer ? PIN_PREEMPTION_TIMER : 0));
        put(c, F_proc_ctls,
            c->caps->proc.must1 | PROC_SECONDARY |
                    some_of(c, PROC_HLT | PROC_INVLPG | PROC_RDTSC | PROC_PAUSE | PROC_CR3_LOAD | PROC_TSC_OFFSET |
                                       PROC_MSR_BITMAPS));
        put(c, F_exit_ctls,
            c->caps->exit.must1 | EXIT_CTL_HOST_64 |
                    some_of(c, EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT | EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER |
                                       EXIT_CTL_LOAD_EFER | EXIT_CTL_SAVE_DEBUG) |
                    (timer && rng_one_in(c->rng, 2) ? EXIT_CTL_SAVE_PREEMPTION_TIMER : 0));
        put(c, F_entry_ctls,
            c->caps->entry.must1 | ENTRY_CTL_GUEST_64 |
                    some_of(c, ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER | ENTRY_CTL_LOAD_DEBUG));
}

static void change_values(struct change *c)
{
        put(c, F_tsc_offset, rng_any(c->rng));
        put(c, F_exception_bitmap, rng_any(c->rng));
        put(c, F_cr3_target_count, rng_below(c->rng, 3));
        put(c, F_cr3_target0, l2_cr3((unsigned)rng_below(c->rng, L2_TREES)));
        put(c, F_cr3_target1, rng_any(c->rng));
        if (c->caps->pin.may1 & PIN_PREEMPTION_TIMER)
                put(c, F_guest_preemption_timer,
                    rng_one_in(c->rng, 2) ? 1 + rng_below(c->rng, 200) : rng_any(c->rng) | BIT(31));
}

static void change_event(struct change *c)
{
        static const uint32_t events[] = { 0,
                                           INTR_VALID | VEC_UD | INTR_TYPE_HW_EXCEPTION << 8,
                                           INTR_VALID | INTR_ERROR_VALID | VEC_GP | INTR_TYPE_HW_EXCEPTION << 8,
                                           INTR_VALID | 0x80 | INTR_TYPE_SW_INTR << 8,
                                           INTR_VALID | VEC_NMI | INTR_TYPE_NMI << 8,
                                           INTR_VALID | 0x31 };
        const uint32_t info = events[rng_below(c->rng, ARRAY_LEN(events))];
        put(c, F_entry_intr_info, info);
        put(c, F_entry_error_code, rng_below(c->rng, 0x10000));
        put(c, F_entry_insn_len, 1 + rng_below(c->rng, 15));
        put(c, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
}

static void change_msr_lists(struct change *c)
{
        put(c, F_entry_msr_load_count, rng_one_in(c->rng, 8) ? 3 : rng_below(c->rng, 3)); /* the third is bad */
        put(c, F_exit_msr_load_count, rng_below(c->rng, 3));
}

unsigned vmcs_change(struct rng *rng, const struct vmx_caps *caps12, const struct vmcs12 *v,
                     struct field_write out[CHANGE_MAX])
{
        static void (*const kinds[])(struct change *) = { change_registers, change_registers,     change_rare_state,
                                                          change_host,      change_address_space, change_address_space,
                                                          change_controls,  change_values,        change_event,
                                                          change_msr_lists, change_proc2,         change_link };
        struct change c = { .rng = rng, .caps = caps12, .v = v, .out = out };
        kinds[rng_below(rng, ARRAY_LEN(kinds))](&c);
        return c.n;
}

/* --- illegal ones --- */

void vmcs_spoil(struct rng *rng, const struct vmx_caps *caps12, const struct vmcs12 *v, struct field_write *out)
{
        struct vmcs_field_info f;
        do {
                f = vmcs_field_at((enum vmcs_field_id)rng_below(rng, VMCS_FIELD_COUNT));
        } while (!vmcs_field_exists(&f, caps12) || f.type == TYPE_READ_ONLY);
        const uint64_t old = vmcs12_read(v, &f), bit = BIT(rng_below(rng, 8 * vmcs_width_bytes(f.width)));
        const uint64_t values[] = { old ^ bit, old + 1, old - 1, rng_any(rng), 0, ~0ull, bit };
        *out = (struct field_write){ f.enc, values[rng_below(rng, ARRAY_LEN(values))] };
}
