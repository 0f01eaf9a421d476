/* SPDX-License-Identifier: BSD-2-Clause */
/* Class irq: an interrupt that is pending at the VM entry, a preemption timer that has run out, windows, and
 * events that are injected before them, in every state of the guest. SDM 3C "Other Causes of VM Exits",
 * "Pending-Interrupt VM Exits". */
#include "apic.h"
#include "base/x86.h"
#include "irq_wait.h"
#include "twin_classes.h"

#define IRQ_CASES 1500u
#define VECTOR    0x61u
#define INJECTED  0x71u

unsigned irq_count(void)
{
        return IRQ_CASES;
}

static bool one_in(struct twin *t, unsigned n)
{
        return twin_random(t) % n == 0;
}

static void on(struct twin *t, uint64_t field, uint64_t bits)
{
        twin_set(t, field, twin_get(t, field) | bits);
}

static void controls(struct twin *t)
{
        if (!one_in(t, 3))
                on(t, F_pin_ctls, PIN_EXT_INTR);
        if (one_in(t, 2))
                on(t, F_exit_ctls, EXIT_CTL_ACK_INTR);
        if (one_in(t, 3))
                on(t, F_proc_ctls, PROC_INTR_WINDOW);
        if (one_in(t, 6)) {
                on(t, F_pin_ctls, PIN_NMI | PIN_VIRTUAL_NMI);
                on(t, F_proc_ctls, PROC_NMI_WINDOW);
        }
        if (one_in(t, 2))
                twin_set(t, F_proc_ctls, twin_get(t, F_proc_ctls) & ~(uint64_t)PROC_HLT);
        if (one_in(t, 6))
                twin_set(t, F_guest_preemption_timer, 0);
}

static void guest_state(struct twin *t)
{
        const bool interrupts = !one_in(t, 3);
        if (interrupts)
                twin_set(t, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        if (one_in(t, 4))
                twin_set(t, F_guest_interruptibility,
                         interrupts && one_in(t, 2) ? INTRBLK_STI : INTRBLK_MOV_SS);
        else if (one_in(t, 5))
                twin_set(t, F_guest_activity, ACTIVITY_HLT);
        if (one_in(t, 6))
                twin_set(t, F_entry_intr_info, INTR_VALID | INJECTED);
}

static const struct code {
        const char *name;
        const uint8_t *at;
} codes[] = {{"nops", l2_nops},       {"sti nops", l2_sti_nops}, {"hlt", l2_hlt},
             {"sti hlt", l2_sti_hlt}, {"cpuid", l2_cpuid},       {"pause", l2_pause}};

static bool apic_bit(uint32_t bank, unsigned vector)
{
        return apic_read(bank + vector / 32 * 16) >> vector % 32 & 1;
}

/* Where the interrupt is now; then it is taken. */
static void settle(struct twin *t, bool pending)
{
        const bool requested = apic_bit(APIC_IRR, VECTOR), in_service = apic_bit(APIC_ISR, VECTOR);
        if (pending)
                twin_see(t, requested ? " still pending" : in_service ? " in service" : " gone");
        if (in_service)
                apic_eoi();
        if (requested) {
                irq_forget(VECTOR, EOI_APIC);
                irq_let_in();
                if (trap_count(VECTOR) != 1)
                        twin_see(t, " arrived %u times", trap_count(VECTOR));
        }
}

void irq_one(struct twin *t, unsigned n)
{
        const bool pending = n % 5 != 0;
        const struct code *c = &codes[n / 5 % ARRAY_LEN(codes)];
        twin_use(t, BASE_64);
        twin_what(t, " %s%s", c->name, pending ? ", pending" : "");
        controls(t);
        guest_state(t);
        if (pending)
                apic_write(APIC_ICR, ICR_SELF | VECTOR);
        twin_run_at(t, c->at);
        settle(t, pending);
}
