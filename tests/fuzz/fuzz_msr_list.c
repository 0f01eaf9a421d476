/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR lists of VMCS12 at every edge of RAM and of any length: bounded in time, within RAM, and entry by entry what
 * a second reading of SDM 3C "Loading MSRs" and "Saving MSRs" says.
 *
 * Input: the list's address and count, which MSRs are refused, then bytes that fill RAM around the list. */
#include "base/bug.h"
#include "base/msr_numbers.h"
#include "edges.h"
#include "nested/entry.h"

#define ENTRY_BYTES 16ull
#define LIST_MAX    512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t ram[EDGES_LOW + EDGES_HIGH] __attribute__((aligned(16)));
static uint8_t before[sizeof(ram)];
static struct vcpu v = { .mem = { .ram = ram, .low_bytes = EDGES_LOW, .high_bytes = EDGES_HIGH } };

/* A processor whose RDMSR and WRMSR refuse what `mask` says, and count. */
static struct {
        uint64_t mask;
        unsigned reads, writes;
} msrs;

static bool refused(uint32_t msr)
{
        return msrs.mask >> (msr % 64) & 1;
}

static bool read_msr(void *ctx, uint32_t msr, uint64_t *value)
{
        msrs.reads++;
        *value = 0x0123456789abcdefull ^ msr;
        return !refused(msr);
}

static bool write_msr(void *ctx, uint32_t msr, uint64_t value)
{
        msrs.writes++;
        return !refused(msr);
}

static struct nested n = { .msr = { .read = read_msr, .write = write_msr } };

static uint8_t *entry(uint64_t list, uint32_t i)
{
        const uint64_t at = list + i * ENTRY_BYTES;
        if (!edges_is_ram(at, ENTRY_BYTES))
                return NULL;
        return ram + (at < EDGES_LOW ? at : at - SIZE_4G + EDGES_LOW);
}

/* What stops the list, from 1; 0: nothing. */
static uint64_t first_bad(uint64_t list, uint32_t count, bool load)
{
        for (uint32_t i = 0; i < count; i++) {
                const uint8_t *e = i < LIST_MAX ? entry(list, i) : NULL;
                uint32_t word[2];
                if (!e)
                        return (uint64_t)i + 1;
                memcpy(word, e, sizeof(word));
                const bool barred = load ? word[0] == MSR_FS_BASE || word[0] == MSR_GS_BASE || word[0] == 0x9b : word[0] == 0x9e;
                if (word[1] || barred || (word[0] >= 0x800 && word[0] <= 0x8ff) || refused(word[0]))
                        return (uint64_t)i + 1;
        }
        return 0;
}

/* Only values of entries that came before the bad one may have been written. */
static void check_store(uint64_t list, uint64_t good)
{
        for (uint32_t i = 0; i < good; i++) {
                uint8_t *e = entry(list, i);
                uint32_t msr;
                uint64_t value;
                memcpy(&msr, e, sizeof(msr));
                memcpy(&value, e + 8, sizeof(value));
                BUG_UNLESS(value == (0x0123456789abcdefull ^ msr));
                memcpy(e + 8, before + (e - ram) + 8, 8);
        }
        BUG_UNLESS(memcmp(ram, before, sizeof(ram)) == 0);
}

static void fill(struct input *in, uint64_t list)
{
        memset(ram, 0, sizeof(ram));
        for (uint32_t i = 0; i < LIST_MAX && in->left; i++) {
                uint8_t *e = entry(list, i);
                if (e)
                        take(in, e, ENTRY_BYTES);
        }
        memcpy(before, ram, sizeof(ram));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = { data, size };
        const uint64_t list = take_edge(&in) & ~(ENTRY_BYTES - 1); /* unaligned ones never pass the entry checks */
        const uint32_t count = take_u8(&in) & 1 ? take_u32(&in) : take_u16(&in) % (LIST_MAX + 2);
        msrs.mask = take_u64(&in);
        fill(&in, list);

        const uint64_t bad_load = first_bad(list, count, true), bad_store = first_bad(list, count, false);
        msrs.reads = msrs.writes = 0;
        BUG_UNLESS(nested_load_msrs(&n, &v, list, count) == bad_load);
        BUG_UNLESS(msrs.reads == 0 && msrs.writes <= LIST_MAX && msrs.writes <= count);
        BUG_UNLESS(memcmp(ram, before, sizeof(ram)) == 0);
        msrs.writes = 0;
        BUG_UNLESS(nested_store_msrs(&n, &v, list, count) == bad_store);
        BUG_UNLESS(msrs.writes == 0 && msrs.reads <= LIST_MAX && msrs.reads <= count);
        check_store(list, bad_store ? bad_store - 1 : count);
        return 0;
}
