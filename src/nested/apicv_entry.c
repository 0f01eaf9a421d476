/* SPDX-License-Identifier: BSD-2-Clause */
/* The hardware side of apicv.h: what vmcs02 holds of it, and what is done at each entry. */
#include "base/bits.h"
#include "base/libc.h"
#include "hw/vmx_ops.h"
#include "nested/apicv.h"
#include "nested/entry.h"
#include "vmx/ctl.h"

void nested_apicv_init(struct nested *n, struct vcpu *v)
{
        if (n->held[FI_virtual_apic_page]) {
                n->apicv.no_vapic = (uint8_t *)nested_page(v);
                n->apicv.msr_bitmap02 = nested_page(v);
                memset(n->apicv.msr_bitmap02, 0xff, PAGE_SIZE);
        }
        if (n->held[FI_apic_access_page])
                n->apicv.no_access_page = hpa_of(nested_page(v));
}

void nested_apicv_note(const struct nested *n, struct region12 *r)
{
        r->apicv = apicv_used(&r->v);
        r->msr_bitmap02 = apicv_x2apic(&r->v) ? n->apicv.msr_bitmap02 : n->msr_bitmap02;
        r->ept02_variant = apicv_ept02_variant(&r->v);
}

static uint8_t *vapic_page(const struct nested *n, const struct vcpu *v)
{
        uint8_t *page = guest_mem_at(&v->mem, L1GPA(n->current->v.virtual_apic_page), PAGE_SIZE);
        return page ? page : n->apicv.no_vapic;
}

void nested_apicv_write(struct nested *n, struct vcpu *v, const struct region12 *r)
{
        if (apicv_tpr_shadow(&r->v))
                ctl_write(v, virtual_apic_page, hpa_of(vapic_page(n, v)).raw);
        if (!apicv_has_access_page(&r->v))
                return;
        const void *page = guest_mem_at(&v->mem, L1GPA(r->v.apic_access_page), PAGE_SIZE);
        ctl_write(v, apic_access_page, page ? hpa_of(page).raw : n->apicv.no_access_page.raw);
}

bool nested_apicv_exits_at_entry(const struct nested *n, const struct vcpu *v)
{
        return apicv_exits_at_entry(&n->current->v, vapic_page(n, v)[VAPIC_TPR], (uint32_t)vmread(F_tpr_threshold));
}

bool nested_apicv_tpr_fell(struct nested *n, const struct vcpu *v)
{
        const struct check_env env = { .caps = &n->caps12, .mem = &v->mem };
        if (!n->current->apicv || check_tpr(&n->current->v, &env).id != CHK_CTL_TPR_THRESHOLD_VTPR)
                return false;
        nested_set_exit_field(n, FI_exit_reason, EXIT_TPR_THRESHOLD);
        nested_set_exit_field(n, FI_exit_qualification, 0);
        nested_set_exit_field(n, FI_exit_intr_info, 0);
        /* An event that was to be delivered by that entry is not lost. */
        const uint64_t event = vmread(F_entry_intr_info);
        nested_set_exit_field(n, FI_idt_vec_info, event & INTR_VALID ? event : 0);
        nested_set_exit_field(n, FI_idt_vec_error, vmread(F_entry_error_code));
        nested_set_exit_field(n, FI_exit_insn_len, vmread(F_entry_insn_len));
        vmwrite(F_entry_intr_info, event & ~(uint64_t)INTR_VALID);
        return true;
}

/* A virtual interrupt is delivered before the next instruction of the guest's guest. */
static bool interrupt_due(const struct nested *n, const struct vcpu *v)
{
        return apicv_interrupts(&n->current->v, vapic_page(n, v)[VAPIC_TPR], (uint16_t)vmread(F_guest_intr_status)) &&
               (vmread(F_guest_rflags) & RFLAGS_IF) &&
               !(vmread(F_guest_interruptibility) & (INTRBLK_STI | INTRBLK_MOV_SS));
}

void nested_apicv_enter(struct nested *n, struct vcpu *v, const struct region12 *r)
{
        if (!apicv_tpr_shadow(&r->v))
                return;
        if (apicv_x2apic(&r->v))
                apicv_merge_x2apic(&r->v, bitmap12(v, r->v.proc_ctls & PROC_MSR_BITMAPS, r->v.msr_bitmap), r->msr_bitmap02);
        uint8_t *page = vapic_page(n, v);
        if (page == n->apicv.no_vapic)
                memset(page, 0xff, PAGE_SIZE); /* nothing answers there, whatever was written */
        if (apicv_delivers(&r->v) && vmread(F_guest_activity) == ACTIVITY_HLT)
                nested_apicv_wake(n, v);
}

void nested_apicv_wake(struct nested *n, struct vcpu *v)
{
        const bool injects = vmread(F_entry_intr_info) & INTR_VALID;
        if (!injects && interrupt_due(n, v))
                vmwrite(F_guest_activity, ACTIVITY_ACTIVE);
}

bool nested_take_posted(struct nested *n, struct vcpu *v, int vector)
{
        const struct vmcs12 *v12 = &n->current->v;
        if (!apicv_is_notification(v12, vector))
                return false;
        uint64_t *descriptor = guest_mem_at(&v->mem, L1GPA(v12->posted_intr_desc), POSTED_BYTES);
        if (descriptor) {
                const uint16_t status = (uint16_t)vmread(F_guest_intr_status);
                vmwrite(F_guest_intr_status, apicv_take_posted(descriptor, vapic_page(n, v), status));
        }
        if (vmread(F_guest_activity) == ACTIVITY_HLT)
                nested_apicv_wake(n, v);
        return true;
}
