/* SPDX-License-Identifier: BSD-2-Clause */
#include "random.h"
#include <stdio.h>
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "ops.h"
#include "ref_memory.h"
#include "vmcs_make.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

#define LATEST 40

static struct rng rng;
static struct {
        const char *name;
        uint64_t a, b;
} latest[LATEST];
static uint64_t logged;

static uint64_t note(const char *name, uint64_t a, uint64_t b)
{
        latest[logged++ % LATEST].name = name;
        latest[(logged - 1) % LATEST].a = a;
        latest[(logged - 1) % LATEST].b = b;
        return a;
}

void random_print_latest(void)
{
        for (uint64_t i = logged > LATEST ? logged - LATEST : 0; i < logged; i++)
                fprintf(stderr, "  %s %#llx %#llx\n", latest[i % LATEST].name, (unsigned long long)latest[i % LATEST].a,
                        (unsigned long long)latest[i % LATEST].b);
}

static unsigned below(unsigned n)
{
        return (unsigned)rng_below(&rng, n);
}

static bool one_in(unsigned n)
{
        return rng_one_in(&rng, n);
}

/* --- VMCSs --- */

static struct ref_vmcs *any_vmcs(void)
{
        /* A few are used most, so that they keep their state for a while; the others take their places now
         * and then. */
        return &ref.vmcs[one_in(3) ? below(VMCSS) : below(4)];
}

static void do_vmptrld(void)
{
        struct ref_vmcs *r = any_vmcs();
        note("VMPTRLD", r->at, r->wild);
        if (r->wild)
                op_make_vmcs(r);
        else
                op_vmptrld(r->at);
}

static void do_vmclear(void)
{
        op_vmclear(note("VMCLEAR", any_vmcs()->at, 0));
}

static void do_vmptrst(void)
{
        op_vmptrst();
}

static void do_bad_pointer(void)
{
        const uint64_t bad[] = { PAGE(P_VMCS) + 8, 1ull << 50, PAGE(P_VMXON),
                                 PAGE(P_NO_VMCS),  ~0ull,      SIZE_4G - PAGE_SIZE };
        const uint64_t at = bad[below(ARRAY_LEN(bad))];
        note("bad pointer", at, 0);
        if (one_in(2))
                op_vmptrld(at);
        else if (at != PAGE(P_NO_VMCS)) /* VMCLEAR may write there */
                op_vmclear(at);
}

static void do_indicator(void)
{
        struct ref_vmcs *r = any_vmcs();
        if (!(ref.caps->proc2.may1 & PROC2_SHADOW))
                return;
        const bool shadow = one_in(2);
        note("shadow-VMCS indicator", r->at, shadow);
        op_set_indicator(r, shadow);
}

static void do_scribble(void)
{
        struct ref_vmcs *r = any_vmcs();
        note("scribble", r->at, 0);
        op_scribble(r);
        op_make_vmcs(r);
}

static void do_own(void)
{
        op_own(note("HC_VMCS_OWN", any_vmcs()->at, 0));
}

static void do_switch(void)
{
        const struct ref_vmcs *c = ref.current && one_in(2) ? ref.current : any_vmcs(), *l = any_vmcs();
        note("HC_VMCS_SWITCH", c->at, l->at);
        op_switch(c->at, l->at);
}

static void do_vmxoff_vmxon(void)
{
        note("VMXOFF, VMXON", 0, 0);
        op_vmxoff();
        if (one_in(2)) {
                op_vmptrld(any_vmcs()->at);
                op_enter(true);
        }
        if (one_in(2))
                op_l1_mov_cr4();
        op_vmxon(PAGE(P_VMXON));
}

static uint64_t any_encoding(void)
{
        const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)below(VMCS_FIELD_COUNT));
        if (one_in(32))
                return rng_any(&rng) >> below(64);
        return f.enc | (one_in(8) && f.width == W_U64);
}

static void do_vmread(void)
{
        op_vmread(note("VMREAD", any_encoding(), 0), one_in(4));
}

static void do_vmwrite_bad(void)
{
        struct vmcs_field_info f;
        const uint64_t enc = any_encoding();
        note("VMWRITE", enc, 0);
        if (!vmcs_field_find(enc, &f) || f.type == TYPE_READ_ONLY || !vmcs_field_exists(&f, ref.caps))
                op_vmwrite(enc, rng_any(&rng), one_in(4));
}

static bool is_usable(void)
{
        return ref.current && !ref.current->wild;
}

static void do_change(void)
{
        struct field_write w[CHANGE_MAX];
        if (!is_usable())
                return;
        const unsigned n = vmcs_change(&rng, ref.caps, &ref.current->v, w);
        for (unsigned i = 0; i < n; i++) {
                note("VMWRITE", w[i].enc, w[i].value);
                op_vmwrite(w[i].enc, w[i].value, one_in(8));
        }
}

/* What keeps the current VMCS from being entered, most often: an event that the state does not take, or a
 * link pointer to a VMCS that has become another kind. */
static void repair(void)
{
        const struct field_write w[] = { { F_entry_intr_info, 0 },
                                         { F_entry_msr_load_count, 0 },
                                         { F_vmcs_link, ~0ull } };
        note("repair", ref.current->at, 0);
        for (unsigned i = 0; i < ARRAY_LEN(w); i++)
                op_vmwrite(w[i].enc, w[i].value, false);
        if (!ref_would_enter() && !(ref.current->word & VMCS_REVISION_SHADOW))
                op_make_vmcs(ref.current);
}

static void do_enter(void)
{
        if (!is_usable()) {
                do_vmptrld();
                return;
        }
        if (!ref_would_enter() && !one_in(4))
                repair();
        const bool launch = one_in(50) ? one_in(2) : !ref.current->launched;
        note(launch ? "VMLAUNCH" : "VMRESUME", ref.current->at, 0);
        op_enter(launch);
        if (ref.in_l2 && cpu.delivered && !one_in(3))
                op_l2_deliver((unsigned)note("delivery", below(WINDOW), cpu.delivered));
}

/* Fields that may hold anything legal without the tests' guests stumbling over it before they exit. */
static bool is_harmless(const struct vmcs_field_info *f)
{
        return f->type == TYPE_GUEST && f->id != FI_guest_cr0 && f->id != FI_guest_cr3 && f->id != FI_guest_cr4 &&
               f->id != FI_guest_efer && f->id != FI_guest_cs_ar && f->id != FI_vmcs_link &&
               f->id != FI_guest_activity;
}

/* A VM entry with one field that may be wrong. */
static void do_spoilt_entry(void)
{
        struct field_write w;
        struct vmcs_field_info f;
        if (!is_usable() || (ref.current->word & VMCS_REVISION_SHADOW) || !ref_would_enter())
                return;
        struct ref_vmcs *const r = ref.current;
        vmcs_spoil(&rng, ref.caps, &r->v, &w);
        MODEL_REQUIRE(vmcs_field_find(w.enc, &f), "a field of the table");
        const uint64_t old = vmcs12_read(&r->v, &f);
        note("spoilt field", w.enc, w.value);
        op_vmwrite(w.enc, w.value, false);
        const bool enters = ref_would_enter();
        if (!enters || is_harmless(&f))
                op_enter(!r->launched);
        if (ref.in_l2)
                op_l2_insn(EXIT_VMCALL);
        if (!enters && one_in(2))
                op_enter(!r->launched); /* it fails again, though nothing was written */
        op_vmwrite(w.enc, old, false);
}

/* --- tables --- */

static uint64_t any_frame(void)
{
        static const unsigned large[] = { P_DATA, P_DATA_2M, P_DATA_6M };
        return one_in(4) ? PAGE(large[1 + below(2)] + below(8)) : PAGE(P_DATA + below(32));
}

static uint64_t any_rights(void)
{
        return one_in(6) ? below(8) : EPTE_RWX;
}

static void do_ept_pte(void)
{
        const uint64_t type = one_in(50) ? below(8) : MEMTYPE_WB;
        const unsigned pt = below(EPT_PTS), index = below(8);
        const uint64_t e = any_frame() | any_rights() | PUT(0, EPTE_MEMTYPE, type) | (one_in(2) ? EPTE_D | EPTE_A : 0);
        if (ref_memory_full())
                return;
        note("EPT PTE", pt << 8 | index, e);
        op_ept_pte(pt, index, e);
}

static void do_ept_pde(void)
{
        static const unsigned large[] = { P_DATA, P_DATA_2M, P_DATA_6M };
        const unsigned root = below(ROOTS), region = below(2);
        uint64_t e = PAGE(P_EPT_PT + below(EPT_PTS)) | any_rights();
        if (one_in(4))
                e = PAGE(large[below(3)]) | any_rights() | EPTE_LARGE | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB);
        if (ref_memory_full())
                return;
        note("EPT PDE", root << 8 | region, e);
        op_ept_pde(root, region, e);
}

static void do_invept(void)
{
        const bool full = ref_memory_full();
        const uint64_t type = full || one_in(4) ? INVEPT_ALL : INVEPT_SINGLE;
        const unsigned root = below(ROOTS);
        const bool ad = one_in(2) && (ref.caps->ept_vpid & EPTCAP_AD);
        note("INVEPT", type, root << 4 | ad);
        op_invept(type, eptp_of(root, ad));
        if (full)
                op_invvpid(INVVPID_ALL, 0, 0);
}

static void do_bad_invalidation(void)
{
        note("bad INVEPT, INVVPID", 0, 0);
        op_invept(below(5), one_in(2) ? rng_any(&rng) : eptp_of(0, false));
        op_invvpid(below(6), one_in(2) ? below(2) : rng_any(&rng), one_in(2) ? rng_any(&rng) : 0);
}

static void do_invvpid(void)
{
        const uint64_t type = below(4), vpid = 1 + below(VPIDS - 1);
        note("INVVPID", type, vpid);
        op_invvpid(type, vpid, L2_WINDOW_AT + PAGE(below(WINDOW)));
}

static void do_l2_map(void)
{
        const unsigned tree = below(L2_TREES), window = below(WINDOW), page = below(L2_PAGES);
        if (ref_memory_full())
                return;
        note("page table of level 2", tree << 8 | window, page);
        op_l2_map(tree, window, page);
}

static void do_l1_map(void)
{
        const unsigned window = below(WINDOW), page = below(32);
        note("page table of level 1", window, page);
        op_l1_map(window, page);
}

static void do_l1_access(void)
{
        op_l1_access((unsigned)note("access of level 1", below(WINDOW), 0), one_in(2));
}

static void do_l1_invlpg(void)
{
        op_l1_invlpg((unsigned)note("INVLPG of level 1", below(WINDOW), 0));
}

static void do_l1_mov_cr3(void)
{
        note("MOV to CR3 of level 1", 0, 0);
        op_l1_mov_cr3();
}

/* --- level 2 --- */

static void do_l2_access(void)
{
        const bool write = one_in(2);
        op_l2_access((unsigned)note("access of level 2", below(WINDOW), write), write);
}

static void do_l2_insn(void)
{
        static const uint32_t reasons[] = { EXIT_CPUID, EXIT_VMCALL, EXIT_HLT, EXIT_RDTSC, EXIT_PAUSE, EXIT_WBINVD };
        op_l2_insn((uint32_t)note("level 2: reason", reasons[below(ARRAY_LEN(reasons))], 0));
}

static void do_l2_invlpg(void)
{
        op_l2_invlpg((unsigned)note("INVLPG of level 2", below(WINDOW), 0));
}

static void do_l2_mov_cr3(void)
{
        op_l2_mov_cr3((unsigned)note("MOV to CR3 of level 2", below(L2_TREES), 0));
}

/* Not what would make a VMCS of level 1 wrong: values as they are, and fields that may hold anything. */
static void do_l2_field(void)
{
        static const uint32_t free[] = { F_guest_rip, F_tsc_offset, F_exception_bitmap, F_guest_smbase, F_host_rsp };
        const uint64_t enc = one_in(2) ? any_encoding() : free[below(ARRAY_LEN(free))];
        note("VMREAD or VMWRITE of level 2", enc, 0);
        if (one_in(2))
                op_l2_vmread(enc);
        else
                op_l2_vmwrite(free[below(ARRAY_LEN(free))], rng_below(&rng, 1 << 30));
}

static void do_l2_timer(void)
{
        note("preemption timer", 0, 0);
        op_l2_timer();
}

static void do_l1_timer(void)
{
        static const uint32_t periods[] = { 0, 3000, 100000, 1u << 30 };
        op_l1_timer((uint32_t)note("APIC timer", periods[below(ARRAY_LEN(periods))], 0));
}

static void do_l2_vmfunc(void)
{
        op_l2_vmfunc((uint32_t)note("VMFUNC of level 2", below(ROOTS + 1), 0));
}

static void do_l2_wrmsr(void)
{
        static const struct {
                uint32_t msr;
                uint64_t value[2];
        } rows[] = { { MSR_PAT, { 0x0606060606060606, 0x0007040600070406 } },
                     { MSR_SYSENTER_EIP, { 0x1234, 0x777000 } },
                     { MSR_FS_BASE, { 0x1000, 0x55550000 } },
                     { MSR_EFER, { EFER_LME | EFER_LMA | EFER_NXE, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE } } };
        const unsigned row = below(ARRAY_LEN(rows));
        op_l2_wrmsr((uint32_t)note("WRMSR of level 2", rows[row].msr, 0), rows[row].value[below(2)]);
}

static void do_interrupt(void)
{
        op_external_interrupt();
}

static void do_cpuid(void)
{
        op_cpuid();
}

/* --- choice --- */

struct choice {
        unsigned weight;
        void (*run)(void);
};

static const struct choice level1[] = {
        { 160, do_enter },      { 120, do_change },      { 80, do_vmread },          { 40, do_vmptrld },
        { 20, do_vmclear },     { 5, do_vmptrst },       { 10, do_bad_pointer },     { 8, do_indicator },
        { 1, do_scribble },     { 3, do_own },           { 20, do_switch },          { 2, do_vmxoff_vmxon },
        { 10, do_vmwrite_bad }, { 30, do_spoilt_entry }, { 60, do_ept_pte },         { 20, do_ept_pde },
        { 30, do_invept },      { 20, do_invvpid },      { 5, do_bad_invalidation }, { 30, do_l2_map },
        { 20, do_l1_map },      { 40, do_l1_access },    { 10, do_l1_invlpg },       { 5, do_l1_mov_cr3 },
        { 5, do_cpuid },        { 2, do_l1_timer },      { 5, do_interrupt },
};
static const struct choice level2[] = {
        { 200, do_l2_access }, { 15, do_l2_insn }, { 15, do_l2_invlpg }, { 15, do_l2_mov_cr3 },
        { 10, do_l2_field },   { 8, do_l2_timer }, { 10, do_l2_wrmsr },  { 10, do_l2_vmfunc },
        { 5, do_interrupt },   { 10, do_ept_pte }, { 5, do_ept_pde },    { 15, do_l2_map },
};

static void choose(const struct choice *c, unsigned n)
{
        unsigned sum = 0;
        for (unsigned i = 0; i < n; i++)
                sum += c[i].weight;
        unsigned at = below(sum);
        for (unsigned i = 0; i < n; i++) {
                if (at < c[i].weight) {
                        c[i].run();
                        return;
                }
                at -= c[i].weight;
        }
}

/* Random bits; few fields exit in the beginning. */
static void make_bitmaps(void)
{
        for (unsigned i = 0; i < PAGE_SIZE; i++) {
                hypervisor_ram()[PAGE(P_VMREAD) + i] = (uint8_t)(rng_any(&rng) & rng_any(&rng));
                hypervisor_ram()[PAGE(P_VMWRITE) + i] = (uint8_t)(rng_any(&rng) & rng_any(&rng));
        }
}

static void run(const struct model_features *has, uint64_t seed, uint64_t operations, enum sabotage sabotage)
{
        rng = rng_seeded(seed);
        logged = 0;
        ops_start(has, seed ^ 0x5eed);
        make_bitmaps();
        cpu.sabotage = sabotage;
        while (ops_count() < operations) {
                if (ref.in_l2)
                        choose(level2, ARRAY_LEN(level2));
                else
                        choose(level1, ARRAY_LEN(level1));
        }
}

bool random_run(const struct model_features *has, uint64_t seed, uint64_t operations, enum sabotage sabotage)
{
        jmp_buf back;
        const bool fine = !setjmp(back);
        cpu.on_fault = &back;
        if (fine)
                run(has, seed, operations, sabotage);
        cpu.on_fault = NULL;
        ops_stop();
        return fine;
}
