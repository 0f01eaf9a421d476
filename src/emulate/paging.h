/* SPDX-License-Identifier: BSD-2-Clause */
/* paging.h - the guest's own translation of linear addresses, by its page tables in its RAM. [pure]
 *
 * Covers CR0.PG = 0, 32-bit paging with PSE-36, PAE and 4-level paging, with every access right that the
 * processor would check (WP, NX, SMEP, SMAP, protection keys of user pages). The caller fills struct
 * guest_paging from its VMCS. Tables are read through struct guest_mem only; an entry that is not in RAM
 * reads as all-ones, as memory does that nothing answers for. The guest may change its tables meanwhile: each
 * entry is read once. */
#ifndef CASCADE_EMULATE_PAGING_H
#define CASCADE_EMULATE_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/bits.h"
#include "base/guest_mem.h"

/* What lies between the addresses in the guest's page tables and its RAM: nothing, but for a guest's guest EPT12. */
struct second_stage {
        /* Translates one address that is used so (ACCESS_WRITE, ACCESS_FETCH, ACCESS_STRUCTURE); what it gives holds up
         * to the end of the page. False: this use is not allowed, or nothing is there. */
        bool (*translate)(void *ctx, l1gpa_t at, unsigned use, l1gpa_t *out);
        void *ctx;
};

struct guest_paging {
        const struct second_stage *second; /* NULL: page tables hold addresses of RAM */
        uint64_t cr0, cr3, cr4, efer, rflags;
        uint64_t pdpte[4]; /* PAE paging: what the VMCS holds */
        uint32_t pkru;     /* used if CR4.PKE is 1 */
        uint8_t cpl;
        uint8_t maxphyaddr; /* as the guest's CPUID tells it: above are reserved bits; 32 to 52 */
        bool pages_1g;      /* as the guest's CPUID tells it */
        bool pdpte_valid;   /* false: read the PDPTEs from memory at CR3, as MOV to CR3 would */
};

/* How a linear address is used: bits for `access`. A plain 0 is an explicit data read. SYSTEM is an implicit
 * supervisor access (descriptor tables, TSS) at whatever CPL; SET_AD sets accessed and dirty flags as a real
 * access would. */
#define ACCESS_WRITE  ((unsigned)BIT(0))
#define ACCESS_FETCH  ((unsigned)BIT(1))
#define ACCESS_SYSTEM ((unsigned)BIT(2))
#define ACCESS_SET_AD ((unsigned)BIT(3))
/* Only as a use of an address that page tables hold: an entry of them, which the walk reads or sets a flag in. */
#define ACCESS_STRUCTURE ((unsigned)BIT(4))

enum gva_status {
        GVA_OK,
        GVA_PAGE_FAULT,   /* error_code and linear (for CR2) are valid */
        GVA_NONCANONICAL, /* #GP or #SS, by segment */
        GVA_NOT_RAM,      /* `at` is not RAM. From guest_translate() only if the second stage refuses a page table */
        GVA_UNSUPPORTED,  /* 5-level paging: never offered to the guest */
};

struct gva_result {
        enum gva_status status;
        uint32_t error_code; /* SDM 3A "Page-Fault Exceptions" */
        uint64_t linear;     /* the address that failed: not the first one when an access crosses pages */
        l1gpa_t at;
        unsigned use;        /* GVA_NOT_RAM: for what */
        uint64_t page_bytes; /* size of the page that maps it; CR0.PG = 0: 4096 */
};

/* Error code bits of #PF. */
#define PF_PRESENT  ((uint32_t)BIT(0))
#define PF_WRITE    ((uint32_t)BIT(1))
#define PF_USER     ((uint32_t)BIT(2))
#define PF_RESERVED ((uint32_t)BIT(3))
#define PF_FETCH    ((uint32_t)BIT(4))
#define PF_KEY      ((uint32_t)BIT(5))

struct gva_result guest_translate(const struct guest_mem *mem, const struct guest_paging *p, uint64_t linear,
                                  unsigned access);

/* The address in the guest's RAM of one that page tables hold. False: the second stage refuses. */
static inline bool paging_second(const struct guest_paging *p, l1gpa_t *at, unsigned use)
{
        return __builtin_expect(p->second == NULL, 1) || p->second->translate(p->second->ctx, *at, use, at);
}

/* Our pointer to bytes of one page at an address that page tables hold, or NULL. */
static inline void *paging_at(const struct guest_mem *mem, const struct guest_paging *p, l1gpa_t at, uint64_t bytes, unsigned use)
{
        return paging_second(p, &at, use) ? guest_mem_at(mem, at, bytes) : NULL;
}

/* Copies between `n` <= GUEST_LINEAR_MAX bytes at a linear address and our memory. All or nothing: when a
 * byte cannot be reached nothing is written, *fault says why (GVA_NOT_RAM included) and the result is false.
 * Outside 64-bit mode addresses wrap at 4 GiB. */
#define GUEST_LINEAR_MAX 4096
bool guest_read_linear(const struct guest_mem *mem, const struct guest_paging *p, uint64_t linear, void *dst,
                       size_t n, unsigned access, struct gva_result *fault);
bool guest_write_linear(const struct guest_mem *mem, const struct guest_paging *p, uint64_t linear,
                        const void *src, size_t n, unsigned access, struct gva_result *fault);

#endif
