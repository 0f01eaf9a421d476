/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/memory.h"
#include "base/bits.h"

#define LOW_MEMORY SIZE_2M /* firmware's, the loader's and the image's start */

struct range {
        uint64_t start, end;
};

/* What would reach beyond the last address ends there. */
static struct range range_of(uint64_t at, uint64_t bytes)
{
        return (struct range){ at, bytes > UINT64_MAX - at ? UINT64_MAX : at + bytes };
}

/* The first thing in use that overlaps *r; false if nothing does. */
static bool first_obstacle(const struct boot_info *b, struct range image, const struct range *r, struct range *hit)
{
        bool found = false;
        *hit = (struct range){ 0, 0 };
        for (size_t i = 0; i <= b->module_count; i++) {
                const struct boot_module *m = &b->modules[i ? i - 1 : 0];
                const struct range used = i ? range_of((uint64_t)m->bytes, m->len) : image;
                if (used.start < r->end && used.end > r->start && (!found || used.start < hit->start)) {
                        *hit = used;
                        found = true;
                }
        }
        return found;
}

static void keep_largest(struct range *best, uint64_t start, uint64_t end)
{
        const uint64_t from = ALIGN_UP(start, SIZE_2M), to = ALIGN_DOWN(end, SIZE_2M);
        if (from >= start && to > from && to - from > best->end - best->start)
                *best = (struct range){ from, to };
}

bool memory_plan_make(const struct boot_info *b, const struct memory_limits *limits, struct memory_plan *out)
{
        const struct range image = { limits->image_start, limits->image_end };
        struct range best = { 0, 0 };
        for (size_t i = 0; i < b->ram_count; i++) {
                struct range r = range_of(b->ram[i].base, b->ram[i].bytes), hit;
                r.start = r.start > LOW_MEMORY ? r.start : LOW_MEMORY;
                r.end = r.end < limits->mapped_end ? r.end : limits->mapped_end;
                while (r.start < r.end && first_obstacle(b, image, &r, &hit)) {
                        keep_largest(&best, r.start, hit.start);
                        r.start = hit.end;
                }
                keep_largest(&best, r.start, r.end);
        }
        if (best.end - best.start < POOL_BYTES + GUEST_RAM_LEAST)
                return false;
        const uint64_t left = best.end - best.start - POOL_BYTES, wanted = ALIGN_UP(limits->guest_bytes, SIZE_2M);
        if (wanted > left || wanted < limits->guest_bytes)
                return false;
        *out = (struct memory_plan){
                .pool_at = best.start,
                .pool_bytes = POOL_BYTES,
                .guest_at = best.start + POOL_BYTES,
                .guest_bytes = wanted ? wanted : left,
        };
        return true;
}

struct guest_mem memory_guest(const struct memory_plan *p)
{
        const uint64_t low = p->guest_bytes < GUEST_LOW_MAX ? p->guest_bytes : GUEST_LOW_MAX;
        return (struct guest_mem){
                .ram = (uint8_t *)p->guest_at,
                .low_bytes = low,
                .high_bytes = p->guest_bytes - low,
        };
}
