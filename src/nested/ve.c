/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/ve.h"
#include "base/libc.h"

/* SDM 3C "Virtualization-Exception Information" */
struct ve_info {
        uint32_t reason;
        uint32_t busy; /* no further exception until the guest's guest has cleared it */
        uint64_t qualification, guest_linear, guest_physical;
        uint16_t eptp_index;
} __attribute__((packed));
_Static_assert(sizeof(struct ve_info) == 34, "SDM 3C table \"Format of the Virtualization-Exception Information Area\"");

#define VE_BUSY UINT32_MAX

/* SDM 3C "Convertible EPT Violations": bit 63 of the entry that ended the walk decides, be it absent or a leaf. An
 * address beyond the tables meets no entry. */
static bool convertible(const struct ept_walk *w)
{
        return w->verdict == EPT_VIOLATION && w->entry_valid && !(w->entry & EPTE_SVE);
}

bool ve_take(const struct vmcs12 *v, const struct guest_mem *mem, const struct ve_cause *c)
{
        if (!(vmcs12_proc2(v) & PROC2_VE) || !convertible(c->walk) || !c->protected_mode || c->delivering_event)
                return false;
        uint8_t *const area = guest_mem_at(mem, L1GPA(v->ve_info), sizeof(struct ve_info));
        if (!area) /* not RAM: reads as ones, so it is busy */
                return false;
        const uint32_t *const busy = (const uint32_t *)(area + offsetof(struct ve_info, busy));
        if (__atomic_load_n(busy, __ATOMIC_RELAXED) != 0)
                return false;
        const struct ve_info info = {
                .reason = EXIT_EPT_VIOLATION,
                .busy = VE_BUSY,
                .qualification = c->walk->qualification,
                .guest_linear = c->guest_linear,
                .guest_physical = c->guest_physical,
                .eptp_index = v->eptp_index,
        };
        memcpy(area, &info, sizeof(info));
        return true;
}
