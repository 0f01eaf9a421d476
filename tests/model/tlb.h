/* SPDX-License-Identifier: BSD-2-Clause */
/* tlb.h - cached translations, as many as SDM 3C "Caching Translation Information" allows.
 *
 * Three kinds are kept: guest-physical mappings and the EPT paging-structure entries on the way to them, both
 * per EP4TA; and combined mappings per VPID and EP4TA. A lookup chooses at random among everything that is
 * cached and a walk of the tables as they are, which may start at any cached paging-structure entry. */
#ifndef CASCADE_TESTS_MODEL_TLB_H
#define CASCADE_TESTS_MODEL_TLB_H

#include <stdbool.h>
#include <stdint.h>

#define TLB_WAYS             6
#define TLB_EPT_BUCKETS      512
#define TLB_COMBINED_BUCKETS 64

struct tlb_entry {
        bool table;    /* of EPT: `to` is a paging structure, not the page itself */
        uint8_t shift; /* size of what it translates */
        uint8_t rwx;   /* permissions by EPT on the way */
        uint16_t vpid; /* combined */
        uint64_t ep4ta;
        uint64_t from; /* guest-physical or linear address, aligned to its size */
        uint64_t to;   /* host-physical */
        uint64_t gpa;  /* combined: the guest-physical page */
};

struct tlb_bucket {
        uint8_t count;
        struct tlb_entry way[TLB_WAYS];
};

struct tlb {
        struct tlb_bucket ept[TLB_EPT_BUCKETS];
        struct tlb_bucket combined[TLB_COMBINED_BUCKETS];
};

void tlb_reset(void);

/* What invalidates. */
void tlb_drop_ep4ta(uint64_t ep4ta);
void tlb_drop_all_ept(void);
void tlb_drop_vpid(uint16_t vpid);
void tlb_drop_all_vpids(void);
void tlb_drop_linear(uint16_t vpid, uint64_t linear);

/* An access of the guest that runs. */
enum tlb_result { TLB_OK, TLB_EPT_VIOLATION };
struct tlb_access {
        uint64_t linear;
        unsigned needs; /* EPTQ_READ, _WRITE, _FETCH */
        uint64_t hpa;   /* TLB_OK */
        uint64_t gpa;   /* TLB_EPT_VIOLATION: guest-physical address and qualification */
        uint64_t qualification;
};
enum tlb_result tlb_translate(struct tlb_access *a);

#endif
