/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR areas of vmcs12. SDM 3C "Loading MSRs" of VM entries and VM exits, "Saving MSRs". */
#include "base/bits.h"
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "nested/entry.h"

struct msr_entry {
        uint32_t index, reserved;
        uint64_t value;
};
_Static_assert(sizeof(struct msr_entry) == 16, "SDM 3C \"VM-Exit Controls for MSRs\"");

#define MSR_SMM_MONITOR_CTL 0x9b
#define MSR_SMBASE          0x9e

/* Loads beyond the count that IA32_VMX_MISC recommends may do anything, a machine check included: refused. */
#define MSR_LIST_MAX 512

static struct msr_entry *entry_at(const struct vcpu *v, uint64_t list, uint32_t i)
{
        return guest_mem_at(&v->mem, L1GPA(list + (uint64_t)i * sizeof(struct msr_entry)), sizeof(struct msr_entry));
}

/* What neither list may hold, whatever RDMSR and WRMSR would say. */
static bool is_barred(uint32_t msr)
{
        return msr >> 8 == 0x8; /* x2APIC */
}

uint64_t nested_load_msrs(struct nested *n, struct vcpu *v, uint64_t list, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++) {
                const struct msr_entry *at = i < MSR_LIST_MAX ? entry_at(v, list, i) : NULL;
                if (!at)
                        return (uint64_t)i + 1;
                struct msr_entry e;
                memcpy(&e, at, sizeof(e));
                if (e.reserved || e.index == MSR_FS_BASE || e.index == MSR_GS_BASE || e.index == MSR_SMM_MONITOR_CTL ||
                    is_barred(e.index) || !n->msr.write(n->msr.ctx, e.index, e.value))
                        return (uint64_t)i + 1;
        }
        return 0;
}

uint64_t nested_store_msrs(struct nested *n, struct vcpu *v, uint64_t list, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++) {
                struct msr_entry *at = i < MSR_LIST_MAX ? entry_at(v, list, i) : NULL;
                if (!at)
                        return (uint64_t)i + 1;
                struct msr_entry e;
                memcpy(&e, at, sizeof(e));
                if (e.reserved || e.index == MSR_SMBASE || is_barred(e.index) || !n->msr.read(n->msr.ctx, e.index, &e.value))
                        return (uint64_t)i + 1;
                at->value = e.value;
        }
        return 0;
}
