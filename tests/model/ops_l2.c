/* SPDX-License-Identifier: BSD-2-Clause */
/* What level 2 does, and what either level looks like after a change of levels. */
#include "base/x86.h"
#include "nested/merge.h"
#include "ops.h"
#include "ops_state.h"
#include "ref_memory.h"
#include "vmx/controls.h"

/* --- states --- */

#define SAME(what, got, want)                                                                                          \
        MODEL_REQUIRE((got) == (want), "%s is %#llx instead of %#llx", what, (unsigned long long)(got),                \
                      (unsigned long long)(want))

/* Fields that VM entry does not always load from VMCS12, or loads elsewhere. */
static bool is_special(enum vmcs_field_id id)
{
        const struct vmcs12 *v = &ref.current->v;
        switch (id) {
        case FI_guest_efer:
                return !(v->entry_ctls & ENTRY_CTL_LOAD_EFER);
        case FI_guest_pat:
                return !(v->entry_ctls & ENTRY_CTL_LOAD_PAT);
        case FI_guest_debugctl:
        case FI_guest_dr7:
                return !(v->entry_ctls & ENTRY_CTL_LOAD_DEBUG);
        case FI_guest_sysenter_esp:
                return v->entry_msr_load_count == MSR_LIST_GOOD;
        case FI_guest_activity: /* an event that is injected finds an active processor */
                return v->entry_intr_info & INTR_VALID;
        case FI_guest_preemption_timer:
        case FI_guest_pdpte0:
        case FI_guest_pdpte1:
        case FI_guest_pdpte2:
        case FI_guest_pdpte3:
                return true;
        default:
                return false;
        }
}

void check_l2_entered(const struct model_msrs *l1)
{
        const struct vmcs12 *now = &cpu.current->v, *want = &ref.current->v;
        MODEL_REQUIRE(guest_is_l2(), "VM entry did not enter");
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                if (f.type != TYPE_GUEST || f.home != HOME_HW || is_special(id) || !vmcs_field_exists(&f, ref.caps))
                        continue;
                MODEL_REQUIRE(vmcs12_read(now, &f) == vmcs12_read(want, &f),
                              "level 2 is entered with %s %#llx instead of %#llx", vmcs_field_name(f.enc),
                              (unsigned long long)vmcs12_read(now, &f), (unsigned long long)vmcs12_read(want, &f));
        }
        if (want->entry_msr_load_count == MSR_LIST_GOOD)
                SAME("IA32_SYSENTER_ESP", now->guest_sysenter_esp, MSR_LIST_ESP);
        SAME("EFER", cpu.now.efer, want->entry_ctls & ENTRY_CTL_LOAD_EFER ? want->guest_efer : l1->efer);
        SAME("PAT", cpu.now.pat, want->entry_ctls & ENTRY_CTL_LOAD_PAT ? want->guest_pat : l1->pat);
        SAME("DR7", cpu.now.dr7, want->entry_ctls & ENTRY_CTL_LOAD_DEBUG ? want->guest_dr7 : l1->dr7);
        SAME("the event", cpu.delivered, want->entry_intr_info & INTR_VALID ? want->entry_intr_info : 0);
        if (cpu.delivered & INTR_ERROR_VALID)
                SAME("the event's error code", cpu.delivered_error, want->entry_error_code);
        SAME("the TSC offset", now->proc_ctls & PROC_TSC_OFFSET ? now->tsc_offset : 0,
             want->proc_ctls & PROC_TSC_OFFSET ? want->tsc_offset : 0);
        if (want->pin_ctls & PIN_PREEMPTION_TIMER)
                MODEL_REQUIRE((now->pin_ctls & PIN_PREEMPTION_TIMER) &&
                                      now->guest_preemption_timer <= want->guest_preemption_timer,
                              "the preemption timer is %#x instead of %#x", now->guest_preemption_timer,
                              want->guest_preemption_timer);
}

void check_l1_after_exit(const struct model_msrs *before)
{
        const struct vmcs12 *now = &cpu.current->v, *want = &ref.current->v;
        MODEL_REQUIRE(!guest_is_l2(), "an exit to level 1 left level 2 running");
        SAME("RIP", now->guest_rip, want->host_rip);
        SAME("RSP", now->guest_rsp, want->host_rsp);
        SAME("RFLAGS", now->guest_rflags, RFLAGS_FIXED1);
        SAME("CR3", now->guest_cr3, want->host_cr3);
        SAME("CR0.PG", now->guest_cr0 & CR0_PG, CR0_PG);
        SAME("CR4", (now->cr4_shadow & now->cr4_mask) | (now->guest_cr4 & ~now->cr4_mask), want->host_cr4);
        SAME("CS", now->guest_cs_sel, want->host_cs_sel);
        SAME("TR base", now->guest_tr_base, want->host_tr_base);
        SAME("GS base", now->guest_gs_base, want->host_gs_base);
        SAME("IDTR base", now->guest_idtr_base, want->host_idtr_base);
        SAME("SYSENTER_EIP", now->guest_sysenter_eip, want->host_sysenter_eip);
        SAME("EFER", cpu.now.efer,
             want->exit_ctls & EXIT_CTL_LOAD_EFER ? want->host_efer : before->efer | EFER_LMA | EFER_LME);
        SAME("PAT", cpu.now.pat, want->exit_ctls & EXIT_CTL_LOAD_PAT ? want->host_pat : before->pat);
        SAME("DR7", cpu.now.dr7, DR7_RESET);
        SAME("an event", cpu.delivered, 0u);
}

/* Level 2 is at *before and has left, which must be an exit to level 1 of this kind. */
static void left(const struct model_exit *x, const struct vmcs12 *before)
{
        check_l1_after_exit(&(struct model_msrs){ .efer = before->guest_efer, .pat = before->guest_pat });
        ref_transition();
        ref_exit(x, before);
}

/* --- memory --- */

/* Level 2 as it is: fields of the VMCS, and what the processor has instead of them. */
static struct vmcs12 snapshot(void)
{
        struct vmcs12 v = cpu.current->v;
        v.guest_efer = cpu.now.efer;
        v.guest_pat = cpu.now.pat;
        v.guest_debugctl = cpu.now.debugctl;
        v.guest_dr7 = cpu.now.dr7;
        return v;
}

/* What VMREAD tells the guest hypervisor. */
static uint64_t told(uint64_t enc)
{
        struct vmx_insn i = { .reason = EXIT_VMREAD, .reg2 = enc };
        MODEL_REQUIRE(guest_vmx(&i) == DONE && guest_vmx_flags() == VM_SUCCEED, "VMREAD after an exit");
        return i.value;
}

static void violated(unsigned window, bool write, const struct vmcs12 *before)
{
        check_l1_after_exit(&(struct model_msrs){ .efer = before->guest_efer, .pat = before->guest_pat });
        const struct model_exit last = cpu.last;
        const uint64_t gpa = told(F_guest_physical), q = told(F_exit_qualification);
        const uint32_t reason = (uint32_t)told(F_exit_reason);
        if (reason == EXIT_EPT_MISCONFIG) {
                MODEL_REQUIRE(ref_may_misconfig(window, gpa), "EPT misconfiguration at %#llx", (unsigned long long)gpa);
        } else {
                MODEL_REQUIRE(reason == EXIT_EPT_VIOLATION, "exit reason %u for an access to memory", reason);
                MODEL_REQUIRE((q & ~EPTQ_RWX) ==
                                      (EPTQ_LINEAR_VALID | EPTQ_TRANSLATED | (write ? EPTQ_WRITE : EPTQ_READ)),
                              "the qualification of an EPT violation is %#llx", (unsigned long long)q);
                MODEL_REQUIRE(ref_may_violate(window, write, gpa, (unsigned)GET(q, EPTQ_RWX)),
                              "EPT violation at %#llx, qualification %#llx", (unsigned long long)gpa,
                              (unsigned long long)q);
                SAME("the linear address of an EPT violation", told(F_guest_linear), L2_WINDOW_AT + PAGE(window));
        }
        ref_transition();
        struct model_exit x = last; /* with its IDT-vectoring information */
        x.reason = reason;
        x.qualification = q;
        x.physical = gpa;
        x.defined = EXIT_HAS_PHYSICAL | (x.defined & EXIT_HAS_LENGTH);
        ref_exit(&x, before);
}

static void accessed(unsigned window, bool write, enum outcome o, uint64_t hpa, const struct vmcs12 *before)
{
        if (o == LEFT) {
                violated(window, write, before);
                return;
        }
        const uint64_t page = (hpa - (uint64_t)hypervisor_ram()) / PAGE_SIZE;
        if (!ref_may_reach_l2(window, write, page) && !cpu.sabotage)
                ref_print_l2(window);
        MODEL_REQUIRE(ref_may_reach_l2(window, write, page), "level 2 reached page %llu by page %u of its window%s",
                      (unsigned long long)page, window, write ? " to write" : "");
}

void op_l2_access(unsigned window, bool write)
{
        const struct vmcs12 before = snapshot();
        uint64_t hpa = 0;
        op_begins();
        ref_tick_l2();
        const enum outcome o = guest_access(L2_WINDOW_AT + PAGE(window), write, &hpa);
        accessed(window, write, o, hpa, &before);
}

void op_l2_deliver(unsigned window)
{
        const struct vmcs12 before = snapshot();
        uint64_t hpa = 0;
        op_begins();
        ref_tick_l2();
        const enum outcome o = guest_deliver(L2_WINDOW_AT + PAGE(window), &hpa);
        accessed(window, true, o, hpa, &before);
}

/* --- instructions --- */

/* An instruction that exits to level 1 if `wanted`, and else is as good as executed. *x: the exit on the
 * processor, which level 1 must see as it is. */
static void insn_did(enum outcome o, bool wanted, const struct model_exit *x, const struct vmcs12 *before)
{
        MODEL_REQUIRE(o == (wanted ? LEFT : DONE), "exit reason %u of level 2: outcome %d", x->reason, o);
        if (wanted)
                left(x, before);
}

void op_l2_insn(uint32_t reason)
{
        const struct vmcs12 before = snapshot(), *v = &ref.current->v;
        bool wanted = true;
        switch (reason) {
        case EXIT_HLT:
                wanted = v->proc_ctls & PROC_HLT;
                break;
        case EXIT_RDTSC:
                wanted = v->proc_ctls & PROC_RDTSC;
                break;
        case EXIT_PAUSE:
                wanted = v->proc_ctls & PROC_PAUSE;
                break;
        case EXIT_WBINVD:
                wanted = vmcs12_proc2(v) & PROC2_WBINVD;
                break;
        }
        op_begins();
        const enum outcome o = guest_insn(reason);
        insn_did(o, wanted, &cpu.last, &before);
}

void op_l2_invlpg(unsigned window)
{
        const uint64_t at = L2_WINDOW_AT + PAGE(window);
        const struct vmcs12 before = snapshot();
        const bool wanted = ref.current->v.proc_ctls & PROC_INVLPG;
        op_begins();
        ref_tick_l2();
        const enum outcome o = guest_invlpg(at);
        insn_did(o, wanted, &cpu.last, &before);
        if (!wanted)
                ref_invlpg_l2(at);
}

static bool is_target(const struct vmcs12 *v, uint64_t value)
{
        return (v->cr3_target_count > 0 && v->cr3_target0 == value) ||
               (v->cr3_target_count > 1 && v->cr3_target1 == value);
}

void op_l2_mov_cr3(unsigned tree)
{
        const struct vmcs12 before = snapshot();
        const uint64_t value = l2_cr3(tree);
        const bool wanted = (ref.current->v.proc_ctls & PROC_CR3_LOAD) && !is_target(&ref.current->v, value);
        op_begins();
        ref_tick_l2();
        const enum outcome o = guest_mov_to_cr3(value);
        insn_did(o, wanted, &cpu.last, &before);
        if (!wanted) {
                ref.current->v.guest_cr3 = value;
                ref_mov_cr3_l2();
        }
}

static void l2_field_access(struct vmx_insn *i)
{
        const struct vmcs12 before = snapshot();
        struct ref_vmcs *link;
        const bool write = i->reason == EXIT_VMWRITE;
        const enum ref_l2_field how = ref_field_of_l2(i->reg2, write, &link);
        struct vmcs_field_info f;
        op_begins();
        const enum outcome o = guest_vmx(i);
        if (how == L2_FIELD_EXITS) {
                insn_did(o, true, &cpu.last, &before);
                return;
        }
        MODEL_REQUIRE(o == DONE, "%s of %s by level 2: outcome %d", write ? "VMWRITE" : "VMREAD",
                      vmcs_field_name(i->reg2), o);
        enum vmx_flags want = VM_SUCCEED;
        if (how == L2_FIELD_INVALID) {
                want = VM_FAIL_INVALID;
        } else if (!vmcs_field_find(i->reg2, &f) || !vmcs_field_exists(&f, ref.caps)) {
                want = VM_FAIL_VALID;
                link->v.insn_error = VMX_ERR_BAD_COMPONENT;
                link->unknown[FI_insn_error] = false;
        } else if (write) {
                vmcs12_write(&link->v, &f, i->value);
                link->unknown[f.id] &= f.high;
        } else if (!link->wild && !link->unknown[f.id]) {
                MODEL_REQUIRE(i->value == vmcs12_read(&link->v, &f), "VMREAD of %s by level 2: %#llx instead of %#llx",
                              vmcs_field_name(i->reg2), (unsigned long long)i->value,
                              (unsigned long long)vmcs12_read(&link->v, &f));
        }
        SAME("VMREAD or VMWRITE of level 2: result", guest_vmx_flags(), want);
}

void op_l2_vmread(uint64_t enc)
{
        l2_field_access(&(struct vmx_insn){ .reason = EXIT_VMREAD, .reg2 = enc });
}

void op_l2_vmwrite(uint64_t enc, uint64_t value)
{
        l2_field_access(&(struct vmx_insn){ .reason = EXIT_VMWRITE, .reg2 = enc, .value = value });
}

/* --- events --- */

/* Time goes on to the earlier of two deadlines: that of VMCS12, and that of a device of level 1. */
void op_l2_timer(void)
{
        const struct vmcs12 before = snapshot();
        const uint64_t elapsed = cpu.current->v.guest_preemption_timer;
        const bool has_timer = ref.current->v.pin_ctls & PIN_PREEMPTION_TIMER;
        op_begins();
        MODEL_REQUIRE(!has_timer || elapsed <= ref.timer_left, "a preemption timer of %llu ticks instead of %llu",
                      (unsigned long long)elapsed, (unsigned long long)ref.timer_left);
        if (has_timer)
                ref.timer_left -= elapsed;
        const bool wanted = has_timer && ref.timer_left == 0;
        const enum outcome o = guest_timer();
        insn_did(o, wanted, &cpu.last, &before);
}

/* SDM 3C "EPTP Switching": the list has ROOTS entries that are valid. */
void op_l2_vmfunc(uint32_t ecx)
{
        const struct vmcs12 before = snapshot();
        struct vmcs12 *const v = &ref.current->v;
        if (!(vmcs12_proc2(v) & PROC2_VMFUNC))
                return;
        const bool wanted = !(v->vmfunc_ctls & VMFUNC_EPTP_SWITCHING) || ecx >= ROOTS;
        op_begins();
        ref_tick_l2();
        const enum outcome o = guest_vmfunc(0, ecx);
        insn_did(o, wanted, &cpu.last, &before);
        if (!wanted)
                v->eptp = eptp_of(ecx, false);
}

void op_l2_wrmsr(uint32_t msr, uint64_t value)
{
        const struct vmcs12 before = snapshot();
        const bool wanted = !(ref.current->v.proc_ctls & PROC_MSR_BITMAPS); /* the bitmap has no bit set */
        op_begins();
        const enum outcome o = guest_write_msr(msr, value);
        insn_did(o, wanted, &cpu.last, &before);
}

void op_external_interrupt(void)
{
        op_begins();
        MODEL_REQUIRE(guest_external_interrupt() == DONE, "a physical interrupt changes what runs");
}
