/* SPDX-License-Identifier: BSD-2-Clause */
/* Random instructions of the hostile guest with random operands. Each runs under TRY: a fault is an answer like others. */
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hostile.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "traps.h"

#define UNMAPPED     0x8123456780ull
#define NONCANONICAL 0x0000800000000000ull
#define HOLE         0xd0000000ull
#define HC_FIRST     0xcade0000u

uint64_t any_number(struct hostile *h)
{
        static const uint64_t numbers[] = { 0, 1, 2, 3, 7, 8, 0xff, 0x1000, 0xffff, 0x80000000, 0xffffffff, 0x7fffffffffff, 0x800000000000,
                                            ~0ull, ~0ull << 47, 0x0007040600070406, CR0_PE | CR0_NE | CR0_PG, CR4_VMXE | CR4_PAE };
        switch (below(h, 4)) {
        case 0:
                return BIT(below(h, 64));
        case 1:
                return PICK(h, numbers);
        case 2:
                return rnd(h) >> below(h, 64);
        default:
                return PICK(h, numbers) ^ BIT(below(h, 64));
        }
}

/* --- memory operands --- */

/* Where a memory operand of up to 16 bytes is, with `low` and `high` in it if it can be written. */
static uint64_t operand(struct hostile *h, uint64_t low, uint64_t high)
{
        uint8_t *const page = hostile_scratch[below(h, HOSTILE_SCRATCH - 1)];
        uint64_t *at = (uint64_t *)(page + 8 * below(h, 500));
        switch (below(h, 16)) {
        case 0:
                return one_in(h, 2) ? NONCANONICAL - below(h, 16) : NONCANONICAL + below(h, 16);
        case 1:
                return UNMAPPED;
        case 2:
                return HOLE + below(h, 4096);
        case 3:
                return h->ram_end - below(h, 16);
        case 4: /* over the end of a page */
                at = (uint64_t *)(page + PAGE_SIZE - 1 - below(h, 15));
                break;
        case 5:
                return 0 - (uint64_t)below(h, 16);
        }
        memcpy(at, &low, sizeof(low));
        memcpy(at + 1, &high, sizeof(high));
        return (uint64_t)at;
}

/* One instruction with a memory operand in one of several forms of addressing; `ok` is left alone by a fault. */
#define FORMS(insn, before, after, ...)                                                                      \
        do {                                                                                                 \
                const uint64_t index = rnd(h);                                                               \
                switch (below(h, 3)) {                                                                       \
                case 0:                                                                                      \
                        TRY(insn " " before "(%[a])" after "\n\tseta %[ok]", [ok] "+q"(ok), [a] "r"(at),     \
                            ##__VA_ARGS__);                                                                  \
                        break;                                                                               \
                case 1:                                                                                      \
                        TRY(insn " " before "-8(%[b], %[i], 4)" after "\n\tseta %[ok]", [ok] "+q"(ok),       \
                            [b] "r"(at + 8 - 4 * index), [i] "r"(index), ##__VA_ARGS__);                     \
                        break;                                                                               \
                default:                                                                                     \
                        TRY(insn " " before "%%ss:64(%[a])" after "\n\tseta %[ok]", [ok] "+q"(ok),           \
                            [a] "r"(at - 64), ##__VA_ARGS__);                                                \
                }                                                                                            \
        } while (0)

#define MEMORY_INSN(name, insn)                                                                              \
        static bool name(struct hostile *h, uint64_t at)                                                     \
        {                                                                                                    \
                bool ok = false;                                                                             \
                FORMS(insn, "", "");                                                                             \
                return ok;                                                                                   \
        }
MEMORY_INSN(do_vmptrld, "vmptrld")
MEMORY_INSN(do_vmclear, "vmclear")
MEMORY_INSN(do_vmxon, "vmxon")
MEMORY_INSN(do_vmptrst, "vmptrst")

/* --- VMCS pointers --- */

static uint64_t any_pointer(struct hostile *h)
{
        switch (below(h, 16)) {
        case 0:
                return any_address(h);
        case 1:
                return (uint64_t)l2_vmxon_page;
        case 2:
                return (uint64_t)hostile_vmcs_page[below(h, HOSTILE_VMCSS)] + (one_in(h, 2) ? below(h, 4096) : BIT(32 + below(h, 32)));
        default:
                return (uint64_t)hostile_vmcs_page[below(h, HOSTILE_VMCSS)];
        }
}

static int index_of(uint64_t pointer)
{
        const uint64_t first = (uint64_t)hostile_vmcs_page;
        if (pointer < first || pointer >= first + sizeof(hostile_vmcs_page) || !IS_ALIGNED(pointer, PAGE_SIZE))
                return -1;
        return (int)((pointer - first) >> PAGE_SHIFT);
}

/* The operand that holds a pointer; where it cannot be written there, it reads as something else, or faults. */
static uint64_t pointer_operand(struct hostile *h, uint64_t pointer, uint64_t *in_memory)
{
        const uint64_t at = operand(h, pointer, 0);
        const bool in_image = at >= (uint64_t)hostile_scratch && at < (uint64_t)hostile_scratch + sizeof(hostile_scratch);
        *in_memory = in_image ? pointer : ~0ull;
        return at;
}

static uint64_t current_pointer(void)
{
        uint64_t at = 0;
        __asm__ volatile("vmptrst %0" : "=m"(at) : : "memory");
        return at;
}

/* An instruction succeeded with a pointer that was in memory already: a VMPTRST may have left it there. */
static void look_again(struct hostile *h)
{
        if (h->current >= 0)
                h->vmcs[h->current].launched = false;
        h->current = index_of(current_pointer());
}

static void act_vmptrld(struct hostile *h)
{
        uint64_t pointer;
        const uint64_t at = pointer_operand(h, any_pointer(h), &pointer);
        if (!do_vmptrld(h, at))
                return;
        if (pointer == ~0ull)
                look_again(h);
        else
                h->current = index_of(pointer);
}

static void act_vmclear(struct hostile *h)
{
        uint64_t pointer;
        const uint64_t at = pointer_operand(h, any_pointer(h), &pointer);
        if (pointer != ~0ull && index_of(pointer) < 0 && IS_ALIGNED(pointer, PAGE_SIZE) && pointer < h->ram_end && !one_in(h, 64))
                return; /* writes to a page that is none of ours: only now and then */
        if (pointer >= 0x100000 && pointer < (uint64_t)hostile_scratch && index_of(pointer) < 0)
                return; /* the probe itself */
        if (!do_vmclear(h, at))
                return;
        if (pointer == ~0ull)
                look_again(h);
        const int i = index_of(pointer);
        if (i >= 0)
                h->vmcs[i].launched = false;
        if (i >= 0 && i == h->current)
                h->current = -1;
}

static void act_vmxon(struct hostile *h)
{
        uint64_t pointer;
        const uint64_t at = pointer_operand(h, one_in(h, 2) ? (uint64_t)l2_vmxon_page : any_pointer(h), &pointer);
        const bool was_on = h->vmxon;
        if (do_vmxon(h, at) && !was_on) {
                h->vmxon = true;
                h->current = -1;
        }
}

static void act_vmxoff(struct hostile *h)
{
        bool ok = false;
        if (h->vmxon && !one_in(h, 64))
                return;
        TRY("vmxoff\n\tseta %[ok]", [ok] "+q"(ok));
        if (ok) {
                h->vmxon = false;
                h->current = -1;
        }
}

static void act_vmptrst(struct hostile *h)
{
        do_vmptrst(h, operand(h, 0, 0));
}

/* --- fields --- */

static uint64_t any_field(struct hostile *h)
{
        const uint32_t known = vmcs_field_at((enum vmcs_field_id)below(h, VMCS_FIELD_COUNT)).enc;
        switch (below(h, 16)) {
        case 0:
                return any_number(h);
        case 1:
                return known | 1; /* the high half */
        case 2:
                return known ^ BIT(below(h, 64));
        default:
                return known;
        }
}

static void act_vmread(struct hostile *h)
{
        const uint64_t field = any_field(h);
        uint64_t value = 0;
        bool ok = false;
        if (one_in(h, 2)) {
                TRY("vmread %[f], %[v]", [v] "+r"(value), [f] "r"(field));
                return;
        }
        const uint64_t at = operand(h, 0, 0);
        FORMS("vmread", "%[f], ", "", [f] "r"(field));
}

static void act_vmwrite(struct hostile *h)
{
        const uint64_t field = any_field(h);
        struct vmcs_field_info f;
        bool ok = false;
        uint64_t value = any_number(h);
        if (vmcs_field_find(field, &f)) {
                value = tame_value(h, &f);
                if (f.high) /* the upper half of something tame */
                        value >>= 32;
        }
        if (one_in(h, 2)) {
                TRY("vmwrite %[v], %[f]", , [v] "r"(value), [f] "r"(field));
                return;
        }
        /* From memory only where the value is what was written: elsewhere all ones would be read. */
        uint8_t *const page = hostile_scratch[below(h, HOSTILE_SCRATCH - 1)];
        memcpy(page + 2040, &value, sizeof(value));
        const uint64_t bad = one_in(h, 2) ? NONCANONICAL : UNMAPPED, at = one_in(h, 8) ? bad : (uint64_t)page + 2040;
        FORMS("vmwrite", "", ", %[f]", [f] "r"(field));
}

/* --- invalidations and others --- */

static void act_invept(struct hostile *h)
{
        const uint64_t type = one_in(h, 4) ? any_number(h) : below(h, 4), at = operand(h, any_eptp(h), one_in(h, 8));
        bool ok = false;
        FORMS("invept", "", ", %[t]", [t] "r"(type));
}

static void act_invvpid(struct hostile *h)
{
        const uint64_t type = one_in(h, 4) ? any_number(h) : below(h, 5);
        const uint64_t at = operand(h, one_in(h, 4) ? any_number(h) : below(h, 4), any_number(h));
        bool ok = false;
        FORMS("invvpid", "", ", %[t]", [t] "r"(type));
}

static void act_plain(struct hostile *h)
{
        uint64_t rax = any_number(h), rcx = below(h, 8);
        switch (below(h, 4)) {
        case 0: /* VMFUNC */
                TRY(".byte 0x0f, 0x01, 0xd4", "+a"(rax) COMMA "+c"(rcx));
                break;
        case 1:
                if (rax >> 16 != HC_FIRST >> 16)
                        TRY("vmcall", "+a"(rax));
                break;
        case 2:
                if (!h->vmxon)
                        TRY("vmlaunch", );
                break;
        default:
                if (!h->vmxon)
                        TRY("vmresume", );
        }
}

static uint64_t hypercall_argument(struct hostile *h)
{
        return one_in(h, 2) ? any_pointer(h) : any_address(h);
}

static void act_hypercall(struct hostile *h)
{
        uint64_t rax = HC_FIRST + (one_in(h, 8) ? below(h, 0x10000) : below(h, 8)), rbx = hypercall_argument(h),
                 rcx = one_in(h, 2) ? below(h, 600) : hypercall_argument(h);
        const uint64_t number = rax;
        if (number == HC_CONSOLE && !one_in(h, 64))
                return; /* its lines are read by people */
        TRY("vmcall", "+a"(rax), "b"(rbx), "c"(rcx));
        if (number != HC_VMCS_SWITCH || traps()->vector != NO_VECTOR || rax != HC_OK)
                return;
        const int old = index_of(rbx), new = index_of(rcx);
        if (old >= 0)
                h->vmcs[old].launched = false;
        h->current = new;
}

/* --- control registers and MSRs, put back at once --- */

static void act_control_register(struct hostile *h)
{
        const uint64_t cr0 = hw_read_cr0(), cr4 = hw_read_cr4();
        switch (below(h, 4)) {
        case 0:
                TRY("movq %[v], %%cr0", , [v] "r"((cr0 ^ BIT(below(h, 64))) | CR0_PE));
                break;
        case 1:
                TRY("movq %[v], %%cr0", , [v] "r"(cr0 ^ BIT(29 + below(h, 2)) ^ BIT(1 + below(h, 31))));
                break;
        case 2:
                TRY("movq %[v], %%cr4", , [v] "r"(cr4 ^ BIT(below(h, 64))));
                break;
        default: {
                uint64_t cr8 = any_number(h);
                TRY("movq %[v], %%cr8", , [v] "r"(cr8));
        }
        }
        TRY("movq %[v], %%cr0", , [v] "r"(cr0));
        TRY("movq %[v], %%cr4", , [v] "r"(cr4));
}

static void act_msr(struct hostile *h)
{
        static const uint32_t msrs[] = { 0x10, 0x1b, 0x3a, 0x3b, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x1a0, 0x1d9, 0x200, 0x20f, 0x250, 0x277,
                                         0x2ff, 0x480, 0x481, 0x48b, 0x48c, 0x491, 0x492, 0x6e0, 0x800, 0x802, 0x803, 0x808, 0x80b, 0x80f, 0x830,
                                         0x832, 0x835, 0x838, 0x83e, 0x83f, 0xda0, MSR_EFER, MSR_STAR, MSR_LSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE,
                                         MSR_TSC_AUX, MSR_FS_BASE, MSR_GS_BASE };
        const uint32_t msr = one_in(h, 8) ? (uint32_t)any_number(h) : PICK(h, msrs);
        const uint64_t value = any_number(h);
        uint64_t efer = hw_rdmsr(MSR_EFER);
        uint32_t low = (uint32_t)value, high = (uint32_t)(value >> 32);
        if (one_in(h, 2)) {
                TRY("rdmsr", "+a"(low) COMMA "+d"(high), "c"(msr));
                return;
        }
        TRY("wrmsr", , "c"(msr), "a"(low), "d"(high));
        TRY("wrmsr", , "c"(MSR_EFER), "a"((uint32_t)efer), "d"(0));
}

/* --- scribbling on VMCS regions --- */

static void act_scribble(struct hostile *h)
{
        const int i = (int)below(h, HOSTILE_VMCSS);
        uint32_t *const page = (uint32_t *)hostile_vmcs_page[i];
        const uint32_t revision = (uint32_t)GET(h->l2.caps.basic, BASIC_REVISION);
        switch (below(h, 8)) {
        case 0: /* header only */
                page[0] = one_in(h, 4) ? (uint32_t)any_number(h) : revision ^ (one_in(h, 2) ? VMCS_REVISION_SHADOW : 0);
                page[1 + below(h, 3)] = (uint32_t)any_number(h);
                break;
        case 1:
                for (unsigned k = 1; k < PAGE_SIZE / 4; k++)
                        page[k] = (uint32_t)(rnd(h) >> 24);
                h->vmcs[i].content = h->vmcs[i].content == VMCS_NOISE ? VMCS_NOISE : VMCS_SPOILT;
                break;
        case 2:
                page[1 + below(h, PAGE_SIZE / 4 - 1)] ^= 1u << below(h, 32);
                h->vmcs[i].content = h->vmcs[i].content == VMCS_NOISE ? VMCS_NOISE : VMCS_SPOILT;
                break;
        default:
                page[0] = revision | (one_in(h, 8) ? VMCS_REVISION_SHADOW : 0);
        }
}

/* A VMCS that can be entered, and VMX on: what random instructions alone seldom arrive at. */
static void act_recover(struct hostile *h)
{
        uint64_t pointer = (uint64_t)l2_vmxon_page;
        if (!h->vmxon && do_vmxon(h, (uint64_t)&pointer)) {
                h->vmxon = true;
                h->current = -1;
        }
        const unsigned i = below(h, 6);
        *(uint32_t *)hostile_vmcs_page[i] = (uint32_t)GET(h->l2.caps.basic, BASIC_REVISION);
        pointer = (uint64_t)hostile_vmcs_page[i];
        if (do_vmptrld(h, (uint64_t)&pointer))
                h->current = (int)i;
}

static const struct {
        void (*act)(struct hostile *h);
        unsigned weight;
} acts[] = {
        { act_vmptrld, 8 }, { act_vmclear, 6 },    { act_vmxon, 2 },            { act_vmxoff, 2 }, { act_vmptrst, 3 },  { act_vmread, 15 },
        { act_vmwrite, 20 }, { act_invept, 4 },    { act_invvpid, 4 },          { act_plain, 2 },  { act_hypercall, 3 }, { act_control_register, 2 },
        { act_msr, 4 },     { act_scribble, 3 },   { act_recover, 4 },          { memory_stir, 8 }, { enter_prepared, 3 }, { enter_raw, 7 },
};

/* What was answered until now says which VMCS is current. */
static void check_current(struct hostile *h, unsigned act)
{
        const uint64_t at = current_pointer();
        if (index_of(at) == h->current)
                return;
        check(h->l2.p, false, "after %llu instructions, the last of kind %u: VMCS %d was current, now it is 0x%llx",
              (unsigned long long)h->instructions, act, h->current, (unsigned long long)at);
        h->current = index_of(at);
}

void hostile_step(struct hostile *h)
{
        unsigned total = 0, i = 0;
        for (unsigned k = 0; k < ARRAY_LEN(acts); k++)
                total += acts[k].weight;
        for (unsigned at = below(h, total); at >= acts[i].weight; i++)
                at -= acts[i].weight;
        traps()->vector = NO_VECTOR;
        acts[i].act(h);
        h->faults += traps()->vector != NO_VECTOR;
        h->instructions++;
        if (h->vmxon && h->current >= 0)
                check_current(h, i);
}
