/* SPDX-License-Identifier: BSD-2-Clause */
/* panic.h - how this machine ends, well or badly. */
#ifndef CASCADE_BOOT_PANIC_H
#define CASCADE_BOOT_PANIC_H

#include <stdint.h>
#include "base/exit_status.h"


/* As pushed by isr.S, lowest address first. */
struct exception_frame {
        uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
        uint64_t vector, error;
        uint64_t rip, cs, rflags, rsp, ss;
};

void host_exception(struct exception_frame *f);
_Noreturn void panic_exception(const struct exception_frame *f);

/* Drains the trace, prints `event=exit status=...`, and ends the machine: under another cascade by ACPI power-off
 * (status 0) or the debug-exit port, on Bochs through its shutdown port, under QEMU through isa-debug-exit. */
_Noreturn void machine_end(enum exit_status status, const char *why);
_Noreturn void boot_main(uint32_t protocol, const void *info);

#endif
