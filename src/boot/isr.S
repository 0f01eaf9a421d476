/* SPDX-License-Identifier: BSD-2-Clause */
/* isr.S - entry points of the host's exceptions 0 to 31, and the two MSR accesses that may fault.
 * All vectors run on the interrupt stack (IST 1): at a VM exit RSP points into struct vcpu for some
 * instructions, and nothing may be pushed there. */

        .macro  isr vector
        .align  16
        .if     (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21)
        .else
        pushq   $0
        .endif
        pushq   $\vector
        jmp     isr_common
        .endm

        .text
        .align  16
        .globl  isr_table
isr_table:
        .set    n, 0
        .rept   32
        isr     n
        .set    n, n + 1
        .endr

        .globl  isr_common
isr_common:
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rbx
        pushq   %rbp
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, %rdi
        cld
        call    host_exception
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rbp
        popq    %rbx
        popq    %rdx
        popq    %rcx
        popq    %rax
        addq    $16, %rsp
        iretq

        .macro  fixup at, to
        .pushsection .fixup_table, "a"
        .quad   \at, \to
        .popsection
        .endm

        .globl  hw_rdmsr_safe, hw_wrmsr_safe
hw_rdmsr_safe:
        movl    %edi, %ecx
1:      rdmsr
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, (%rsi)
        movl    $1, %eax
        ret
        fixup   1b, msr_fault
hw_wrmsr_safe:
        movl    %edi, %ecx
        movq    %rsi, %rdx
        shrq    $32, %rdx
        movl    %esi, %eax
1:      wrmsr
        movl    $1, %eax
        ret
        fixup   1b, msr_fault
msr_fault:
        xorl    %eax, %eax
        ret

        .section .note.GNU-stack, "", @progbits
