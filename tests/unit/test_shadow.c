/* SPDX-License-Identifier: BSD-2-Clause */
/* The bitmaps of VMCS shadowing against each row of fields.def. */
#include <string.h>
#include "suite.h"
#include "base/addr.h"
#include "shadow-vmcs/shadow.h"
#include "vmx/controls.h"

#define ENCODINGS (PAGE_SIZE * 8)

static uint64_t vmread_bits[PAGE_SIZE / 8], vmwrite_bits[PAGE_SIZE / 8];

/* Everything is on offer. */
static struct vmx_caps full(void)
{
        return (struct vmx_caps){ .pin.may1 = UINT32_MAX,
                                  .proc.may1 = UINT32_MAX,
                                  .proc2.may1 = UINT32_MAX,
                                  .exit.may1 = UINT32_MAX,
                                  .entry.may1 = UINT32_MAX,
                                  .ept_vpid = UINT64_MAX,
                                  .vmfunc = UINT64_MAX,
                                  .misc = UINT64_MAX };
}

static bool exits(const uint64_t *bitmap, uint32_t enc)
{
        const uint8_t byte = ((const uint8_t *)bitmap)[enc / 8]; /* SDM: bit n of the bitmap, counted from byte 0 */
        return byte >> enc % 8 & 1;
}

static const struct row {
        const char *name;
        uint32_t enc;
        enum vmcs_shadow shadow;
} rows[] = {
#define FIELD(name, enc, w, h, s, n) { #name, enc, SHADOW_##s },
#include "vmx/fields.def"
#undef FIELD
};

static void check_rows(const struct vmx_caps *caps)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)i);
                ck_assert_uint_eq(f.enc, rows[i].enc);
                const bool there = vmcs_field_exists(&f, caps);
                ck_assert_msg(exits(vmread_bits, f.enc) == !(there && rows[i].shadow != SHADOW_NONE), "VMREAD %s",
                              rows[i].name);
                ck_assert_msg(exits(vmwrite_bits, f.enc) == !(there && rows[i].shadow == SHADOW_RW), "VMWRITE %s",
                              rows[i].name);
        }
}

static bool is_row(uint32_t enc)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                if (rows[i].enc == enc)
                        return true;
        return false;
}

START_TEST(each_field_of_the_table)
{
        const struct vmx_caps caps = full();
        memset(vmread_bits, 0, sizeof(vmread_bits));
        memset(vmwrite_bits, 0, sizeof(vmwrite_bits));
        shadow_bitmaps_build(&caps, vmread_bits, vmwrite_bits);
        check_rows(&caps);
        ck_assert(!exits(vmread_bits, F_guest_rip) && !exits(vmwrite_bits, F_guest_rip));
        ck_assert(!exits(vmread_bits, F_exit_reason) && exits(vmwrite_bits, F_exit_reason));
        ck_assert(exits(vmread_bits, F_pin_ctls) && exits(vmwrite_bits, F_pin_ctls));
        ck_assert(!exits(vmread_bits, F_guest_pat) && !exits(vmwrite_bits, F_guest_preemption_timer));
}
END_TEST

START_TEST(every_other_encoding_exits)
{
        const struct vmx_caps caps = full();
        shadow_bitmaps_build(&caps, vmread_bits, vmwrite_bits);
        for (uint32_t enc = 0; enc < ENCODINGS; enc++)
                if (!is_row(enc)) /* upper halves of 64-bit fields too */
                        REQUIRE(exits(vmread_bits, enc) && exits(vmwrite_bits, enc), "encoding %#x", enc);
}
END_TEST

START_TEST(fields_that_are_not_offered_exit)
{
        static const uint32_t optional[] = { F_guest_physical, F_guest_pat, F_guest_efer, F_guest_pdpte0,
                                             F_guest_pdpte3, F_guest_preemption_timer };
        const struct vmx_caps none = { 0 };
        memset(vmread_bits, 0, sizeof(vmread_bits));
        memset(vmwrite_bits, 0, sizeof(vmwrite_bits));
        shadow_bitmaps_build(&none, vmread_bits, vmwrite_bits);
        check_rows(&none);
        for (size_t i = 0; i < ARRAY_LEN(optional); i++)
                ck_assert(exits(vmread_bits, optional[i]) && exits(vmwrite_bits, optional[i]));
        ck_assert(!exits(vmread_bits, F_guest_rip) && !exits(vmwrite_bits, F_guest_rip));
}
END_TEST

START_TEST(one_capability_at_a_time)
{
        struct vmx_caps caps = full();
        caps.pin.may1 &= ~(uint32_t)PIN_PREEMPTION_TIMER;
        shadow_bitmaps_build(&caps, vmread_bits, vmwrite_bits);
        check_rows(&caps);
        ck_assert(exits(vmread_bits, F_guest_preemption_timer) && exits(vmwrite_bits, F_guest_preemption_timer));
        ck_assert(!exits(vmread_bits, F_guest_pat) && !exits(vmread_bits, F_guest_physical));
        caps = full();
        caps.proc2.may1 &= ~(uint32_t)PROC2_EPT;
        shadow_bitmaps_build(&caps, vmread_bits, vmwrite_bits);
        check_rows(&caps);
        ck_assert(exits(vmread_bits, F_guest_physical) && exits(vmwrite_bits, F_guest_pdpte2));
        ck_assert(!exits(vmread_bits, F_guest_preemption_timer));
}
END_TEST

int main(void)
{
        return RUN_SUITE("shadow", each_field_of_the_table, every_other_encoding_exits,
                         fields_that_are_not_offered_exit, one_capability_at_a_time);
}
