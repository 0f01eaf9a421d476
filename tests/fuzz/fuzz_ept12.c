/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks of EPT12 over memory that the input fills: tables that point at themselves, at each other, at
 * nothing. Beyond "no crash", each walk must agree with a second one, keep its promises and change nothing
 * but flags. */
#include <stdlib.h>
#include <string.h>
#include "base/bug.h"
#include "ept02/combine.h"
#include "vmx/controls.h"

#define PAGES     8
#define RAM_BYTES (PAGES * PAGE_SIZE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The head of an input; the rest is a list of patches to the guest's RAM. */
struct plan {
        uint64_t eptp, at, caps;
        uint16_t access;
        uint8_t maxphyaddr;
        uint8_t leaf01;
        uint32_t zero;
};

struct patch {
        uint16_t where; /* which entry of which page, modulo RAM */
        uint8_t page;   /* what it points to, modulo RAM; or anything */
        uint8_t shape;  /* bit 7: `flags` is the whole entry */
        uint32_t unused;
        uint64_t flags;
};

static uint64_t ram[RAM_BYTES / sizeof(uint64_t)] __attribute__((aligned(4096)));
static uint64_t before[RAM_BYTES / sizeof(uint64_t)];

static void fill(const uint8_t *data, size_t size)
{
        memset(ram, 0, sizeof(ram));
        for (; size >= sizeof(struct patch); data += sizeof(struct patch), size -= sizeof(struct patch)) {
                struct patch p;
                memcpy(&p, data, sizeof(p));
                const uint64_t pointer = (uint64_t)(p.page % PAGES) << PAGE_SHIFT;
                ram[p.where % ARRAY_LEN(ram)] = p.shape & 0x80 ? p.flags : pointer | (p.flags & BITS(11, 0));
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct plan p;
        if (size < sizeof(p))
                return 0;
        memcpy(&p, data, sizeof(p));
        fill(data + sizeof(p), size - sizeof(p));
        memcpy(before, ram, sizeof(ram));
        const struct guest_mem mem = { .ram = (uint8_t *)ram, .low_bytes = RAM_BYTES };
        const struct vmx_caps caps = { .ept_vpid = p.caps, .maxphyaddr = (uint8_t)(32 + p.maxphyaddr % 21) };

        const struct ept_walk w = ept12_walk(&mem, p.eptp, L2GPA(p.at), p.access, &caps);
        check_walk(&w, p.at, p.access, &caps);
        check_leaf(&w, p.access, p.leaf01);
        check_memory(p.eptp);
        const struct ept_walk again = ept12_walk(&mem, p.eptp, L2GPA(p.at), p.access, &caps);
        BUG_UNLESS(again.verdict == w.verdict && again.l1gpa.raw == w.l1gpa.raw && again.rwx == w.rwx &&
                   again.entry == w.entry && again.qualification == w.qualification);
        return 0;
}
