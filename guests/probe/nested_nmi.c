/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: NMIs that arrive while the guest runs, and what blocks them. The guest sends them itself. SDM 3C
 * "Interruptibility State". */
#include "apic.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"
#include "traps.h"

#define ICR_NMI 0x400u
#define NMI_INFO (INTR_VALID | (uint32_t)INTR_TYPE_NMI << 8 | VEC_NMI)

/* The next store through RBX of the guest sends an NMI to this processor. */
static void send_by_guest(struct l2 *l, uint32_t pin)
{
        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | pin);
        l->gprs.r[GPR_RBX] = WINDOW_APIC + APIC_ICR;
        l->gprs.r[GPR_RAX] = ICR_NMI;
        apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
        traps()->vector = NO_VECTOR;
}

/* Whether an NMI that is sent now is held back; afterwards none is. */
static bool blocked_outside(bool send)
{
        if (send) {
                apic_write(APIC_ICR_HIGH, apic_read(APIC_ID));
                TRY("movl %[icr], (%[at])\n\tnop\n\tnop", , [icr] "r"(ICR_NMI), [at] "r"(APIC_BASE + APIC_ICR));
        }
        const bool held = traps()->vector == NO_VECTOR;
        nmi_unblock();
        return held && traps()->vector == VEC_NMI;
}

static void exiting(struct l2 *l)
{
        send_by_guest(l, PIN_NMI);
        l2_run(l, l2_write32_nops);
        l2_expect(l, EXIT_EXCEPTION_NMI, 0, "an NMI with NMI exiting");
        check(l->p, l->exit.intr_info == NMI_INFO && l->exit.rip == (uint64_t)l2_write32_nops_after,
              "its information is 0x%x", l->exit.intr_info);
        check(l->p, blocked_outside(true), "it blocks NMIs outside of the guest");

        send_by_guest(l, PIN_NMI);
        l2_set(l, F_guest_interruptibility, INTRBLK_NMI);
        l2_run(l, l2_write32_nops);
        l2_expect(l, EXIT_VMCALL, 0, "an NMI with NMI exiting, blocked");
        check(l->p, vmread(F_guest_interruptibility) == INTRBLK_NMI, "blocking by NMI is saved");
        check(l->p, blocked_outside(false), "and goes on outside of the guest");

        send_by_guest(l, PIN_NMI | PIN_VIRTUAL_NMI);
        l2_set(l, F_guest_interruptibility, INTRBLK_NMI);
        l2_run(l, l2_write32_nops);
        l2_expect(l, EXIT_EXCEPTION_NMI, 0, "an NMI with virtual NMIs, which are blocked");
        check(l->p, vmread(F_guest_interruptibility) == INTRBLK_NMI, "virtual-NMI blocking is saved");
        nmi_unblock();
}

/* A stack frame for an IRET of the guest to l2_nops, in a page of its own. */
static void frame(struct l2 *l, uint64_t at, uint64_t seen_at)
{
        volatile uint64_t *f = (volatile uint64_t *)at;
        f[0] = (uint64_t)l2_nops;
        f[1] = vmread(F_guest_cs_sel);
        f[2] = RFLAGS_FIXED1;
        f[3] = vmread(F_guest_rsp);
        f[4] = vmread(F_guest_ss_sel);
        l2_set(l, F_guest_rsp, seen_at);
}

static void not_exiting(struct l2 *l)
{
        send_by_guest(l, 0);
        traps()->resume = (uint64_t)l2_vmcall;
        l2_run(l, l2_write32_nops);
        l2_expect(l, EXIT_VMCALL, 0, "an NMI without NMI exiting");
        check(l->p, traps()->vector == VEC_NMI && traps()->rip == (uint64_t)l2_write32_nops_after, "the guest takes it");
        check(l->p, vmread(F_guest_interruptibility) == 0, "and its IRET ends the blocking");

        send_by_guest(l, 0);
        l2_set(l, F_guest_interruptibility, INTRBLK_NMI);
        l2_run(l, l2_write32_nops);
        l2_expect(l, EXIT_VMCALL, 0, "an NMI without NMI exiting, blocked");
        check(l->p, traps()->vector == NO_VECTOR && vmread(F_guest_interruptibility) == INTRBLK_NMI, "it is held back");
        check(l->p, blocked_outside(false), "until an IRET outside of the guest");

        send_by_guest(l, 0);
        l2_set(l, F_guest_interruptibility, INTRBLK_NMI);
        frame(l, (uint64_t)l2_window[1], WINDOW_4K + PAGE_SIZE);
        BUG_UNLESS(hw_invept(INVEPT_ALL, 0) == HW_OK);
        traps()->resume = (uint64_t)l2_vmcall;
        l2_run(l, l2_write32_iret);
        l2_expect(l, EXIT_VMCALL, 0, "an IRET of the guest while an NMI is held back");
        check(l->p, traps()->vector == VEC_NMI && traps()->rip == (uint64_t)l2_nops, "the NMI comes behind the IRET");
}

void nested_nmis(struct l2 *l)
{
        nmi_unblock();
        exiting(l);
        not_exiting(l);
        l2_reset(l);
}
