/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/vmfunc.h"
#include "nested/checks_rules.h"

#define FUNCTIONS            64
#define FUNCTION_EPTP_SWITCH 0
#define EPTP_LIST_ENTRIES    512

static uint64_t list_entry(const struct guest_mem *mem, uint64_t list, uint32_t index)
{
        const uint64_t *at = guest_mem_at(mem, L1GPA(list + index * sizeof(*at)), sizeof(*at));
        return at ? __atomic_load_n(at, __ATOMIC_RELAXED) : ~0ull;
}

enum vmfunc_outcome vmfunc_decide(const struct vmcs12 *v, const struct vmx_caps *caps12, const struct guest_mem *mem,
                                  uint32_t eax, uint32_t ecx, uint64_t *eptp)
{
        /* SDM 3C "General Operation of the VMFUNC Instruction" */
        if (eax >= FUNCTIONS)
                return VMFUNC_UNDEFINED;
        if (!(v->vmfunc_ctls >> eax & 1) || eax != FUNCTION_EPTP_SWITCH)
                return VMFUNC_EXIT;
        /* SDM 3C "EPTP Switching" */
        if (ecx >= EPTP_LIST_ENTRIES)
                return VMFUNC_EXIT;
        *eptp = list_entry(mem, v->eptp_list, ecx);
        return eptp_ok(caps12, *eptp) ? VMFUNC_SWITCH : VMFUNC_EXIT;
}
