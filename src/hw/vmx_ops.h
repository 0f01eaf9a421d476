/* SPDX-License-Identifier: BSD-2-Clause */
/* vmx_ops.h - the VMX instructions as inline functions that report CF and ZF apart. No policy.
 * SDM 3C "Conventions": CF = VMfailInvalid, ZF = VMfailValid. */
#ifndef CASCADE_HW_VMX_OPS_H
#define CASCADE_HW_VMX_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/bug.h"

enum hw_status { HW_OK, HW_FAIL_VALID, HW_FAIL_INVALID };

#define HW_VMX_OP(text, ...)                                                                                 \
        do {                                                                                                 \
                bool cf, zf;                                                                                 \
                __asm__ volatile(text : "=@ccc"(cf), "=@ccz"(zf) : __VA_ARGS__ : "memory");                  \
                return cf ? HW_FAIL_INVALID : zf ? HW_FAIL_VALID : HW_OK;                                    \
        } while (0)

static inline __attribute__((warn_unused_result)) enum hw_status hw_vmxon(hpa_t region)
{
        HW_VMX_OP("vmxon %[p]", [p] "m"(region.raw));
}

static inline __attribute__((warn_unused_result)) enum hw_status hw_vmclear(hpa_t region)
{
        HW_VMX_OP("vmclear %[p]", [p] "m"(region.raw));
}

static inline __attribute__((warn_unused_result)) enum hw_status hw_vmptrld(hpa_t region)
{
        HW_VMX_OP("vmptrld %[p]", [p] "m"(region.raw));
}

static inline __attribute__((warn_unused_result)) enum hw_status hw_invept(uint64_t type, uint64_t eptp)
{
        const struct {
                uint64_t eptp, zero;
        } d = { eptp, 0 };
        HW_VMX_OP("invept %[d], %[t]", [d] "m"(d), [t] "r"(type));
}

static inline __attribute__((warn_unused_result)) enum hw_status hw_invvpid(uint64_t type, uint16_t vpid, uint64_t linear)
{
        const struct {
                uint64_t vpid, linear;
        } d = { vpid, linear };
        HW_VMX_OP("invvpid %[d], %[t]", [d] "m"(d), [t] "r"(type));
}

/* The field exists and a VMCS is current: anything else is a bug of ours. One instruction and one branch. */
static inline uint64_t vmread(uint64_t field)
{
        uint64_t v;
        bool fail;
        __asm__ volatile("vmread %[f], %[v]" : [v] "=r"(v), "=@ccbe"(fail) : [f] "r"(field));
        BUG_UNLESS(!fail);
        return v;
}

static inline void vmwrite(uint64_t field, uint64_t value)
{
        bool fail;
        __asm__ volatile("vmwrite %[v], %[f]" : "=@ccbe"(fail) : [v] "rm"(value), [f] "r"(field));
        BUG_UNLESS(!fail);
}

/* For fields that the processor may lack. */
static inline __attribute__((warn_unused_result)) enum hw_status hw_vmwrite(uint64_t field, uint64_t value)
{
        HW_VMX_OP("vmwrite %[v], %[f]", [v] "r"(value), [f] "r"(field));
}

#undef HW_VMX_OP
#endif
