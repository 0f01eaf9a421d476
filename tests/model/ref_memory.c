/* SPDX-License-Identifier: BSD-2-Clause */
#include "ref_memory.h"
#include <stdio.h>
#include <string.h>
#include "vmx/controls.h"
#include "vmx/epte.h"

#define LEAVES 32 /* different translations of one page that are remembered */
#define NO_EPT ROOTS

enum leaf_kind { LEAF_NONE, LEAF_MAPPED, LEAF_MISCONFIG };
struct leaf {
        uint16_t page; /* of the guest hypervisor */
        uint8_t l2;    /* page of level 2 */
        uint8_t rwx, kind;
};
struct history {
        unsigned count;
        struct leaf leaf[LEAVES];
};

/* Guest-physical mappings that may be cached, per EP4TA; combined mappings (without EPT: linear ones) per
 * VPID and EP4TA; and for level 1, a bit per data page. */
static struct history ept[ROOTS][L2_PAGES];
static struct history combined[VPIDS][ROOTS + 1][WINDOW];
static uint32_t linear_l1[WINDOW];

void ref_memory_reset(void)
{
        memset(ept, 0, sizeof(ept));
        memset(combined, 0, sizeof(combined));
        memset(linear_l1, 0, sizeof(linear_l1));
}

static uint64_t word_at(uint64_t at)
{
        const uint64_t *p = guest_mem_at(ref.mem, L1GPA(at), 8);
        return p ? *p : ~0ull;
}

/* --- contexts --- */

static bool has(uint32_t proc2)
{
        return vmcs12_proc2(&ref.current->v) & proc2;
}

static unsigned root_of(uint64_t eptp)
{
        return (unsigned)(((eptp & EPTP_ADDR) / PAGE_SIZE - P_EPT_ROOT) / 3);
}

static unsigned root_now(void)
{
        return has(PROC2_EPT) ? root_of(ref.current->v.eptp) : NO_EPT;
}

static unsigned vpid_now(void)
{
        return has(PROC2_VPID) ? ref.current->v.vpid : 0;
}

/* --- what tables say --- */

static bool misconfigured(uint64_t e, bool leaf, unsigned level)
{
        const unsigned rwx = e & EPTE_RWX, type = (unsigned)GET(e, EPTE_MEMTYPE);
        if (rwx == EPTE_W || rwx == (EPTE_W | EPTE_X))
                return true;
        return leaf ? type == 2 || type == 3 || type == 7 || (level == 2 && (e & BITS(20, 12))) : e & BITS(6, 3);
}

static unsigned l2_page_of(uint64_t gpa)
{
        return (unsigned)(gpa < SIZE_2M ? gpa / PAGE_SIZE : 8 + (gpa - SIZE_2M) / PAGE_SIZE);
}

/* A walk of EPT12, all of whose structures are 4-level ones with leaves of 4 KiB and 2 MiB. */
static struct leaf walk(unsigned root, uint64_t gpa)
{
        uint64_t table = PAGE(P_EPT_ROOT + 3 * root);
        unsigned rwx = EPTE_RWX;
        for (unsigned level = 4;; level--) {
                const uint64_t e = word_at(table + (gpa >> ept_shift(level) & 511) * 8);
                const bool leaf = level == 1 || (level == 2 && (e & EPTE_LARGE));
                rwx &= (unsigned)(e & EPTE_RWX);
                if (!(e & EPTE_RWX))
                        return (struct leaf){ .kind = LEAF_NONE, .rwx = (uint8_t)rwx };
                if (misconfigured(e, leaf, level))
                        return (struct leaf){ .kind = LEAF_MISCONFIG };
                table = e & EPTE_ADDR;
                if (leaf)
                        return (struct leaf){ .kind = LEAF_MAPPED,
                                              .rwx = (uint8_t)rwx,
                                              .l2 = (uint8_t)l2_page_of(gpa),
                                              .page = (uint16_t)(table / PAGE_SIZE +
                                                                 (level == 2 ? gpa / PAGE_SIZE % 512 : 0)) };
        }
}

static void remember(struct history *h, struct leaf l)
{
        for (unsigned i = 0; i < h->count; i++)
                if (h->leaf[i].page == l.page && h->leaf[i].rwx == l.rwx && h->leaf[i].l2 == l.l2)
                        return;
        MODEL_REQUIRE(h->count < LEAVES, "more translations of one page than the test remembers");
        h->leaf[h->count++] = l;
}

/* Page tables at level 1 of the window, by the tree that CR3 names: the tests change nothing above. */
static uint64_t l2_pte(unsigned i)
{
        return word_at((ref.current->v.guest_cr3 & EPTE_ADDR) + PAGE(3) + i * 8ull) & EPTE_ADDR;
}

static uint64_t l1_pte(unsigned i)
{
        return word_at(PAGE(P_L1_PT_WIN) + i * 8ull) & EPTE_ADDR;
}

void ref_tick_l1(void)
{
        for (unsigned i = 0; i < WINDOW; i++)
                linear_l1[i] |= 1u << l1_pte(i) / PAGE_SIZE;
}

/* The page of level 2 that a page of the window leads to now. */
static unsigned l2_now(unsigned i)
{
        return l2_page_of(l2_pte(i));
}

void ref_tick_l2(void)
{
        const unsigned root = root_now(), vpid = vpid_now();
        for (unsigned p = 0; root != NO_EPT && p < L2_PAGES; p++) {
                const struct leaf l = walk(root, l2_page_at(p));
                if (l.kind == LEAF_MAPPED) /* what is not mapped is not cached */
                        remember(&ept[root][p], l);
        }
        for (unsigned i = 0; i < WINDOW; i++) {
                struct history *c = &combined[vpid][root][i];
                const unsigned p = l2_now(i);
                if (root == NO_EPT)
                        remember(c, (struct leaf){ .kind = LEAF_MAPPED,
                                                   .page = (uint16_t)(l2_page_at(p) / PAGE_SIZE),
                                                   .rwx = EPTE_RWX,
                                                   .l2 = (uint8_t)p });
                for (unsigned k = 0; root != NO_EPT && k < ept[root][p].count; k++)
                        remember(c, ept[root][p].leaf[k]);
        }
}

static bool nearly_full(const struct history *h, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                if (h[i].count > LEAVES / 4)
                        return true;
        return false;
}

bool ref_memory_full(void)
{
        return nearly_full(ept[0], ROOTS * L2_PAGES) || nearly_full(combined[0][0], VPIDS * (ROOTS + 1) * WINDOW);
}

/* --- invalidation --- */

static void forget_root(unsigned root)
{
        memset(ept[root], 0, sizeof(ept[root]));
        for (unsigned v = 0; v < VPIDS; v++)
                memset(combined[v][root], 0, sizeof(combined[v][root]));
}

void ref_invalidate_ept(uint64_t type, uint64_t eptp)
{
        for (unsigned r = 0; r < ROOTS; r++)
                if (type == INVEPT_ALL || PAGE(P_EPT_ROOT + 3 * r) == (eptp & EPTP_ADDR))
                        forget_root(r);
}

static void forget_linear(unsigned vpid, unsigned i)
{
        for (unsigned r = 0; r <= ROOTS; r++)
                combined[vpid][r][i].count = 0;
}

void ref_invalidate_vpid(uint64_t type, uint16_t vpid, uint64_t at)
{
        for (unsigned v = 1; v < VPIDS; v++)
                for (unsigned i = 0; i < WINDOW; i++)
                        if ((type == INVVPID_ALL || v == vpid) &&
                            (type != INVVPID_ADDR || i == (at - L2_WINDOW_AT) / PAGE_SIZE))
                                forget_linear(v, i);
}

void ref_invlpg_l1(uint64_t at)
{
        linear_l1[(at - L1_WINDOW_AT) / PAGE_SIZE] = 0;
}

void ref_mov_cr3_l1(void)
{
        memset(linear_l1, 0, sizeof(linear_l1));
}

void ref_invlpg_l2(uint64_t at)
{
        forget_linear(vpid_now(), (unsigned)((at - L2_WINDOW_AT) / PAGE_SIZE));
}

void ref_mov_cr3_l2(void)
{
        for (unsigned i = 0; i < WINDOW; i++)
                forget_linear(vpid_now(), i);
}

/* SDM 3C "Operations that Invalidate Cached Mappings": without VPIDs a transition invalidates what VPID 0
 * has, and that is the guest hypervisor's own as well. */
void ref_transition(void)
{
        if (has(PROC2_VPID))
                return;
        memset(combined[0], 0, sizeof(combined[0]));
        ref_mov_cr3_l1();
}

/* --- answers --- */

bool ref_may_reach_l1(unsigned i, uint64_t page)
{
        return page < 32 && (linear_l1[i] >> page & 1);
}

bool ref_may_reach_l2(unsigned i, bool write, uint64_t page)
{
        const struct history *c = &combined[vpid_now()][root_now()][i];
        for (unsigned k = 0; k < c->count; k++)
                if (c->leaf[k].page == page && (c->leaf[k].rwx & (write ? EPTE_W : EPTE_R)))
                        return true;
        return false;
}

void ref_print_l2(unsigned i)
{
        const struct history *c = &combined[vpid_now()][root_now()][i];
        fprintf(stderr, "page %u of the window, VPID %u, root %u may lead to:\n", i, vpid_now(), root_now());
        for (unsigned k = 0; k < c->count; k++)
                fprintf(stderr, "  %#llx: page %u rights %u\n", (unsigned long long)l2_page_at(c->leaf[k].l2),
                        c->leaf[k].page, c->leaf[k].rwx);
}

/* The page of level 2 that a violation or misconfiguration names; L2_PAGES: one that the window never leads
 * to. */
static unsigned named(uint64_t gpa)
{
        const unsigned p = l2_page_of(gpa);
        return p < L2_PAGES && ALIGN_DOWN(gpa, PAGE_SIZE) == l2_page_at(p) ? p : L2_PAGES;
}

bool ref_may_violate(unsigned i, bool write, uint64_t gpa, unsigned rwx)
{
        const unsigned root = root_now(), p = named(gpa);
        if (root == NO_EPT || p == L2_PAGES)
                return false;
        struct history *c = &combined[vpid_now()][root][i];
        const struct leaf now = walk(root, gpa);
        bool may = p == l2_now(i) && now.kind == LEAF_NONE && now.rwx == rwx;
        for (unsigned k = 0; k < c->count; k++)
                may |= c->leaf[k].l2 == p && c->leaf[k].rwx == rwx && !(rwx & (write ? EPTE_W : EPTE_R));
        /* It invalidates the mappings of the guest-physical address, and those of the linear address that led
         * to it. */
        ept[root][p].count = 0;
        c->count = 0;
        return may;
}

bool ref_may_misconfig(unsigned i, uint64_t gpa)
{
        const unsigned p = named(gpa);
        return root_now() != NO_EPT && p == l2_now(i) && walk(root_now(), gpa).kind == LEAF_MISCONFIG;
}
