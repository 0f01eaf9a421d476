/* SPDX-License-Identifier: BSD-2-Clause */
/* guest.h - instructions executed by the guest that the modelled processor runs: the guest hypervisor (level
 * 1) or its guest (level 2), whichever the current VMCS belongs to. Where the controls say so the instruction
 * exits, cascade works (run_exit()), and a guest is entered again; it need not be the same one. */
#ifndef CASCADE_TESTS_MODEL_GUEST_H
#define CASCADE_TESTS_MODEL_GUEST_H

#include "processor.h"

enum outcome {
        DONE,    /* executed: RIP is behind it */
        FAULTED, /* an exception was injected instead: cpu.delivered */
        LEFT,    /* something else runs: the other level, or the guest hypervisor at its host RIP */
};

/* Whether level 2 runs. */
bool guest_is_l2(void);
uint64_t guest_rip(void);

/* How a VMX instruction ended that is DONE. */
enum vmx_flags { VM_SUCCEED, VM_FAIL_INVALID, VM_FAIL_VALID };
enum vmx_flags guest_vmx_flags(void);

/* A VMX instruction. `reason` is that of its exit. */
struct vmx_insn {
        uint32_t reason;
        bool memory;    /* VMREAD, VMWRITE: the first operand is in memory; the others always are, if they have
                           one */
        uint64_t at;    /* linear address of the memory operand */
        uint64_t reg2;  /* VMREAD, VMWRITE: encoding of the field; INVEPT, INVVPID: type */
        uint64_t value; /* VMWRITE: source, VMREAD: result, unless in memory */
};
enum outcome guest_vmx(struct vmx_insn *i);

/* One of the instructions without operands that the model knows, by the reason of its exit: CPUID, HLT,
 * RDTSC, PAUSE, WBINVD, VMCALL, INVD, ... */
enum outcome guest_insn(uint32_t reason);
enum outcome guest_invlpg(uint64_t linear);
enum outcome guest_mov_to_cr3(uint64_t value);
enum outcome guest_mov_to_cr(unsigned number, uint64_t value);
/* VMCALL with a number for cascade; *result is RAX. */
enum outcome guest_hypercall(uint64_t rax, uint64_t rbx, uint64_t rcx, uint64_t *result);

/* An access to memory. Served EPT violations are part of it; LEFT: one that ended in an exit to the guest
 * hypervisor. DONE: *hpa is where it went. */
enum outcome guest_access(uint64_t linear, bool write, uint64_t *hpa);

/* The same as part of delivering the event that the VM entry injected (cpu.delivered): the processor pushes something.
 * An exit tells of the event as IDT-vectoring information; entered again, the delivery begins anew. */
enum outcome guest_deliver(uint64_t linear, uint64_t *hpa);

/* VMFUNC of this function; VM functions are on. */
enum outcome guest_vmfunc(uint32_t function, uint32_t ecx);
enum outcome guest_write_msr(uint32_t msr, uint64_t value);

/* The preemption timer runs out, if it is on; a physical interrupt comes. */
enum outcome guest_timer(void);
enum outcome guest_external_interrupt(void);

#endif
