/* SPDX-License-Identifier: BSD-2-Clause */
/* caps.h - VMX capabilities of a processor as plain data, and the subset that our guest is offered. [pure]
 *
 * The same struct describes the silicon (`hw`) and what the guest hypervisor sees (`caps12`). Nothing here
 * executes RDMSR: the reader is passed in, so tests load the capabilities of any processor. */
#ifndef CASCADE_VMX_CAPS_H
#define CASCADE_VMX_CAPS_H

#include <stdbool.h>
#include <stdint.h>
#include "vmx/features.h"
#include "vmx/fields.h"

/* SDM 3D "VM-Execution Controls" of the capability MSRs: what a control word may look like. */
struct ctl_caps {
        uint32_t must1; /* bits that have to be 1 */
        uint32_t may1;  /* bits that can be 1, must1 included */
};

struct vmx_caps {
        uint64_t basic;
        struct ctl_caps pin, proc, proc2, exit, entry; /* by the TRUE MSRs where there are any */
        uint64_t misc;
        uint64_t cr0_fixed0, cr0_fixed1;
        uint64_t cr4_fixed0, cr4_fixed1;
        uint64_t vmcs_enum;
        uint64_t ept_vpid;
        uint64_t vmfunc;
        /* Not in VMX MSRs. vmx_caps_from_msrs() sets the least that every processor with VMX has; who knows
         * CPUID overwrites them. */
        uint8_t maxphyaddr;        /* CPUID 80000008 */
        uint8_t linear_bits;       /* CPUID 80000008: 48 or 57 */
        uint64_t efer_mask;        /* bits of IA32_EFER that can be 1 */
        uint64_t debugctl_mask;    /* bits of IA32_DEBUGCTL that can be 1 */
        uint64_t perf_global_mask; /* bits of IA32_PERF_GLOBAL_CTRL that can be 1 */
        bool rtm;                  /* CPUID 7 */
        bool sgx;                  /* CPUID 7 */
};

/* First word of the VMCS regions of a guest hypervisor. */
#define CASCADE_VMCS12_REVISION 0x0ca5cade

static inline bool ctl_allowed(struct ctl_caps c, uint32_t v)
{
        return (v & c.must1) == c.must1 && !(v & ~c.may1);
}

/* Reads MSRs 0x480 .. 0x491 through `rdmsr`, those only that the ones before say exist. */
void vmx_caps_from_msrs(struct vmx_caps *caps, uint64_t (*rdmsr)(void *ctx, uint32_t msr), void *ctx);

/* What CPUID adds: widths and MSR masks; and a control about an instruction that CPUID does not list goes, so that whoever
 * is offered the control finds the instruction in the CPUID that we pass on (run/cpuid.h). */
struct cpuid_regs;
void vmx_caps_add_cpuid(struct vmx_caps *caps, struct cpuid_regs (*cpuid)(uint32_t leaf, uint32_t subleaf));

/* The capabilities offered to a guest hypervisor: only what the silicon has, cascade virtualizes (features.def) and
 * `mask` does not take away, and nothing that depends on something left out. */
struct vmx_caps caps12_derive(const struct vmx_caps *hw, const struct feature_mask *mask);

/* Value of a VMX capability MSR as a guest with these capabilities reads it; *known false: RDMSR is #GP. */
uint64_t caps12_msr(const struct vmx_caps *caps, uint32_t msr, bool *known);

/* Whether a processor with these capabilities has what the field's table row needs. */
bool vmcs_field_exists(const struct vmcs_field_info *f, const struct vmx_caps *caps);

#endif
