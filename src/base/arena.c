/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/arena.h"
#include <stdbool.h>
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"

/* Blocks lie end to end from base to base + bytes:  | head | payload | head | payload | ... */
struct head {
        size_t bytes;    /* of the whole block, a multiple of ARENA_ALIGN */
        uint32_t before; /* of the block before this one, in units of ARENA_ALIGN; 0 for the first */
        uint32_t state;  /* one of the two magic words: catches overruns and double frees */
};
_Static_assert(sizeof(struct head) == ARENA_ALIGN, "payload keeps the alignment");

#define STATE_FREE  0x66726565u
#define STATE_TAKEN 0x74616b65u

/* A block this much larger than asked for is split. */
#define SPLIT_MIN (2 * sizeof(struct head))

static struct head *first(const struct arena *a)
{
        return (struct head *)a->base;
}

static struct head *next(const struct arena *a, struct head *h)
{
        uint8_t *const end = (uint8_t *)h + h->bytes;

        return end < a->base + a->bytes ? (struct head *)end : NULL;
}

static void set_bytes(const struct arena *a, struct head *h, size_t bytes)
{
        h->bytes = bytes;
        struct head *const n = next(a, h);
        if (n)
                n->before = (uint32_t)(bytes / ARENA_ALIGN);
}

void arena_init(struct arena *a, void *mem, size_t bytes)
{
        BUG_UNLESS(IS_ALIGNED((uintptr_t)mem, ARENA_ALIGN) && bytes >= SPLIT_MIN);
        BUG_UNLESS(bytes / ARENA_ALIGN <= UINT32_MAX);
        *a = (struct arena){.base = mem, .bytes = ALIGN_DOWN(bytes, ARENA_ALIGN)};
        *first(a) = (struct head){.bytes = a->bytes, .state = STATE_FREE};
}

/* Makes h exactly `bytes` long; what is left over becomes a free block. */
static void split(struct arena *a, struct head *h, size_t bytes)
{
        const size_t rest = h->bytes - bytes;

        if (rest < SPLIT_MIN)
                return;
        set_bytes(a, h, bytes);
        struct head *const n = next(a, h);
        *n = (struct head){.before = (uint32_t)(bytes / ARENA_ALIGN), .state = STATE_FREE};
        set_bytes(a, n, rest);
}

void *arena_alloc(struct arena *a, size_t bytes)
{
        if (bytes > a->bytes)
                return NULL;
        const size_t want = ALIGN_UP(bytes ? bytes : 1, ARENA_ALIGN) + sizeof(struct head);

        for (struct head *h = first(a); h; h = next(a, h)) {
                if (h->state != STATE_FREE || h->bytes < want)
                        continue;
                split(a, h, want);
                h->state = STATE_TAKEN;
                a->used += h->bytes;
                return h + 1;
        }
        return NULL;
}

void *arena_calloc(struct arena *a, size_t count, size_t bytes)
{
        size_t total;

        if (__builtin_mul_overflow(count, bytes, &total))
                return NULL;
        void *const p = arena_alloc(a, total);
        if (p)
                memset(p, 0, total);
        return p;
}

static struct head *taken(const struct arena *a, void *p)
{
        const uintptr_t at = (uintptr_t)p, base = (uintptr_t)a->base;

        BUG_UNLESS(at >= base + sizeof(struct head) && at < base + a->bytes && IS_ALIGNED(at, ARENA_ALIGN));
        struct head *const h = (struct head *)p - 1;
        BUG_UNLESS(h->state == STATE_TAKEN);
        return h;
}

/* h takes in the block after it; that one's header must not look like one any more. */
static void join_next(const struct arena *a, struct head *h, struct head *n)
{
        n->state = 0;
        set_bytes(a, h, h->bytes + n->bytes);
}

void arena_free(struct arena *a, void *p)
{
        if (!p)
                return;
        struct head *h = taken(a, p);

        a->used -= h->bytes;
        h->state = STATE_FREE;
        struct head *const n = next(a, h);
        if (n && n->state == STATE_FREE)
                join_next(a, h, n);
        if (h->before) {
                struct head *const b = (struct head *)((uint8_t *)h - (size_t)h->before * ARENA_ALIGN);

                if (b->state == STATE_FREE)
                        join_next(a, b, h);
        }
}

void *arena_realloc(struct arena *a, void *p, size_t bytes)
{
        if (!p)
                return arena_alloc(a, bytes);
        if (!bytes) {
                arena_free(a, p);
                return NULL;
        }
        const size_t room = taken(a, p)->bytes - sizeof(struct head);
        if (bytes <= room)
                return p;
        void *const bigger = arena_alloc(a, bytes);
        if (bigger) {
                memcpy(bigger, p, room);
                arena_free(a, p);
        }
        return bigger;
}
