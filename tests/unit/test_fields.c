/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/x86.h"
#include "nested/vmcs12.h"
#include "vmx/fields.h"

/* Every encoding of 16 bits and some beyond: found exactly if the table has it. */
START_TEST(find_is_exact)
{
        static const struct {
                uint32_t enc;
                enum vmcs_width width;
        } table[] = {
#define FIELD(name, enc, w, h, s, n) { enc, W_##w },
#include "vmx/fields.def"
#undef FIELD
        };
        unsigned found = 0;
        for (uint64_t enc = 0; enc < 0x20000; enc++) {
                const bool high = enc & 1;
                int expect = -1;
                for (int i = 0; i < VMCS_FIELD_COUNT; i++)
                        if (table[i].enc == (enc & ~1ull) && (!high || table[i].width == W_U64))
                                expect = i;
                struct vmcs_field_info f;
                ck_assert_msg(vmcs_field_find(enc, &f) == (expect >= 0), "encoding %#lx", (unsigned long)enc);
                if (expect < 0)
                        continue;
                found++;
                ck_assert_uint_eq(f.enc, table[expect].enc);
                ck_assert_int_eq((int)f.id, expect);
                ck_assert_uint_eq(f.width, table[expect].width);
                ck_assert(f.high == high);
        }
        ck_assert_uint_gt(found, VMCS_FIELD_COUNT);
}
END_TEST

START_TEST(find_refuses_wide_values)
{
        struct vmcs_field_info f;
        ck_assert(vmcs_field_find(F_guest_rip, &f));
        for (unsigned bit = 15; bit < 64; bit++)
                ck_assert(!vmcs_field_find(F_guest_rip | BIT(bit), &f));
        ck_assert(!vmcs_field_find(F_guest_rip | BIT(12), &f));
        ck_assert(!vmcs_field_find(~0ull, &f));
}
END_TEST

START_TEST(known_fields)
{
        struct vmcs_field_info f;
        ck_assert(vmcs_field_find(0x681e, &f));
        ck_assert(f.id == FI_guest_rip && f.type == TYPE_GUEST && f.home == HOME_HW && f.shadow == SHADOW_RW);
        ck_assert(vmcs_field_find(0x2801, &f));
        ck_assert(f.id == FI_vmcs_link && f.high && f.shadow == SHADOW_NONE && f.home == HOME_SW);
        ck_assert(vmcs_field_find(0x4402, &f));
        ck_assert(f.id == FI_exit_reason && f.type == TYPE_READ_ONLY && f.shadow == SHADOW_RO);
        ck_assert(vmcs_field_find(0x4000, &f));
        ck_assert(f.id == FI_pin_ctls && f.type == TYPE_CONTROL && f.home == HOME_SW);
        ck_assert(vmcs_field_find(0x6c16, &f));
        ck_assert(f.id == FI_host_rip && f.type == TYPE_HOST && f.shadow == SHADOW_NONE);
        ck_assert_str_eq(vmcs_field_name(0x681e), "guest_rip");
        ck_assert_str_eq(vmcs_field_name(0x2801), "vmcs_link");
        ck_assert_str_eq(vmcs_field_name(0x681f), "?");
        ck_assert_uint_eq(vmcs_max_index(), 0x32 / 2);
}
END_TEST

/* Controls that reach vmcs02 as they are. */
static bool passes_unchanged(enum vmcs_field_id id)
{
        return id == FI_entry_intr_info || id == FI_entry_error_code || id == FI_entry_insn_len ||
               id == FI_tpr_threshold || (id >= FI_eoi_exit_bitmap0 && id <= FI_eoi_exit_bitmap3);
}

/* What may be reached without an exit: exit information by VMREAD alone, and of controls what nobody merges. */
START_TEST(shadow_follows_type)
{
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                ck_assert(f.shadow == SHADOW_NONE || f.home == HOME_HW);
                if (f.type == TYPE_HOST)
                        ck_assert(f.home == HOME_SW);
                if (f.type == TYPE_READ_ONLY)
                        ck_assert(f.shadow == SHADOW_RO);
                if (f.type == TYPE_CONTROL)
                        ck_assert(passes_unchanged(id) == (f.shadow == SHADOW_RW) &&
                                  (f.shadow == SHADOW_NONE) == (f.home == HOME_SW));
        }
}
END_TEST

START_TEST(widths)
{
        ck_assert_uint_eq(vmcs_width_bytes(W_U16), 2);
        ck_assert_uint_eq(vmcs_width_bytes(W_U32), 4);
        ck_assert_uint_eq(vmcs_width_bytes(W_U64), 8);
        ck_assert_uint_eq(vmcs_width_bytes(W_NAT), 8);
}
END_TEST

/* Each field of vmcs12 alone: what is written is read back, cut to its width, and no other field changes. */
START_TEST(vmcs12_fields_are_apart)
{
        const uint64_t ones = ~0ull;
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                struct vmcs12 v = { .revision = 1 };
                const struct vmcs_field_info f = vmcs_field_at(id);
                const unsigned bits = 8 * vmcs_width_bytes(f.width);
                vmcs12_write(&v, &f, ones);
                ck_assert_uint_eq(vmcs12_read(&v, &f), BITS(bits - 1, 0));
                for (unsigned other = 0; other < VMCS_FIELD_COUNT; other++) {
                        const struct vmcs_field_info o = vmcs_field_at(other);
                        if (other != id)
                                ck_assert_uint_eq(vmcs12_read(&v, &o), 0);
                }
                ck_assert(v.revision == 1 && v.abort == 0 && v.launched == 0);
        }
}
END_TEST

START_TEST(vmcs12_high_halves)
{
        struct vmcs12 v = { .tsc_offset = 0x1122334455667788 };
        struct vmcs_field_info low, high;
        ck_assert(vmcs_field_find(F_tsc_offset, &low) && vmcs_field_find(F_tsc_offset + 1, &high));
        ck_assert_uint_eq(vmcs12_read(&v, &high), 0x11223344);
        vmcs12_write(&v, &high, 0xffffffffaabbccdd);
        ck_assert_uint_eq(v.tsc_offset, 0xaabbccdd55667788);
        ck_assert_uint_eq(vmcs12_read(&v, &low), 0xaabbccdd55667788);
}
END_TEST

START_TEST(vmcs12_members_are_fields)
{
        struct vmcs12 v = { .guest_rip = 0xfff, .exit_reason = 10, .vpid = 3 };
        struct vmcs_field_info f;
        ck_assert(vmcs_field_find(F_guest_rip, &f) && vmcs12_read(&v, &f) == 0xfff);
        ck_assert(vmcs_field_find(F_exit_reason, &f) && vmcs12_read(&v, &f) == 10);
        ck_assert(vmcs_field_find(F_vpid, &f) && vmcs12_read(&v, &f) == 3);
        v.proc2_ctls = PROC2_EPT;
        ck_assert_uint_eq(vmcs12_proc2(&v), 0);
        v.proc_ctls = PROC_SECONDARY;
        ck_assert_uint_eq(vmcs12_proc2(&v), PROC2_EPT);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("fields");
        TCase *t = tcase_create("fields");
        tcase_add_test(t, find_is_exact);
        tcase_add_test(t, find_refuses_wide_values);
        tcase_add_test(t, known_fields);
        tcase_add_test(t, shadow_follows_type);
        tcase_add_test(t, widths);
        tcase_add_test(t, vmcs12_fields_are_apart);
        tcase_add_test(t, vmcs12_high_halves);
        tcase_add_test(t, vmcs12_members_are_fields);
        suite_add_tcase(s, t);
        return suite_run(s);
}
