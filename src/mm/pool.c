/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/pool.h"
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"

void pool_init(struct page_pool *p, void *start, uint64_t bytes)
{
        memset(p, 0, sizeof(*p));
        p->next = (uint8_t *)ALIGN_UP((uintptr_t)start, PAGE_SIZE);
        p->end = (uint8_t *)ALIGN_DOWN((uintptr_t)start + bytes, PAGE_SIZE);
}

void *pool_run(struct page_pool *p, enum pool_owner owner, size_t pages)
{
        if (p->next >= p->end || pages > (size_t)(p->end - p->next) / PAGE_SIZE)
                return NULL;
        void *run = p->next;
        p->next += pages * PAGE_SIZE;
        p->used[owner] += pages;
        memset(run, 0, pages * PAGE_SIZE);
        return run;
}

void *pool_page(struct page_pool *p, enum pool_owner owner)
{
        if (!p->free)
                return pool_run(p, owner, 1);
        void *page = p->free;
        p->free = *(void **)page;
        p->used[owner]++;
        memset(page, 0, PAGE_SIZE);
        return page;
}

void pool_return(struct page_pool *p, enum pool_owner owner, void *page)
{
        BUG_UNLESS(p->used[owner] > 0);
        p->used[owner]--;
        *(void **)page = p->free;
        p->free = page;
}
