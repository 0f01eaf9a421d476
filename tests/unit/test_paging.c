/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's linear addresses: paging in every mode, access rights, accessed and dirty flags, copies. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "emulate/paging.h"

#define PAGES 64
static _Alignas(4096) uint8_t ram[PAGES * PAGE_SIZE];
static const struct guest_mem mem = {.ram = ram, .low_bytes = PAGES * PAGE_SIZE};

#define CR0_PG   BIT(31)
#define CR0_WP   BIT(16)
#define CR4_PSE  BIT(4)
#define CR4_PAE  BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE  BIT(22)
#define LMA      BIT(10)
#define NXE      BIT(11)
#define AC       BIT(18)
#define P        BIT(0)
#define W        BIT(1)
#define U        BIT(2)
#define A        BIT(5)
#define D        BIT(6)
#define PS       BIT(7)
#define NX       BIT(63)

/* Where the tables of these tests lie; 4-level: PML4 -> PDPT -> PD -> PT, the last also serves 32-bit paging.
 */
#define PML4 0x1000ull
#define PDPT 0x2000ull
#define PD   0x3000ull
#define PT   0x4000ull

static uint64_t *entry64(uint64_t table, unsigned index)
{
        return (uint64_t *)(ram + table) + index;
}

static uint32_t *entry32(uint64_t table, unsigned index)
{
        return (uint32_t *)(ram + table) + index;
}

static struct guest_paging paging_32(void)
{
        return (struct guest_paging){.cr0 = CR0_PG, .cr3 = PD, .cr4 = CR4_PSE, .maxphyaddr = 40};
}

static struct guest_paging paging_pae(void)
{
        return (struct guest_paging){
                .cr0 = CR0_PG, .cr3 = PDPT | 0x20, .cr4 = CR4_PAE, .efer = NXE, .maxphyaddr = 40};
}

static struct guest_paging paging_4level(void)
{
        return (struct guest_paging){.cr0 = CR0_PG | CR0_WP,
                                     .cr3 = PML4 | 0x18,
                                     .cr4 = CR4_PAE,
                                     .efer = LMA | NXE,
                                     .maxphyaddr = 40,
                                     .pages_1g = true};
}

/* The linear address that uses these indices in the four tables. */
static uint64_t linear_of(unsigned i4, unsigned i3, unsigned i2, unsigned i1, unsigned offset)
{
        const uint64_t low =
                (uint64_t)i4 << 39 | (uint64_t)i3 << 30 | (uint64_t)i2 << 21 | (uint64_t)i1 << 12 | offset;

        return i4 & 0x100 ? low | BITS(63, 48) : low;
}

/* One 4-KByte page at linear_of(256, 3, 5, 7, ...) -> 0x10000, everything allowed. */
#define PAGE_LINEAR(offset) linear_of(256, 3, 5, 7, offset)
static void map_4level(void)
{
        memset(ram, 0, sizeof(ram));
        *entry64(PML4, 256) = PDPT | P | W | U;
        *entry64(PDPT, 3) = PD | P | W | U;
        *entry64(PD, 5) = PT | P | W | U;
        *entry64(PT, 7) = 0x10000 | P | W | U;
}

static void expect_ok(const struct guest_paging *p, uint64_t linear, unsigned access, uint64_t at,
                      uint64_t page)
{
        const struct gva_result r = guest_translate(&mem, p, linear, access);

        ck_assert_int_eq(r.status, GVA_OK);
        ck_assert_uint_eq(r.at.raw, at);
        ck_assert_uint_eq(r.page_bytes, page);
}

static void expect_fault(const struct guest_paging *p, uint64_t linear, unsigned access, uint32_t error)
{
        const struct gva_result r = guest_translate(&mem, p, linear, access);

        ck_assert_int_eq(r.status, GVA_PAGE_FAULT);
        ck_assert_uint_eq(r.error_code, error);
        ck_assert_uint_eq(r.linear, linear);
}

START_TEST(off)
{
        const struct guest_paging p = {.maxphyaddr = 40};

        expect_ok(&p, 0x12345, ACCESS_WRITE, 0x12345, PAGE_SIZE);
        expect_ok(&p, 0x1fffff123ull, 0, 0xfffff123, PAGE_SIZE); /* linear addresses have 32 bits */
}
END_TEST

START_TEST(mode_32)
{
        const struct guest_paging p = paging_32();

        memset(ram, 0, sizeof(ram));
        *entry32(PD, 0x301) = PT | P | W | U;
        *entry32(PT, 0x2aa) = 0x7f000 | P | W | U;
        expect_ok(&p, 0xc06aa123, ACCESS_WRITE, 0x7f123, PAGE_SIZE);
        expect_ok(&p, 0xffffffffc06aa123ull, 0, 0x7f123, PAGE_SIZE);
        expect_fault(&p, 0xc06ab000, 0, 0);
        expect_fault(&p, 0xc0200000, ACCESS_WRITE, PF_WRITE);
        expect_fault(&p, 0xc0200000, ACCESS_FETCH, 0); /* neither SMEP nor PAE: no I/D bit */
        const struct guest_paging user = {
                .cr0 = p.cr0, .cr3 = p.cr3, .cr4 = CR4_SMEP, .cpl = 3, .maxphyaddr = 40};
        expect_fault(&user, 0xc0200000, ACCESS_FETCH, PF_USER | PF_FETCH);
}
END_TEST

START_TEST(mode_32_large)
{
        struct guest_paging p = paging_32();

        memset(ram, 0, sizeof(ram));
        *entry32(PD, 1) = 0x00c00000u | P | W | PS;
        expect_ok(&p, 0x7fffff, 0, 0xffffff, 1 << 22);
        *entry32(PD, 1) = 0x00c00000u | 0xab << 13 | P | PS; /* PSE-36: bits 39:32 */
        expect_ok(&p, 0x400004, 0, 0xab00c00004ull, 1 << 22);
        p.maxphyaddr = 39;
        expect_fault(&p, 0x400004, 0, PF_PRESENT | PF_RESERVED);
        p.maxphyaddr = 40;
        *entry32(PD, 1) = 0x00c00000u | 1 << 21 | P | PS;
        expect_fault(&p, 0x400004, ACCESS_WRITE, PF_PRESENT | PF_RESERVED | PF_WRITE);
        p.cr4 = 0; /* without PSE the bit means nothing: the entry points to a table */
        *entry32(PD, 1) = PT | P | W | PS;
        *entry32(PT, 0) = 0x8000 | P;
        expect_ok(&p, 0x400004, 0, 0x8004, PAGE_SIZE);
}
END_TEST

START_TEST(mode_pae)
{
        struct guest_paging p = paging_pae();

        memset(ram, 0, sizeof(ram));
        *entry64(PDPT + 0x20, 3) = PD | P;
        *entry64(PD, 5) = PT | P | W | U;
        *entry64(PT, 7) = 0x9100010000ull | P | W | U;
        *entry64(PD, 6) = 0x600000 | BIT(12) | P | W | PS | NX;
        expect_ok(&p, 0xc0a07123, ACCESS_WRITE, 0x9100010123ull, PAGE_SIZE);
        expect_ok(&p, 0xc0cfffff, ACCESS_WRITE, 0x6fffff, SIZE_2M);
        expect_fault(&p, 0xc0c00000, ACCESS_FETCH, PF_PRESENT | PF_FETCH);
        expect_fault(&p, 0x80a07123, 0, 0); /* PDPTE 2 is not present */
        *entry64(PDPT + 0x20, 3) = PD | P | W;
        expect_fault(&p, 0xc0a07123, 0, PF_PRESENT | PF_RESERVED);

        p.pdpte_valid = true; /* as loaded from the VMCS, whatever memory says */
        p.pdpte[3] = PD | P;
        expect_ok(&p, 0xc0a07123, 0, 0x9100010123ull, PAGE_SIZE);
        p.pdpte[3] = 0;
        expect_fault(&p, 0xc0a07123, 0, 0);
}
END_TEST

START_TEST(mode_pae_reserved)
{
        static const uint64_t bits[] = {BIT(40), BIT(51), BIT(52), BIT(62)};
        struct guest_paging p = paging_pae();

        for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
                memset(ram, 0, sizeof(ram));
                *entry64(PDPT + 0x20, 0) = PD | P;
                *entry64(PD, 0) = PT | P | W | U;
                *entry64(PT, 0) = P | bits[i];
                expect_fault(&p, 0, 0, PF_PRESENT | PF_RESERVED);
                *entry64(PT, 0) = P;
                *entry64(PD, 0) |= bits[i];
                expect_fault(&p, 0, 0, PF_PRESENT | PF_RESERVED);
        }
        *entry64(PD, 0) = P | PS | BIT(13); /* a 2-MByte page that is not aligned */
        expect_fault(&p, 0, 0, PF_PRESENT | PF_RESERVED);
        *entry64(PD, 0) = P | PS | NX;
        expect_ok(&p, 0, 0, 0, SIZE_2M);
        p.efer = 0;
        expect_fault(&p, 0, ACCESS_FETCH, PF_PRESENT | PF_RESERVED); /* and no I/D bit without NXE */
}
END_TEST

START_TEST(mode_4level)
{
        struct guest_paging p = paging_4level();

        map_4level();
        expect_ok(&p, PAGE_LINEAR(0xabc), ACCESS_WRITE, 0x10abc, PAGE_SIZE);
        *entry64(PD, 5) = 0x1200000 | P | W | U | PS;
        expect_ok(&p, PAGE_LINEAR(0xabc), 0, 0x1200000 + 7 * PAGE_SIZE + 0xabc, SIZE_2M);
        *entry64(PDPT, 3) = 0x80000000 | P | W | U | PS;
        expect_ok(&p, PAGE_LINEAR(0xabc), 0, 0x80000000 + 5 * SIZE_2M + 7 * PAGE_SIZE + 0xabc, SIZE_1G);
        p.pages_1g = false;
        expect_fault(&p, PAGE_LINEAR(0), 0, PF_PRESENT | PF_RESERVED);
        map_4level();
        *entry64(PT, 7) |= BITS(62, 52); /* ignored here, unlike in PAE paging */
        expect_ok(&p, PAGE_LINEAR(0), 0, 0x10000, PAGE_SIZE);
}
END_TEST

START_TEST(mode_4level_canonical)
{
        struct guest_paging p = paging_4level();

        map_4level();
        static const uint64_t bad[] = {0x0000800000000000ull, 0xffff7fffffffffffull, 0x8000000000000000ull,
                                       0x00fff00000000000ull};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                ck_assert_int_eq(guest_translate(&mem, &p, bad[i], 0).status, GVA_NONCANONICAL);
        expect_fault(&p, 0x00007fffffffffffull, 0, 0);
        expect_fault(&p, 0xffff800000000000ull, 0, 0);
        p.cr4 |= CR4_LA57;
        ck_assert_int_eq(guest_translate(&mem, &p, PAGE_LINEAR(0), 0).status, GVA_UNSUPPORTED);
}
END_TEST

/* Each of the four tables: not present, and every reserved bit. */
START_TEST(mode_4level_each_level)
{
        static const struct {
                uint64_t table;
                unsigned index;
                uint64_t reserved; /* beyond the address bits, which are reserved at all levels */
        } t[] = {{PML4, 256, PS}, {PDPT, 3, 0}, {PD, 5, 0}, {PT, 7, 0}};
        struct guest_paging p = paging_4level();
        uint64_t *const e = entry64(t[_i].table, t[_i].index);

        map_4level();
        *e &= ~P;
        expect_fault(&p, PAGE_LINEAR(8), ACCESS_WRITE, PF_WRITE);
        *e |= NX | BITS(51, 40) | PS; /* nothing else counts in an entry that is not present */
        expect_fault(&p, PAGE_LINEAR(8), ACCESS_FETCH, PF_FETCH);
        for (unsigned bit = 40; bit < 52; bit++) {
                map_4level();
                *e |= BIT(bit);
                expect_fault(&p, PAGE_LINEAR(8), 0, PF_PRESENT | PF_RESERVED);
        }
        map_4level();
        if (t[_i].reserved) {
                *e |= t[_i].reserved;
                expect_fault(&p, PAGE_LINEAR(8), 0, PF_PRESENT | PF_RESERVED);
        }
        map_4level();
        *e |= NX;
        expect_fault(&p, PAGE_LINEAR(8), ACCESS_FETCH, PF_PRESENT | PF_FETCH);
        expect_ok(&p, PAGE_LINEAR(8), ACCESS_WRITE, 0x10008, PAGE_SIZE);
        p.efer = LMA;
        expect_fault(&p, PAGE_LINEAR(8), 0, PF_PRESENT | PF_RESERVED);
}
END_TEST

/* A table outside RAM reads as all-ones: present, and full of reserved bits. */
START_TEST(table_outside_ram)
{
        struct guest_paging p = paging_4level();

        map_4level();
        *entry64(PD, 5) = (PAGES * PAGE_SIZE) | P | W | U;
        expect_fault(&p, PAGE_LINEAR(8), 0, PF_PRESENT | PF_RESERVED);
        p.cr3 = 0xfee00000;
        expect_fault(&p, PAGE_LINEAR(8), 0, PF_PRESENT | PF_RESERVED);
}
END_TEST

/* A second stage that maps the page at 1 MiB + n to that at n, but for one page and some uses of it. */
#define STAGE_BASE 0x100000ull
#define ANY_USE    (~0u)

struct refused {
        uint64_t page;
        unsigned use; /* or ANY_USE */
};

static bool stage(void *ctx, l1gpa_t at, unsigned use, l1gpa_t *out)
{
        const struct refused *r = ctx;
        *out = L1GPA(at.raw - STAGE_BASE);
        return at.raw >= STAGE_BASE && (ALIGN_DOWN(at.raw, PAGE_SIZE) != r->page || (r->use != ANY_USE && r->use != use));
}

START_TEST(second_stage)
{
        struct refused refused = {0, ANY_USE};
        const struct second_stage second = {.translate = stage, .ctx = &refused};
        struct guest_paging p = {.second = &second, .maxphyaddr = 40};
        struct gva_result fault;
        uint8_t got[32], bytes[32] = "through two stages, over a page";

        ck_assert(guest_write_linear(&mem, &p, STAGE_BASE + 5 * PAGE_SIZE - 16, bytes, sizeof(bytes), 0, &fault));
        ck_assert(!memcmp(ram + 5 * PAGE_SIZE - 16, bytes, sizeof(bytes)));
        ck_assert(guest_read_linear(&mem, &p, STAGE_BASE + 5 * PAGE_SIZE - 16, got, sizeof(got), 0, &fault));
        ck_assert(!memcmp(got, bytes, sizeof(bytes)));
        refused.page = STAGE_BASE + 5 * PAGE_SIZE;
        ck_assert(!guest_read_linear(&mem, &p, STAGE_BASE + 5 * PAGE_SIZE - 16, got, sizeof(got), 0, &fault));
        ck_assert(fault.status == GVA_NOT_RAM && fault.at.raw == refused.page && fault.use == 0);
        refused.use = ACCESS_WRITE;
        ck_assert(guest_read_linear(&mem, &p, STAGE_BASE + 5 * PAGE_SIZE - 16, got, sizeof(got), ACCESS_SET_AD, &fault));
        ck_assert(!guest_write_linear(&mem, &p, STAGE_BASE + 5 * PAGE_SIZE - 16, got, sizeof(got), 0, &fault));
        ck_assert(fault.status == GVA_NOT_RAM && fault.at.raw == refused.page && fault.use == ACCESS_WRITE);
        refused.use = ACCESS_FETCH;
        ck_assert(!guest_read_linear(&mem, &p, STAGE_BASE + 5 * PAGE_SIZE - 16, got, sizeof(got), ACCESS_FETCH, &fault));
        ck_assert(fault.status == GVA_NOT_RAM && fault.use == ACCESS_FETCH);
        /* The tables themselves go through it as well. */
        p = paging_4level();
        p.second = &second;
        p.cr3 += STAGE_BASE;
        map_4level();
        *entry64(PML4, 256) += STAGE_BASE;
        *entry64(PDPT, 3) += STAGE_BASE;
        *entry64(PD, 5) += STAGE_BASE;
        ck_assert(guest_translate(&mem, &p, PAGE_LINEAR(8), 0).status == GVA_OK);
        refused = (struct refused){STAGE_BASE + PD, ANY_USE};
        struct gva_result g = guest_translate(&mem, &p, PAGE_LINEAR(8), 0);
        ck_assert(g.status == GVA_NOT_RAM && g.use == ACCESS_STRUCTURE && g.at.raw == STAGE_BASE + PD + 5 * 8 &&
                  g.linear == PAGE_LINEAR(8));
        /* A flag that cannot be set is a write to the table; the tables above may have got theirs. */
        refused.use = ACCESS_STRUCTURE | ACCESS_WRITE;
        ck_assert(guest_translate(&mem, &p, PAGE_LINEAR(8), 0).status == GVA_OK);
        g = guest_translate(&mem, &p, PAGE_LINEAR(8), ACCESS_SET_AD);
        ck_assert(g.status == GVA_NOT_RAM && g.use == (ACCESS_STRUCTURE | ACCESS_WRITE) && g.at.raw == STAGE_BASE + PD + 5 * 8);
        *entry64(PD, 5) |= A;
        ck_assert(guest_translate(&mem, &p, PAGE_LINEAR(8), ACCESS_SET_AD).status == GVA_OK);
}
END_TEST

/* What the manual says about one page, written down once more and as plainly as possible. */
static bool allowed(const struct guest_paging *p, unsigned access, bool user_page, bool writable, bool nx)
{
        const bool user = p->cpl == 3 && !(access & ACCESS_SYSTEM);

        if (access & ACCESS_FETCH) {
                if (p->efer & NXE && nx)
                        return false;
                return user ? user_page : !(user_page && p->cr4 & CR4_SMEP);
        }
        if (user)
                return user_page && (writable || !(access & ACCESS_WRITE));
        if (user_page && p->cr4 & CR4_SMAP && (access & ACCESS_SYSTEM || !(p->rflags & AC)))
                return false;
        return writable || !(access & ACCESS_WRITE) || !(p->cr0 & CR0_WP);
}

/* Every combination of access, rights, level that withholds the right, and control bits. */
START_TEST(rights)
{
        static const unsigned accesses[] = {0, ACCESS_WRITE, ACCESS_FETCH, ACCESS_SYSTEM,
                                            ACCESS_SYSTEM | ACCESS_WRITE};
        static uint64_t *entry[4];
        unsigned differ = 0;

        for (unsigned bits = 0; bits < 1u << 12; bits++) {
                struct guest_paging p = paging_4level();
                const bool user = bits & 1, writable = bits & 2, nx = bits & 4;
                const unsigned level = bits >> 3 & 3;

                p.cpl = bits & 32 ? 3 : 0;
                p.cr0 = CR0_PG | (bits & 64 ? CR0_WP : 0);
                p.cr4 |= (bits & 128 ? CR4_SMEP : 0) | (bits & 256 ? CR4_SMAP : 0);
                p.rflags = bits & 512 ? AC : 0;
                p.efer = LMA | (bits & 1024 || nx ? NXE : 0);
                map_4level();
                entry[0] = entry64(PML4, 256);
                entry[1] = entry64(PDPT, 3);
                entry[2] = entry64(PD, 5);
                entry[3] = entry64(PT, 7);
                *entry[level] =
                        (*entry[level] & ~(U | W)) | (user ? U : 0) | (writable ? W : 0) | (nx ? NX : 0);
                for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
                        const unsigned access = accesses[i];
                        const struct gva_result r = guest_translate(&mem, &p, PAGE_LINEAR(0), access);
                        const bool fetch_bit = access & ACCESS_FETCH && (p.efer & NXE || p.cr4 & CR4_SMEP);
                        const uint32_t error = PF_PRESENT | (access & ACCESS_WRITE ? PF_WRITE : 0) |
                                               (p.cpl == 3 && !(access & ACCESS_SYSTEM) ? PF_USER : 0) |
                                               (fetch_bit ? PF_FETCH : 0);

                        if (allowed(&p, access, user, writable, nx))
                                differ += r.status != GVA_OK;
                        else
                                differ += r.status != GVA_PAGE_FAULT || r.error_code != error;
                }
        }
        ck_assert_uint_eq(differ, 0);
}
END_TEST

START_TEST(protection_keys)
{
        struct guest_paging p = paging_4level();

        map_4level();
        *entry64(PT, 7) |= 5ull << 59;
        p.cr4 |= CR4_PKE;
        p.cpl = 3;
        p.pkru = 3u << 8; /* key 4 */
        expect_ok(&p, PAGE_LINEAR(0), ACCESS_WRITE, 0x10000, PAGE_SIZE);
        p.pkru = 1u << 10; /* key 5: no access */
        expect_fault(&p, PAGE_LINEAR(0), 0, PF_PRESENT | PF_USER | PF_KEY);
        expect_ok(&p, PAGE_LINEAR(0), ACCESS_FETCH, 0x10000, PAGE_SIZE);
        p.pkru = 2u << 10; /* key 5: no writes */
        expect_ok(&p, PAGE_LINEAR(0), 0, 0x10000, PAGE_SIZE);
        expect_fault(&p, PAGE_LINEAR(0), ACCESS_WRITE, PF_PRESENT | PF_USER | PF_KEY | PF_WRITE);
        p.cpl = 0;
        expect_fault(&p, PAGE_LINEAR(0), ACCESS_WRITE, PF_PRESENT | PF_KEY | PF_WRITE);
        p.cr0 &= ~CR0_WP;
        expect_ok(&p, PAGE_LINEAR(0), ACCESS_WRITE, 0x10000, PAGE_SIZE);
        p.cr0 |= CR0_WP;
        p.cr4 &= ~CR4_PKE;
        expect_ok(&p, PAGE_LINEAR(0), ACCESS_WRITE, 0x10000, PAGE_SIZE);
        p.cr4 |= CR4_PKE;
        *entry64(PT, 7) &= ~U; /* keys are for user pages */
        expect_ok(&p, PAGE_LINEAR(0), ACCESS_WRITE, 0x10000, PAGE_SIZE);
}
END_TEST

START_TEST(accessed_and_dirty)
{
        const struct guest_paging p = paging_4level();

        map_4level();
        guest_translate(&mem, &p, PAGE_LINEAR(0), ACCESS_WRITE);
        ck_assert_uint_eq(*entry64(PT, 7) & (A | D), 0); /* only when asked to */
        guest_translate(&mem, &p, PAGE_LINEAR(0), ACCESS_SET_AD);
        ck_assert_uint_eq(*entry64(PML4, 256), PDPT | P | W | U | A);
        ck_assert_uint_eq(*entry64(PDPT, 3), PD | P | W | U | A);
        ck_assert_uint_eq(*entry64(PD, 5), PT | P | W | U | A);
        ck_assert_uint_eq(*entry64(PT, 7), 0x10000 | P | W | U | A);
        guest_translate(&mem, &p, PAGE_LINEAR(0), ACCESS_SET_AD | ACCESS_WRITE);
        ck_assert_uint_eq(*entry64(PD, 5), PT | P | W | U | A);
        ck_assert_uint_eq(*entry64(PT, 7), 0x10000 | P | W | U | A | D);

        map_4level();
        *entry64(PT, 7) &= ~W;
        expect_fault(&p, PAGE_LINEAR(0), ACCESS_SET_AD | ACCESS_WRITE, PF_PRESENT | PF_WRITE);
        ck_assert_uint_eq(*entry64(PML4, 256), PDPT | P | W | U);

        const struct guest_paging old = paging_32();
        memset(ram, 0, sizeof(ram));
        *entry32(PD, 0) = PT | P | W;
        *entry32(PT, 1) = 0x8000 | P | W;
        *entry32(PT, 2) = 0x9000;
        guest_translate(&mem, &old, 0x1000, ACCESS_SET_AD | ACCESS_WRITE);
        ck_assert_uint_eq(*entry32(PD, 0), PT | P | W | A);
        ck_assert_uint_eq(*entry32(PT, 1), 0x8000 | P | W | A | D);
        ck_assert_uint_eq(*entry32(PT, 2), 0x9000); /* the neighbour in the same 8 bytes */
}
END_TEST

/* Two neighbouring pages that lie apart in memory. */
static void map_two(void)
{
        map_4level();
        *entry64(PT, 7) = 0x10000 | P | W | U;
        *entry64(PT, 8) = 0x20000 | P | W | U;
}

START_TEST(copies)
{
        const struct guest_paging p = paging_4level();
        struct gva_result fault;
        uint8_t in[GUEST_LINEAR_MAX], out[GUEST_LINEAR_MAX];

        for (size_t i = 0; i < sizeof(in); i++)
                in[i] = (uint8_t)(i * 13 + 1);
        static const unsigned sizes[] = {0, 1, 2, 8, 15, 4095, 4096};
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
                for (unsigned offset = 4080; offset <= 4096; offset++) {
                        const size_t n = sizes[i], first = n < 4096 - offset ? n : 4096 - offset;

                        if (offset == 4096 && n == 4096)
                                continue; /* would go on to a third page */
                        map_two();
                        ck_assert(guest_write_linear(&mem, &p, PAGE_LINEAR(0) + offset, in, n, 0, &fault));
                        ck_assert_mem_eq(ram + 0x10000 + offset, in, first);
                        ck_assert_mem_eq(ram + 0x20000 + (offset + first - 4096), in + first, n - first);
                        memset(out, 0, sizeof(out));
                        ck_assert(guest_read_linear(&mem, &p, PAGE_LINEAR(0) + offset, out, n, 0, &fault));
                        ck_assert_mem_eq(out, in, n);
                }
}
END_TEST

START_TEST(copies_all_or_nothing)
{
        const struct guest_paging p = paging_4level();
        static const uint8_t zeroes[16];
        struct gva_result fault;
        uint8_t bytes[16] = {1, 2, 3};

        map_two();
        *entry64(PT, 8) &= ~W;
        ck_assert(!guest_write_linear(&mem, &p, PAGE_LINEAR(0xff8), bytes, 16, ACCESS_SET_AD, &fault));
        ck_assert_int_eq(fault.status, GVA_PAGE_FAULT);
        ck_assert_uint_eq(fault.linear, PAGE_LINEAR(0) + PAGE_SIZE);
        ck_assert_uint_eq(fault.error_code, PF_PRESENT | PF_WRITE);
        ck_assert_mem_eq(ram + 0x10ff8, zeroes, 8);
        ck_assert(guest_read_linear(&mem, &p, PAGE_LINEAR(0xff8), bytes, 16, 0, &fault));

        *entry64(PT, 8) = 0xfee00000 | P | W;
        ck_assert(!guest_write_linear(&mem, &p, PAGE_LINEAR(0xff8), bytes, 16, 0, &fault));
        ck_assert_int_eq(fault.status, GVA_NOT_RAM);
        ck_assert_uint_eq(fault.at.raw, 0xfee00000);
        ck_assert_mem_eq(ram + 0x10ff8, zeroes, 8);
        ck_assert(!guest_read_linear(&mem, &p, PAGE_LINEAR(0xff8), bytes, 16, 0, &fault));
        ck_assert_int_eq(fault.status, GVA_NOT_RAM);
}
END_TEST

START_TEST(copies_at_the_ends)
{
        struct guest_paging p = paging_4level();
        struct gva_result fault;
        uint8_t bytes[4] = {1, 2, 3, 4};

        map_4level(); /* the last canonical byte of the lower half, then the hole */
        *entry64(PML4, 255) = PDPT | P | W;
        *entry64(PDPT, 511) = PD | P | W;
        *entry64(PD, 511) = PT | P | W;
        *entry64(PT, 511) = 0x11000 | P | W;
        ck_assert(!guest_write_linear(&mem, &p, 0x00007ffffffffffeull, bytes, 4, 0, &fault));
        ck_assert_int_eq(fault.status, GVA_NONCANONICAL);
        ck_assert(guest_write_linear(&mem, &p, 0x00007ffffffffffcull, bytes, 4, 0, &fault));

        p = paging_32(); /* 32-bit addresses wrap around */
        memset(ram, 0, sizeof(ram));
        *entry32(PD, 1023) = PT | P | W;
        *entry32(PT, 1023) = 0x12000 | P | W;
        *entry32(PD, 0) = 0x5000 | P | W;
        *entry32(0x5000, 0) = 0x13000 | P | W;
        ck_assert(guest_write_linear(&mem, &p, 0xfffffffe, bytes, 4, 0, &fault));
        ck_assert_mem_eq(ram + 0x12ffe, bytes, 2);
        ck_assert_mem_eq(ram + 0x13000, bytes + 2, 2);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("paging");
        TCase *t = tcase_create("paging");

        tcase_set_timeout(t, 30);
        tcase_add_test(t, off);
        tcase_add_test(t, mode_32);
        tcase_add_test(t, mode_32_large);
        tcase_add_test(t, mode_pae);
        tcase_add_test(t, mode_pae_reserved);
        tcase_add_test(t, mode_4level);
        tcase_add_test(t, mode_4level_canonical);
        tcase_add_loop_test(t, mode_4level_each_level, 0, 4);
        tcase_add_test(t, table_outside_ram);
        tcase_add_test(t, second_stage);
        tcase_add_test(t, rights);
        tcase_add_test(t, protection_keys);
        tcase_add_test(t, accessed_and_dirty);
        tcase_add_test(t, copies);
        tcase_add_test(t, copies_all_or_nothing);
        tcase_add_test(t, copies_at_the_ends);
        suite_add_tcase(s, t);
        return suite_run(s);
}
