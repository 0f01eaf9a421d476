/* SPDX-License-Identifier: BSD-2-Clause */
/* vectors.S - entry points of the interrupts 32 to 255, beside those of the exceptions in src/boot/isr.S. */

        .macro  irq vector
        .align  16
        pushq   $0
        pushq   $\vector
        jmp     isr_common
        .endm

        .text
        .align  16
        .globl  irq_table
irq_table:
        .set    n, 32
        .rept   224
        irq     n
        .set    n, n + 1
        .endr

        .section .note.GNU-stack, "", @progbits
