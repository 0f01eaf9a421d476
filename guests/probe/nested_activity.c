/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: inactive states of the guest, what wakes from them, and INIT. SDM 3C "Activity State". On Bochs 2.7 windows
 * do not wake a halted guest, and INIT is lost in VMX root operation or never ends: such lines begin with "by the SDM". */
#include "apic.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"
#include "traps.h"

#define VECTOR   0x99u
#define UNITS    20000u
#define ICR_NMI  0x400u
#define ICR_INIT 0x4500u /* assert */

static void by_the_sdm(struct l2 *l, uint32_t reason, uint64_t rip, const char *what)
{
        check(l->p, l->exit.reason == reason && l->exit.rip == rip, "by the SDM: %s: reason %u", what, l->exit.reason);
}

static void inject(struct l2 *l, enum intr_type type, unsigned vector)
{
        l2_set(l, F_entry_intr_info, INTR_VALID | (uint32_t)type << 8 | vector);
}

static void send(uint32_t icr)
{
        apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
        apic_write(APIC_ICR, icr);
}

static void halted(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_guest_activity, ACTIVITY_HLT);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        inject(l, INTR_TYPE_EXT, VECTOR);
        const uint32_t before = trap_count(VECTOR);
        l2_run(l, l2_vmcall);
        l2_expect(l, EXIT_VMCALL, 0, "an interrupt is injected into the HLT state");
        check(l->p, trap_count(VECTOR) == before + 1 && vmread(F_guest_activity) == ACTIVITY_ACTIVE, "the guest is active");
        inject(l, INTR_TYPE_SW_INTR, VECTOR);
        l2_set(l, F_entry_insn_len, 2);
        l2_set(l, F_guest_activity, ACTIVITY_HLT);
        if (!l->p->cascade)
                return;
        l2_run(l, l2_vmcall);
        by_the_sdm(l, EXIT_REASON_ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE, (uint64_t)l2_vmcall, "but no software interrupt");

        l2_reset(l);
        l2_proc_on(l, PROC_INTR_WINDOW);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_HLT);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1);
        l2_run(l, l2_sti_hlt);
        by_the_sdm(l, EXIT_INTR_WINDOW, (uint64_t)l2_sti_hlt + 2, "an interrupt window wakes from HLT");
        check(l->p, vmread(F_guest_activity) == ACTIVITY_HLT, "by the SDM: which the exit tells");
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_INTR_WINDOW, (uint64_t)l2_nops, "also at the entry into it");
        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_NMI | PIN_VIRTUAL_NMI);
        l2_proc_on(l, PROC_NMI_WINDOW);
        l2_set(l, F_guest_activity, ACTIVITY_HLT);
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_NMI_WINDOW, (uint64_t)l2_nops, "an NMI window wakes from HLT");
}

static void shut_down(struct l2 *l)
{
        if (!(l->caps.misc & MISC_SHUTDOWN) || !(l->caps.pin.may1 & PIN_PREEMPTION_TIMER))
                return;
        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_PREEMPTION_TIMER | PIN_EXT_INTR);
        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) | EXIT_CTL_SAVE_PREEMPTION_TIMER);
        l2_set(l, F_guest_activity, ACTIVITY_SHUTDOWN);
        l2_set(l, F_guest_preemption_timer, UNITS);
        const uint64_t start = hw_rdtsc();
        l2_run(l, l2_nops);
        const uint64_t took = hw_rdtsc() - start;
        l2_expect(l, EXIT_PREEMPTION_TIMER, 0, "the preemption timer in the shutdown state");
        check(l->p, took >= UNITS && l->exit.rip == (uint64_t)l2_nops && vmread(F_guest_preemption_timer) == 0,
              "it took its time, and nothing was executed");
        check(l->p, vmread(F_guest_activity) == ACTIVITY_SHUTDOWN, "the guest's activity is shutdown");
        inject(l, INTR_TYPE_EXT, VECTOR);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_REASON_ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE, 0, "no interrupt is injected into it");
        l2_set(l, F_guest_preemption_timer, UINT32_MAX);
        inject(l, INTR_TYPE_NMI, VEC_NMI);
        traps()->resume = (uint64_t)l2_vmcall;
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_VMCALL, 0, "but an NMI");
        check(l->p, vmread(F_guest_activity) == ACTIVITY_ACTIVE && traps()->vector == VEC_NMI, "the guest is active");
        nmi_unblock();
        if (!l->p->cascade)
                return;
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_NMI);
        l2_set(l, F_guest_activity, ACTIVITY_ACTIVE);
        l->gprs.r[GPR_RBX] = WINDOW_APIC + APIC_ICR;
        l->gprs.r[GPR_RAX] = ICR_NMI;
        apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
        l2_run(l, l2_write32_nops);
        send(ICR_NMI); /* blocked now, by the one that has made the exit */
        l2_set(l, F_guest_activity, ACTIVITY_SHUTDOWN);
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_EXCEPTION_NMI, (uint64_t)l2_nops, "an NMI wakes from the shutdown state");
        check(l->p, vmread(F_guest_activity) == ACTIVITY_SHUTDOWN, "by the SDM: which the exit tells");
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) & ~(uint64_t)PIN_NMI);
        send(ICR_NMI);
        traps()->resume = (uint64_t)l2_vmcall;
        traps()->vector = NO_VECTOR;
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_VMCALL, (uint64_t)l2_vmcall, "or is delivered there");
        check(l->p, traps()->vector == VEC_NMI && traps()->rip == (uint64_t)l2_nops, "by the SDM: before anything else");
        l2_set(l, F_guest_activity, ACTIVITY_SHUTDOWN);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_NMI | PIN_VIRTUAL_NMI);
        l2_proc_on(l, PROC_NMI_WINDOW);
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_NMI_WINDOW, (uint64_t)l2_nops, "an NMI window wakes from the shutdown state");
        nmi_unblock();
}

static void init_signals(struct l2 *l)
{
        if (!l->p->cascade)
                return;
        l2_reset(l);
        send(ICR_INIT);
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_INIT, (uint64_t)l2_nops, "INIT is held back in VMX root operation");
        l2_run(l, l2_vmcall);
        by_the_sdm(l, EXIT_VMCALL, (uint64_t)l2_vmcall, "and ends with its exit");
        l->gprs.r[GPR_RBX] = WINDOW_APIC + APIC_ICR;
        l->gprs.r[GPR_RAX] = ICR_INIT;
        apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
        l2_run(l, l2_write32_nops);
        by_the_sdm(l, EXIT_INIT, (uint64_t)l2_write32_nops_after, "INIT while the guest runs");
        send(ICR_INIT);
        l2_set(l, F_guest_activity, ACTIVITY_HLT);
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_INIT, (uint64_t)l2_nops, "INIT wakes from HLT");
        check(l->p, vmread(F_guest_activity) == ACTIVITY_HLT, "by the SDM: which the exit tells");
        if (!(l->caps.misc & MISC_SHUTDOWN))
                return;
        send(ICR_INIT);
        l2_set(l, F_guest_activity, ACTIVITY_SHUTDOWN);
        l2_run(l, l2_nops);
        by_the_sdm(l, EXIT_INIT, (uint64_t)l2_nops, "INIT wakes from the shutdown state");
}

void nested_activity(struct l2 *l)
{
        nmi_unblock();
        halted(l);
        shut_down(l);
        init_signals(l);
        l2_reset(l);
}

void nested_wait_run(struct probe *p, const char *words)
{
        static struct l2 l2;
        if (!nested_begin(&l2, p))
                return;
        l2_reset(&l2);
        l2_set(&l2, F_guest_activity, ACTIVITY_WAIT_SIPI);
        l2_run(&l2, l2_nops);
        check(p, false, "the wait-for-SIPI state is never left on one processor: reason %u", l2.exit.reason);
}
