/* SPDX-License-Identifier: BSD-2-Clause */
/* twin_code.S - where the guest of twin.h goes when it takes an event: one VMCALL per vector, the same bytes in every
 * mode; and an IRET to the next instruction in 64-bit mode, as code of the guest and as a function. */
#define STUB_STRIDE 16

        .text
        .globl  twin_stubs
        .balign 4096
twin_stubs:
        .rept   256
        vmcall
        .balign STUB_STRIDE, 0x90
        .endr

        .macro  iret_to_next
        movl    %ss, %eax
        movq    %rsp, %rdx
        pushq   %rax
        pushq   %rdx
        pushfq
        movl    %cs, %eax
        pushq   %rax
        leaq    1f(%rip), %rax
        pushq   %rax
        iretq
1:
        .endm

        .globl  twin_iret, twin_iret_vmcall
twin_iret:
        iret_to_next
        ret
twin_iret_vmcall:
        iret_to_next
        vmcall

        .section .note.GNU-stack, "", @progbits
