/* SPDX-License-Identifier: BSD-2-Clause */
/* heap.h - the C library functions that only linked-in libraries use; our own code has no heap.
 *
 * In the image, malloc and its companions serve from the arena last named by heap_use() and return NULL
 * before the first. The caller owns the arena and sees to it that one CPU at a time allocates (decoder_open()
 * at boot is what does). */
#ifndef CASCADE_BASE_HEAP_H
#define CASCADE_BASE_HEAP_H

#include <stddef.h>
#include "base/arena.h"

void heap_use(struct arena *a);

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *p, size_t bytes);
void free(void *p);
void qsort(void *array, size_t count, size_t bytes, int (*compare)(const void *, const void *));

/* Called by code built with -fstack-protector when the canary at %fs:0x28 changed under it. */
_Noreturn void __stack_chk_fail(void);

#endif
