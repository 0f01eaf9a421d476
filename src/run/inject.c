/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/inject.h"
#include "base/bits.h"
#include "hw/vmx_ops.h"
#include "nested/route.h"
#include "run/activity.h"
#include "run/event_combine.h"
#include "run/exits.h"
#include "run/mtf.h"
#include "vmx/ctl.h"
#include "vmx/cpu_local.h"
#include "vmx/fields.h"

#define TIMER_MAX UINT32_MAX

static void inject(struct run *r, uint32_t intr_info, uint32_t error)
{
        vmwrite(F_entry_intr_info, intr_info);
        if (intr_info & INTR_ERROR_VALID)
                vmwrite(F_entry_error_code, error);
        trace_emit(&r->v.trace, TRACE_INJECT, run_level(r), intr_info, error, 0);
}

static uint32_t event_info(enum intr_type type, unsigned vector)
{
        return INTR_VALID | (uint32_t)PUT(PUT(0, INTR_TYPE, type), INTR_VECTOR, vector);
}

void exit_to_l1(struct run *r, const struct made_exit *x)
{
        close_windows(r);
        if (!nested_make_exit(&r->nested, &r->v, x))
                run_end(r, EXIT_STATUS_GUEST_TRIPLE_FAULT, "VMX abort");
        rearm_after_switch(r);
}

/* SDM 3C "Event Injection": in real mode no event has an error code. */
static uint32_t without_error_in_real_mode(uint32_t info)
{
        return (info & INTR_ERROR_VALID) && !(vmread(F_guest_cr0) & CR0_PE) ? info & ~INTR_ERROR_VALID : info;
}

/* An exception of the guest that the current VMCS runs: delivered to it, or an exit if its hypervisor asked for that. */
static void raise(struct run *r, const struct guest_fault *f, bool in_delivery)
{
        uint32_t info = event_info(INTR_TYPE_HW_EXCEPTION, f->vector) | (f->has_error_code ? INTR_ERROR_VALID : 0);
        info = without_error_in_real_mode(info);
        /* SDM 3B "Instruction-Breakpoint Exception Condition": the flags that a fault saves have RF set. */
        vmwrite(F_guest_rflags, vmread(F_guest_rflags) | RFLAGS_RF);
        if (r->nested.in_l2 && route_l1_wants_exception(&r->nested.current->v, f->vector, f->error_code)) {
                exit_to_l1(r, &(struct made_exit){ .reason = EXIT_EXCEPTION_NMI,
                                                   .qualification = f->vector == VEC_PF ? f->cr2 : 0,
                                                   .intr_info = info,
                                                   .intr_error = f->error_code,
                                                   .in_delivery = in_delivery });
                return;
        }
        if (f->vector == VEC_PF)
                hw_write_cr2(f->cr2);
        inject(r, info, f->error_code);
}

void inject_fault(struct run *r, const struct guest_fault *f)
{
        const uint32_t first = (uint32_t)vmread(F_idt_vec_info);
        const bool exception_first = (first & INTR_VALID) && GET(first, INTR_TYPE) == INTR_TYPE_HW_EXCEPTION;
        enum event_pair pair = exception_first ? event_combine((uint8_t)GET(first, INTR_VECTOR), f->vector) : EVENT_SERIAL;
        /* SDM 3C "Information for VM Exits That Occur During Event Delivery": the guest hypervisor is asked for the second
         * exception before the two become a double fault. */
        if (r->nested.in_l2 && route_l1_wants_exception(&r->nested.current->v, f->vector, f->error_code))
                pair = EVENT_SERIAL;
        switch (pair) {
        case EVENT_SERIAL:
                raise(r, f, first & INTR_VALID);
                break;
        case EVENT_DOUBLE_FAULT:
                raise(r, &(struct guest_fault){ .vector = VEC_DF, .has_error_code = true }, false);
                break;
        case EVENT_TRIPLE_FAULT:
                if (!r->nested.in_l2)
                        run_end(r, EXIT_STATUS_GUEST_TRIPLE_FAULT, "a fault during a double fault");
                exit_to_l1(r, &(struct made_exit){ .reason = EXIT_TRIPLE_FAULT });
        }
}

void inject_ud(struct run *r)
{
        inject_fault(r, &(struct guest_fault){ .vector = VEC_UD });
}

void inject_gp0(struct run *r)
{
        inject_fault(r, &(struct guest_fault){ .vector = VEC_GP, .has_error_code = true });
}

void reinject_interrupted_event(struct run *r)
{
        const uint32_t info = (uint32_t)vmread(F_idt_vec_info);
        if (!(info & INTR_VALID) || (vmread(F_entry_intr_info) & INTR_VALID))
                return;
        /* An NMI that is delivered again must not find itself blocked by its first attempt: SDM 3C
         * "Information for VM Exits That Occur During Event Delivery". */
        if (GET(info, INTR_TYPE) == INTR_TYPE_NMI)
                vmwrite(F_guest_interruptibility, vmread(F_guest_interruptibility) & ~(uint64_t)INTRBLK_NMI);
        if (GET(info, INTR_TYPE) >= INTR_TYPE_SW_INTR)
                vmwrite(F_entry_insn_len, vmread(F_exit_insn_len));
        inject(r, without_error_in_real_mode(info & ~INTR_NMI_UNBLOCK), (uint32_t)vmread(F_idt_vec_error));
}

/* The preemption timer counts only while the guest runs, and its rest is saved at each exit: it is written only
 * when the next event changes, and an exit after the event's time finds it by the clock. */
static void arm_timer(struct run *r, uint64_t now)
{
        if (__builtin_expect(r->nested.in_l2 && mtf_in_use(r), 0)) {
                if (mtf_arm(r))
                        catch_up(r, hw_rdtsc());
                if (r->nested.in_l2 && r->nested.mtf.method == MTF_BY_TIMER)
                        return;
        }
        const uint64_t next = pc_next_event(&r->pc);
        if (next == r->armed)
                return;
        r->armed = next;
        const uint64_t ticks = next <= now ? 0 : (next - now) >> GET(r->v.hw->misc, MISC_TIMER_SHIFT);
        nested_arm_timer(&r->nested, &r->v, ticks < TIMER_MAX ? (uint32_t)ticks : TIMER_MAX);
}

/* Work-around for Bochs 2.7, harmless elsewhere: a window that opens while the guest halts (STI; HLT) does not wake it
 * there, although SDM 3C "Interrupt-Window Exiting and Virtual-Interrupt Delivery" lets it. With a window open HLT
 * exits too, and the event is injected then. */
#define WINDOW_WAKES_HLT PROC_HLT

static void set_windows(struct run *r, bool intr, bool nmi)
{
        if (r->intr_window == intr && r->nmi_window == nmi)
                return;
        r->intr_window = intr;
        r->nmi_window = nmi;
        const uint32_t all = PROC_INTR_WINDOW | PROC_NMI_WINDOW | WINDOW_WAKES_HLT;
        const uint32_t on = (intr ? PROC_INTR_WINDOW : 0) | (nmi ? PROC_NMI_WINDOW : 0) | WINDOW_WAKES_HLT;
        /* vmcs12 may have the same controls on for itself. */
        const uint32_t kept = (nested_proc12(&r->nested) | (r->nested.in_l2 ? merge_hlt(&r->nested.current->v) : 0)) & all;
        ctl_write(&r->v, proc_ctls, (ctl_read(&r->v, proc_ctls) & ~(uint64_t)all) | kept | (intr || nmi ? on : 0));
}

void close_windows(struct run *r)
{
        if (__builtin_expect(r->intr_window | r->nmi_window, 0))
                set_windows(r, false, false);
}

static bool can_take_interrupt(void)
{
        return (vmread(F_guest_rflags) & RFLAGS_IF) &&
               !(vmread(F_guest_interruptibility) & (INTRBLK_STI | INTRBLK_MOV_SS)) &&
               !(vmread(F_entry_intr_info) & INTR_VALID);
}

static bool can_take_nmi(void)
{
        return !(vmread(F_guest_interruptibility) & (INTRBLK_NMI | INTRBLK_MOV_SS | INTRBLK_STI)) &&
               !(vmread(F_entry_intr_info) & INTR_VALID);
}

static void offer_nmi(struct run *r)
{
        if (!can_take_nmi()) {
                set_windows(r, r->intr_window, true);
                return;
        }
        pc_ack_nmi(&r->pc, 0);
        inject(r, event_info(INTR_TYPE_NMI, VEC_NMI), 0);
}

static void offer_interrupt(struct run *r)
{
        if (!can_take_interrupt()) {
                set_windows(r, true, r->nmi_window);
                return;
        }
        const int vector = pc_ack_vector(&r->pc, 0);
        if (vector >= 0)
                inject(r, event_info(INTR_TYPE_EXT, (unsigned)vector), 0);
}

/* SDM 3C "Posted-Interrupt Processing": an interrupt that notifies the guest's guest of posted ones is dismissed, and the
 * guest hypervisor is not told. False: no other is pending. */
static bool take_posted(struct run *r)
{
        int vector = pc_pending_vector(&r->pc, 0);
        while (vector >= 0 && nested_take_posted(&r->nested, &r->v, vector)) {
                pc_dismiss_vector(&r->pc, 0);
                vector = pc_pending_vector(&r->pc, 0);
        }
        return vector >= 0;
}

/* While the guest's guest runs, what arrives for the guest is the guest hypervisor's to see first, if it asked. */
static bool to_guest_hypervisor(struct run *r, bool nmi)
{
        if (!r->nested.in_l2)
                return false;
        if (!nmi && !take_posted(r))
                return true;
        switch (nmi ? nested_want_nmi_exit(&r->nested, &r->v) : nested_want_intr_exit(&r->nested, &r->v)) {
        case NESTED_INTR_INJECT:
                return false;
        case NESTED_INTR_BLOCKED:
        case NESTED_INTR_LATER:
                return true;
        case NESTED_INTR_WINDOW:
                set_windows(r, r->intr_window || !nmi, r->nmi_window || nmi);
                return true;
        case NESTED_INTR_EXIT_SOON:
                nested_force_exit(&r->nested, &r->v);
                r->armed = pc_next_event(&r->pc);
                return true;
        case NESTED_INTR_WINDOW_EXIT:
                exit_to_l1(r, &(struct made_exit){ .reason = EXIT_INTR_WINDOW });
                return true;
        case NESTED_INTR_NMI_WINDOW_EXIT:
                exit_to_l1(r, &(struct made_exit){ .reason = EXIT_NMI_WINDOW });
                return true;
        case NESTED_INTR_EXIT:
                break;
        }
        if (nmi) {
                pc_ack_nmi(&r->pc, 0);
                exit_to_l1(r, &(struct made_exit){ .reason = EXIT_EXCEPTION_NMI, .intr_info = event_info(INTR_TYPE_NMI, VEC_NMI) });
                return true;
        }
        const int vector = nested_acks_intr(&r->nested) ? pc_ack_vector(&r->pc, 0) : -1;
        exit_to_l1(r, &(struct made_exit){ .reason = EXIT_EXT_INTR,
                                           .intr_info = vector >= 0 ? event_info(INTR_TYPE_EXT, (unsigned)vector) : 0 });
        return true;
}

void catch_up(struct run *r, uint64_t now)
{
        if (now >= pc_next_event(&r->pc))
                pc_advance(&r->pc, now);
        if (__builtin_expect(r->init_pending, 0))
                activity_take_init(r);

        const bool nmi = pc_nmi_pending(&r->pc, 0);
        if (nmi && !to_guest_hypervisor(r, true))
                offer_nmi(r);

        const bool intr = pc_pending_vector(&r->pc, 0) >= 0;
        if (intr && !to_guest_hypervisor(r, false))
                offer_interrupt(r);
        if (__builtin_expect(r->intr_window | r->nmi_window, 0))
                set_windows(r, r->intr_window && pc_pending_vector(&r->pc, 0) >= 0, r->nmi_window && pc_nmi_pending(&r->pc, 0));
        arm_timer(r, now);
}
