/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/activity.h"
#include "base/bits.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "hw/vmx_ops.h"
#include "nested/route.h"
#include "run/inject.h"
#include "vmx/controls.h"
#include "vmx/fields.h"

static void make_exit(struct run *r, uint32_t reason)
{
        exit_to_l1(r, &(struct made_exit){ .reason = reason });
}

static bool vectoring(void)
{
        return vmread(F_entry_intr_info) & INTR_VALID;
}

/* SDM 3C "Other Causes of VM Exits": these exits wake from the same states as the events would. */
static bool nmi_window_open(const struct vmcs12 *v12)
{
        return (v12->proc_ctls & PROC_NMI_WINDOW) && !(vmread(F_guest_interruptibility) & INTRBLK_NMI);
}

static bool intr_window_open(const struct vmcs12 *v12)
{
        return (v12->proc_ctls & PROC_INTR_WINDOW) && (vmread(F_guest_rflags) & RFLAGS_IF);
}

/* --- HLT --- */

/* The guest's guest halts. Work-around for Bochs 2.7: there a window does not wake it. SDM 3C "Other Causes of VM Exits" has
 * the order; INIT and NMIs are catch_up()'s. */
static void halted(struct run *r)
{
        const struct vmcs12 *v12 = &r->nested.current->v;
        if (r->init_pending)
                return;
        if (nested_timer12_ran_out(&r->nested))
                make_exit(r, EXIT_PREEMPTION_TIMER);
        else if (nmi_window_open(v12))
                make_exit(r, EXIT_NMI_WINDOW);
        else if (!pc_nmi_pending(&r->pc, 0) && intr_window_open(v12))
                make_exit(r, EXIT_INTR_WINDOW);
}

void activity_halt(struct run *r)
{
        vmwrite(F_guest_activity, ACTIVITY_HLT);
        if (!r->nested.in_l2)
                return;
        if (apicv_delivers(&r->nested.current->v))
                nested_apicv_wake(&r->nested, &r->v);
        if (!r->nested.mtf.on)
                halted(r);
}

/* --- shutdown --- */

/* An NMI, unless it is blocked: an exit, or it makes the guest's guest active. */
static bool wake_by_nmi(struct run *r)
{
        if (!pc_nmi_pending(&r->pc, 0))
                return false;
        const bool exits = route_l1_wants_nmi(&r->nested.current->v);
        if (exits ? nested_want_nmi_exit(&r->nested, &r->v) == NESTED_INTR_BLOCKED : vmread(F_guest_interruptibility) & INTRBLK_NMI)
                return false;
        if (!exits)
                vmwrite(F_guest_activity, ACTIVITY_ACTIVE);
        return true; /* catch_up() does the rest */
}

/* vmcs12's preemption timer counts in this state. */
struct countdown {
        uint64_t end; /* TSC; PC_NEVER: there is none */
        unsigned shift;
};

static struct countdown countdown_start(const struct run *r, uint64_t now)
{
        const unsigned shift = (unsigned)GET(r->v.hw->misc, MISC_TIMER_SHIFT);
        const bool used = route_l1_wants_preemption_timer(&r->nested.current->v);
        return (struct countdown){ .shift = shift, .end = used ? now + (vmread(F_guest_preemption_timer) << shift) : PC_NEVER };
}

static void countdown_stop(const struct countdown *c, uint64_t now)
{
        if (c->end != PC_NEVER)
                vmwrite(F_guest_preemption_timer, now < c->end ? (c->end - now) >> c->shift : 0);
}

/* True: woken, at `now`. */
static bool wakes_from_shutdown(struct run *r, const struct countdown *c, uint64_t now)
{
        const bool timer = now >= c->end, window = nmi_window_open(&r->nested.current->v);
        if (!r->init_pending && !timer && !window && !wake_by_nmi(r))
                return false;
        countdown_stop(c, now);
        if (r->init_pending)
                activity_take_init(r);
        else if (timer)
                make_exit(r, EXIT_PREEMPTION_TIMER);
        else if (window)
                make_exit(r, EXIT_NMI_WINDOW);
        return true;
}

static void wait_in_shutdown(struct run *r)
{
        uint64_t now = hw_rdtsc();
        const struct countdown c = countdown_start(r, now);
        while (!wakes_from_shutdown(r, &c, now)) {
                if (c.end == PC_NEVER && !pc_nmi_possible(&r->pc))
                        run_end(r, EXIT_STATUS_GUEST_KILLED, "the guest's guest is in the shutdown state, and nothing can wake it");
                const uint64_t next = pc_next_event(&r->pc);
                while (now < next && now < c.end)
                        now = hw_rdtsc();
                pc_advance(&r->pc, now);
        }
}

/* --- all --- */

void activity_enter(struct run *r)
{
        const uint32_t activity = r->nested.current->v.guest_activity;
        if (vectoring()) { /* the guest's guest ends up active, whatever the field says */
                vmwrite(F_guest_activity, ACTIVITY_ACTIVE);
                return;
        }
        switch (activity) {
        case ACTIVITY_HLT:
                if (!r->nested.mtf.due)
                        halted(r);
                break;
        case ACTIVITY_SHUTDOWN:
                wait_in_shutdown(r);
                break;
        case ACTIVITY_WAIT_SIPI:
                /* Nothing but a SIPI is let in, and there is no other processor to send one. */
                run_end(r, EXIT_STATUS_GUEST_KILLED, "the guest's guest waits for a SIPI, and there is no other processor");
        }
}

/* --- INIT --- */

void activity_init(struct run *r)
{
        r->init_pending = true;
        r->armed = 0;
        if (!r->nested.vmxon)
                activity_take_init(r);
}

void activity_take_init(struct run *r)
{
        if (!r->nested.vmxon) /* as through the reset line: the PC has no firmware that would tell them apart */
                run_end(r, EXIT_STATUS_GUEST_RESET, "the guest sent INIT to its own processor");
        if (!r->nested.in_l2)
                return; /* SDM 3C "Restrictions on VMX Operation": blocked in VMX root operation */
        if (vectoring()) { /* is delivered first */
                nested_force_exit(&r->nested, &r->v);
                return;
        }
        r->init_pending = false;
        make_exit(r, EXIT_INIT);
}
