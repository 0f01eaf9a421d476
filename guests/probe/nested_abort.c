/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits that fail: SDM 3C "VMX Aborts". Each is the end of the guest hypervisor, so each is a run of its own, by the number
 * that the processor leaves in the VMCS. */
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "host32.h"
#include "hw/cpu.h"
#include "nested.h"

struct msr_entry {
        uint32_t msr, reserved;
        uint64_t value;
};
static struct msr_entry area[1] __attribute__((aligned(16)));

static void bad_msr_area(struct l2 *l, enum vmcs_field at, enum vmcs_field count)
{
        l2_reset(l);
        area[0] = (struct msr_entry){ .msr = MSR_FS_BASE, .reserved = 1 };
        l2_set(l, at, (uint64_t)area);
        l2_set(l, count, 1);
        l2_run(l, l2_cpuid);
}

static void bad_pdptes(struct l2 *l)
{
        static uint64_t pdpt[4] __attribute__((aligned(4096)));
        host32_prepare(l, true);
        for (unsigned i = 0; i < 4; i++)
                pdpt[i] = host32_pdpt[i] | BIT(1); /* reserved */
        l2_set(l, F_host_cr3, (uint64_t)pdpt);
        host32_run(l);
}

/* The guest enters IA-32e mode, which a host of 32 bits cannot be left with. */
static void guest_in_long_mode(struct l2 *l)
{
        host32_prepare(l, false);
        l2_set(l, F_guest_efer, EFER_LME);
        l2_set(l, F_guest_cr3, hw_read_cr3());
        l2_set(l, F_guest_cr4, CR4_VMXE | CR4_PAE);
        l->gprs.r[GPR_RAX] = CR0_PE | CR0_NE | CR0_ET | CR0_PG;
        l2_set(l, F_guest_rip, (uint64_t)l2_long_mode);
        host32_run(l);
}

void nested_abort_run(struct probe *p, const char *words)
{
        static struct l2 l2;
        if (!nested_begin(&l2, p))
                return;
        switch (words[0] ? words[1] : 0) { /* behind a blank */
        case '1':
                bad_msr_area(&l2, F_exit_msr_store, F_exit_msr_store_count);
                break;
        case '2':
                bad_pdptes(&l2);
                break;
        case '4':
                bad_msr_area(&l2, F_exit_msr_load, F_exit_msr_load_count);
                break;
        case '6':
                guest_in_long_mode(&l2);
                break;
        }
        check(p, false, "an exit that must fail does not: %s", words);
}
