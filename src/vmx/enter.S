/* SPDX-License-Identifier: BSD-2-Clause */
/* enter.S - the world switch. HOST_RSP points just behind vcpu->gprs, the first member of struct vcpu: at an exit
 * the pushes fill the register file from its end, and RSP ends up as the struct vcpu pointer itself. */

#define VCPU_HOST_STACK 128 /* offsetof(struct vcpu, host_stack_top) */
#define GPRS_BYTES      128

        .text
        .globl  vmx_enter, vmx_exit_point
        .align  64
vmx_enter:                              /* rdi = vcpu, esi = enum entry_insn */
        movl    %esi, %eax
        jmp     enter
        .align  64
vmx_exit_point:
        pushq   %r15
        pushq   %r14
        pushq   %r13
        pushq   %r12
        pushq   %r11
        pushq   %r10
        pushq   %r9
        pushq   %r8
        pushq   %rdi
        pushq   %rsi
        pushq   %rbp
        pushq   %rax                    /* the slot of RSP, which is in the VMCS */
        pushq   %rbx
        pushq   %rdx
        pushq   %rcx
        pushq   %rax
        movq    %rsp, %rdi
        movq    VCPU_HOST_STACK(%rsp), %rsp
        pushq   %rdi
        subq    $8, %rsp
        call    run_exit
        addq    $8, %rsp
        popq    %rdi
enter:
        movq    %rdi, %rsp
        testl   %eax, %eax
        popq    %rax
        popq    %rcx
        popq    %rdx
        popq    %rbx
        leaq    8(%rsp), %rsp
        popq    %rbp
        popq    %rsi
        popq    %rdi
        popq    %r8
        popq    %r9
        popq    %r10
        popq    %r11
        popq    %r12
        popq    %r13
        popq    %r14
        popq    %r15
        jnz     1f
        vmresume
        jmp     failed
1:      vmlaunch
failed:                                 /* RSP is behind gprs: registers are as the guest's, nothing ran */
        pushfq
        popq    %rsi
        movq    %r15, -8(%rsp)          /* where RFLAGS just was */
        leaq    -GPRS_BYTES(%rsp), %rdi
        movq    VCPU_HOST_STACK(%rdi), %rsp
        call    run_entry_failed
        ud2

        .section .note.GNU-stack, "", @progbits
