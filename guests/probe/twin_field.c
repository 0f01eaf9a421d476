/* SPDX-License-Identifier: BSD-2-Clause */
/* Class field: VMREAD and VMWRITE of every encoding, whether there is such a field or not. SDM 3D "Field
 * Encoding in VMCS". */
#include "twin_classes.h"

#define INDICES      60u  /* of each width and type: more than any processor has */
#define GROUPS       16u  /* widths times types */
#define RANDOM_CASES 300u /* any 64-bit number as an encoding */
#define PATTERN      0x5aa5c33c96690ff0ull

unsigned field_count(void)
{
        return GROUPS * INDICES * 2 + RANDOM_CASES;
}

static uint64_t encoding(struct twin *t, unsigned n)
{
        if (n >= GROUPS * INDICES * 2)
                return twin_random(t) & (twin_random(t) | 0x7fff);
        const unsigned group = n / (INDICES * 2), index = n % (INDICES * 2);
        return PUT(0, FIELD_ENC_WIDTH, group / 4) | PUT(0, FIELD_ENC_TYPE, group % 4) | index;
}

static enum hw_status try_vmread(uint64_t field, uint64_t *value)
{
        bool cf, zf;
        uint64_t v = PATTERN;
        __asm__ volatile("vmread %[f], %[v]" : [v] "+r"(v), "=@ccc"(cf), "=@ccz"(zf) : [f] "r"(field));
        *value = v;
        return vmx_status(cf, zf);
}

/* Access rights have reserved bits that a processor need not keep; the error number is that of the last
 * failure. */
static uint64_t defined_bits(uint64_t field)
{
        const bool access_rights = field >= F_guest_es_ar && field <= F_guest_tr_ar;
        return access_rights ? ~(uint64_t)AR_RESERVED : field == F_insn_error ? 0 : ~0ull;
}

void field_one(struct twin *t, unsigned n)
{
        const uint64_t field = encoding(t, n);
        uint64_t before = 0, after = 0;
        twin_use(t, BASE_64);
        twin_what(t, " 0x%llx", (unsigned long long)field);
        struct vmcs_field_info f;
        if (vmcs_field_find(field, &f) && !t->exists[f.id])
                twin_see(t, " absent %s", vmcs_field_name(field));
        const enum hw_status read = try_vmread(field, &before);
        twin_see_status(t, read);
        const uint64_t mask = defined_bits(field);
        const enum hw_status write = hw_vmwrite(field, PATTERN & mask);
        twin_see_status(t, write);
        if (read != HW_OK || write != HW_OK)
                return;
        twin_see_status(t, try_vmread(field, &after));
        twin_see(t, " 0x%llx", (unsigned long long)(after & mask));
        twin_see_status(t, hw_vmwrite(field, before));
}
