/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"
#include "platform/load_place.h"

/* End of a range, or the last address there is if it wraps around. */
static uint64_t range_end(uint64_t base, uint64_t bytes)
{
        return bytes <= UINT64_MAX - base ? base + bytes : UINT64_MAX;
}

static bool overlaps(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
        return a < range_end(b, b_bytes) && b < range_end(a, a_bytes);
}

bool place_usable(const struct place *p, uint64_t base, uint64_t bytes)
{
        const struct e820_entry *map = p->req->e820;
        const size_t count = p->req->e820_count;

        if (bytes == 0 || bytes > UINT64_MAX - base || !guest_mem_at(&p->req->mem, L1GPA(base), bytes))
                return false;
        for (size_t i = 0; i < count; i++)
                if (map[i].type != E820_RAM && overlaps(base, bytes, map[i].base, map[i].bytes))
                        return false;

        /* Neighbouring entries may cover the range together, in any order: each pass extends the covered
         * part. */
        uint64_t covered = base;
        for (size_t pass = 0; pass < count && covered < base + bytes; pass++)
                for (size_t i = 0; i < count; i++)
                        if (map[i].type == E820_RAM && map[i].base <= covered &&
                            covered < range_end(map[i].base, map[i].bytes))
                                covered = range_end(map[i].base, map[i].bytes);
        return covered >= base + bytes;
}

static bool is_free(const struct place *p, uint64_t base, uint64_t bytes)
{
        for (size_t i = 0; i < p->taken_count; i++)
                if (overlaps(base, bytes, p->taken[i].base, p->taken[i].bytes))
                        return false;
        return place_usable(p, base, bytes);
}

bool place_claim(struct place *p, uint64_t base, uint64_t bytes)
{
        if (p->taken_count >= PLACE_MAX || !is_free(p, base, bytes))
                return false;
        p->taken[p->taken_count++] = (struct place_range){base, bytes};
        return true;
}

/* The lowest free place starts at the floor, at the start of an entry of the map, or behind a claimed range:
 * look at these only. Candidate i of them, before alignment: */
static uint64_t low_candidate(const struct place *p, size_t i, uint64_t floor)
{
        if (i == 0)
                return floor;
        if (i <= p->req->e820_count)
                return p->req->e820[i - 1].base;
        const struct place_range *t = &p->taken[i - 1 - p->req->e820_count];
        return range_end(t->base, t->bytes);
}

bool place_lowest(struct place *p, uint64_t bytes, uint64_t align, uint64_t floor, uint64_t ceiling,
                  uint64_t *base)
{
        const size_t candidates = 1 + p->req->e820_count + p->taken_count;
        uint64_t best = UINT64_MAX;

        bytes = bytes ? bytes : 1;
        for (size_t i = 0; i < candidates; i++) {
                uint64_t at = low_candidate(p, i, floor);
                if (at < floor || at > UINT64_MAX - align)
                        continue;
                at = ALIGN_UP(at, align);
                if (at < best && at < ceiling && bytes <= ceiling - at && is_free(p, at, bytes))
                        best = at;
        }
        *base = best;
        return best != UINT64_MAX && place_claim(p, best, bytes);
}

/* The mirror image: the highest free place ends at the ceiling, at the end of an entry, or before a claimed
 * range. */
static uint64_t high_candidate(const struct place *p, size_t i, uint64_t ceiling)
{
        if (i == 0)
                return ceiling;
        if (i <= p->req->e820_count)
                return range_end(p->req->e820[i - 1].base, p->req->e820[i - 1].bytes);
        return p->taken[i - 1 - p->req->e820_count].base;
}

bool place_highest(struct place *p, uint64_t bytes, uint64_t align, uint64_t ceiling, uint64_t *base)
{
        const size_t candidates = 1 + p->req->e820_count + p->taken_count;
        uint64_t best = 0;
        bool found = false;

        bytes = bytes ? bytes : 1;
        for (size_t i = 0; i < candidates; i++) {
                const uint64_t end = high_candidate(p, i, ceiling);
                if (end > ceiling || end < bytes)
                        continue;
                const uint64_t at = ALIGN_DOWN(end - bytes, align);
                if ((!found || at > best) && is_free(p, at, bytes)) {
                        best = at;
                        found = true;
                }
        }
        *base = best;
        return found && place_claim(p, best, bytes);
}

enum load_status place_modules(struct place *p, uint64_t ceiling, l1gpa_t at[LOAD_MODULES_MAX])
{
        const struct load_request *req = p->req;
        const uint64_t top = ceiling < req->mem.low_bytes ? ceiling : req->mem.low_bytes;

        for (size_t i = 0; i < req->module_count; i++) {
                const struct load_module *m = &req->modules[i];
                if (!place_highest(p, m->len, PAGE_SIZE, top, &at[i].raw))
                        return LOAD_INITRD_TOO_LARGE;
                place_write(p, at[i].raw, m->bytes, m->len, m->len);
        }
        return LOAD_OK;
}

void place_write(const struct place *p, uint64_t base, const void *bytes, uint64_t len, uint64_t total)
{
        if (total == 0)
                return;
        uint8_t *to = guest_mem_at(&p->req->mem, L1GPA(base), total);
        BUG_UNLESS(to && len <= total);
        if (len)
                memcpy(to, bytes, len);
        memset(to + len, 0, total - len);
}
