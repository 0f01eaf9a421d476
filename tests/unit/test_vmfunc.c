/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <string.h>
#include "nested/vmfunc.h"
#include "vmx/epte.h"

#define LIST  0x2000ull
#define GOOD  (0x5000ull | MEMTYPE_WB | PUT(0, EPTP_WALK, EPTP_WALK4))
#define PAGES 4

static uint8_t ram[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
static const struct guest_mem mem = { .ram = ram, .low_bytes = sizeof(ram) };
static const struct vmx_caps caps = { .maxphyaddr = 40, .ept_vpid = EPTCAP_WALK4 | EPTCAP_WB | EPTCAP_AD };
static uint64_t eptp;

static enum vmfunc_outcome decide(uint64_t functions, uint64_t list, uint32_t eax, uint32_t ecx)
{
        const struct vmcs12 v = { .proc_ctls = PROC_SECONDARY, .proc2_ctls = PROC2_EPT | PROC2_VMFUNC,
                                  .vmfunc_ctls = functions, .eptp_list = list };
        eptp = 0;
        return vmfunc_decide(&v, &caps, &mem, eax, ecx, &eptp);
}

static void set_entry(unsigned index, uint64_t value)
{
        memcpy(ram + LIST + index * sizeof(value), &value, sizeof(value));
}

START_TEST(which_function)
{
        set_entry(0, GOOD);
        ck_assert_uint_eq(decide(1, LIST, 0, 0), VMFUNC_SWITCH);
        ck_assert_uint_eq(decide(0, LIST, 0, 0), VMFUNC_EXIT);
        for (uint32_t f = 1; f < 64; f++) {
                ck_assert_uint_eq(decide(1, LIST, f, 0), VMFUNC_EXIT);
                ck_assert_uint_eq(decide(~0ull, LIST, f, 0), VMFUNC_EXIT); /* not offered: VM entry refuses it */
        }
        ck_assert_uint_eq(decide(~0ull, LIST, 64, 0), VMFUNC_UNDEFINED);
        ck_assert_uint_eq(decide(0, LIST, UINT32_MAX, 0), VMFUNC_UNDEFINED);
}
END_TEST

START_TEST(every_entry_of_the_list)
{
        for (uint32_t i = 0; i < 512; i++)
                set_entry(i, GOOD + i * PAGE_SIZE);
        for (uint32_t i = 0; i < 512; i++) {
                ck_assert_uint_eq(decide(1, LIST, 0, i), VMFUNC_SWITCH);
                ck_assert_uint_eq(eptp, GOOD + i * PAGE_SIZE);
        }
        ck_assert_uint_eq(decide(1, LIST, 0, 512), VMFUNC_EXIT);
        ck_assert_uint_eq(decide(1, LIST, 0, UINT32_MAX), VMFUNC_EXIT);
}
END_TEST

START_TEST(entries_that_vm_entry_would_refuse)
{
        static const uint64_t bad[] = {
                0, ~0ull, GOOD ^ 1, GOOD & ~7ull, GOOD ^ BIT(3), GOOD ^ BIT(5), GOOD | BIT(7), GOOD | BIT(11), GOOD | BIT(40),
                GOOD | BIT(63),
        };
        static const uint64_t good[] = { GOOD, GOOD | EPTP_AD, GOOD | BIT(39), GOOD & ~EPTP_ADDR };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                set_entry(7, bad[i]);
                ck_assert_msg(decide(1, LIST, 0, 7) == VMFUNC_EXIT, "row %zu", i);
        }
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
                set_entry(7, good[i]);
                ck_assert_msg(decide(1, LIST, 0, 7) == VMFUNC_SWITCH && eptp == good[i], "row %zu", i);
        }
}
END_TEST

START_TEST(a_list_at_the_edge_of_memory)
{
        ck_assert_uint_eq(decide(1, sizeof(ram), 0, 0), VMFUNC_EXIT);
        ck_assert_uint_eq(decide(1, ~0xfffull, 0, 511), VMFUNC_EXIT);
        const uint64_t last = GOOD;
        memcpy(ram + sizeof(ram) - sizeof(last), &last, sizeof(last));
        ck_assert_uint_eq(decide(1, sizeof(ram) - PAGE_SIZE, 0, 511), VMFUNC_SWITCH);
}
END_TEST

int main(void)
{
        return RUN_SUITE("vmfunc", which_function, every_entry_of_the_list, entries_that_vm_entry_would_refuse,
                         a_list_at_the_edge_of_memory);
}
