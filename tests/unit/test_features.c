/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest hypervisor is offered, over all features of features.def, random silicon and random masks. */
#include <string.h>
#include "suite.h"
#include "base/x86.h"
#include "run/cpuid.h"
#include "vmx/caps.h"
#include "vmx/controls.h"
#include "vmx/feature_control.h"

static const uint32_t default1[WORD_COUNT] = { [WORD_PIN] = PIN_DEFAULT1, [WORD_PROC] = PROC_DEFAULT1,
                                               [WORD_EXIT] = EXIT_CTL_DEFAULT1, [WORD_ENTRY] = ENTRY_CTL_DEFAULT1 };

static struct ctl_caps ctl_of(const struct vmx_caps *c, enum feature_word w)
{
        const struct ctl_caps words[] = { [WORD_PIN] = c->pin, [WORD_PROC] = c->proc, [WORD_PROC2] = c->proc2,
                                          [WORD_EXIT] = c->exit, [WORD_ENTRY] = c->entry };
        return words[w];
}

static uint64_t word_of(const struct vmx_caps *c, enum feature_word w)
{
        const uint64_t words[WORD_COUNT] = {
                [WORD_EPT_VPID] = c->ept_vpid, [WORD_VMFUNC] = c->vmfunc, [WORD_MISC] = c->misc, [WORD_BASIC] = c->basic
        };
        return w <= WORD_ENTRY ? ctl_of(c, w).may1 : words[w];
}

static bool has(const struct vmx_caps *c, enum feature f)
{
        return word_of(c, feature_info(f)->word) & feature_info(f)->bits;
}

/* The silicon (or the user, by the TRUE MSRs) insists on a control. */
static bool forced(const struct vmx_caps *c, enum feature f)
{
        const struct feature_info *i = feature_info(f);
        return i->word <= WORD_ENTRY && (ctl_of(c, i->word).must1 & i->bits);
}

/* Everything that features.def knows, and the fixed bits of a current processor. */
static struct vmx_caps full_silicon(void)
{
        struct vmx_caps c = { .cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = 0x2000,
                              .cr4_fixed1 = 0x00f72fff, .maxphyaddr = 46, .linear_bits = 48 };
        uint64_t all[WORD_COUNT] = { 0 };
        for (enum feature f = FEATURE_none + 1; f < FEATURE_COUNT; f++)
                all[feature_info(f)->word] |= feature_info(f)->bits;
        c.pin = (struct ctl_caps){ 0x16, (uint32_t)all[WORD_PIN] | PIN_DEFAULT1 };
        c.proc = (struct ctl_caps){ 0x04006172, (uint32_t)all[WORD_PROC] | PROC_DEFAULT1 };
        c.proc2 = (struct ctl_caps){ 0, (uint32_t)all[WORD_PROC2] };
        c.exit = (struct ctl_caps){ 0x00036dfb, (uint32_t)all[WORD_EXIT] | EXIT_CTL_DEFAULT1 };
        c.entry = (struct ctl_caps){ 0x000011fb, (uint32_t)all[WORD_ENTRY] | ENTRY_CTL_DEFAULT1 };
        c.ept_vpid = all[WORD_EPT_VPID];
        c.vmfunc = all[WORD_VMFUNC];
        c.misc = PUT(all[WORD_MISC], MISC_CR3_TARGETS, 4) | 5;
        c.basic = PUT(all[WORD_BASIC] | PUT(0, BASIC_REVISION, 4), BASIC_REGION_SIZE, 4096);
        return c;
}

static uint64_t seed = 0x5eed;

static uint64_t rnd(void)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return seed >> 24;
}

/* Takes bits away, most often few; sometimes insists on one, sometimes has no TRUE MSRs. */
static struct vmx_caps random_silicon(void)
{
        struct vmx_caps c = full_silicon();
        struct ctl_caps *const ctls[] = { &c.pin, &c.proc, &c.proc2, &c.exit, &c.entry };
        const bool few = rnd() % 4;
        for (unsigned w = 0; w < ARRAY_LEN(ctls); w++) {
                const uint32_t keep = (uint32_t)(few ? rnd() | rnd() | rnd() : rnd());
                ctls[w]->may1 &= keep | ctls[w]->must1 | default1[w];
                if (rnd() % 64 == 0)
                        ctls[w]->must1 |= ctls[w]->may1 & (uint32_t)(rnd() & rnd() & rnd() & rnd());
        }
        if (!(c.proc.may1 & PROC_SECONDARY))
                c.proc2 = (struct ctl_caps){ 0 };
        c.ept_vpid &= few ? rnd() | rnd() << 32 | rnd() | 0x4040 : rnd() | rnd() << 32;
        c.misc &= rnd() | rnd();
        c.basic &= rnd() % 8 ? ~0ull : ~BASIC_TRUE_CTLS;
        for (enum feature_word w = 0; !(c.basic & BASIC_TRUE_CTLS) && w <= WORD_ENTRY; w++)
                ctls[w]->must1 |= default1[w];
        return c;
}

static struct feature_mask random_mask(void)
{
        struct feature_mask m = { 0 };
        const uint64_t one_in = 1 + rnd() % 40;
        for (unsigned f = FEATURE_none + 1; f < FEATURE_COUNT; f++)
                m.off[f] = rnd() % (one_in + 1) == one_in;
        return m;
}

#define SAME(a, b) REQUIRE((a) == (b), #a ": %#llx, not %#llx", (unsigned long long)(a), (unsigned long long)(b))

static void check_subset(const struct vmx_caps *c, const struct vmx_caps *hw)
{
        const bool true_ctls = c->basic & BASIC_TRUE_CTLS;
        for (enum feature_word w = 0; w <= WORD_ENTRY; w++) {
                const struct ctl_caps a = ctl_of(c, w), b = ctl_of(hw, w);
                SAME(a.must1, a.may1 ? b.must1 | (true_ctls ? 0 : default1[w]) : 0);
                SAME(a.may1 & ~b.may1, 0);
                SAME(a.must1 & ~a.may1, 0);
                SAME(default1[w] & ~a.may1, 0);
        }
        const uint64_t layout = BASIC_REVISION | BASIC_REGION_SIZE | BASIC_MEMTYPE;
        SAME(c->ept_vpid & ~hw->ept_vpid, 0);
        SAME(c->vmfunc & ~hw->vmfunc, 0);
        SAME(c->misc & ~hw->misc & ~MISC_CR3_TARGETS, 0);
        REQUIRE(GET(c->misc, MISC_CR3_TARGETS) <= GET(hw->misc, MISC_CR3_TARGETS), "more than the silicon has");
        SAME(c->basic & ~layout & ~hw->basic, 0);
        REQUIRE(GET(c->vmcs_enum, FIELD_ENC_INDEX) <= vmcs_max_index(), "more than the silicon has");
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                REQUIRE(!vmcs_field_exists(&f, c) || vmcs_field_exists(&f, hw), "field %u", id);
        }
}

/* Exactly what the silicon has, cascade virtualizes and the mask leaves is there, less what needs something that is not. */
static void check_features(const struct vmx_caps *c, const struct vmx_caps *hw, const struct feature_mask *m)
{
        for (enum feature f = FEATURE_none + 1; f < FEATURE_COUNT; f++) {
                const struct feature_info *i = feature_info(f);
                bool needs = i->word != WORD_PROC2 || has(c, FEATURE_secondary);
                for (unsigned n = 0; n < FEATURE_NEEDS_MAX && i->needs[n] != FEATURE_none; n++)
                        needs = needs && has(c, i->needs[n]);
                if (f == FEATURE_secondary)
                        needs = c->proc2.may1 != 0;
                const bool wanted = i->kind == KIND_DEFAULT1 || (i->kind == KIND_FEATURE && !m->off[f]);
                const bool expected = forced(c, f) || (has(hw, f) && wanted && needs);
                REQUIRE(has(c, f) == expected, "%s is %s", i->name, expected ? "missing" : "there");
        }
}

static void check_msrs(const struct vmx_caps *c)
{
        const bool secondary = has(c, FEATURE_secondary);
        for (uint32_t msr = MSR_VMX_BASIC - 1; msr <= MSR_VMX_LAST + 1; msr++) {
                bool known, expected = msr >= MSR_VMX_BASIC && msr <= MSR_VMX_LAST;
                caps12_msr(c, msr, &known);
                if (msr == MSR_VMX_PROC2)
                        expected = secondary;
                if (msr == MSR_VMX_EPT_VPID)
                        expected = secondary && (c->proc2.may1 & (PROC2_EPT | PROC2_VPID));
                if (msr == MSR_VMX_VMFUNC)
                        expected = secondary && (c->proc2.may1 & PROC2_VMFUNC);
                if (msr >= MSR_VMX_TRUE_PIN && msr <= MSR_VMX_TRUE_ENTRY)
                        expected = c->basic & BASIC_TRUE_CTLS;
                REQUIRE(known == expected, "MSR %#x", msr);
        }
}

START_TEST(random_offers_are_exact_subsets)
{
        for (unsigned n = 0; n < 50000; n++) {
                const struct vmx_caps hw = random_silicon();
                const struct feature_mask m = random_mask();
                const struct vmx_caps c = caps12_derive(&hw, &m);
                check_subset(&c, &hw);
                check_features(&c, &hw, &m);
                check_msrs(&c);
                const struct vmx_caps again = caps12_derive(&c, &m);
                SAME(again.proc2.may1, c.proc2.may1);
                SAME(again.proc.may1, c.proc.may1);
                SAME(again.ept_vpid, c.ept_vpid);
                SAME(again.misc, c.misc);
        }
}
END_TEST

/* What a guest reads by the rules of the SDM is what was derived. */
static uint64_t read_caps12(void *ctx, uint32_t msr)
{
        bool known;
        const uint64_t value = caps12_msr(ctx, msr, &known);
        REQUIRE(known, "MSR %#x", msr);
        return value;
}

START_TEST(a_guest_reads_what_was_derived)
{
        for (unsigned n = 0; n < 20000; n++) {
                const struct vmx_caps hw = random_silicon();
                const struct feature_mask m = random_mask();
                struct vmx_caps c = caps12_derive(&hw, &m), seen;
                vmx_caps_from_msrs(&seen, read_caps12, &c);
                for (enum feature_word w = 0; w < WORD_COUNT; w++)
                        SAME(word_of(&seen, w), word_of(&c, w));
                for (enum feature_word w = 0; w <= WORD_ENTRY; w++)
                        SAME(ctl_of(&seen, w).must1, ctl_of(&c, w).must1);
                SAME(seen.vmcs_enum, c.vmcs_enum);
        }
}
END_TEST

START_TEST(rows_are_sound)
{
        uint64_t seen[WORD_COUNT] = { 0 };
        for (enum feature f = FEATURE_none + 1; f < FEATURE_COUNT; f++) {
                const struct feature_info *i = feature_info(f);
                ck_assert_msg(!(seen[i->word] & i->bits), "%s has a bit of another row", i->name);
                seen[i->word] |= i->bits;
                ck_assert_msg((i->kind == KIND_DEFAULT1) == !!(i->bits & default1[i->word]), "%s: default1?", i->name);
                ck_assert_msg(i->bits == (i->bits & -i->bits) || f == FEATURE_cr3_targets, "%s: one bit", i->name);
                for (unsigned n = 0; n < FEATURE_NEEDS_MAX && i->needs[n] != FEATURE_none; n++)
                        ck_assert_msg(feature_info(i->needs[n])->since <= i->since, "%s is older than what it needs", i->name);
        }
}
END_TEST

/* Every feature alone, by its option: it goes, and nothing comes. */
START_TEST(every_option_masks)
{
        const struct vmx_caps hw = full_silicon();
        const struct feature_mask nothing = { 0 };
        const struct vmx_caps all = caps12_derive(&hw, &nothing);
        for (enum feature f = FEATURE_none + 1; f < FEATURE_COUNT; f++) {
                const struct feature_info *i = feature_info(f);
                struct feature_mask m = { 0 };
                ck_assert_msg(feature_option(&m, i->name, "off") == (i->kind != KIND_DEFAULT1), "%s=off", i->name);
                if (i->kind == KIND_DEFAULT1)
                        continue;
                const struct vmx_caps c = caps12_derive(&hw, &m);
                ck_assert_msg(!has(&c, f), "%s is still there", i->name);
                for (enum feature g = FEATURE_none + 1; g < FEATURE_COUNT; g++)
                        ck_assert_msg(!has(&c, g) || has(&all, g), "%s=off brings %s", i->name, feature_info(g)->name);
                ck_assert(feature_option(&m, i->name, "on") == (i->kind == KIND_FEATURE));
                if (i->kind == KIND_FEATURE)
                        ck_assert(memcmp(&m, &nothing, sizeof(m)) == 0);
        }
}
END_TEST

START_TEST(bad_options)
{
        static const char *const rows[][2] = { { "", "off" }, { "ep", "off" }, { "eptx", "off" }, { "ept", "" }, { "ept", "of" },
                                               { "ept", "offf" }, { "EPT", "off" }, { "like", "off" }, { "like", "" },
                                               { "none", "off" }, { "cr3_load", "off" }, { "bus_lock", "on" } };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct feature_mask m = { 0 };
                ck_assert_msg(!feature_option(&m, rows[i][0], rows[i][1]), "%s=%s", rows[i][0], rows[i][1]);
        }
}
END_TEST

/* Capability MSRs of processors of those generations, where they are known: what is offered like one is no more. */
START_TEST(like_older_processors)
{
        static const struct {
                const char *name;
                uint32_t pin, proc, proc2, exit, entry;
                uint64_t ept_vpid;
                bool true_ctls;
        } rows[] = {
                { "penryn", 0x3f, 0xf7f9fffe, 0x41, 0x3ffff, 0x3fff, 0, false },
                { "nehalem", 0x7f, 0xfff9fffe, 0x7f, 0x7fffff, 0xffff, 0xf0106114141, true },
                { "westmere", 0x7f, 0xfff9fffe, 0xff, 0x7fffff, 0xffff, 0xf0106114141, true },
                { "haswell", 0xff, 0xfff9fffe, 0x47fff, 0x7fffff, 0xffff, 0xf0106334141, true },
        };
        const struct vmx_caps hw = full_silicon();
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct feature_mask m = { 0 };
                ck_assert(feature_option(&m, "like", rows[i].name));
                const struct vmx_caps c = caps12_derive(&hw, &m);
                ck_assert_uint_eq(c.pin.may1 & ~rows[i].pin, 0);
                ck_assert_uint_eq(c.proc.may1 & ~rows[i].proc, 0);
                ck_assert_uint_eq(c.proc2.may1 & ~rows[i].proc2, 0);
                ck_assert_uint_eq(c.exit.may1 & ~rows[i].exit, 0);
                ck_assert_uint_eq(c.entry.may1 & ~rows[i].entry, 0);
                ck_assert_uint_eq(c.ept_vpid & ~rows[i].ept_vpid, 0);
                ck_assert(!(c.basic & BASIC_TRUE_CTLS) == !rows[i].true_ctls);
                bool known;
                caps12_msr(&c, MSR_VMX_TRUE_PROC, &known);
                ck_assert(known == rows[i].true_ctls);
        }
        struct feature_mask m = { 0 };
        ck_assert(feature_option(&m, "like", "sapphirerapids"));
        for (unsigned f = 0; f < FEATURE_COUNT; f++)
                ck_assert(!m.off[f]);
        ck_assert(feature_option(&m, "like", "nehalem") && feature_option(&m, "unrestricted", "on"));
        ck_assert(!m.off[FEATURE_unrestricted] && m.off[FEATURE_shadow]);
}
END_TEST

/* --- the guest's CPUID --- */

static uint32_t cpuid_1_ecx, cpuid_7_ebx, cpuid_d1_eax, cpuid_ext_edx, cpuid_max;

static struct cpuid_regs silicon_cpuid(uint32_t leaf, uint32_t subleaf)
{
        switch (leaf) {
        case 0:
                return (struct cpuid_regs){ .eax = cpuid_max };
        case 1:
                return (struct cpuid_regs){ .ecx = cpuid_1_ecx };
        case 7:
                return (struct cpuid_regs){ .ebx = subleaf ? 0 : cpuid_7_ebx };
        case 0xd:
                return (struct cpuid_regs){ .eax = subleaf == 1 ? cpuid_d1_eax : 0 };
        case 0x80000000:
                return (struct cpuid_regs){ .eax = 0x80000008 };
        case 0x80000001:
                return (struct cpuid_regs){ .edx = cpuid_ext_edx };
        case 0x80000008:
                return (struct cpuid_regs){ .eax = 0x302e };
        }
        return (struct cpuid_regs){ 0 };
}

/* A guest is offered a control about an instruction only if its own CPUID lists the instruction. */
START_TEST(cpuid_lists_what_controls_are_about)
{
        static const struct {
                enum feature f;
                uint32_t leaf, subleaf, reg, bit;
        } rows[] = { { FEATURE_rdtscp, 0x80000001, 0, 3, 27 }, { FEATURE_invpcid, 7, 0, 1, 10 },
                     { FEATURE_rdrand, 1, 0, 2, 30 },          { FEATURE_rdseed, 7, 0, 1, 18 },
                     { FEATURE_xsaves, 0xd, 1, 0, 3 } };
        static struct cpuid_table table;
        const struct feature_mask nothing = { 0 };
        unsigned offered[ARRAY_LEN(rows)] = { 0 };
        for (unsigned n = 0; n < 2000; n++) {
                struct vmx_caps hw = random_silicon();
                cpuid_1_ecx = (uint32_t)rnd();
                cpuid_7_ebx = (uint32_t)rnd();
                cpuid_d1_eax = (uint32_t)rnd();
                cpuid_ext_edx = (uint32_t)rnd();
                cpuid_max = rnd() % 4 ? 0x16 : 1;
                hw.proc2.must1 = 0;
                vmx_caps_add_cpuid(&hw, silicon_cpuid);
                ck_assert(hw.maxphyaddr == 46 && hw.linear_bits == 48);
                const struct cpuid_config config = { .vmx = true, .rdtscp = hw.proc2.may1 & PROC2_RDTSCP,
                                                     .invpcid = hw.proc2.may1 & PROC2_INVPCID,
                                                     .xsaves = hw.proc2.may1 & PROC2_XSAVES };
                cpuid_build(&table, &config, silicon_cpuid);
                const struct vmx_caps c = caps12_derive(&hw, &nothing);
                for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                        if (!has(&c, rows[i].f))
                                continue;
                        offered[i]++;
                        const struct cpuid_regs r = cpuid_answer(&table, rows[i].leaf, rows[i].subleaf, 0);
                        const uint32_t regs[] = { r.eax, r.ebx, r.ecx, r.edx };
                        REQUIRE(regs[rows[i].reg] >> rows[i].bit & 1, "%s without its instruction",
                                feature_info(rows[i].f)->name);
                }
        }
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                ck_assert(offered[i] > 100 || feature_info(rows[i].f)->kind == KIND_ABSENT);
}
END_TEST

/* Bits of CR4 that CPUID hides are not offered, those that VMX insists on are. */
START_TEST(cr4_of_hidden_features)
{
        const struct feature_mask nothing = { 0 };
        struct vmx_caps hw = full_silicon();
        hw.cr4_fixed1 = ~0ull;
        const uint64_t hidden = BIT(12) | BIT(14) | BIT(15) | BIT(19) | BITS(63, 23); /* LA57, SMXE, KL, CET and on */
        ck_assert_uint_eq(caps12_derive(&hw, &nothing).cr4_fixed1, ~hidden);
        hw.cr4_fixed0 |= BIT(19);
        ck_assert_uint_eq(caps12_derive(&hw, &nothing).cr4_fixed1, ~hidden | BIT(19));
        hw.cr4_fixed1 = 0x003727ff;
        hw.cr4_fixed0 = 0x2000;
        ck_assert_uint_eq(caps12_derive(&hw, &nothing).cr4_fixed1, 0x003727ff);
}
END_TEST

START_TEST(feature_control)
{
        const uint64_t lock = FEATURE_CONTROL_LOCK, vmx = FEATURE_CONTROL_VMX, smx = FEATURE_CONTROL_VMX_IN_SMX;
        uint64_t reg = feature_control_initial(true, true);
        ck_assert(reg == (lock | vmx) && feature_control_allows_vmxon(reg));
        ck_assert(!feature_control_write(&reg, lock | vmx, true) && !feature_control_write(&reg, 0, true));
        reg = feature_control_initial(false, false);
        ck_assert(reg == lock && !feature_control_allows_vmxon(reg) && !feature_control_write(&reg, lock, false));
        reg = feature_control_initial(true, false);
        ck_assert(reg == 0 && !feature_control_allows_vmxon(reg));
        for (unsigned bit = 0; bit < 64; bit++)
                if (!(BIT(bit) & (lock | vmx)))
                        ck_assert(!feature_control_write(&reg, BIT(bit) | vmx, true) && reg == 0);
        ck_assert(!feature_control_write(&reg, smx, true));
        ck_assert(feature_control_write(&reg, vmx, true) && reg == vmx && !feature_control_allows_vmxon(reg));
        ck_assert(feature_control_write(&reg, 0, true) && reg == 0);
        ck_assert(feature_control_write(&reg, lock, true) && !feature_control_allows_vmxon(reg));
        ck_assert(!feature_control_write(&reg, lock | vmx, true) && reg == lock);
}
END_TEST

int main(void)
{
        return RUN_SUITE("features", random_offers_are_exact_subsets, a_guest_reads_what_was_derived, rows_are_sound,
                         every_option_masks, bad_options, like_older_processors, feature_control,
                         cpuid_lists_what_controls_are_about, cr4_of_hidden_features);
}
