/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: instructions that exit, the bitmaps and masks that decide about it, and what the exit
 * tells. */
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"

#define PORT_TRAPPED 0x5555
#define PORT_PASSED  0x80
#define MSR_OUTSIDE  0x40000000
#define BITMAP_WRITE 2048
#define TSC_SHIFT    (1ull << 40)
#define TSC_SLACK    (1ull << 32)
#define IN_IMM_PORT  0x71
#define CR4_OSXSAVE  BIT(18)

static void set_bit(uint8_t *bitmap, unsigned bit)
{
        bitmap[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

static uint64_t io_qualification(unsigned port, unsigned bytes, uint64_t flags)
{
        return PUT(0, IOQ_PORT, port) | (bytes - 1) | flags;
}

static void with_length(struct l2 *l, uint32_t reason, uint64_t qualification, uint32_t length,
                        const char *what)
{
        l2_expect(l, reason, qualification, what);
        if (l->exit.insn_len != length)
                check(l->p, false, "%s: length %u", what, l->exit.insn_len);
}

/* Instructions that always exit, or by one control each. */
static const struct {
        const char *what;
        const uint8_t *code;
        uint32_t proc, proc2;
        uint32_t reason;
        uint32_t length;
        uint64_t qualification;
} single[] = {
        { "CPUID", l2_cpuid, 0, 0, EXIT_CPUID, 2, 0 },
        { "VMCALL", l2_vmcall, 0, 0, EXIT_VMCALL, 3, 0 },
        { "INVD", l2_invd, 0, 0, EXIT_INVD, 2, 0 },
        { "XSETBV", l2_xsetbv, 0, 0, EXIT_XSETBV, 3, 0 },
        { "VMLAUNCH", l2_vmlaunch, 0, 0, EXIT_VMLAUNCH, 3, 0 },
        { "VMREAD", l2_vmread, 0, 0, EXIT_VMREAD, 3, 0 },
        { "HLT", l2_hlt, PROC_HLT, 0, EXIT_HLT, 1, 0 },
        { "RDTSC", l2_rdtsc, PROC_RDTSC, 0, EXIT_RDTSC, 2, 0 },
        { "RDPMC", l2_rdpmc, PROC_RDPMC, 0, EXIT_RDPMC, 2, 0 },
        { "PAUSE", l2_pause, PROC_PAUSE, 0, EXIT_PAUSE, 2, 0 },
        { "INVLPG", l2_invlpg, PROC_INVLPG, 0, EXIT_INVLPG, 3, 0x12345000 },
        { "WBINVD", l2_wbinvd, 0, PROC2_WBINVD, EXIT_WBINVD, 2, 0 },
        { "RDRAND", l2_rdrand, 0, PROC2_RDRAND, EXIT_RDRAND, 4, 0 },
        { "STR", l2_str, 0, PROC2_DESC_TABLE, EXIT_LDTR_TR, 4, 0 },
        { "SGDT", l2_sgdt, 0, PROC2_DESC_TABLE, EXIT_GDTR_IDTR, 4, 8 },
        { "SIDT", l2_sidt, 0, PROC2_DESC_TABLE, EXIT_GDTR_IDTR, 4, 0 },
        { "VMXON", l2_vmxon, 0, 0, EXIT_VMXON, 5, 16 },
        { "VMPTRST", l2_vmptrst, 0, 0, EXIT_VMPTRST, 3, 0 },
        { "MOV to DR7", l2_write_dr7, PROC_MOV_DR, 0, EXIT_MOV_DR, 3, 7 | 3 << 8 },
        { "MOV from DR6", l2_read_dr6, PROC_MOV_DR, 0, EXIT_MOV_DR, 3, 6 | 1 << 4 | 1 << 8 },
};

static bool has_info(uint32_t reason)
{
        return reason == EXIT_GDTR_IDTR || reason == EXIT_LDTR_TR || reason == EXIT_VMXON ||
               reason == EXIT_VMREAD || reason == EXIT_VMPTRST || reason == EXIT_RDRAND;
}

/* SDM 3C "Exit Qualification": 0 without a displacement. Bochs 2.7 leaves there what its decoder had left
 * over. */
static bool has_register(uint32_t reason)
{
        return reason == EXIT_VMREAD || reason == EXIT_LDTR_TR;
}

static void instructions(struct l2 *l)
{
        for (unsigned i = 0; i < ARRAY_LEN(single); i++) {
                l2_reset(l);
                l2_proc_on(l, single[i].proc);
                l2_proc2_on(l, single[i].proc2);
                if (single[i].reason == EXIT_XSETBV) /* else it raises #UD */
                        l2_set(l, F_guest_cr4, vmread(F_guest_cr4) | CR4_OSXSAVE);
                l->gprs.r[GPR_RBX] = single[i].reason == EXIT_INVLPG ? 0x12345000 : 0;
                l2_run(l, single[i].code);
                if (has_register(single[i].reason))
                        l->exit.qualification = 0;
                with_length(l, single[i].reason, single[i].qualification, single[i].length, single[i].what);
                if (has_info(single[i].reason))
                        say("     instruction information 0x%x", l->exit.insn_info);
                if (single[i].proc | single[i].proc2)
                        continue;
                check(l->p, l->exit.rip == (uint64_t)single[i].code, "%s: RIP stays", single[i].what);
        }
}

static void registers(struct l2 *l)
{
        l2_reset(l);
        for (unsigned i = 0; i < NR_GPRS; i++)
                l->gprs.r[i] = 0x1111111111111111ull * i;
        const struct gprs before = l->gprs;
        l2_run(l, l2_cpuid);
        check(l->p, memcmp(&before, &l->gprs, sizeof(before)) == 0,
              "the general registers pass an entry and an exit");
        l->gprs.r[GPR_RAX] = 0x99;
        l2_set(l, F_guest_rip, vmread(F_guest_rip) + l->exit.insn_len);
        l2_resume(l);
        l2_expect(l, EXIT_VMCALL, 0, "going on behind CPUID");
        l2_reset(l);
        l2_run(l, l2_pause);
        l2_expect(l, EXIT_VMCALL, 0, "PAUSE without PAUSE exiting");
        l2_reset(l);
        l2_run(l, l2_wbinvd);
        l2_expect(l, EXIT_VMCALL, 0, "WBINVD without WBINVD exiting");
        l2_reset(l);
        l2_set(l, F_guest_idtr_limit, 0);
        l2_run(l, l2_ud);
        l2_expect(l, EXIT_TRIPLE_FAULT, 0, "a triple fault");
}

static void io(struct l2 *l)
{
        static uint8_t bytes[16];
        l2_reset(l);
        l2_run(l, l2_in_imm);
        with_length(l, EXIT_IO, io_qualification(IN_IMM_PORT, 1, IOQ_IN | IOQ_IMMEDIATE), 2,
                    "IN from an immediate port");
        l->gprs.r[GPR_RDX] = PORT_TRAPPED;
        l2_run(l, l2_in);
        with_length(l, EXIT_IO, io_qualification(PORT_TRAPPED, 4, IOQ_IN), 1, "IN of four bytes");
        l2_run(l, l2_outw);
        with_length(l, EXIT_IO, io_qualification(PORT_TRAPPED, 2, 0), 2, "OUT of two bytes");
        l->gprs.r[GPR_RSI] = l->gprs.r[GPR_RDI] = (uint64_t)bytes;
        l2_run(l, l2_outsb);
        with_length(l, EXIT_IO, io_qualification(PORT_TRAPPED, 1, IOQ_STRING), 1, "OUTSB");
        check(l->p, l->exit.guest_linear == (uint64_t)bytes, "OUTSB: the linear address, information 0x%x",
              l->exit.insn_info);
        l->gprs.r[GPR_RCX] = 5;
        l2_run(l, l2_rep_insw);
        with_length(l, EXIT_IO, io_qualification(PORT_TRAPPED, 2, IOQ_STRING | IOQ_REP | IOQ_IN), 3,
                    "REP INSW");
        check(l->p, l->gprs.r[GPR_RCX] == 5 && l->exit.guest_linear == (uint64_t)bytes,
              "REP INSW: nothing moved yet");

        l2_reset(l);
        l2_proc_on(l, PROC_IO_BITMAPS);
        set_bit(l2_io_bitmap[0], PORT_TRAPPED);
        set_bit(l2_io_bitmap[1], 0x9000 - 0x8000);
        l->gprs.r[GPR_RDX] = PORT_PASSED;
        l2_run(l, l2_out);
        l2_expect(l, EXIT_VMCALL, 0, "I/O bitmaps: OUT to a port that is let through");
        l->gprs.r[GPR_RDX] = PORT_TRAPPED;
        l2_run(l, l2_out);
        l2_expect(l, EXIT_IO, io_qualification(PORT_TRAPPED, 1, 0), "I/O bitmaps: OUT to a port of bitmap A");
        l->gprs.r[GPR_RDX] = PORT_TRAPPED - 1;
        l2_run(l, l2_out);
        l2_expect(l, EXIT_VMCALL, 0, "I/O bitmaps: the port below");
        l2_run(l, l2_outw);
        l2_expect(l, EXIT_IO, io_qualification(PORT_TRAPPED - 1, 2, 0),
                  "I/O bitmaps: two bytes that reach into it");
        l->gprs.r[GPR_RDX] = 0x9000;
        l2_run(l, l2_out);
        l2_expect(l, EXIT_IO, io_qualification(0x9000, 1, 0), "I/O bitmaps: OUT to a port of bitmap B");
        l->gprs.r[GPR_RDX] = 0xffff;
        l2_run(l, l2_outl);
        l2_expect(l, EXIT_IO, io_qualification(0xffff, 4, 0), "I/O bitmaps: an access around the end");
}

static void msr_access(struct l2 *l, const uint8_t *code, uint32_t msr, uint32_t reason, const char *what)
{
        l->gprs.r[GPR_RCX] = msr;
        l2_run(l, code);
        l2_expect(l, reason, 0, what);
}

static void msrs(struct l2 *l)
{
        const uint64_t lstar = hw_rdmsr(MSR_LSTAR);
        l2_reset(l);
        set_bit(l2_msr_bitmap, MSR_APIC_BASE);
        set_bit(l2_msr_bitmap + 1024, MSR_STAR & 0x1fff);
        set_bit(l2_msr_bitmap + BITMAP_WRITE, MSR_SYSENTER_CS);
        set_bit(l2_msr_bitmap + BITMAP_WRITE + 1024, MSR_CSTAR & 0x1fff);
        msr_access(l, l2_rdmsr, MSR_APIC_BASE, EXIT_RDMSR, "MSR bitmap: RDMSR, low");
        msr_access(l, l2_rdmsr, MSR_STAR, EXIT_RDMSR, "MSR bitmap: RDMSR, high");
        msr_access(l, l2_wrmsr, MSR_SYSENTER_CS, EXIT_WRMSR, "MSR bitmap: WRMSR, low");
        msr_access(l, l2_wrmsr, MSR_CSTAR, EXIT_WRMSR, "MSR bitmap: WRMSR, high");
        msr_access(l, l2_rdmsr, MSR_CSTAR, EXIT_VMCALL, "MSR bitmap: RDMSR where only WRMSR exits");
        msr_access(l, l2_rdmsr, MSR_OUTSIDE, EXIT_RDMSR, "MSR bitmap: RDMSR outside of its ranges");
        msr_access(l, l2_wrmsr, MSR_OUTSIDE, EXIT_WRMSR, "MSR bitmap: WRMSR outside of its ranges");
        l->gprs.r[GPR_RAX] = 0x3333;
        l->gprs.r[GPR_RDX] = 0;
        msr_access(l, l2_wrmsr, MSR_LSTAR, EXIT_VMCALL, "MSR bitmap: WRMSR that is let through");
        check(l->p, hw_rdmsr(MSR_LSTAR) == 0x3333, "the guest's LSTAR is the processor's");
        hw_wrmsr(MSR_LSTAR, lstar);
        msr_access(l, l2_rdmsr, MSR_FEATURE_CONTROL, EXIT_VMCALL,
                   "MSR bitmap: RDMSR of a register of the level above");
        check(l->p, (uint32_t)l->gprs.r[GPR_RAX] == (uint32_t)hw_rdmsr(MSR_FEATURE_CONTROL),
              "its value is the one seen outside");
        l->gprs.r[GPR_RAX] = 0x44;
        msr_access(l, l2_wrmsr, MSR_SYSENTER_EIP, EXIT_VMCALL,
                   "MSR bitmap: WRMSR of a register of the guest-state area");
        check(l->p, vmread(F_guest_sysenter_eip) == 0x44 && hw_rdmsr(MSR_SYSENTER_EIP) == 0,
              "it is saved, and the host's is loaded");
        l2_msr_bitmap[BITMAP_WRITE + MSR_SYSENTER_CS / 8] = 0;
        l->gprs.r[GPR_RAX] = 0x8;
        l->gprs.r[GPR_RDX] = 1;
        msr_access(l, l2_wrmsr, MSR_SYSENTER_CS, EXIT_VMCALL, "WRMSR of SYSENTER_CS, bits that are not used");
        check(l->p, vmread(F_guest_sysenter_cs) == 0x8, "they are dropped");
        l->gprs.r[GPR_RDX] = 0;
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_MSR_BITMAPS);
        msr_access(l, l2_rdmsr, MSR_CSTAR, EXIT_RDMSR, "RDMSR without a bitmap");
}

static void tsc_offset(struct l2 *l)
{
        l2_reset(l);
        l2_proc_on(l, PROC_TSC_OFFSET);
        l2_set(l, F_tsc_offset, TSC_SHIFT);
        const uint64_t before = hw_rdtsc();
        l2_run(l, l2_rdtsc);
        const uint64_t seen = (uint32_t)l->gprs.r[GPR_RAX] | l->gprs.r[GPR_RDX] << 32;
        check(l->p, l->exit.reason == EXIT_VMCALL && seen - before - TSC_SHIFT < TSC_SLACK,
              "TSC offset: RDTSC");
        l->gprs.r[GPR_RCX] = MSR_TSC;
        l2_run(l, l2_rdmsr);
        const uint64_t by_msr = (uint32_t)l->gprs.r[GPR_RAX] | l->gprs.r[GPR_RDX] << 32;
        check(l->p, l->exit.reason == EXIT_VMCALL && by_msr - seen < TSC_SLACK, "TSC offset: RDMSR");
        check(l->p, hw_rdtsc() - before < TSC_SLACK, "TSC offset: not outside");
}

void nested_exits(struct l2 *l)
{
        instructions(l);
        registers(l);
        io(l);
        msrs(l);
        tsc_offset(l);
}

/* --- control registers --- */

static uint64_t crq(unsigned number, enum cr_access type, unsigned reg)
{
        return number | (uint64_t)type << 4 | (uint64_t)reg << 8;
}

static void cr0(struct l2 *l)
{
        const uint64_t now = hw_read_cr0();
        l2_reset(l);
        l2_set(l, F_cr0_mask, CR0_TS | CR0_WP);
        l2_set(l, F_cr0_shadow, CR0_TS);
        l2_run(l, l2_read_cr0);
        l2_expect(l, EXIT_VMCALL, 0, "MOV from CR0");
        check(l->p, l->gprs.r[GPR_RBX] == ((now | CR0_TS) & ~CR0_WP),
              "CR0 reads its shadow where it is masked");
        l->gprs.r[GPR_RBX] = (now | CR0_TS | CR0_MP) & ~CR0_WP;
        l2_run(l, l2_write_cr0);
        l2_expect(l, EXIT_VMCALL, 0, "MOV to CR0 that agrees with the shadow");
        check(l->p, vmread(F_guest_cr0) == (now | CR0_MP), "CR0 took the bits that are the guest's own");
        l->gprs.r[GPR_RBX] = now | CR0_TS | CR0_WP;
        l2_run(l, l2_write_cr0);
        l2_expect(l, EXIT_CR_ACCESS, crq(0, CR_MOV_TO, GPR_RBX), "MOV to CR0 against the shadow");
        l2_run(l, l2_clts);
        l2_expect(l, EXIT_CR_ACCESS, crq(0, CR_CLTS, 0), "CLTS against the shadow");
        l->gprs.r[GPR_RBX] = 1;
        l2_run(l, l2_lmsw);
        l2_expect(l, EXIT_CR_ACCESS, crq(0, CR_LMSW, 0) | 1ull << 16, "LMSW against the shadow");
        l->gprs.r[GPR_RBX] = 0xb;
        l2_run(l, l2_lmsw);
        l2_expect(l, EXIT_VMCALL, 0, "LMSW that agrees with the shadow");
        l2_set(l, F_cr0_shadow, 0);
        l2_run(l, l2_clts);
        l2_expect(l, EXIT_VMCALL, 0, "CLTS that agrees with the shadow");
}

static void cr3(struct l2 *l)
{
        const uint64_t now = hw_read_cr3();
        l2_reset(l);
        l2_proc_on(l, PROC_CR3_LOAD | PROC_CR3_STORE);
        l->gprs.r[GPR_R10] = now;
        l2_run(l, l2_write_cr3);
        l2_expect(l, EXIT_CR_ACCESS, crq(3, CR_MOV_TO, GPR_R10), "MOV to CR3");
        l2_run(l, l2_read_cr3);
        l2_expect(l, EXIT_CR_ACCESS, crq(3, CR_MOV_FROM, GPR_RBX), "MOV from CR3");
        l2_set(l, F_cr3_target0, now ^ 0x1000);
        l2_set(l, F_cr3_target1, now);
        l2_set(l, F_cr3_target_count, 2);
        l2_run(l, l2_write_cr3);
        l2_expect(l, EXIT_VMCALL, 0, "MOV to CR3 of a CR3 target");
        l2_reset(l);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)(PROC_CR3_LOAD | PROC_CR3_STORE));
        l->gprs.r[GPR_R10] = now;
        l2_run(l, l2_write_cr3);
        l2_expect(l, EXIT_VMCALL, 0, "MOV to CR3 without CR3-load exiting");
        l2_run(l, l2_read_cr3);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RBX] == now,
              "MOV from CR3 without CR3-store exiting");
}

static void cr4(struct l2 *l)
{
        const uint64_t now = hw_read_cr4();
        l2_reset(l);
        l2_set(l, F_cr4_mask, CR4_VMXE);
        l2_run(l, l2_read_cr4);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RBX] == (now & ~CR4_VMXE),
              "CR4 reads its shadow where it is masked");
        l->gprs.r[GPR_RBX] = (now & ~CR4_VMXE) | CR4_PSE;
        l2_run(l, l2_write_cr4);
        l2_expect(l, EXIT_VMCALL, 0, "MOV to CR4 that agrees with the shadow");
        check(l->p, vmread(F_guest_cr4) == (now | CR4_PSE), "CR4 took the bits that are the guest's own");
        l->gprs.r[GPR_RBX] = now;
        l2_run(l, l2_write_cr4);
        l2_expect(l, EXIT_CR_ACCESS, crq(4, CR_MOV_TO, GPR_RBX), "MOV to CR4 against the shadow");
        l2_set(l, F_cr4_mask, 0);
        l2_set(l, F_exception_bitmap, BIT(VEC_GP));
        l->gprs.r[GPR_RBX] = now & ~CR4_VMXE;
        l2_run(l, l2_write_cr4);
        check(l->p, l->exit.reason == EXIT_EXCEPTION_NMI && GET(l->exit.intr_info, INTR_VECTOR) == VEC_GP,
              "clearing an unmasked CR4.VMXE raises #GP");
}

static void cr8(struct l2 *l)
{
        l2_reset(l);
        l2_proc_on(l, PROC_CR8_LOAD | PROC_CR8_STORE);
        l2_run(l, l2_write_cr8);
        l2_expect(l, EXIT_CR_ACCESS, crq(8, CR_MOV_TO, GPR_RBX), "MOV to CR8");
        l2_run(l, l2_read_cr8);
        l2_expect(l, EXIT_CR_ACCESS, crq(8, CR_MOV_FROM, GPR_RBX), "MOV from CR8");
        l2_reset(l);
        l->gprs.r[GPR_RBX] = 3;
        l2_run(l, l2_write_cr8);
        l2_expect(l, EXIT_VMCALL, 0, "MOV to CR8 without CR8-load exiting");
        uint64_t outside;
        __asm__ volatile("mov %%cr8, %0" : "=r"(outside));
        check(l->p, outside == 3, "it is the TPR that is seen outside");
        __asm__ volatile("mov %0, %%cr8" : : "r"(0ull));
}

void nested_control_registers(struct l2 *l)
{
        cr0(l);
        cr3(l);
        cr4(l);
        cr8(l);
}
