/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: the monitor trap flag, SDM 3C "Monitor Trap Flag". Bochs 2.7 has none, or one that never exits: every line
 * begins with "by the SDM". */
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "boot/idt.h"
#include "hw/cpu.h"
#include "nested.h"
#include "traps.h"

#define PORT      0x80
#define NO_MSR    0x1fffu
#define VECTOR    0x99u
#define DR6_BS    BIT(14)
#define LOOPS     50u
#define MTF_EVENT (INTR_VALID | (uint32_t)INTR_TYPE_OTHER << 8)

static uint64_t handler_of(unsigned vector)
{
        struct {
                uint16_t limit;
                uint64_t base;
        } __attribute__((packed)) idtr;
        __asm__("sidt %0" : "=m"(idtr));
        const struct idt_entry *e = (const struct idt_entry *)idtr.base + vector;
        return (e->low & 0xffff) | (e->low >> 48) << 16 | e->high << 32;
}

static void expect_at(struct l2 *l, uint32_t reason, uint64_t rip, const char *what)
{
        check(l->p, l->exit.reason == reason && l->exit.rip == rip && l->exit.qualification == 0,
              "by the SDM: %s: reason %u", what, l->exit.reason);
}

static void prepare(struct l2 *l)
{
        l2_reset(l);
        l2_proc_on(l, PROC_MTF | PROC_IO_BITMAPS);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_HLT);
        l->gprs.r[GPR_RDX] = PORT;
        BUG_UNLESS(hw_invept(INVEPT_ALL, 0) == HW_OK);
}

static void one(struct l2 *l, const uint8_t *code, uint64_t to, const char *what)
{
        l2_run(l, code);
        expect_at(l, EXIT_MTF, to, what);
}

static void instructions(struct l2 *l)
{
        prepare(l);
        one(l, l2_nops, (uint64_t)l2_nops + 1, "MTF after NOP");
        one(l, l2_spin, (uint64_t)l2_spin, "MTF after a jump to itself");
        l->gprs.r[GPR_RBX] = WINDOW_4K;
        one(l, l2_read, (uint64_t)l2_read + 3, "MTF after a read of memory");
        one(l, l2_out, (uint64_t)l2_out + 1, "MTF after OUT");
        l->gprs.r[GPR_RCX] = MSR_FEATURE_CONTROL;
        one(l, l2_rdmsr, (uint64_t)l2_rdmsr + 2, "MTF after RDMSR");
        one(l, l2_pause, (uint64_t)l2_pause + 2, "MTF after PAUSE");
        l->gprs.r[GPR_RBX] = WINDOW_APIC + 0x30;
        one(l, l2_read32, (uint64_t)l2_read32 + 2, "MTF after a read of a device");
        l->gprs.r[GPR_RCX] = 3;
        l->gprs.r[GPR_RSI] = (uint64_t)l2_window[0];
        one(l, l2_rep_outsb, (uint64_t)l2_rep_outsb, "MTF after one element of REP OUTSB");
        check(l->p, l->gprs.r[GPR_RCX] == 2, "by the SDM: MTF: two elements are left");
        l2_run(l, l2_cpuid);
        expect_at(l, EXIT_CPUID, (uint64_t)l2_cpuid, "no MTF exit if the instruction exits");
        l2_run(l, l2_hlt);
        expect_at(l, EXIT_MTF, (uint64_t)l2_hlt + 1, "MTF after HLT");
        check(l->p, vmread(F_guest_activity) == ACTIVITY_HLT, "by the SDM: MTF: from the HLT state");
}

static void shadows(struct l2 *l)
{
        prepare(l);
        one(l, l2_sti_nops, (uint64_t)l2_sti_nops + 1, "MTF after STI");
        check(l->p, vmread(F_guest_interruptibility) == INTRBLK_STI && (vmread(F_guest_rflags) & RFLAGS_IF),
              "by the SDM: MTF: blocking by STI");
        l2_resume(l);
        expect_at(l, EXIT_MTF, (uint64_t)l2_sti_nops_after, "MTF after the next one");
        check(l->p, vmread(F_guest_interruptibility) == 0, "by the SDM: MTF: which ends the blocking");
        one(l, l2_sti_nops, (uint64_t)l2_sti_nops + 1, "MTF after STI with IF set");
        check(l->p, vmread(F_guest_interruptibility) == 0, "by the SDM: MTF: which blocks nothing");

        prepare(l);
        l->gprs.r[GPR_RCX] = vmread(F_guest_ss_sel);
        one(l, l2_mov_ss, (uint64_t)l2_mov_ss + 2, "MTF after MOV SS");
        check(l->p, vmread(F_guest_interruptibility) == INTRBLK_MOV_SS, "by the SDM: MTF: blocking by MOV SS");
        l2_resume(l);
        expect_at(l, EXIT_MTF, (uint64_t)l2_mov_ss_after, "MTF after the next one");
        check(l->p, vmread(F_guest_interruptibility) == 0, "by the SDM: MTF: which ends the blocking");
        l->gprs.r[GPR_RCX] = 0xfff8;
        one(l, l2_mov_ss, handler_of(VEC_GP), "MTF after MOV SS that faults");
}

static void events(struct l2 *l)
{
        prepare(l);
        one(l, l2_ud, handler_of(VEC_UD), "MTF after the delivery of #UD");
        one(l, l2_int3, handler_of(VEC_BP), "MTF after INT3");
        l->gprs.r[GPR_RCX] = NO_MSR;
        one(l, l2_rdmsr, handler_of(VEC_GP), "MTF after the delivery of #GP of RDMSR");
        prepare(l);
        l2_set(l, F_entry_intr_info, INTR_VALID | (uint32_t)INTR_TYPE_SW_INTR << 8 | VECTOR);
        l2_set(l, F_entry_insn_len, 2);
        one(l, l2_nops, handler_of(VECTOR), "MTF after an event that is injected");
        prepare(l);
        l2_set(l, F_exception_bitmap, BIT(VEC_UD));
        l2_run(l, l2_ud);
        expect_at(l, EXIT_EXCEPTION_NMI, (uint64_t)l2_ud, "no MTF exit if the exception exits");
        prepare(l);
        l2_set(l, F_guest_idtr_limit, 0);
        l2_run(l, l2_ud);
        expect_at(l, EXIT_TRIPLE_FAULT, (uint64_t)l2_ud, "no MTF exit after a triple fault");

        l2_reset(l);
        l2_set(l, F_entry_intr_info, MTF_EVENT);
        one(l, l2_nops, (uint64_t)l2_nops, "an MTF exit that is injected");
        check(l->p, !(vmread(F_entry_intr_info) & INTR_VALID), "by the SDM: the exit cleared the valid bit of the injection");
        l2_run(l, l2_nops);
        l2_run(l, l2_vmcall);
        expect_at(l, EXIT_VMCALL, (uint64_t)l2_vmcall, "and comes once");
        l2_set(l, F_entry_intr_info, MTF_EVENT | 1);
        check(l->p, l2_run(l, l2_nops) == L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, "by the SDM: no other event is of its type");
}

/* SDM 3C "Monitor Trap Flag": before debug traps, after what exits at the entry. */
static void priorities(struct l2 *l)
{
        prepare(l);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
        one(l, l2_nops, (uint64_t)l2_nops + 1, "MTF before a single-step trap");
        check(l->p, vmread(F_guest_pending_dbg) == PENDING_DBG_BS, "by the SDM: MTF: the trap is pending");
        hw_write_dr6(0xffff0ff0);
        l2_resume(l);
        expect_at(l, EXIT_MTF, handler_of(VEC_DB), "MTF after its delivery");
        check(l->p, (hw_read_dr6() & DR6_BS) && vmread(F_guest_pending_dbg) == 0, "by the SDM: MTF: DR6 tells of the trap");
        hw_write_dr6(0xffff0ff0);
        prepare(l);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
        one(l, l2_out, (uint64_t)l2_out + 1, "MTF before a single-step trap of OUT");
        check(l->p, vmread(F_guest_pending_dbg) == PENDING_DBG_BS, "by the SDM: MTF: the trap is pending");
        prepare(l);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
        one(l, l2_int3, handler_of(VEC_BP), "MTF after INT3 with TF set");

        prepare(l);
        l2_proc_on(l, PROC_INTR_WINDOW);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_run(l, l2_nops);
        expect_at(l, EXIT_INTR_WINDOW, (uint64_t)l2_nops, "a window that is open comes before MTF");
        if (!(l->caps.pin.may1 & PIN_PREEMPTION_TIMER))
                return;
        prepare(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_PREEMPTION_TIMER);
        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) | EXIT_CTL_SAVE_PREEMPTION_TIMER);
        l2_set(l, F_guest_preemption_timer, 0);
        l2_run(l, l2_nops);
        expect_at(l, EXIT_PREEMPTION_TIMER, (uint64_t)l2_nops, "preemption timer 0 comes before MTF");
        l2_set(l, F_guest_preemption_timer, 1000000);
        one(l, l2_nops, (uint64_t)l2_nops + 1, "MTF with a preemption timer");
        check(l->p, vmread(F_guest_preemption_timer) < 1000000 && vmread(F_guest_preemption_timer) > 900000,
              "by the SDM: MTF: the rest of the timer is saved");
}

/* Every instruction once. */
static void loop(struct l2 *l)
{
        prepare(l);
        l->gprs.r[GPR_RCX] = LOOPS;
        unsigned exits = 0;
        uint32_t reason = l2_run(l, l2_loop);
        for (; reason == EXIT_MTF && exits < 10 * LOOPS; exits++)
                reason = l2_resume(l);
        /* PUSHFQ, POPQ, LOOP each time */
        check(l->p, reason == EXIT_VMCALL && exits == 3 * LOOPS, "by the SDM: MTF: %u exits in a loop", exits);
        check(l->p, !(l->gprs.r[GPR_RAX] & RFLAGS_TF), "by the SDM: MTF: the guest sees no TF");
}

void nested_mtf(struct l2 *l)
{
        if (!l->p->cascade || !(l->caps.proc.may1 & PROC_MTF))
                return;
        instructions(l);
        shadows(l);
        events(l);
        priorities(l);
        loop(l);
        l2_reset(l);
}
