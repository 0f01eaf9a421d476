/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.h - an allocator over one fixed run of memory, for libraries that insist on malloc. [pure]
 *
 * The caller owns the memory and the struct arena. First fit over blocks in address order; neighbours that
 * are free become one. Allocation fails with NULL when no block is large enough; freeing what was not
 * allocated here is a bug of ours and stops. Not for exit paths, not for more than one CPU at a time. */
#ifndef CASCADE_BASE_ARENA_H
#define CASCADE_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_ALIGN 16

struct arena {
        uint8_t *base;
        size_t bytes; /* a multiple of ARENA_ALIGN */
        size_t used;  /* bytes in allocated blocks, with their headers */
};

/* `mem` is aligned to ARENA_ALIGN. */
void arena_init(struct arena *a, void *mem, size_t bytes);
void *arena_alloc(struct arena *a, size_t bytes);
void *arena_calloc(struct arena *a, size_t count, size_t bytes);
/* As realloc: the old block stays as it is when this returns NULL (unless bytes is 0: then it is freed). */
void *arena_realloc(struct arena *a, void *p, size_t bytes);
void arena_free(struct arena *a, void *p);

#endif
