/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: the local APIC that a hypervisor gives its guest by VMX controls. SDM 3C chapter "APIC Virtualization and
 * Virtual Interrupts". */
#include "apic.h"
#include "base/libc.h"
#include "base/x86.h"
#include "irq_wait.h"
#include "nested.h"

#define ACCESS_WRITE   0x1000u /* exit qualification of APIC accesses */
#define ACCESS_FETCH   0x2000u
#define ACCESS_EVENT   0x3000u
#define APIC_APR       0x090
#define APIC_LDR       0x0d0
#define HOLE           0xd0000000ull /* no RAM and no device */
#define PAGE_3         (WINDOW_4K + 3 * PAGE_SIZE)
#define EPT_RWX_WB     (7u | 6u << 3)
#define VALUE          0x5a5a0001u
#define WRITE_CR8_LEN  4
#define WRMSR_LEN      2
#define MOV_LEN        2
#define VECTOR_A       0x55u
#define VECTOR_B       0x66u
#define VECTOR_LOW     5u
#define MSR_TPR        (MSR_X2APIC_FIRST + (APIC_TPR >> 4))
#define MSR_ID         (MSR_X2APIC_FIRST + (APIC_ID >> 4))
#define MSR_EOI        (MSR_X2APIC_FIRST + (APIC_EOI >> 4))
#define MSR_ICR        (MSR_X2APIC_FIRST + (APIC_ICR >> 4))
#define MSR_SELF_IPI   (MSR_X2APIC_FIRST + (APIC_SELF_IPI >> 4))
#define BAD_CONTROLS   (L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS)
#define STATUS(rvi, svi) ((rvi) | (svi) << 8)

static uint8_t vapic[PAGE_SIZE] __attribute__((aligned(4096)));

static volatile uint32_t *reg(uint32_t offset)
{
        return (volatile uint32_t *)(void *)(vapic + offset);
}

static bool has(const struct l2 *l, uint32_t proc, uint32_t proc2)
{
        return (l->caps.proc.may1 & proc) == proc && (l->caps.proc2.may1 & proc2) == proc2;
}

/* A clean start: TPR shadow on, threshold 0, an empty virtual-APIC page. */
static void start(struct l2 *l, uint32_t proc2)
{
        l2_reset(l);
        memset(vapic, 0, sizeof(vapic));
        l2_proc_on(l, PROC_TPR_SHADOW);
        l2_proc2_on(l, proc2);
        l2_set(l, F_virtual_apic_page, (uint64_t)vapic);
        l2_set(l, F_tpr_threshold, 0);
}

static void run_with(struct l2 *l, const uint8_t *code, uint64_t rbx, uint64_t rax)
{
        l->gprs.r[GPR_RBX] = rbx;
        l->gprs.r[GPR_RAX] = rax;
        l2_run(l, code);
}

static void wrmsr(struct l2 *l, uint32_t msr, uint64_t value)
{
        l->gprs.r[GPR_RCX] = msr;
        l->gprs.r[GPR_RDX] = value >> 32;
        run_with(l, l2_wrmsr, 0, (uint32_t)value);
}

static void rdmsr(struct l2 *l, uint32_t msr)
{
        l->gprs.r[GPR_RCX] = msr;
        run_with(l, l2_rdmsr, 0, 0);
}

/* --- TPR shadow --- */

static void tpr_shadow(struct l2 *l)
{
        start(l, 0);
        run_with(l, l2_write_cr8, 5, 0);
        l2_expect(l, EXIT_VMCALL, 0, "TPR shadow: MOV to CR8");
        check(l->p, *reg(APIC_TPR) == 0x50, "it is in the virtual-APIC page: 0x%x", *reg(APIC_TPR));
        *reg(APIC_TPR) = 0xb7;
        run_with(l, l2_read_cr8, 0, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RBX] == 0xb, "TPR shadow: MOV from CR8");
        check(l->p, xapic_read(APIC_TPR) == 0, "the hypervisor's own TPR is another");
        l2_proc_on(l, PROC_CR8_LOAD | PROC_CR8_STORE);
        run_with(l, l2_write_cr8, 5, 0);
        l2_expect(l, EXIT_CR_ACCESS, 0x308, "CR8-load exiting with a TPR shadow");
        run_with(l, l2_read_cr8, 5, 0);
        l2_expect(l, EXIT_CR_ACCESS, 0x318, "CR8-store exiting with a TPR shadow");

        start(l, 0);
        l2_set(l, F_virtual_apic_page, HOLE);
        run_with(l, l2_write_cr8, 5, 0);
        l2_expect(l, EXIT_VMCALL, 0, "TPR shadow where no memory is: MOV to CR8");
        run_with(l, l2_read_cr8, 0, 0);
        check(l->p, l->gprs.r[GPR_RBX] == 0xf, "it reads as all ones: 0x%llx",
              (unsigned long long)l->gprs.r[GPR_RBX]);
}

static void tpr_threshold(struct l2 *l)
{
        start(l, 0);
        *reg(APIC_TPR) = 0x50;
        l2_set(l, F_tpr_threshold, 4);
        run_with(l, l2_write_cr8, 4, 0);
        l2_expect(l, EXIT_VMCALL, 0, "TPR at the threshold");
        run_with(l, l2_write_cr8, 3, 0);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "TPR below the threshold");
        check(l->p, l->exit.rip == (uint64_t)l2_write_cr8 + WRITE_CR8_LEN && *reg(APIC_TPR) == 0x30,
              "the exit is behind the instruction");
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == BAD_CONTROLS, "an entry with the TPR below the threshold fails");
        *reg(APIC_TPR) = 0x40;
        l2_run(l, l2_vmcall);
        l2_expect(l, EXIT_VMCALL, 0, "an entry after memory has changed");
        *reg(APIC_TPR) = 0x3f;
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == BAD_CONTROLS, "and after it has changed back");
        *reg(APIC_TPR) = 0xff;
        l2_set(l, F_tpr_threshold, 0x10);
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == BAD_CONTROLS, "TPR threshold, reserved bits");
}

/* SDM 3C "TPR Virtualization" does not see a plain write to the virtual-APIC page, but a cascade above enters again. */
static void tpr_written_as_memory(struct l2 *l)
{
        if (!l->p->hypervisor)
                return;
        start(l, 0);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_UNCOND_IO);
        *reg(APIC_TPR) = 0x50;
        l2_set(l, F_tpr_threshold, 4);
        run_with(l, l2_write32_post, (uint64_t)reg(APIC_TPR), 0x30);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "TPR below the threshold as memory");
        *reg(APIC_TPR) = 0x40;
        l2_resume(l);
        l2_expect(l, EXIT_VMCALL, 0, "TPR below the threshold as memory, and up again");
}

static void wrong_controls(struct l2 *l)
{
        static const struct {
                const char *what;
                uint32_t proc, proc2;
                enum vmcs_field field;
                uint64_t value;
        } rows[] = {
                { "virtual-APIC page not aligned", PROC_TPR_SHADOW, 0, F_virtual_apic_page, 0x10 },
                { "virtual-APIC page too wide", PROC_TPR_SHADOW, 0, F_virtual_apic_page, BIT(51) },
                { "APIC-access page not aligned", PROC_TPR_SHADOW, PROC2_APIC_ACCESS, F_apic_access_page, 0x10 },
                { "APIC-access page too wide", PROC_TPR_SHADOW, PROC2_APIC_ACCESS, F_apic_access_page, BIT(51) },
                { "x2APIC mode and APIC accesses", PROC_TPR_SHADOW, PROC2_APIC_ACCESS | PROC2_X2APIC, F_tpr_threshold, 0 },
                { "x2APIC mode without a TPR shadow", 0, PROC2_X2APIC, F_tpr_threshold, 0 },
                { "APIC registers without a TPR shadow", 0, PROC2_APIC_REGS, F_tpr_threshold, 0 },
                { "virtual-interrupt delivery without external-interrupt exiting", PROC_TPR_SHADOW, PROC2_VID,
                  F_tpr_threshold, 0 },
        };
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                if (!has(l, PROC_TPR_SHADOW, rows[i].proc2))
                        continue;
                start(l, rows[i].proc2);
                l2_set(l, F_apic_access_page, (uint64_t)l2_window[3]);
                if (!rows[i].proc)
                        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_TPR_SHADOW);
                l2_set(l, rows[i].field, rows[i].value);
                l2_run(l, l2_vmcall);
                check(l->p, l->exit.reason == BAD_CONTROLS, "%s", rows[i].what);
        }
}

/* --- APIC accesses --- */

static void access_exits(struct l2 *l, uint64_t at, const char *where)
{
        run_with(l, l2_read32, at + APIC_ID, 0);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_ID, where);
        run_with(l, l2_write32, at + APIC_ICR, VALUE);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_ICR | ACCESS_WRITE, where);
        check(l->p, l->exit.rip == (uint64_t)l2_write32, "%s: RIP stays", where);
}

static void access_page(struct l2 *l)
{
        l2_reset(l);
        l2_proc2_on(l, PROC2_APIC_ACCESS);
        l2_set(l, F_apic_access_page, (uint64_t)l2_window[3]);
        access_exits(l, PAGE_3, "APIC access, a page of 4 KiB");
        run_with(l, l2_read32, PAGE_3 + APIC_TPR, 0);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_TPR, "APIC access to the TPR without a TPR shadow");
        run_with(l, l2_rmw32, PAGE_3 + APIC_ID, 0);
        check(l->p, l->exit.reason == EXIT_APIC_ACCESS, "APIC access, read and written");
        run_with(l, l2_read32, WINDOW_4K + 8, 0);
        l2_expect(l, EXIT_VMCALL, 0, "the page beside is memory");
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_UNCOND_IO);
        l->gprs.r[GPR_RCX] = 1;
        run_with(l, l2_post_string, PAGE_3 + APIC_ID, 0);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_ID, "APIC access by OUTS");
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_set(l, F_guest_rsp, PAGE_3 + PAGE_SIZE);
        l2_set(l, F_entry_intr_info, INTR_VALID | VECTOR_A);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_APIC_ACCESS, 0xff8 | ACCESS_EVENT, "APIC access by the delivery of an event");
        check(l->p, l->exit.idt_info == (INTR_VALID | VECTOR_A), "IDT-vectoring information 0x%x", l->exit.idt_info);
        l2_set(l, F_guest_rsp, (uint64_t)vapic + PAGE_SIZE);
        if (l->p->hypervisor) { /* Bochs 2.7 gives up */
                run_with(l, l2_jump, PAGE_3 + 0x123, 0);
                l2_expect(l, EXIT_APIC_ACCESS, 0x123 | ACCESS_FETCH, "by the SDM: APIC access, a fetch");
        }

        /* A VMCS with the same EPT for which it is memory as any other. */
        *(volatile uint32_t *)(l2_window[3] + APIC_ID) = VALUE;
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)PROC2_APIC_ACCESS);
        run_with(l, l2_read32, PAGE_3 + APIC_ID, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "without the control it is memory");
        l2_proc2_on(l, PROC2_APIC_ACCESS);
        access_exits(l, PAGE_3, "APIC access, and back");
}

static void access_elsewhere(struct l2 *l)
{
        const uint64_t old = l2_ept_pt[3];
        static const struct {
                uint64_t at;
                const char *what;
        } rows[] = { { APIC_BASE, "APIC access, the local APIC's own page" }, { HOLE, "APIC access, a page without memory" } };
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                l2_reset(l);
                l2_proc2_on(l, PROC2_APIC_ACCESS);
                l2_set(l, F_apic_access_page, rows[i].at);
                l2_ept_pt[3] = rows[i].at | EPT_RWX_WB;
                BUG_UNLESS(hw_invept(INVEPT_SINGLE, vmread(F_eptp)) == HW_OK);
                access_exits(l, PAGE_3, rows[i].what);
        }
        l2_ept_pt[3] = old;
        BUG_UNLESS(hw_invept(INVEPT_SINGLE, vmread(F_eptp)) == HW_OK);

        l2_reset(l);
        l2_proc2_on(l, PROC2_APIC_ACCESS);
        l2_set(l, F_apic_access_page, WINDOW_2M_AT + 0x5000);
        access_exits(l, WINDOW_2M + 0x5000, "APIC access, in a page of 2 MiB");
        *(volatile uint32_t *)(WINDOW_2M_AT + 0x6020) = VALUE;
        run_with(l, l2_read32, WINDOW_2M + 0x6020, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "the rest of that page is memory");

        l2_reset(l);
        l2_set(l, F_proc2_ctls, ctl_make(l->caps.proc2, PROC2_APIC_ACCESS));
        l2_set(l, F_apic_access_page, APIC_BASE);
        access_exits(l, APIC_BASE, "APIC access without EPT");
        l2_set(l, F_apic_access_page, (uint64_t)l2_window[3]);
        access_exits(l, (uint64_t)l2_window[3], "APIC access without EPT, memory");
        run_with(l, l2_movs32, APIC_BASE + APIC_VERSION, (uint64_t)l2_window[3] + APIC_ID);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_ID | ACCESS_WRITE, "APIC access by MOVS from the local APIC");
        run_with(l, l2_read32, APIC_BASE + APIC_VERSION, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == xapic_read(APIC_VERSION),
              "without EPT the local APIC is there");
}

static void access_virtualized(struct l2 *l)
{
        start(l, PROC2_APIC_ACCESS);
        l2_set(l, F_apic_access_page, (uint64_t)l2_window[3]);
        *reg(APIC_TPR) = 0x70;
        run_with(l, l2_read32, PAGE_3 + APIC_TPR, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == 0x70, "a read of the TPR in memory");
        run_with(l, l2_write32, PAGE_3 + APIC_TPR, 0x62);
        check(l->p, l->exit.reason == EXIT_VMCALL && *reg(APIC_TPR) == 0x62, "a write of the TPR in memory");
        run_with(l, l2_read, PAGE_3 + APIC_TPR, 0);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_TPR, "a read of eight bytes");
        access_exits(l, PAGE_3, "APIC access with a TPR shadow");
        l2_set(l, F_tpr_threshold, 4);
        run_with(l, l2_write32, PAGE_3 + APIC_TPR, 0x3f);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "TPR below the threshold, by a write to memory");
        check(l->p, l->exit.rip == (uint64_t)l2_write32 + MOV_LEN, "the exit is behind the write");
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "an entry with the TPR below the threshold exits");
        check(l->p, l->exit.rip == (uint64_t)l2_nops, "nothing was executed");
        l2_set(l, F_guest_activity, ACTIVITY_HLT);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "from HLT as well");
        l2_set(l, F_guest_activity, ACTIVITY_ACTIVE);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_EXT_INTR);
        irq_forget(VECTOR_B, EOI_APIC);
        apic_write(APIC_ICR, ICR_SELF | VECTOR_B);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "before an interrupt that is pending");
        irq_let_in();
        check(l->p, trap_count(VECTOR_B) == 1, "which arrives afterwards");
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_set(l, F_entry_intr_info, INTR_VALID | VECTOR_A);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "after the event that is injected");
        check(l->p, l->exit.rip != (uint64_t)l2_nops && l->exit.idt_info == 0, "which has been delivered");
}

static void register_virtualization(struct l2 *l)
{
        start(l, PROC2_APIC_ACCESS | PROC2_APIC_REGS);
        l2_set(l, F_apic_access_page, (uint64_t)l2_window[3]);
        *reg(APIC_ID) = 0x07000000;
        run_with(l, l2_read32, PAGE_3 + APIC_ID, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == 0x07000000, "APIC registers: a read");
        run_with(l, l2_read32, PAGE_3 + APIC_APR, 0);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_APR, "APIC registers: a read of one that is not virtualized");
        run_with(l, l2_write32, PAGE_3 + APIC_LDR, 0x0f000000);
        l2_expect(l, EXIT_APIC_WRITE, APIC_LDR, "APIC registers: a write");
        check(l->p, l->exit.rip == (uint64_t)l2_write32 + MOV_LEN && *reg(APIC_LDR) == 0x0f000000,
              "the exit is behind the write");
        run_with(l, l2_write32, PAGE_3 + APIC_ICR_HIGH, 0x03ffffff);
        l2_expect(l, EXIT_VMCALL, 0, "APIC registers: a write of the upper half of ICR");
        check(l->p, *reg(APIC_ICR_HIGH) == 0x03000000, "its reserved bits are cleared: 0x%x", *reg(APIC_ICR_HIGH));
        run_with(l, l2_write32, PAGE_3 + APIC_ICR, ICR_SELF | VECTOR_A);
        l2_expect(l, EXIT_APIC_WRITE, APIC_ICR, "APIC registers: a write of ICR");
        run_with(l, l2_write32, PAGE_3 + APIC_EOI, 0);
        l2_expect(l, EXIT_APIC_WRITE, APIC_EOI, "APIC registers: a write of EOI");
        run_with(l, l2_write32, PAGE_3 + APIC_VERSION, 0);
        l2_expect(l, EXIT_APIC_ACCESS, APIC_VERSION | ACCESS_WRITE, "APIC registers: a write of one that is read-only");
}

/* --- x2APIC mode --- */

static void expect_gp(struct l2 *l, const char *what)
{
        check(l->p, l->exit.reason == EXIT_VMCALL && traps()->vector == VEC_GP, "%s: #GP", what);
        traps()->vector = NO_VECTOR;
        traps()->resume = (uint64_t)l2_vmcall;
}

static void x2apic(struct l2 *l)
{
        start(l, PROC2_X2APIC);
        *reg(APIC_TPR) = 0x40;
        *reg(APIC_ID) = VALUE;
        rdmsr(l, MSR_TPR);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == 0x40 && l->gprs.r[GPR_RDX] == 0,
              "x2APIC mode: RDMSR of the TPR");
        wrmsr(l, MSR_TPR, 0x53);
        check(l->p, l->exit.reason == EXIT_VMCALL && *reg(APIC_TPR) == 0x53, "x2APIC mode: WRMSR of the TPR");
        l2_set(l, F_tpr_threshold, 5);
        wrmsr(l, MSR_TPR, 0x4f);
        l2_expect(l, EXIT_TPR_THRESHOLD, 0, "TPR below the threshold, by WRMSR");
        check(l->p, l->exit.rip == (uint64_t)l2_wrmsr + WRMSR_LEN, "the exit is behind WRMSR");
        l2_set(l, F_tpr_threshold, 0);

        traps()->resume = (uint64_t)l2_vmcall;
        wrmsr(l, MSR_TPR, 0x100);
        expect_gp(l, "x2APIC mode: WRMSR of the TPR, reserved bits");
        /* The processor's own local APIC is not in x2APIC mode: what is not virtualized is not there. */
        rdmsr(l, MSR_ID);
        expect_gp(l, "x2APIC mode: RDMSR of a register that is not virtualized");
        wrmsr(l, MSR_EOI, 0);
        expect_gp(l, "x2APIC mode: WRMSR of EOI that is not virtualized");
        wrmsr(l, MSR_ICR, VECTOR_A);
        expect_gp(l, "x2APIC mode: WRMSR of ICR");
        if (has(l, 0, PROC2_APIC_REGS)) {
                l2_proc2_on(l, PROC2_APIC_REGS);
                rdmsr(l, MSR_ID);
                check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE,
                      "x2APIC mode with APIC registers: RDMSR");
                rdmsr(l, MSR_X2APIC_FIRST + 0xff);
                l2_expect(l, EXIT_VMCALL, 0, "x2APIC mode with APIC registers: RDMSR of the last");
                wrmsr(l, MSR_ICR, VECTOR_A);
                expect_gp(l, "x2APIC mode with APIC registers: WRMSR of ICR");
        }
        l2_msr_bitmap[MSR_TPR / 8] |= (uint8_t)BIT(MSR_TPR % 8);
        rdmsr(l, MSR_TPR);
        l2_expect(l, EXIT_RDMSR, 0, "x2APIC mode: RDMSR by the bitmap");
        wrmsr(l, MSR_TPR, 0x20);
        l2_expect(l, EXIT_VMCALL, 0, "x2APIC mode: WRMSR not by the bitmap");
        l2_msr_bitmap[MSR_TPR / 8] = 0;
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)(PROC2_X2APIC | PROC2_APIC_REGS));
        rdmsr(l, MSR_TPR);
        expect_gp(l, "without x2APIC mode: RDMSR of the TPR");
        wrmsr(l, MSR_TPR, 0);
        expect_gp(l, "without x2APIC mode: WRMSR of the TPR");
        traps()->resume = 0;
}

/* --- virtual interrupts --- */

static void start_delivery(struct l2 *l, unsigned rvi, uint64_t rflags)
{
        start(l, PROC2_X2APIC | PROC2_VID);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_EXT_INTR);
        const enum vmcs_field bitmaps[] = { F_eoi_exit_bitmap0, F_eoi_exit_bitmap1, F_eoi_exit_bitmap2,
                                            F_eoi_exit_bitmap3 };
        for (unsigned i = 0; i < ARRAY_LEN(bitmaps); i++)
                l2_set(l, bitmaps[i], 0);
        l2_set(l, F_guest_intr_status, STATUS(rvi, 0u));
        if (rvi)
                *reg(APIC_IRR + rvi / 32 * 16) = 1u << rvi % 32;
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | rflags);
        irq_forget(VECTOR_A, EOI_NONE);
        irq_forget(VECTOR_B, EOI_NONE);
}

static bool requested(unsigned vector)
{
        return *reg(APIC_IRR + vector / 32 * 16) >> vector % 32 & 1;
}

static bool in_service(unsigned vector)
{
        return *reg(APIC_ISR + vector / 32 * 16) >> vector % 32 & 1;
}

static void delivery(struct l2 *l)
{
        start_delivery(l, VECTOR_A, RFLAGS_IF);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_VMCALL, 0, "a virtual interrupt at the entry");
        check(l->p, trap_count(VECTOR_A) == 1 && traps()->interrupt_rip == (uint64_t)l2_nops,
              "the guest has taken it before its first instruction");
        check(l->p, vmread(F_guest_intr_status) == STATUS(0u, VECTOR_A), "guest interrupt status 0x%llx",
              (unsigned long long)vmread(F_guest_intr_status));
        check(l->p, !requested(VECTOR_A) && in_service(VECTOR_A), "it went from VIRR to VISR");
        wrmsr(l, MSR_EOI, 0);
        l2_expect(l, EXIT_VMCALL, 0, "EOI of a virtual interrupt");
        check(l->p, vmread(F_guest_intr_status) == 0 && !in_service(VECTOR_A), "it is no longer in service");

        start_delivery(l, VECTOR_A, 0);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_VMCALL, 0, "a virtual interrupt with RFLAGS.IF clear");
        check(l->p, trap_count(VECTOR_A) == 0 && requested(VECTOR_A), "waits");
        l2_run(l, l2_sti_nops);
        check(l->p, trap_count(VECTOR_A) == 1 && traps()->interrupt_rip == (uint64_t)l2_sti_nops_after,
              "until behind the shadow of STI");

        start_delivery(l, VECTOR_A, RFLAGS_IF);
        *reg(APIC_TPR) = 0x50;
        l2_run(l, l2_nops);
        check(l->p, l->exit.reason == EXIT_VMCALL && trap_count(VECTOR_A) == 0, "the TPR holds a virtual interrupt back");
        run_with(l, l2_write_cr8, 4, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && trap_count(VECTOR_A) == 1 && traps()->interrupt_rip == (uint64_t)l2_write_cr8 + WRITE_CR8_LEN,
              "until it is lowered");

        start_delivery(l, VECTOR_A, RFLAGS_IF);
        l2_proc_on(l, PROC_INTR_WINDOW);
        l2_run(l, l2_nops);
        l2_expect(l, EXIT_INTR_WINDOW, 0, "an interrupt window with a virtual interrupt");
        check(l->p, trap_count(VECTOR_A) == 0 && l->exit.rip == (uint64_t)l2_nops, "holds it back");
}

static void eoi_exits(struct l2 *l)
{
        start_delivery(l, 0, 0);
        l2_set(l, F_guest_intr_status, STATUS(0u, VECTOR_A));
        *reg(APIC_ISR + VECTOR_A / 32 * 16) = 1u << VECTOR_A % 32;
        l2_set(l, F_eoi_exit_bitmap1, BIT(VECTOR_A - 64));
        wrmsr(l, MSR_EOI, 0);
        l2_expect(l, EXIT_VIRTUALIZED_EOI, VECTOR_A, "EOI by the EOI-exit bitmap");
        check(l->p, l->exit.rip == (uint64_t)l2_wrmsr + WRMSR_LEN && vmread(F_guest_intr_status) == 0 && !in_service(VECTOR_A),
              "the exit is behind the EOI");
}

static void self_ipi(struct l2 *l)
{
        start_delivery(l, 0, RFLAGS_IF);
        wrmsr(l, MSR_SELF_IPI, VECTOR_B);
        l2_expect(l, EXIT_VMCALL, 0, "self-IPI");
        check(l->p, trap_count(VECTOR_B) == 1 && traps()->interrupt_rip == (uint64_t)l2_wrmsr + WRMSR_LEN,
              "the guest has taken it");
        wrmsr(l, MSR_SELF_IPI, VECTOR_A);
        check(l->p, l->exit.reason == EXIT_VMCALL && trap_count(VECTOR_A) == 0 && vmread(F_guest_intr_status) == STATUS(VECTOR_A, VECTOR_B),
              "one of lower priority waits");
        wrmsr(l, MSR_EOI, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && trap_count(VECTOR_A) == 1 && vmread(F_guest_intr_status) == STATUS(0u, VECTOR_A),
              "until the EOI");
        wrmsr(l, MSR_SELF_IPI, VECTOR_LOW);
        l2_expect(l, EXIT_APIC_WRITE, APIC_SELF_IPI, "self-IPI of a vector below 16");

        start_delivery(l, 0, RFLAGS_IF);
        l2_set(l, F_proc2_ctls, (vmread(F_proc2_ctls) & ~(uint64_t)PROC2_X2APIC) | PROC2_APIC_ACCESS);
        l2_set(l, F_apic_access_page, (uint64_t)l2_window[3]);
        run_with(l, l2_write32, PAGE_3 + APIC_ICR, ICR_SELF | VECTOR_B);
        l2_expect(l, EXIT_VMCALL, 0, "self-IPI by the ICR in memory");
        check(l->p, trap_count(VECTOR_B) == 1, "the guest has taken it");
        run_with(l, l2_write32, PAGE_3 + APIC_EOI, 0);
        l2_expect(l, EXIT_VMCALL, 0, "EOI in memory");
        check(l->p, vmread(F_guest_intr_status) == 0 && !in_service(VECTOR_B), "it is no longer in service");
        run_with(l, l2_write32, PAGE_3 + APIC_ICR, VECTOR_B);
        l2_expect(l, EXIT_APIC_WRITE, APIC_ICR, "an IPI to another by the ICR in memory");
}

/* Bochs 2.7 never wakes up. */
static void halted(struct l2 *l)
{
        if (!l->p->hypervisor)
                return;
        start_delivery(l, VECTOR_A, 0);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_HLT);
        l2_run(l, l2_sti_hlt);
        check(l->p, l->exit.reason == EXIT_VMCALL && trap_count(VECTOR_A) == 1,
              "by the SDM: a virtual interrupt wakes from HLT");
        start_delivery(l, VECTOR_A, RFLAGS_IF);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_HLT);
        l2_set(l, F_guest_activity, ACTIVITY_HLT);
        l2_run(l, l2_nops);
        check(l->p, l->exit.reason == EXIT_VMCALL && trap_count(VECTOR_A) == 1,
              "by the SDM: a virtual interrupt wakes from HLT that was entered");
}

void nested_apic(struct l2 *l)
{
        if (has(l, PROC_TPR_SHADOW, 0)) {
                tpr_shadow(l);
                tpr_threshold(l);
                tpr_written_as_memory(l);
                wrong_controls(l);
        }
        if (has(l, 0, PROC2_APIC_ACCESS)) {
                access_page(l);
                access_elsewhere(l);
        }
        if (has(l, PROC_TPR_SHADOW, PROC2_APIC_ACCESS))
                access_virtualized(l);
        if (has(l, PROC_TPR_SHADOW, PROC2_APIC_ACCESS | PROC2_APIC_REGS))
                register_virtualization(l);
        if (has(l, PROC_TPR_SHADOW, PROC2_X2APIC))
                x2apic(l);
        if (has(l, PROC_TPR_SHADOW, PROC2_X2APIC | PROC2_VID | PROC2_APIC_ACCESS)) {
                delivery(l);
                eoi_exits(l);
                self_ipi(l);
                halted(l);
        }
}
