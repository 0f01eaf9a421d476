/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/layout.h"
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "twin.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define VECTORS      256u
#define GATE64       0x8e00ull /* present, 64-bit or 32-bit interrupt gate */
#define PTE_TABLE    0x27ull   /* present, writable, of users, accessed */
#define PTE_LARGE    0xe7ull   /* present, writable, of users, accessed, dirty, large */
#define PDPTE_P      1ull
#define LOW_GIB      4u
#define REAL_STUBS   0x50000u /* real mode cannot reach the probe: free memory of any PC */
#define REAL_IVT     0x51000u
#define REAL_LIMIT   0xffffu
#define IVT_LIMIT    0x3ffu
#define AR_REAL      (3u | AR_S | AR_P)
#define AR_CODE32    (11u | AR_S | AR_P | AR_DB | AR_G)
#define TIMER_UNITS  1000000u /* a guest that waits is ended; one that runs is never so slow */
#define MSR_LIST     256u
#define EPT_TABLE    7ull                     /* all accesses */
#define EPT_PAGE     (7ull | 6 << 3 | 1 << 7) /* and write-back, 2 MiB */
#define EPTP_BITS    (6ull | 3 << 3)          /* write-back, four levels */
#define TSS_MAP      0x66u                    /* where a TSS says where its I/O-permission bitmap is */
#define TSS_BITMAP   0x68u
#define TSS_BYTES    (TSS_BITMAP + 32u) /* ports up to 0xff */
#define EPT_PAGES    48u                /* of 2 MiB: only what is RAM on every machine */

extern const uint8_t twin_stubs[];

uint8_t twin_stack[TWIN_STACK_BYTES] PAGE_ALIGNED;
static uint64_t idt64[VECTORS][2] PAGE_ALIGNED, idt32[VECTORS] PAGE_ALIGNED;
static uint64_t pml4[512] PAGE_ALIGNED, pdpt[512] PAGE_ALIGNED, pd[LOW_GIB][512] PAGE_ALIGNED;
static uint64_t pae_pdpt[4] PAGE_ALIGNED, no_pages[512] PAGE_ALIGNED;
static uint64_t msr_list[MSR_LIST][2] PAGE_ALIGNED;
static uint64_t gdt[4] PAGE_ALIGNED;
static uint8_t tss[TSS_BYTES] PAGE_ALIGNED;
static uint8_t
        control_page[6][PAGE_SIZE] PAGE_ALIGNED; /* for controls that are switched on to see what that does */
static uint64_t ept_pml4[512] PAGE_ALIGNED, ept_pdpt[512] PAGE_ALIGNED, ept_pd[512] PAGE_ALIGNED;

/* The selectors of layout.h: those of 64-bit mode, and a code segment of 32 bits in the place of the TSS,
 * which is never loaded from here. */
#define SEL_CODE32  SEL_TSS
#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_DATA   0x00cf93000000ffffull
#define DESC_CODE32 0x00cf9b000000ffffull

static void build_tables(void)
{
        gdt[SEL_CODE64 / 8] = DESC_CODE64;
        gdt[SEL_DATA / 8] = DESC_DATA;
        gdt[SEL_CODE32 / 8] = DESC_CODE32;
        for (unsigned i = 0; i < VECTORS; i++) {
                const uint64_t at = (uint64_t)twin_stubs + i * TWIN_STUB_STRIDE;
                const uint64_t gate = (at & 0xffff) | GATE64 << 32 | (at >> 16 & 0xffff) << 48;
                idt64[i][0] = gate | (uint64_t)SEL_CODE64 << 16;
                idt64[i][1] = at >> 32;
                idt32[i] = gate | (uint64_t)SEL_CODE32 << 16;
                ((volatile uint32_t *)REAL_IVT)[i] = (REAL_STUBS >> 4) << 16 | i * TWIN_STUB_STRIDE;
        }
        memcpy((void *)REAL_STUBS, twin_stubs, VECTORS * TWIN_STUB_STRIDE);
        for (unsigned i = 0; i < LOW_GIB * 512; i++)
                pd[i / 512][i % 512] = i * SIZE_2M | PTE_LARGE;
        for (unsigned i = 0; i < LOW_GIB; i++) {
                pdpt[i] = (uint64_t)pd[i] | PTE_TABLE;
                pae_pdpt[i] = (uint64_t)pd[i] | PDPTE_P;
        }
        pml4[0] = (uint64_t)pdpt | PTE_TABLE;
        tss[TSS_MAP] = TSS_BITMAP;
        tss[TSS_BITMAP + 0xe0 / 8] = 0xff;
        for (unsigned i = 0; i < EPT_PAGES; i++)
                ept_pd[i] = i * SIZE_2M | EPT_PAGE;
        ept_pdpt[0] = (uint64_t)ept_pd | EPT_TABLE;
        ept_pml4[0] = (uint64_t)ept_pdpt | EPT_TABLE;
}

uint64_t *twin_ept_pdpt(void)
{
        return ept_pdpt;
}

struct setting {
        enum vmcs_field field;
        uint64_t value;
};

static void apply(uint64_t *v, const struct setting *rows, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                struct vmcs_field_info f;
                BUG_UNLESS(vmcs_field_find(rows[i].field, &f));
                v[f.id] = rows[i].value;
        }
}

/* In every base: what goes wrong exits. */
static void safe_guest(struct twin *t, uint64_t *v)
{
        const struct vmx_caps *c = &t->l2.caps;
        const struct setting rows[] = {
                {F_pin_ctls, ctl_make(c->pin, PIN_PREEMPTION_TIMER)},
                {F_exception_bitmap, UINT32_MAX},
                {F_eptp, (uint64_t)ept_pml4 | EPTP_BITS},
                {F_guest_preemption_timer, TIMER_UNITS},
                {F_virtual_apic_page, (uint64_t)control_page[0]},
                {F_apic_access_page, (uint64_t)control_page[1]},
                {F_pml_address, (uint64_t)control_page[2]},
                {F_eptp_list, (uint64_t)control_page[3]},
                {F_ve_info, (uint64_t)control_page[4]},
                {F_vmread_bitmap, (uint64_t)control_page[5]},
                {F_vmwrite_bitmap, (uint64_t)control_page[5]},
                {F_exit_msr_store, (uint64_t)msr_list},
                {F_exit_msr_load, (uint64_t)msr_list},
                {F_entry_msr_load, (uint64_t)msr_list},
                {F_guest_rip, (uint64_t)l2_vmcall},
                {F_guest_rsp, (uint64_t)twin_stack + TWIN_STACK_BYTES - 256},
                {F_guest_cr3, (uint64_t)pml4},
                {F_guest_tr_base, (uint64_t)tss},
                {F_guest_tr_limit, sizeof(tss) - 1},
                {F_guest_gdtr_base, (uint64_t)gdt},
                {F_guest_gdtr_limit, sizeof(gdt) - 1},
                {F_guest_idtr_base, (uint64_t)idt64},
                {F_guest_idtr_limit, sizeof(idt64) - 1},
        };
        apply(v, rows, ARRAY_LEN(rows));
}

static void legacy(uint64_t *v, uint64_t cr0)
{
        const struct setting rows[] = {
                {F_entry_ctls, v[FI_entry_ctls] & ~(uint64_t)ENTRY_CTL_GUEST_64},
                {F_guest_efer, 0},
                {F_guest_cr0, cr0 | CR0_NE | CR0_ET},
                {F_guest_cr3, (uint64_t)no_pages},
                {F_guest_cr4, v[FI_guest_cr4] & ~CR4_PAE},
                {F_guest_idtr_base, (uint64_t)idt32},
                {F_guest_idtr_limit, sizeof(idt32) - 1},
                {F_guest_cs_sel, SEL_CODE32},
                {F_guest_cs_ar, AR_CODE32},
        };
        apply(v, rows, ARRAY_LEN(rows));
}

static void real_mode(uint64_t *v)
{
        legacy(v, 0);
        for (unsigned i = 0; i < 6; i++) {
                const struct setting rows[] = {
                        {F_guest_es_limit + 2 * i, REAL_LIMIT},
                        {F_guest_es_ar + 2 * i, AR_REAL},
                        {F_guest_es_sel + 2 * i, 0},
                };
                apply(v, rows, ARRAY_LEN(rows));
        }
        const struct setting rows[] = {
                {F_guest_cs_base, (uint64_t)l2_vmcall},  {F_guest_rip, 0},
                {F_guest_ss_base, (uint64_t)twin_stack}, {F_guest_rsp, TWIN_STACK_BYTES - 256},
                {F_guest_idtr_base, REAL_IVT},           {F_guest_idtr_limit, IVT_LIMIT},
        };
        apply(v, rows, ARRAY_LEN(rows));
}

static void pae(uint64_t *v)
{
        legacy(v, CR0_PE | CR0_PG);
        const struct setting rows[] = {
                {F_guest_cr3, (uint64_t)pae_pdpt}, {F_guest_cr4, v[FI_guest_cr4] | CR4_PAE},
                {F_guest_pdpte0, pae_pdpt[0]},     {F_guest_pdpte1, pae_pdpt[1]},
                {F_guest_pdpte2, pae_pdpt[2]},     {F_guest_pdpte3, pae_pdpt[3]},
        };
        apply(v, rows, ARRAY_LEN(rows));
}

/* Bases are made of the one that l2_reset() left in the VMCS, which is in t->now. */
void twin_guest_prepare(struct twin *t)
{
        build_tables();
        for (unsigned i = 0; i < MSR_LIST; i++)
                msr_list[i][0] = MSR_LSTAR;
        for (unsigned b = 0; b < TWIN_BASES; b++) {
                memcpy(t->base[b], t->now, sizeof(t->now));
                safe_guest(t, t->base[b]);
        }
        legacy(t->base[BASE_PROT], CR0_PE);
        real_mode(t->base[BASE_REAL]);
        pae(t->base[BASE_PAE]);
}

int twin_stub_vector(const struct twin *t, uint64_t rip)
{
        const uint64_t start = t->at == BASE_REAL && !(rip >> 16) ? 0 : (uint64_t)twin_stubs;
        const uint64_t offset = rip - start;
        return offset < VECTORS * TWIN_STUB_STRIDE && offset % TWIN_STUB_STRIDE == 0
                       ? (int)(offset / TWIN_STUB_STRIDE)
                       : -1;
}
