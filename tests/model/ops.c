/* SPDX-License-Identifier: BSD-2-Clause */
/* What level 1 does. */
#include "ops.h"
#include <string.h>
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/hypercall.h"
#include "ops_state.h"
#include "ref_memory.h"
#include "vmcs_make.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

static struct run *run;
static uint64_t count;

uint64_t ops_count(void)
{
        return count;
}

void op_begins(void)
{
        count++;
}

void agree(const struct expect *e, enum outcome o, const char *what)
{
        MODEL_REQUIRE(o == e->outcome, "%s: outcome %d instead of %d (event %#x, rip %#llx)", what, o, e->outcome,
                      cpu.delivered, (unsigned long long)guest_rip());
        MODEL_REQUIRE(o != DONE || guest_vmx_flags() == e->flags, "%s: flags %d instead of %d", what, guest_vmx_flags(),
                      e->flags);
        MODEL_REQUIRE(o != FAULTED || GET(cpu.delivered, INTR_VECTOR) == e->vector, "%s: vector %u instead of %u", what,
                      (unsigned)GET(cpu.delivered, INTR_VECTOR), e->vector);
}

uint64_t *l1_word(uint64_t at)
{
        return (uint64_t *)(hypervisor_ram() + at);
}

/* --- start --- */

static void link_table(unsigned page, unsigned index, uint64_t entry)
{
        l1_word(PAGE(page))[index] = entry;
}

#define PT_TABLE 0x63 /* P, W, A, D; no accessed or dirty flag is ever to be set */
#define PT_LARGE 0xe3

static void make_tables(void)
{
        link_table(P_L1_PML4, 0, PAGE(P_L1_PDPT) | PT_TABLE);
        link_table(P_L1_PDPT, 0, PAGE(P_L1_PD) | PT_TABLE);
        link_table(P_L1_PDPT, 1, PAGE(P_L1_PD_WIN) | PT_TABLE);
        link_table(P_L1_PD_WIN, 0, PAGE(P_L1_PT_WIN) | PT_TABLE);
        for (unsigned i = 0; i < GUEST_RAM_BYTES / SIZE_2M; i++)
                link_table(P_L1_PD, i, i * SIZE_2M | PT_LARGE);
        for (unsigned i = 0; i < WINDOW; i++)
                link_table(P_L1_PT_WIN, i, PAGE(i) | PT_TABLE);
        for (unsigned t = 0; t < L2_TREES; t++) {
                for (unsigned level = 0; level < 3; level++)
                        link_table(P_L2_TREE + 4 * t + level, 0, PAGE(P_L2_TREE + 4 * t + level + 1) | PT_TABLE);
                for (unsigned i = 0; i < WINDOW; i++)
                        link_table(P_L2_TREE + 4 * t + 3, i, l2_page_at(i + t * WINDOW) | PT_TABLE);
        }
        for (unsigned r = 0; r < ROOTS; r++) {
                const unsigned p = P_EPT_ROOT + 3 * r;
                link_table(p, 0, PAGE(p + 1) | EPTE_RWX);
                link_table(p + 1, 0, PAGE(p + 2) | EPTE_RWX);
                for (unsigned region = 0; region < 2; region++)
                        link_table(p + 2, region, PAGE(P_EPT_PT + (2 * r + region) % EPT_PTS) | EPTE_RWX);
                link_table(p + 2, P_L2_TREE / 512, PAGE(P_EPT_FIXED) | EPTE_RWX);
        }
        for (unsigned i = 0; i < 4 * L2_TREES; i++)
                link_table(P_EPT_FIXED, i, PAGE(P_L2_TREE + i) | EPTE_RWX | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB));
        for (unsigned pt = 0; pt < EPT_PTS; pt++)
                for (unsigned i = 0; i < 8; i++)
                        link_table(P_EPT_PT + pt, i, PAGE((pt + i) % 32) | EPTE_RWX | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB));
}

static void make_pages(void)
{
        for (unsigned i = 0; i < VMCSS; i++)
                *l1_word(PAGE(P_VMCS + i)) = CASCADE_VMCS12_REVISION;
        *l1_word(PAGE(P_VMXON)) = CASCADE_VMCS12_REVISION;
        *l1_word(PAGE(P_NO_VMCS)) = 0x777;
        for (unsigned i = 0; i < ROOTS; i++)
                l1_word(PAGE(P_EPTP_LIST))[i] = eptp_of(i, false);
        /* STAR, one whose value is in the VMCS, one that is barred. */
        const uint64_t entries[] = { MSR_STAR, 0, MSR_SYSENTER_ESP, MSR_LIST_ESP, MSR_X2APIC_FIRST + 8, 0 };
        memcpy(l1_word(PAGE(P_MSR_LIST)), entries, sizeof(entries));
}

void ops_start(const struct model_features *has, uint64_t seed)
{
        count = 0;
        run = hypervisor_start(has, seed, 0x10000, PAGE(P_L1_PML4));
        make_tables();
        make_pages();
        ref_reset(&run->nested.caps12, &run->v.mem);
        ref_memory_reset();
        MODEL_REQUIRE(guest_mov_to_cr(0, CR0_PG | CR0_PE | CR0_ET | CR0_WP | CR0_NE) == DONE, "CR0.NE");
        MODEL_REQUIRE(guest_mov_to_cr(4, CR4_PAE | CR4_VMXE) == DONE, "CR4.VMXE");
        op_vmxon(PAGE(P_VMXON));
}

void ops_stop(void)
{
        hypervisor_free(run);
        run = NULL;
}

/* --- instructions with a pointer --- */

/* Puts the operand where the instruction reads it. */
static uint64_t operand(uint64_t first, uint64_t second)
{
        l1_word(PAGE(P_OPERAND))[0] = first;
        l1_word(PAGE(P_OPERAND))[1] = second;
        return PAGE(P_OPERAND);
}

static void by_pointer(uint32_t reason, uint64_t at, struct expect e, const char *what)
{
        struct vmx_insn i = { .reason = reason, .at = operand(at, 0) };
        op_begins();
        agree(&e, guest_vmx(&i), what);
}

void op_vmxon(uint64_t at)
{
        by_pointer(EXIT_VMXON, at, ref_vmxon(at), "VMXON");
}

void op_vmclear(uint64_t at)
{
        by_pointer(EXIT_VMCLEAR, at, ref_vmclear(at), "VMCLEAR");
}

void op_vmptrld(uint64_t at)
{
        by_pointer(EXIT_VMPTRLD, at, ref_vmptrld(at), "VMPTRLD");
}

void op_vmxoff(void)
{
        const struct expect e = ref_vmxoff();
        op_begins();
        agree(&e, guest_insn(EXIT_VMXOFF), "VMXOFF");
}

void op_vmptrst(void)
{
        uint64_t at;
        struct vmx_insn i = { .reason = EXIT_VMPTRST, .at = operand(1, 1) };
        const struct expect e = ref_vmptrst(&at);
        op_begins();
        agree(&e, guest_vmx(&i), "VMPTRST");
        MODEL_REQUIRE(e.outcome != DONE || *l1_word(PAGE(P_OPERAND)) == at, "VMPTRST stored %#llx instead of %#llx",
                      (unsigned long long)*l1_word(PAGE(P_OPERAND)), (unsigned long long)at);
}

void op_vmread(uint64_t enc, bool memory)
{
        uint64_t want = 0;
        bool known;
        struct vmx_insn i = { .reason = EXIT_VMREAD, .memory = memory, .at = operand(0, 0), .reg2 = enc };
        const struct expect e = ref_vmread(enc, &want, &known);
        op_begins();
        agree(&e, guest_vmx(&i), "VMREAD");
        const uint64_t got = memory ? *l1_word(PAGE(P_OPERAND)) : i.value;
        MODEL_REQUIRE(!known || got == want, "VMREAD of %s (%#llx): %#llx instead of %#llx", vmcs_field_name(enc),
                      (unsigned long long)enc, (unsigned long long)got, (unsigned long long)want);
}

void op_vmwrite(uint64_t enc, uint64_t value, bool memory)
{
        struct vmx_insn i = {
                .reason = EXIT_VMWRITE, .memory = memory, .at = operand(value, 0), .reg2 = enc, .value = value
        };
        const struct expect e = ref_vmwrite(enc, value);
        op_begins();
        agree(&e, guest_vmx(&i), "VMWRITE");
}

void op_invept(uint64_t type, uint64_t eptp)
{
        struct vmx_insn i = { .reason = EXIT_INVEPT, .at = operand(eptp, 0), .reg2 = type };
        const struct expect e = ref_invept(type, eptp, 0);
        op_begins();
        agree(&e, guest_vmx(&i), "INVEPT");
        if (e.outcome == DONE && e.flags == VM_SUCCEED)
                ref_invalidate_ept(type, eptp);
}

void op_invvpid(uint64_t type, uint64_t vpid, uint64_t linear)
{
        struct vmx_insn i = { .reason = EXIT_INVVPID, .at = operand(vpid, linear), .reg2 = type };
        const struct expect e = ref_invvpid(type, vpid, linear);
        op_begins();
        agree(&e, guest_vmx(&i), "INVVPID");
        if (e.outcome == DONE && e.flags == VM_SUCCEED)
                ref_invalidate_vpid(type, (uint16_t)vpid, linear);
}

/* --- hypercalls --- */

void op_own(uint64_t at)
{
        uint64_t got;
        const bool ok = ref_own(at);
        op_begins();
        MODEL_REQUIRE(guest_hypercall(HC_VMCS_OWN, at, 3, &got) == DONE && got == (ok ? HC_OK : HC_BAD), "HC_VMCS_OWN");
}

void op_switch(uint64_t clear, uint64_t load)
{
        uint64_t got;
        const bool ok = ref_switch(clear, load);
        op_begins();
        MODEL_REQUIRE(guest_hypercall(HC_VMCS_SWITCH, clear, load, &got) == DONE && got == (ok ? HC_OK : HC_BAD),
                      "HC_VMCS_SWITCH");
}

void op_cpuid(void)
{
        op_begins();
        MODEL_REQUIRE(guest_insn(EXIT_CPUID) == DONE, "CPUID");
}

void op_l1_timer(uint32_t period)
{
        const uint64_t base = 0xfee00000 | BIT(8) | APICBASE_EN | APICBASE_EXTD;
        const struct {
                uint32_t msr;
                uint64_t value;
        } writes[] = { { MSR_APIC_BASE, base },
                       { MSR_X2APIC_FIRST + LAPIC_LVT + LVT_TIMER, BIT(16) | BIT(17) | 0xe0 }, /* masked, periodic */
                       { MSR_X2APIC_FIRST + LAPIC_TIMER_DIVIDE, 0xb },                         /* by 1 */
                       { MSR_X2APIC_FIRST + LAPIC_TIMER_INITIAL, period } };
        op_begins();
        for (size_t i = 0; i < ARRAY_LEN(writes); i++)
                MODEL_REQUIRE(guest_write_msr(writes[i].msr, writes[i].value) == DONE, "WRMSR of %#x", writes[i].msr);
}

/* --- VM entry --- */

/* What stays of a VM entry that failed: nothing, unless guest state was loaded already. */
static struct model_msrs after_failed_entry(const struct model_msrs *l1)
{
        const struct vmcs12 *v = &ref.current->v;
        struct model_msrs m = *l1;
        if (GET(v->exit_reason, EXIT_REASON_BASIC) != EXIT_ENTRY_MSR_LOAD)
                return m;
        if (v->entry_ctls & ENTRY_CTL_LOAD_EFER)
                m.efer = v->guest_efer;
        if (v->entry_ctls & ENTRY_CTL_LOAD_PAT)
                m.pat = v->guest_pat;
        return m;
}

void op_enter(bool launch)
{
        struct vmx_insn i = { .reason = launch ? EXIT_VMLAUNCH : EXIT_VMRESUME };
        const struct expect e = ref_enter(launch);
        const struct model_msrs l1 = cpu.now;
        op_begins();
        agree(&e, guest_vmx(&i), launch ? "VMLAUNCH" : "VMRESUME");
        if (e.outcome != LEFT)
                return;
        if (ref.in_l2) {
                check_l2_entered(&l1);
                ref_transition();
                ref_tick_l2();
        } else {
                const struct model_msrs m = after_failed_entry(&l1);
                check_l1_after_exit(&m);
        }
}

/* --- VMCSs in memory --- */

void op_set_indicator(struct ref_vmcs *r, bool shadow)
{
        op_vmclear(r->at);
        r->word = CASCADE_VMCS12_REVISION | (shadow ? VMCS_REVISION_SHADOW : 0);
        *(uint32_t *)l1_word(r->at) = r->word;
}

void op_scribble(struct ref_vmcs *r)
{
        op_begins();
        for (unsigned i = 1; i < PAGE_SIZE / 8; i++)
                l1_word(r->at)[i] = rng_any(&cpu.rng);
        ref_forget(r);
}

/* --- memory of level 1 --- */

static uint64_t page_of(uint64_t hpa)
{
        return (hpa - (uint64_t)hypervisor_ram()) / PAGE_SIZE;
}

void op_l1_access(unsigned window, bool write)
{
        uint64_t hpa;
        op_begins();
        ref_tick_l1();
        MODEL_REQUIRE(guest_access(L1_WINDOW_AT + PAGE(window), write, &hpa) == DONE, "an access of level 1 exits");
        MODEL_REQUIRE(ref_may_reach_l1(window, page_of(hpa)), "level 1 reached page %llu by page %u of its window",
                      (unsigned long long)page_of(hpa), window);
}

void op_l1_map(unsigned window, unsigned data_page)
{
        op_begins();
        link_table(P_L1_PT_WIN, window, PAGE(data_page) | PT_TABLE);
}

void op_l1_invlpg(unsigned window)
{
        op_begins();
        MODEL_REQUIRE(guest_invlpg(L1_WINDOW_AT + PAGE(window)) == DONE, "INVLPG");
        ref_invlpg_l1(L1_WINDOW_AT + PAGE(window));
}

void op_l1_mov_cr3(void)
{
        op_begins();
        MODEL_REQUIRE(guest_mov_to_cr3(PAGE(P_L1_PML4)) == DONE, "MOV to CR3");
        ref_mov_cr3_l1();
}

/* SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches": a change of PGE invalidates
 * everything. */
void op_l1_mov_cr4(void)
{
        op_begins();
        MODEL_REQUIRE(guest_mov_to_cr(4, CR4_PAE | CR4_PGE) == DONE, "MOV to CR4");
        ref_mov_cr3_l1();
        ref_tick_l1();
        op_l1_access(0, false);
        MODEL_REQUIRE(guest_mov_to_cr(4, CR4_PAE | CR4_VMXE) == DONE, "MOV to CR4");
        ref_mov_cr3_l1();
}

/* --- tables of level 2 --- */

uint64_t eptp_of(unsigned root, bool ad)
{
        return PAGE(P_EPT_ROOT + 3 * root) | PUT(0, EPTP_MEMTYPE, MEMTYPE_WB) | PUT(0, EPTP_WALK, EPTP_WALK4) |
               (ad ? EPTP_AD : 0);
}

void op_ept_pte(unsigned pt, unsigned index, uint64_t entry)
{
        op_begins();
        link_table(P_EPT_PT + pt, index, entry);
}

void op_ept_pde(unsigned root, unsigned region, uint64_t entry)
{
        op_begins();
        link_table(P_EPT_ROOT + 3 * root + 2, region, entry);
}

void op_l2_map(unsigned tree, unsigned window, unsigned l2_page)
{
        op_begins();
        link_table(P_L2_TREE + 4 * tree + 3, window, l2_page_at(l2_page) | PT_TABLE);
}

uint64_t l2_cr3(unsigned tree)
{
        return PAGE(P_L2_TREE + 4 * tree);
}

/* --- VMCSs written as a whole --- */

void op_make_vmcs(struct ref_vmcs *r)
{
        struct vmcs12 v;
        vmcs_valid(ref.caps, &v);
        op_vmclear(r->at);
        op_vmptrld(r->at);
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                if (vmcs_field_exists(&f, ref.caps))
                        op_vmwrite(f.enc, vmcs12_read(&v, &f), rng_one_in(&cpu.rng, 4));
        }
        r->wild = false;
}

void op_read_all(void)
{
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                if (vmcs_field_exists(&f, ref.caps))
                        op_vmread(f.enc, false);
        }
}
