/* SPDX-License-Identifier: BSD-2-Clause */
#include "shadow-vmcs/shadow.h"
#include "base/addr.h"
#include "base/bits.h"
#include "base/libc.h"

void shadow_bitmaps_build(const struct vmx_caps *caps12, uint64_t *vmread_bitmap, uint64_t *vmwrite_bitmap)
{
        memset(vmread_bitmap, 0xff, PAGE_SIZE);
        memset(vmwrite_bitmap, 0xff, PAGE_SIZE);
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                if (f.shadow == SHADOW_NONE || !vmcs_field_exists(&f, caps12))
                        continue;
                vmread_bitmap[f.enc / 64] &= ~BIT(f.enc % 64);
                if (f.shadow == SHADOW_RW)
                        vmwrite_bitmap[f.enc / 64] &= ~BIT(f.enc % 64);
        }
}
