/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes inval, pointer: VMX instructions of the host with operands good and bad. SDM 3C "VMX Instruction
 * Reference". What an invalidation invalidates does not show here. */
#include "base/libc.h"
#include "twin_classes.h"

#define TYPES        8u
#define DESCRIPTORS  24u
#define INVAL_CASES  (2 * TYPES * DESCRIPTORS)
#define POINTER_OPS  3u
#define POINTERS     80u
#define PAGE_ALIGNED __attribute__((aligned(4096)))

static uint8_t other_page[PAGE_SIZE] PAGE_ALIGNED;

unsigned inval_count(void)
{
        return INVAL_CASES;
}

static uint64_t invept_word(struct twin *t, unsigned n)
{
        const uint64_t eptp = twin_get(t, F_eptp);
        if (n < 12)
                return eptp ^ BIT(n);
        const uint64_t words[] = {eptp, eptp, 0, ~0ull, eptp | BIT(40), eptp | BIT(63)};
        return n - 12 < ARRAY_LEN(words) ? words[n - 12] : twin_random(t);
}

static uint64_t invvpid_word(struct twin *t, unsigned n)
{
        const uint64_t words[] = {0, 1, 2, 0xffff, 0x10000, 0x10001, BIT(63) | 1, BIT(32) | 3};
        return n < ARRAY_LEN(words) ? words[n] : twin_random(t) & (n & 1 ? 0xffff : ~0ull);
}

void inval_one(struct twin *t, unsigned n)
{
        const bool ept = n & 1;
        const unsigned kind = n / 2 % TYPES, d = n / 2 / TYPES;
        static const uint64_t linear[] = {0, 0x1000, 0x7fffffffffff, 0x800000000000, ~0ull, BIT(62)};
        const uint64_t type = kind < 6 ? kind : kind == 6 ? BIT(32) | 1 : twin_random(t);
        twin_use(t, BASE_64);
        const uint64_t descriptor[2] = {ept ? invept_word(t, d) : invvpid_word(t, d),
                                        ept ? (d & 1 ? 0 : twin_random(t))
                                            : linear[twin_random(t) % ARRAY_LEN(linear)]};
        twin_what(t, " %s type %llx of %llx,%llx", ept ? "invept" : "invvpid", (unsigned long long)type,
                  (unsigned long long)descriptor[0], (unsigned long long)descriptor[1]);
        twin_see_status(t, ept ? invept_words(type, descriptor) : invvpid_words(type, descriptor));
}

/* --- VMPTRLD, VMCLEAR, VMXON --- */

unsigned pointer_count(void)
{
        return POINTER_OPS * POINTERS;
}

static uint64_t current(void)
{
        uint64_t at = 0;
        __asm__ volatile("vmptrst %0" : "=m"(at) : : "memory");
        return at;
}

void pointer_one(struct twin *t, unsigned n)
{
        static const char *const names[POINTER_OPS] = {"vmptrld", "vmclear", "vmxon"};
        const unsigned op = n % POINTER_OPS, k = n / POINTER_OPS;
        const uint64_t revision = t->l2.caps.basic & BASIC_REVISION, vmcs = (uint64_t)l2_vmcs_page[0];
        const uint64_t places[] = {0,    vmcs, (uint64_t)l2_vmxon_page, (uint64_t)other_page, vmcs | BIT(52),
                                   ~0ull};
        const uint64_t words[] = {revision, revision ^ 1, revision | BIT(31), 0, revision ^ BIT(30), ~0ull};
        const uint64_t word = words[k % ARRAY_LEN(words)];
        /* Every bit of an address of a page with a revision that fits, or not; then places of interest. */
        const uint64_t at = k < 12                            ? (uint64_t)other_page ^ BIT(k)
                            : k < 12 + 24                     ? (uint64_t)other_page ^ BIT(k + 28)
                            : k < 12 + 24 + ARRAY_LEN(places) ? places[k - 36]
                                                              : (uint64_t)other_page;
        memset(other_page, 0, sizeof(other_page));
        *(volatile uint32_t *)other_page = (uint32_t)word;
        twin_use(t, BASE_64);
        twin_what(t, " %s at %llx, revision%s", names[op], (unsigned long long)at,
                  word == revision               ? ""
                  : word == (revision | BIT(31)) ? " with the shadow indicator"
                                                 : " wrong");
        const enum hw_status s = op == 0   ? hw_vmptrld(HPA(at))
                                 : op == 1 ? hw_vmclear(HPA(at))
                                           : hw_vmxon(HPA(at));
        twin_see_status(t, s);
        twin_see(t, " current %s", current() == vmcs ? "kept" : current() == at ? "new" : "none");
        if (op == 1 && at == vmcs)
                t->l2.launched[0] = false;
        if (op != 1 || at == vmcs)
                l2_load(&t->l2, 0);
        if (op == 0 && s == HW_OK && at != vmcs)
                BUG_UNLESS(hw_vmclear(HPA(at)) == HW_OK);
}
