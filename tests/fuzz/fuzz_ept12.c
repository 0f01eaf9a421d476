/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks of EPT12 over memory that the input fills: tables that point at themselves, at each other, at
 * nothing. Beyond "no crash", each walk must agree with a second one, keep its promises and change nothing
 * but flags. */
#include <stdlib.h>
#include <string.h>
#include "base/bug.h"
#include "ept02/combine.h"
#include "ept02/pml.h"
#include "vmx/controls.h"

#define PAGES     4
#define RAM_BYTES (PAGES * PAGE_SIZE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The head of an input lays a path of tables for the address; all zero is a path that loops through one page.
 * The rest patches the guest's RAM. Inputs may end anywhere: what is missing is zero. */
struct plan {
        uint64_t at, caps;
        uint16_t access;
        uint8_t eptp_page, eptp_low, maxphyaddr, leaf01;
        uint16_t log; /* bit 15: there is a log, with this index */
        struct {
                uint8_t page;  /* modulo RAM */
                uint8_t shape; /* bit 0: no permissions but those of `low`; bit 1: address and ignored bits of
                                  `high` */
                uint16_t low;  /* bits 11:0 */
                uint32_t high; /* bits 63:32 */
        } level[EPT_LEVELS];
};

struct patch {
        uint16_t where; /* modulo RAM */
        uint64_t value;
} __attribute__((packed));

static uint64_t ram[RAM_BYTES / sizeof(uint64_t)] __attribute__((aligned(4096)));
static uint64_t before[RAM_BYTES / sizeof(uint64_t)];

static void lay_path(const struct plan *p)
{
        unsigned page = p->eptp_page % PAGES;
        for (unsigned i = 0; i < EPT_LEVELS; i++) {
                const unsigned next = p->level[i].page % PAGES;
                uint64_t entry = (uint64_t)next << PAGE_SHIFT | (p->level[i].low & BITS(11, 0));
                entry |= p->level[i].shape & 1 ? 0 : EPTE_RWX;
                entry |= p->level[i].shape & 2 ? (uint64_t)p->level[i].high << 32 : 0;
                ram[page * EPT_ENTRIES + ept_index(p->at, EPT_LEVELS - i)] = entry;
                page = next;
        }
}

static void apply_patches(const uint8_t *data, size_t size)
{
        for (; size >= sizeof(struct patch); data += sizeof(struct patch), size -= sizeof(struct patch)) {
                struct patch p;
                memcpy(&p, data, sizeof(p));
                ram[p.where % ARRAY_LEN(ram)] = p.value;
        }
}

static void check_walk(const struct ept_walk *w, uint64_t at, uint64_t access, const struct vmx_caps *caps)
{
        const unsigned needs = (unsigned)(access & (EPTQ_READ | EPTQ_WRITE | EPTQ_FETCH));
        if (w->verdict == EPT_VIOLATION) {
                BUG_UNLESS(GET(w->qualification, EPTQ_RWX) == w->rwx);
                BUG_UNLESS((w->qualification & needs) == needs);
        }
        if (w->verdict != EPT_OK)
                return;
        BUG_UNLESS((w->rwx & needs) == needs);
        BUG_UNLESS(w->page_shift == SHIFT_4K || w->page_shift == SHIFT_2M || w->page_shift == SHIFT_1G);
        BUG_UNLESS(((w->l1gpa.raw ^ at) & (BIT(w->page_shift) - 1)) == 0);
        BUG_UNLESS(w->l1gpa.raw >> caps->maxphyaddr == 0);
        BUG_UNLESS(!w->tracks_dirty || !(needs & EPTQ_WRITE) || w->dirty);
}

static void check_leaf(const struct ept_walk *w, uint64_t access, uint8_t leaf01)
{
        static const unsigned shifts[] = { SHIFT_4K, SHIFT_2M, SHIFT_1G };
        const struct ept01_leaf e01 = { .ram = leaf01 & 1,
                                        .hpa = HPA(w->l1gpa.raw),
                                        .page_shift = shifts[(leaf01 >> 1) % 3],
                                        .rwx = leaf01 >> 3 & EPTE_RWX,
                                        .memtype = MEMTYPE_WB };
        struct ept02_leaf out;
        if (ept02_combine(w, &e01, access, &out) != EPT02_FILLED)
                return;
        BUG_UNLESS(w->verdict == EPT_OK && e01.ram);
        BUG_UNLESS((out.epte & EPTE_RWX & ~(uint64_t)(w->rwx & e01.rwx)) == 0);
        BUG_UNLESS(!(out.epte & EPTE_W) || (out.epte & EPTE_R));
        BUG_UNLESS(out.page_shift <= w->page_shift && out.page_shift <= e01.page_shift);
        BUG_UNLESS((out.epte & EPTE_ADDR & (BIT(out.page_shift) - 1)) == 0);
}

/* Only flags may appear in the guest's memory, and those only with EPTP bit 6. */
static void check_memory(uint64_t eptp)
{
        const uint64_t may_appear = eptp & EPTP_AD ? EPTE_A | EPTE_D : 0;
        for (size_t i = 0; i < ARRAY_LEN(ram); i++)
                BUG_UNLESS((ram[i] & ~may_appear) == (before[i] & ~may_appear) && (before[i] & ~ram[i]) == 0);
}

/* One step for a walk that made something dirty, none for any other; a full log changes nothing. */
static void check_log(const struct ept_walk *w, const struct pml *pml, uint64_t index, const struct pml *log)
{
        unsigned dirtied = 0;
        for (size_t i = 0; i < ARRAY_LEN(ram); i++)
                dirtied += ((ram[i] & ~before[i]) & EPTE_D) != 0;
        BUG_UNLESS(dirtied <= 1 && pml->index == (uint16_t)(index - (log ? dirtied : 0)));
        if (log && index >= PML_ENTRIES)
                BUG_UNLESS(memcmp(ram, before, sizeof(ram)) == 0);
        BUG_UNLESS(w->verdict != EPT_LOG_FULL || (log && index >= PML_ENTRIES && w->tracks_dirty));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct plan p = { .log = 0 };
        const size_t head = size < sizeof(p) ? size : sizeof(p);
        if (head)
                memcpy(&p, data, head);
        memset(ram, 0, sizeof(ram));
        lay_path(&p);
        apply_patches(data + head, size - head);
        memcpy(before, ram, sizeof(ram));
        const struct guest_mem mem = { .ram = (uint8_t *)ram, .low_bytes = RAM_BYTES };
        const struct vmx_caps caps = { .ept_vpid = p.caps, .maxphyaddr = (uint8_t)(32 + p.maxphyaddr % 21) };
        const uint64_t eptp = (uint64_t)(p.eptp_page % PAGES) << PAGE_SHIFT | p.eptp_low;

        struct pml pml = { .address = RAM_BYTES, .index = p.log & BITS(9, 0) }; /* not RAM: only its index is looked at */
        struct pml *const log = p.log & BIT(15) ? &pml : NULL;
        const struct ept_walk w = ept12_walk_logged(&mem, eptp, L2GPA(p.at), p.access, &caps, log);
        check_log(&w, &pml, p.log & BITS(9, 0), log);
        check_walk(&w, p.at, p.access, &caps);
        check_leaf(&w, p.access, p.leaf01);
        check_memory(eptp);
        const struct ept_walk again = ept12_walk_logged(&mem, eptp, L2GPA(p.at), p.access, &caps, log);
        BUG_UNLESS(again.verdict == w.verdict && again.l1gpa.raw == w.l1gpa.raw && again.rwx == w.rwx &&
                   again.entry == w.entry && again.qualification == w.qualification);
        return 0;
}
