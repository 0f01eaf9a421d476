/* SPDX-License-Identifier: BSD-2-Clause */
#include "irq/apic_bus.h"
#include "base/bug.h"

enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS }; /* ICR_SHORTHAND */

#define XAPIC_BROADCAST 0xff
#define DFR_FLAT        0xf
#define DFR_CLUSTER     0x0

/* SDM 3A "Logical Destination Mode", "Logical Destination Mode in x2APIC Mode". */
static bool logical_match(const struct lapic *l, uint32_t dest)
{
        if (lapic_is_x2(l)) {
                const uint32_t ldr = lapic_x2_ldr(l);
                return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
        }
        const uint32_t mine = l->ldr >> 24, model = l->dfr >> 28;
        if (model == DFR_FLAT)
                return dest & mine & 0xff;
        if (model == DFR_CLUSTER)
                return (GET(dest, BITS(7, 4)) == 0xf || GET(dest, BITS(7, 4)) == GET(mine, BITS(7, 4))) &&
                       (dest & mine & 0xf);
        return false;
}

static bool addressed(const struct lapic *l, const struct apic_msg *m)
{
        if (!(l->base & APICBASE_EN))
                return false;
        return m->broadcast || (m->logical ? logical_match(l, m->dest) : m->dest == l->id);
}

static uint32_t resolve(const struct apic_bus *bus, const struct apic_msg *m)
{
        uint32_t cpus = 0;

        for (unsigned i = 0; i < bus->count; i++)
                if (addressed(&bus->cpu[i], m))
                        cpus |= (uint32_t)BIT(i);
        return cpus;
}

/* The enabled processor of lowest priority among `cpus`, as a set of one (or none). */
static uint32_t lowest_of(const struct apic_bus *bus, uint32_t cpus)
{
        uint32_t best = 0, best_ppr = UINT32_MAX;

        for (unsigned i = 0; i < bus->count; i++) {
                const struct lapic *l = &bus->cpu[i];
                if (!(cpus & BIT(i)) || !(l->svr & SVR_ENABLE) || lapic_ppr(l) >= best_ppr)
                        continue;
                best = (uint32_t)BIT(i);
                best_ppr = lapic_ppr(l);
        }
        return best;
}

static uint32_t deliver_to(struct apic_bus *bus, uint32_t cpus, const struct apic_msg *m)
{
        uint32_t accepted = 0;

        if (m->mode == APIC_INIT || m->mode == APIC_STARTUP)
                return cpus;
        if (m->mode == APIC_LOWEST)
                cpus = lowest_of(bus, cpus);
        for (unsigned i = 0; i < bus->count; i++) {
                if (!(cpus & BIT(i)))
                        continue;
                if (m->mode == APIC_NMI)
                        bus->cpu[i].nmi_pending = true;
                else if (m->mode != APIC_FIXED && m->mode != APIC_LOWEST)
                        continue; /* SMI: this PC has no SMM; ExtINT comes by wire only */
                else if (!lapic_accept(&bus->cpu[i], m->vector, m->level))
                        continue;
                accepted |= (uint32_t)BIT(i);
        }
        return accepted;
}

uint32_t apic_bus_deliver(struct apic_bus *bus, const struct apic_msg *m)
{
        return deliver_to(bus, resolve(bus, m), m);
}

/* SDM 3A "Interrupt Command Register (ICR)", "ICR Operation in x2APIC Mode". */
static struct apic_effect send_icr(struct apic_bus *bus, unsigned cpu)
{
        struct lapic *l = &bus->cpu[cpu];
        const uint64_t icr = l->icr;
        const bool x2 = lapic_is_x2(l);
        const uint32_t dest = (uint32_t)(x2 ? icr >> 32 : icr >> 56);
        const struct apic_msg m = {
                .dest = dest,
                .vector = (uint8_t)GET(icr, APIC_VECTOR),
                .mode = (uint8_t)GET(icr, APIC_MODE),
                .logical = icr & APIC_LOGICAL,
                .broadcast = dest == (x2 ? UINT32_MAX : XAPIC_BROADCAST),
        };
        const uint32_t all = (uint32_t)(BIT(bus->count) - 1), self = (uint32_t)BIT(cpu);
        const uint32_t by_shorthand[] = { [TO_DEST] = resolve(bus, &m), [TO_SELF] = self, [TO_ALL] = all,
                                          [TO_OTHERS] = all & ~self };

        if ((m.mode == APIC_FIXED || m.mode == APIC_LOWEST) && m.vector < 16) {
                lapic_error(l, ESR_SEND_ILLEGAL);
                return (struct apic_effect){ .kind = APIC_DONE };
        }
        /* INIT level de-assert only synchronised arbitration IDs, before the Pentium 4. */
        if (m.mode == APIC_INIT && (icr & APIC_LEVEL) && !(icr & APIC_ASSERT))
                return (struct apic_effect){ .kind = APIC_DONE };
        const uint32_t cpus = deliver_to(bus, by_shorthand[GET(icr, ICR_SHORTHAND)], &m);
        if ((m.mode != APIC_INIT && m.mode != APIC_STARTUP) || !cpus)
                return (struct apic_effect){ .kind = APIC_DONE };
        return (struct apic_effect){ .kind = APIC_START_CPU, .cpus = cpus, .icr = icr };
}

static struct apic_effect self_ipi(struct lapic *l, uint8_t vector)
{
        if (vector < 16)
                lapic_error(l, ESR_SEND_ILLEGAL);
        else
                lapic_accept(l, vector, false);
        return (struct apic_effect){ .kind = APIC_DONE };
}

struct apic_effect apic_bus_write(struct apic_bus *bus, unsigned cpu, unsigned reg, uint64_t value,
                                  uint64_t now)
{
        BUG_UNLESS(cpu < bus->count);
        struct lapic *l = &bus->cpu[cpu];
        const bool x2 = lapic_is_x2(l);

        if (reg == LAPIC_SELF_IPI && x2) {
                if (!lapic_x2_write_ok(reg, value))
                        return (struct apic_effect){ .kind = APIC_REFUSED };
                return self_ipi(l, (uint8_t)value);
        }
        if (!lapic_write(l, reg, value, now))
                return (struct apic_effect){ .kind = APIC_REFUSED };
        return reg == LAPIC_ICR ? send_icr(bus, cpu) : (struct apic_effect){ .kind = APIC_DONE };
}
