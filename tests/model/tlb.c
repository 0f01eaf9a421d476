/* SPDX-License-Identifier: BSD-2-Clause */
#include "tlb.h"
#include <string.h>
#include "hw/vmx_ops.h"
#include "processor.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

#define PTE_P     BIT(0)
#define PTE_W     BIT(1)
#define PTE_LARGE BIT(7)
#define FOUND_MAX (4 * TLB_WAYS)

void tlb_reset(void)
{
        memset(&cpu.tlb, 0, sizeof(cpu.tlb));
}

/* --- the caches --- */

static struct tlb_bucket *ept_bucket(uint64_t ep4ta, bool table, unsigned shift, uint64_t at)
{
        const uint64_t h = (ep4ta >> 12) * 0x9e3779b1 + (at >> shift) * 0x85ebca6b + shift * 77 + table;
        return &cpu.tlb.ept[(h ^ h >> 15) % TLB_EPT_BUCKETS];
}

static struct tlb_bucket *combined_bucket(uint64_t linear)
{
        const uint64_t h = (linear >> 12) * 0x9e3779b1;
        return &cpu.tlb.combined[(h ^ h >> 15) % TLB_COMBINED_BUCKETS];
}

static bool same(const struct tlb_entry *a, const struct tlb_entry *b)
{
        return a->from == b->from && a->to == b->to && a->ep4ta == b->ep4ta && a->gpa == b->gpa &&
               a->table == b->table && a->shift == b->shift && a->rwx == b->rwx && a->vpid == b->vpid;
}

static void insert(struct tlb_bucket *b, const struct tlb_entry *e)
{
        for (unsigned i = 0; i < b->count; i++)
                if (same(&b->way[i], e))
                        return;
        const unsigned at = b->count < TLB_WAYS ? b->count++ : (unsigned)rng_below(&cpu.rng, TLB_WAYS);
        b->way[at] = *e;
}

typedef bool tlb_match(const struct tlb_entry *e, const void *ctx);

static void drop(struct tlb_bucket *b, tlb_match *match, const void *ctx)
{
        for (unsigned i = 0; i < b->count;) {
                if (match(&b->way[i], ctx))
                        b->way[i] = b->way[--b->count];
                else
                        i++;
        }
}

static void drop_all(struct tlb_bucket *b, unsigned buckets, tlb_match *match, const void *ctx)
{
        for (unsigned i = 0; i < buckets; i++)
                if (b[i].count)
                        drop(&b[i], match, ctx);
}

static bool same_ep4ta(const struct tlb_entry *e, const void *ctx)
{
        return e->ep4ta == *(const uint64_t *)ctx;
}

static bool any_entry(const struct tlb_entry *e, const void *ctx)
{
        return true;
}

static bool same_vpid(const struct tlb_entry *e, const void *ctx)
{
        return e->vpid == *(const uint16_t *)ctx;
}

static bool not_vpid0(const struct tlb_entry *e, const void *ctx)
{
        return e->vpid != 0;
}

/* SDM 3C "Operations that Invalidate Cached Mappings": combined mappings of the EP4TA go for all VPIDs. */
void tlb_drop_ep4ta(uint64_t ep4ta)
{
        drop_all(cpu.tlb.ept, TLB_EPT_BUCKETS, same_ep4ta, &ep4ta);
        drop_all(cpu.tlb.combined, TLB_COMBINED_BUCKETS, same_ep4ta, &ep4ta);
}

void tlb_drop_all_ept(void)
{
        drop_all(cpu.tlb.ept, TLB_EPT_BUCKETS, any_entry, NULL);
        drop_all(cpu.tlb.combined, TLB_COMBINED_BUCKETS, any_entry, NULL);
}

void tlb_drop_vpid(uint16_t vpid)
{
        drop_all(cpu.tlb.combined, TLB_COMBINED_BUCKETS, same_vpid, &vpid);
}

void tlb_drop_all_vpids(void)
{
        drop_all(cpu.tlb.combined, TLB_COMBINED_BUCKETS, not_vpid0, NULL);
}

struct spot {
        uint64_t address, ep4ta;
        uint16_t vpid;
        bool any_ep4ta;
};

static bool translates(const struct tlb_entry *e, const void *ctx)
{
        const struct spot *s = ctx;
        return (s->any_ep4ta || e->ep4ta == s->ep4ta) && e->vpid == s->vpid && !((e->from ^ s->address) >> e->shift);
}

void tlb_drop_linear(uint16_t vpid, uint64_t linear)
{
        drop(combined_bucket(linear), translates, &(struct spot){ .address = linear, .vpid = vpid, .any_ep4ta = true });
}

/* An EPT violation invalidates whatever would be used to translate the guest-physical address, and the
 * combined mappings of the linear address for the current VPID and EP4TA. */
static void drop_for_violation(uint64_t ep4ta, uint64_t gpa, uint16_t vpid, uint64_t linear)
{
        const struct spot physical = { .address = gpa, .ep4ta = ep4ta };
        for (unsigned shift = 12; shift <= 39; shift += 9) {
                drop(ept_bucket(ep4ta, false, shift, gpa), translates, &physical);
                drop(ept_bucket(ep4ta, true, shift, gpa), translates, &physical);
        }
        drop(combined_bucket(linear), translates, &(struct spot){ .address = linear, .ep4ta = ep4ta, .vpid = vpid });
}

static unsigned find_ept(uint64_t ep4ta, bool table, uint64_t gpa, const struct tlb_entry *found[FOUND_MAX])
{
        const struct spot s = { .address = gpa, .ep4ta = ep4ta };
        unsigned n = 0;
        for (unsigned shift = table ? 21 : 12; shift <= (table ? 39 : 30); shift += 9) {
                const struct tlb_bucket *b = ept_bucket(ep4ta, table, shift, gpa);
                for (unsigned i = 0; i < b->count; i++)
                        if (b->way[i].table == table && b->way[i].shift == shift && translates(&b->way[i], &s))
                                found[n++] = &b->way[i];
        }
        return n;
}

/* --- EPT --- */

static bool misconfigured(uint64_t e, unsigned level, bool leaf)
{
        const unsigned rwx = e & EPTE_RWX, type = (unsigned)GET(e, EPTE_MEMTYPE);
        const uint64_t size = BIT(ept_shift(level)) - 1;
        if (rwx == EPTE_W || rwx == (EPTE_W | EPTE_X) || (rwx == EPTE_X && !(cpu.caps.ept_vpid & EPTCAP_EXEC_ONLY)))
                return true;
        if ((e & EPTE_ADDR) >> cpu.caps.maxphyaddr)
                return true;
        if (!leaf)
                return e & (level == 4 ? BITS(7, 3) : BITS(6, 3));
        if (type == 2 || type == 3 || type == 7 || (e & EPTE_ADDR & size))
                return true;
        return level == 3 && !(cpu.caps.ept_vpid & EPTCAP_1G);
}

/* One walk, from the root or from any paging-structure entry that is cached. *leaf: what it found; rwx 0 and
 * no address if nothing is mapped. */
static void ept_walk(uint64_t eptp, uint64_t gpa, struct tlb_entry *leaf)
{
        const uint64_t ep4ta = eptp & EPTP_ADDR;
        const struct tlb_entry *found[FOUND_MAX];
        const unsigned n = find_ept(ep4ta, true, gpa, found), choice = (unsigned)rng_below(&cpu.rng, n + 1);
        uint64_t table = ep4ta;
        unsigned level = EPT_LEVELS, rwx = EPTE_RWX;
        if (choice < n) {
                table = found[choice]->to;
                level = (found[choice]->shift - 12) / 9;
                rwx = found[choice]->rwx;
        }
        cpu.count.walked++;
        *leaf = (struct tlb_entry){ .ep4ta = ep4ta };
        for (;; level--) {
                MODEL_REQUIRE(model_owns(table, PAGE_SIZE), "an EPT paging structure is at %#llx",
                              (unsigned long long)table);
                uint64_t *at = (uint64_t *)ptr_of(HPA(table)) + ept_index(gpa, level);
                const bool is_leaf = level == 1 || (level < 4 && (*at & EPTE_LARGE));
                rwx &= (unsigned)(*at & EPTE_RWX);
                leaf->rwx = (uint8_t)rwx;
                if (!(*at & EPTE_RWX))
                        return;
                MODEL_REQUIRE(!misconfigured(*at, level, is_leaf), "EPT misconfiguration: %#llx",
                              (unsigned long long)*at);
                if (eptp & EPTP_AD)
                        *at |= EPTE_A;
                const uint64_t size = BIT(ept_shift(level)) - 1;
                const struct tlb_entry e = { .table = !is_leaf,
                                             .shift = (uint8_t)ept_shift(level),
                                             .rwx = (uint8_t)rwx,
                                             .ep4ta = ep4ta,
                                             .from = gpa & ~size,
                                             .to = *at & EPTE_ADDR & (is_leaf ? ~size : ~0ull) };
                insert(ept_bucket(ep4ta, !is_leaf, e.shift, gpa), &e);
                if (is_leaf) {
                        MODEL_REQUIRE(model_is_ram(e.to, size + 1), "EPT maps %#llx, which is not the guest's RAM",
                                      (unsigned long long)e.to);
                        *leaf = e;
                        return;
                }
                table = e.to;
        }
}

/* What a guest-physical address comes to, by something cached or by a walk. */
static bool translate_gpa(uint64_t eptp, uint64_t gpa, unsigned needs, uint64_t *hpa, unsigned *rwx)
{
        const struct tlb_entry *found[FOUND_MAX];
        const unsigned n = gpa >> EPT_GPA_BITS ? 0 : find_ept(eptp & EPTP_ADDR, false, gpa, found);
        struct tlb_entry e = { .rwx = 0 };
        const bool cached = n && !rng_one_in(&cpu.rng, 4);
        cpu.count.cached += cached;
        if (cached)
                e = *found[rng_below(&cpu.rng, n)];
        else if (!(gpa >> EPT_GPA_BITS))
                ept_walk(eptp, gpa, &e);
        *rwx = e.rwx;
        *hpa = e.to + (gpa & (BIT(e.shift) - 1));
        return e.rwx && (e.rwx & needs) == needs;
}

/* --- linear addresses --- */

static bool violation(struct tlb_access *a, uint64_t eptp, uint16_t vpid, uint64_t gpa, unsigned needs, unsigned rwx,
                      bool final)
{
        a->gpa = gpa;
        a->qualification = PUT((uint64_t)needs | EPTQ_LINEAR_VALID | (final ? EPTQ_TRANSLATED : 0), EPTQ_RWX, rwx);
        drop_for_violation(eptp & EPTP_ADDR, gpa, vpid, a->linear);
        cpu.count.violations++;
        return false;
}

/* By the guest's page tables: *gpa of the page. False: EPT violation. */
static bool walk_guest(struct tlb_access *a, uint64_t eptp, uint16_t vpid, uint64_t *gpa)
{
        const struct vmcs12 *v = &cpu.current->v;
        /* SDM 3C "Accessed and Dirty Flags for EPT": with them every access to a guest paging structure is a
         * write. */
        const unsigned needs = EPTE_R | (eptp & EPTP_AD ? EPTE_W : 0);
        uint64_t table = v->guest_cr3 & EPTE_ADDR;
        for (unsigned level = 4;; level--) {
                const uint64_t at = table + ept_index(a->linear, level) * 8;
                uint64_t hpa;
                unsigned rwx;
                if (!translate_gpa(eptp, at, needs, &hpa, &rwx))
                        return violation(a, eptp, vpid, at, needs, rwx, false);
                const uint64_t e = *(const uint64_t *)ptr_of(HPA(hpa));
                MODEL_REQUIRE((e & (PTE_P | PTE_W)) == (PTE_P | PTE_W), "a page fault at %#llx: level %u is %#llx",
                              (unsigned long long)a->linear, level, (unsigned long long)e);
                const uint64_t size = BIT(ept_shift(level)) - 1;
                if (level == 1 || (level < 4 && (e & PTE_LARGE))) {
                        *gpa = (e & EPTE_ADDR & ~size) | (a->linear & size & ~(PAGE_SIZE - 1));
                        return true;
                }
                table = e & EPTE_ADDR;
        }
}

static const struct tlb_entry *find_combined(uint64_t ep4ta, uint16_t vpid, uint64_t linear, unsigned needs)
{
        const struct tlb_bucket *b = combined_bucket(linear);
        const struct spot s = { .address = linear, .ep4ta = ep4ta, .vpid = vpid };
        const struct tlb_entry *found[TLB_WAYS];
        unsigned n = 0;
        for (unsigned i = 0; i < b->count; i++)
                if (translates(&b->way[i], &s))
                        found[n++] = &b->way[i];
        return n && !rng_one_in(&cpu.rng, 4) ? found[rng_below(&cpu.rng, n)] : NULL;
}

enum tlb_result tlb_translate(struct tlb_access *a)
{
        const struct vmcs12 *v = &cpu.current->v;
        const uint32_t proc2 = vmcs12_proc2(v);
        const uint16_t vpid = proc2 & PROC2_VPID ? v->vpid : 0;
        MODEL_REQUIRE(proc2 & PROC2_EPT, "a guest without EPT");
        const uint64_t ep4ta = v->eptp & EPTP_ADDR;
        const struct tlb_entry *c = find_combined(ep4ta, vpid, a->linear, a->needs);
        if (c) {
                cpu.count.cached++;
                a->hpa = c->to + a->linear % PAGE_SIZE;
                if ((c->rwx & a->needs) == a->needs)
                        return TLB_OK;
                violation(a, v->eptp, vpid, c->gpa + a->linear % PAGE_SIZE, a->needs, c->rwx, true);
                return TLB_EPT_VIOLATION;
        }
        uint64_t gpa, hpa;
        unsigned rwx;
        if (!walk_guest(a, v->eptp, vpid, &gpa))
                return TLB_EPT_VIOLATION;
        if (!translate_gpa(v->eptp, gpa, a->needs, &hpa, &rwx)) {
                violation(a, v->eptp, vpid, gpa + a->linear % PAGE_SIZE, a->needs, rwx, true);
                return TLB_EPT_VIOLATION;
        }
        insert(combined_bucket(a->linear), &(struct tlb_entry){ .shift = PAGE_SHIFT,
                                                                .rwx = (uint8_t)rwx,
                                                                .vpid = vpid,
                                                                .ep4ta = ep4ta,
                                                                .from = ALIGN_DOWN(a->linear, PAGE_SIZE),
                                                                .to = hpa,
                                                                .gpa = gpa });
        a->hpa = hpa + a->linear % PAGE_SIZE;
        return TLB_OK;
}
