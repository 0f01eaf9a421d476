/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: EPT below the guest's own paging structures, its largest pages, what is reserved at each level, and guests
 * without EPT. SDM 3C "The Extended Page Table Mechanism". */
#include "apic.h"
#include "base/x86.h"
#include "nested.h"

#define EPT_RWX      7ull
#define EPT_R        BIT(0)
#define EPT_W        BIT(1)
#define EPT_X        BIT(2)
#define EPT_WB       (6ull << 3)
#define EPT_LARGE    BIT(7)
#define EPT_ACCESSED BIT(8)
#define EPT_DIRTY    BIT(9)
#define EPTP_AD      BIT(6)
#define PTE_TABLE    7ull
#define PTE_ACCESSED BIT(5)
#define VALUE        0x0123456789abcdefull
#define HUGE_RAM     0x100000000ull /* 1 GiB pages of the EPT: the first GiB again, */
#define HUGE_DEVICES 0x140000000ull /* and the one before 4 GiB */
#define DEVICES_AT   0xc0000000ull
#define BEYOND       0x8000000000ull /* linear, by a page-directory-pointer table of our own */
#define FAR_SLOT     5               /* whose entry of this number maps the GiB at */
#define FAR_PHYSICAL BIT(39)         /* where level 4 of the EPT has an entry of its own */
#define FAR          (BEYOND + FAR_SLOT * SIZE_1G)
#define PTE_LARGE    0xe3ull /* present, writable, accessed, dirty, large */

static uint64_t *table(uint64_t entry)
{
        return (uint64_t *)(entry & BITS(51, 12));
}

static void flush(void)
{
        BUG_UNLESS(hw_invept(INVEPT_SINGLE, vmread(F_eptp)) == HW_OK);
}

static void run(struct l2 *l, const uint8_t *code, uint64_t at)
{
        l->gprs.r[GPR_RBX] = at;
        l2_run(l, code);
}

/* --- pages of 1 GiB and over devices --- */

static void large_pages(struct l2 *l, uint64_t *pdpt)
{
        if (!(l->caps.ept_vpid & EPTCAP_1G))
                return;
        uint64_t *const ram = &pdpt[GET(HUGE_RAM, BITS(38, 30))], *const devices = &pdpt[GET(HUGE_DEVICES, BITS(38, 30))];
        *ram = EPT_RWX | EPT_WB | EPT_LARGE;
        *devices = DEVICES_AT | EPT_R | EPT_W | EPT_LARGE;
        flush();
        *(volatile uint64_t *)(WINDOW_2M_AT + 0x108) = VALUE;
        run(l, l2_read, HUGE_RAM + WINDOW_2M_AT + 0x108);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "EPT: a read through a page of 1 GiB");
        l->gprs.r[GPR_RAX] = ~VALUE;
        run(l, l2_write, HUGE_RAM + WINDOW_2M_AT + 0x110);
        check(l->p, *(volatile uint64_t *)(WINDOW_2M_AT + 0x110) == ~VALUE, "EPT: a write through a page of 1 GiB");
        const uint32_t version = apic_read(APIC_VERSION);
        run(l, l2_read32, HUGE_DEVICES + (APIC_BASE - DEVICES_AT) + APIC_VERSION);
        check(l->p, l->exit.reason == EXIT_VMCALL && (uint32_t)l->gprs.r[GPR_RAX] == version, "EPT: a device in a page of 1 GiB");
        run(l, l2_read32, WINDOW_APIC + APIC_VERSION);
        check(l->p, l->exit.reason == EXIT_VMCALL && (uint32_t)l->gprs.r[GPR_RAX] == version, "EPT: a device in a page of 2 MiB");
        if (l->caps.ept_vpid & EPTCAP_AD) {
                l2_set(l, F_eptp, vmread(F_eptp) | EPTP_AD);
                run(l, l2_read, HUGE_RAM + WINDOW_2M_AT);
                const uint64_t read = *(volatile uint64_t *)ram;
                run(l, l2_write, HUGE_RAM + WINDOW_2M_AT + SIZE_2M);
                check(l->p, (read & EPT_ACCESSED) && !(read & EPT_DIRTY) && (*(volatile uint64_t *)ram & EPT_DIRTY),
                      "EPT with A/D: flags of a page of 1 GiB");
                l2_set(l, F_eptp, vmread(F_eptp) & ~EPTP_AD);
        }
        *ram = *devices = 0;
        flush();
}

/* --- misconfigurations --- */

static uint64_t physical(uint64_t linear)
{
        return linear >= FAR ? linear - FAR + FAR_PHYSICAL : linear;
}

static void expect_misconfigured(struct l2 *l, uint64_t *entry, uint64_t value, uint64_t at, unsigned *wrong)
{
        const uint64_t old = *entry;
        *entry = value;
        flush();
        run(l, l2_read, at);
        *wrong += l->exit.reason != EXIT_EPT_MISCONFIG || l->exit.guest_physical != physical(at);
        *entry = old;
        flush();
}

/* Each bit of a range alone. */
static void reserved(struct l2 *l, uint64_t *entry, uint64_t good, unsigned high, unsigned low, uint64_t at, const char *what)
{
        unsigned wrong = 0;
        for (unsigned bit = low; bit <= high; bit++)
                expect_misconfigured(l, entry, good | BIT(bit), at, &wrong);
        check(l->p, wrong == 0, "%s, misconfigured by bits %u to %u: %u wrong", what, high, low, wrong);
}

static void bad_rights(struct l2 *l, uint64_t *entry, uint64_t at, const char *what)
{
        unsigned wrong = 0;
        expect_misconfigured(l, entry, (*entry & ~EPT_RWX) | EPT_W, at, &wrong);
        expect_misconfigured(l, entry, (*entry & ~EPT_RWX) | EPT_W | EPT_X, at, &wrong);
        check(l->p, wrong == 0, "%s, misconfigured by rights: %u wrong", what, wrong);
}

static void bad_types(struct l2 *l, uint64_t *entry, uint64_t at, const char *what)
{
        static const uint64_t types[] = { 2, 3, 7 };
        unsigned wrong = 0;
        for (unsigned i = 0; i < ARRAY_LEN(types); i++)
                expect_misconfigured(l, entry, (*entry & ~BITS(5, 3)) | types[i] << 3, at, &wrong);
        check(l->p, wrong == 0, "%s, misconfigured by memory types: %u wrong", what, wrong);
}

static void misconfigurations(struct l2 *l, uint64_t *pdpt)
{
        /* The snippet's own page is mapped by another GiB, so an entry that serves both would stop the fetch. */
        const unsigned width = l->caps.maxphyaddr;
        const uint64_t at = WINDOW_4K + PAGE_SIZE + 8, at_2m = WINDOW_2M + 8, at_1g = HUGE_RAM + WINDOW_2M_AT;
        uint64_t *const pdpte = &pdpt[GET(WINDOW_4K, BITS(38, 30))], *const huge = &pdpt[GET(HUGE_RAM, BITS(38, 30))];
        reserved(l, &l2_ept_pt[1], l2_ept_pt[1], 51, width, at, "EPT: a page of 4 KiB");
        reserved(l, &l2_ept_pd_high[0], l2_ept_pd_high[0], 6, 3, at, "EPT: a table");
        reserved(l, &l2_ept_pd_high[0], l2_ept_pd_high[0], 51, width, at, "EPT: a table");
        reserved(l, &l2_ept_pd_high[1], l2_ept_pd_high[1], 20, 13, at_2m, "EPT: a page of 2 MiB");
        reserved(l, &l2_ept_pd_high[1], l2_ept_pd_high[1], 51, width, at_2m, "EPT: a page of 2 MiB");
        reserved(l, pdpte, *pdpte, 6, 3, at, "EPT: a directory");
        reserved(l, pdpte, *pdpte, 51, width, at, "EPT: a directory");
        bad_rights(l, &l2_ept_pt[1], at, "EPT: a page of 4 KiB");
        bad_rights(l, &l2_ept_pd_high[0], at, "EPT: a table");
        bad_rights(l, &l2_ept_pd_high[1], at_2m, "EPT: a page of 2 MiB");
        bad_rights(l, pdpte, at, "EPT: a directory");
        bad_types(l, &l2_ept_pt[1], at, "EPT: a page of 4 KiB");
        bad_types(l, &l2_ept_pd_high[1], at_2m, "EPT: a page of 2 MiB");
        if (l->caps.ept_vpid & EPTCAP_1G) {
                *huge = EPT_RWX | EPT_WB | EPT_LARGE;
                reserved(l, huge, *huge, 29, 13, at_1g, "EPT: a page of 1 GiB");
                bad_types(l, huge, at_1g, "EPT: a page of 1 GiB");
                bad_rights(l, huge, at_1g, "EPT: a page of 1 GiB");
                if (l->p->cascade) { /* Bochs 2.7 takes bit 12 for the PAT bit of ordinary page tables */
                        reserved(l, huge, *huge, 12, 12, at_1g, "by the SDM: EPT: a page of 1 GiB");
                        reserved(l, &l2_ept_pd_high[1], l2_ept_pd_high[1], 12, 12, at_2m, "by the SDM: EPT: a page of 2 MiB");
                }
                *huge = 0;
        }
        /* Rights of one entry, misconfiguration of another: the latter wins. */
        l2_ept_pd_high[0] &= ~EPT_R & ~EPT_W;
        unsigned wrong = 0;
        expect_misconfigured(l, &l2_ept_pt[1], l2_ept_pt[1] | 7u << 3, at, &wrong);
        check(l->p, wrong == 0 || !(l->caps.ept_vpid & EPTCAP_EXEC_ONLY), "EPT misconfiguration below a table without the right");
        l2_ept_pd_high[0] |= EPT_R | EPT_W;
        flush();
}

/* --- the guest's paging structures --- */

#define TABLES   3 /* page of the window that holds the guest's level 4 table */
#define TABLES_2 2 /* and the level 3 table for BEYOND */

static void own_tables(struct l2 *l)
{
        const uint64_t *const probe = table(hw_read_cr3());
        uint64_t *const pml4 = (uint64_t *)l2_window[TABLES], *const pdpt = (uint64_t *)l2_window[TABLES_2];
        for (unsigned i = 0; i < 512; i++) {
                pml4[i] = probe[i];
                pdpt[i] = table(probe[0])[i];
        }
        pml4[GET(BEYOND, BITS(47, 39))] = (WINDOW_4K + TABLES_2 * PAGE_SIZE) | PTE_TABLE;
        pdpt[FAR_SLOT] = FAR_PHYSICAL | PTE_LARGE;
        l2_set(l, F_guest_cr3, WINDOW_4K + TABLES * PAGE_SIZE);
}

static void expect_structure(struct l2 *l, uint64_t qualification, uint64_t at, uint64_t linear, const char *what)
{
        const uint64_t got = l->exit.qualification & BITS(8, 0);
        check(l->p, l->exit.reason == EXIT_EPT_VIOLATION && (got | EPTQ_READ) == (qualification | EPTQ_READ | EPTQ_LINEAR_VALID) &&
                      l->exit.guest_physical == at && l->exit.guest_linear == linear, "%s: reason %u", what, l->exit.reason);
        if (l->p->cascade) /* Bochs 2.7 with A/D flags: a write only */
                check(l->p, got == (qualification | EPTQ_LINEAR_VALID), "by the SDM: EPT: qualification 0x%llx", (unsigned long long)got);
}

static void with_entry(struct l2 *l, unsigned page, uint64_t rights, const uint8_t *code, uint64_t at)
{
        const uint64_t old = l2_ept_pt[page];
        l2_ept_pt[page] = (old & ~EPT_RWX) | rights;
        flush();
        l->gprs.r[GPR_RCX] = 1;
        run(l, code, at);
        l2_ept_pt[page] = old;
        flush();
}

/* Entries of level 4, which the page tables of the probe itself do not reach. */
static void level_4(struct l2 *l, uint64_t *pml4)
{
        uint64_t *const entry = &pml4[GET(FAR_PHYSICAL, BITS(47, 39))];
        if (l->caps.maxphyaddr <= 39 || !(l->caps.ept_vpid & EPTCAP_1G))
                return;
        own_tables(l);
        reserved(l, entry, EPT_RWX, 7, 3, FAR + 8, "EPT: a table of level 3");
        reserved(l, entry, EPT_RWX, 51, l->caps.maxphyaddr, FAR + 8, "EPT: a table of level 3");
        *entry = EPT_RWX;
        bad_rights(l, entry, FAR + 8, "EPT: a table of level 3");
        *entry = 0;
        flush();
        run(l, l2_read, FAR + 8);
        check(l->p, l->exit.reason == EXIT_EPT_VIOLATION && l->exit.guest_physical == FAR_PHYSICAL + 8, "EPT: level 4 has no entry");
}

static void walks_by_the_processor(struct l2 *l)
{
        const uint64_t root = WINDOW_4K + TABLES * PAGE_SIZE, second = WINDOW_4K + TABLES_2 * PAGE_SIZE;
        own_tables(l);
        run(l, l2_read, BEYOND + WINDOW_4K);
        check(l->p, l->exit.reason == EXIT_VMCALL, "EPT: paging structures in pages of 4 KiB");
        with_entry(l, TABLES, 0, l2_read, WINDOW_4K);
        expect_structure(l, EPTQ_READ, root, (uint64_t)l2_read, "EPT: the first paging structure is not there");
        with_entry(l, TABLES_2, 0, l2_read, BEYOND + WINDOW_4K);
        expect_structure(l, EPTQ_READ, second + GET(WINDOW_4K, BITS(38, 30)) * 8, BEYOND + WINDOW_4K,
                         "EPT: the second paging structure is not there");
        if (!(l->caps.ept_vpid & EPTCAP_AD))
                return;
        l2_set(l, F_eptp, vmread(F_eptp) | EPTP_AD);
        with_entry(l, TABLES_2, EPT_R | EPT_X, l2_read, BEYOND + WINDOW_4K);
        expect_structure(l, EPTQ_READ | EPTQ_WRITE | EPTQ_R | EPTQ_X, second + GET(WINDOW_4K, BITS(38, 30)) * 8,
                         BEYOND + WINDOW_4K, "EPT with A/D: a paging structure that is read-only");
        l2_ept_pt[TABLES_2] &= ~(EPT_ACCESSED | EPT_DIRTY);
        flush();
        run(l, l2_read, BEYOND + WINDOW_4K);
        check(l->p, *(volatile uint64_t *)&l2_ept_pt[TABLES_2] & EPT_DIRTY, "EPT with A/D: a walk makes paging structures dirty");
        l2_set(l, F_eptp, vmread(F_eptp) & ~EPTP_AD);
}

/* INS and OUTS to a port that nobody intercepts: their memory is accessed by whoever executes them. */
static void string_instructions(struct l2 *l)
{
        const uint64_t second = WINDOW_4K + TABLES_2 * PAGE_SIZE;
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_UNCOND_IO);
        with_entry(l, TABLES_2, 0, l2_post_string, BEYOND + WINDOW_4K);
        expect_structure(l, EPTQ_READ, second + GET(WINDOW_4K, BITS(38, 30)) * 8, BEYOND + WINDOW_4K,
                         "EPT: OUTSB whose paging structure is not there");
        with_entry(l, 1, EPT_R | EPT_X, l2_post_in_string, WINDOW_4K + PAGE_SIZE + 5);
        check(l->p, l->exit.reason == EXIT_EPT_VIOLATION && l->exit.guest_physical == WINDOW_4K + PAGE_SIZE + 5 &&
                      (l->exit.qualification & BITS(8, 0)) == (EPTQ_WRITE | EPTQ_R | EPTQ_X | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED),
              "EPT: INSB to a page that is read-only, reason %u", l->exit.reason);
        if (l->caps.ept_vpid & EPTCAP_AD) {
                l2_set(l, F_eptp, vmread(F_eptp) | EPTP_AD);
                l2_ept_pt[1] &= ~(EPT_ACCESSED | EPT_DIRTY);
                with_entry(l, 0, EPT_RWX, l2_post_string, WINDOW_4K + PAGE_SIZE);
                const uint64_t read = *(volatile uint64_t *)&l2_ept_pt[1];
                with_entry(l, 0, EPT_RWX, l2_post_in_string, WINDOW_4K + PAGE_SIZE);
                check(l->p, l->exit.reason == EXIT_VMCALL && (read & EPT_ACCESSED) && !(read & EPT_DIRTY) &&
                              (*(volatile uint64_t *)&l2_ept_pt[1] & EPT_DIRTY), "EPT with A/D: OUTSB and INSB set flags");
                l2_ept_pt[1] &= ~(EPT_ACCESSED | EPT_DIRTY);
        }
}

/* --- without EPT --- */

static void no_ept(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)(PROC2_EPT | PROC2_UNRESTRICTED));
}

static void without_ept(struct l2 *l)
{
        uint64_t *const pml4 = (uint64_t *)l2_window[TABLES];
        no_ept(l);
        *(volatile uint64_t *)(WINDOW_2M_AT + 0x18) = VALUE;
        run(l, l2_read, WINDOW_2M_AT + 0x18);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "without EPT: memory is that of the hypervisor");
        for (unsigned i = 0; i < 512; i++)
                pml4[i] = table(hw_read_cr3())[i] & ~PTE_ACCESSED;
        l2_set(l, F_guest_cr3, (uint64_t)pml4);
        run(l, l2_read, WINDOW_2M_AT + 0x18);
        check(l->p, l->exit.reason == EXIT_VMCALL && (*(volatile uint64_t *)pml4 & PTE_ACCESSED), "without EPT: page tables of the hypervisor's choice");
        l2_proc_on(l, PROC_CR3_LOAD | PROC_INVLPG);
        l->gprs.r[GPR_R10] = 0x1000;
        l2_run(l, l2_write_cr3);
        l2_expect(l, EXIT_CR_ACCESS, 3 | 10 << 8, "without EPT: MOV to CR3 exits");
        run(l, l2_invlpg, WINDOW_4K);
        l2_expect(l, EXIT_INVLPG, WINDOW_4K, "without EPT: INVLPG exits");
        pml4[GET(BEYOND, BITS(47, 39))] = 0;
        l2_set(l, F_exception_bitmap, BIT(VEC_PF));
        l2_set(l, F_pf_error_mask, 1);
        l2_set(l, F_pf_error_match, 0);
        run(l, l2_read, BEYOND + 8);
        l2_expect(l, EXIT_EXCEPTION_NMI, BEYOND + 8, "without EPT: a page fault exits");
        pml4[GET(BEYOND, BITS(47, 39))] = pml4[0];
        *(volatile uint64_t *)(WINDOW_2M_AT + 0x20) = ~VALUE;
        run(l, l2_read, BEYOND + WINDOW_2M_AT + 0x20);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == ~VALUE, "without EPT: a page that the fault has brought");
        run(l, l2_read32, APIC_BASE + APIC_VERSION);
        check(l->p, l->exit.reason == EXIT_VMCALL && (uint32_t)l->gprs.r[GPR_RAX] == apic_read(APIC_VERSION), "without EPT: a device");
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) | PROC2_UNRESTRICTED);
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, "without EPT: no unrestricted guest");
}

void nested_ept_walk(struct l2 *l)
{
        l2_reset(l);
        uint64_t *const pml4 = table(vmread(F_eptp)), *const pdpt = table(pml4[0]);
        large_pages(l, pdpt);
        misconfigurations(l, pdpt);
        level_4(l, pml4);
        walks_by_the_processor(l);
        string_instructions(l);
        without_ept(l);
        l2_reset(l);
}
