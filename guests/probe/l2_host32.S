/* SPDX-License-Identifier: BSD-2-Clause */
/* l2_host32.S - VMX root operation in 32-bit protected mode, and back, for nested_host32.c. The image lies below 4 GiB and is
 * mapped one to one on either side. */

#define CR0_PG      0x80000000
#define CR4_PAE     0x20
#define MSR_EFER    0xc0000080
#define EFER_LME    0x100
#define F_HOST_RSP  0x6c14
#define F_INSN_ERR  0x4400
#define GDT_CODE64  0x08
#define GDT_DATA    0x10
#define GDT_CODE32  0x18

/* struct host32 */
#define H_CR3    0
#define H_CR4    4
#define H_VMXON  8
#define H_VMCS   16
#define H_STATUS 24
#define H_SEEN   28             /* CR0, CR3, CR4, EFER, CS */
#define H_COUNT  48
#define H_FIELD  52             /* encodings; values take their places */
#define H_EAX    88

        .text
        .globl  l2_host32, l2_host32_entry
/* rdi = struct host32 */
l2_host32:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushfq
        cli
        movl    %edi, %ebp
        sgdt    old_gdt(%rip)
        movq    %rsp, old_rsp(%rip)
        movq    %cr3, %rax
        movq    %rax, old_cr3(%rip)
        movq    %cr4, %rax
        movq    %rax, old_cr4(%rip)
        movw    %ss, old_ss(%rip)
        movw    %cs, old_cs(%rip)
        lgdt    new_gdt(%rip)
        pushq   $GDT_CODE32
        leaq    1f(%rip), %rax
        pushq   %rax
        lretq

        .code32
1:      movl    $GDT_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %cr0, %eax
        andl    $~CR0_PG, %eax
        movl    %eax, %cr0
        movl    $MSR_EFER, %ecx
        rdmsr
        andl    $~EFER_LME, %eax
        wrmsr
        movl    H_CR3(%ebp), %eax
        movl    %eax, %cr3
        movl    H_CR4(%ebp), %eax
        movl    %eax, %cr4
        movl    %cr0, %eax
        orl     $CR0_PG, %eax
        movl    %eax, %cr0

        movl    $1, H_STATUS(%ebp)
        vmxon   H_VMXON(%ebp)
        jbe     4f
        movl    $2, H_STATUS(%ebp)
        vmptrld H_VMCS(%ebp)
        jbe     3f
        movl    $3, H_STATUS(%ebp)
        pushl   %ebp
        movl    $F_HOST_RSP, %eax
        vmwrite %esp, %eax
        movl    H_EAX(%ebp), %eax
        vmlaunch
        popl    %ebp
        movl    $F_INSN_ERR, %eax
        vmread  %eax, H_FIELD(%ebp)
        jmp     3f

l2_host32_entry:
        popl    %ebp
        movl    $0, H_STATUS(%ebp)
        movl    H_COUNT(%ebp), %ecx
        leal    H_FIELD(%ebp), %esi
2:      movl    (%esi), %eax
        movl    $-1, %ebx
        vmread  %eax, %ebx
        movl    %ebx, (%esi)
        addl    $4, %esi
        decl    %ecx
        jnz     2b
        movl    %cr0, %eax
        movl    %eax, H_SEEN(%ebp)
        movl    %cr3, %eax
        movl    %eax, H_SEEN+4(%ebp)
        movl    %cr4, %eax
        movl    %eax, H_SEEN+8(%ebp)
        movl    $MSR_EFER, %ecx
        rdmsr
        movl    %eax, H_SEEN+12(%ebp)
        movl    %cs, %eax
        movl    %eax, H_SEEN+16(%ebp)
3:      vmxoff
4:      movl    %cr0, %eax
        andl    $~CR0_PG, %eax
        movl    %eax, %cr0
        movl    old_cr4, %eax
        movl    %eax, %cr4
        movl    old_cr3, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LME, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $CR0_PG, %eax
        movl    %eax, %cr0
        ljmp    $GDT_CODE64, $5f

        .code64
5:      movq    old_rsp(%rip), %rsp
        lgdt    old_gdt(%rip)
        movl    old_ss(%rip), %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    old_cs(%rip), %eax
        pushq   %rax
        leaq    6f(%rip), %rax
        pushq   %rax
        lretq
6:      popfq
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

        .data
        .balign 8
        .globl  l2_host32_gdt
l2_host32_gdt:
        .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
new_gdt:
        .word   . - l2_host32_gdt - 1
        .quad   l2_host32_gdt
        .balign 8
old_gdt:
        .skip   16
old_rsp:
        .quad   0
old_cr3:
        .quad   0
old_cr4:
        .quad   0
old_ss:
        .long   0
old_cs:
        .long   0

        .section .note.GNU-stack, "", @progbits
