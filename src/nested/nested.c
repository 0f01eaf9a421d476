/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/nested.h"
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"
#include "hw/vmx_ops.h"
#include "nested/entry.h"
#include "nested/region.h"
#include "nested/route.h"
#include "shadow-vmcs/shadow.h"
#include "vmx/ctl.h"
#include "vmx/host_state.h"

uint64_t *nested_page(struct vcpu *v)
{
        uint64_t *p = pool_page(v->pool, POOL_VMCS);
        BUG_UNLESS(p);
        return p;
}

static void init_bitmaps(struct nested *n, struct vcpu *v)
{
        n->msr_bitmap01 = ptr_of(v->msr_bitmap01);
        n->msr_bitmap02 = nested_page(v);
        bitmap_merge_prepare(&n->msr_merge, n->msr_bitmap01, n->msr_bitmap02);
        if (!n->shadowing)
                return;
        n->vmread_bitmap01 = nested_page(v);
        n->vmwrite_bitmap01 = nested_page(v);
        n->vmread_bitmap02 = nested_page(v);
        n->vmwrite_bitmap02 = nested_page(v);
        shadow_bitmaps_build(&n->caps12, n->vmread_bitmap01, n->vmwrite_bitmap01);
        bitmap_merge_prepare(&n->vmread_merge, n->vmread_bitmap01, n->vmread_bitmap02);
        bitmap_merge_prepare(&n->vmwrite_merge, n->vmwrite_bitmap01, n->vmwrite_bitmap02);
        ctl_write(v, vmread_bitmap, hpa_of(n->vmread_bitmap01).raw);
        ctl_write(v, vmwrite_bitmap, hpa_of(n->vmwrite_bitmap01).raw);
}

void nested_init(struct nested *n, struct vcpu *v, const struct nested_options *o)
{
        memset(n, 0, sizeof(*n));
        n->enabled = o->enabled;
        n->msr = o->msr;
        const bool vmwrite_any = v->hw->misc & MISC_VMWRITE_ANY;
        n->shadowing = o->enabled && !o->mask.off[FEATURE_shadow] && (v->hw->proc2.may1 & PROC2_SHADOW) && vmwrite_any;
        n->exit_info_in_image = !vmwrite_any;
        n->vmxon_at = L1GPA(~0ull);
        n->paused_at = ~0ull;
        n->mtf.method = o->mtf;
        struct vmx_caps hw = *v->hw;
        hw.proc.may1 = (hw.proc.may1 & ~PROC_MTF) | (o->mtf == MTF_ABSENT ? 0 : PROC_MTF);
        n->caps12 = caps12_derive(&hw, &o->mask);
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                n->held[id] = vmcs_field_exists(&f, &n->caps12);
        }
        ept02_init(&n->ept02, v->pool, v->hw);
        nested_apicv_init(n, v);
        init_bitmaps(n, v);
}

uint64_t nested_capability(const struct nested *n, uint32_t msr, bool *known)
{
        *known = false;
        return n->enabled ? caps12_msr(&n->caps12, msr, known) : 0;
}

void nested_set_tsc_offset01(struct nested *n, struct vcpu *v, uint64_t offset)
{
        n->tsc_offset01 = offset;
        for (struct region12 *r = n->region; r < n->region + NESTED_REGIONS; r++)
                r->controls_dirty = true;
        ctl_write(v, proc_ctls, ctl_read(v, proc_ctls) | PROC_TSC_OFFSET);
        ctl_write(v, tsc_offset, n->in_l2 ? merge_tsc(&n->current->v, offset).offset : offset);
}

/* --- time --- */

bool nested_timer12_expired(const struct nested *n)
{
        return n->timer12_rest == 0 && route_l1_wants_preemption_timer(&n->current->v);
}

/* Work-around for Bochs 2.7: an entry with a timer of 0 that exits for another reason (in the shadow of STI or MOV SS) saves
 * some value of an earlier entry there: nested_note_exit() puts the 0 back. */
static void set_timer02(struct nested *n, uint64_t ticks)
{
        n->timer02_is_0 = ticks == 0;
        vmwrite(F_guest_preemption_timer, ticks);
}

void nested_arm_timer(struct nested *n, struct vcpu *v, uint32_t ticks)
{
        if (!n->in_l2) {
                vmwrite(F_guest_preemption_timer, ticks);
                return;
        }
        uint64_t set = ticks;
        if (route_l1_wants_preemption_timer(&n->current->v)) {
                const uint64_t left = nested_timer12_left(n);
                set = left < ticks ? left : ticks;
                n->timer12_rest = left - set;
        }
        set_timer02(n, set);
}

void nested_spend_ticks(struct nested *n, uint64_t ticks)
{
        const uint64_t left = vmread(F_guest_preemption_timer);
        set_timer02(n, left > ticks ? left - ticks : 0);
}

void nested_force_exit(struct nested *n, struct vcpu *v)
{
        if (route_l1_wants_preemption_timer(&n->current->v)) {
                /* A timer that has just run out keeps one tick, so that the exit is known to be ours. */
                const uint64_t left = nested_timer12_left(n);
                n->timer12_rest = left ? left : 1;
        }
        set_timer02(n, 0);
}

/* --- interrupts for the guest while its guest runs --- */

/* An event that the guest hypervisor injects is delivered before anything else is looked at, and nothing arrives in the
 * shadow of STI or MOV SS. If no window can tell when that is over (`window`), the exit comes an instruction early. */
static enum nested_intr exit_when(bool window)
{
        if (vmread(F_entry_intr_info) & INTR_VALID)
                return NESTED_INTR_EXIT_SOON;
        const bool shadow = vmread(F_guest_interruptibility) & (INTRBLK_STI | INTRBLK_MOV_SS);
        return shadow && window ? NESTED_INTR_WINDOW : NESTED_INTR_EXIT;
}

/* The exit for a window of vmcs12 that is open and comes before what has arrived, or EXIT_EXCEPTION_NMI, which is none.
 * SDM 3C "Other Causes of VM Exits" */
static enum exit_reason window_first(const struct vmcs12 *v, bool nmi, uint64_t injected)
{
        const bool nmi_injected = (injected & INTR_VALID) && GET(injected, INTR_TYPE) == INTR_TYPE_NMI;
        if ((v->proc_ctls & PROC_NMI_WINDOW) && !nmi_injected && !(vmread(F_guest_interruptibility) & INTRBLK_NMI))
                return EXIT_NMI_WINDOW;
        const bool interrupts = !(injected & INTR_VALID) && (vmread(F_guest_rflags) & RFLAGS_IF);
        return !nmi && (v->proc_ctls & PROC_INTR_WINDOW) && interrupts ? EXIT_INTR_WINDOW : EXIT_EXCEPTION_NMI;
}

/* The TPR threshold comes before the preemption timer, the timer before both windows, the NMI window before NMIs, the
 * interrupt window before interrupts. The processor itself makes those exits; but Bochs 2.7 does not wake a halted guest for a window. */
static enum nested_intr in_turn(const struct nested *n, const struct vcpu *vcpu, bool nmi, enum nested_intr otherwise)
{
        const struct vmcs12 *v = &n->current->v;
        if (n->current->apicv && nested_apicv_exits_at_entry(n, vcpu))
                return NESTED_INTR_LATER;
        if (nested_timer12_ran_out(n))
                return NESTED_INTR_LATER;
        if (!(v->proc_ctls & (PROC_NMI_WINDOW | PROC_INTR_WINDOW)))
                return otherwise;
        const uint64_t injected = vmread(F_entry_intr_info);
        const enum exit_reason window = window_first(v, nmi, injected);
        if (window == EXIT_EXCEPTION_NMI)
                return otherwise;
        if (vmread(F_guest_activity) != ACTIVITY_HLT || (injected & INTR_VALID))
                return NESTED_INTR_WINDOW;
        return window == EXIT_NMI_WINDOW ? NESTED_INTR_NMI_WINDOW_EXIT : NESTED_INTR_WINDOW_EXIT;
}

enum nested_intr nested_want_intr_exit(const struct nested *n, const struct vcpu *v)
{
        if (!route_l1_wants_ext_intr(&n->current->v))
                return in_turn(n, v, false, NESTED_INTR_INJECT);
        return in_turn(n, v, false, exit_when(vmread(F_guest_rflags) & RFLAGS_IF));
}

enum nested_intr nested_want_nmi_exit(const struct nested *n, const struct vcpu *v)
{
        if (!route_l1_wants_nmi(&n->current->v))
                return in_turn(n, v, true, NESTED_INTR_INJECT);
        const bool blocked = vmread(F_guest_interruptibility) & INTRBLK_NMI;
        if (n->current->v.pin_ctls & PIN_VIRTUAL_NMI)
                return in_turn(n, v, true, exit_when(!blocked));
        /* SDM 3C "Interruptibility State": in force for as long as the guest's guest runs. */
        return in_turn(n, v, true, blocked ? NESTED_INTR_BLOCKED : exit_when(false));
}

bool nested_acks_intr(const struct nested *n)
{
        return n->current->v.exit_ctls & EXIT_CTL_ACK_INTR;
}

/* At least so many VMCSs can be held that nobody owns. */
#define REGIONS_NOT_OWNED 6

bool nested_own_vmcs(struct nested *n, struct vcpu *v, l1gpa_t vmcs, uint64_t level)
{
        unsigned owned = 0;
        for (unsigned i = 0; i < NESTED_REGIONS; i++)
                owned += n->region[i].owned;
        if (!n->vmxon || n->in_l2 || level > UINT8_MAX || !IS_ALIGNED(vmcs.raw, PAGE_SIZE) ||
            !guest_mem_at(&v->mem, vmcs, PAGE_SIZE))
                return false;
        struct region12 *r = region12_find(n, vmcs);
        if ((!r || !r->owned) && owned >= NESTED_REGIONS - REGIONS_NOT_OWNED)
                return false;
        r = region12_load(n, v, vmcs);
        r->owned = true;
        r->level = (unsigned)level;
        vmcs_own(v, &r->hw, r->level);
        return true;
}

/* A VMCS of the guest that is held for ever. */
static struct region12 *owned_at(struct nested *n, l1gpa_t at)
{
        struct region12 *r = region12_find(n, at);
        return r && r->owned ? r : NULL;
}

bool nested_switch_vmcs(struct nested *n, struct vcpu *v, l1gpa_t clear, l1gpa_t load)
{
        struct region12 *c = owned_at(n, clear), *l = owned_at(n, load);
        if (!n->vmxon || n->in_l2 || !c || !l)
                return false;
        const uint32_t *revision = guest_mem_at(&v->mem, load, PAGE_SIZE);
        BUG_UNLESS(revision); /* RAM does not go away */
        const uint32_t word = __atomic_load_n(revision, __ATOMIC_RELAXED);
        if ((word & ~VMCS_REVISION_SHADOW) != CASCADE_VMCS12_REVISION)
                return false;
        c->v.launched = 0;
        l->v.revision = word;
        l->last_use = ++n->uses;
        n->current = l;
        region12_link(n, v);
        return true;
}

bool nested_pause_shadowing(struct nested *n, struct vcpu *v)
{
        const uint64_t ctls = ctl_read(v, proc2_ctls), rip = vmread(F_guest_rip);
        if (!n->shadowing || !(ctls & PROC2_SHADOW) || n->paused_at == rip) {
                n->paused_at = ~0ull;
                return false;
        }
        ctl_write(v, proc2_ctls, ctls & ~(uint64_t)PROC2_SHADOW);
        n->link_paused = ctl_read(v, vmcs_link);
        ctl_write(v, vmcs_link, ~0ull); /* without the control it must name no shadow VMCS */
        n->shadowing_paused = true;
        n->paused_at = rip;
        return true;
}

void nested_resume_shadowing(struct nested *n, struct vcpu *v, bool served)
{
        ctl_write(v, proc2_ctls, ctl_read(v, proc2_ctls) | PROC2_SHADOW);
        ctl_write(v, vmcs_link, n->link_paused);
        n->shadowing_paused = false;
        if (served)
                n->paused_at = ~0ull;
}
