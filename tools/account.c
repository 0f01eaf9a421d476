/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "account.h"
#include "base/bits.h"

#define BASIC_REASON BITS(15, 0) /* SDM 3C "Basic VM-Exit Information" */

void account_init(struct account *a)
{
        memset(a, 0, sizeof(*a));
}

void account_free(struct account *a)
{
        for (size_t l = 0; l < ACCOUNT_LEVELS; l++) {
                for (size_t r = 0; r < ACCOUNT_REASONS; r++) {
                        struct account_cell *c = a->level[l].cell[r];
                        if (!c)
                                continue;
                        free(c->samples);
                        free(c->classes);
                        free(c);
                }
        }
        for (size_t i = 0; i < ACCOUNT_CPUS; i++)
                free(a->cpu[i]);
        account_init(a);
}

/* Values below 128 have a class each; above, the 7 bits after the leading one choose among the 128 of its
 * power of two. */
unsigned account_class(uint64_t v)
{
        if (v < BIT(ACCOUNT_CLASS_BITS))
                return (unsigned)v;
        const unsigned power = 63 - (unsigned)__builtin_clzll(v) - ACCOUNT_CLASS_BITS;
        return ((power + 1) << ACCOUNT_CLASS_BITS) + (unsigned)((v >> power) - BIT(ACCOUNT_CLASS_BITS));
}

uint64_t account_class_middle(unsigned class)
{
        if (class < BIT(ACCOUNT_CLASS_BITS))
                return class;
        const unsigned power = (class >> ACCOUNT_CLASS_BITS) - 1;
        const uint64_t low = ((class & (BIT(ACCOUNT_CLASS_BITS) - 1)) | BIT(ACCOUNT_CLASS_BITS)) << power;
        return low + (BIT(power) >> 1);
}

static bool to_classes(struct account_cell *c)
{
        c->classes = calloc(ACCOUNT_CLASSES, sizeof(*c->classes));
        if (!c->classes)
                return false;
        for (uint64_t i = 0; i < c->count; i++)
                c->classes[account_class(c->samples[i])]++;
        free(c->samples);
        c->samples = NULL;
        return true;
}

static bool sample(struct account_cell *c, uint64_t ticks)
{
        if (!c->classes && c->count == ACCOUNT_EXACT_SAMPLES && !to_classes(c))
                return false;
        if (c->classes) {
                c->classes[account_class(ticks)]++;
                return true;
        }
        if (c->count == c->room) {
                const size_t room = c->room ? 2 * c->room : 16;
                uint64_t *samples = realloc(c->samples, room * sizeof(*samples));
                if (!samples)
                        return false;
                c->samples = samples;
                c->room = room;
        }
        c->samples[c->count] = ticks;
        c->sorted = false;
        return true;
}

static int compare(const void *x, const void *y)
{
        const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
        return (a > b) - (a < b);
}

uint64_t account_percentile(struct account_cell *c, unsigned q)
{
        if (!c->count)
                return 0;
        const uint64_t rank = (c->count * q + 99) / 100;
        if (c->classes) {
                uint64_t below = 0;
                for (unsigned i = 0; i < ACCOUNT_CLASSES; i++) {
                        below += c->classes[i];
                        if (below >= rank)
                                return account_class_middle(i);
                }
        }
        if (!c->sorted)
                qsort(c->samples, c->count, sizeof(*c->samples), compare);
        c->sorted = true;
        return c->samples[rank - 1];
}

static struct account_level *level_of(struct account *a, const struct trace_record *r)
{
        a->level[r->level].seen = true;
        if (a->levels <= r->level)
                a->levels = r->level + 1u;
        return &a->level[r->level];
}

static void on_exit_of(struct account *a, struct account_cpu *c, const struct trace_record *r)
{
        struct account_exit *x = &c->exit[r->level];
        const uint64_t basic = GET(r->aux, BASIC_REASON);
        if (c->running && c->in == r->level) {
                for (unsigned l = 0; l < r->level; l++)
                        c->exit[l].hosted += r->tsc - c->since;
        }
        c->running = false;
        if (x->pending)
                a->unmatched++;
        *x = (struct account_exit){.pending = true,
                                   .tsc = r->tsc,
                                   .exits_before = c->exits,
                                   .reason =
                                           (uint8_t)(basic < ACCOUNT_REASONS ? basic : ACCOUNT_REASONS - 1)};
        c->exits++;
        level_of(a, r)->exits++;
}

static bool on_entry_to(struct account *a, struct account_cpu *c, const struct trace_record *r)
{
        struct account_exit *x = &c->exit[r->level];
        c->running = true;
        c->in = r->level;
        c->since = r->tsc;
        struct account_cell **cell = &level_of(a, r)->cell[x->reason];
        if (!x->pending)
                return true;
        x->pending = false;
        if (!*cell && !(*cell = calloc(1, sizeof(**cell))))
                return false;
        const uint64_t elapsed = r->tsc - x->tsc;
        const uint64_t ticks = elapsed > x->drained ? elapsed - x->drained : 0;
        if (!sample(*cell, ticks))
                return false;
        (*cell)->count++;
        (*cell)->ticks += ticks;
        (*cell)->hosted += x->hosted;
        (*cell)->l1_exits += c->exits - x->exits_before;
        return true;
}

static void on_drain(struct account *a, struct account_cpu *c, const struct trace_record *r)
{
        if (r->a > r->tsc)
                return;
        a->drained += r->tsc - r->a;
        for (unsigned l = 0; l < a->levels; l++) {
                struct account_exit *x = &c->exit[l];
                x->drained += r->tsc - (r->a > x->tsc ? r->a : x->tsc);
        }
}

/* Entries may be among what was lost, so nothing is known any more of the exits that wait for theirs. */
static void on_lost(struct account *a, struct account_cpu *c, const struct trace_record *r)
{
        a->lost += r->a;
        c->running = false;
        for (unsigned l = 0; l < a->levels; l++) {
                a->unmatched += c->exit[l].pending;
                c->exit[l].pending = false;
        }
}

static void on_marker(struct account_level *l, const struct trace_record *r)
{
        if (r->aux == MARK_USERSPACE)
                l->reached_userspace = true;
        if (r->aux == MARK_POWER_OFF)
                l->powered_off = true;
        if (r->aux != MARK_RESULT)
                return;
        l->has_result = true;
        l->result = r->a;
}

bool account_add(struct account *a, const struct trace_record *r)
{
        struct account_cpu **cpu = &a->cpu[r->cpu];
        if (!*cpu && !(*cpu = calloc(1, sizeof(**cpu))))
                return false;
        a->events++;
        switch (r->event) {
        case TRACE_VM_EXIT:
                on_exit_of(a, *cpu, r);
                return true;
        case TRACE_VM_ENTRY:
                return on_entry_to(a, *cpu, r);
        case TRACE_DRAIN:
                on_drain(a, *cpu, r);
                return true;
        case TRACE_MARKER:
                on_marker(level_of(a, r), r);
                return true;
        case TRACE_GUEST:
                level_of(a, r)->kind = r->aux;
                return true;
        case TRACE_LOST:
                on_lost(a, *cpu, r);
                return true;
        case TRACE_SESSION:
                a->session = true;
                a->version = r->aux;
                a->tsc_hz = r->a;
                return true;
        default:
                return true;
        }
}

void account_end(struct account *a)
{
        for (size_t i = 0; i < ACCOUNT_CPUS; i++) {
                for (size_t l = 0; a->cpu[i] && l < ACCOUNT_LEVELS; l++) {
                        a->unmatched += a->cpu[i]->exit[l].pending;
                        a->cpu[i]->exit[l].pending = false;
                }
        }
}
