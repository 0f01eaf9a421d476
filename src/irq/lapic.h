/* SPDX-License-Identifier: BSD-2-Clause */
/* lapic.h - one local APIC as the guest sees it: xAPIC registers, x2APIC MSRs, timer, priorities. [pure]
 *
 * Owns: everything in struct lapic. `offer` and `timer_due` are caches that every function here leaves exact,
 * so that readers on hot paths need one load. Time is an argument: `now` in TSC ticks; the timer counts TSC
 * ticks too. Functions that can be refused by the architecture return false, which the caller turns into #GP.
 * What concerns more than one APIC (ICR, messages) is in apic_bus.h. */
#ifndef CASCADE_IRQ_LAPIC_H
#define CASCADE_IRQ_LAPIC_H

#include <stdbool.h>
#include "base/bits.h"

#define LAPIC_BASE_RESET 0xfee00000ull
#define LAPIC_VERSION    0x00050014u /* integrated APIC, six LVT entries, no suppression of EOI broadcasts */
#define LAPIC_NEVER      UINT64_MAX
#define LAPIC_NO_VECTOR  (-1)
#define LAPIC_EXTINT     256 /* an offer: ask the 8259 for the vector */

/* IA32_APIC_BASE */
#define APICBASE_BSP  BIT(8)
#define APICBASE_EXTD BIT(10)
#define APICBASE_EN   BIT(11)
#define APICBASE_ADDR (~BITS(11, 0))

/* Register numbers: MMIO offset / 16, and MSR - 0x800. */
enum lapic_reg {
        LAPIC_ID = 0x02,
        LAPIC_VER = 0x03,
        LAPIC_TPR = 0x08,
        LAPIC_APR = 0x09,
        LAPIC_PPR = 0x0a,
        LAPIC_EOI = 0x0b,
        LAPIC_RRD = 0x0c,
        LAPIC_LDR = 0x0d,
        LAPIC_DFR = 0x0e,
        LAPIC_SVR = 0x0f,
        LAPIC_ISR = 0x10, /* eight registers each */
        LAPIC_TMR = 0x18,
        LAPIC_IRR = 0x20,
        LAPIC_ESR = 0x28,
        LAPIC_ICR = 0x30,
        LAPIC_ICR_HIGH = 0x31,
        LAPIC_LVT = 0x32, /* LVT_COUNT registers */
        LAPIC_TIMER_INITIAL = 0x38,
        LAPIC_TIMER_CURRENT = 0x39,
        LAPIC_TIMER_DIVIDE = 0x3e,
        LAPIC_SELF_IPI = 0x3f,
};

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

/* LVT entries and ICR share their low half. */
#define APIC_VECTOR     BITS(7, 0)
#define APIC_MODE       BITS(10, 8)
#define APIC_LOGICAL    BIT(11)
#define APIC_ASSERT     BIT(14)
#define APIC_LEVEL      BIT(15)
#define LVT_MASKED      BIT(16)
#define LVT_TIMER_MODE  BITS(18, 17)
#define ICR_SHORTHAND   BITS(19, 18)

enum apic_mode {
        APIC_FIXED = 0,
        APIC_LOWEST = 1,
        APIC_SMI = 2,
        APIC_NMI = 4,
        APIC_INIT = 5,
        APIC_STARTUP = 6,
        APIC_EXTINT = 7
};
enum lapic_timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

#define SVR_ENABLE          BIT(8)
#define ESR_SEND_ILLEGAL    BIT(5)
#define ESR_RECEIVE_ILLEGAL BIT(6)
#define ESR_BAD_REGISTER    BIT(7)

struct lapic {
        int offer; /* cache: vector the processor would take now, LAPIC_EXTINT or LAPIC_NO_VECTOR */
        bool nmi_pending;     /* an NMI was accepted and not yet taken */
        bool lint0;           /* level of the LINT0 pin: INTR of the 8259 pair */
        uint8_t maxphyaddr;   /* bounds IA32_APIC_BASE */
        uint32_t id;          /* processor number; x2APIC ID */
        uint64_t base;        /* IA32_APIC_BASE */
        uint64_t irr[4];      /* vectors 0..255 */
        uint64_t isr[4];
        uint64_t tmr[4];
        uint32_t tpr;
        uint32_t svr;
        uint32_t ldr;         /* xAPIC mode only: in x2APIC mode derived from id */
        uint32_t dfr;
        uint32_t esr;         /* as last latched by a write */
        uint32_t errors;      /* since then */
        uint64_t icr;
        uint32_t lvt[LVT_COUNT];
        uint32_t divide;
        uint32_t initial;     /* timer's initial count */
        uint64_t timer_start; /* TSC at which the current count began */
        uint64_t timer_due;   /* cache: TSC at which the timer fires, or LAPIC_NEVER */
        uint64_t deadline;    /* IA32_TSC_DEADLINE */
};

/* State after power-up. `boot_cpu`: as PC firmware leaves the first processor's APIC, in virtual-wire mode
 * (SDM 3A "Virtual-Wire Mode"): enabled by software, LINT0 ExtINT, LINT1 NMI. */
void lapic_init(struct lapic *l, uint32_t id, bool boot_cpu, uint8_t maxphyaddr);
/* SDM 3A "Local APIC State After It Receives an INIT Reset (Wait-for-SIPI State)": keeps ID and base. */
void lapic_init_reset(struct lapic *l);

/* Registers but ICR, EOI and self-IPI, whose effects reach beyond this APIC (apic_bus.h). False: no such
 * register in the present mode, or a reserved bit set (x2APIC only; in xAPIC mode reserved bits are ignored).
 */
bool lapic_read(struct lapic *l, unsigned reg, uint64_t now, uint64_t *value);
bool lapic_write(struct lapic *l, unsigned reg, uint64_t value, uint64_t now);
/* Whether WRMSR may store this value: SDM 3A "x2APIC Register Address Space", "Reserved Bit Checking". */
bool lapic_x2_write_ok(unsigned reg, uint64_t value);

bool lapic_set_base(struct lapic *l, uint64_t value);
void lapic_set_deadline(struct lapic *l, uint64_t deadline, uint64_t now);
void lapic_set_tpr(struct lapic *l, uint32_t tpr);
uint32_t lapic_ppr(const struct lapic *l);

/* A fixed interrupt arrives; false if not accepted (APIC disabled, illegal vector). */
bool lapic_accept(struct lapic *l, uint8_t vector, bool level);
/* Takes the offered vector: IRR to ISR. Only when offer is a vector. */
int lapic_ack(struct lapic *l);
/* Ends the highest interrupt in service. Returns its vector if it was level-triggered, that is when the I/O
 * APICs have to hear of it, else LAPIC_NO_VECTOR. */
int lapic_eoi(struct lapic *l);
void lapic_set_lint0(struct lapic *l, bool level);
void lapic_error(struct lapic *l, uint32_t esr_bit);
/* Fires the timer if its time has come. */
void lapic_advance(struct lapic *l, uint64_t now);

static inline bool lapic_is_x2(const struct lapic *l)
{
        return (l->base & (APICBASE_EN | APICBASE_EXTD)) == (APICBASE_EN | APICBASE_EXTD);
}

static inline bool lapic_is_xapic(const struct lapic *l)
{
        return (l->base & (APICBASE_EN | APICBASE_EXTD)) == APICBASE_EN;
}

/* SDM 3A "Logical x2APIC ID": 16 clusters' worth of IDs per cluster, one bit per member. */
static inline uint32_t lapic_x2_ldr(const struct lapic *l)
{
        return l->id >> 4 << 16 | 1u << (l->id & 15);
}

/* SDM 3A "Interaction of Task Priorities between CR8 and APIC". */
static inline uint64_t lapic_get_cr8(const struct lapic *l)
{
        return l->tpr >> 4;
}

static inline void lapic_set_cr8(struct lapic *l, uint64_t cr8)
{
        lapic_set_tpr(l, (uint32_t)(cr8 & 0xf) << 4);
}

#endif
