/* SPDX-License-Identifier: BSD-2-Clause */
/* ref_memory.h - which translations a guest may see: those of its tables as they are now, and those that they
 * had while it ran since the guest hypervisor's last invalidation (SDM 3C "Caching Translation Information").
 * Nothing else.
 *
 * ref_memory_tick() is to be called whenever level 2 is about to run something, or level 1 to access its
 * window: what the tables say at that moment may be cached. Everything of a context is forgotten where the
 * SDM says that it must be. */
#ifndef CASCADE_TESTS_MODEL_REF_MEMORY_H
#define CASCADE_TESTS_MODEL_REF_MEMORY_H

#include "ref.h"

#define VPIDS 4 /* 0: none */

void ref_memory_reset(void);

void ref_tick_l1(void);
void ref_tick_l2(void);

/* So much is remembered that tables should not change before the next INVEPT. */
bool ref_memory_full(void);

/* Invalidations by the guest hypervisor. */
void ref_invalidate_ept(uint64_t type, uint64_t eptp);
void ref_invalidate_vpid(uint64_t type, uint16_t vpid, uint64_t linear);
/* INVLPG, and MOV to CR3, of level 1 and of the guest that VMCS12 runs. */
void ref_invlpg_l1(uint64_t linear);
void ref_mov_cr3_l1(void);
void ref_invlpg_l2(uint64_t linear);
void ref_mov_cr3_l2(void);
/* A VM entry or VM exit between the two. */
void ref_transition(void);

/* An access of level 1 or 2 to page `i` of its window reached this page: is it one that it may reach? */
bool ref_may_reach_l1(unsigned i, uint64_t page);
bool ref_may_reach_l2(unsigned i, bool write, uint64_t page);
/* For the report of a fault. */
void ref_print_l2(unsigned i);
/* It caused an EPT violation or misconfiguration at this address: may it? `rwx`: as the qualification tells.
 * The violation invalidates. */
bool ref_may_violate(unsigned i, bool write, uint64_t gpa, unsigned rwx);
bool ref_may_misconfig(unsigned i, uint64_t gpa);

#endif
