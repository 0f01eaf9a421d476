/* SPDX-License-Identifier: BSD-2-Clause */
/* vmcs12.h - the software image of the VMCS that a guest hypervisor writes. [pure]
 *
 * Its layout is ours: no processor reads it, and a guest that looks at its VMCS region sees nothing defined.
 * While hardware VMCS shadowing is in use, fields whose home is HW are only valid here after they were read
 * back. Access by encoding goes through vmcs_field_find(), which bounds it; these functions cannot fail. */
#ifndef CASCADE_NESTED_VMCS12_H
#define CASCADE_NESTED_VMCS12_H

#include "base/addr.h"
#include "vmx/controls.h"
#include "vmx/fields.h"

struct vmcs12 {
        uint32_t revision; /* as in the guest's region; bit 31: shadow-VMCS indicator */
        uint32_t abort;    /* VMX-abort indicator */
        uint32_t launched; /* launch state: 0 clear, 1 launched */
        uint32_t zero;
#define FIELD(name, enc, w, h, s, n) vmcs_##w name;
#include "vmx/fields.def"
#undef FIELD
};
_Static_assert(sizeof(struct vmcs12) <= PAGE_SIZE, "fits the region that IA32_VMX_BASIC announces");

/* Value of a field, zero-extended; the upper half only if f->high. */
uint64_t vmcs12_read(const struct vmcs12 *v, const struct vmcs_field_info *f);

/* Sets a field to `value`, cut to its width; with f->high the upper half, leaving the lower. */
void vmcs12_write(struct vmcs12 *v, const struct vmcs_field_info *f, uint64_t value);

/* SDM 3C "Processor-Based VM-Execution Controls": without the primary control that activates them, the
 * secondary controls are 0 whatever the field holds. */
static inline uint32_t vmcs12_proc2(const struct vmcs12 *v)
{
        return v->proc_ctls & PROC_SECONDARY ? v->proc2_ctls : 0;
}

#endif
