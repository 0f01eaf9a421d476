/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: a guest hypervisor in 32-bit protected mode, with and without PAE, and its guests. */
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "host32.h"
#include "hw/cpu.h"
#include "nested.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define PDE_LARGE    0xe3u /* present, writable, accessed, dirty, large */
#define GDT_DATA     0x10u
#define GDT_CODE32   0x18u
#define AR_CODE32    (11u | AR_S | AR_P | AR_DB | AR_G)
#define AR_REAL      (3u | AR_S | AR_P)
#define REAL_LIMIT   0xffffu
#define FIELDS       9u

/* What l2_host32() takes and gives: it goes to 32-bit mode, turns VMX on there, enters the guest of `vmcs`, reads fields with
 * 32-bit operands, and comes back. */
struct host32 {
        uint32_t cr3, cr4;
        uint64_t vmxon, vmcs;
        uint32_t status; /* 0: the guest has exited; 1, 2, 3: VMXON, VMPTRLD, VMLAUNCH failed; field[0]: the error */
        uint32_t cr0_seen, cr3_seen, cr4_seen, efer_seen, cs_seen;
        uint32_t count, field[FIELDS];
        uint32_t eax; /* of the guest */
};
void l2_host32(struct host32 *h);
extern const uint8_t l2_host32_entry[], l2_host32_gdt[];

static uint32_t pd32[1024] PAGE_ALIGNED;
uint64_t host32_pdpt[4] PAGE_ALIGNED;
static uint64_t pd_pae[4][512] PAGE_ALIGNED;
static struct host32 host;

static void build_tables(void)
{
        for (uint32_t i = 0; i < 1024; i++)
                pd32[i] = i << 22 | PDE_LARGE;
        for (unsigned i = 0; i < 4 * 512; i++)
                pd_pae[i / 512][i % 512] = i * SIZE_2M | PDE_LARGE;
        for (unsigned i = 0; i < 4; i++)
                host32_pdpt[i] = (uint64_t)pd_pae[i] | 1;
}

void host32_prepare(struct l2 *l, bool pae)
{
        build_tables();
        const uint64_t cr4 = (vmread(F_host_cr4) & ~(uint64_t)CR4_PAE) | CR4_VMXE | CR4_PSE | (pae ? CR4_PAE : 0);
        l2_clear(l, 1);
        l2_load(l, 1);
        l2_forget(l);
        l2_reset(l);
        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) & ~(uint64_t)EXIT_CTL_HOST_64);
        l2_set(l, F_host_efer, 0);
        l2_set(l, F_host_cr3, pae ? (uint64_t)host32_pdpt : (uint64_t)pd32);
        l2_set(l, F_host_cr4, cr4);
        l2_set(l, F_host_cs_sel, GDT_CODE32);
        const enum vmcs_field data[] = { F_host_ss_sel, F_host_ds_sel, F_host_es_sel };
        for (unsigned i = 0; i < ARRAY_LEN(data); i++)
                l2_set(l, data[i], GDT_DATA);
        l2_set(l, F_host_gdtr_base, (uint64_t)l2_host32_gdt);
        l2_set(l, F_host_rip, (uint64_t)l2_host32_entry);
        l2_set(l, F_entry_ctls, vmread(F_entry_ctls) & ~(uint64_t)ENTRY_CTL_GUEST_64);
        l2_set(l, F_guest_efer, 0);
        l2_set(l, F_guest_cr0, CR0_PE | CR0_NE | CR0_ET);
        l2_set(l, F_guest_cr4, CR4_VMXE);
        l2_set(l, F_guest_cs_ar, AR_CODE32);
        l2_set(l, F_guest_rip, (uint64_t)l2_cpuid);
        host = (struct host32){ .cr3 = (uint32_t)vmread(F_host_cr3), .cr4 = (uint32_t)cr4, .vmxon = (uint64_t)l2_vmxon_page,
                                .vmcs = (uint64_t)l2_vmcs_page[1], .count = FIELDS,
                                .field = { F_exit_reason, F_exit_qualification, F_exit_insn_len, F_guest_rip, F_eptp, F_eptp + 1,
                                           F_vmcs_link + 1, F_guest_cs_ar, F_host_cr3 } };
}

void host32_run(struct l2 *l)
{
        l2_clear(l, 1);
        __asm__ volatile("vmxoff" : : : "cc", "memory");
        host.eax = (uint32_t)l->gprs.r[GPR_RAX];
        l2_host32(&host);
        BUG_UNLESS(hw_vmxon(HPA((uint64_t)l2_vmxon_page)) == HW_OK);
        l2_clear(l, 1);
        l2_load(l, 1);
}

static void expect(struct l2 *l, bool pae, const char *what)
{
        check(l->p, host.status == 0, "%s: status %u, %u", what, host.status, host.status ? host.field[0] : 0);
        check(l->p, host.field[0] == EXIT_CPUID && host.field[1] == 0 && host.field[2] == 2, "%s: reason %u", what, host.field[0]);
        check(l->p,
              host.field[4] == (uint32_t)vmread(F_eptp) && host.field[5] == 0 && host.field[6] == UINT32_MAX &&
                      host.field[7] == (uint32_t)vmread(F_guest_cs_ar) && host.field[8] == host.cr3,
              "%s: fields, and halves of them", what);
        check(l->p,
              host.cr3_seen == host.cr3 && host.cr4_seen == host.cr4 && (host.cr0_seen & CR0_PG) && host.efer_seen == 0 &&
                      host.cs_seen == GDT_CODE32 && !(host.cr4_seen & CR4_PAE) == !pae,
              "%s: the host state of 32 bits", what);
}

static void guests(struct l2 *l, bool pae)
{
        host32_prepare(l, pae);
        host32_run(l);
        expect(l, pae, pae ? "a host with PAE paging" : "a host with 32-bit paging");
        check(l->p, host.field[3] == (uint32_t)(uint64_t)l2_cpuid, "its guest in protected mode");
        host32_prepare(l, pae);
        for (unsigned i = 0; i < 12; i += 2) {
                l2_set(l, F_guest_es_limit + i, REAL_LIMIT);
                l2_set(l, F_guest_es_ar + i, AR_REAL);
        }
        l2_set(l, F_guest_cr0, CR0_NE | CR0_ET);
        l2_set(l, F_guest_cs_base, (uint64_t)l2_cpuid);
        l2_set(l, F_guest_rip, 0);
        host32_run(l);
        expect(l, pae, "its guest in real mode");
}

static void refused(struct l2 *l)
{
        host32_prepare(l, false);
        l2_set(l, F_exit_ctls, vmread(F_exit_ctls) | EXIT_CTL_HOST_64);
        l2_set(l, F_host_cr4, vmread(F_host_cr4) | CR4_PAE);
        l2_set(l, F_host_efer, EFER_LMA | EFER_LME);
        host32_run(l);
        check(l->p, host.status == 3 && host.field[0] == VMX_ERR_ENTRY_HOST_STATE, "a host of 64 bits is refused there: error %u",
              host.field[0]);
}

void nested_host32(struct l2 *l)
{
        guests(l, false);
        guests(l, true);
        refused(l);
        l2_clear(l, 1);
        l2_load(l, 0);
        l2_forget(l);
        l2_reset(l);
}
