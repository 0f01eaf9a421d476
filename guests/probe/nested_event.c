/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: events into the guest and out of it. The guest shares the probe's handlers: what it takes
 * itself is counted in traps(). */
#include "apic.h"
#include "base/x86.h"
#include "irq_wait.h"
#include "nested.h"
#include "twin.h"

#define VECTOR_INJECTED 0x99u
#define VECTOR_TIMER    0x41u
#define TIMER_TICKS     200000u /* until the local APIC's timer fires: well into the guest's run */
#define PREEMPT_UNITS   20000u
#define ERROR_CODE      0x1230u
#define PF_WRITE        2u

static uint32_t event(enum intr_type type, unsigned vector)
{
        return INTR_VALID | (uint32_t)type << 8 | vector;
}

/* --- exceptions --- */

static void expect_exception(struct l2 *l, uint32_t info, uint32_t error, uint64_t qualification,
                             const char *what)
{
        l2_expect(l, EXIT_EXCEPTION_NMI, qualification, what);
        const bool error_ok = !(info & INTR_ERROR_VALID) || l->exit.intr_error == error;
        check(l->p, l->exit.intr_info == info && error_ok, "%s: information 0x%x", what, l->exit.intr_info);
}

static void exceptions(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_exception_bitmap, BIT(VEC_UD) | BIT(VEC_GP) | BIT(VEC_DE) | BIT(VEC_BP) | BIT(VEC_PF));
        l2_run(l, l2_ud);
        expect_exception(l, event(INTR_TYPE_HW_EXCEPTION, VEC_UD), 0, 0, "#UD by the exception bitmap");
        l2_run(l, l2_de);
        expect_exception(l, event(INTR_TYPE_HW_EXCEPTION, VEC_DE), 0, 0, "#DE by the exception bitmap");
        l2_run(l, l2_int3);
        expect_exception(l, event(INTR_TYPE_SW_EXCEPTION, VEC_BP), 0, 0, "INT3 by the exception bitmap");
        check(l->p, l->exit.insn_len == 1 && l->exit.rip == (uint64_t)l2_int3, "INT3 has length %u",
              l->exit.insn_len);
        l->gprs.r[GPR_RBX] = BIT(62);
        l2_run(l, l2_read);
        expect_exception(l, event(INTR_TYPE_HW_EXCEPTION, VEC_GP) | INTR_ERROR_VALID, 0, 0,
                         "#GP by the exception bitmap");
        l->gprs.r[GPR_RBX] = BIT(45);
        l2_run(l, l2_write);
        expect_exception(l, event(INTR_TYPE_HW_EXCEPTION, VEC_PF) | INTR_ERROR_VALID, PF_WRITE, BIT(45),
                         "#PF by the exception bitmap");

        l2_set(l, F_pf_error_mask, PF_WRITE);
        l2_set(l, F_pf_error_match, PF_WRITE);
        l2_run(l, l2_write);
        l2_expect(l, EXIT_EXCEPTION_NMI, BIT(45), "#PF whose error code matches");
        traps()->resume = (uint64_t)l2_vmcall;
        l2_run(l, l2_read);
        l2_expect(l, EXIT_VMCALL, 0, "#PF whose error code does not match");
        check(l->p, traps()->vector == VEC_PF && traps()->error == 0 && traps()->cr2 == BIT(45),
              "the guest has taken it itself");
        l2_set(l, F_exception_bitmap, 0);
        traps()->resume = (uint64_t)l2_vmcall;
        l2_run(l, l2_ud);
        l2_expect(l, EXIT_VMCALL, 0, "#UD without the exception bitmap");
        check(l->p, traps()->vector == VEC_UD && traps()->rip == (uint64_t)l2_ud,
              "the guest has taken #UD itself");
}

/* --- injection --- */

static void injections(struct l2 *l)
{
        l2_reset(l);
        irq_forget(VECTOR_INJECTED, EOI_NONE);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_set(l, F_entry_intr_info, event(INTR_TYPE_EXT, VECTOR_INJECTED));
        l2_run(l, l2_vmcall);
        l2_expect(l, EXIT_VMCALL, 0, "injecting an external interrupt");
        check(l->p, trap_count(VECTOR_INJECTED) == 1 && traps()->interrupt_rip == (uint64_t)l2_vmcall,
              "the guest has taken it");
        check(l->p, !(vmread(F_entry_intr_info) & INTR_VALID),
              "the exit cleared the valid bit of the injection");

        l2_set(l, F_entry_intr_info, event(INTR_TYPE_SW_INTR, VECTOR_INJECTED));
        l2_set(l, F_entry_insn_len, 1);
        l2_run(l, l2_nops);
        check(l->p, trap_count(VECTOR_INJECTED) == 2 && traps()->interrupt_rip == (uint64_t)l2_nops + 1,
              "injecting a software interrupt: RIP is behind it");

        traps()->resume = (uint64_t)l2_vmcall;
        l2_set(l, F_entry_intr_info, event(INTR_TYPE_HW_EXCEPTION, VEC_GP) | INTR_ERROR_VALID);
        l2_set(l, F_entry_error_code, ERROR_CODE);
        l2_run(l, l2_nops);
        check(l->p,
              l->exit.reason == EXIT_VMCALL && traps()->vector == VEC_GP && traps()->error == ERROR_CODE,
              "injecting #GP with an error code");

        traps()->resume = (uint64_t)l2_vmcall;
        l2_set(l, F_entry_intr_info, event(INTR_TYPE_NMI, VEC_NMI));
        l2_run(l, l2_nops);
        check(l->p,
              l->exit.reason == EXIT_VMCALL && traps()->vector == VEC_NMI &&
                      traps()->rip == (uint64_t)l2_nops,
              "injecting an NMI");

        l2_reset(l);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_set(l, F_guest_rsp, WINDOW_NONE + PAGE_SIZE);
        l2_set(l, F_entry_intr_info, event(INTR_TYPE_EXT, VECTOR_INJECTED));
        l2_run(l, l2_nops);
        check(l->p, l->exit.reason == EXIT_EPT_VIOLATION && (l->exit.qualification & EPTQ_WRITE),
              "an EPT violation while an injected interrupt is delivered");
        check(l->p, l->exit.idt_info == event(INTR_TYPE_EXT, VECTOR_INJECTED),
              "IDT-vectoring information 0x%x", l->exit.idt_info);
        l2_reset(l);
        l2_set(l, F_exception_bitmap, BIT(VEC_PF));
        l2_set(l, F_guest_idtr_base, BIT(45));
        l2_run(l, l2_ud);
        check(l->p, l->exit.reason == EXIT_EXCEPTION_NMI && GET(l->exit.intr_info, INTR_VECTOR) == VEC_PF,
              "#PF while an exception is delivered");
        check(l->p, l->exit.idt_info == event(INTR_TYPE_HW_EXCEPTION, VEC_UD),
              "IDT-vectoring information 0x%x", l->exit.idt_info);
}

/* --- windows and the preemption timer --- */

static void windows(struct l2 *l)
{
        l2_reset(l);
        l2_proc_on(l, PROC_INTR_WINDOW);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_INTR_WINDOW, 0, "interrupt window, open at the entry");
        check(l->p, l->exit.rip == (uint64_t)l2_nops, "nothing was executed");
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1);
        l2_run(l, l2_sti_nops);
        l2_expect(l, EXIT_INTR_WINDOW, 0, "interrupt window, opened by STI");
        check(l->p, l->exit.rip == (uint64_t)l2_sti_nops_after, "the window opens behind the shadow of STI");
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_VMCALL, 0, "interrupt window, never open");

        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_NMI | PIN_VIRTUAL_NMI);
        l2_proc_on(l, PROC_NMI_WINDOW);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_NMI_WINDOW, 0, "NMI window, open at the entry");
        l2_set(l, F_guest_interruptibility, INTRBLK_NMI);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_VMCALL, 0, "NMI window, never open");
        check(l->p, vmread(F_guest_interruptibility) == INTRBLK_NMI, "virtual-NMI blocking is saved");

        l2_reset(l);
        l2_set(l, F_guest_interruptibility, INTRBLK_NMI);
        l2_run(l, l2_nops);
        check(l->p, vmread(F_guest_interruptibility) == INTRBLK_NMI, "blocking by NMI is saved");
        twin_iret(); /* Bochs 2.7 ends it at an IRET only */
        l2_set(l, F_guest_interruptibility, 0);
        l2_run(l, l2_nops);
        check(l->p, vmread(F_guest_interruptibility) == 0, "and not there any more at the next entry");
}

static void preemption_timer(struct l2 *l)
{
        if (!(l->caps.pin.may1 & PIN_PREEMPTION_TIMER))
                return;
        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_PREEMPTION_TIMER);
        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) | EXIT_CTL_SAVE_PREEMPTION_TIMER);
        l2_set(l, F_guest_preemption_timer, 0);
        l2_run(l, l2_spin);
        l2_expect(l, EXIT_PREEMPTION_TIMER, 0, "preemption timer 0");
        check(l->p, l->exit.rip == (uint64_t)l2_spin, "nothing was executed");
        l2_set(l, F_guest_preemption_timer, PREEMPT_UNITS);
        const uint64_t start = hw_rdtsc();
        l2_run(l, l2_spin);
        const uint64_t took = hw_rdtsc() - start;
        l2_expect(l, EXIT_PREEMPTION_TIMER, 0, "preemption timer");
        check(l->p, took >= PREEMPT_UNITS && vmread(F_guest_preemption_timer) == 0,
              "it took its time and its saved value is 0");
        l2_set(l, F_guest_preemption_timer, UINT32_MAX);
        l2_run(l, l2_vmcall);
        const uint64_t rest = vmread(F_guest_preemption_timer);
        check(l->p,
              l->exit.reason == EXIT_VMCALL && rest < UINT32_MAX &&
                      rest > UINT32_MAX - PREEMPT_UNITS * 1000ull,
              "an exit before saves the rest");
        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) & ~(uint64_t)EXIT_CTL_SAVE_PREEMPTION_TIMER);
        l2_set(l, F_guest_preemption_timer, UINT32_MAX - 5);
        l2_run(l, l2_vmcall);
        check(l->p, vmread(F_guest_preemption_timer) == UINT32_MAX - 5,
              "without the control nothing is saved");
}

/* --- interrupts from the local APIC --- */

static void arm_timer(void)
{
        irq_forget(VECTOR_TIMER, EOI_NONE);
        apic_write(APIC_LVT_TIMER, LVT_DEADLINE | VECTOR_TIMER);
        hw_wrmsr(MSR_TSC_DEADLINE, hw_rdtsc() + TIMER_TICKS);
}

static void external_interrupts(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_EXT_INTR);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        arm_timer();
        l2_run(l, l2_spin);
        l2_expect(l, EXIT_EXT_INTR, 0, "external interrupt, not acknowledged");
        check(l->p, !(l->exit.intr_info & INTR_VALID) && trap_count(VECTOR_TIMER) == 0,
              "it is still pending");
        irq_let_in();
        check(l->p, trap_count(VECTOR_TIMER) == 1, "and arrives outside of the guest");
        apic_eoi();

        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) | EXIT_CTL_ACK_INTR);
        arm_timer();
        l2_run(l, l2_spin);
        l2_expect(l, EXIT_EXT_INTR, 0, "external interrupt, acknowledged");
        check(l->p, l->exit.intr_info == event(INTR_TYPE_EXT, VECTOR_TIMER), "interruption information 0x%x",
              l->exit.intr_info);
        irq_let_in();
        check(l->p, trap_count(VECTOR_TIMER) == 0, "it does not arrive a second time");
        apic_eoi();

        l2_set(l, F_guest_rflags, RFLAGS_FIXED1);
        arm_timer();
        l2_run(l, l2_sti_spin);
        l2_expect(l, EXIT_EXT_INTR, 0, "external interrupt after STI");
        apic_eoi();

        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_HLT);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1);
        arm_timer();
        l2_run(l, l2_sti_hlt);
        l2_expect(l, EXIT_EXT_INTR, 0, "external interrupt in HLT");
        if (l->p->hypervisor) /* SDM 3C "Architectural State Before a VM Exit"; Bochs 2.7 saves 0 */
                check(l->p, vmread(F_guest_activity) == ACTIVITY_HLT, "the guest's activity is HLT");
        apic_eoi();

        l2_reset(l);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_HLT);
        arm_timer();
        l2_run(l, l2_sti_hlt);
        l2_expect(l, EXIT_VMCALL, 0, "HLT without external-interrupt exiting");
        check(l->p, trap_count(VECTOR_TIMER) == 1, "the guest has taken the interrupt itself");
        apic_eoi();
        apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
}

/* SDM 3C "Other Causes of VM Exits": which of several exits that are due at an entry comes first. */
static void priorities(struct l2 *l)
{
        static const struct {
                const char *what;
                uint32_t pin, proc, reason;
        } rows[] = {
                { "an interrupt window before an interrupt that exits", PIN_EXT_INTR, PROC_INTR_WINDOW, EXIT_INTR_WINDOW },
                { "an interrupt window before an interrupt of the guest", 0, PROC_INTR_WINDOW, EXIT_INTR_WINDOW },
                { "an NMI window before both", PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI,
                  PROC_INTR_WINDOW | PROC_NMI_WINDOW, EXIT_NMI_WINDOW },
                { "the preemption timer before all", PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER,
                  PROC_INTR_WINDOW | PROC_NMI_WINDOW, EXIT_PREEMPTION_TIMER },
        };
        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_NMI | PIN_VIRTUAL_NMI);
        l2_run(l, twin_iret_vmcall); /* Bochs 2.7 keeps blocking of virtual NMIs until an IRET */
        for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
                const bool halted = i & 1;
                l2_reset(l);
                l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | rows[i / 2].pin);
                l2_proc_on(l, rows[i / 2].proc);
                l2_set(l, F_guest_preemption_timer, 0);
                l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
                l2_set(l, F_guest_activity, halted ? ACTIVITY_HLT : ACTIVITY_ACTIVE);
                irq_forget(VECTOR_TIMER, EOI_APIC);
                apic_write(APIC_ICR, ICR_SELF | VECTOR_TIMER);
                l2_run(l, l2_nops);
                check(l->p, l->exit.reason == rows[i / 2].reason && l->exit.rip == (uint64_t)l2_nops, "%s%s: reason %u",
                      rows[i / 2].what, halted ? ", in HLT" : "", l->exit.reason);
                irq_let_in();
                check(l->p, trap_count(VECTOR_TIMER) == 1, "the interrupt was kept");
        }
}

/* A timer that has run out at the VM entry waits for one instruction in the shadow of MOV SS on Bochs 2.7, which may not
 * wear it out: the exit comes before the one for a window. */
static void timer_in_shadow(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_PREEMPTION_TIMER);
        l2_set(l, F_proc_ctls, (vmread(F_proc_ctls) | PROC_INTR_WINDOW) & ~(uint64_t)PROC_HLT);
        l2_set(l, F_guest_preemption_timer, 0);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_set(l, F_guest_interruptibility, INTRBLK_MOV_SS);
        l2_run(l, l2_hlt);
        l2_expect(l, EXIT_PREEMPTION_TIMER, 0, "the preemption timer before a window, HLT in the shadow of MOV SS");
}

/* --- two VMCSs --- */

static void alternating(struct l2 *l)
{
        l2_reset(l);
        l2_clear(l, 1);
        l2_load(l, 1);
        l2_reset(l);
        l2_set(l, F_guest_rip, (uint64_t)l2_cpuid);
        l2_set(l, F_tsc_offset, 0x1111);
        l2_load(l, 0);
        l2_set(l, F_guest_rip, (uint64_t)l2_vmcall);
        l2_set(l, F_tsc_offset, 0x2222);
        bool good = true;
        for (unsigned i = 0; i < 6; i++) {
                l2_load(l, i & 1);
                const uint32_t reason = l2_resume(l);
                good = good && reason == (i & 1 ? EXIT_CPUID : EXIT_VMCALL) &&
                       vmread(F_tsc_offset) == (i & 1 ? 0x1111 : 0x2222) &&
                       l->exit.rip == (uint64_t)(i & 1 ? l2_cpuid : l2_vmcall);
        }
        check(l->p, good, "two VMCSs alternate");
        l2_load(l, 0);
        check(l->p, vmread(F_exit_reason) == EXIT_VMCALL, "each keeps its exit information");
        l2_clear(l, 0);
        l2_load(l, 0);
        check(l->p, vmread(F_exit_reason) == EXIT_VMCALL && vmread(F_guest_rip) == (uint64_t)l2_vmcall,
              "also over VMCLEAR");
        l->gprs.r[GPR_RAX] = 7;
        l2_resume(l);
        l2_expect(l, EXIT_VMCALL, 0, "VMLAUNCH after VMCLEAR");
        l2_load(l, 1);
        l2_clear(l, 1);
        l2_load(l, 0);
}

void nested_events(struct l2 *l)
{
        apic_write(APIC_SVR, (uint32_t)SVR_ENABLE | SVR_SPURIOUS);
        hw_outb(0x21, 0xff);
        hw_outb(0xa1, 0xff);
        exceptions(l);
        injections(l);
        windows(l);
        preemption_timer(l);
        external_interrupts(l);
        priorities(l);
        timer_in_shadow(l);
        alternating(l);
}
