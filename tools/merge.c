/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "merge.h"

#define RING_FIRST_SIZE 64

void merge_init(struct merge *m, struct store *s)
{
        memset(m, 0, sizeof(*m));
        m->store = s;
}

void merge_free(struct merge *m)
{
        for (uint32_t i = 0; i < MERGE_CPUS; i++) {
                free(m->cpu[i].chunks);
                free(m->cpu[i].block);
        }
        memset(m, 0, sizeof(*m));
}

static bool ring_grow(struct merge_cpu *c)
{
        const uint32_t size = c->size ? 2 * c->size : RING_FIRST_SIZE;
        struct store_chunk *chunks = calloc(size, sizeof(*chunks));
        if (!chunks)
                return false;
        for (uint32_t i = 0; i < c->len; i++)
                chunks[i] = c->chunks[(c->head + i) & (c->size - 1)];
        free(c->chunks);
        c->chunks = chunks;
        c->size = size;
        c->head = 0;
        return true;
}

bool merge_add(struct merge *m, const struct store_chunk *chunk)
{
        struct merge_cpu *c = &m->cpu[chunk->cpu];
        if (!c->block && !(c->block = calloc(MERGE_BLOCK, sizeof(*c->block))))
                return false;
        if (c->len == c->size && !ring_grow(c))
                return false;
        c->chunks[(c->head + c->len) & (c->size - 1)] = *chunk;
        c->len++;
        m->queued++;
        c->lost = chunk->lost;
        if (m->cpus <= chunk->cpu)
                m->cpus = chunk->cpu + 1;
        return true;
}

/* The oldest record of a processor, read from the store when needed; NULL when there is none (yet). */
static const struct trace_record *head_of(struct merge *m, struct merge_cpu *c)
{
        while (c->at == c->filled) {
                if (!c->len || m->verdict != STORE_OK)
                        return NULL;
                const struct store_chunk *chunk = &c->chunks[c->head];
                if (c->read == chunk->count) {
                        c->head = (c->head + 1) & (c->size - 1);
                        c->len--;
                        m->queued--;
                        c->read = 0;
                        continue;
                }
                const uint32_t left = chunk->count - c->read;
                const uint32_t n = left < MERGE_BLOCK ? left : MERGE_BLOCK;
                c->at = 0;
                m->verdict = store_records(m->store, chunk, c->read, n, c->block, &c->filled);
                c->read += n;
        }
        return &c->block[c->at];
}

/* The processor whose record comes next; *bound is the oldest record of the others. */
static struct merge_cpu *pick(struct merge *m, bool wait, uint64_t *bound)
{
        struct merge_cpu *best = NULL;
        uint64_t best_tsc = UINT64_MAX;
        *bound = UINT64_MAX;
        for (uint32_t i = 0; i < m->cpus; i++) {
                struct merge_cpu *c = &m->cpu[i];
                if (!c->block)
                        continue;
                const struct trace_record *r = head_of(m, c);
                if (!r && wait)
                        return NULL;
                if (!r)
                        continue;
                if (!best || r->tsc < best_tsc) {
                        *bound = best_tsc;
                        best = c;
                        best_tsc = r->tsc;
                } else if (r->tsc < *bound) {
                        *bound = r->tsc;
                }
        }
        return best;
}

size_t merge_take(struct merge *m, bool final, struct trace_record *out, size_t max)
{
        size_t n = 0;
        while (n < max) {
                uint64_t bound;
                const bool wait = !final && m->queued < MERGE_CHUNKS_MAX && m->verdict == STORE_OK;
                struct merge_cpu *c = pick(m, wait, &bound);
                if (!c)
                        break;
                do {
                        struct trace_record *r = &out[n];
                        *r = c->block[c->at++];
                        if (r->event == TRACE_LOST)
                                c->lost_told += r->a;
                        if (r->tsc < m->last_tsc) {
                                r->tsc = m->last_tsc;
                                m->backwards++;
                        }
                        m->last_tsc = r->tsc;
                        n++;
                } while (n < max && c->at < c->filled && c->block[c->at].tsc <= bound);
        }
        return n;
}

uint64_t merge_lost(const struct merge *m)
{
        uint64_t lost = 0;
        for (uint32_t i = 0; i < m->cpus; i++)
                lost += m->cpu[i].lost > m->cpu[i].lost_told ? m->cpu[i].lost : m->cpu[i].lost_told;
        return lost;
}

uint64_t merge_lost_untold(const struct merge *m, uint32_t cpu)
{
        const struct merge_cpu *c = &m->cpu[cpu];
        return c->lost > c->lost_told ? c->lost - c->lost_told : 0;
}
