/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: guests outside of 64-bit mode. */
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define AR_REAL      (3u | AR_S | AR_P)
#define AR_CODE32    (11u | AR_S | AR_P | AR_DB | AR_G)
#define REAL_LIMIT   0xffffu
#define PDPTE_COUNT  4
#define PTE_LARGE    0xe3ull /* present, writable, accessed, dirty, large */
#define VALUE        0x13579bdfu
#define SEL_TASK     0x28u
#define TSS32        (0x89ull << 40 | TSS32_LIMIT) /* available, at 0 */
#define TSS32_LIMIT  0x67u
#define TASK_GATE    (0x85ull << 40 | (uint64_t)SEL_TASK << 16)
#define BY_TASK_GATE 3ull /* TSQ_SOURCE */

/* --- modes --- */

static void legacy(struct l2 *l, uint64_t cr0)
{
        l2_reset(l);
        l2_set(l, F_entry_ctls, vmread(F_entry_ctls) & ~(uint64_t)ENTRY_CTL_GUEST_64);
        l2_set(l, F_guest_efer, 0);
        l2_set(l, F_guest_cr0, cr0 | CR0_NE | CR0_ET);
        l2_set(l, F_guest_cr4, vmread(F_guest_cr4) & ~(cr0 & CR0_PG ? 0 : CR4_PAE));
}

static void expect_cpuid(struct l2 *l, const char *what)
{
        l2_expect(l, EXIT_CPUID, 0, what);
        check(l->p, l->exit.insn_len == 2, "%s: CPUID has length %u", what, l->exit.insn_len);
}

static void real_mode(struct l2 *l)
{
        legacy(l, 0);
        for (unsigned i = 0; i < 12; i += 2) {
                l2_set(l, F_guest_es_limit + i, REAL_LIMIT);
                l2_set(l, F_guest_es_ar + i, AR_REAL);
        }
        l2_set(l, F_guest_cs_base, (uint64_t)l2_cpuid);
        l2_run(l, NULL);
        expect_cpuid(l, "a guest in real mode");
        l2_set(l, F_guest_cs_base, (uint64_t)l2_out);
        l->gprs.r[GPR_RDX] = 0x5555;
        l2_run(l, NULL);
        l2_expect(l, EXIT_IO, 0x55550000, "OUT in real mode");
        /* Without protection the guest hypervisor sees the mode change: all of CR0.PE is its own. */
        l2_set(l, F_guest_cs_base, (uint64_t)l2_lmsw);
        l->gprs.r[GPR_RBX] = 1;
        l2_set(l, F_cr0_mask, CR0_PE);
        l2_run(l, NULL);
        l2_expect(l, EXIT_CR_ACCESS, 3 << 4 | 1ull << 16, "LMSW that leaves real mode, masked");
        l2_set(l, F_cr0_mask, 0);
        l2_run(l, NULL);
        l2_expect(l, EXIT_VMCALL, 0, "LMSW that leaves real mode, not masked");
        check(l->p, vmread(F_guest_cr0) & CR0_PE, "the guest is in protected mode");
}

static void protected_mode(struct l2 *l)
{
        legacy(l, CR0_PE);
        l2_set(l, F_guest_cs_ar, AR_CODE32);
        l2_run(l, l2_cpuid);
        expect_cpuid(l, "a guest in protected mode without paging");
        *(volatile uint32_t *)l2_window[0] = VALUE;
        l->gprs.r[GPR_RBX] = WINDOW_4K;
        l2_run(l, l2_read); /* without REX: DEC EAX; MOV EAX, [EBX] */
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "it reads memory");
}

static void pae_paging(struct l2 *l)
{
        static uint64_t pdpt[512] PAGE_ALIGNED, pd[PDPTE_COUNT][512] PAGE_ALIGNED;
        for (unsigned i = 0; i < PDPTE_COUNT * 512; i++)
                pd[i / 512][i % 512] = i * SIZE_2M | PTE_LARGE;
        for (unsigned i = 0; i < PDPTE_COUNT; i++)
                pdpt[i] = (uint64_t)pd[i] | 1;
        legacy(l, CR0_PE | CR0_PG);
        l2_set(l, F_guest_cs_ar, AR_CODE32);
        l2_set(l, F_guest_cr3, (uint64_t)pdpt);
        for (unsigned i = 0; i < PDPTE_COUNT; i++)
                l2_set(l, F_guest_pdpte0 + 2 * i, pdpt[i]);
        l2_run(l, l2_cpuid);
        expect_cpuid(l, "a guest with PAE paging");
        l->gprs.r[GPR_RBX] = WINDOW_4K;
        l2_run(l, l2_read);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "it reads memory");
        l2_set(l, F_guest_pdpte0 + 2 * GET(WINDOW_4K, BITS(31, 30)), 0);
        l2_set(l, F_exception_bitmap, BIT(VEC_PF));
        l2_run(l, l2_read);
        l2_expect(l, EXIT_EXCEPTION_NMI, WINDOW_4K, "the PDPTEs are those of the VMCS");
        l2_set(l, F_guest_pdpte0, pdpt[0] | 2);
        l2_run(l, l2_cpuid);
        l2_expect(l, EXIT_REASON_ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE, ENTRY_FAIL_QUAL_PDPTE,
                  "a PDPTE with reserved bits");
}

/* SDM 3C "Accessed and Dirty Flags for EPT": MOV to CR3 loads the PDPTEs through the EPT as data reads, without a linear
 * address. In 32-bit code l2_write_cr3 takes EDX. */
static void pdpte_loads(struct l2 *l)
{
        static uint64_t pd[512] PAGE_ALIGNED;
        volatile uint64_t *const pdpt = (volatile uint64_t *)(l2_window[1] + 0x20);
        for (unsigned i = 0; i < 512; i++)
                pd[i] = i * SIZE_2M | PTE_LARGE;
        legacy(l, CR0_PE | CR0_PG);
        l2_set(l, F_guest_cs_ar, AR_CODE32);
        l2_set(l, F_guest_cr3, WINDOW_4K + PAGE_SIZE + 0x20);
        for (unsigned i = 0; i < PDPTE_COUNT; i++) {
                pdpt[i] = (uint64_t)pd | 1;
                l2_set(l, F_guest_pdpte0 + 2 * i, i ? 0 : pdpt[0]);
        }
        l->gprs.r[GPR_RDX] = WINDOW_NONE + 0x20;
        l2_run(l, l2_write_cr3);
        check(l->p, l->exit.reason == EXIT_EPT_VIOLATION && (l->exit.qualification & BITS(8, 0)) == EPTQ_READ &&
                      ALIGN_DOWN(l->exit.guest_physical, PAGE_SIZE) == WINDOW_NONE,
              "MOV to CR3 with PDPTEs that the EPT does not map: qualification 0x%llx", (unsigned long long)l->exit.qualification);
        l->gprs.r[GPR_RDX] = WINDOW_4K + PAGE_SIZE + 0x20;
        l2_run(l, l2_write_cr3);
        check(l->p, l->exit.reason == EXIT_VMCALL && vmread(F_guest_pdpte0 + 2 * 3) == ((uint64_t)pd | 1),
              "MOV to CR3 loads the PDPTEs through the EPT");
}

/* The same without EPT: VM entry loads them from memory. */
static void pae_without_ept(struct l2 *l)
{
        static uint64_t pd[512] PAGE_ALIGNED;
        volatile uint64_t *const pdpt = (volatile uint64_t *)(l2_window[1] + 0x40);
        for (unsigned i = 0; i < 512; i++)
                pd[i] = i * SIZE_2M | PTE_LARGE;
        legacy(l, CR0_PE | CR0_PG);
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)(PROC2_EPT | PROC2_UNRESTRICTED));
        l2_set(l, F_guest_cs_ar, AR_CODE32);
        l2_set(l, F_guest_cr3, (uint64_t)pdpt);
        for (unsigned i = 0; i < PDPTE_COUNT; i++) {
                pdpt[i] = i < 2 ? (uint64_t)pd | 1 : 0;
                l2_set(l, F_guest_pdpte0 + 2 * i, 0);
        }
        *(volatile uint32_t *)WINDOW_2M_AT = VALUE;
        l->gprs.r[GPR_RBX] = SIZE_1G + WINDOW_2M_AT;
        l2_run(l, l2_read);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "PAE paging without EPT: PDPTEs from memory");
        pdpt[3] = (uint64_t)pd | 3;
        l2_run(l, l2_read);
        l2_expect(l, EXIT_REASON_ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE, ENTRY_FAIL_QUAL_PDPTE,
                  "PAE paging without EPT: reserved bits of a PDPTE");
}

/* SDM 3C "Other Causes of VM Exits": a task switch exits before it has done anything. */
static void task_switch(struct l2 *l)
{
        static uint64_t gdt[SEL_TASK / 8 + 1], idt[VEC_UD + 1];
        gdt[SEL_TASK / 8] = TSS32;
        idt[VEC_UD] = TASK_GATE;
        legacy(l, CR0_PE);
        l2_set(l, F_guest_cs_ar, AR_CODE32);
        l2_set(l, F_guest_gdtr_base, (uint64_t)gdt);
        l2_set(l, F_guest_gdtr_limit, sizeof(gdt) - 1);
        l2_set(l, F_guest_idtr_base, (uint64_t)idt);
        l2_set(l, F_guest_idtr_limit, sizeof(idt) - 1);
        l2_run(l, l2_ud);
        l2_expect(l, EXIT_TASK_SWITCH, PUT(SEL_TASK, TSQ_SOURCE, BY_TASK_GATE), "#UD through a task gate");
        check(l->p, l->exit.rip == (uint64_t)l2_ud && l->exit.idt_info == (INTR_VALID | INTR_TYPE_HW_EXCEPTION << 8 | VEC_UD),
              "it is being delivered: 0x%x", l->exit.idt_info);
}

void nested_modes(struct l2 *l)
{
        real_mode(l);
        protected_mode(l);
        task_switch(l);
        pae_paging(l);
        pdpte_loads(l);
        pae_without_ept(l);
        l2_reset(l);
}
