/* SPDX-License-Identifier: BSD-2-Clause */
/* twin.h - thousands of generated observations of VMX, one line each, to be compared between the bare
 * processor and cascade (scripts/cascade_cli/twin.py runs and compares).
 *
 * A class is a generator: given the number of one of its cases it prepares the VMCS by twin_set(), enters by
 * twin_run(), and says what else there is to see by twin_see(). What a case does follows from seed, class and
 * number alone: each starts from the same state, which twin_restore() puts right after it, writing only what
 * differs. So a case can be run alone (`only=N`), and costs few VMWRITEs, which are what is expensive deep down.
 *
 * Every case is safe to enter: exceptions exit, a timer ends a guest that waits, and a guest that takes an event
 * by itself finds its own descriptor tables, in which each vector leads to a VMCALL of its own. Generators leave
 * alone the few bits with which the host or the probe's memory would be lost (twin_state.c).
 *
 * A line shows only what the SDM defines, and of the guest state what differs from before the entry. Behind
 * ` ~ ` is the first check of VM entry that the contents of the VMCS violate, in cascade's words: a comment for
 * the reader, and for the rules about checks that an emulator lacks.
 *
 * struct twin is owned by twin_run_all(). */
#ifndef PROBE_TWIN_H
#define PROBE_TWIN_H

#include "base/guest_mem.h"
#include "l2.h"
#include "nested/vmcs12.h"

/* What a case starts from. */
enum twin_base { BASE_64, BASE_PROT, BASE_REAL, BASE_PAE, TWIN_BASES };

struct twin_text {
        char text[360];
        unsigned used;
        uint32_t lost; /* hash of what found no room; 0: all is there */
};

struct twin {
        struct l2 l2; /* capabilities, registers, launch state; its VMCS 0 is the one in use */
        struct vmcs_field_info info[VMCS_FIELD_COUNT];
        bool exists[VMCS_FIELD_COUNT];
        uint64_t base[TWIN_BASES][VMCS_FIELD_COUNT], now[VMCS_FIELD_COUNT];
        struct vmcs12 image; /* of `now` */
        uint16_t read_back[VMCS_FIELD_COUNT]; /* fields that an exit may change */
        unsigned read_back_count;
        bool dirty[VMCS_FIELD_COUNT]; /* `now` is not as in the base */
        uint16_t dirty_ids[VMCS_FIELD_COUNT];
        unsigned dirty_count;
        struct twin_change {
                uint16_t id;
                uint64_t old;
        } changed[VMCS_FIELD_COUNT]; /* by the last run */
        unsigned changed_count;
        enum twin_base at; /* the base in use */
        uint64_t random;
        struct twin_text what, seen;
        const char *violated; /* by twin_run(): name of the first check that fails, or NULL */
        bool absent;          /* a field that this processor lacks was to be set: nothing is entered */
        bool host_changed;    /* an exit loaded another host state than usual */
};

struct twin_class {
        const char *name;
        unsigned (*count)(void);                  /* cases of a full run, the same on every processor */
        void (*one)(struct twin *t, unsigned n); /* n < count() */
};

/* twin_vmcs.c */
void twin_prepare(struct twin *t);
void twin_use(struct twin *t, enum twin_base base); /* first thing in a case */
uint64_t twin_get(const struct twin *t, uint64_t field);
void twin_set(struct twin *t, uint64_t field, uint64_t value); /* and says so in the line */
void twin_set_quietly(struct twin *t, uint64_t field, uint64_t value);
void twin_run(struct twin *t);                  /* enters, and shows what came of it */
void twin_run_at(struct twin *t, const void *code); /* the same at other code */
void twin_restore(struct twin *t);

/* twin_show.c */
void twin_what(struct twin *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void twin_see(struct twin *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void twin_see_status(struct twin *t, enum hw_status s); /* of a VMX instruction */
void twin_show_exit(struct twin *t);
void twin_show_host(struct twin *t);
const char *twin_violated(const struct twin *t);

/* twin_guest.c: descriptor tables, page tables and stack of the guest. */
#define TWIN_STACK_BYTES 4096
#define TWIN_STUB_STRIDE 16
extern uint8_t twin_stack[TWIN_STACK_BYTES];
void twin_guest_prepare(struct twin *t);
void twin_iret(void); /* executes IRET, and nothing else changes */
extern const uint8_t twin_iret_vmcall[];
/* The EPT's table of 1 GiB each; the first entry maps what is RAM, the others are free. */
uint64_t *twin_ept_pdpt(void);
/* The vector whose stub `rip` is in, or -1. */
int twin_stub_vector(const struct twin *t, uint64_t rip);

static inline uint64_t twin_mix(uint64_t x)
{
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
        x = (x ^ x >> 27) * 0x94d049bb133111ebull;
        return x ^ x >> 31;
}

static inline uint64_t twin_random(struct twin *t)
{
        t->random += 0x9e3779b97f4a7c15ull;
        return twin_mix(t->random);
}

#endif
