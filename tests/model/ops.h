/* SPDX-License-Identifier: BSD-2-Clause */
/* ops.h - operations of a guest hypervisor and of its guest, each executed on the model and by the reference,
 * which must agree: anything else is a model_fault(). */
#ifndef CASCADE_TESTS_MODEL_OPS_H
#define CASCADE_TESTS_MODEL_OPS_H

#include "hypervisor.h"
#include "ref.h"

/* Starts cascade and a guest hypervisor with its tables, and lets that enter VMX operation. */
void ops_start(const struct model_features *has, uint64_t seed);
void ops_stop(void);

/* --- VMX instructions of level 1; all can be called at any time while it runs --- */
void op_vmxon(uint64_t at);
void op_vmxoff(void);
void op_vmclear(uint64_t at);
void op_vmptrld(uint64_t at);
void op_vmptrst(void);
void op_vmread(uint64_t enc, bool memory);
void op_vmwrite(uint64_t enc, uint64_t value, bool memory);
void op_invept(uint64_t type, uint64_t eptp);
void op_invvpid(uint64_t type, uint64_t vpid, uint64_t linear);
void op_enter(bool launch);
void op_own(uint64_t at);
void op_switch(uint64_t clear, uint64_t load);
void op_cpuid(void);
/* A periodic timer of the local APIC, masked: deadlines and no interrupts. 0: none. */
void op_l1_timer(uint32_t period);

/* VMCLEAR, VMPTRLD, and every field written so that the VMCS passes the checks. */
void op_make_vmcs(struct ref_vmcs *r);
/* Reads every field. */
void op_read_all(void);
/* The guest hypervisor changes the shadow-VMCS indicator after VMCLEAR; it scribbles on a VMCS. */
void op_set_indicator(struct ref_vmcs *r, bool shadow);
void op_scribble(struct ref_vmcs *r);

/* --- memory of level 1 --- */
void op_l1_access(unsigned window, bool write);
void op_l1_map(unsigned window, unsigned data_page);
void op_l1_invlpg(unsigned window);
void op_l1_mov_cr3(void);
/* Changes CR4.PGE outside of VMX operation, together with CR4.VMXE, and back; which invalidates all that is
 * cached. */
void op_l1_mov_cr4(void);

/* --- tables of level 2, changed by whoever has that memory --- */
uint64_t eptp_of(unsigned root, bool ad);
void op_ept_pte(unsigned pt, unsigned index, uint64_t entry);
void op_ept_pde(unsigned root, unsigned region, uint64_t entry);
void op_l2_map(unsigned tree, unsigned window, unsigned l2_page);
uint64_t l2_cr3(unsigned tree);

/* --- level 2, while it runs --- */
void op_l2_access(unsigned window, bool write);
void op_l2_deliver(unsigned window); /* the event that was injected, with a push to the window */
void op_l2_wrmsr(uint32_t msr, uint64_t value);
void op_l2_vmfunc(uint32_t ecx); /* EPTP switching */
void op_l2_insn(uint32_t reason);
void op_l2_invlpg(unsigned window);
void op_l2_mov_cr3(unsigned tree);
void op_l2_vmread(uint64_t enc);
void op_l2_vmwrite(uint64_t enc, uint64_t value);
void op_l2_timer(void);
void op_external_interrupt(void); /* at any level */

/* Number of operations so far. */
uint64_t ops_count(void);

#endif
