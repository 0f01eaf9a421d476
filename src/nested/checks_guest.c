/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/checks_rules.h"

#define CR3_PAE_ADDR   BITS(31, 5)
#define PDPTE_P        BIT(0)
#define PDPTE_RESERVED (BITS(2, 1) | BITS(8, 5))

static bool pdpte_ok(const struct vmx_caps *c, uint64_t pdpte)
{
        return !(pdpte & PDPTE_P) || (!(pdpte & PDPTE_RESERVED) && in_width(c, pdpte));
}

static bool all_ok(const struct vmx_caps *c, const uint64_t pdptes[PDPTES])
{
        for (unsigned i = 0; i < PDPTES; i++)
                if (!pdpte_ok(c, pdptes[i]))
                        return false;
        return true;
}

bool pdptes_read(const struct guest_mem *mem, const struct vmx_caps *c, uint64_t cr3, uint64_t out[PDPTES])
{
        const uint64_t *table = guest_mem_at(mem, L1GPA(cr3 & CR3_PAE_ADDR), PDPTES * sizeof(*table));
        for (unsigned i = 0; table && i < PDPTES; i++)
                out[i] = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
        return table && all_ok(c, out);
}

bool pdptes_ok(const struct vmcs12 *v, const struct check_env *e)
{
        uint64_t pdptes[PDPTES] = { v->guest_pdpte0, v->guest_pdpte1, v->guest_pdpte2, v->guest_pdpte3 };
        return proc2(v, PROC2_EPT) ? all_ok(e->caps, pdptes) : pdptes_read(e->mem, e->caps, v->guest_cr3, pdptes);
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
