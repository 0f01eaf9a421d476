/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-test of the local APIC, once in xAPIC and once in x2APIC mode: timer, priorities, IPIs to itself. */
#include "apic.h"
#include "irq_wait.h"
#include "probe.h"
#include "vmx/controls.h"

#define VECTOR_TIMER 0x41u
#define VECTOR_LOW   0x51u
#define VECTOR_HIGH  0x61u
#define PERIODS      5u

struct apic_test {
        struct probe *p;
        const char *mode;
        uint64_t ms; /* ticks of a millisecond */
};

/* Not before its time, and not much later: a deep stack of hypervisors needs some hundred microseconds to
 * deliver. */
static bool in_time(const struct apic_test *t, uint64_t arrived, uint64_t due)
{
        const bool good = arrived >= due && arrived - due <= 5 * t->ms;
        if (!good)
                say("     due %llu, arrived %lld ticks later", (unsigned long long)due,
                    (long long)(arrived - due));
        return good;
}

static void deadline(const struct apic_test *t, bool halt)
{
        irq_forget(VECTOR_TIMER, EOI_APIC);
        apic_write(APIC_LVT_TIMER, LVT_DEADLINE | VECTOR_TIMER);
        const uint64_t due = hw_rdtsc() + 10 * t->ms;
        hw_wrmsr(MSR_TSC_DEADLINE, due);
        const bool armed = hw_rdmsr(MSR_TSC_DEADLINE) == due;
        if (halt)
                __asm__ volatile("sti; hlt; cli" : : : "memory");
        else
                irq_wait(VECTOR_TIMER, 1, due + 20 * t->ms);
        check(t->p, armed && trap_count(VECTOR_TIMER) == 1 && in_time(t, traps()->interrupt_tsc, due),
              "%s: the timer in TSC-deadline mode %s", t->mode,
              halt ? "ends HLT in time" : "interrupts in time");
        if (t->p->hypervisor) /* Bochs 2.7 keeps the value */
                check(t->p, hw_rdmsr(MSR_TSC_DEADLINE) == 0, "%s: the deadline reads 0 after it has passed",
                      t->mode);
}

static void past_deadline(const struct apic_test *t)
{
        irq_forget(VECTOR_TIMER, EOI_APIC);
        hw_wrmsr(MSR_TSC_DEADLINE, hw_rdtsc() - 1000);
        irq_wait(VECTOR_TIMER, 1, hw_rdtsc() + 10 * t->ms);
        check(t->p, trap_count(VECTOR_TIMER) == 1, "%s: a deadline in the past interrupts at once", t->mode);
        irq_forget(VECTOR_TIMER, EOI_APIC);
        hw_wrmsr(MSR_TSC_DEADLINE, hw_rdtsc() + 2 * t->ms);
        hw_wrmsr(MSR_TSC_DEADLINE, 0);
        check(t->p, !irq_wait(VECTOR_TIMER, 1, hw_rdtsc() + 4 * t->ms), "%s: a deadline of 0 disarms",
              t->mode);
}

#define STEPS 1000

static void counting(const struct apic_test *t)
{
        irq_forget(VECTOR_TIMER, EOI_APIC);
        apic_write(APIC_DIVIDE, DIVIDE_BY_1);
        apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
        const uint64_t start = hw_rdtsc(), period = 10 * t->ms;
        apic_write(APIC_INITIAL, (uint32_t)period);
        irq_wait(VECTOR_TIMER, PERIODS, start + 2 * PERIODS * period);
        const uint32_t first = apic_read(APIC_CURRENT), second = apic_read(APIC_CURRENT);
        apic_write(APIC_INITIAL, 0);
        check(t->p,
              trap_count(VECTOR_TIMER) == PERIODS &&
                      in_time(t, traps()->interrupt_tsc, start + PERIODS * period),
              "%s: the timer in periodic mode interrupts in time", t->mode);
        check(t->p, first != second && first <= period && second <= period, "%s: the current count moves",
              t->mode);
        check(t->p, apic_read(APIC_CURRENT) == 0, "%s: an initial count of 0 stops the timer", t->mode);

        apic_write(APIC_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | VECTOR_TIMER);
        apic_write(APIC_INITIAL, 1);
        for (volatile unsigned i = 0; i < STEPS; i++)
                ;
        apic_write(APIC_INITIAL, 0);
        check(t->p, true, "%s: the processor runs on beside a masked timer of one tick", t->mode);

        irq_let_in(); /* a period that ended meanwhile */
        irq_forget(VECTOR_TIMER, EOI_APIC);
        apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
        const uint64_t once = hw_rdtsc();
        apic_write(APIC_INITIAL, (uint32_t)period);
        irq_wait(VECTOR_TIMER, 2, once + 5 * period);
        check(t->p, trap_count(VECTOR_TIMER) == 1 && in_time(t, traps()->interrupt_tsc, once + period),
              "%s: the timer in one-shot mode interrupts once, in time", t->mode);
        apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
}

static void send_self(unsigned vector)
{
        if (apic_is_x2())
                hw_wrmsr(MSR_X2APIC_FIRST + (APIC_ICR >> 4), ICR_SELF | vector);
        else
                xapic_write(APIC_ICR, ICR_SELF | vector);
}

static bool requested(unsigned vector)
{
        return apic_read(APIC_IRR + (vector >> 5) * 0x10) >> (vector & 31) & 1;
}

static void priorities(const struct apic_test *t)
{
        irq_forget(VECTOR_LOW, EOI_APIC);
        irq_forget(VECTOR_HIGH, EOI_APIC);
        send_self(VECTOR_LOW);
        send_self(VECTOR_HIGH);
        check(t->p, requested(VECTOR_LOW) && requested(VECTOR_HIGH) && traps()->taken == 0,
              "%s: IPIs to itself wait while IF is 0", t->mode);
        irq_let_in();
        irq_let_in();
        check(t->p,
              traps()->taken == 2 && traps()->order[0] == VECTOR_HIGH && traps()->order[1] == VECTOR_LOW,
              "%s: the higher of two vectors comes first", t->mode);
        check(t->p, !requested(VECTOR_LOW) && !requested(VECTOR_HIGH), "%s: no request is left", t->mode);

        irq_forget(VECTOR_LOW, EOI_APIC);
        apic_write(APIC_TPR, VECTOR_LOW & 0xf0);
        send_self(VECTOR_LOW);
        irq_let_in();
        check(t->p, trap_count(VECTOR_LOW) == 0 && requested(VECTOR_LOW),
              "%s: the TPR holds its own class back", t->mode);
        apic_write(APIC_TPR, 0);
        irq_let_in();
        check(t->p, trap_count(VECTOR_LOW) == 1, "%s: a lower TPR lets it in", t->mode);

        irq_forget(VECTOR_LOW, EOI_NONE);
        send_self(VECTOR_LOW);
        irq_let_in();
        const uint32_t in_service = apic_read(APIC_ISR + (VECTOR_LOW >> 5) * 0x10) >> (VECTOR_LOW & 31) & 1;
        send_self(VECTOR_LOW);
        irq_let_in();
        check(t->p, in_service && trap_count(VECTOR_LOW) == 1, "%s: a vector in service holds itself back",
              t->mode);
        apic_eoi();
        irq_let_in();
        apic_eoi();
        check(t->p, trap_count(VECTOR_LOW) == 2, "%s: EOI lets it in", t->mode);
}

static void one_mode(struct probe *p, const char *mode, uint64_t tsc_hz)
{
        const struct apic_test t = { .p = p, .mode = mode, .ms = tsc_hz / 1000 };
        apic_write(APIC_SVR, (uint32_t)SVR_ENABLE | SVR_SPURIOUS);
        deadline(&t, false);
        deadline(&t, true);
        past_deadline(&t);
        counting(&t);
        priorities(&t);
}

void selftest_apic(struct probe *p, uint64_t tsc_hz)
{
        one_mode(p, "xAPIC", tsc_hz);
        const uint64_t base = hw_rdmsr(MSR_APIC_BASE);
        hw_wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
        one_mode(p, "x2APIC", tsc_hz);

        irq_forget(VECTOR_LOW, EOI_APIC);
        hw_wrmsr(MSR_X2APIC_FIRST + (APIC_SELF_IPI >> 4), VECTOR_LOW);
        irq_let_in();
        check(p, trap_count(VECTOR_LOW) == 1, "x2APIC: the self-IPI register works");
        TRY("wrmsr", , "c"(MSR_X2APIC_FIRST + (APIC_EOI >> 4)), "a"(1), "d"(0));
        check(p, traps()->vector == VEC_GP, "x2APIC: an EOI that is not 0 raises #GP");
        uint32_t lo = 0, hi = 0;
        TRY("rdmsr", "+a"(lo)COMMA "+d"(hi), "c"(MSR_X2APIC_FIRST + (APIC_ICR_HIGH >> 4)));
        check(p, traps()->vector == VEC_GP, "x2APIC: a register of xAPIC mode raises #GP");
        if (!p->hypervisor) /* Bochs 2.7 ignores IA32_APIC_BASE once the APIC was off */
                return;
        TRY("wrmsr", , "c"(MSR_APIC_BASE), "a"((uint32_t)base), "d"((uint32_t)(base >> 32)));
        check(p, traps()->vector == VEC_GP, "x2APIC mode is not left for xAPIC mode");
        hw_wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_ENABLE);
        hw_wrmsr(MSR_APIC_BASE, base);
        check(p, !apic_is_x2() && (xapic_read(APIC_VERSION) & 0xff) >= 0x10,
              "xAPIC mode is back through the disabled state");
}
