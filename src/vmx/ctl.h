/* SPDX-License-Identifier: BSD-2-Clause */
/* ctl.h - control fields of our own VMCSs, with what they hold remembered beside the VMCS.
 *
 * Under another hypervisor control fields are not shadowed, so each VMREAD or VMWRITE of one exits. They are therefore
 * never read back, and written only when they change. The processor changes none of them but one bit: a VM exit
 * stores IA32_EFER.LMA into the VM-entry control "IA-32e mode guest", see ctl_sync_entry(). */
#ifndef CASCADE_VMX_CTL_H
#define CASCADE_VMX_CTL_H

#include "base/x86.h"
#include "hw/vmx_ops.h"
#include "vmx/controls.h"
#include "vmx/vcpu.h"

static inline void ctl_write_field(struct vcpu *v, enum ctl_id id, uint64_t field, uint64_t value)
{
        struct hw_vmcs *vmcs = v->current;
        if (vmcs->ctl[id] == value && (vmcs->ctl_known & BIT(id)))
                return;
        vmcs->ctl[id] = value;
        vmcs->ctl_known |= BIT(id);
        vmwrite(field, value);
}

/* Writes control field `name` of the current VMCS; what it holds; what another VMCS of ours holds. */
#define ctl_write(v, name, value) ctl_write_field((v), CTL_##name, F_##name, (value))
#define ctl_read(v, name)         ((v)->current->ctl[CTL_##name])

/* "IA-32e mode guest" as the processor left it. */
static inline void ctl_sync_entry(struct vcpu *v)
{
        uint64_t *entry = &v->current->ctl[CTL_entry_ctls];
        *entry = vmread(F_guest_efer) & EFER_LMA ? *entry | ENTRY_CTL_GUEST_64 : *entry & ~(uint64_t)ENTRY_CTL_GUEST_64;
}

/* Sets "IA-32e mode guest" for the next entry; before guest_efer changes. */
static inline void ctl_set_ia32e(struct vcpu *v, bool on)
{
        ctl_sync_entry(v);
        const uint64_t others = ctl_read(v, entry_ctls) & ~(uint64_t)ENTRY_CTL_GUEST_64;
        ctl_write(v, entry_ctls, on ? others | ENTRY_CTL_GUEST_64 : others);
}

/* A control register of the guest that the current VMCS runs, as that guest reads it. */
static inline uint64_t ctl_guest_cr0(const struct vcpu *v)
{
        const uint64_t mask = ctl_read(v, cr0_mask);
        return (ctl_read(v, cr0_shadow) & mask) | (vmread(F_guest_cr0) & ~mask);
}

static inline uint64_t ctl_guest_cr4(const struct vcpu *v)
{
        const uint64_t mask = ctl_read(v, cr4_mask);
        return (ctl_read(v, cr4_shadow) & mask) | (vmread(F_guest_cr4) & ~mask);
}

#endif
