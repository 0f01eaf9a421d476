/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/vmcs12.h"
#include <stddef.h>
#include "base/bug.h"
#include "base/libc.h"

static const uint16_t offsets[VMCS_FIELD_COUNT] = {
#define FIELD(name, enc, w, h, s, n) [FI_##name] = offsetof(struct vmcs12, name),
#include "vmx/fields.def"
#undef FIELD
};

uint64_t vmcs12_read(const struct vmcs12 *v, const struct vmcs_field_info *f)
{
        BUG_UNLESS(f->id < VMCS_FIELD_COUNT);
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)v + offsets[f->id], vmcs_width_bytes(f->width)); /* little-endian */
        return f->high ? value >> 32 : value;
}

void vmcs12_write(struct vmcs12 *v, const struct vmcs_field_info *f, uint64_t value)
{
        BUG_UNLESS(f->id < VMCS_FIELD_COUNT);
        uint8_t *at = (uint8_t *)v + offsets[f->id];
        if (f->high)
                memcpy(at + sizeof(uint32_t), &value, sizeof(uint32_t));
        else
                memcpy(at, &value, vmcs_width_bytes(f->width));
}
