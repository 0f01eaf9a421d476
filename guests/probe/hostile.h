/* SPDX-License-Identifier: BSD-2-Clause */
/* hostile.h - the parts of the hostile guest: a guest hypervisor that does at random whatever a guest can do with VMX, and
 * goes on. What it must not lose is itself: its code, its tables and the state it continues with after an exit. All
 * randomness is in the values, which are drawn so that they are right, wrong in a way that VM entry refuses, or harmless
 * to the probe; whether they are harmless to the hypervisor above is what is being tested.
 *
 * Nothing here is compared with the bare processor: Bochs ends itself on some of it (docs/silicon.md). */
#ifndef PROBE_HOSTILE_H
#define PROBE_HOSTILE_H

#include "l2.h"

#define HOSTILE_VMCSS   24 /* more than any cascade holds at a time */
#define HOSTILE_SCRATCH 16 /* pages that the guest's guest may write */

/* What is known about the content of a VMCS region. */
enum vmcs_content {
        VMCS_NOISE, /* never valid: an entry fails before anything of it is used */
        VMCS_SAFE,  /* whatever of it passes the checks brings the probe back */
        VMCS_SPOILT, /* valid but for scribbles: not to be entered before it is written anew */
};

struct hostile {
        struct l2 l2; /* what the tests of VMX share: capabilities, registers, the last exit */
        uint64_t state; /* of the generator */
        uint64_t ram_end;
        bool vmxon;
        int current; /* index of the VMCS; -1: none, or none of ours */
        struct {
                enum vmcs_content content;
                bool launched;
                bool touched[VMCS_FIELD_COUNT]; /* not as in `good` */
        } vmcs[HOSTILE_VMCSS];
        uint64_t good[VMCS_FIELD_COUNT];
        uint64_t instructions, faults, entries, failed, exits;
};

extern uint8_t hostile_vmcs_page[HOSTILE_VMCSS][PAGE_SIZE], hostile_scratch[HOSTILE_SCRATCH][PAGE_SIZE];

/* --- the generator: xorshift64*, the same sequence everywhere --- */

static inline uint64_t rnd(struct hostile *h)
{
        h->state ^= h->state >> 12;
        h->state ^= h->state << 25;
        h->state ^= h->state >> 27;
        return h->state * 0x2545f4914f6cdd1dull;
}

static inline unsigned below(struct hostile *h, unsigned n)
{
        return (unsigned)((rnd(h) >> 32) % n);
}

static inline bool one_in(struct hostile *h, unsigned n)
{
        return below(h, n) == 0;
}

#define PICK(h, table) ((table)[below((h), ARRAY_LEN(table))])

/* Any number: small, a single bit, all ones, anything. */
uint64_t any_number(struct hostile *h);

/* --- hostile_memory.c --- */

void memory_init(struct hostile *h);
/* New content for some of what lies in memory: page tables, EPT12, bitmaps, MSR lists, code. */
void memory_stir(struct hostile *h);
/* Physical addresses: of a page that may be written, or where no RAM is; of anything. */
uint64_t any_frame(struct hostile *h);
uint64_t any_address(struct hostile *h);
uint64_t any_eptp(struct hostile *h);
uint64_t good_eptp(void);
uint64_t any_cr3(struct hostile *h);
uint64_t good_cr3(void);
uint64_t any_eptp_list(struct hostile *h);
uint64_t any_io_bitmap(struct hostile *h);
/* MSR lists for exits, whose entries are always good: a bad one is a VMX abort, which ends the probe. */
uint64_t exit_store_list(void);
uint64_t exit_load_list(void);
uint64_t any_code(struct hostile *h);

/* --- hostile_vmcs.c --- */

void vmcs_init(struct hostile *h);
void vmcs_forget(struct hostile *h, int i);
/* A value for VMWRITE of the current VMCS that keeps what is known about its content. */
uint64_t tame_value(struct hostile *h, const struct vmcs_field_info *f);
/* Makes a VMCS valid, spoils a little of it and enters. False: it did not get that far. */
void enter_prepared(struct hostile *h);
void enter_raw(struct hostile *h);

/* --- hostile_insn.c --- */

/* One random instruction. */
void hostile_step(struct hostile *h);

#endif
