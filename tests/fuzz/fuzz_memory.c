/* SPDX-License-Identifier: BSD-2-Clause */
/* Linear addresses of the guest through page tables of any content, which may hold each other and themselves, with and
 * without a second stage: an access touches nothing but what it names and accessed and dirty flags, all or nothing.
 *
 * Input: registers, the access, then patches of RAM: 2 bytes of place, 8 of value. */
#include "base/bug.h"
#include "base/x86.h"
#include "emulate/view.h"
#include "input.h"

#define PAGES     8
#define RAM_BYTES (PAGES * PAGE_SIZE)
#define PATTERN   0xa7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t ram[RAM_BYTES / sizeof(uint64_t)] __attribute__((aligned(4096)));
static uint64_t before[RAM_BYTES / sizeof(uint64_t)];
static const struct guest_mem mem = { .ram = (uint8_t *)ram, .low_bytes = RAM_BYTES };

/* A second stage that moves pages around, has holes, and every third page read-only. */
static bool translate(void *ctx, l1gpa_t at, unsigned use, l1gpa_t *out)
{
        const uint8_t *key = ctx;
        *out = L1GPA(at.raw ^ (uint64_t)(*key & 7) << PAGE_SHIFT);
        BUG_UNLESS(!(use & ~(ACCESS_WRITE | ACCESS_FETCH | ACCESS_STRUCTURE)));
        return (at.raw >> PAGE_SHIFT & 15) != (*key >> 4) && !((use & ACCESS_WRITE) && (at.raw >> PAGE_SHIFT) % 3 == 0);
}

static struct guest_paging take_paging(struct input *in, const struct second_stage *second)
{
        const uint8_t how = take_u8(in);
        struct guest_paging p = {
                .second = how & 1 ? second : NULL,
                .cr0 = CR0_PE | (how & 2 ? 0 : CR0_PG) | (how & 4 ? CR0_WP : 0),
                .cr4 = take_u32(in) & ~(uint32_t)BIT(12),
                .efer = take_u16(in),
                .cr3 = take_u64(in),
                .rflags = take_u32(in),
                .pkru = take_u32(in),
                .cpl = how >> 3 & 3,
                .maxphyaddr = (uint8_t)(32 + (how >> 5) * 2),
                .pages_1g = how & 8,
                .pdpte_valid = how & 16,
        };
        if (p.efer & EFER_LMA)
                p.cr4 |= CR4_PAE;
        for (unsigned i = 0; i < 4; i++)
                p.pdpte[i] = take_u16(in);
        return p;
}

/* Flat tables for a start: page 0 is PML4, PDPT, directory and table at once, and page 1 to 7 are mapped by it. */
static void fill(struct input *in)
{
        memset(ram, 0, sizeof(ram));
        for (unsigned i = 0; i < 512; i++)
                ram[i] = i % PAGES * PAGE_SIZE | 7;
        while (in->left) {
                const uint16_t where = take_u16(in);
                ram[where % ARRAY_LEN(ram)] = take_u64(in);
        }
        memcpy(before, ram, sizeof(ram));
}

static void check_flags_only(void)
{
        /* Accessed and dirty flags of entries of 4 or 8 bytes. */
        const uint64_t may_appear = 0x0000006000000060ull;
        for (size_t i = 0; i < ARRAY_LEN(ram); i++)
                BUG_UNLESS((ram[i] & ~may_appear) == (before[i] & ~may_appear) && !(before[i] & ~ram[i]));
}

static void check_translate(const struct guest_paging *p, uint64_t linear, unsigned access)
{
        const struct gva_result a = guest_translate(&mem, p, linear, access);
        if (!(access & ACCESS_SET_AD))
                BUG_UNLESS(memcmp(ram, before, sizeof(ram)) == 0);
        check_flags_only();
        BUG_UNLESS(a.status != GVA_NOT_RAM || (p->second && (a.use & ACCESS_STRUCTURE)));
        if (a.status == GVA_PAGE_FAULT)
                BUG_UNLESS(!(a.error_code & PF_WRITE) == !(access & ACCESS_WRITE));
        else if (a.status == GVA_OK && (p->cr0 & CR0_PG))
                BUG_UNLESS((a.at.raw & (PAGE_SIZE - 1)) == (linear & (PAGE_SIZE - 1)) && a.at.raw >> 52 == 0);
        memcpy(ram, before, sizeof(ram));
}

/* A read fills its buffer or leaves it; a write changes bytes that hold the pattern afterwards, or none. */
static void check_copies(const struct guest_paging *p, uint64_t linear, size_t n, unsigned access)
{
        static uint8_t buffer[GUEST_LINEAR_MAX + 1], pattern[GUEST_LINEAR_MAX];
        struct gva_result g;
        memset(buffer, PATTERN, sizeof(buffer));
        memset(pattern, PATTERN, sizeof(pattern));
        (void)!guest_read_linear(&mem, p, linear, buffer, n, access & ~ACCESS_WRITE, &g);
        BUG_UNLESS(buffer[n] == PATTERN);
        check_flags_only();
        memcpy(ram, before, sizeof(ram));

        if (!guest_write_linear(&mem, p, linear, pattern, n, access, &g)) {
                BUG_UNLESS(g.status != GVA_OK);
                check_flags_only();
                memcpy(ram, before, sizeof(ram));
                return;
        }
        size_t changed = 0;
        const uint8_t *now = (const uint8_t *)ram, *old = (const uint8_t *)before;
        for (size_t i = 0; i < RAM_BYTES; i++)
                changed += now[i] != old[i] && now[i] == PATTERN && (now[i] & ~0x60) != (old[i] & ~0x60);
        BUG_UNLESS(changed <= n);
        memcpy(ram, before, sizeof(ram));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = { data, size };
        uint8_t key = take_u8(&in);
        const struct second_stage second = { .translate = translate, .ctx = &key };
        struct guest_view v = { .mem = &mem, .paging = take_paging(&in, &second) };
        const uint8_t how = take_u8(&in);
        const uint64_t linear = how & 0x80 ? take_u64(&in) : take_u16(&in);
        const size_t n = 1 + take_u16(&in) % GUEST_LINEAR_MAX;
        uint8_t code[INSN_BYTES_MAX];
        size_t got;
        struct guest_fault fault;
        v.mode_bits = v.paging.efer & EFER_LMA ? 64 : how & 0x40 ? 32 : 16;
        for (unsigned s = 0; s < NR_SEG_REGS; s++)
                v.seg[s] = (struct guest_segment){ .base = take_u16(&in), .limit = take_u32(&in), .ar = take_u32(&in) };
        fill(&in);
        check_translate(&v.paging, linear, how & 15);
        check_copies(&v.paging, linear, n, (how & ACCESS_SYSTEM) | ACCESS_SET_AD);
        (void)view_probe_write(&v, (how >> 4) % 3 + SEG_SS, linear & 0xffffffff, 1 + n % 64, &fault);
        BUG_UNLESS(memcmp(ram, before, sizeof(ram)) == 0);
        if (view_fetch(&v, linear, code, sizeof(code), &got, &fault) == VIEW_OK)
                BUG_UNLESS(got >= 1 && got <= sizeof(code));
        else
                BUG_UNLESS(got == 0);
        check_flags_only();
        return 0;
}
