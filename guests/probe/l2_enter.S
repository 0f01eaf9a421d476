/* SPDX-License-Identifier: BSD-2-Clause */
/* l2_enter.S - into the guest of l2.h and back out. struct gprs is in the order of instruction encodings. */

#define F_HOST_RSP 0x6c14

        .text
        .globl  l2_enter, l2_host_entry, l2_enter_after_mov_ss
/* rdi = struct gprs, esi = launch, rdx = what the VMCS holds as host RSP, kept up to date: deep down a VMWRITE of it
 * costs exits, and the processor's checks; returns CF and ZF of RFLAGS in their places, 0 after an exit */
l2_enter:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rdi
        cmpq    %rsp, (%rdx)
        je      4f
        movq    %rsp, (%rdx)
        movl    $F_HOST_RSP, %eax
        vmwrite %rsp, %rax
4:      testl   %esi, %esi
        movq    0(%rdi), %rax
        movq    8(%rdi), %rcx
        movq    16(%rdi), %rdx
        movq    24(%rdi), %rbx
        movq    40(%rdi), %rbp
        movq    48(%rdi), %rsi
        movq    64(%rdi), %r8
        movq    72(%rdi), %r9
        movq    80(%rdi), %r10
        movq    88(%rdi), %r11
        movq    96(%rdi), %r12
        movq    104(%rdi), %r13
        movq    112(%rdi), %r14
        movq    120(%rdi), %r15
        movq    56(%rdi), %rdi
        jnz     1f
        vmresume
        jmp     2f
1:      vmlaunch
2:      pushfq
        popq    %rax
        andl    $0x41, %eax
        addq    $8, %rsp
        jmp     3f

l2_host_entry:
        pushq   %rdi
        movq    8(%rsp), %rdi
        movq    %rax, 0(%rdi)
        movq    %rcx, 8(%rdi)
        movq    %rdx, 16(%rdi)
        movq    %rbx, 24(%rdi)
        movq    %rbp, 40(%rdi)
        movq    %rsi, 48(%rdi)
        movq    %r8, 64(%rdi)
        movq    %r9, 72(%rdi)
        movq    %r10, 80(%rdi)
        movq    %r11, 88(%rdi)
        movq    %r12, 96(%rdi)
        movq    %r13, 104(%rdi)
        movq    %r14, 112(%rdi)
        movq    %r15, 120(%rdi)
        popq    56(%rdi)
        addq    $8, %rsp
        xorl    %eax, %eax
3:      popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

l2_enter_after_mov_ss:                  /* only for an entry that fails: returns CF and ZF */
        movl    %ss, %eax
        movl    %eax, %ss
        vmresume
        pushfq
        popq    %rax
        andl    $0x41, %eax
        ret

        .section .note.GNU-stack, "", @progbits
