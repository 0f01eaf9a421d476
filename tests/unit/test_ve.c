/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <string.h>
#include "nested/ve.h"

#define AREA  0x1000ull
#define BYTES 34 /* of the area that have a meaning */

static uint8_t ram[2 * PAGE_SIZE] __attribute__((aligned(4096)));
static const struct guest_mem mem = { .ram = ram, .low_bytes = sizeof(ram) };
static struct vmcs12 v;
static struct ept_walk walk;
static struct ve_cause cause;

static void setup(void)
{
        memset(ram, 0xcc, sizeof(ram));
        memset(ram + AREA + 4, 0, 4);
        v = (struct vmcs12){ .proc_ctls = PROC_SECONDARY, .proc2_ctls = PROC2_EPT | PROC2_VE, .ve_info = AREA,
                             .eptp_index = 0x1234 };
        walk = (struct ept_walk){ .verdict = EPT_VIOLATION, .entry_valid = true, .qualification = 0x1aa };
        cause = (struct ve_cause){ .walk = &walk, .guest_linear = 0x7fff12345678, .guest_physical = 0x9abcdef,
                                   .protected_mode = true };
}

static uint64_t field(unsigned offset, unsigned bytes)
{
        uint64_t value = 0;
        memcpy(&value, ram + AREA + offset, bytes);
        return value;
}

START_TEST(what_is_written)
{
        setup();
        ck_assert(ve_take(&v, &mem, &cause));
        ck_assert_uint_eq(field(0, 4), 48);
        ck_assert_uint_eq(field(4, 4), 0xffffffff);
        ck_assert_uint_eq(field(8, 8), 0x1aa);
        ck_assert_uint_eq(field(16, 8), 0x7fff12345678);
        ck_assert_uint_eq(field(24, 8), 0x9abcdef);
        ck_assert_uint_eq(field(32, 2), 0x1234);
        for (unsigned i = 0; i < sizeof(ram); i++)
                if (i < AREA || i >= AREA + BYTES)
                        ck_assert_msg(ram[i] == 0xcc, "byte %u", i);
        ck_assert(!ve_take(&v, &mem, &cause)); /* busy now */
}
END_TEST

static void expect_exit(const char *why)
{
        uint8_t before[sizeof(ram)];
        memcpy(before, ram, sizeof(ram));
        ck_assert_msg(!ve_take(&v, &mem, &cause), "%s", why);
        ck_assert_msg(!memcmp(before, ram, sizeof(ram)), "%s: the area has changed", why);
        setup();
}

START_TEST(what_is_an_exit)
{
        setup();
        v.proc2_ctls &= ~PROC2_VE;
        expect_exit("the control is off");
        v.proc_ctls = 0;
        expect_exit("secondary controls are off");
        walk.entry = EPTE_SVE;
        expect_exit("an absent entry suppresses it");
        walk.entry = EPTE_SVE | EPTE_R | 0x5000;
        expect_exit("a leaf suppresses it");
        walk.entry_valid = false;
        expect_exit("no entry was met");
        walk.verdict = EPT_MISCONFIG;
        expect_exit("a misconfiguration");
        walk.verdict = EPT_LOG_FULL;
        expect_exit("a full log");
        cause.protected_mode = false;
        expect_exit("real mode");
        cause.delivering_event = true;
        expect_exit("an event is being delivered");
        v.ve_info = sizeof(ram);
        expect_exit("the area is not RAM");
        v.ve_info = ~0xfffull;
        expect_exit("the area is at the end of all addresses");
        for (unsigned bit = 0; bit < 32; bit++) {
                ram[AREA + 4 + bit / 8] |= (uint8_t)(1u << bit % 8);
                expect_exit("the area is busy");
        }
        walk.entry = ~EPTE_SVE;
        ck_assert(ve_take(&v, &mem, &cause));
}
END_TEST

int main(void)
{
        return RUN_SUITE("ve", what_is_written, what_is_an_exit);
}
