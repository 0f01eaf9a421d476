/* SPDX-License-Identifier: BSD-2-Clause */
/* What the random runs found, each as a short sequence that failed then. */
#include "regressions.h"
#include "base/x86.h"
#include "ops.h"
#include "suite.h"
#include "vmcs_make.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

#define TRIES 24 /* until a stale translation would have been used */

static const struct model_features all = { .vpid = true,
                                           .shadow = true,
                                           .vmwrite_any = true,
                                           .ept_ad = true,
                                           .ept_1g = true,
                                           .invept_single = true,
                                           .invvpid_single = true };
static const struct model_features no_vmwrite_any = { .vpid = true, .invept_single = true, .invvpid_single = true };

static uint64_t leaf(unsigned page, unsigned rights)
{
        return PAGE(page) | rights | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB);
}

static void start(const struct model_features *has)
{
        ops_start(has, 1);
        op_make_vmcs(&ref.vmcs[0]);
}

static void set_proc2(uint32_t on)
{
        op_vmwrite(F_proc2_ctls, ref.current->v.proc2_ctls | on, false);
}

static void access_l2(unsigned window)
{
        for (unsigned i = 0; i < TRIES && ref.in_l2; i++)
                op_l2_access(window, false);
}

/* An exit from a guest without VPID did not invalidate the guest hypervisor's own translations. */
START_TEST(exit_without_vpid_invalidates_level_1)
{
        start(&all);
        op_l1_access(0, false);
        op_l1_map(0, 9);
        op_enter(true);
        op_l2_insn(EXIT_CPUID);
        for (unsigned i = 0; i < TRIES; i++)
                op_l1_access(0, false);
        ops_stop();
}
END_TEST

/* What an emulated MOV to CR4 invalidates stayed cached. */
START_TEST(mov_to_cr4_invalidates_level_1)
{
        start(&all);
        for (unsigned i = 0; i < TRIES; i++) {
                op_l1_access(0, false);
                op_l1_map(0, i);
                op_vmxoff();
                op_l1_mov_cr4();
                op_vmxon(PAGE(P_VMXON));
        }
        ops_stop();
}
END_TEST

/* A VM entry that failed in its MSR list left fields of the guest-state area with what had been loaded in
 * their place. */
START_TEST(failed_msr_load_leaves_guest_state)
{
        start(&all);
        op_vmwrite(F_guest_pat, 0x0606060606060606, false);
        op_vmwrite(F_guest_dr7, 0x455, false);
        op_vmwrite(F_guest_preemption_timer, 1234, false);
        op_vmwrite(F_guest_sysenter_esp, 0x1111, false);
        op_vmwrite(F_entry_msr_load_count, MSR_LIST_GOOD + 1, false);
        op_enter(true);
        op_read_all();
        ops_stop();
}
END_TEST

/* A VM entry that failed on CR0 took bits of that CR0 for the guest hypervisor, which then could not be
 * entered. */
START_TEST(failed_check_leaves_cr0)
{
        start(&all);
        op_vmwrite(F_guest_cr0, ~0ull, false);
        op_enter(true);
        op_read_all();
        ops_stop();
}
END_TEST

/* VMREAD and VMWRITE of level 2 of fields that the hardware does not shadow reached the VMCS that ran it. */
START_TEST(level_2_accesses_the_linked_vmcs)
{
        start(&all);
        op_set_indicator(&ref.vmcs[0], true);
        op_make_vmcs(&ref.vmcs[1]);
        set_proc2(PROC2_SHADOW);
        op_vmwrite(F_vmcs_link, ref.vmcs[0].at, false);
        op_enter(true);
        op_l2_vmread(F_pin_ctls);
        op_l2_vmwrite(F_tsc_offset, 77);
        op_l2_vmread(F_tsc_offset);
        op_l2_vmwrite(F_guest_cs_limit, 0x123);
        op_l2_vmread(F_guest_cs_limit);
        op_l2_vmwrite(F_guest_rip, 0x456);
        op_l2_vmread(0x7ffe);
        op_l2_insn(EXIT_CPUID);
        op_read_all();
        op_vmwrite(F_vmcs_link, ~0ull, false);
        op_enter(false);
        op_l2_vmread(F_pin_ctls);
        op_l2_insn(EXIT_CPUID);
        op_vmptrld(ref.vmcs[0].at);
        op_read_all();
        ops_stop();
}
END_TEST

/* Without VMWRITE to read-only fields every exit replaced the VM-instruction error. */
START_TEST(exits_leave_the_instruction_error)
{
        start(&no_vmwrite_any);
        op_vmread(0x7ffe, false);
        op_enter(true);
        op_l2_insn(EXIT_CPUID);
        op_vmread(F_insn_error, false);
        ops_stop();
}
END_TEST

/* INVEPT of one EPTP left what was cached by one that differs only in bit 6. */
START_TEST(invept_ignores_the_ad_bit)
{
        start(&all);
        set_proc2(PROC2_EPT);
        op_vmwrite(F_eptp, eptp_of(0, true), false);
        op_ept_pte(0, 0, leaf(3, EPTE_RWX));
        op_enter(true);
        access_l2(0);
        op_l2_insn(EXIT_CPUID);
        op_ept_pte(0, 0, leaf(4, EPTE_RWX));
        op_invept(INVEPT_SINGLE, eptp_of(0, false));
        op_enter(false);
        access_l2(0);
        ops_stop();
}
END_TEST

/* A page of which the guest hypervisor had seen an EPT violation kept its old translation. */
START_TEST(violation_invalidates)
{
        start(&all);
        op_make_vmcs(&ref.vmcs[1]);
        op_vmptrld(ref.vmcs[0].at);
        set_proc2(PROC2_EPT | PROC2_VPID);
        op_ept_pte(0, 0, leaf(3, EPTE_R));
        op_enter(true);
        access_l2(0);
        op_l2_access(0, true); /* violation */
        op_ept_pte(0, 0, leaf(4, EPTE_RWX));
        op_vmptrld(ref.vmcs[1].at); /* another guest runs first */
        op_enter(true);
        op_l2_insn(EXIT_CPUID);
        op_vmptrld(ref.vmcs[0].at);
        op_enter(false);
        access_l2(0);
        ops_stop();
}
END_TEST

/* The same with the EPTP of another setting of bit 6, whose mappings are the same ones. */
START_TEST(violation_invalidates_whatever_the_ad_bit)
{
        start(&all);
        set_proc2(PROC2_EPT | PROC2_VPID);
        op_ept_pte(0, 0, leaf(3, EPTE_R));
        op_vmwrite(F_eptp, eptp_of(0, true), false);
        op_enter(true);
        access_l2(0);
        op_l2_insn(EXIT_CPUID);
        op_vmwrite(F_eptp, eptp_of(0, false), false);
        op_enter(false);
        op_l2_access(0, true); /* violation */
        op_ept_pte(0, 0, leaf(4, EPTE_RWX));
        op_vmwrite(F_eptp, eptp_of(0, true), false);
        op_enter(false);
        access_l2(0);
        ops_stop();
}
END_TEST

/* A paging structure of EPT02 gives way to a large page without a violation at that address, and is used again for
 * another guest: what the processor has cached of it must go. */
START_TEST(a_structure_used_again_is_flushed)
{
        for (uint64_t seed = 0; seed < TRIES; seed++) {
                ops_start(&all, seed);
                for (unsigned i = 0; i < 3; i++) {
                        op_make_vmcs(&ref.vmcs[i]);
                        op_vmwrite(F_eptp, eptp_of(i, false), false);
                        set_proc2(PROC2_EPT | PROC2_VPID);
                }
                op_ept_pte(0, 3, leaf(3, EPTE_R));
                op_vmptrld(ref.vmcs[1].at);
                op_enter(true);
                op_l2_access(1, false);
                op_l2_insn(EXIT_CPUID);
                op_vmptrld(ref.vmcs[0].at);
                op_enter(true);
                op_l2_access(3,
                             true); /* violation: the address is folded at the next VM entry, which is of the other */
                op_ept_pde(1, 0, PAGE(P_DATA_2M) | EPTE_RWX | EPTE_LARGE | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB));
                op_vmptrld(ref.vmcs[1].at);
                op_enter(false);
                op_l2_insn(EXIT_CPUID);
                op_vmptrld(ref.vmcs[2].at);
                op_enter(true);
                op_l2_access(0, false);
                op_l2_insn(EXIT_CPUID);
                op_vmptrld(ref.vmcs[1].at);
                op_enter(false);
                op_l2_access(0, false);
                ops_stop();
        }
}
END_TEST

void regressions_add(TCase *t)
{
        tcase_add_test(t, a_structure_used_again_is_flushed);
        tcase_add_test(t, exit_without_vpid_invalidates_level_1);
        tcase_add_test(t, mov_to_cr4_invalidates_level_1);
        tcase_add_test(t, failed_msr_load_leaves_guest_state);
        tcase_add_test(t, failed_check_leaves_cr0);
        tcase_add_test(t, level_2_accesses_the_linked_vmcs);
        tcase_add_test(t, exits_leave_the_instruction_error);
        tcase_add_test(t, invept_ignores_the_ad_bit);
        tcase_add_test(t, violation_invalidates);
        tcase_add_test(t, violation_invalidates_whatever_the_ad_bit);
}
