/* SPDX-License-Identifier: BSD-2-Clause */
#include "irq/lapic.h"
#include "base/bug.h"
#include "base/libc.h"

#define TPR_BITS     BITS(7, 0)
#define SVR_BITS     BITS(8, 0)
#define LDR_BITS     BITS(31, 24)
#define DFR_MODEL    BITS(31, 28)
#define DIVIDE_BITS  (BIT(3) | BITS(1, 0))
#define LVT_STATUS   BIT(12) /* read-only */
#define LVT_POLARITY BIT(13)
#define LVT_RIRR     BIT(14) /* read-only */
#define XAPIC_ID     BITS(31, 24)
#define ICR_BUSY     BIT(12)
#define ICR_BITS     (BITS(63, 32) | ICR_SHORTHAND | BITS(15, 14) | BITS(12, 0))

/* Bits that software may set, per LVT entry. */
static const uint32_t lvt_bits[LVT_COUNT] = {
        [LVT_TIMER] = APIC_VECTOR | LVT_MASKED | LVT_TIMER_MODE,
        [LVT_THERMAL] = APIC_VECTOR | APIC_MODE | LVT_MASKED,
        [LVT_PERF] = APIC_VECTOR | APIC_MODE | LVT_MASKED,
        [LVT_LINT0] = APIC_VECTOR | APIC_MODE | LVT_POLARITY | APIC_LEVEL | LVT_MASKED,
        [LVT_LINT1] = APIC_VECTOR | APIC_MODE | LVT_POLARITY | APIC_LEVEL | LVT_MASKED,
        [LVT_ERROR] = APIC_VECTOR | LVT_MASKED,
};

/* Vector sets: 256 bits in four words. */
static int highest(const uint64_t *set)
{
        int i = 3;

        if (!(set[0] | set[1] | set[2] | set[3])) /* the usual case: one branch */
                return LAPIC_NO_VECTOR;
        while (!set[i])
                i--;
        return i * 64 + 63 - __builtin_clzll(set[i]);
}

static void set_vector(uint64_t *set, int vector)
{
        set[vector >> 6] |= BIT(vector & 63);
}

static void clear_vector(uint64_t *set, int vector)
{
        set[vector >> 6] &= ~BIT(vector & 63);
}

static bool has_vector(const uint64_t *set, int vector)
{
        return set[vector >> 6] & BIT(vector & 63);
}

/* SDM 3A "Task and Processor Priorities". */
uint32_t lapic_ppr(const struct lapic *l)
{
        const int isrv = highest(l->isr);
        const uint32_t in_service = isrv < 0 ? 0 : (uint32_t)isrv & 0xf0;
        return (l->tpr & 0xf0) >= in_service ? l->tpr : in_service;
}

/* A globally disabled APIC passes INTR through (SDM 3A "Enabling or Disabling the Local APIC"). */
static bool takes_extint(const struct lapic *l)
{
        if (!(l->base & APICBASE_EN))
                return true;
        return !(l->lvt[LVT_LINT0] & LVT_MASKED) && GET(l->lvt[LVT_LINT0], APIC_MODE) == APIC_EXTINT;
}

static void refresh_offer(struct lapic *l)
{
        if (l->lint0 && takes_extint(l)) {
                l->offer = LAPIC_EXTINT;
                return;
        }
        const int irrv = highest(l->irr);
        l->offer = irrv >= 0 && ((uint32_t)irrv & 0xf0) > (lapic_ppr(l) & 0xf0) ? irrv : LAPIC_NO_VECTOR;
}

static void stop_timer(struct lapic *l)
{
        l->timer_due = LAPIC_NEVER;
        l->initial = 0;
        l->deadline = 0;
}

void lapic_init_reset(struct lapic *l)
{
        const struct lapic old = *l;
        memset(l, 0, sizeof(*l));
        l->maxphyaddr = old.maxphyaddr;
        l->id = old.id;
        l->base = old.base;
        l->lint0 = old.lint0;
        l->svr = APIC_VECTOR;
        l->dfr = UINT32_MAX;
        for (unsigned i = 0; i < LVT_COUNT; i++)
                l->lvt[i] = LVT_MASKED;
        stop_timer(l);
        refresh_offer(l);
}

void lapic_init(struct lapic *l, uint32_t id, bool boot_cpu, uint8_t maxphyaddr)
{
        memset(l, 0, sizeof(*l));
        l->id = id;
        l->maxphyaddr = maxphyaddr;
        l->base = LAPIC_BASE_RESET | APICBASE_EN | (boot_cpu ? APICBASE_BSP : 0);
        lapic_init_reset(l);
        if (!boot_cpu)
                return;
        l->svr |= SVR_ENABLE;
        l->lvt[LVT_LINT0] = PUT(0, APIC_MODE, APIC_EXTINT);
        l->lvt[LVT_LINT1] = PUT(0, APIC_MODE, APIC_NMI);
}

bool lapic_set_base(struct lapic *l, uint64_t value)
{
        const uint64_t both = APICBASE_EN | APICBASE_EXTD;
        const uint64_t was = l->base & both, is = value & both;

        if (value & (BITS(7, 0) | BIT(9) | ~BITS(l->maxphyaddr - 1, 0)))
                return false;
        /* SDM 3A "x2APIC State Transitions": EXTD without EN is illegal, x2APIC is entered from xAPIC only
         * and left to the disabled state only. */
        if (is == APICBASE_EXTD || (is == both && was == 0) || (is == APICBASE_EN && was == both))
                return false;
        l->base = value;
        if (is == 0 && was != 0)
                lapic_init_reset(l);
        if (is == both && was != both)
                l->icr &= ~BITS(63, 32); /* "x2APIC After xAPIC": ICR's upper half does not survive */
        refresh_offer(l);
        return true;
}

void lapic_set_tpr(struct lapic *l, uint32_t tpr)
{
        l->tpr = tpr & TPR_BITS;
        refresh_offer(l);
}

void lapic_set_lint0(struct lapic *l, bool level)
{
        if (l->lint0 == level)
                return;
        l->lint0 = level;
        refresh_offer(l);
}

bool lapic_accept(struct lapic *l, uint8_t vector, bool level)
{
        /* SDM 3A "Local APIC State After It Has Been Software Disabled". */
        if (!(l->base & APICBASE_EN) || !(l->svr & SVR_ENABLE))
                return false;
        if (vector < 16) {
                lapic_error(l, ESR_RECEIVE_ILLEGAL);
                return false;
        }
        set_vector(l->irr, vector);
        if (level)
                set_vector(l->tmr, vector);
        else
                clear_vector(l->tmr, vector);
        refresh_offer(l);
        return true;
}

static void fire_lvt(struct lapic *l, enum lapic_lvt which)
{
        const uint32_t lvt = l->lvt[which];

        if (!(lvt & LVT_MASKED))
                lapic_accept(l, (uint8_t)GET(lvt, APIC_VECTOR), false);
}

/* SDM 3A "Error Handling": an error already pending raises no second interrupt, which also ends the recursion
 * when LVT Error itself holds an illegal vector. */
void lapic_error(struct lapic *l, uint32_t esr_bit)
{
        if (l->errors & esr_bit)
                return;
        l->errors |= esr_bit;
        fire_lvt(l, LVT_ERROR);
}

int lapic_ack(struct lapic *l)
{
        const int vector = l->offer;
        BUG_UNLESS(vector >= 0 && vector < LAPIC_EXTINT);
        clear_vector(l->irr, vector);
        set_vector(l->isr, vector);
        refresh_offer(l);
        return vector;
}

int lapic_eoi(struct lapic *l)
{
        const int vector = highest(l->isr);
        if (vector < 0)
                return LAPIC_NO_VECTOR;
        clear_vector(l->isr, vector);
        refresh_offer(l);
        return has_vector(l->tmr, vector) ? vector : LAPIC_NO_VECTOR;
}

/* ---- timer: SDM 3A "APIC Timer" ---- */

static enum lapic_timer_mode timer_mode(const struct lapic *l)
{
        return (enum lapic_timer_mode)GET(l->lvt[LVT_TIMER], LVT_TIMER_MODE);
}

/* Divide configuration: bits 3, 1, 0 give 2, 4, ... 128, and 111 gives 1. */
static unsigned divide_shift(const struct lapic *l)
{
        const unsigned code = (unsigned)((l->divide & 3) | GET(l->divide, BIT(3)) << 2);
        return (code + 1) & 7;
}

/* Ticks: shorter periods fold into one interrupt, masked or not. Otherwise a timer of one tick would be due again before the
 * guest has executed anything. */
#define PERIOD_LEAST 256u

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t current_count(const struct lapic *l, uint64_t now)
{
        if (l->timer_due == LAPIC_NEVER || timer_mode(l) == TIMER_DEADLINE)
                return 0;
        const uint64_t elapsed = (now - l->timer_start) >> divide_shift(l);
        if (elapsed < l->initial)
                return l->initial - elapsed;
        /* The timer is due and not yet advanced. */
        return timer_mode(l) == TIMER_PERIODIC ? l->initial - elapsed % l->initial : 0;
}

static void start_count(struct lapic *l, uint32_t initial, uint64_t now)
{
        l->initial = initial;
        l->timer_start = now;
        l->timer_due = initial ? add_saturating(now, (uint64_t)initial << divide_shift(l)) : LAPIC_NEVER;
}

static void set_divide(struct lapic *l, uint32_t divide, uint64_t now)
{
        const uint64_t left = current_count(l, now);
        l->divide = divide & DIVIDE_BITS;
        if (!left)
                return;
        /* The running count goes on from where it is, at the new speed. */
        l->timer_start =
                now - ((l->initial - left) << divide_shift(l)); /* may lie before 0: only differences count */
        l->timer_due = add_saturating(now, left << divide_shift(l));
}

void lapic_set_deadline(struct lapic *l, uint64_t deadline, uint64_t now)
{
        /* SDM 3A "TSC-Deadline Mode": in other modes the write is ignored. */
        if (timer_mode(l) != TIMER_DEADLINE)
                return;
        l->deadline = deadline;
        l->timer_due = deadline ? deadline : LAPIC_NEVER;
        lapic_advance(l, now);
}

void lapic_advance(struct lapic *l, uint64_t now)
{
        if (now < l->timer_due || l->timer_due == LAPIC_NEVER)
                return;
        if (timer_mode(l) == TIMER_PERIODIC) {
                /* Periods that nobody could see pass fold into one interrupt: IRR holds no more than one
                 * anyway. */
                const uint64_t period = (uint64_t)l->initial << divide_shift(l);
                const uint64_t fold = 1 + (PERIOD_LEAST - 1) / period;
                l->timer_start = l->timer_due + (now - l->timer_due) / period * period;
                l->timer_due = add_saturating(l->timer_start, fold * period);
        } else {
                l->timer_due = LAPIC_NEVER;
                l->deadline = 0;
        }
        fire_lvt(l, LVT_TIMER);
}

/* ---- registers ---- */

static void write_lvt(struct lapic *l, unsigned which, uint32_t value)
{
        const enum lapic_timer_mode was = timer_mode(l);

        l->lvt[which] = value & lvt_bits[which];
        if (!(l->svr & SVR_ENABLE))
                l->lvt[which] |= LVT_MASKED;
        /* "Transitioning between TSC-deadline mode and other timer modes also disarms the timer." */
        if (which == LVT_TIMER && (was == TIMER_DEADLINE) != (timer_mode(l) == TIMER_DEADLINE))
                stop_timer(l);
        refresh_offer(l);
}

static void write_svr(struct lapic *l, uint32_t value)
{
        l->svr = value & SVR_BITS;
        if (!(value & SVR_ENABLE))
                for (unsigned i = 0; i < LVT_COUNT; i++)
                        l->lvt[i] |= LVT_MASKED;
        refresh_offer(l);
}

static uint32_t vector_word(const uint64_t *set, unsigned word)
{
        return (uint32_t)(set[word >> 1] >> (word & 1) * 32);
}

static bool read_mode_register(struct lapic *l, unsigned reg, uint64_t *v)
{
        const bool x2 = lapic_is_x2(l);

        switch (reg) {
        case LAPIC_ID:
                *v = x2 ? l->id : PUT(0, XAPIC_ID, l->id);
                return true;
        case LAPIC_LDR:
                *v = x2 ? lapic_x2_ldr(l) : l->ldr;
                return true;
        case LAPIC_ICR:
                *v = x2 ? l->icr : (uint32_t)l->icr;
                return true;
        case LAPIC_ICR_HIGH:
                *v = l->icr >> 32;
                return !x2;
        case LAPIC_DFR:
                *v = l->dfr;
                return !x2;
        case LAPIC_APR: /* arbitration and remote read are not in processors since the Pentium 4 */
        case LAPIC_RRD:
        case LAPIC_EOI:
                *v = 0;
                return !x2;
        default:
                return false;
        }
}

bool lapic_read(struct lapic *l, unsigned reg, uint64_t now, uint64_t *v)
{
        switch (reg) {
        case LAPIC_VER:
                *v = LAPIC_VERSION;
                return true;
        case LAPIC_TPR:
                *v = l->tpr;
                return true;
        case LAPIC_PPR:
                *v = lapic_ppr(l);
                return true;
        case LAPIC_SVR:
                *v = l->svr;
                return true;
        case LAPIC_ISR ... LAPIC_ISR + 7:
                *v = vector_word(l->isr, reg - LAPIC_ISR);
                return true;
        case LAPIC_TMR ... LAPIC_TMR + 7:
                *v = vector_word(l->tmr, reg - LAPIC_TMR);
                return true;
        case LAPIC_IRR ... LAPIC_IRR + 7:
                *v = vector_word(l->irr, reg - LAPIC_IRR);
                return true;
        case LAPIC_ESR:
                *v = l->esr;
                return true;
        case LAPIC_LVT ... LAPIC_LVT + LVT_COUNT - 1:
                *v = l->lvt[reg - LAPIC_LVT];
                return true;
        case LAPIC_TIMER_INITIAL:
                *v = l->initial;
                return true;
        case LAPIC_TIMER_CURRENT:
                *v = current_count(l, now);
                return true;
        case LAPIC_TIMER_DIVIDE:
                *v = l->divide;
                return true;
        default:
                return read_mode_register(l, reg, v);
        }
}

bool lapic_x2_write_ok(unsigned reg, uint64_t value)
{
        switch (reg) {
        case LAPIC_TPR:
        case LAPIC_SELF_IPI:
                return !(value & ~BITS(7, 0));
        case LAPIC_ESR:
                return value == 0;
        case LAPIC_SVR:
                return !(value & ~SVR_BITS);
        case LAPIC_ICR:
                return !(value & ~ICR_BITS);
        case LAPIC_LVT + LVT_LINT0:
        case LAPIC_LVT + LVT_LINT1:
                return !(value & ~(uint64_t)(lvt_bits[reg - LAPIC_LVT] | LVT_STATUS | LVT_RIRR));
        case LAPIC_LVT + LVT_TIMER:
        case LAPIC_LVT + LVT_THERMAL:
        case LAPIC_LVT + LVT_PERF:
        case LAPIC_LVT + LVT_ERROR:
                return !(value & ~(uint64_t)(lvt_bits[reg - LAPIC_LVT] | LVT_STATUS));
        case LAPIC_TIMER_INITIAL:
                return !(value >> 32);
        case LAPIC_TIMER_DIVIDE:
                return !(value & ~DIVIDE_BITS);
        default:
                return false;
        }
}

static bool write_xapic_only(struct lapic *l, unsigned reg, uint64_t value)
{
        switch (reg) {
        case LAPIC_LDR:
                l->ldr = (uint32_t)(value & LDR_BITS);
                return true;
        case LAPIC_DFR:
                l->dfr = (uint32_t)(value | ~DFR_MODEL);
                return true;
        case LAPIC_ICR_HIGH:
                l->icr = (uint32_t)l->icr | (value & BITS(31, 24)) << 32;
                return true;
        case LAPIC_ID: /* read-only registers: the write has no effect */
        case LAPIC_VER:
        case LAPIC_APR:
        case LAPIC_PPR:
        case LAPIC_RRD:
        case LAPIC_ISR ... LAPIC_IRR + 7:
        case LAPIC_TIMER_CURRENT:
                return true;
        default:
                return false;
        }
}

bool lapic_write(struct lapic *l, unsigned reg, uint64_t value, uint64_t now)
{
        if (lapic_is_x2(l) && !lapic_x2_write_ok(reg, value))
                return false;
        switch (reg) {
        case LAPIC_TPR:
                lapic_set_tpr(l, (uint32_t)value);
                return true;
        case LAPIC_SVR:
                write_svr(l, (uint32_t)value);
                return true;
        case LAPIC_ESR:
                l->esr = l->errors;
                l->errors = 0;
                return true;
        case LAPIC_ICR:
                l->icr = lapic_is_x2(l)
                                 ? value & ~ICR_BUSY
                                 : (l->icr & BITS(63, 32)) | (value & ICR_BITS & BITS(31, 0) & ~ICR_BUSY);
                return true;
        case LAPIC_LVT ... LAPIC_LVT + LVT_COUNT - 1:
                write_lvt(l, reg - LAPIC_LVT, (uint32_t)value);
                return true;
        case LAPIC_TIMER_INITIAL:
                if (timer_mode(l) != TIMER_DEADLINE)
                        start_count(l, (uint32_t)value, now);
                return true;
        case LAPIC_TIMER_DIVIDE:
                set_divide(l, (uint32_t)value, now);
                return true;
        default:
                return write_xapic_only(l, reg, value);
        }
}
