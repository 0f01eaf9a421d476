/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: VM entries that fail, and how. SDM 3C chapter "VM Entries". */
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"

#define LOAD_FAILED_GUEST (EXIT_REASON_ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE)
#define LOAD_FAILED_MSR   (EXIT_REASON_ENTRY_FAIL | EXIT_ENTRY_MSR_LOAD)
#define NON_CANONICAL     BIT(62)
#define PAT_BAD           0x0007040600070402ull

struct msr_entry {
        uint32_t msr, reserved;
        uint64_t value;
};

/* One field is wrong, everything else is right. */
struct wrong_field {
        const char *what;
        enum vmcs_field field;
        uint64_t set, clear; /* bits */
};

static const struct wrong_field controls[] = {
        { "pin controls, a bit that has to be 1", F_pin_ctls, 0, PIN_DEFAULT1 },
        { "pin controls, a bit that is not there", F_pin_ctls, BIT(31), 0 },
        { "processor controls, a bit that has to be 1", F_proc_ctls, 0, BIT(1) },
        { "secondary controls, a bit that is not there", F_proc2_ctls, BIT(31), 0 },
        { "exit controls, a bit that has to be 1", F_exit_ctls, 0, BIT(0) },
        { "entry controls, a bit that has to be 1", F_entry_ctls, 0, BIT(0) },
        { "virtual NMIs without NMI exiting", F_pin_ctls, PIN_VIRTUAL_NMI, 0 },
        { "NMI window without virtual NMIs", F_proc_ctls, PROC_NMI_WINDOW, 0 },
        { "five CR3 targets", F_cr3_target_count, 5, 0 },
        { "EPTP, memory type 1", F_eptp, 1, 7 },
        { "EPTP, walk length", F_eptp, BIT(5), 0 },
        { "EPTP, reserved bits", F_eptp, BIT(10), 0 },
        { "VPID 0", F_proc2_ctls, PROC2_VPID, 0 },
        { "MSR bitmap not aligned", F_msr_bitmap, 1, 0 },
        { "exit MSR store area not aligned", F_exit_msr_store_count, 1, 0 }, /* its address is 8 */
        { "event of type 1", F_entry_intr_info, INTR_VALID | 1u << 8, 0 },
        { "NMI with vector 3", F_entry_intr_info, INTR_VALID | 2u << 8 | 3, 0 },
        { "hardware exception 32", F_entry_intr_info, INTR_VALID | 3u << 8 | 32, 0 },
        { "#UD with an error code", F_entry_intr_info, INTR_VALID | INTR_ERROR_VALID | 3u << 8 | 6, 0 },
        { "#GP without an error code", F_entry_intr_info, INTR_VALID | 3u << 8 | 13, 0 },
        { "event, reserved bits", F_entry_intr_info, INTR_VALID | BIT(20) | 0x40, 0 },
        /* the last row: some processors allow it */
        { "software interrupt of length 0", F_entry_intr_info, INTR_VALID | 4u << 8 | 0x40, 0 },
};

static const struct wrong_field host[] = {
        { "host CR0 without PE", F_host_cr0, 0, CR0_PE },
        { "host CR4 without VMXE", F_host_cr4, 0, CR4_VMXE },
        { "host CR4 without PAE", F_host_cr4, 0, CR4_PAE },
        { "host CR3 too wide", F_host_cr3, BIT(51), 0 },
        { "host CS null", F_host_cs_sel, 0, 0xffff },
        { "host TR null", F_host_tr_sel, 0, 0xffff },
        { "host ES with RPL 3", F_host_es_sel, 3, 0 },
        { "host DS in the LDT", F_host_ds_sel, 4, 0 },
        { "host GDTR not canonical", F_host_gdtr_base, NON_CANONICAL, 0 },
        { "host FS base not canonical", F_host_fs_base, NON_CANONICAL, 0 },
        { "host RIP not canonical", F_host_rip, NON_CANONICAL, 0 },
        { "host SYSENTER_EIP not canonical", F_host_sysenter_eip, NON_CANONICAL, 0 },
        { "host PAT with type 2", F_host_pat, 2, 7 },
        { "host EFER without LMA", F_host_efer, 0, EFER_LMA },
        { "host EFER, reserved bits", F_host_efer, BIT(3), 0 },
        { "64-bit guest, 32-bit host", F_exit_ctls, 0, EXIT_CTL_HOST_64 },
};

static const struct wrong_field guest[] = {
        { "guest RFLAGS, bit 1 clear", F_guest_rflags, 0, RFLAGS_FIXED1 },
        { "guest RFLAGS, reserved bits", F_guest_rflags, BIT(3), 0 },
        { "guest RFLAGS.VM in 64-bit mode", F_guest_rflags, RFLAGS_VM, 0 },
        { "guest CR4 without PAE in 64-bit mode", F_guest_cr4, 0, CR4_PAE },
        { "guest CR4 without VMXE", F_guest_cr4, 0, CR4_VMXE },
        { "guest CR3 too wide", F_guest_cr3, BIT(51), 0 },
        { "guest CR0.NE clear", F_guest_cr0, 0, CR0_NE },
        { "guest CR0.PG without PE", F_guest_cr0, 0, CR0_PE },
        { "guest CR0, bits 63:32", F_guest_cr0, BIT(32), 0 },
        { "guest EFER without LMA", F_guest_efer, 0, EFER_LMA },
        { "guest PAT with type 2", F_guest_pat, 2, 7 },
        { "guest TR unusable", F_guest_tr_ar, AR_UNUSABLE, 0 },
        { "guest TR not busy", F_guest_tr_ar, 0, 2 },
        { "guest CS not present", F_guest_cs_ar, 0, AR_P },
        { "guest CS with L and D", F_guest_cs_ar, AR_DB, 0 },
        { "guest CS of type 0", F_guest_cs_ar, 0, 15 },
        { "guest CS limit against G", F_guest_cs_ar, 0, AR_G },
        { "guest GDTR limit over 16 bits", F_guest_gdtr_limit, BIT(16), 0 },
        { "guest FS base not canonical", F_guest_fs_base, NON_CANONICAL, 0 },
        { "guest activity 4", F_guest_activity, 4, 0 },
        { "guest interruptibility, reserved bits", F_guest_interruptibility, BIT(5), 0 },
        { "blocking by STI and MOV SS", F_guest_interruptibility, INTRBLK_STI | INTRBLK_MOV_SS, 0 },
        { "blocking by STI with IF 0", F_guest_interruptibility, INTRBLK_STI, 0 },
        { "external interrupt with IF 0", F_entry_intr_info, INTR_VALID | 0x40, 0 },
        { "pending debug exceptions, reserved bits", F_guest_pending_dbg, BIT(5), 0 },
};

static void change(struct l2 *l, const struct wrong_field *w)
{
        l2_set(l, w->field, (vmread(w->field) & ~w->clear) | w->set);
}

static void vm_fail(struct l2 *l, const struct wrong_field *rows, unsigned n, uint32_t error)
{
        for (unsigned i = 0; i < n; i++) {
                l2_reset(l);
                l2_set(l, F_exit_msr_store, 8);
                change(l, &rows[i]);
                const uint32_t got = l2_run(l, l2_vmcall);
                check(l->p, got == L2_VMFAIL + error, "%s: %s %u", rows[i].what,
                      got >= L2_VMFAIL ? "error" : "reason", got & 0xffff);
        }
}

static void guest_state(struct l2 *l)
{
        for (unsigned i = 0; i < ARRAY_LEN(guest); i++) {
                l2_reset(l);
                change(l, &guest[i]);
                l2_run(l, l2_vmcall);
                l2_expect(l, LOAD_FAILED_GUEST, 0, guest[i].what);
        }
        check(l->p, !(hw_read_cr0() >> 32), "guest state that was refused is nowhere in the host");
        l2_reset(l);
        l2_set(l, F_vmcs_link, 8);
        l2_run(l, l2_vmcall);
        l2_expect(l, LOAD_FAILED_GUEST, ENTRY_FAIL_QUAL_LINK, "VMCS link pointer not aligned");
        l2_reset(l);
        l2_set(l, F_guest_rip, (uint64_t)l2_vmcall);
        l2_set(l, F_guest_rflags, 0);
        l2_resume(l);
        check(l->p, vmread(F_guest_rflags) == 0 && vmread(F_guest_rip) == (uint64_t)l2_vmcall,
              "a failed entry leaves the guest-state area alone");
}

/* SDM 3C "VM-Entry Failures During or After Loading Guest State": nothing of the guest is loaded, so what a VM exit does
 * not load either stays the hypervisor's own. */
static void own_state_stays(struct l2 *l)
{
        const uint64_t cr0 = hw_read_cr0(), efer = hw_rdmsr(MSR_EFER), pat = hw_rdmsr(MSR_PAT);
        l2_reset(l);
        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) & ~(uint64_t)(EXIT_CTL_LOAD_EFER | EXIT_CTL_LOAD_PAT));
        l2_set(l, F_guest_cr0, vmread(F_guest_cr0) | BIT(32) | BIT(19) | CR0_CD);
        l2_set(l, F_guest_efer, BIT(3));
        l2_set(l, F_guest_pat, PAT_BAD);
        l2_run(l, l2_vmcall);
        l2_expect(l, LOAD_FAILED_GUEST, 0, "guest CR0, EFER and PAT that cannot be");
        check(l->p, hw_read_cr0() == cr0 && hw_rdmsr(MSR_EFER) == efer && hw_rdmsr(MSR_PAT) == pat,
              "the hypervisor keeps its own CR0, EFER and PAT");
}

static void msr_areas(struct l2 *l)
{
        static struct msr_entry load[2] __attribute__((aligned(16))), store[1] __attribute__((aligned(16))),
                back[1] __attribute__((aligned(16)));
        const uint64_t lstar = hw_rdmsr(MSR_LSTAR);
        l2_reset(l);
        load[0] = (struct msr_entry){ .msr = MSR_LSTAR, .value = 0x1111 };
        load[1] = (struct msr_entry){ .msr = MSR_FS_BASE };
        l2_set(l, F_entry_msr_load, (uint64_t)load);
        l2_set(l, F_entry_msr_load_count, 2);
        l2_run(l, l2_vmcall);
        l2_expect(l, LOAD_FAILED_MSR, 2, "an MSR that may not be loaded");
        hw_wrmsr(MSR_LSTAR, lstar);

        l2_reset(l);
        store[0] = (struct msr_entry){ .msr = MSR_LSTAR };
        back[0] = (struct msr_entry){ .msr = MSR_LSTAR, .value = 0x2222 };
        l2_set(l, F_entry_msr_load, (uint64_t)load);
        l2_set(l, F_entry_msr_load_count, 1);
        l2_set(l, F_exit_msr_store, (uint64_t)store);
        l2_set(l, F_exit_msr_store_count, 1);
        l2_set(l, F_exit_msr_load, (uint64_t)back);
        l2_set(l, F_exit_msr_load_count, 1);
        l->gprs.r[GPR_RCX] = MSR_LSTAR;
        l2_run(l, l2_rdmsr);
        l2_expect(l, EXIT_VMCALL, 0, "an entry with MSR areas");
        check(l->p,
              (uint32_t)l->gprs.r[GPR_RAX] == 0x1111 && *(volatile uint64_t *)&store[0].value == 0x1111 &&
                      hw_rdmsr(MSR_LSTAR) == 0x2222,
              "MSRs are loaded at the entry, stored and loaded at the exit");

        /* Nothing is written to the VMCS between the two entries: the list fails by what memory holds. */
        l2_reset(l);
        l2_set(l, F_entry_msr_load_count, 1);
        l2_set(l, F_guest_rip, (uint64_t)l2_wrmsr);
        l->gprs.r[GPR_RCX] = MSR_SYSENTER_EIP;
        l->gprs.r[GPR_RAX] = 0x44;
        l2_resume(l);
        load[0].msr = MSR_FS_BASE;
        l2_resume(l);
        l2_expect(l, LOAD_FAILED_MSR, 1, "an MSR area that has changed in memory");
        check(l->p, vmread(F_guest_sysenter_eip) == 0x44, "the failure leaves what the guest saved before it");
        hw_wrmsr(MSR_LSTAR, lstar);
}

void nested_entry(struct l2 *l)
{
        l2_reset(l);
        l->launched[0] = true;
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == L2_VMFAIL + VMX_ERR_VMRESUME_NOT_LAUNCHED,
              "VMRESUME of a clear VMCS: error %u", l->exit.reason & 0xffff);
        l->launched[0] = false;
        vm_fail(l, controls, ARRAY_LEN(controls) - (l->caps.misc & MISC_INJECT_ILEN0 ? 1 : 0), VMX_ERR_ENTRY_CONTROLS);
        vm_fail(l, host, ARRAY_LEN(host), VMX_ERR_ENTRY_HOST_STATE);
        guest_state(l);
        own_state_stays(l);
        msr_areas(l);

        l2_reset(l);
        check(l->p, !l->launched[0] || (l2_clear(l, 0), l2_load(l, 0), true),
              "a VMCS can be cleared after entries");
        l2_run(l, l2_vmcall);
        l2_expect(l, EXIT_VMCALL, 0, "VMLAUNCH");
        check(l->p, l->exit.insn_len == 3 && l->exit.rip == (uint64_t)l2_vmcall, "VMCALL has length %u",
              l->exit.insn_len);
        l->launched[0] = false;
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == L2_VMFAIL + VMX_ERR_VMLAUNCH_NOT_CLEAR, "VMLAUNCH twice: error %u",
              l->exit.reason & 0xffff);
        l->launched[0] = true;
        l2_run(l, l2_vmcall);
        l2_expect(l, EXIT_VMCALL, 0, "VMRESUME");
        const uint32_t flags = l2_enter_after_mov_ss();
        check(l->p, (flags & RFLAGS_ZF) && vmread(F_insn_error) == VMX_ERR_ENTRY_MOV_SS,
              "VMRESUME after MOV SS: error %u", (uint32_t)vmread(F_insn_error));
}
