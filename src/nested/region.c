/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/region.h"
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"
#include "hw/vmx_ops.h"
#include "vmx/ctl.h"
#include "vmx/host_state.h"
#include "vmx/root.h"

#define LINK_NONE (~0ull)

/* What of struct vmcs12 lies in the guest's region while the VMCS is not held: all but the revision, which is the
 * guest's to write (SDM 3C "Format of the VMCS Region"). */
#define IMAGE_SKIP offsetof(struct vmcs12, abort)

void region12_switch_to(struct nested *n, struct vcpu *v, struct region12 *r)
{
        if (n->shadowing && !n->in_l2)
                vmcs_switch(v, &r->hw, false, &r->hw);
        else
                vmcs_make_current(v, &r->hw);
}

void region12_switch_back(struct nested *n, struct vcpu *v, struct region12 *r)
{
        if (n->in_l2)
                vmcs_make_current(v, &n->current->hw);
        else if (n->shadowing)
                vmcs_switch(v, &r->hw, true, &v->vmcs01);
        else
                vmcs_make_current(v, &v->vmcs01);
}

/* Fields of home HW that the guest is offered, one statement each: straight code, as this runs at every entry of the
 * guest's guest. */
#define HELD(name, enc, home, needs, type_wanted)                                                            \
        (HOME_##home == HOME_HW && GET(enc, FIELD_ENC_TYPE) == (type_wanted) &&                              \
         (NEEDS_##needs == NEEDS_ALWAYS || n->held[FI_##name]))

void region12_pull_guest(struct nested *n, struct region12 *r)
{
#define FIELD(name, enc, width, home, shadow, needs)                                                         \
        if (HELD(name, enc, home, needs, TYPE_GUEST) || HELD(name, enc, home, needs, TYPE_CONTROL))          \
                r->v.name = (vmcs_##width)vmread(enc);
#include "vmx/fields.def"
#undef FIELD
}

void region12_pull_flow(struct nested *n, struct region12 *r)
{
        r->v.guest_rip = vmread(F_guest_rip);
        r->v.guest_rflags = vmread(F_guest_rflags);
        r->v.guest_interruptibility = (uint32_t)vmread(F_guest_interruptibility);
        r->v.guest_activity = (uint32_t)vmread(F_guest_activity);
        r->v.guest_pending_dbg = vmread(F_guest_pending_dbg);
        r->v.guest_cr0 = vmread(F_guest_cr0);
        r->v.guest_cr3 = vmread(F_guest_cr3);
        r->v.guest_cr4 = vmread(F_guest_cr4);
        r->v.guest_cs_ar = (uint32_t)vmread(F_guest_cs_ar);
        r->v.guest_ss_ar = (uint32_t)vmread(F_guest_ss_ar);
        r->v.guest_efer = vmread(F_guest_efer);
        r->v.guest_pat = vmread(F_guest_pat);
        r->v.guest_debugctl = vmread(F_guest_debugctl);
        r->v.guest_dr7 = vmread(F_guest_dr7);
        r->v.entry_intr_info = (uint32_t)vmread(F_entry_intr_info);
        r->v.entry_error_code = (uint32_t)vmread(F_entry_error_code);
        r->v.entry_insn_len = (uint32_t)vmread(F_entry_insn_len);
        if (__builtin_expect(r->apicv, 0) && n->held[FI_tpr_threshold])
                r->v.tpr_threshold = (uint32_t)vmread(F_tpr_threshold);
        if (n->held[FI_guest_preemption_timer])
                r->v.guest_preemption_timer = (uint32_t)vmread(F_guest_preemption_timer);
}

void region12_pull_exit(struct nested *n, struct region12 *r)
{
#define FIELD(name, enc, width, home, shadow, needs)                                                         \
        if (HELD(name, enc, home, needs, TYPE_READ_ONLY))                                                    \
                r->v.name = (vmcs_##width)vmread(enc);
#include "vmx/fields.def"
#undef FIELD
}

static void push(struct nested *n, const struct region12 *r)
{
#define FIELD(name, enc, width, home, shadow, needs)                                                         \
        if (HELD(name, enc, home, needs, TYPE_GUEST) || HELD(name, enc, home, needs, TYPE_CONTROL) ||        \
            (HELD(name, enc, home, needs, TYPE_READ_ONLY) && !n->exit_info_in_image))                        \
                vmwrite(enc, r->v.name);
#include "vmx/fields.def"
#undef FIELD
}

void region12_push_guest(struct nested *n, const struct region12 *r)
{
#define FIELD(name, enc, width, home, shadow, needs)                                                         \
        if (HELD(name, enc, home, needs, TYPE_GUEST))                                                        \
                vmwrite(enc, r->v.name);
#include "vmx/fields.def"
#undef FIELD
}

/* Where the truth of a field is. */
static bool is_in_hw(const struct nested *n, const struct vmcs_field_info *f)
{
        return f->home == HOME_HW && n->held[f->id] && !(f->type == TYPE_READ_ONLY && n->exit_info_in_image);
}

uint64_t region12_read(struct nested *n, struct vcpu *v, struct region12 *r, const struct vmcs_field_info *f)
{
        if (is_in_hw(n, f)) {
                region12_switch_to(n, v, r);
                vmcs12_write(&r->v, &(struct vmcs_field_info){ .id = f->id, .width = f->width }, vmread(f->enc));
                region12_switch_back(n, v, r);
        }
        return vmcs12_read(&r->v, f);
}

void region12_write(struct nested *n, struct vcpu *v, struct region12 *r, const struct vmcs_field_info *f, uint64_t value)
{
        const bool in_hw = is_in_hw(n, f);
        const struct vmcs_field_info whole = { .id = f->id, .width = f->width };
        if (in_hw) {
                region12_switch_to(n, v, r);
                vmcs12_write(&r->v, &whole, vmread(f->enc)); /* the other half of a high access */
        }
        vmcs12_write(&r->v, f, value);
        if (in_hw) {
                vmwrite(f->enc, vmcs12_read(&r->v, &whole));
                region12_switch_back(n, v, r);
        }
        if (f->type == TYPE_GUEST)
                r->guest_due |= f->shadow != SHADOW_RW;
        else if (f->type != TYPE_READ_ONLY && f->shadow != SHADOW_RW)
                r->controls_dirty = r->checks_due = true;
        r->host_known &= f->type == TYPE_GUEST;
}

struct region12 *region12_find(struct nested *n, l1gpa_t at)
{
        for (struct region12 *r = n->region; r < n->region + NESTED_REGIONS; r++)
                if (r->used && r->at.raw == at.raw)
                        return r;
        return NULL;
}

struct region12 *region12_linked(struct nested *n)
{
        return n->current->v.vmcs_link == LINK_NONE ? NULL : region12_find(n, L1GPA(n->current->v.vmcs_link));
}

void region12_drop(struct nested *n, struct vcpu *v, struct region12 *r)
{
        region12_switch_to(n, v, r);
        region12_pull_guest(n, r);
        if (!n->exit_info_in_image)
                region12_pull_exit(n, r);
        region12_switch_back(n, v, r);
        uint8_t *image = guest_mem_at(&v->mem, r->at, PAGE_SIZE);
        BUG_UNLESS(image); /* RAM does not go away */
        memcpy(image + IMAGE_SKIP, (const uint8_t *)&r->v + IMAGE_SKIP, sizeof(r->v) - IMAGE_SKIP);
        vmcs_clear(&r->hw);
        r->used = false;
}

/* A free slot, or the one of a VMCS that has not been used for longest. */
static struct region12 *take_slot(struct nested *n, struct vcpu *v)
{
        struct region12 *oldest = NULL;
        for (struct region12 *r = n->region; r < n->region + NESTED_REGIONS; r++) {
                if (!r->used)
                        return r;
                if (r != n->current && !r->owned && (!oldest || r->last_use < oldest->last_use))
                        oldest = r;
        }
        region12_drop(n, v, oldest);
        return oldest;
}

static void alloc_hw(struct vcpu *v, struct region12 *r)
{
        r->hw.region = vmcs_region_alloc(v->hw, v->pool);
        vmcs_clear(&r->hw);
        vmcs_own(v, &r->hw, 0);
}

struct region12 *region12_load(struct nested *n, struct vcpu *v, l1gpa_t at)
{
        struct region12 *r = region12_find(n, at);
        if (!r) {
                const uint8_t *image = guest_mem_at(&v->mem, at, PAGE_SIZE);
                BUG_UNLESS(image); /* callers have checked */
                r = take_slot(n, v);
                const struct hw_vmcs hw = r->hw;
                *r = (struct region12){ .used = true, .at = at, .hw = hw, .controls_dirty = true,
                                         .checks_due = true, .guest_due = true };
                memcpy(&r->v, image, sizeof(r->v));
                if (!r->hw.region.raw)
                        alloc_hw(v, r);
                region12_switch_to(n, v, r);
                host_state_write(v);
                push(n, r);
                region12_switch_back(n, v, r);
        }
        r->last_use = ++n->uses;
        return r;
}

void region12_link(struct nested *n, struct vcpu *v)
{
        if (n->shadowing)
                ctl_write(v, vmcs_link, n->current ? n->current->hw.region.raw : LINK_NONE);
}
