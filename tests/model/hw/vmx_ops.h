/* SPDX-License-Identifier: BSD-2-Clause */
/* vmx_ops.h - stands in for src/hw/vmx_ops.h in tests of the model: the same functions, executed by the
 * modelled processor (tests/model/processor.h). */
#ifndef CASCADE_HW_VMX_OPS_H
#define CASCADE_HW_VMX_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/bug.h"

enum hw_status { HW_OK, HW_FAIL_VALID, HW_FAIL_INVALID };
#define HW_MUST_USE __attribute__((warn_unused_result))

HW_MUST_USE enum hw_status hw_vmxon(hpa_t region);
HW_MUST_USE enum hw_status hw_vmclear(hpa_t region);
HW_MUST_USE enum hw_status hw_vmptrld(hpa_t region);
HW_MUST_USE enum hw_status hw_invept(uint64_t type, uint64_t eptp);
HW_MUST_USE enum hw_status hw_invvpid(uint64_t type, uint16_t vpid, uint64_t linear);
HW_MUST_USE enum hw_status hw_vmwrite(uint64_t field, uint64_t value);
uint64_t vmread(uint64_t field);
void vmwrite(uint64_t field, uint64_t value);

#undef HW_MUST_USE
#endif
