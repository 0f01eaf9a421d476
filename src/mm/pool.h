/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.h - pages of cascade's own memory, counted per owner. [pure]
 * A pool owns one contiguous run of memory given at initialisation. Pages are handed out zeroed.
 * Fails only by returning NULL when the run is used up: callers evict something of theirs and retry. */
#ifndef CASCADE_MM_POOL_H
#define CASCADE_MM_POOL_H

#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

enum pool_owner { POOL_HOST, POOL_EPT01, POOL_EPT02, POOL_VMCS, POOL_TRACE, POOL_NR_OWNERS };

struct page_pool {
        uint8_t *next, *end;           /* never used yet */
        void *free;                    /* returned pages, linked through their first word */
        size_t used[POOL_NR_OWNERS];   /* pages */
};

void pool_init(struct page_pool *p, void *start, uint64_t bytes);
void *pool_page(struct page_pool *p, enum pool_owner owner);
/* `pages` contiguous pages, never to be returned: for start-up. */
void *pool_run(struct page_pool *p, enum pool_owner owner, size_t pages);
void pool_return(struct page_pool *p, enum pool_owner owner, void *page);

/* cascade's memory is mapped one to one. */
static inline hpa_t hpa_of(const void *p)
{
        return HPA((uint64_t)(uintptr_t)p);
}

static inline void *ptr_of(hpa_t a)
{
        return (void *)(uintptr_t)a.raw;
}

#endif
