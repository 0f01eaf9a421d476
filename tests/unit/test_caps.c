/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <stdlib.h>
#include "base/x86.h"
#include "vmx/caps.h"
#include "vmx/controls.h"

/* VMX capability MSRs 0x480 .. 0x491 of processors, as RDMSR reads them. */
struct msrs {
        uint64_t value[MSR_VMX_LAST - MSR_VMX_BASIC + 1];
};

static const struct feature_mask nothing_masked;

#define CTLS(lo, hi) ((uint64_t)(hi) << 32 | (lo))

static struct msrs tigerlake(void)
{
        return (struct msrs){ .value = {
                                      [0x0] = 0x01d8100000000004,
                                      [0x1] = CTLS(0x16, 0x7f),
                                      [0x2] = CTLS(0x0401e172, 0xfff9fffe),
                                      [0x3] = CTLS(0x00036dff, 0x107fffff),
                                      [0x4] = CTLS(0x000011ff, 0x0010ffff),
                                      [0x5] = 0x600401e0,
                                      [0x6] = 0x80000021,
                                      [0x7] = 0xffffffff,
                                      [0x8] = 0x2000,
                                      [0x9] = 0x00f72fff,
                                      [0xa] = 0x34,
                                      [0xb] = CTLS(0, 0x02977fff),
                                      [0xc] = 0xf0106b34141,
                                      [0xd] = CTLS(0x16, 0x7f),
                                      [0xe] = CTLS(0x04006172, 0xfff9fffe),
                                      [0xf] = CTLS(0x00036dfb, 0x107fffff),
                                      [0x10] = CTLS(0x000011fb, 0x0010ffff),
                                      [0x11] = 1,
                              } };
}

static uint64_t read_msr(void *ctx, uint32_t msr)
{
        struct msrs *m = ctx;
        ck_assert(msr >= MSR_VMX_BASIC && msr <= MSR_VMX_LAST);
        return m->value[msr - MSR_VMX_BASIC];
}

static struct vmx_caps caps_of(struct msrs m)
{
        struct vmx_caps c;
        vmx_caps_from_msrs(&c, read_msr, &m);
        return c;
}

START_TEST(reads_true_controls)
{
        struct msrs m = tigerlake();
        struct vmx_caps c = caps_of(m);
        ck_assert_uint_eq(c.proc.must1, 0x04006172);
        ck_assert_uint_eq(c.exit.must1, 0x00036dfb);
        ck_assert_uint_eq(c.proc2.may1, 0x02977fff);
        ck_assert_uint_eq(c.ept_vpid, 0xf0106b34141);
        ck_assert_uint_eq(c.vmfunc, 1);
        m.value[0] &= ~BASIC_TRUE_CTLS;
        c = caps_of(m);
        ck_assert_uint_eq(c.proc.must1, 0x0401e172);
        ck_assert_uint_eq(c.exit.must1, 0x00036dff);
        ck_assert_uint_eq(c.entry.must1, 0x000011ff);
        ck_assert_uint_eq(c.pin.must1, 0x16);
}
END_TEST

/* MSRs whose existence depends on controls are #GP where there are none: they must not be read. */
static uint64_t read_old(void *ctx, uint32_t msr)
{
        ck_assert_uint_lt(msr, MSR_VMX_PROC2);
        return read_msr(ctx, msr);
}

START_TEST(reads_only_what_exists)
{
        struct msrs m = tigerlake();
        struct vmx_caps c;
        m.value[0] &= ~BASIC_TRUE_CTLS;
        m.value[2] &= ~CTLS(0, PROC_SECONDARY);
        vmx_caps_from_msrs(&c, read_old, &m);
        ck_assert(c.proc2.may1 == 0 && c.ept_vpid == 0 && c.vmfunc == 0);
}
END_TEST

START_TEST(offers_what_is_virtualized)
{
        const struct vmx_caps hw = caps_of(tigerlake());
        const struct vmx_caps c = caps12_derive(&hw, &nothing_masked);
        ck_assert_uint_eq(c.pin.may1 & ~PIN_DEFAULT1,
                          PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER);
        ck_assert(!(c.proc.may1 & PROC_TERTIARY));
        ck_assert(c.proc.may1 & PROC_MTF); /* tigerlake says so; nested_init() knows better */
        ck_assert(c.proc.may1 & PROC_TPR_SHADOW);
        ck_assert(c.proc.may1 & PROC_MSR_BITMAPS && c.proc.may1 & PROC_IO_BITMAPS &&
                  c.proc.may1 & PROC_TSC_OFFSET);
        ck_assert_uint_eq(c.proc2.may1, PROC2_EPT | PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_VPID |
                                                PROC2_WBINVD | PROC2_UNRESTRICTED | PROC2_PLE | PROC2_RDRAND |
                                                PROC2_INVPCID | PROC2_VMFUNC | PROC2_SHADOW | PROC2_RDSEED |
                                                PROC2_PML | PROC2_VE | PROC2_APIC_ACCESS | PROC2_X2APIC |
                                                PROC2_APIC_REGS | PROC2_VID | PROC2_TSC_SCALING | PROC2_XSAVES);
        ck_assert(!(c.exit.may1 & (EXIT_CTL_LOAD_PERF_GLOBAL | EXIT_CTL_LOAD_CET | EXIT_CTL_CLEAR_BNDCFGS)));
        ck_assert(!(c.entry.may1 &
                    (ENTRY_CTL_LOAD_PERF_GLOBAL | ENTRY_CTL_TO_SMM | ENTRY_CTL_NO_DUAL_MONITOR)));
        ck_assert_uint_eq(c.misc,
                          MISC_VMWRITE_ANY | MISC_INJECT_ILEN0 | MISC_STORES_LMA | MISC_HLT | MISC_SHUTDOWN | MISC_WAIT_SIPI | 4ull << 16);
        ck_assert_uint_eq(c.vmfunc, VMFUNC_EPTP_SWITCHING);
        ck_assert_uint_eq(GET(c.vmcs_enum, FIELD_ENC_INDEX), 0x32 / 2); /* tsc_multiplier */
}
END_TEST

/* SDM 3C "Checks on VMX Controls": what of APIC virtualization is there without what. */
START_TEST(apic_virtualization_by_silicon)
{
        const uint32_t needs_shadow = PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VID;
        struct vmx_caps hw = caps_of(tigerlake());
        const struct vmcs_field_info desc = vmcs_field_at(FI_posted_intr_desc);
        ck_assert(!vmcs_field_exists(&desc, &hw));
        hw.pin.may1 |= PIN_POSTED_INTR;
        struct vmx_caps c = caps12_derive(&hw, &nothing_masked);
        ck_assert((c.pin.may1 & PIN_POSTED_INTR) && vmcs_field_exists(&desc, &c));
        struct vmx_caps less = hw;
        less.exit.may1 &= ~EXIT_CTL_ACK_INTR;
        c = caps12_derive(&less, &nothing_masked);
        ck_assert(!(c.pin.may1 & PIN_POSTED_INTR) && (c.proc2.may1 & PROC2_VID));
        less = hw;
        less.proc2.may1 &= ~PROC2_VID;
        c = caps12_derive(&less, &nothing_masked);
        ck_assert(!(c.pin.may1 & PIN_POSTED_INTR) && (c.proc2.may1 & PROC2_APIC_REGS));
        less = hw;
        less.proc.may1 &= ~PROC_TPR_SHADOW;
        c = caps12_derive(&less, &nothing_masked);
        ck_assert(!(c.pin.may1 & PIN_POSTED_INTR) && !(c.proc2.may1 & needs_shadow));
        ck_assert(c.proc2.may1 & PROC2_APIC_ACCESS);
}
END_TEST

/* A processor with functions that cascade does not know, and without accessed and dirty flags. */
START_TEST(only_known_functions)
{
        struct vmx_caps hw = caps_of(tigerlake());
        hw.vmfunc = ~0ull;
        hw.ept_vpid &= ~EPTCAP_AD;
        const struct vmx_caps c = caps12_derive(&hw, &nothing_masked);
        ck_assert_uint_eq(c.vmfunc, VMFUNC_EPTP_SWITCHING);
        ck_assert(!(c.proc2.may1 & PROC2_PML));
}
END_TEST

/* A guest that reads our MSRs by the rules of its own cascade gets back the capabilities that we derived. */
static uint64_t read_caps12(void *ctx, uint32_t msr)
{
        bool known;
        const uint64_t value = caps12_msr(ctx, msr, &known);
        ck_assert_msg(known, "MSR %#x", msr);
        return value;
}

START_TEST(msrs_round_trip)
{
        const struct vmx_caps hw = caps_of(tigerlake());
        struct vmx_caps c = caps12_derive(&hw, &nothing_masked), seen;
        vmx_caps_from_msrs(&seen, read_caps12, &c);
        ck_assert_uint_eq(seen.basic, c.basic);
        ck_assert_uint_eq(seen.pin.may1, c.pin.may1);
        ck_assert_uint_eq(seen.proc.must1, c.proc.must1);
        ck_assert_uint_eq(seen.proc.may1, c.proc.may1);
        ck_assert_uint_eq(seen.proc2.may1, c.proc2.may1);
        ck_assert_uint_eq(seen.exit.may1, c.exit.may1);
        ck_assert_uint_eq(seen.entry.must1, c.entry.must1);
        ck_assert_uint_eq(seen.misc, c.misc);
        ck_assert_uint_eq(seen.ept_vpid, c.ept_vpid);
        ck_assert_uint_eq(seen.vmcs_enum, c.vmcs_enum);
        ck_assert_uint_eq(seen.cr0_fixed0, hw.cr0_fixed0);
        ck_assert_uint_eq(seen.cr0_fixed1, hw.cr0_fixed1);
        ck_assert_uint_eq(seen.cr4_fixed0, hw.cr4_fixed0);
        ck_assert_uint_eq(seen.cr4_fixed1, hw.cr4_fixed1 & ~CR4_CET);
}
END_TEST

START_TEST(msr_values)
{
        const struct vmx_caps hw = caps_of(tigerlake());
        struct vmx_caps c = caps12_derive(&hw, &nothing_masked);
        bool known;
        const uint64_t basic = caps12_msr(&c, MSR_VMX_BASIC, &known);
        ck_assert_uint_eq(GET(basic, BASIC_REVISION), CASCADE_VMCS12_REVISION);
        ck_assert_uint_eq(GET(basic, BASIC_REGION_SIZE), 4096);
        ck_assert_uint_eq(GET(basic, BASIC_MEMTYPE), MEMTYPE_WB);
        ck_assert(!(basic & (BIT(31) | BASIC_ADDR_32 | BASIC_DUAL_MONITOR)));
        ck_assert(basic & BASIC_TRUE_CTLS && basic & BASIC_INS_OUTS);
        /* the old MSRs have the default1 class set in both halves */
        ck_assert_uint_eq((uint32_t)caps12_msr(&c, MSR_VMX_PROC, &known), PROC_DEFAULT1);
        ck_assert_uint_eq((uint32_t)caps12_msr(&c, MSR_VMX_EXIT, &known), EXIT_CTL_DEFAULT1);
        ck_assert_uint_eq((uint32_t)caps12_msr(&c, MSR_VMX_ENTRY, &known), ENTRY_CTL_DEFAULT1);
        ck_assert_uint_eq((uint32_t)caps12_msr(&c, MSR_VMX_PIN, &known), PIN_DEFAULT1);
        ck_assert_uint_eq((uint32_t)caps12_msr(&c, MSR_VMX_TRUE_PROC, &known), 0x04006172);
        ck_assert(caps12_msr(&c, MSR_VMX_VMFUNC, &known) == VMFUNC_EPTP_SWITCHING && known);
        caps12_msr(&c, MSR_VMX_BASIC - 1, &known);
        ck_assert(!known);
        caps12_msr(&c, MSR_VMX_LAST + 1, &known);
        ck_assert(!known);
        c.proc2.may1 = 0;
        c.proc.may1 &= ~PROC_SECONDARY;
        caps12_msr(&c, MSR_VMX_PROC2, &known);
        ck_assert(!known);
        caps12_msr(&c, MSR_VMX_EPT_VPID, &known);
        ck_assert(!known);
        caps12_msr(&c, MSR_VMX_VMFUNC, &known);
        ck_assert(!known);
}
END_TEST

START_TEST(fields_exist_with_their_controls)
{
        const struct vmx_caps hw = caps_of(tigerlake());
        const struct vmx_caps c = caps12_derive(&hw, &nothing_masked);
        static const struct {
                enum vmcs_field_id id;
                bool hw, offered;
        } rows[] = {
                { FI_guest_rip, true, true },
                { FI_eptp, true, true },
                { FI_vpid, true, true },
                { FI_proc2_ctls, true, true },
                { FI_msr_bitmap, true, true },
                { FI_ple_gap, true, true },
                { FI_vmread_bitmap, true, true },
                { FI_guest_preemption_timer, true, true },
                { FI_guest_pat, true, true },
                { FI_host_efer, true, true },
                { FI_guest_pdpte0, true, true },
                { FI_virtual_apic_page, true, true },
                { FI_apic_access_page, true, true },
                { FI_eoi_exit_bitmap0, true, true },
                { FI_pml_index, true, true },
                { FI_vmfunc_ctls, true, true },
                { FI_eptp_list, true, true },
                { FI_eptp_index, true, true },
                { FI_tsc_multiplier, true, true },
                { FI_xss_exit_bitmap, true, true },
                { FI_guest_perf_global, true, false },
                { FI_sppt_pointer, true, false },
                { FI_posted_intr_desc, false, false },
                { FI_encls_exit_bitmap, false, false },
                { FI_guest_bndcfgs, false, false },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct vmcs_field_info f = vmcs_field_at(rows[i].id);
                ck_assert_msg(vmcs_field_exists(&f, &hw) == rows[i].hw, "%s on hw", vmcs_field_name(f.enc));
                ck_assert_msg(vmcs_field_exists(&f, &c) == rows[i].offered, "%s offered",
                              vmcs_field_name(f.enc));
        }
        /* what hardware shadowing lets through is something we offer */
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                ck_assert(f.shadow == SHADOW_NONE || vmcs_field_exists(&f, &c));
        }
}
END_TEST

START_TEST(control_words)
{
        const struct ctl_caps c = { .must1 = 1, .may1 = 7 };
        ck_assert(ctl_allowed(c, 1) && ctl_allowed(c, 7));
        ck_assert(!ctl_allowed(c, 0) && !ctl_allowed(c, 6) && !ctl_allowed(c, 9));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("caps");
        TCase *t = tcase_create("caps");
        tcase_add_test(t, reads_true_controls);
        tcase_add_test(t, reads_only_what_exists);
        tcase_add_test(t, offers_what_is_virtualized);
        tcase_add_test(t, apic_virtualization_by_silicon);
        tcase_add_test(t, only_known_functions);
        tcase_add_test(t, msrs_round_trip);
        tcase_add_test(t, msr_values);
        tcase_add_test(t, fields_exist_with_their_controls);
        tcase_add_test(t, control_words);
        suite_add_tcase(s, t);
        return suite_run(s);
}
