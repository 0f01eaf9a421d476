/* SPDX-License-Identifier: BSD-2-Clause */
/* boot.S - boot sector and switch to 32-bit mode. The BIOS enters at LOADER_ADDR in real mode, the drive in DL.
 * The boot sector reads the rest of the loader behind itself, asks the BIOS for the memory map, which only real
 * mode can, and leaves real mode for good. */
#include "disk.h"

#define CR0_PE          1
#define CODE32          8
#define DATA32          16
#define E820_SIGNATURE  0x534d4150 /* "SMAP" */
#define E820_BYTES      20

        .section .boot, "ax"
        .code16
        .globl  boot_start
boot_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $LOADER_ADDR, %sp
        ljmp    $0, $1f
1:      cld
        movw    $read_rest, %si
        movb    $0x42, %ah
        int     $0x13
        jc      bios_failed
        jmp     real_mode

bios_failed:
        movw    $text_failed, %si
1:      lodsb
        testb   %al, %al
        jz      2f
        outb    %al, $0xe9
        jmp     1b
2:      movw    $0x8900, %dx
        movb    $'D', %al
        outb    %al, %dx
3:      hlt
        jmp     3b

        .balign 4
read_rest:                              /* disk address packet of INT 13h AH=42h */
        .byte   16, 0
        .word   LOADER_SECTORS - 1
        .word   LOADER_ADDR + SECTOR_BYTES, 0
        .quad   1
text_failed:
        .asciz  "@cascade level=1 event=exit status=53 reason=boot sector: the BIOS cannot read the disk\n"

        .org    boot_start + 510
        .byte   0x55, 0xaa

real_mode:
        xorl    %ebx, %ebx
        movw    $e820_map, %di
1:      movl    $0xe820, %eax
        movl    $E820_SIGNATURE, %edx
        movl    $E820_BYTES, %ecx
        int     $0x15
        jc      2f
        cmpl    $E820_SIGNATURE, %eax
        jne     2f
        addw    $E820_BYTES, %di
        incl    e820_count
        cmpl    $E820_MAX, e820_count
        jae     2f
        testl   %ebx, %ebx
        jnz     1b
2:      lgdt    gdt_pointer
        movl    %cr0, %eax
        orb     $CR0_PE, %al
        movl    %eax, %cr0
        ljmp    $CODE32, $protected_mode

        .code32
protected_mode:
        movw    $DATA32, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $LOADER_ADDR, %esp
        call    load            /* returns the image's entry in EAX */
        movl    $start_info, %ebx
        xorl    %esi, %esi
        xorl    %edi, %edi
        xorl    %ebp, %ebp
        jmp     *%eax

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* flat 32-bit code, accessed */
        .quad   0x00cf93000000ffff      /* flat 32-bit data, accessed */
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

        .globl  e820_count, e820_map
        .balign 4
e820_count:
        .long   0
e820_map:
        .fill   E820_MAX * E820_BYTES, 1, 0
        .section .note.GNU-stack, "", @progbits
