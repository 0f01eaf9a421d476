/* SPDX-License-Identifier: BSD-2-Clause */
/* Class ept: pages of every size with every permission, memory type, reserved bit, accessed and dirty flag,
 * and accesses of every kind to them. SDM 3C "The Extended Page Table Mechanism". */
#include "base/libc.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "twin_classes.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define SIZES        3u /* 4 KiB, 2 MiB, 1 GiB */
#define ACCESSES     4u
#define RIGHTS       8u
#define FLAGS        2u /* accessed and dirty flags in use */
#define LEVELS       3u /* whose rights: those of the leaf, of the directory, of the table above */
#define MATRIX       (SIZES * ACCESSES * RIGHTS * FLAGS * LEVELS)
#define BIT_CASES    (SIZES * 64u * 2)
#define TYPE_CASES   (SIZES * 8u)
#define RANDOM_CASES 600u

#define EPT_RWX     7ull
#define EPT_TYPE    BITS(5, 3)
#define EPT_WB      (6ull << 3)
#define EPT_LARGE   BIT(7)
#define EPT_DIRTY   BIT(9)
#define EPT_FLAGS   (BIT(8) | EPT_DIRTY)
#define EPT_ADDRESS BITS(39, 12)
#define EPTP_AD     BIT(6)

/* Where the guest finds the page: one directory slot per size, none of which is mapped otherwise. */
#define WINDOW    0x40000000ull /* + 2 MiB: the page of 2 MiB */
#define WINDOW_1G 0x80000000ull
#define TARGET_2M 0x5400000ull /* RAM that nothing uses */
#define OFFSET    0x7f8ull     /* of the access in the page: the code is behind it */
#define VALUE     0x1122334455667788ull

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_MODIFY, ACCESS_FETCH };

static uint64_t pt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED;
static uint8_t target[PAGE_SIZE] PAGE_ALIGNED;

struct ept_case {
        unsigned size, access;
        uint64_t leaf, table[LEVELS - 1]; /* bits to flip in the leaf, and in the entries above it */
        uint64_t clear;                   /* rights to take from the leaf */
        bool flags;
};

unsigned ept_count(void)
{
        return MATRIX + BIT_CASES + TYPE_CASES + RANDOM_CASES;
}

static uint64_t any_bits(struct twin *t)
{
        const uint64_t few = twin_random(t) & twin_random(t) & twin_random(t);
        return (few & (EPT_RWX | EPT_TYPE | EPT_FLAGS | BIT(10) | BITS(63, 52))) |
               (twin_random(t) % 8 ? 0 : BIT(40 + twin_random(t) % 12));
}

static struct ept_case generate(struct twin *t, unsigned n)
{
        struct ept_case c = {.size = n % SIZES};
        n /= SIZES;
        if (n < MATRIX / SIZES) {
                const uint64_t missing = n / ACCESSES % RIGHTS;
                const unsigned level = n / ACCESSES / RIGHTS / FLAGS;
                c.access = n % ACCESSES;
                c.flags = n / ACCESSES / RIGHTS % FLAGS;
                if (level == 0)
                        c.leaf = missing;
                else
                        c.table[level - 1] = missing;
                return c;
        }
        n -= MATRIX / SIZES;
        c.access = (unsigned)(twin_random(t) % ACCESSES);
        c.flags = twin_random(t) & 1;
        if (n < 128) {
                /* The address stays where memory is ours, or leaves what can be an address. */
                const uint64_t bit = BIT(n % 64) & ~EPT_ADDRESS;
                if (n < 64)
                        c.leaf = bit;
                else
                        c.table[0] = bit & ~EPT_LARGE;
                return c;
        }
        n -= 128;
        if (n < 8) {
                c.leaf = EPT_WB ^ (uint64_t)n << 3;
                return c;
        }
        c.leaf = any_bits(t);
        for (unsigned i = 0; i < LEVELS - 1; i++)
                c.table[i] = twin_random(t) % 3 ? 0 : any_bits(t);
        return c;
}

/* Returns where the guest's access goes, and which entry is the leaf. */
static uint64_t build(struct twin *t, const struct ept_case *c, uint64_t **leaf)
{
        uint64_t *const pdpt = twin_ept_pdpt();
        memset(pt, 0, sizeof(pt[0]));
        memset(pd, 0, 2 * sizeof(pd[0]));
        pdpt[1] = pdpt[2] = 0;
        if (c->size == 2) {
                pdpt[2] = (EPT_RWX | EPT_WB | EPT_LARGE) ^ c->leaf;
                *leaf = &pdpt[2];
                return WINDOW_1G + TARGET_2M + OFFSET;
        }
        pdpt[1] = ((uint64_t)pd | EPT_RWX) ^ c->table[1];
        if (c->size == 1) {
                pd[1] = (TARGET_2M | EPT_RWX | EPT_WB | EPT_LARGE) ^ c->leaf;
                *leaf = &pd[1];
                return WINDOW + SIZE_2M + OFFSET;
        }
        pd[0] = ((uint64_t)pt | EPT_RWX) ^ c->table[0];
        pt[0] = ((uint64_t)target | EPT_RWX | EPT_WB) ^ c->leaf;
        *leaf = &pt[0];
        return WINDOW + OFFSET;
}

static void fill_memory(const struct ept_case *c)
{
        uint8_t *const page = c->size == 0 ? target : (uint8_t *)TARGET_2M;
        const uint64_t value = VALUE;
        memcpy(page + OFFSET, &value, sizeof(value));
        memcpy(page + OFFSET + sizeof(value), l2_vmcall, 3);
}

/* A processor may translate ahead, and set accessed flags then: they say nothing where the access itself
 * failed. */
static void show_flags(struct twin *t, const struct ept_case *c, const uint64_t *leaf)
{
        const bool failed = vmread(F_exit_reason) == EXIT_EPT_VIOLATION;
        const uint64_t shown = failed ? EPT_DIRTY : EPT_FLAGS, above = twin_ept_pdpt()[1];
        twin_see(t, " flags=%llx", (unsigned long long)(*leaf & shown) >> 8);
        if (c->size == 0)
                twin_see(t, ",%llx", (unsigned long long)(pd[0] & shown) >> 8);
        if (c->size < 2)
                twin_see(t, ",%llx", (unsigned long long)(above & shown) >> 8);
}

static void show_memory(struct twin *t, const struct ept_case *c)
{
        const uint8_t *const page = c->size == 0 ? target : (const uint8_t *)TARGET_2M;
        uint64_t value;
        memcpy(&value, page + OFFSET, sizeof(value));
        if (value != VALUE)
                twin_see(t, " memory=%llx", (unsigned long long)value);
        if (t->l2.gprs.r[GPR_RAX])
                twin_see(t, " rax=%llx", (unsigned long long)t->l2.gprs.r[GPR_RAX]);
}

void ept_one(struct twin *t, unsigned n)
{
        static const uint8_t *const code[] = {l2_read, l2_write, l2_modify, l2_jump};
        static const char *const names[] = {"read", "write", "modify", "fetch"};
        static const char *const sizes[] = {"4K", "2M", "1G"};
        const struct ept_case c = generate(t, n);
        uint64_t *leaf;
        twin_use(t, BASE_64);
        const uint64_t at = build(t, &c, &leaf);
        fill_memory(&c);
        twin_what(t, " %s %s leaf %llx table %llx %llx", names[c.access], sizes[c.size],
                  (unsigned long long)c.leaf, (unsigned long long)c.table[0], (unsigned long long)c.table[1]);
        if (c.flags)
                twin_set(t, F_eptp, twin_get(t, F_eptp) | EPTP_AD);
        BUG_UNLESS(hw_invept(INVEPT_ALL, 0) == HW_OK);
        t->l2.gprs.r[GPR_RBX] = at + (c.access == ACCESS_FETCH ? sizeof(uint64_t) : 0);
        twin_run_at(t, code[c.access]);
        show_memory(t, &c);
        show_flags(t, &c, leaf);
}
