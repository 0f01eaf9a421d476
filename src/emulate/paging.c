/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulate/paging.h"
#include "base/bug.h"
#include "base/libc.h"

#define CR0_WP   BIT(16)
#define CR0_PG   BIT(31)
#define CR4_PSE  BIT(4)
#define CR4_PAE  BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE  BIT(22)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define FLAGS_AC BIT(18)

#define PTE_P    BIT(0)
#define PTE_W    BIT(1)
#define PTE_U    BIT(2)
#define PTE_A    BIT(5)
#define PTE_D    BIT(6)
#define PTE_PS   BIT(7)
#define PTE_PAT  BIT(12) /* of a large page */
#define PTE_PKEY BITS(62, 59)
#define PTE_NX   BIT(63)
#define PTE_ADDR BITS(51, 12)

/* SDM 3A "32-Bit Paging", table "Format of a 32-Bit Page-Directory Entry that Maps a 4-MByte Page". */
#define PDE32_ADDR_LOW  BITS(31, 22)
#define PDE32_ADDR_HIGH BITS(20, 13) /* bits 39:32 of the address */
#define PDE32_RESERVED  BIT(21)

/* SDM 3A "PAE Paging", table "Format of a PAE Page-Directory-Pointer-Table Entry". */
#define PDPTE_RESERVED (BITS(2, 1) | BITS(8, 5))

enum paging_mode { PAGING_OFF, PAGING_32, PAGING_PAE, PAGING_4LEVEL };

#define LEVELS_MAX 4

/* The way from CR3 to a leaf. Entries used are kept: their A and D flags are set when the walk has succeeded.
 */
struct walk {
        const struct guest_mem *mem;
        const struct guest_paging *p;
        enum paging_mode mode;
        uint64_t linear;
        unsigned access;
        unsigned depth; /* entries in `entry` and `at` */
        struct step {
                l1gpa_t at;
                uint64_t value;
        } step[LEVELS_MAX];
        uint64_t rights; /* AND of PTE_U and PTE_W of all entries, OR of PTE_NX: see fold_rights() */
        unsigned shift;  /* log2 of the page size */
        uint64_t base;   /* address of the page */
        uint32_t error;  /* why it failed, as far as the entries tell: PF_PRESENT, PF_RESERVED, PF_KEY */
        unsigned refused;   /* what the second stage refused: ACCESS_STRUCTURE, with ACCESS_WRITE; 0: nothing */
        l1gpa_t refused_at; /* first of all */
};

enum walk_end { WALK_MAPPED, WALK_FAULT };

static enum paging_mode paging_mode(const struct guest_paging *p)
{
        if (!(p->cr0 & CR0_PG))
                return PAGING_OFF;
        if (p->efer & EFER_LMA)
                return PAGING_4LEVEL;
        return p->cr4 & CR4_PAE ? PAGING_PAE : PAGING_32;
}

static unsigned entry_bytes(const struct walk *w)
{
        return w->mode == PAGING_32 ? 4 : 8;
}

/* Our pointer to an entry, or NULL: not RAM, or the second stage refuses. */
static void *entry_at(struct walk *w, l1gpa_t at, unsigned use)
{
        l1gpa_t in_ram = at;

        if (paging_second(w->p, &in_ram, use))
                return guest_mem_at(w->mem, in_ram, entry_bytes(w));
        if (!w->refused) {
                w->refused = use;
                w->refused_at = at;
        }
        return NULL;
}

static uint64_t read_entry(struct walk *w, l1gpa_t at)
{
        const unsigned bytes = entry_bytes(w);
        const void *const e = entry_at(w, at, ACCESS_STRUCTURE);

        if (!e)
                return BITS(8 * bytes - 1, 0);
        return bytes == 4 ? __atomic_load_n((const uint32_t *)e, __ATOMIC_RELAXED)
                          : __atomic_load_n((const uint64_t *)e, __ATOMIC_RELAXED);
}

/* Sets `flags` in the entry of a step unless the guest has changed it since it was read: then the translation
 * used is one that the processor, too, might have used a moment earlier, and the flags have no place to go.
 */
static void set_flags(struct walk *w, const struct step *s, uint64_t flags)
{
        void *const e = (s->value & flags) == flags ? NULL : entry_at(w, s->at, ACCESS_STRUCTURE | ACCESS_WRITE);

        if (!e)
                return;
        if (entry_bytes(w) == 4) {
                uint32_t old = (uint32_t)s->value;

                __atomic_compare_exchange_n((uint32_t *)e, &old, old | (uint32_t)flags, false,
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
        } else {
                uint64_t old = s->value;

                __atomic_compare_exchange_n((uint64_t *)e, &old, old | flags, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_RELAXED);
        }
}

static bool user_access(const struct walk *w)
{
        return w->p->cpl == 3 && !(w->access & ACCESS_SYSTEM);
}

/* SDM 3A "Page-Fault Exceptions": the bits of the error code that the access itself determines. */
static uint32_t access_error(const struct walk *w)
{
        const struct guest_paging *p = w->p;
        const bool nx = p->cr4 & CR4_PAE && p->efer & EFER_NXE;
        uint32_t e = 0;

        if (w->access & ACCESS_WRITE)
                e |= PF_WRITE;
        if (user_access(w))
                e |= PF_USER;
        if (w->access & ACCESS_FETCH && (nx || p->cr4 & CR4_SMEP))
                e |= PF_FETCH;
        return e;
}

static enum walk_end walk_fault(struct walk *w, uint32_t error)
{
        w->error = error;
        return WALK_FAULT;
}

/* Bits that must be 0 in any entry of 8 bytes that is present. */
static uint64_t reserved_64(const struct walk *w)
{
        uint64_t r = PTE_ADDR & ~BITS(w->p->maxphyaddr - 1, 0);

        if (w->mode == PAGING_PAE)
                r |= BITS(62, 52);
        if (!(w->p->efer & EFER_NXE))
                r |= PTE_NX;
        return r;
}

/* Access rights accumulate: user and writable only if every level says so, no-execute if any does. */
static void fold_rights(struct walk *w, uint64_t entry)
{
        w->rights = (w->rights & entry & (PTE_U | PTE_W)) | ((w->rights | entry) & PTE_NX);
}

static enum walk_end walk_leaf(struct walk *w, uint64_t base, unsigned shift)
{
        w->base = base;
        w->shift = shift;
        return WALK_MAPPED;
}

/* SDM 3A "32-Bit Paging". */
static enum walk_end walk_32(struct walk *w)
{
        const l1gpa_t pd = L1GPA(w->p->cr3 & BITS(31, 12));
        const l1gpa_t pde_at = L1GPA(pd.raw + GET(w->linear, BITS(31, 22)) * 4);
        const uint64_t pde = read_entry(w, pde_at);

        if (!(pde & PTE_P))
                return walk_fault(w, 0);
        w->step[w->depth++] = (struct step){pde_at, pde};
        fold_rights(w, pde);
        if (pde & PTE_PS && w->p->cr4 & CR4_PSE) {
                const uint64_t base = (pde & PDE32_ADDR_LOW) | GET(pde, PDE32_ADDR_HIGH) << 32;

                if (pde & PDE32_RESERVED || base & ~BITS(w->p->maxphyaddr - 1, 0))
                        return walk_fault(w, PF_PRESENT | PF_RESERVED);
                return walk_leaf(w, base, 22);
        }
        const l1gpa_t pte_at = L1GPA((pde & BITS(31, 12)) + GET(w->linear, BITS(21, 12)) * 4);
        const uint64_t pte = read_entry(w, pte_at);
        if (!(pte & PTE_P))
                return walk_fault(w, 0);
        w->step[w->depth++] = (struct step){pte_at, pte};
        fold_rights(w, pte);
        return walk_leaf(w, pte & BITS(31, 12), 12);
}

/* From a table of 512 entries whose index is linear bits shift + 8 .. shift, down to a leaf.
 * SDM 3A "PAE Paging" (from shift 21) and "4-Level Paging and 5-Level Paging" (from shift 39). */
static enum walk_end walk_64(struct walk *w, l1gpa_t table, unsigned shift)
{
        const uint64_t reserved = reserved_64(w);

        for (;; shift -= 9) {
                const l1gpa_t at = L1GPA(table.raw + GET(w->linear, BITS(shift + 8, shift)) * 8);
                const uint64_t e = read_entry(w, at);

                if (!(e & PTE_P))
                        return walk_fault(w, 0);
                const bool large = shift > 12 && e & PTE_PS;
                const bool may_be_large = shift == 21 || (shift == 30 && w->p->pages_1g);
                const uint64_t low = large && may_be_large ? BITS(shift - 1, 12) & ~PTE_PAT : 0;
                if (e & (reserved | low) || (large && !may_be_large))
                        return walk_fault(w, PF_PRESENT | PF_RESERVED);
                w->step[w->depth++] = (struct step){at, e};
                fold_rights(w, e);
                if (large || shift == 12)
                        return walk_leaf(w, e & PTE_ADDR & ~BITS(shift - 1, 0), shift);
                table = L1GPA(e & PTE_ADDR);
        }
}

static enum walk_end walk_pae(struct walk *w)
{
        const unsigned i = (unsigned)GET(w->linear, BITS(31, 30));
        uint64_t pdpte = w->p->pdpte[i];

        if (!w->p->pdpte_valid)
                pdpte = read_entry(w, L1GPA((w->p->cr3 & BITS(31, 5)) + i * 8));
        if (!(pdpte & PTE_P))
                return walk_fault(w, 0);
        if (pdpte & (PDPTE_RESERVED | ~BITS(w->p->maxphyaddr - 1, 0)))
                return walk_fault(w, PF_PRESENT | PF_RESERVED);
        return walk_64(w, L1GPA(pdpte & PTE_ADDR), 21);
}

/* SDM 3A "Protection Keys": AD and WD of the page's key, for data accesses to user pages under 4-level
 * paging. */
static bool key_forbids(const struct walk *w, uint64_t leaf)
{
        if (!(w->p->cr4 & CR4_PKE) || w->mode != PAGING_4LEVEL || w->access & ACCESS_FETCH)
                return false;
        const unsigned bits = w->p->pkru >> (2 * GET(leaf, PTE_PKEY));
        const bool write_counts = user_access(w) || w->p->cr0 & CR0_WP;

        return bits & BIT(0) || (bits & BIT(1) && w->access & ACCESS_WRITE && write_counts);
}

/* SDM 3A "Determination of Access Rights". Returns the error bits, 0 if the access is allowed. */
static uint32_t rights_error(const struct walk *w)
{
        const struct guest_paging *p = w->p;
        const bool user_page = w->rights & PTE_U;
        const bool write = w->access & ACCESS_WRITE, fetch = w->access & ACCESS_FETCH;

        if (fetch && p->efer & EFER_NXE && w->rights & PTE_NX)
                return PF_PRESENT;
        if (user_access(w)) {
                if (!user_page || (write && !(w->rights & PTE_W)))
                        return PF_PRESENT;
        } else {
                if (fetch && user_page && p->cr4 & CR4_SMEP)
                        return PF_PRESENT;
                const bool explicit_ac = p->rflags & FLAGS_AC && !(w->access & ACCESS_SYSTEM);
                if (!fetch && user_page && p->cr4 & CR4_SMAP && !explicit_ac)
                        return PF_PRESENT;
                if (write && !(w->rights & PTE_W) && p->cr0 & CR0_WP)
                        return PF_PRESENT;
        }
        if (user_page && key_forbids(w, w->step[w->depth - 1].value))
                return PF_PRESENT | PF_KEY;
        return 0;
}

/* SDM 3A "Accessed and Dirty Flags". */
static void mark_used(struct walk *w)
{
        for (unsigned i = 0; i < w->depth; i++) {
                const bool dirty = i + 1 == w->depth && w->access & ACCESS_WRITE;

                set_flags(w, &w->step[i], dirty ? PTE_A | PTE_D : PTE_A);
        }
}

static struct gva_result translate_paged(struct walk *w)
{
        enum walk_end end = WALK_FAULT;

        switch (w->mode) {
        case PAGING_32:
                end = walk_32(w);
                break;
        case PAGING_PAE:
                end = walk_pae(w);
                break;
        case PAGING_4LEVEL:
                end = walk_64(w, L1GPA(w->p->cr3 & PTE_ADDR), 39);
                break;
        case PAGING_OFF:
                break;
        }
        if (end == WALK_MAPPED)
                w->error = rights_error(w);
        if (end == WALK_MAPPED && !w->error && w->access & ACCESS_SET_AD)
                mark_used(w);
        if (w->refused)
                return (struct gva_result){
                        .status = GVA_NOT_RAM, .linear = w->linear, .at = w->refused_at, .use = w->refused};
        if (end == WALK_FAULT || w->error)
                return (struct gva_result){.status = GVA_PAGE_FAULT,
                                           .error_code = w->error | access_error(w),
                                           .linear = w->linear};
        return (struct gva_result){.status = GVA_OK,
                                   .linear = w->linear,
                                   .at = L1GPA(w->base | (w->linear & BITS(w->shift - 1, 0))),
                                   .page_bytes = BIT(w->shift)};
}

struct gva_result guest_translate(const struct guest_mem *mem, const struct guest_paging *p, uint64_t linear,
                                  unsigned access)
{
        struct walk w = {
                .mem = mem, .p = p, .mode = paging_mode(p), .access = access, .rights = PTE_U | PTE_W};

        BUG_UNLESS(p->maxphyaddr >= 32 && p->maxphyaddr <= 52);
        w.linear = w.mode == PAGING_4LEVEL ? linear : (uint32_t)linear;
        if (w.mode == PAGING_OFF)
                return (struct gva_result){
                        .status = GVA_OK, .linear = w.linear, .at = L1GPA(w.linear), .page_bytes = PAGE_SIZE};
        if (w.mode == PAGING_4LEVEL && p->cr4 & CR4_LA57)
                return (struct gva_result){.status = GVA_UNSUPPORTED, .linear = linear};
        if (w.mode == PAGING_4LEVEL && !is_canonical(linear, LINEAR_BITS))
                return (struct gva_result){.status = GVA_NONCANONICAL, .linear = linear};
        return translate_paged(&w);
}

/* What lies where: the parts of a linear range, one per page it touches. */
struct parts {
        unsigned count;
        struct part {
                uint8_t *bytes;
                size_t n;
        } part[2];
};
_Static_assert(GUEST_LINEAR_MAX <= PAGE_SIZE, "a range touches two pages at most");

static bool find_parts(const struct guest_mem *mem, const struct guest_paging *p, uint64_t linear, size_t n,
                       unsigned access, struct parts *out, struct gva_result *fault)
{
        BUG_UNLESS(n <= GUEST_LINEAR_MAX);
        out->count = 0;
        while (n) {
                const size_t in_page = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
                const size_t part = n < in_page ? n : in_page;

                *fault = guest_translate(mem, p, linear, access);
                if (fault->status != GVA_OK)
                        return false;
                fault->use = access & (ACCESS_WRITE | ACCESS_FETCH);
                uint8_t *const bytes = paging_at(mem, p, fault->at, part, fault->use);
                if (!bytes) {
                        fault->status = GVA_NOT_RAM;
                        return false;
                }
                out->part[out->count++] = (struct part){bytes, part};
                linear += part;
                n -= part;
        }
        return true;
}

bool guest_read_linear(const struct guest_mem *mem, const struct guest_paging *p, uint64_t linear, void *dst,
                       size_t n, unsigned access, struct gva_result *fault)
{
        uint8_t *to = dst;
        struct parts parts;

        if (!find_parts(mem, p, linear, n, access & ~ACCESS_WRITE, &parts, fault))
                return false;
        for (unsigned i = 0; i < parts.count; to += parts.part[i++].n)
                memcpy(to, parts.part[i].bytes, parts.part[i].n);
        return true;
}

bool guest_write_linear(const struct guest_mem *mem, const struct guest_paging *p, uint64_t linear,
                        const void *src, size_t n, unsigned access, struct gva_result *fault)
{
        const uint8_t *from = src;
        struct parts parts;

        if (!find_parts(mem, p, linear, n, access | ACCESS_WRITE, &parts, fault))
                return false;
        for (unsigned i = 0; i < parts.count; from += parts.part[i++].n)
                memcpy(parts.part[i].bytes, from, parts.part[i].n);
        return true;
}
