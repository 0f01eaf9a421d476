/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/checks_rules.h"

#define PDPTES         4
#define CR3_PAE_ADDR   BITS(31, 5)
#define PDPTE_P        BIT(0)
#define PDPTE_RESERVED (BITS(2, 1) | BITS(8, 5))

bool pdpte_ok(const struct vmx_caps *c, uint64_t pdpte)
{
        return !(pdpte & PDPTE_P) || (!(pdpte & PDPTE_RESERVED) && in_width(c, pdpte));
}

bool pdptes_ok(const struct vmcs12 *v, const struct check_env *e)
{
        uint64_t pdptes[PDPTES] = { v->guest_pdpte0, v->guest_pdpte1, v->guest_pdpte2, v->guest_pdpte3 };
        if (!proc2(v, PROC2_EPT)) {
                const void *table = guest_mem_at(e->mem, L1GPA(v->guest_cr3 & CR3_PAE_ADDR), sizeof(pdptes));
                if (!table)
                        return false;
                memcpy(pdptes, table, sizeof(pdptes));
        }
        for (unsigned i = 0; i < PDPTES; i++)
                if (!pdpte_ok(e->caps, pdptes[i]))
                        return false;
        return true;
}

#define CHECK FAIL_UNLESS

struct check_fail check_flow(const struct vmcs12 *v, const struct check_env *e)
{
        const struct vmx_caps *c = e->caps;
#include "nested/checks_flow.def"
        return (struct check_fail){ .id = CHK_NONE };
}

struct check_fail check_guest(const struct vmcs12 *v, const struct check_env *e)
{
        const struct vmx_caps *c = e->caps;
#include "nested/checks_guest.def"
        return check_flow(v, e);
}
