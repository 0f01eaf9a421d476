/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID of a guest on three made-up processors: one that has every bit, one that is old, and one whose leaves are
 * all different. */
#include <string.h>
#include "suite.h"
#include "base/bits.h"
#include "hw/hypercall.h"
#include "run/cpuid.h"

#define EXT         0x80000000u
#define CR4_OSXSAVE BIT(18)
#define CR4_PKE     BIT(22)
#define HZ_100M     100000000ull
#define HZ_3500M    3500000000ull

static struct cpuid_table t;

static struct cpuid_regs full_silicon(uint32_t leaf, uint32_t subleaf)
{
        struct cpuid_regs r = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
        if (leaf == 0)
                r.eax = 0x20;
        if (leaf == EXT)
                r.eax = EXT + 8;
        return r;
}

/* A value that names leaf, subleaf and register. */
static uint32_t mark(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
        return (leaf & 0xff) << 16 | (leaf >> 31) << 24 | subleaf << 8 | reg | 0x50;
}

static struct cpuid_regs marked(uint32_t leaf, uint32_t subleaf)
{
        return (struct cpuid_regs){ mark(leaf, subleaf, 0), mark(leaf, subleaf, 1), mark(leaf, subleaf, 2),
                                    mark(leaf, subleaf, 3) };
}

static struct cpuid_regs marked_silicon(uint32_t leaf, uint32_t subleaf)
{
        struct cpuid_regs r = marked(leaf, subleaf);
        if (leaf == 0)
                r.eax = 0x16;
        if (leaf == EXT)
                r.eax = EXT + 8;
        return r;
}

/* Answers beyond its limits like a real one: with data of its highest leaf, which must not be taken for more. */
static struct cpuid_regs old_silicon(uint32_t leaf, uint32_t subleaf)
{
        if (leaf == 0)
                return (struct cpuid_regs){ 2, 0x756e6547, 0x6c65746e, 0x49656e69 };
        if (leaf == 1)
                return (struct cpuid_regs){ 0x6f6, 0x08020800, 0x00002000, 0x0febfbff };
        if (leaf == EXT)
                return (struct cpuid_regs){ .eax = EXT + 4 };
        if (leaf > EXT && leaf <= EXT + 4)
                return marked(leaf, subleaf);
        return (struct cpuid_regs){ 0x05b0b101, 0x005657f0, 0xffffffff, 0x2cb43049 };
}

static const struct cpuid_config plain = { .level = 1, .tsc_hz = HZ_100M };
static const struct cpuid_config rich = { .level = 3, .tsc_hz = HZ_3500M, .apic_id = 5, .vmx = true,
                                          .rdtscp = true, .invpcid = true, .xsaves = true };

static void check_regs(struct cpuid_regs got, struct cpuid_regs want, uint32_t leaf, uint32_t subleaf)
{
        ck_assert_msg(memcmp(&got, &want, sizeof(got)) == 0,
                      "leaf %#x.%u: %08x %08x %08x %08x instead of %08x %08x %08x %08x", leaf, subleaf, got.eax,
                      got.ebx, got.ecx, got.edx, want.eax, want.ebx, want.ecx, want.edx);
}

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
        return cpuid_answer(&t, leaf, subleaf, 0);
}

/* Every bit that a guest does not get although the processor has it, by its SDM name. */
enum reg { EAX, EBX, ECX, EDX };
static const struct {
        uint32_t leaf;
        enum reg reg;
        unsigned bit;
        const char *name;
} hidden[] = {
        { 1, ECX, 2, "DTES64" },    { 1, ECX, 3, "MONITOR" },   { 1, ECX, 4, "DS-CPL" },    { 1, ECX, 5, "VMX" },
        { 1, ECX, 6, "SMX" },       { 1, ECX, 7, "EIST" },      { 1, ECX, 8, "TM2" },       { 1, ECX, 11, "SDBG" },
        { 1, ECX, 14, "xTPR" },     { 1, ECX, 15, "PDCM" },     { 1, ECX, 27, "OSXSAVE" },  { 1, EDX, 21, "DS" },
        { 1, EDX, 22, "ACPI" },     { 1, EDX, 28, "HTT" },      { 1, EDX, 29, "TM" },       { 1, EDX, 31, "PBE" },
        { 7, EBX, 2, "SGX" },       { 7, EBX, 10, "INVPCID" },  { 7, EBX, 12, "RDT-M" },    { 7, EBX, 14, "MPX" },
        { 7, EBX, 15, "RDT-A" },    { 7, EBX, 25, "Intel PT" }, { 7, ECX, 4, "OSPKE" },     { 7, ECX, 5, "WAITPKG" },
        { 7, ECX, 7, "CET_SS" },    { 7, ECX, 13, "TME_EN" },   { 7, ECX, 16, "LA57" },
        { 7, ECX, 24, "BUS_LOCK_DETECT" },                      { 7, ECX, 30, "SGX_LC" },   { 7, ECX, 31, "PKS" },
        { EXT + 1, EDX, 27, "RDTSCP" },                         { EXT + 1, ECX, 2, "SVM" },
};

/* Of leaf 7 EDX only what needs no MSR and no virtualization: AVX512_4VNNIW, AVX512_4FMAPS, fast short REP MOV,
 * MD_CLEAR. */
#define LEAF7_EDX (BIT(2) | BIT(3) | BIT(4) | BIT(10))

static uint32_t value_of(struct cpuid_regs r, enum reg reg)
{
        return reg == EAX ? r.eax : reg == EBX ? r.ebx : reg == ECX ? r.ecx : r.edx;
}

static uint32_t expected_of_full(uint32_t leaf, enum reg reg)
{
        uint64_t v = UINT32_MAX;
        for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
                if (hidden[i].leaf == leaf && hidden[i].reg == reg)
                        v &= ~BIT(hidden[i].bit);
        return (uint32_t)(leaf == 7 && reg == EDX ? LEAF7_EDX : v);
}

START_TEST(each_hidden_bit)
{
        cpuid_build(&t, &plain, full_silicon);
        for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
                ck_assert_msg(!(value_of(ask(hidden[i].leaf, 0), hidden[i].reg) & BIT(hidden[i].bit)), "%s",
                              hidden[i].name);
}
END_TEST

START_TEST(nothing_else_is_hidden)
{
        cpuid_build(&t, &plain, full_silicon);
        static const struct {
                uint32_t leaf;
                enum reg reg;
        } words[] = { { 1, EAX }, { 1, ECX }, { 1, EDX }, { 7, EBX }, { 7, ECX }, { 7, EDX },
                      { EXT + 1, ECX }, { EXT + 1, EDX } };
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                ck_assert_msg(value_of(ask(words[i].leaf, 0), words[i].reg) ==
                                      expected_of_full(words[i].leaf, words[i].reg),
                              "word %zu", i);
}
END_TEST

START_TEST(offered_on_request)
{
        cpuid_build(&t, &rich, full_silicon);
        ck_assert(ask(1, 0).ecx & BIT(5));
        ck_assert(ask(7, 0).ebx & BIT(10));
        ck_assert(ask(EXT + 1, 0).edx & BIT(27));
        ck_assert(ask(0xd, 1).eax & BIT(3));
        cpuid_build(&t, &plain, full_silicon);
        ck_assert_uint_eq(ask(0xd, 1).eax, UINT32_MAX & ~(uint32_t)BIT(3)); /* XSAVES */
}
END_TEST

START_TEST(provided_whatever_the_silicon_has)
{
        cpuid_build(&t, &rich, old_silicon);
        const struct cpuid_regs f = ask(1, 0);
        ck_assert_uint_eq(f.eax, 0x6f6);
        /* x2APIC, TSC deadline, hypervisor, VMX; CMPXCHG16B passes through */
        ck_assert_uint_eq(f.ecx, BIT(21) | BIT(24) | BIT(31) | BIT(5) | BIT(13));
        ck_assert_uint_eq(f.edx, 0x0febfbff & ~(BIT(21) | BIT(22)));
        ck_assert_uint_eq(f.ebx, 5u << 24 | 1 << 16 | 0x0800);
        check_regs(ask(6, 0), (struct cpuid_regs){ .eax = BIT(2) }, 6, 0); /* ARAT */
        ck_assert(ask(EXT + 7, 0).edx & BIT(8)); /* invariant TSC */
}
END_TEST

START_TEST(leaves_that_an_old_processor_lacks)
{
        static const uint32_t leaves[] = { 3, 5, 7, 8, 9, 0xa, 0xc, 0xd, 0xe, 0xf, 0x10, 0x12, 0x14 };
        cpuid_build(&t, &rich, old_silicon);
        ck_assert_uint_eq(ask(0, 0).eax, CPUID_BASIC_LEAVES - 1);
        ck_assert_uint_eq(ask(0, 0).ebx, 0x756e6547);
        check_regs(ask(2, 0), old_silicon(2, 0), 2, 0);
        for (size_t i = 0; i < ARRAY_LEN(leaves); i++)
                for (uint32_t s = 0; s < CPUID_SUBLEAVES + 2; s++)
                        check_regs(ask(leaves[i], s), (struct cpuid_regs){ 0 }, leaves[i], s);
        ck_assert_uint_eq(ask(EXT, 0).eax, EXT + CPUID_EXT_LEAVES - 1);
        check_regs(ask(EXT + 4, 0), marked(EXT + 4, 0), EXT + 4, 0);
        check_regs(ask(EXT + 5, 0), (struct cpuid_regs){ 0 }, EXT + 5, 0);
        check_regs(ask(EXT + 8, 0), (struct cpuid_regs){ 0 }, EXT + 8, 0);
}
END_TEST

START_TEST(leaves_that_are_never_shown)
{
        static const uint32_t leaves[] = { 5, 0xa, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14 };
        cpuid_build(&t, &rich, full_silicon);
        for (size_t i = 0; i < ARRAY_LEN(leaves); i++)
                for (uint32_t s = 0; s < CPUID_SUBLEAVES + 2; s++)
                        check_regs(ask(leaves[i], s), (struct cpuid_regs){ 0 }, leaves[i], s);
        for (uint32_t s = 1; s < CPUID_SUBLEAVES + 2; s++)
                check_regs(ask(7, s), (struct cpuid_regs){ 0 }, 7, s);
        ck_assert_uint_eq(ask(7, 0).eax, 0);
}
END_TEST

START_TEST(the_rest_passes_through)
{
        static const uint32_t leaves[] = { 2, 3, 8, 9, 0xc, EXT + 2, EXT + 3, EXT + 4, EXT + 5, EXT + 6, EXT + 8 };
        cpuid_build(&t, &rich, marked_silicon);
        for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
                check_regs(ask(leaves[i], 0), marked(leaves[i], 0), leaves[i], 0);
                check_regs(ask(leaves[i], 3), marked(leaves[i], 0), leaves[i], 3); /* ECX does not matter there */
        }
        for (uint32_t s = 0; s < CPUID_SUBLEAVES; s++) {
                struct cpuid_regs state = marked(0xd, s);
                if (s == 1) /* IA32_XSS has no bits */
                        state.ecx = state.edx = 0;
                check_regs(ask(0xd, s), state, 0xd, s);
                struct cpuid_regs cache = marked(4, s);
                cache.eax &= BITS(13, 0); /* one thread shares it, one core is there */
                check_regs(ask(4, s), cache, 4, s);
        }
        check_regs(ask(4, CPUID_SUBLEAVES), (struct cpuid_regs){ 0 }, 4, CPUID_SUBLEAVES);
        check_regs(ask(0xd, UINT32_MAX), (struct cpuid_regs){ 0 }, 0xd, UINT32_MAX);
        const struct cpuid_regs invariant = ask(EXT + 7, 0);
        ck_assert_uint_eq(invariant.edx, mark(EXT + 7, 0, 3) | BIT(8));
}
END_TEST

START_TEST(bits_of_cr4)
{
        cpuid_build(&t, &rich, full_silicon);
        for (unsigned i = 0; i < 4; i++) {
                const uint64_t cr4 = (i & 1 ? CR4_OSXSAVE : 0) | (i & 2 ? CR4_PKE : 0);
                ck_assert_uint_eq(!!(cpuid_answer(&t, 1, 0, cr4).ecx & BIT(27)), i & 1);
                ck_assert_uint_eq(!!(cpuid_answer(&t, 7, 0, cr4).ecx & BIT(4)), i >> 1);
                check_regs(cpuid_answer(&t, 7, 1, cr4), (struct cpuid_regs){ 0 }, 7, 1);
        }
        const uint64_t others = ~(CR4_OSXSAVE | CR4_PKE);
        check_regs(cpuid_answer(&t, 1, 0, others), ask(1, 0), 1, 0);
        check_regs(cpuid_answer(&t, 7, 0, others), ask(7, 0), 7, 0);
        check_regs(cpuid_answer(&t, 0xd, 0, ~0ull), ask(0xd, 0), 0xd, 0);
}
END_TEST

/* SDM 2A "CPUID - CPU Identification": what is beyond either maximum is answered as the highest basic leaf is. */
START_TEST(beyond_the_highest_leaf)
{
        static const uint32_t leaves[] = { 0x17,       0x18,       0x1f,     0xff,    0x3fffffff, 0x40000002,
                                           0x400000ff, 0x7fffffff, EXT + 9,  EXT + 0xa, 0xc0000000, 0xffffffff };
        cpuid_build(&t, &rich, marked_silicon);
        for (size_t i = 0; i < ARRAY_LEN(leaves); i++)
                for (uint32_t s = 0; s < 20; s++)
                        check_regs(ask(leaves[i], s), ask(CPUID_BASIC_LEAVES - 1, 0), leaves[i], s);
        ck_assert(ask(CPUID_BASIC_LEAVES - 1, 0).eax);
}
END_TEST

START_TEST(topology_of_one_processor)
{
        cpuid_build(&t, &rich, marked_silicon);
        check_regs(ask(0xb, 0), (struct cpuid_regs){ 0, 1, 0x100, 5 }, 0xb, 0); /* SMT */
        check_regs(ask(0xb, 1), (struct cpuid_regs){ 0, 1, 0x201, 5 }, 0xb, 1); /* core */
        for (uint32_t s = 2; s < 300; s++)
                check_regs(ask(0xb, s), (struct cpuid_regs){ 0, 0, s & 0xff, 5 }, 0xb, s);
        check_regs(ask(0xb, UINT32_MAX), (struct cpuid_regs){ 0, 0, 0xff, 5 }, 0xb, UINT32_MAX);
}
END_TEST

START_TEST(clock_leaves)
{
        static const struct {
                uint64_t hz;
                uint32_t ecx, mhz;
        } rows[] = {
                { HZ_100M, 100000000, 100 },
                { HZ_3500M, 3500000000, 3500 },
                { 2999999999, 2999999999, 3000 },
                { 2400499999, 2400499999, 2400 },
                { UINT32_MAX, UINT32_MAX, 4295 },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct cpuid_config c = { .tsc_hz = rows[i].hz };
                cpuid_build(&t, &c, full_silicon);
                check_regs(ask(0x15, 0), (struct cpuid_regs){ 1, 1, rows[i].ecx, 0 }, 0x15, 0);
                check_regs(ask(0x16, 0), (struct cpuid_regs){ rows[i].mhz, rows[i].mhz, 100, 0 }, 0x16, 0);
        }
        /* What ECX cannot say is left unsaid. */
        const struct cpuid_config c = { .tsc_hz = 5000000000 };
        cpuid_build(&t, &c, full_silicon);
        check_regs(ask(0x15, 0), (struct cpuid_regs){ 0 }, 0x15, 0);
        check_regs(ask(0x16, 0), (struct cpuid_regs){ 5000, 5000, 100, 0 }, 0x16, 0);
}
END_TEST

START_TEST(hypervisor_leaves)
{
        cpuid_build(&t, &rich, full_silicon);
        const struct cpuid_regs r = ask(CASCADE_CPUID_BASE, 9);
        char name[13] = "";
        memcpy(name, &r.ebx, 4);
        memcpy(name + 4, &r.ecx, 4);
        memcpy(name + 8, &r.edx, 4);
        ck_assert_uint_eq(r.eax, 0x40000001);
        ck_assert_str_eq(name, "cascadecasca");
        check_regs(ask(CASCADE_CPUID_BASE + 1, 0), (struct cpuid_regs){ .eax = 3 }, CASCADE_CPUID_BASE + 1, 0);
        cpuid_build(&t, &plain, old_silicon);
        ck_assert_uint_eq(ask(CASCADE_CPUID_BASE + 1, 0).eax, 1);
}
END_TEST

static struct cpuid_regs after_xsetbv(uint32_t leaf, uint32_t subleaf)
{
        struct cpuid_regs r = marked(leaf, subleaf);
        r.ebx = 0x340;
        r.eax |= BIT(3);
        return r;
}

START_TEST(xsave_leaf_is_read_again)
{
        cpuid_build(&t, &plain, marked_silicon);
        struct cpuid_table before = t;
        cpuid_refresh_xsave(&t, &plain, after_xsetbv);
        for (uint32_t s = 0; s < CPUID_SUBLEAVES; s++) {
                struct cpuid_regs want = after_xsetbv(0xd, s);
                if (s == 1)
                        want = (struct cpuid_regs){ want.eax & ~(uint32_t)BIT(3), want.ebx, 0, 0 };
                check_regs(ask(0xd, s), want, 0xd, s);
        }
        memcpy(before.basic[0xd], t.basic[0xd], sizeof(t.basic[0xd]));
        ck_assert(memcmp(&before, &t, sizeof(t)) == 0); /* nothing else */
        cpuid_refresh_xsave(&t, &rich, after_xsetbv);
        ck_assert(ask(0xd, 1).eax & BIT(3));
}
END_TEST

/* XCR0 components 1 and 2, supervisor component 8. */
static struct cpuid_regs with_supervisor_state(uint32_t leaf, uint32_t subleaf)
{
        if (leaf != 0xd || subleaf < 2)
                return marked_silicon(leaf, subleaf);
        return (struct cpuid_regs){ .eax = 0x80, .ebx = 0x240, .ecx = subleaf == 8 };
}

START_TEST(supervisor_state_is_hidden)
{
        cpuid_build(&t, &rich, with_supervisor_state);
        check_regs(ask(0xd, 2), with_supervisor_state(0xd, 2), 0xd, 2);
        check_regs(ask(0xd, 8), (struct cpuid_regs){ 0 }, 0xd, 8);
        ck_assert(ask(0xd, 1).ecx == 0 && ask(0xd, 1).edx == 0 && ask(0xd, 1).ebx == mark(0xd, 1, 1));
}
END_TEST

START_TEST(constant_leaves_are_constant)
{
        unsigned constant = 0;
        cpuid_build(&t, &rich, marked_silicon);
        for (uint32_t leaf = 0; leaf < 0x40; leaf++) {
                const struct cpuid_regs *c = cpuid_constant(&t, leaf);
                constant += c != NULL;
                for (uint32_t sub = 0; c && sub < 20; sub++) {
                        for (unsigned cr4 = 0; cr4 < 4; cr4++) {
                                const struct cpuid_regs want =
                                        cpuid_answer(&t, leaf, sub, (cr4 & 1 ? CR4_OSXSAVE : 0) | (cr4 & 2 ? CR4_PKE : 0));
                                ck_assert(memcmp(c, &want, sizeof(want)) == 0);
                        }
                }
        }
        ck_assert_uint_eq(constant, CPUID_BASIC_LEAVES - 5);
        ck_assert_ptr_null(cpuid_constant(&t, EXT));
        ck_assert_ptr_null(cpuid_constant(&t, CASCADE_CPUID_BASE));
        ck_assert_ptr_null(cpuid_constant(&t, UINT32_MAX));
}
END_TEST

int main(void)
{
        return RUN_SUITE("cpuid", constant_leaves_are_constant, each_hidden_bit, nothing_else_is_hidden, offered_on_request,
                         provided_whatever_the_silicon_has, leaves_that_an_old_processor_lacks,
                         leaves_that_are_never_shown, the_rest_passes_through, bits_of_cr4, beyond_the_highest_leaf,
                         topology_of_one_processor, clock_leaves, hypervisor_leaves, xsave_leaf_is_read_again,
                         supervisor_state_is_hidden);
}
