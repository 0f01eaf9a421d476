/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/x86.h"
#include "nested/merge.h"

/* A processor on which everything can be 1. */
static const struct vmx_caps hw = {
        .pin = { 0x16, UINT32_MAX },
        .proc = { 0x04006172, UINT32_MAX & ~PROC_TERTIARY },
        .proc2 = { 0, UINT32_MAX },
        .exit = { 0x00036dfb, UINT32_MAX },
        .entry = { 0x000011fb, UINT32_MAX },
        .cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
        .cr0_fixed1 = UINT32_MAX,
        .cr4_fixed0 = CR4_VMXE,
        .cr4_fixed1 = 0x3727ff,
        .maxphyaddr = 40,
};

#define OWN_PROC (PROC_CR8_LOAD | PROC_CR8_STORE | PROC_UNCOND_IO | PROC_MSR_BITMAPS | PROC_SECONDARY)
#define OWN_EXIT                                                                                             \
        (EXIT_CTL_SAVE_DEBUG | EXIT_CTL_HOST_64 | EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT |                    \
         EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER)
#define OWN_ENTRY (ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER)

static struct vmcs02_controls merged(const struct vmcs12 *v, const struct vmcs01_policy *p)
{
        struct vmcs02_controls out;
        merge_controls(v, p, &hw, &out);
        return out;
}

static const struct vmcs01_policy no_policy;

START_TEST(own_controls_are_always_on)
{
        const struct vmcs12 v = { .pin_ctls = 0x16 };
        const struct vmcs02_controls c = merged(&v, &no_policy);
        ck_assert_uint_eq(c.pin, 0x16 | PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI);
        ck_assert_uint_eq(c.proc, hw.proc.must1 | OWN_PROC);
        ck_assert_uint_eq(c.proc2, PROC2_EPT | PROC2_VPID);
        ck_assert_uint_eq(c.exit, hw.exit.must1 | OWN_EXIT);
        ck_assert_uint_eq(c.entry, hw.entry.must1 | OWN_ENTRY);
        ck_assert_uint_eq(c.exception_bitmap, 0);
}
END_TEST

/* Each control that a guest hypervisor can set, alone: it reaches vmcs02, or it is one that must not. */
START_TEST(controls_pass_one_by_one)
{
        const uint32_t proc_kept = PROC_INTR_WINDOW | PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC |
                                   PROC_RDTSC | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_NMI_WINDOW |
                                   PROC_MOV_DR | PROC_MONITOR | PROC_PAUSE | PROC_MTF;
        const uint32_t proc2_kept = PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VID | PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_WBINVD | PROC2_UNRESTRICTED |
                                    PROC2_PLE | PROC2_RDRAND | PROC2_INVPCID | PROC2_VMFUNC | PROC2_RDSEED | PROC2_XSAVES;
        for (unsigned bit = 0; bit < 32; bit++) {
                const uint32_t b = CTL(bit);
                const struct vmcs12 pin = { .pin_ctls = b }, proc = { .proc_ctls = b };
                const struct vmcs12 proc2 = { .proc_ctls = PROC_SECONDARY, .proc2_ctls = b },
                                    off = { .proc2_ctls = b };
                const struct vmcs12 exits = { .exit_ctls = b }, enters = { .entry_ctls = b };
                const uint32_t pin_own = hw.pin.must1 | PIN_EXT_INTR | PIN_NMI | (b & PIN_NMI ? 0 : PIN_VIRTUAL_NMI);
                const uint32_t proc_own = hw.proc.must1 | OWN_PROC, proc2_own = PROC2_EPT | PROC2_VPID;
                ck_assert_uint_eq(merged(&pin, &no_policy).pin,
                                  pin_own | (b & (PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER)));
                const uint32_t tpr_shadow = proc_own & ~(PROC_CR8_LOAD | PROC_CR8_STORE); /* apicv_proc() */
                ck_assert_uint_eq(merged(&proc, &no_policy).proc,
                                  b == PROC_TPR_SHADOW ? tpr_shadow | b : proc_own | (b & proc_kept) | merge_hlt(&proc));
                ck_assert_uint_eq(merged(&proc2, &no_policy).proc2, proc2_own | (b & proc2_kept));
                ck_assert_uint_eq(merged(&off, &no_policy).proc2, proc2_own);
                ck_assert_uint_eq(merged(&exits, &no_policy).exit, hw.exit.must1 | OWN_EXIT);
                ck_assert_uint_eq(merged(&enters, &no_policy).entry,
                                  hw.entry.must1 | OWN_ENTRY | (b & ENTRY_CTL_GUEST_64));
        }
}
END_TEST

START_TEST(what_wakes_from_hlt)
{
        ck_assert_uint_eq(merge_hlt(&(struct vmcs12){ .proc_ctls = PROC_INTR_WINDOW }), PROC_HLT);
        ck_assert_uint_eq(merge_hlt(&(struct vmcs12){ .proc_ctls = PROC_NMI_WINDOW }), PROC_HLT);
        ck_assert_uint_eq(merge_hlt(&(struct vmcs12){ .proc_ctls = PROC_SECONDARY, .proc2_ctls = PROC2_VID }), PROC_HLT);
        ck_assert_uint_eq(merge_hlt(&(struct vmcs12){ .proc_ctls = PROC_MTF | PROC_SECONDARY, .proc2_ctls = PROC2_EPT }), 0);
}
END_TEST

START_TEST(policy_adds)
{
        const struct vmcs12 v = { .exception_bitmap = CTL(VEC_BP) };
        const struct vmcs01_policy p = { .pin = PIN_VIRTUAL_NMI,
                                         .proc = PROC_HLT,
                                         .proc2 = PROC2_RDTSCP,
                                         .exit = EXIT_CTL_CLEAR_BNDCFGS,
                                         .entry = ENTRY_CTL_LOAD_BNDCFGS,
                                         .exception_bitmap = CTL(VEC_MC),
                                         .preemption_timer = true };
        const struct vmcs02_controls c = merged(&v, &p);
        ck_assert(c.pin & PIN_VIRTUAL_NMI && c.pin & PIN_PREEMPTION_TIMER);
        ck_assert(c.exit & EXIT_CTL_SAVE_PREEMPTION_TIMER && c.exit & EXIT_CTL_CLEAR_BNDCFGS);
        ck_assert(c.proc & PROC_HLT && c.proc2 & PROC2_RDTSCP && c.entry & ENTRY_CTL_LOAD_BNDCFGS);
        ck_assert_uint_eq(c.exception_bitmap, CTL(VEC_BP) | CTL(VEC_MC));
}
END_TEST

START_TEST(silicon_limits)
{
        struct vmx_caps small = hw;
        struct vmcs02_controls c;
        const struct vmcs12 v = { .proc_ctls = 0 };
        const struct vmcs01_policy p = { .proc = PROC_TERTIARY, .preemption_timer = true };
        small.proc2.may1 &= ~PROC2_VPID;
        small.pin.may1 &= ~PIN_PREEMPTION_TIMER;
        merge_controls(&v, &p, &small, &c);
        ck_assert(!(c.proc2 & PROC2_VPID) && !(c.pin & PIN_PREEMPTION_TIMER) && !(c.proc & PROC_TERTIARY));
}
END_TEST

START_TEST(timer_and_shadow)
{
        const struct vmcs12 timer = { .pin_ctls = PIN_PREEMPTION_TIMER };
        ck_assert(merged(&timer, &no_policy).exit & EXIT_CTL_SAVE_PREEMPTION_TIMER);
        const struct vmcs12 shadow = { .proc_ctls = PROC_SECONDARY, .proc2_ctls = PROC2_SHADOW },
                            none = { .zero = 0 };
        const struct vmcs01_policy offer = { .shadow = true };
        ck_assert(merged(&shadow, &offer).proc2 & PROC2_SHADOW);
        ck_assert(!(merged(&shadow, &no_policy).proc2 & PROC2_SHADOW));
        ck_assert(!(merged(&none, &offer).proc2 & PROC2_SHADOW));
}
END_TEST

START_TEST(tsc_offsets_add_up)
{
        const struct vmcs12 on = { .proc_ctls = PROC_TSC_OFFSET, .tsc_offset = 1000 },
                            off = { .tsc_offset = 1000 };
        const struct vmcs01_policy p = { .tsc_offset = ~0ull };
        ck_assert_uint_eq(merged(&on, &no_policy).tsc.offset, 1000);
        ck_assert(merged(&on, &no_policy).proc & PROC_TSC_OFFSET);
        ck_assert_uint_eq(merged(&off, &no_policy).tsc.offset, 0);
        ck_assert(!(merged(&off, &no_policy).proc & PROC_TSC_OFFSET));
        ck_assert_uint_eq(merged(&on, &p).tsc.offset, 999);
        ck_assert_uint_eq(merged(&off, &p).tsc.offset, ~0ull);
        ck_assert(merged(&off, &p).proc & PROC_TSC_OFFSET);
}
END_TEST

START_TEST(tsc_map_vectors)
{
        static const struct {
                uint64_t offset01;
                struct tsc_map m12, m02;
        } rows[] = {
                { 0, { TSC_UNSCALED, 0 }, { TSC_UNSCALED, 0 } },
                { 7, { TSC_UNSCALED, 5 }, { TSC_UNSCALED, 12 } },
                { 7, { TSC_UNSCALED * 2, 5 }, { TSC_UNSCALED * 2, 19 } },
                { 7, { TSC_UNSCALED / 2, 0 }, { TSC_UNSCALED / 2, 3 } },
                { -7ull, { TSC_UNSCALED / 2, 0 }, { TSC_UNSCALED / 2, -4ull } }, /* rounds down */
                { -1ull, { 1, 10 }, { 1, 9 } },
                { 1, { 0, 10 }, { 0, 10 } },
                { 1ull << 63, { TSC_UNSCALED, 0 }, { TSC_UNSCALED, 1ull << 63 } },
                { 1ull << 63, { UINT64_MAX, 0 }, { UINT64_MAX, 1ull << 15 } }, /* the upper bits are lost */
                { UINT64_MAX >> 1, { UINT64_MAX, 1 }, { UINT64_MAX, 0xfffffffffffe8001ull } },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct tsc_map m = tsc_map_behind(rows[i].offset01, rows[i].m12);
                ck_assert_msg(m.multiplier == rows[i].m02.multiplier && m.offset == rows[i].m02.offset,
                              "row %zu: %#llx", i, (unsigned long long)m.offset);
        }
}
END_TEST

/* Through both maps one after the other, or through the one: the same reading, or one tick less. */
START_TEST(tsc_maps_compose)
{
        uint64_t x = 12345;
        for (unsigned n = 0; n < 100000; n++) {
                uint64_t r[4];
                for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
                        x = x * 6364136223846793005u + 1442695040888963407u;
                        r[i] = x >> (x >> 59);
                }
                const uint64_t tsc = r[0] >> 4, offset = (r[1] & 1 ? -(r[1] >> 5) : r[1] >> 5);
                if ((int64_t)(tsc + offset) < 0)
                        continue; /* the TSC that is ahead has wrapped */
                const struct tsc_map m12 = { r[2], r[3] };
                const uint64_t both = tsc_read(m12, tsc + offset), one = tsc_read(tsc_map_behind(offset, m12), tsc);
                REQUIRE(both - one <= 1, "%#llx or %#llx", (unsigned long long)both, (unsigned long long)one);
        }
}
END_TEST

START_TEST(tsc_scaling_counts_with_offsetting_only)
{
        const struct vmcs12 on = { .proc_ctls = PROC_SECONDARY | PROC_TSC_OFFSET, .proc2_ctls = PROC2_TSC_SCALING,
                                   .tsc_multiplier = TSC_UNSCALED * 3 };
        struct vmcs12 no_offset = on, no_scaling = on;
        const struct vmcs01_policy p = { .tsc_offset = 10 };
        no_offset.proc_ctls = PROC_SECONDARY;
        no_scaling.proc2_ctls = 0;
        struct vmcs02_controls c = merged(&on, &no_policy);
        ck_assert((c.proc & PROC_TSC_OFFSET) && (c.proc2 & PROC2_TSC_SCALING));
        ck_assert(c.tsc.multiplier == TSC_UNSCALED * 3 && c.tsc.offset == 0);
        ck_assert_uint_eq(merged(&on, &p).tsc.offset, 30);
        c = merged(&no_offset, &p);
        ck_assert(!(c.proc2 & PROC2_TSC_SCALING) && c.tsc.multiplier == TSC_UNSCALED && c.tsc.offset == 10);
        c = merged(&no_scaling, &p);
        ck_assert(!(c.proc2 & PROC2_TSC_SCALING) && c.tsc.multiplier == TSC_UNSCALED && c.tsc.offset == 10);
        struct vmx_caps old = hw;
        old.proc2.may1 &= ~PROC2_TSC_SCALING;
        merge_controls(&no_offset, &p, &old, &c);
        ck_assert(!(c.proc2 & PROC2_TSC_SCALING));
}
END_TEST

/* What the guest's guest reads: the shadow in bits that the guest hypervisor owns, its own value elsewhere.
 */
START_TEST(control_register_masks)
{
        const struct vmcs12 v = { .cr0_mask = CR0_PG | CR0_NE,
                                  .cr0_shadow = CR0_PG | CR0_TS,
                                  .guest_cr0 = CR0_NE | CR0_MP,
                                  .cr4_mask = CR4_VMXE,
                                  .cr4_shadow = 0,
                                  .guest_cr4 = CR4_VMXE | CR4_PAE };
        const struct vmcs01_policy p = { .cr0_mask = CR0_CD | CR0_NE, .cr4_mask = CR4_CET };
        const struct vmcs02_controls c = merged(&v, &p);
        ck_assert_uint_eq(c.cr0_mask, CR0_PG | CR0_NE | CR0_CD);
        ck_assert_uint_eq(c.cr0_shadow & c.cr0_mask, CR0_PG);
        ck_assert_uint_eq(c.cr4_mask, CR4_VMXE | CR4_CET);
        ck_assert_uint_eq(c.cr4_shadow & c.cr4_mask, 0);
        struct vmcs12 cd = v;
        cd.guest_cr0 |= CR0_CD;
        ck_assert_uint_eq(merged(&cd, &p).cr0_shadow & CR0_CD, CR0_CD);
}
END_TEST

START_TEST(other_fields_pass)
{
        const struct vmcs12 v = { .cr3_target_count = 3,
                                  .cr3_target0 = 1,
                                  .cr3_target1 = 2,
                                  .cr3_target2 = 3,
                                  .cr3_target3 = 4,
                                  .ple_gap = 5,
                                  .ple_window = 6,
                                  .xss_exit_bitmap = 9,
                                  .pf_error_mask = 7,
                                  .pf_error_match = 8 };
        struct vmcs02_controls c = merged(&v, &no_policy);
        ck_assert(c.cr3_target_count == 3 && c.cr3_target[0] == 1 && c.cr3_target[3] == 4);
        ck_assert(c.cr3_target[1] == 2 && c.cr3_target[2] == 3);
        ck_assert(c.ple_gap == 5 && c.ple_window == 6 && c.xss_exit_bitmap == 9 && c.pf_error_mask == 7 && c.pf_error_match == 8);
        /* we want all page faults: mask and match of vmcs12 must not hide any */
        const struct vmcs01_policy p = { .exception_bitmap = CTL(VEC_PF) };
        c = merged(&v, &p);
        ck_assert(c.exception_bitmap == CTL(VEC_PF) && c.pf_error_mask == 0 && c.pf_error_match == 0);
}
END_TEST

START_TEST(what_is_not_loaded_stays)
{
        const struct l1_msrs l1 = {
                .efer = EFER_SCE | EFER_LME | EFER_LMA, .pat = 1, .debugctl = 2, .dr7 = 3
        };
        struct vmcs12 v = { .guest_efer = EFER_NXE,
                            .guest_pat = 11,
                            .guest_debugctl = 12,
                            .guest_dr7 = 13,
                            .guest_cr0 = CR0_PG };
        ck_assert_uint_eq(merge_guest_pat(&v, &l1), 1);
        ck_assert_uint_eq(merge_guest_debugctl(&v, &l1), 2);
        ck_assert_uint_eq(merge_guest_dr7(&v, &l1), 3);
        ck_assert_uint_eq(merge_guest_efer(&v, &l1), EFER_SCE);
        v.guest_cr0 = 0;
        ck_assert_uint_eq(merge_guest_efer(&v, &l1), EFER_SCE | EFER_LME);
        v.entry_ctls = ENTRY_CTL_GUEST_64;
        v.guest_cr0 = CR0_PG;
        ck_assert_uint_eq(merge_guest_efer(&v, &(struct l1_msrs){ .efer = 0 }), EFER_LME | EFER_LMA);
        v.entry_ctls = ENTRY_CTL_LOAD_EFER | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_DEBUG;
        ck_assert_uint_eq(merge_guest_pat(&v, &l1), 11);
        ck_assert_uint_eq(merge_guest_debugctl(&v, &l1), 12);
        ck_assert_uint_eq(merge_guest_dr7(&v, &l1), 13);
        ck_assert_uint_eq(merge_guest_efer(&v, &l1), EFER_NXE);
}
END_TEST

static const struct vmcs12 host64 = {
        .exit_ctls = EXIT_CTL_HOST_64,
        .host_cr0 = CR0_PE | CR0_NE | CR0_PG | CR0_WP,
        .host_cr3 = 0x1234000 | BIT(63) | BIT(41),
        .host_cr4 = CR4_VMXE | CR4_PAE,
        .host_rip = 0xffffffff80000000,
        .host_rsp = 0xffffffff80001000,
        .host_cs_sel = 0x08,
        .host_ss_sel = 0,
        .host_ds_sel = 0x10,
        .host_fs_sel = 0x20,
        .host_tr_sel = 0x30,
        .host_fs_base = 0x100,
        .host_gs_base = 0x200,
        .host_tr_base = 0x300,
        .host_gdtr_base = 0x400,
        .host_idtr_base = 0x500,
        .host_sysenter_cs = 0x60,
        .host_sysenter_esp = 0x70,
        .host_sysenter_eip = 0x80,
        .host_pat = 0x90,
        .host_efer = EFER_LME | EFER_LMA | EFER_NXE,
        .guest_rip = 0xbad,
        .guest_dr7 = 0xbad,
};

START_TEST(host_state_64)
{
        const struct l2_at_exit now = {
                .cr0 = CR0_CD | CR0_ET | CR0_TS, .cr4 = CR4_PSE, .efer = EFER_SCE, .pat = 6
        };
        struct l1_state_after_exit s;
        merge_host_to_l1(&host64, &hw, &now, &s);
        /* CD and ET stay as they were, TS does not */
        ck_assert_uint_eq(s.cr0, CR0_PE | CR0_NE | CR0_PG | CR0_WP | CR0_CD | CR0_ET);
        ck_assert_uint_eq(s.cr3, 0x1234000);
        ck_assert_uint_eq(s.cr4, CR4_VMXE | CR4_PAE);
        ck_assert(s.rip == host64.host_rip && s.rsp == host64.host_rsp && s.rflags == RFLAGS_FIXED1);
        ck_assert(s.dr7 == 0x400 && s.debugctl == 0 && s.pat == 6);
        ck_assert_uint_eq(s.efer, EFER_SCE | EFER_LME | EFER_LMA);
        ck_assert(s.sysenter_cs == 0x60 && s.sysenter_esp == 0x70 && s.sysenter_eip == 0x80);
        ck_assert(s.interruptibility == 0 && s.activity == ACTIVITY_ACTIVE && s.pending_dbg == 0 &&
                  !s.load_pdptes);
        ck_assert(s.gdtr_base == 0x400 && s.idtr_base == 0x500 && s.gdtr_limit == 0xffff &&
                  s.idtr_limit == 0xffff);
}
END_TEST

START_TEST(host_segments)
{
        const struct l2_at_exit now = { .cr0 = 0 };
        struct l1_state_after_exit s;
        merge_host_to_l1(&host64, &hw, &now, &s);
        const struct seg_state *cs = &s.seg[SEG_CS];
        ck_assert(cs->sel == 8 && cs->base == 0 && cs->limit == UINT32_MAX && cs->ar == 0xa09b);
        ck_assert(s.seg[SEG_DS].ar == 0xc093 && s.seg[SEG_DS].sel == 0x10 &&
                  s.seg[SEG_DS].limit == UINT32_MAX);
        ck_assert(s.seg[SEG_SS].ar == AR_UNUSABLE && s.seg[SEG_ES].ar == AR_UNUSABLE);
        ck_assert(s.seg[SEG_FS].ar == 0xc093 && s.seg[SEG_FS].base == 0x100);
        ck_assert(s.seg[SEG_GS].ar == AR_UNUSABLE && s.seg[SEG_GS].base == 0x200);
        ck_assert(s.tr.sel == 0x30 && s.tr.base == 0x300 && s.tr.limit == 0x67 && s.tr.ar == 0x8b);
        ck_assert(s.ldtr.sel == 0 && s.ldtr.ar == AR_UNUSABLE);
        struct vmcs12 v = host64;
        v.exit_ctls = 0;
        merge_host_to_l1(&v, &hw, &now, &s);
        ck_assert_uint_eq(s.seg[SEG_CS].ar, 0xc09b);
}
END_TEST

START_TEST(host_state_32_and_msrs)
{
        const struct l2_at_exit now = { .efer = EFER_LME | EFER_LMA | EFER_SCE, .pat = 6 };
        struct vmcs12 v = host64;
        struct l1_state_after_exit s;
        v.exit_ctls = EXIT_CTL_LOAD_PAT;
        v.host_cr4 |= CR4_PCIDE;
        merge_host_to_l1(&v, &hw, &now, &s);
        ck_assert_uint_eq(s.efer, EFER_SCE);
        ck_assert_uint_eq(s.cr4, CR4_VMXE | CR4_PAE);
        ck_assert(s.load_pdptes);
        ck_assert_uint_eq(s.pat, 0x90);
        v.host_cr4 = CR4_VMXE;
        merge_host_to_l1(&v, &hw, &now, &s);
        ck_assert(!s.load_pdptes);
        v.exit_ctls = EXIT_CTL_HOST_64 | EXIT_CTL_LOAD_EFER;
        merge_host_to_l1(&v, &hw, &now, &s);
        ck_assert_uint_eq(s.efer, EFER_LME | EFER_LMA | EFER_NXE);
        ck_assert_uint_eq(s.cr4, CR4_VMXE | CR4_PAE); /* a 64-bit host has PAE */
}
END_TEST

START_TEST(bitmaps)
{
        static uint64_t b01[BITMAP_WORDS], b12[BITMAP_WORDS], out[BITMAP_WORDS];
        struct bitmap_merge m;
        memset(b01, 0xff, sizeof(b01));
        memset(out, 0, sizeof(out));
        b01[0] = ~5ull;
        b01[511] = 0;
        b01[7] = ~BIT(63);
        bitmap_merge_prepare(&m, b01, out);
        ck_assert(m.count == 3 && m.index[0] == 0 && m.index[1] == 7 && m.index[2] == 511);
        for (unsigned i = 0; i < BITMAP_WORDS; i++)
                ck_assert_uint_eq(out[i], ~0ull);
        b12[0] = 1;
        b12[511] = 0xff00;
        bitmap_merge(&m, b01, b12, out);
        for (unsigned i = 0; i < BITMAP_WORDS; i++)
                ck_assert_uint_eq(out[i], b01[i] | b12[i]);
        ck_assert_uint_eq(out[0], ~4ull);
        bitmap_merge(&m, b01, NULL, out);
        for (unsigned i = 0; i < BITMAP_WORDS; i++)
                ck_assert_uint_eq(out[i], ~0ull);
        /* nothing open, and everything */
        memset(b01, 0xff, sizeof(b01));
        bitmap_merge_prepare(&m, b01, out);
        ck_assert_uint_eq(m.count, 0);
        memset(b01, 0, sizeof(b01));
        bitmap_merge_prepare(&m, b01, out);
        ck_assert_uint_eq(m.count, BITMAP_WORDS);
        bitmap_merge(&m, b01, b12, out);
        ck_assert_mem_eq(out, b12, sizeof(out));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("merge");
        TCase *t = tcase_create("merge");
        tcase_add_test(t, own_controls_are_always_on);
        tcase_add_test(t, controls_pass_one_by_one);
        tcase_add_test(t, what_wakes_from_hlt);
        tcase_add_test(t, policy_adds);
        tcase_add_test(t, silicon_limits);
        tcase_add_test(t, timer_and_shadow);
        tcase_add_test(t, tsc_offsets_add_up);
        tcase_add_test(t, tsc_map_vectors);
        tcase_add_test(t, tsc_maps_compose);
        tcase_add_test(t, tsc_scaling_counts_with_offsetting_only);
        tcase_add_test(t, control_register_masks);
        tcase_add_test(t, other_fields_pass);
        tcase_add_test(t, what_is_not_loaded_stays);
        tcase_add_test(t, host_state_64);
        tcase_add_test(t, host_segments);
        tcase_add_test(t, host_state_32_and_msrs);
        tcase_add_test(t, bitmaps);
        suite_add_tcase(s, t);
        return suite_run(s);
}
