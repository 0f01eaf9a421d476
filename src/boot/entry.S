/* SPDX-License-Identifier: BSD-2-Clause */
/* entry.S - the two ways in, PVH and multiboot2: both arrive in 32-bit protected mode without paging.
 * Maps memory one to one, switches to long mode and calls boot_main(protocol, info). */
#include "base/layout.h"

#define MB2_MAGIC        0xe85250d6
#define MB2_ARCH_I386    0
#define MB2_BOOT_MAGIC   0x36d76289
#define XEN_PHYS32_ENTRY 18

#define CR0_PE           (1 << 0)
#define CR0_PG_NE_WP_ET  0x80010031
#define CR4_PAE_OSFXSR   ((1 << 5) | (1 << 9) | (1 << 10))
#define MSR_EFER         0xc0000080
#define EFER_LME_NXE     ((1 << 8) | (1 << 11))
#define CPUID_1G_PAGES   (1 << 26)
#define PTE_TABLE        0x3        /* present, writable */
#define PTE_LARGE        0x83       /* present, writable, large */

        .section .note.pvh, "a", @note
        .align 4
        .long   4, 4, XEN_PHYS32_ENTRY
        .asciz  "Xen"
        .long   pvh_entry

        .section .multiboot2, "a"
        .align 8
mb2_header:
        .long   MB2_MAGIC, MB2_ARCH_I386, mb2_end - mb2_header
        .long   -(MB2_MAGIC + MB2_ARCH_I386 + (mb2_end - mb2_header))
        .align 8
        .short  3, 0                    /* entry address */
        .long   12, mb2_entry
        .align 8
        .short  6, 0                    /* modules page aligned */
        .long   8
        .align 8
        .short  0, 0
        .long   8
mb2_end:

        .section .text.boot, "ax"
        .code32
        .globl  pvh_entry
pvh_entry:
        movl    $BOOT_PVH, %edi
        jmp     enter_long_mode

mb2_entry:
        movl    $BOOT_MULTIBOOT2, %edi
        cmpl    $MB2_BOOT_MAGIC, %eax
        je      enter_long_mode
        movl    $BOOT_UNKNOWN, %edi

enter_long_mode:
        cli
        cld
        movl    %ebx, %esi
        movl    $boot_stack_top, %esp

        /* PML4[0] -> PDPT; the PDPT maps 512 GiB with 1 GiB pages, or, on processors without them, its first
         * BOOT_PD_COUNT entries point to directories of 2 MiB pages. */
        movl    $boot_pdpt + PTE_TABLE, boot_pml4
        movl    $0x80000001, %eax
        pushl   %esi
        pushl   %edi
        cpuid
        popl    %edi
        popl    %esi
        testl   $CPUID_1G_PAGES, %edx
        jz      map_2m

        xorl    %ecx, %ecx
1:      movl    %ecx, %eax
        shll    $30, %eax
        orl     $PTE_LARGE, %eax
        movl    %eax, boot_pdpt(, %ecx, 8)
        movl    %ecx, %eax
        shrl    $2, %eax
        movl    %eax, boot_pdpt + 4(, %ecx, 8)
        incl    %ecx
        cmpl    $512, %ecx
        jb      1b
        jmp     paging_on

map_2m:
        xorl    %ecx, %ecx
1:      movl    %ecx, %eax
        shll    $12, %eax
        addl    $boot_pd + PTE_TABLE, %eax
        movl    %eax, boot_pdpt(, %ecx, 8)
        incl    %ecx
        cmpl    $BOOT_PD_COUNT, %ecx
        jb      1b
        xorl    %ecx, %ecx
1:      movl    %ecx, %eax
        shll    $21, %eax
        orl     $PTE_LARGE, %eax
        movl    %eax, boot_pd(, %ecx, 8)
        movl    %ecx, %eax
        shrl    $11, %eax
        movl    %eax, boot_pd + 4(, %ecx, 8)
        incl    %ecx
        cmpl    $BOOT_PD_COUNT * 512, %ecx
        jb      1b

paging_on:
        movl    $CR4_PAE_OSFXSR, %eax
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LME_NXE, %eax
        wrmsr
        movl    $CR0_PG_NE_WP_ET, %eax
        movl    %eax, %cr0
        lgdt    boot_gdt_pointer
        ljmp    $SEL_CODE64, $1f

        .code64
1:      movl    $SEL_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $boot_stack_top, %esp
        xorl    %ebp, %ebp
        movl    %edi, %edi
        movl    %esi, %esi
        call    boot_main
        ud2

        .section .data, "aw"
        .align 16
        .globl  boot_gdt, boot_gdt_pointer
boot_gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* SEL_CODE64: accessed, present, 64-bit code */
        .quad   0x00cf93000000ffff      /* SEL_DATA: flat, writable, accessed */
        .quad   0, 0                    /* SEL_TSS: filled in by idt_init() */
boot_gdt_end:
boot_gdt_pointer:
        .short  boot_gdt_end - boot_gdt - 1
        .quad   boot_gdt

        .section .bss, "aw", @nobits
        .align 4096
        .globl  boot_pml4
boot_pml4:      .skip 4096
boot_pdpt:      .skip 4096
boot_pd:        .skip 4096 * BOOT_PD_COUNT
boot_stack:     .skip BOOT_STACK_BYTES
        .globl  boot_stack_top
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
