/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: single-stepping in the guest over instructions that some hypervisor above may have to carry out, or that
 * it interrupts to map memory, and exceptions that such instructions raise. */
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"
#include "traps.h"

#define PORT      0x80
#define RFLAGS_RF BIT(16)
#define DR6_BS    BIT(14)
#define NO_MSR    0x1fffu

/* Every translation of guest-physical addresses is to be found again. */
static void forget_ept(struct l2 *l)
{
        BUG_UNLESS(hw_invept(INVEPT_ALL, 0) == HW_OK);
}

static void step(struct l2 *l, const uint8_t *code, unsigned length, const char *what)
{
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
        l2_set(l, F_guest_pending_dbg, 0);
        forget_ept(l);
        traps()->vector = NO_VECTOR;
        traps()->dr6 = 0;
        traps()->resume = (uint64_t)l2_vmcall;
        l2_run(l, code);
        const uint64_t at = traps()->rip - (uint64_t)code;
        check(l->p,
              l->exit.reason == EXIT_VMCALL && traps()->vector == VEC_DB && at == length && (traps()->dr6 & DR6_BS),
              "a step of the guest over %s", what);
}

static void steps(struct l2 *l)
{
        static uint8_t bytes[4];
        l2_reset(l);
        l2_proc_on(l, PROC_IO_BITMAPS);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)(PROC_HLT | PROC_CR8_LOAD | PROC_CR8_STORE));
        step(l, l2_nops, 1, "NOP");
        l->gprs.r[GPR_RBX] = WINDOW_4K;
        step(l, l2_read, 3, "a read of memory");
        step(l, l2_write, 3, "a write of memory");
        step(l, l2_in_imm, 2, "IN");
        l->gprs.r[GPR_RDX] = PORT;
        step(l, l2_outw, 2, "OUT");
        l->gprs.r[GPR_RCX] = MSR_FEATURE_CONTROL;
        step(l, l2_rdmsr, 2, "RDMSR");
        step(l, l2_pause, 2, "PAUSE");
        step(l, l2_wbinvd, 2, "WBINVD");
        step(l, l2_read_cr8, 4, "MOV from CR8");
        step(l, l2_read_cr0, 3, "MOV from CR0");
        l->gprs.r[GPR_RBX] = WINDOW_APIC + 0x30;
        step(l, l2_read32, 2, "a read of a device");
        l->gprs.r[GPR_RSI] = (uint64_t)bytes;
        l->gprs.r[GPR_RCX] = 3;
        step(l, l2_rep_outsb, 0, "REP OUTSB: one element");
        check(l->p, l->gprs.r[GPR_RCX] == 2, "REP OUTSB: two are left");
        l->gprs.r[GPR_RCX] = 1;
        step(l, l2_rep_outsb, 2, "REP OUTSB: the last element");
        l->gprs.r[GPR_RCX] = vmread(F_guest_ss_sel);
        step(l, l2_mov_ss, (unsigned)(l2_mov_ss_after - l2_mov_ss), "MOV SS, which takes the next one along");
}

/* SDM 3C "Saving Non-Register State". Bochs 2.7 saves the trap of the instruction that exits. */
static void exit_with_tf(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
        l2_run(l, l2_cpuid);
        l2_expect(l, EXIT_CPUID, 0, "CPUID with TF set");
        if (l->p->cascade)
                check(l->p, vmread(F_guest_pending_dbg) == 0, "by the SDM: nothing is pending at an exit of CPUID with TF set");
        l2_reset(l);
        l2_proc_on(l, PROC_IO_BITMAPS);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_RF);
        l->gprs.r[GPR_RDX] = PORT;
        l2_run(l, l2_out);
        check(l->p, l->exit.reason == EXIT_VMCALL && !(vmread(F_guest_rflags) & RFLAGS_RF), "RF ends with an instruction");
}

/* Exceptions of instructions that the guest hypervisor lets through, but not their exceptions. */
static void faults(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_exception_bitmap, BIT(VEC_GP));
        l->gprs.r[GPR_RCX] = NO_MSR;
        l2_run(l, l2_rdmsr);
        l2_expect(l, EXIT_EXCEPTION_NMI, 0, "#GP of RDMSR by the exception bitmap");
        check(l->p, l->exit.intr_info == (INTR_VALID | INTR_ERROR_VALID | INTR_TYPE_HW_EXCEPTION << 8 | VEC_GP),
              "its information is 0x%x", l->exit.intr_info);
        check(l->p, l->exit.rip == (uint64_t)l2_rdmsr, "RIP is at RDMSR");
        l2_set(l, F_exception_bitmap, 0);
        traps()->resume = (uint64_t)l2_vmcall;
        l2_run(l, l2_rdmsr);
        check(l->p, l->exit.reason == EXIT_VMCALL && traps()->vector == VEC_GP && traps()->rip == (uint64_t)l2_rdmsr,
              "#GP of RDMSR without the exception bitmap");
        check(l->p, traps()->rflags & RFLAGS_RF, "its flags have RF set");
}

void nested_debug(struct l2 *l)
{
        steps(l);
        exit_with_tf(l);
        faults(l);
        l2_reset(l);
}
