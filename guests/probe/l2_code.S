/* SPDX-License-Identifier: BSD-2-Clause */
/* l2_code.S - what the guest of l2.h executes: one instruction under test each, then VMCALL. */

        .macro  code name:req, insn:req
        .globl  \name
\name:  \insn
        vmcall
        .endm

        .text
        code    l2_vmcall, "vmcall"
        code    l2_cpuid, "cpuid"
        code    l2_hlt, "hlt"
        code    l2_sti_hlt, "sti; hlt"
        code    l2_spin, "1: jmp 1b"
        code    l2_sti_spin, "sti; 1: jmp 1b"
        code    l2_in_imm, "inb $0x71, %al"
        code    l2_in, "inl %dx, %eax"
        code    l2_out, "outb %al, %dx"
        code    l2_outw, "outw %ax, %dx"
        code    l2_outl, "outl %eax, %dx"
        code    l2_outsb, "outsb"
        code    l2_rep_insw, "rep insw"
        code    l2_rdmsr, "rdmsr"
        code    l2_wrmsr, "wrmsr"
        code    l2_read_cr0, "movq %cr0, %rbx"
        code    l2_write_cr0, "movq %rbx, %cr0"
        code    l2_read_cr3, "movq %cr3, %rbx"
        code    l2_write_cr3, "movq %r10, %cr3"
        code    l2_read_cr4, "movq %cr4, %rbx"
        code    l2_write_cr4, "movq %rbx, %cr4"
        code    l2_read_cr8, "movq %cr8, %rbx"
        code    l2_write_cr8, "movq %rbx, %cr8"
        code    l2_clts, "clts"
        code    l2_lmsw, "lmsw %bx"
        code    l2_write_dr7, "movq %rbx, %db7"
        code    l2_read_dr6, "movq %db6, %rcx"
        code    l2_read, "movq (%rbx), %rax"
        code    l2_write, "movq %rax, (%rbx)"
        code    l2_modify, "lock addq $1, (%rbx)"
        code    l2_read32, "movl (%rbx), %eax"
        code    l2_write32, "movl %eax, (%rbx)"
        code    l2_rmw32, "orl %eax, (%rbx)"
        code    l2_movs32, "movq %rbx, %rsi; movq %rax, %rdi; cld; movsl"
        code    l2_write32_post, "movl %eax, (%rbx); outb %al, $0x80"
        code    l2_post_string, "movq %rbx, %rsi; movl $0x80, %edx; cld; rep outsb"
        code    l2_post_in_string, "movq %rbx, %rdi; movl $0x80, %edx; cld; insb"
        code    l2_jump, "jmp *%rbx"
        code    l2_ud, "ud2"
        code    l2_int3, "int3"
        code    l2_de, "divl %ecx"
        code    l2_rdtsc, "rdtsc"
        code    l2_rdpmc, "rdpmc"
        code    l2_invlpg, "invlpg (%rbx)"
        code    l2_pause, "pause"
        code    l2_pause_loop, "1: pause; jmp 1b"
        code    l2_rdtscp, "rdtscp"
        code    l2_invpcid, "invpcid (%rbx), %rcx"
        code    l2_mwait, "mwait"
        code    l2_monitor, "monitor"
        code    l2_rdseed, "rdseed %rdx"
        code    l2_xsaves, "xsaves (%rbx)"
        code    l2_xrstors, "xrstors (%rbx)"
        code    l2_wbinvd, "wbinvd"
        code    l2_invd, "invd"
        code    l2_xsetbv, "xsetbv"
        code    l2_sgdt, "sgdt 8(%rbx)"
        code    l2_sidt, "sidt (%rbx, %rcx, 4)"
        code    l2_str, "str %ax"
        code    l2_rdrand, "rdrand %rdx"
        code    l2_vmxon, "vmxon 16(%rbx)"
        code    l2_vmread, "vmread %rax, %rdx"
        code    l2_vmptrst, "vmptrst (%rbx)"
        code    l2_vmlaunch, "vmlaunch"
        code    l2_invept, "invept (%rbx), %r9"
        code    l2_vmfunc, "vmfunc"
        code    l2_vmfunc_read, "vmfunc; movq (%rbx), %rax"
        code    l2_nops, "nop; nop; nop"

        code    l2_rep_outsb, "rep outsb"
        code    l2_iret, "iretq"
        code    l2_long_mode, "movq %rax, %cr0; cpuid"
        code    l2_loop, "1: pushfq; popq %rax; loop 1b"
        code    l2_write32_iret, "movl %eax, (%rbx); iretq"

        .globl  l2_write32_nops, l2_write32_nops_after
l2_write32_nops:
        movl    %eax, (%rbx)
l2_write32_nops_after:
        nop
        nop
        nop
        vmcall

        .globl  l2_mov_ss, l2_mov_ss_after
l2_mov_ss:
        movl    %ecx, %ss
        outb    %al, %dx
l2_mov_ss_after:
        nop
        vmcall

        .globl  l2_sti_nops, l2_sti_nops_after
l2_sti_nops:
        sti
        nop
l2_sti_nops_after:
        nop
        vmcall

        .section .note.GNU-stack, "", @progbits
