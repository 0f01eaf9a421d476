/* SPDX-License-Identifier: BSD-2-Clause */
/* Class list: MSR areas of VM entries and exits, with good entries and with a bad one at every place. Those
 * of exits are good only: a bad one ends in a VMX abort. SDM 3C "Loading MSRs", "Saving MSRs". */
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "twin_classes.h"

#define LIST_MOST   16u
#define LIST_CASES  700u
#define X2APIC_TPR  0x808
#define SMM_MONITOR 0x9b
#define NOT_THERE   0x4000

static struct msr_entry {
        uint32_t msr, reserved;
        uint64_t value;
} load[LIST_MOST] __attribute__((aligned(16))), store[LIST_MOST] __attribute__((aligned(16))),
        back[LIST_MOST] __attribute__((aligned(16)));

/* What the lists work on: in no field of the VMCS, and of no use to the probe. */
static const uint32_t good[] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX};

unsigned list_count(void)
{
        return LIST_CASES;
}

static uint64_t good_value(struct twin *t)
{
        return twin_random(t) & 0x3fffffff;
}

static void spoil(struct twin *t, struct msr_entry *e)
{
        static const struct msr_entry bad[] = {
                {.msr = MSR_FS_BASE},
                {.msr = MSR_GS_BASE},
                {.msr = X2APIC_TPR},
                {.msr = 0x8ff},
                {.msr = SMM_MONITOR},
                {.msr = NOT_THERE},
                {.msr = MSR_LSTAR, .reserved = 1},
                {.msr = MSR_LSTAR, .reserved = 0x80000000},
                {.msr = MSR_LSTAR, .value = 1ull << 62},
                {.msr = MSR_EFER, .value = 1ull << 20},
                {.msr = MSR_VMX_BASIC},
                {.msr = MSR_FEATURE_CONTROL},
        };
        const unsigned k = (unsigned)(twin_random(t) % ARRAY_LEN(bad));
        *e = bad[k];
        twin_what(t, " bad %x,%x,%llx", e->msr, e->reserved, (unsigned long long)e->value);
}

static void fill(struct twin *t, struct msr_entry *list, unsigned count)
{
        memset(list, 0, LIST_MOST * sizeof(*list));
        for (unsigned i = 0; i < count; i++) {
                list[i].msr = good[twin_random(t) % ARRAY_LEN(good)];
                list[i].value = good_value(t);
        }
}

static void show_msrs(struct twin *t)
{
        for (unsigned i = 0; i < ARRAY_LEN(good); i++)
                twin_see(t, "%s%llx", i ? "," : " msrs ", (unsigned long long)hw_rdmsr(good[i]));
}

void list_one(struct twin *t, unsigned n)
{
        const unsigned loads = n % (LIST_MOST + 1);
        const unsigned stores = (unsigned)(twin_random(t) % LIST_MOST),
                       backs = (unsigned)(twin_random(t) % LIST_MOST);
        for (unsigned i = 0; i < ARRAY_LEN(good); i++)
                hw_wrmsr(good[i], i);
        twin_use(t, BASE_64);
        fill(t, load, loads);
        fill(t, store, stores);
        fill(t, back, backs);
        twin_what(t, " load %u store %u back %u", loads, stores, backs);
        if (loads && n % 3) {
                const unsigned at = (unsigned)(twin_random(t) % loads);
                twin_what(t, " at %u", at + 1);
                spoil(t, &load[at]);
        }
        twin_set_quietly(t, F_entry_msr_load, (uint64_t)load);
        twin_set_quietly(t, F_entry_msr_load_count, loads);
        twin_set_quietly(t, F_exit_msr_store, (uint64_t)store);
        twin_set_quietly(t, F_exit_msr_store_count, stores);
        twin_set_quietly(t, F_exit_msr_load, (uint64_t)back);
        twin_set_quietly(t, F_exit_msr_load_count, backs);
        twin_run(t);
        for (unsigned i = 0; i < stores; i++)
                twin_see(t, "%s%llx", i ? "," : " stored ", (unsigned long long)store[i].value);
        show_msrs(t);
}
