/* SPDX-License-Identifier: BSD-2-Clause */
/* EPT02 against a translation in two steps, over random EPT12 trees.
 *
 * A guest hypervisor changes its tables at random, flushes, and its guest touches random addresses; faults are served
 * as src/nested does it: walk of EPT12, lookup in EPT01, combination, installation. After a flush of everything, what
 * EPT02 holds must be exactly what the two steps give; without one it may be old, but never leaves the guest's RAM.
 * Some accesses are logged: each dirty flag that appears has its entry, and a full log stops whatever sets a flag.
 * The seed is printed; EPT02_SEED in the environment sets it. */
#include <stdio.h>
#include <string.h>
#include "suite.h"
#include "base/bits.h"
#include "ept02/ept02.h"
#include "ept02/pml.h"
#include "vmx/controls.h"

#define OPERATIONS  100000
#define LOW_BYTES   (8ull << 20)
#define HIGH_BYTES  (SIZE_2M + 3 * PAGE_SIZE)
#define TABLES      24   /* pages of EPT12, from address 0; each may serve as a table of any level */
#define EPT02_POOL  20   /* few enough to run short */
#define ROOTS       3
#define CHOICES     5
#define LOG_AT      (TABLES * PAGE_SIZE) /* page of the log, behind the tables */

static const unsigned indices[CHOICES] = { 0, 1, 3, 5, 511 }; /* of entries that are ever set */
_Static_assert(CHOICES == 5, "check_all() counts in base 5");

static uint64_t seed;
static uint8_t *ram;
static struct guest_mem mem;
static struct vmx_caps caps12;
static struct page_pool pool01, pool02;
static struct ept02_cache cache;
static uint64_t eptp01, eptps[ROOTS];
static uint8_t tables_before[TABLES * PAGE_SIZE];
static struct pml pml = { .address = LOG_AT, .index = PML_ENTRIES - 1 };
static unsigned logged, log_full;

/* xorshift64* */
static uint64_t any(void)
{
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        return seed * 0x2545f4914f6cdd1dull;
}

static uint64_t below(uint64_t n)
{
        return (any() >> 16) % n;
}

static bool one_in(uint64_t n)
{
        return below(n) == 0;
}

static uint64_t random_frame(void)
{
        switch (below(8)) {
        case 0:
                return any() & EPTE_ADDR;
        case 1:
                return GUEST_LOW_MAX + below(1 << 20) * PAGE_SIZE; /* the hole */
        case 2:
        case 3:
                return SIZE_4G + below(HIGH_BYTES / PAGE_SIZE + 8) * PAGE_SIZE;
        default:
                return below(LOW_BYTES / PAGE_SIZE + 64) * PAGE_SIZE;
        }
}

static uint64_t random_entry(void)
{
        const uint64_t rwx = one_in(6) ? below(8) : EPTE_RWX;
        const uint64_t leaf = rwx | PUT(0, EPTE_MEMTYPE, one_in(4) ? below(8) : MEMTYPE_WB) |
                              (one_in(8) ? EPTE_IPAT : 0) | (one_in(2) ? EPTE_D | EPTE_A : 0);
        switch (below(16)) {
        case 0:
                return 0;
        case 1:
                return any();
        case 2:
                return one_in(2) ? any() & ~EPTE_RWX : random_frame() | rwx;
        case 3:
        case 4:
                return leaf | EPTE_LARGE | ALIGN_DOWN(random_frame(), SIZE_2M);
        case 5:
                return leaf | EPTE_LARGE | (one_in(2) ? SIZE_4G : 0);
        case 6:
        case 7:
                return leaf | random_frame();
        default:
                return below(TABLES) * PAGE_SIZE | rwx;
        }
}

static void change_entry(void)
{
        const uint64_t e = random_entry();
        memcpy(ram + below(TABLES) * PAGE_SIZE + indices[below(CHOICES)] * 8, &e, 8);
}

static uint64_t at_of(const unsigned i[4])
{
        return (uint64_t)indices[i[0]] << 39 | (uint64_t)indices[i[1]] << 30 | (uint64_t)indices[i[2]] << 21 |
               (uint64_t)indices[i[3]] << 12;
}

static uint64_t random_at(void)
{
        const unsigned i[4] = { (unsigned)below(CHOICES), (unsigned)below(CHOICES), (unsigned)below(CHOICES),
                                (unsigned)below(CHOICES) };
        const uint64_t at = at_of(i) + below(PAGE_SIZE);
        if (one_in(1000))
                return any(); /* mostly beyond what four levels translate */
        return one_in(10) ? at ^ (below(SIZE_1G) & ~(PAGE_SIZE - 1)) : at;
}

/* The two steps. */
struct direct {
        enum ept02_verdict verdict;
        uint64_t hpa;
        unsigned rwx, shift;
        uint64_t attributes; /* memory type and ignore-PAT bit */
        bool dirty;
};

static bool entry_is_bad(uint64_t e, unsigned level, bool leaf)
{
        static const uint64_t low_zero[5][2] = {
                /* must be zero in: a pointer to a table, a leaf */
                [4] = { 0xf8, 0xf8 }, [3] = { 0x78, 0x3ffff000 }, [2] = { 0x78, 0x1ff000 }, [1] = { 0, 0 },
        };
        const unsigned rwx = e & 7, type = e >> 3 & 7;
        if (rwx == 2 || rwx == 6 || (rwx == 4 && !(caps12.ept_vpid & EPTCAP_EXEC_ONLY)))
                return true;
        if (e << 12 >> 12 >> caps12.maxphyaddr)
                return true;
        if (e & low_zero[level][leaf])
                return true;
        if (leaf && (type == 2 || type == 3 || type == 7))
                return true;
        const uint64_t needs[5] = { [3] = EPTCAP_1G, [2] = EPTCAP_2M };
        return leaf && needs[level] & ~caps12.ept_vpid;
}

static unsigned shift_in_ram(uint64_t l1)
{
        const uint8_t *first = guest_mem_at(&mem, L1GPA(ALIGN_DOWN(l1, SIZE_2M)), SIZE_2M);
        return first && (uint64_t)first % SIZE_2M == 0 ? 21 : 12;
}

static struct direct two_steps(uint64_t eptp12, uint64_t at, unsigned needs)
{
        struct direct d = { .verdict = EPT02_L1_VIOLATION, .rwx = 7 };
        uint64_t table = eptp12 & EPTP_ADDR, e = ~0ull;
        unsigned level = 4;
        bool leaf = false;
        if (at >> 48)
                return d;
        for (;; level--) {
                const uint64_t *p = guest_mem_at(&mem, L1GPA(table + (at >> (3 + 9 * level) & 511) * 8), 8);
                e = p ? *p : ~0ull;
                leaf = level == 1 || (level < 4 && (e & 0x80));
                if ((e & 7) == 0)
                        return d;
                if (entry_is_bad(e, level, leaf)) {
                        d.verdict = EPT02_L1_MISCONFIG;
                        return d;
                }
                d.rwx &= e & 7;
                if (leaf)
                        break;
                table = e & EPTE_ADDR;
        }
        if ((d.rwx & needs) != needs)
                return d;
        const unsigned shift12 = 3 + 9 * level;
        const uint64_t l1 = ALIGN_DOWN(e & EPTE_ADDR, BIT(shift12)) + at % BIT(shift12);
        const uint8_t *there = guest_mem_at(&mem, L1GPA(l1), 1);
        d.dirty = e & EPTE_D;
        if (!there) {
                d.verdict = EPT02_L0_MMIO;
                return d;
        }
        d.verdict = EPT02_FILLED;
        d.shift = shift_in_ram(l1) < shift12 ? shift_in_ram(l1) : shift12;
        d.hpa = (uint64_t)there;
        d.attributes = e & (EPTE_MEMTYPE | EPTE_IPAT);
        return d;
}

static uint64_t entry_of(const struct direct *d, bool writable)
{
        return ALIGN_DOWN(d->hpa, BIT(d->shift)) | (writable ? d->rwx : d->rwx & ~2u) | d->attributes | EPTE_A |
               EPTE_D | (d->shift > 12 ? EPTE_LARGE : 0);
}

/* The entry of EPT02 for an address, or 0. */
static uint64_t in_ept02(const struct ept02_root *r, uint64_t at, unsigned *shift)
{
        const uint64_t *table = r->table;
        for (*shift = 39; at < BIT(48); *shift -= 9) {
                const uint64_t e = table[at >> *shift & 511];
                if (!e || *shift == 12 || (e & EPTE_LARGE))
                        return e;
                REQUIRE((e & ~EPTE_ADDR) == EPTE_RWX, "%#llx leads to a table", (unsigned long long)e);
                table = ptr_of(HPA(e & EPTE_ADDR));
        }
        return 0;
}

static void check_in_ram(uint64_t e, unsigned shift)
{
        const uint64_t first = e & EPTE_ADDR, start = (uint64_t)ram;
        REQUIRE(first >= start && first + BIT(shift) <= start + LOW_BYTES + HIGH_BYTES, "%#llx leaves the guest's RAM",
                (unsigned long long)e);
}

/* What is filled for `at`, if anything. `current`: nothing changed since the last flush of everything. */
static bool check_one(unsigned which, uint64_t at, bool current)
{
        unsigned shift;
        const uint64_t eptp12 = eptps[which], e = in_ept02(ept02_root_for(&cache, eptp12), at, &shift);
        if (!e)
                return false;
        check_in_ram(e, shift);
        if (!current)
                return true;
        const struct direct d = two_steps(eptp12, at, 0);
        REQUIRE(d.verdict == EPT02_FILLED && shift == d.shift, "%#llx is filled", (unsigned long long)at);
        /* With flags, a part that was filled before the dirty flag was set may still refuse writes. */
        const bool tracks = eptp12 & EPTP_AD;
        REQUIRE((e == entry_of(&d, true) && (!tracks || d.dirty)) || (tracks && e == entry_of(&d, false)),
                "%#llx is filled with %#llx", (unsigned long long)at, (unsigned long long)e);
        return true;
}

static unsigned check_all(bool current)
{
        unsigned filled = 0;
        for (unsigned which = 0; which < ROOTS; which++)
                for (unsigned n = 0; n < 5 * 5 * 5 * 5; n++) {
                        const unsigned i[4] = { n / 125, n / 25 % 5, n / 5 % 5, n % 5 };
                        filled += check_one(which, at_of(i), current);
                }
        return filled;
}

static const uint64_t accesses[] = {
        EPTQ_READ | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED,
        EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED,
        EPTQ_READ | EPTQ_WRITE | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED,
        EPTQ_FETCH | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED,
        EPTQ_READ | EPTQ_LINEAR_VALID, /* to a paging structure */
        EPTQ_READ,
        0,
};

/* A walk of a guest hypervisor that logs. `clean`: the leaf's dirty flag was clear. False: the log is full. */
static bool walk_logged(uint64_t eptp12, uint64_t at, uint64_t access, bool clean, bool writes, struct ept_walk *w)
{
        if (one_in(50))
                pml.index = (uint16_t)(one_in(3) ? any() : below(PML_ENTRIES));
        const struct pml before = pml;
        memcpy(tables_before, ram, sizeof(tables_before));
        *w = ept12_walk_logged(&mem, eptp12, L2GPA(at), access, &caps12, &pml);
        const bool dirtied = w->verdict == EPT_OK && clean && writes;
        REQUIRE(!(dirtied && pml_is_full(&before)), "%#llx: dirty without an entry", (unsigned long long)at);
        REQUIRE(pml.index == (uint16_t)(before.index - dirtied), "%#llx: the index is %u", (unsigned long long)at, pml.index);
        if (dirtied) {
                uint64_t entry;
                memcpy(&entry, ram + LOG_AT + before.index * 8u, sizeof(entry));
                REQUIRE(entry == ALIGN_DOWN(at, PAGE_SIZE), "%#llx is logged as %#llx", (unsigned long long)at, (unsigned long long)entry);
                logged++;
        }
        if (pml_is_full(&before) || w->verdict == EPT_LOG_FULL)
                REQUIRE(!memcmp(tables_before, ram, sizeof(tables_before)), "%#llx: a flag without room", (unsigned long long)at);
        log_full += w->verdict == EPT_LOG_FULL;
        return w->verdict != EPT_LOG_FULL;
}

/* Counts by verdict, so that a run which only ever sees one of them is noticed. */
static void touch(unsigned counts[4])
{
        const unsigned which = (unsigned)below(ROOTS);
        const uint64_t eptp12 = eptps[which], at = random_at(), access = accesses[below(ARRAY_LEN(accesses))];
        const bool tracks = eptp12 & EPTP_AD;
        const bool structure = (access & EPTQ_LINEAR_VALID) && !(access & EPTQ_TRANSLATED);
        const unsigned needs = (access & 7) | (tracks && structure ? 3 : 0);

        const struct direct first = two_steps(eptp12, at, needs);
        const bool clean = (first.verdict == EPT02_FILLED || first.verdict == EPT02_L0_MMIO) && !first.dirty;
        struct ept_walk w;
        if (!tracks || one_in(2))
                w = ept12_walk(&mem, eptp12, L2GPA(at), access, &caps12);
        else if (!walk_logged(eptp12, at, access, clean, needs & 2, &w))
                return;
        const struct ept01_leaf e01 = ept01_lookup(eptp01, w.l1gpa);
        struct ept02_leaf leaf;
        const enum ept02_verdict verdict = ept02_combine(&w, &e01, access, &leaf);
        const struct direct d = two_steps(eptp12, at, needs); /* flags that the walk has set included */
        REQUIRE(verdict == d.verdict, "%#llx for access %#llx: verdict %d instead of %d", (unsigned long long)at,
                (unsigned long long)access, verdict, d.verdict);
        counts[verdict]++;
        if (verdict != EPT02_FILLED)
                return;
        struct ept02_root *r = ept02_root_for(&cache, eptp12);
        ept02_install(&cache, r, L2GPA(at), &leaf);
        unsigned shift;
        REQUIRE(in_ept02(r, at, &shift) == entry_of(&d, !tracks || d.dirty) && shift == d.shift,
                "%#llx is not filled as it should", (unsigned long long)at);
        REQUIRE(!tracks || !(needs & 2) || d.dirty, "%#llx: written and not dirty", (unsigned long long)at);
}

static void setup(uint64_t ram_offset, uint64_t ept_caps, uint8_t maxphyaddr)
{
        const char *given = getenv("EPT02_SEED");
        seed = given ? strtoull(given, NULL, 0) : 20240229;
        printf("EPT02_SEED=%llu\n", (unsigned long long)seed);
        seed |= 1ull << 63; /* never zero */
        ram = (uint8_t *)aligned_alloc(SIZE_2M, ALIGN_UP(LOW_BYTES + HIGH_BYTES, SIZE_2M) + SIZE_2M) + ram_offset;
        memset(ram, 0, TABLES * PAGE_SIZE);
        mem = (struct guest_mem){ .ram = ram, .low_bytes = LOW_BYTES, .high_bytes = HIGH_BYTES };
        caps12 = (struct vmx_caps){ .ept_vpid = ept_caps, .maxphyaddr = maxphyaddr };
        const struct vmx_caps hw = { .ept_vpid = EPTCAP_2M | EPTCAP_1G };
        pool_init(&pool01, aligned_alloc(PAGE_SIZE, 32 * PAGE_SIZE), 32 * PAGE_SIZE);
        pool_init(&pool02, aligned_alloc(PAGE_SIZE, EPT02_POOL * PAGE_SIZE), EPT02_POOL * PAGE_SIZE);
        eptp01 = ept01_build(&mem, &hw, &pool01);
        ept02_init(&cache, &pool02, &hw);
        for (unsigned i = 0; i < ROOTS; i++)
                eptps[i] = (i / 2) * PAGE_SIZE | MEMTYPE_WB | PUT(0, EPTP_WALK, EPTP_WALK4) | (i % 2 ? EPTP_AD : 0);
        for (unsigned i = 0; i < TABLES * CHOICES * 2; i++)
                change_entry();
}

static void run(void)
{
        unsigned counts[4] = { 0 }, filled = 0;
        uint64_t evictions = 0;
        bool current = true;
        for (unsigned done = 0; done < OPERATIONS;) {
                for (uint64_t n = below(12); n; n--, done++) {
                        change_entry();
                        current = false;
                }
                if (one_in(4)) {
                        ept02_invalidate(&cache, eptps[below(ROOTS)]);
                } else {
                        ept02_invalidate_all(&cache);
                        current = true;
                }
                const uint64_t flushes = cache.flushes;
                for (uint64_t n = below(200); n; n--, done++)
                        touch(counts);
                evictions += cache.flushes - flushes;
                filled += check_all(current);
                ck_assert_uint_eq(pool02.used[POOL_EPT02], cache.pages + ROOTS);
        }
        for (unsigned i = 0; i < ARRAY_LEN(counts); i++)
                ck_assert_msg(counts[i] > OPERATIONS / 500, "verdict %u came %u times", i, counts[i]);
        ck_assert_msg(filled > OPERATIONS / 50, "%u filled entries were seen", filled);
        ck_assert_uint_gt(evictions, 0);
        ck_assert_msg(logged > OPERATIONS / 1000 && log_full > OPERATIONS / 1000, "%u logged, %u full", logged, log_full);
        ept02_invalidate_all(&cache);
        ck_assert(cache.pages == 0 && pool02.used[POOL_EPT02] == ROOTS);
}

START_TEST(all_capabilities)
{
        setup(0, EPTCAP_EXEC_ONLY | EPTCAP_2M | EPTCAP_1G | EPTCAP_AD, 46);
        run();
}
END_TEST

START_TEST(no_optional_capability)
{
        setup(0, EPTCAP_2M, 36);
        run();
}
END_TEST

START_TEST(ram_in_small_pages_only)
{
        setup(PAGE_SIZE, EPTCAP_2M | EPTCAP_1G, 40);
        run();
}
END_TEST

int main(void)
{
        return RUN_SUITE("ept02_random", all_capabilities, no_optional_capability, ram_in_small_pages_only);
}
