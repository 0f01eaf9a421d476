/* SPDX-License-Identifier: BSD-2-Clause */
/* The hostile guest's memory. Its guest may write the pages `hostile_scratch` and what is not the probe's; no EPT12, however
 * wild, lets it write anything else, and it cannot write an EPT12 itself:
 * - `level` pages hold EPT12s and page tables that go down as they should, with scratch pages or nothing at their leaves;
 * - `cycle` pages point at each other with every flag, but never allow reads and writes at once.
 * Walks of its page tables set accessed and dirty flags even where EPT forbids writing (Bochs 2.7): they too go through
 * these pages only. */
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "hostile.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define RWX          7ull
#define RX           5ull
#define EPTP_WALK4_WB 0x1eull
#define WB           (6ull << 3)
#define LARGE        BIT(7)
#define PTE_RWU      7ull
#define LIST         16   /* MSR entries in a list */
#define IMAGE_PTS    8    /* page tables of EPT12 for the image: 16 MiB */
#define LEVELS       4
#define SIBLINGS     3    /* table pages of one kind */

extern uint8_t image_start[], image_end[];

uint8_t hostile_scratch[HOSTILE_SCRATCH][PAGE_SIZE] PAGE_ALIGNED;
static uint64_t pml4[512] PAGE_ALIGNED, pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED, pt[IMAGE_PTS][512] PAGE_ALIGNED;
static uint64_t l2_pml4[512] PAGE_ALIGNED, l2_pdpt[512] PAGE_ALIGNED;
static uint64_t level[LEVELS][SIBLINGS][512] PAGE_ALIGNED; /* [0]: holds leaves */
static uint64_t cycle[SIBLINGS][512] PAGE_ALIGNED;
static uint8_t io_bitmap[2][PAGE_SIZE] PAGE_ALIGNED;
static struct msr_entry {
        uint32_t msr, reserved;
        uint64_t value;
} store_list[LIST] PAGE_ALIGNED, load_list[LIST] PAGE_ALIGNED;

static bool in_page(uint64_t at, const void *first, size_t bytes)
{
        return at >= (uint64_t)first && at < (uint64_t)first + bytes;
}

static bool writable(uint64_t at)
{
        return at < (uint64_t)image_start || at >= (uint64_t)image_end || in_page(at, hostile_scratch, sizeof(hostile_scratch));
}

static void build_ept(void)
{
        for (unsigned i = 0; i < 512; i++)
                pd[i] = i * SIZE_2M | RWX | WB | LARGE;
        for (unsigned i = 0; i < IMAGE_PTS; i++) {
                pd[i] = (uint64_t)pt[i] | RWX;
                for (unsigned j = 0; j < 512; j++) {
                        const uint64_t at = i * SIZE_2M + j * PAGE_SIZE;
                        pt[i][j] = at | WB | (writable(at) ? RWX : RX);
                }
        }
        pdpt[0] = (uint64_t)pd | RWX;
        pml4[0] = (uint64_t)pdpt | RWX;
}

static void build_page_tables(void)
{
        for (unsigned i = 0; i < 4; i++)
                l2_pdpt[i] = i * SIZE_1G | PTE_RWU | LARGE;
        l2_pml4[0] = (uint64_t)l2_pdpt | PTE_RWU;
}

static uint64_t find_ram_end(void)
{
        uint64_t at = ALIGN_DOWN((uint64_t)image_end, SIZE_2M) + SIZE_2M;
        for (; at < 0xc0000000; at += SIZE_2M) {
                volatile uint64_t *const p = (volatile uint64_t *)at;
                const uint64_t old = *p;
                *p = 0x5aa5;
                if (*p != 0x5aa5)
                        break;
                *p = old;
        }
        return at;
}

void memory_init(struct hostile *h)
{
        static const uint32_t msrs[LIST] = { MSR_LSTAR, MSR_STAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX };
        BUG_UNLESS((uint64_t)image_end <= IMAGE_PTS * SIZE_2M);
        h->ram_end = find_ram_end();
        build_ept();
        build_page_tables();
        memset(io_bitmap, 0xff, sizeof(io_bitmap));
        for (unsigned i = 0; i < LIST; i++) {
                store_list[i].msr = msrs[i % 6];
                load_list[i].msr = msrs[i % 6];
        }
}

/* --- addresses --- */

static uint64_t nowhere(struct hostile *h)
{
        const uint64_t width = BIT(h->l2.caps.maxphyaddr);
        const uint64_t at[] = { h->ram_end, h->ram_end + PAGE_SIZE, 0xc0000000, 0xd0000000, 0xfec00000, 0xfee00000, 0xfffff000,
                                0x3000000000, width - PAGE_SIZE, width, BIT(51), ~BITS(11, 0), ~BITS(11, 0) ^ BIT(63) };
        return PICK(h, at);
}

uint64_t any_frame(struct hostile *h)
{
        switch (below(h, 8)) {
        case 0:
                return nowhere(h);
        case 1:
                return h->ram_end - PAGE_SIZE;
        case 2:
                return 0x1000; /* below the image */
        default:
                return (uint64_t)hostile_scratch[below(h, HOSTILE_SCRATCH)];
        }
}

uint64_t any_address(struct hostile *h)
{
        switch (below(h, 8)) {
        case 0:
                return any_frame(h) + below(h, PAGE_SIZE);
        case 1:
                return (uint64_t)image_start + (below(h, 256) << PAGE_SHIFT);
        case 2:
                return (uint64_t)hostile_vmcs_page[below(h, HOSTILE_VMCSS)];
        case 3:
                return any_number(h);
        default:
                return any_frame(h);
        }
}

/* Something to begin a walk at. */
static uint64_t any_root(struct hostile *h)
{
        switch (below(h, 8)) {
        case 0:
                return nowhere(h);
        case 1:
        case 2:
                return (uint64_t)cycle[below(h, SIBLINGS)];
        default:
                return (uint64_t)level[LEVELS - 1][below(h, SIBLINGS)];
        }
}

uint64_t good_eptp(void)
{
        return (uint64_t)pml4 | EPTP_WALK4_WB;
}

uint64_t any_eptp(struct hostile *h)
{
        const uint64_t attributes = (one_in(h, 8) ? any_number(h) & 0xfff : EPTP_WALK4_WB) | (one_in(h, 4) ? BIT(6) : 0);
        return (one_in(h, 2) ? (uint64_t)pml4 : any_root(h)) | attributes;
}

uint64_t good_cr3(void)
{
        return (uint64_t)l2_pml4;
}

uint64_t any_cr3(struct hostile *h)
{
        return one_in(h, 2) ? (uint64_t)l2_pml4 : any_root(h) | (one_in(h, 4) ? below(h, 0x1000) : 0);
}

uint64_t any_eptp_list(struct hostile *h)
{
        return one_in(h, 4) ? nowhere(h) : (uint64_t)cycle[below(h, SIBLINGS)];
}

uint64_t any_io_bitmap(struct hostile *h)
{
        return one_in(h, 4) ? nowhere(h) : (uint64_t)io_bitmap[below(h, 2)];
}

uint64_t exit_store_list(void)
{
        return (uint64_t)store_list;
}

uint64_t exit_load_list(void)
{
        return (uint64_t)load_list;
}

uint64_t any_code(struct hostile *h)
{
        static const uint8_t *const snippets[] = {
                l2_vmcall, l2_cpuid, l2_hlt, l2_sti_hlt, l2_spin, l2_sti_nops, l2_in_imm, l2_in, l2_out, l2_outsb, l2_rep_insw,
                l2_rdmsr, l2_wrmsr, l2_write_cr0, l2_write_cr3, l2_write_cr4, l2_write_cr8, l2_lmsw, l2_write_dr7, l2_read,
                l2_write, l2_jump, l2_ud, l2_int3, l2_de, l2_rdtsc, l2_invlpg, l2_pause, l2_wbinvd, l2_invd, l2_xsetbv, l2_sgdt,
                l2_str, l2_rdrand, l2_vmxon, l2_vmread, l2_vmptrst, l2_vmlaunch, l2_invept, l2_nops,
        };
        if (one_in(h, 3))
                return (uint64_t)PICK(h, snippets);
        return (uint64_t)hostile_scratch[below(h, HOSTILE_SCRATCH)] + (one_in(h, 8) ? below(h, PAGE_SIZE) : 0);
}

/* --- content --- */

static void stir_code(struct hostile *h, uint8_t *page)
{
        static const char *const insns[] = {
                "\x0f\xa2", "\xf4", "\xfb\xf4", "\x0f\x01\xc1", "\x0f\x01\xc2", "\x0f\x01\xc3", "\x0f\x01\xc4", "\x0f\x01\xd0",
                "\x0f\x01\xd1", "\x0f\x01\xd4", "\x0f\x01\xc8", "\x0f\x01\xc9", "\x0f\x01\xf9", "\x0f\x31", "\x0f\x32", "\x0f\x30",
                "\x0f\x33", "\x0f\x08", "\x0f\x09", "\x0f\x0b", "\x0f\x05", "\x0f\x07", "\x0f\x34", "\x0f\x35", "\x0f\xaa",
                "\xcc", "\xcd\x80", "\xcd\x02", "\xcf", "\x48\xcf", "\xf1", "\xcb", "\x9c\x9d", "\x9d", "\xfa", "\xfb", "\xee",
                "\xec", "\xef", "\xed", "\x6c", "\x6f", "\xf3\x6d", "\xf3\x6e", "\xe6\x80", "\xe4\x71", "\x0f\x20\xc0", "\x0f\x22\xc0",
                "\x0f\x20\xd8", "\x0f\x22\xd8", "\x0f\x20\xe0", "\x0f\x22\xe0", "\x44\x0f\x20\xc0", "\x44\x0f\x22\xc0",
                "\x0f\x21\xf8", "\x0f\x23\xf8", "\x0f\x06", "\x0f\x01\xf0", "\x0f\x01\x38", "\x0f\x01\x10", "\x0f\x01\x18", "\x0f\x01\x08",
                "\x0f\x00\xd8", "\x0f\x00\xd0", "\x0f\x00\xc8", "\x8e\xd0", "\x8e\xd8", "\x17", "\x48\x8b\x03", "\x48\x89\x03",
                "\xa4", "\xf3\xa4", "\xf3\xab", "\x87\x03", "\xf0\x0f\xb1\x0b", "\x0f\xc7\xf0", "\x0f\xc7\xf8", "\x0f\xc7\x33",
                "\xf3\x0f\xc7\x33", "\x66\x0f\xc7\x33", "\x0f\xc7\x3b", "\x0f\x78\xc3", "\x0f\x79\xc3", "\x0f\x78\x03", "\x0f\x79\x03",
                "\x66\x0f\x38\x80\x03", "\x66\x0f\x38\x81\x03", "\x66\x0f\x38\x82\x03", "\xf3\x90", "\xff\xe3", "\xff\x2b", "\xff\x1b",
                "\xea\x10\x20\x08\x10", "\x50", "\x58", "\xc3", "\xe8\xfb\xff\xff\xff", "\x0f\xae\x03", "\x0f\xae\x0b", "\x0f\xae\x23", "\x0f\xae\x2b",
                "\x0f\x01\x03", "\xdb\xe3", "\x0f\x77", "\x66\x90", "\x90", "\x31\xc0", "\xb9\x1b\x08\x00\x00", "\xb9\x80\x00\x00\xc0",
        };
        unsigned at = 0;
        for (unsigned n = 1 + below(h, 12); n; n--) {
                uint64_t noise = rnd(h);
                size_t bytes = 1 + below(h, 8);
                if (!one_in(h, 6)) {
                        const char *const insn = PICK(h, insns);
                        bytes = strlen(insn);
                        memcpy(&noise, insn, bytes < sizeof(noise) ? bytes : sizeof(noise));
                }
                memcpy(page + at, &noise, bytes < sizeof(noise) ? bytes : sizeof(noise));
                at += (unsigned)bytes;
        }
        memcpy(page + at, "\x0f\x01\xc1\xeb\xfe", 5); /* VMCALL, and a loop */
}

static uint64_t any_flags(struct hostile *h, bool cyclic)
{
        static const uint16_t free[] = { 7, 0x37, 0x87, 0xb7, 0xe7, 3, 1, 5, 2, 4, 6, 0x17, 0x3f, 0x1f, 0x63, 0x27 };
        static const uint16_t never_rw[] = { 5, 0x35, 0x85, 1, 4, 2, 6, 0x1d, 0x15, 0xb5, 0x65, 0x25, 0x3d, 0x5c, 0x1c };
        return (cyclic ? PICK(h, never_rw) : PICK(h, free)) | (one_in(h, 32) ? BIT(63) : 0) | (one_in(h, 32) ? BIT(below(h, 12) + 40) : 0);
}

static void stir_tables(struct hostile *h)
{
        const unsigned l = below(h, LEVELS + 1);
        const bool cyclic = l == LEVELS;
        uint64_t *const table = cyclic ? cycle[below(h, SIBLINGS)] : level[l][below(h, SIBLINGS)];
        for (unsigned n = 1 + below(h, 16); n; n--) {
                const unsigned where = one_in(h, 2) ? below(h, 4) : below(h, 512);
                uint64_t at = nowhere(h);
                if (!one_in(h, 8))
                        at = cyclic ? (uint64_t)cycle[below(h, SIBLINGS)]
                                    : l ? (uint64_t)level[l - 1][below(h, SIBLINGS)] : any_frame(h);
                uint64_t flags = any_flags(h, cyclic);
                if (l && (flags & LARGE)) /* a large page may hold anything */
                        flags &= ~BIT(1);
                table[where] = (at & ~BITS(11, 0)) | flags;
        }
}

/* For VM entries: anything goes, as a bad entry only fails the entry. */
static void stir_list(struct hostile *h, uint8_t *page)
{
        static const uint32_t msrs[] = { MSR_LSTAR, MSR_EFER, MSR_PAT, MSR_FS_BASE, MSR_TSC, 0x174, 0x175, 0x176, 0x1b, 0x6e0, 0x808, 0x830,
                                         0x200, 0x2ff, 0x3a, 0x480, 0x1d9, 0x1a0, 0x277, 0x9b, 0x9e, 0xc0000103 };
        struct msr_entry e[LIST];
        for (unsigned i = 0; i < LIST; i++)
                e[i] = (struct msr_entry){ .msr = one_in(h, 8) ? (uint32_t)rnd(h) : PICK(h, msrs), .reserved = one_in(h, 32), .value = any_number(h) };
        memcpy(page + below(h, 3) * 16, e, sizeof(e));
}

static void stir_io(struct hostile *h)
{
        /* Ports that end nothing: PIC, PIT, 8255, RTC, diagnostics. */
        static const uint16_t harmless[] = { 0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x80, 0xa0, 0xa1 };
        const uint16_t port = PICK(h, harmless);
        io_bitmap[0][port / 8] = (uint8_t)(io_bitmap[0][port / 8] ^ 1u << port % 8);
        io_bitmap[1][port / 8] = 0xff;
}

void memory_stir(struct hostile *h)
{
        uint8_t *const page = hostile_scratch[below(h, HOSTILE_SCRATCH)];
        switch (below(h, 8)) {
        case 0:
                memset(page, 0, PAGE_SIZE);
                break;
        case 1:
                stir_tables(h);
                break;
        case 2:
                stir_list(h, page);
                break;
        case 3:
                stir_io(h);
                break;
        case 4:
                for (unsigned i = 0; i < 64; i++) {
                        const uint64_t noise = any_number(h);
                        memcpy(page + 8 * below(h, 512), &noise, sizeof(noise));
                }
                break;
        default:
                stir_code(h, page);
        }
}
