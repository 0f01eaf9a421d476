/* SPDX-License-Identifier: BSD-2-Clause */
/* Every row of src/nested/checks.def has vectors in tests/vectors/checks_*.def that fail by exactly this row,
 * and vectors next to them that pass the whole area. A row without either is a failure of this suite. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/x86.h"
#include "vmx/epte.h"
#include "nested/apicv.h"
#include "nested/checks.h"

#define RAM_BYTES (64 * PAGE_SIZE)
#define NOT_RAM   0x80000000ull
#define REVISION  0x1234u
#define AR_LDT_OK (2u | AR_P)

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static const struct guest_mem mem = { .ram = ram, .low_bytes = RAM_BYTES };

/* A processor that has everything, with the fixed bits of a real one. */
static const struct vmx_caps all_caps = {
        .basic = REVISION,
        .pin = { 0x16, UINT32_MAX },
        .proc = { 0x04006172, UINT32_MAX },
        .proc2 = { 0, UINT32_MAX },
        .exit = { 0x00036dfb, UINT32_MAX },
        .entry = { 0x000011fb, UINT32_MAX },
        .misc = MISC_HLT | MISC_SHUTDOWN | MISC_WAIT_SIPI | 4ull << 16,
        .cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
        .cr0_fixed1 = UINT32_MAX,
        .cr4_fixed0 = CR4_VMXE,
        .cr4_fixed1 = 0x00f727ff,
        .ept_vpid = EPTCAP_WALK4 | EPTCAP_UC | EPTCAP_WB | EPTCAP_AD,
        .vmfunc = VMFUNC_EPTP_SWITCHING,
        .maxphyaddr = 40,
        .linear_bits = 48,
        .efer_mask = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE,
        .debugctl_mask = DEBUGCTL_LBR | DEBUGCTL_BTF,
        .perf_global_mask = BITS(34, 32) | BITS(3, 0),
};

/* A 64-bit host with a 64-bit guest in ring 0. */
static const struct vmcs12 plain = {
        .pin_ctls = 0x16,
        .proc_ctls = 0x04006172,
        .exit_ctls = 0x00036dfb | EXIT_CTL_HOST_64,
        .entry_ctls = 0x000011fb | ENTRY_CTL_GUEST_64,
        .vmcs_link = ~0ull,
        .host_cr0 = CR0_PE | CR0_NE | CR0_PG,
        .host_cr4 = CR4_VMXE | CR4_PAE,
        .host_efer = EFER_LME | EFER_LMA,
        .host_cs_sel = 8,
        .host_tr_sel = 0x18,
        .guest_cr0 = CR0_PE | CR0_NE | CR0_PG,
        .guest_cr4 = CR4_VMXE | CR4_PAE,
        .guest_efer = EFER_LME | EFER_LMA,
        .guest_rflags = RFLAGS_FIXED1,
#define SEG(s, selector, rights)                                                                             \
        .guest_##s##_sel = (selector), .guest_##s##_limit = UINT32_MAX, .guest_##s##_ar = (rights)
        SEG(cs, 0x08, 0xa09b),
        SEG(ss, 0x10, 0xc093),
        SEG(ds, 0x10, 0xc093),
        SEG(es, 0x10, 0xc093),
        SEG(fs, 0x10, 0xc093),
        SEG(gs, 0x10, 0xc093),
#undef SEG
        .guest_tr_limit = 0x67,
        .guest_tr_ar = 11 | AR_P,
        .guest_ldtr_ar = AR_UNUSABLE,
};

static void use_proc2(struct vmcs12 *v, uint32_t ctls)
{
        v->proc_ctls |= PROC_SECONDARY;
        v->proc2_ctls |= ctls;
        if (ctls & PROC2_VPID)
                v->vpid = 1;
}

static void use_ept(struct vmcs12 *v)
{
        use_proc2(v, PROC2_EPT);
        v->eptp = 0x5000 | PUT(0, EPTP_MEMTYPE, MEMTYPE_WB) | PUT(0, EPTP_WALK, EPTP_WALK4);
}

static void use_unrestricted(struct vmcs12 *v)
{
        use_ept(v);
        use_proc2(v, PROC2_UNRESTRICTED);
}

static void use_vid(struct vmcs12 *v)
{
        v->proc_ctls |= PROC_TPR_SHADOW;
        v->pin_ctls |= PIN_EXT_INTR;
        use_proc2(v, PROC2_VID);
}

static void use_pi(struct vmcs12 *v)
{
        use_vid(v);
        v->pin_ctls |= PIN_POSTED_INTR;
        v->exit_ctls |= EXIT_CTL_ACK_INTR;
}

static void use_host_32(struct vmcs12 *v, struct check_env *e)
{
        v->exit_ctls &= ~EXIT_CTL_HOST_64;
        v->entry_ctls &= ~ENTRY_CTL_GUEST_64;
        v->host_ss_sel = 0x10;
        e->lma = false;
}

static void use_guest_32(struct vmcs12 *v)
{
        v->entry_ctls &= ~ENTRY_CTL_GUEST_64;
        v->guest_cr4 &= ~CR4_PAE;
        v->guest_cs_ar = 0xc09b;
}

static void use_pae(struct vmcs12 *v)
{
        use_guest_32(v);
        v->guest_cr4 |= CR4_PAE;
}

static void use_real_mode(struct vmcs12 *v)
{
        use_unrestricted(v);
        use_guest_32(v);
        v->guest_cr0 &= ~(CR0_PE | CR0_PG);
        v->guest_cs_ar = 0x93;
        v->guest_cs_limit = 0xffff;
}

static void use_v8086(struct vmcs12 *v)
{
        use_guest_32(v);
        v->guest_rflags |= RFLAGS_VM;
#define SEG(s)                                                                                               \
        v->guest_##s##_sel = 0x123;                                                                          \
        v->guest_##s##_base = 0x1230;                                                                        \
        v->guest_##s##_limit = 0xffff;                                                                       \
        v->guest_##s##_ar = 0xf3;
        SEG(cs) SEG(ss) SEG(ds) SEG(es) SEG(fs) SEG(gs)
#undef SEG
}

static void use_ring(struct vmcs12 *v, unsigned ring)
{
        v->guest_cs_sel = (uint16_t)(0x08 | ring);
        v->guest_ss_sel = (uint16_t)(0x10 | ring);
        v->guest_cs_ar = (uint32_t)PUT(v->guest_cs_ar, AR_DPL, ring);
        v->guest_ss_ar = (uint32_t)PUT(v->guest_ss_ar, AR_DPL, ring);
}

static void inject(struct vmcs12 *v, enum intr_type type, unsigned vector)
{
        v->entry_intr_info = (uint32_t)(INTR_VALID | PUT(0, INTR_TYPE, type) | vector);
        v->entry_insn_len = 1;
}

static void inject_error(struct vmcs12 *v, enum intr_type type, unsigned vector)
{
        inject(v, type, vector);
        v->entry_intr_info |= INTR_ERROR_VALID;
}

static void use_link(struct vmcs12 *v, uint32_t revision_flip)
{
        const uint32_t word = REVISION ^ revision_flip;
        v->vmcs_link = 0x9000;
        memcpy(ram + 0x9000, &word, sizeof(word));
}

/* Each vector is a statement over the case, and what has to come of it. */
enum outcome { FAILS, PASSES };

/* Vectors mix the widths of fields and masks; every constant fits. */
#pragma GCC diagnostic ignored "-Wconversion"

enum { FIRST_VECTOR = __COUNTER__ + 1 };

static void make(int number, struct vmcs12 *v, struct vmx_caps *c, struct check_env *e)
{
        switch (number) {
#define VECTOR(id, outcome, ...)                                                                             \
        case __COUNTER__ - FIRST_VECTOR:                                                                     \
                __VA_ARGS__;                                                                                 \
                break;
#include "../vectors/checks_controls.def"
#include "../vectors/checks_host.def"
#include "../vectors/checks_guest.def"
#undef VECTOR
        }
}

static const struct {
        enum check_id id;
        enum outcome outcome;
} vectors[] = {
#define VECTOR(id, outcome, ...) { CHK_##id, outcome },
#include "../vectors/checks_controls.def"
#include "../vectors/checks_host.def"
#include "../vectors/checks_guest.def"
#undef VECTOR
};

/* What the table says about the kind of each row. */
static const struct {
        enum check_kind kind;
        uint32_t code;
        struct check_fail (*area)(const struct vmcs12 *, const struct check_env *);
} rows[CHECK_COUNT] = {
#define ENTRY_CONTROLS          CHECK_VM_FAIL, 7, check_controls
#define ENTRY_HOST_STATE        CHECK_VM_FAIL, 8, check_host
#define GUEST                   CHECK_ENTRY_FAIL, 0, check_guest
#define GUEST_PDPTE             CHECK_ENTRY_FAIL, 2, check_guest
#define GUEST_LINK              CHECK_ENTRY_FAIL, 4, check_guest
#define CHECK(id, how, sdm, ok) [CHK_##id] = { how },
#include "nested/checks.def"
#undef CHECK
};

static struct check_fail run(size_t i)
{
        struct vmcs12 v = plain;
        struct vmx_caps c = all_caps;
        struct check_env e = { .caps = &c, .mem = &mem, .current = L1GPA(0x3000), .lma = true };
        memset(ram, 0, sizeof(ram));
        make((int)i, &v, &c, &e);
        return rows[vectors[i].id].area(&v, &e);
}

START_TEST(every_vector)
{
        for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
                const struct check_fail got = run(i);
                const enum check_id id = vectors[i].id;
                if (vectors[i].outcome == PASSES) {
                        ck_assert_msg(got.id == CHK_NONE && got.kind == CHECK_PASSED,
                                      "vector %zu of %s: failed %s", i, check_name(id), check_name(got.id));
                        continue;
                }
                ck_assert_msg(got.id == id, "vector %zu of %s: failed %s", i, check_name(id),
                              check_name(got.id));
                ck_assert_uint_eq(got.kind, rows[id].kind);
                ck_assert_uint_eq(got.code, rows[id].code);
        }
}
END_TEST

START_TEST(every_row_has_vectors)
{
        bool has[CHECK_COUNT][2] = { { false } };
        for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
                has[vectors[i].id][vectors[i].outcome] = true;
        for (unsigned id = CHK_NONE + 1; id < CHECK_COUNT; id++) {
                ck_assert_msg(has[id][FAILS], "%s has no failing vector", check_name(id));
                ck_assert_msg(has[id][PASSES], "%s has no passing vector", check_name(id));
        }
}
END_TEST

START_TEST(plain_case_passes)
{
        const struct vmx_caps c = all_caps;
        const struct check_env e = { .caps = &c, .mem = &mem, .current = L1GPA(0x3000), .lma = true };
        ck_assert_uint_eq(check_controls(&plain, &e).kind, CHECK_PASSED);
        ck_assert_uint_eq(check_host(&plain, &e).kind, CHECK_PASSED);
        ck_assert_uint_eq(check_guest(&plain, &e).kind, CHECK_PASSED);
}
END_TEST

/* What a guest hypervisor changes unseen, in VMCS or memory, is found without looking at the rest. */
START_TEST(tpr_rows_alone)
{
        const struct vmx_caps c = all_caps;
        const struct check_env e = { .caps = &c, .mem = &mem };
        struct vmcs12 v = { .proc_ctls = PROC_TPR_SHADOW, .virtual_apic_page = 0x5000, .tpr_threshold = 5 };
        uint8_t *tpr = (uint8_t *)guest_mem_at(&mem, L1GPA(0x5000 + VAPIC_TPR), 1);
        *tpr = 0x50;
        ck_assert_uint_eq(check_tpr(&v, &e).id, CHK_NONE);
        *tpr = 0x4f;
        ck_assert_uint_eq(check_tpr(&v, &e).id, CHK_CTL_TPR_THRESHOLD_VTPR);
        v.tpr_threshold = 0x14;
        ck_assert_uint_eq(check_tpr(&v, &e).id, CHK_CTL_TPR_THRESHOLD_RESERVED);
        *tpr = 0;
}
END_TEST

START_TEST(rows_have_names)
{
        ck_assert_str_eq(check_name(CHK_CTL_PIN_RESERVED), "CTL_PIN_RESERVED");
        ck_assert_str_eq(check_sdm(CHK_CTL_PIN_RESERVED), "VM-Execution Control Fields");
        ck_assert_str_eq(check_name(CHECK_COUNT), "?");
        ck_assert_str_eq(check_sdm(CHECK_COUNT), "?");
        for (unsigned id = CHK_NONE + 1; id < CHECK_COUNT; id++)
                ck_assert_uint_gt(strlen(check_sdm(id)), 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("checks");
        TCase *t = tcase_create("checks");
        tcase_add_test(t, plain_case_passes);
        tcase_add_test(t, every_vector);
        tcase_add_test(t, every_row_has_vectors);
        tcase_add_test(t, tpr_rows_alone);
        tcase_add_test(t, rows_have_names);
        suite_add_tcase(s, t);
        return suite_run(s);
}
