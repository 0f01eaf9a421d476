/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulate/view.h"
#include "base/bug.h"

/* SDM 3C "Format of Access Rights". */
#define AR_TYPE_RW   BIT(1) /* data: writable; code: readable */
#define AR_TYPE_DOWN BIT(2) /* data: expands down */
#define AR_TYPE_CODE BIT(3)
#define AR_DB        BIT(14)
#define AR_UNUSABLE  BIT(16)

#define CR0_PE   BIT(0)
#define FLAGS_VM BIT(17)

static bool protected_mode(const struct guest_view *v)
{
        return v->paging.cr0 & CR0_PE && !(v->paging.rflags & FLAGS_VM);
}

/* SDM 3C "VM-Entry Controls for Event Injection": an error code may be delivered only while CR0.PE is 1. */
static bool segment_fault(const struct guest_view *v, enum seg_reg seg, struct guest_fault *fault)
{
        *fault = (struct guest_fault){.vector = seg == SEG_SS ? VECTOR_SS : VECTOR_GP,
                                      .has_error_code = v->paging.cr0 & CR0_PE};
        return false;
}

/* SDM 3A "Segmentation in IA-32e Mode": only FS and GS have a base, nothing has a limit. */
static bool linear_64(const struct guest_view *v, enum seg_reg seg, uint64_t offset, uint64_t bytes,
                      uint64_t *linear, struct guest_fault *fault)
{
        const uint64_t base = seg == SEG_FS || seg == SEG_GS ? v->seg[seg].base : 0;

        *linear = base + offset;
        if (!is_canonical(*linear, LINEAR_BITS) || !is_canonical(*linear + bytes - 1, LINEAR_BITS))
                return segment_fault(v, seg, fault);
        return true;
}

/* SDM 3A "Type Checking". */
static bool type_allows(const struct guest_segment *s, unsigned access)
{
        if (access & ACCESS_FETCH)
                return s->ar & AR_TYPE_CODE;
        if (access & ACCESS_WRITE)
                return !(s->ar & AR_TYPE_CODE) && s->ar & AR_TYPE_RW;
        return !(s->ar & AR_TYPE_CODE) || s->ar & AR_TYPE_RW;
}

/* SDM 3A "Limit Checking": an expand-down segment holds the offsets above its limit. */
static bool limit_allows(const struct guest_segment *s, uint64_t first, uint64_t bytes)
{
        const uint64_t last = first + bytes - 1;

        if (last < first)
                return false;
        if (s->ar & AR_TYPE_CODE || !(s->ar & AR_TYPE_DOWN))
                return last <= s->limit;
        return first > s->limit && last <= (s->ar & AR_DB ? BITS(31, 0) : BITS(15, 0));
}

bool view_linear(const struct guest_view *v, enum seg_reg seg, uint64_t offset, uint64_t bytes,
                 unsigned access, uint64_t *linear, struct guest_fault *fault)
{
        const struct guest_segment *const s = &v->seg[seg];

        BUG_UNLESS((unsigned)seg < NR_SEG_REGS && bytes > 0);
        if (v->mode_bits == 64)
                return linear_64(v, seg, offset, bytes, linear, fault);
        if (s->ar & AR_UNUSABLE || !limit_allows(s, offset, bytes))
                return segment_fault(v, seg, fault);
        if (protected_mode(v) && !type_allows(s, access))
                return segment_fault(v, seg, fault);
        *linear = (uint32_t)(s->base + offset);
        return true;
}

/* What the guest gets for a translation that did not end in RAM. */
static enum view_status answer(const struct guest_view *v, enum seg_reg seg, const struct gva_result *g,
                               struct guest_fault *fault)
{
        switch (g->status) {
        case GVA_PAGE_FAULT:
                *fault = (struct guest_fault){.vector = VECTOR_PF,
                                              .has_error_code = true,
                                              .error_code = g->error_code,
                                              .cr2 = g->linear};
                return VIEW_FAULT;
        case GVA_NOT_RAM:
                *fault = (struct guest_fault){.at = g->at, .use = (uint8_t)g->use, .cr2 = g->linear};
                return VIEW_NOT_RAM;
        case GVA_NONCANONICAL:
        case GVA_UNSUPPORTED:
                segment_fault(v, seg, fault);
                return VIEW_FAULT;
        case GVA_OK:
                break;
        }
        return VIEW_OK;
}

enum view_status view_read(const struct guest_view *v, enum seg_reg seg, uint64_t offset, void *dst, size_t n,
                           struct guest_fault *fault)
{
        struct gva_result g;
        uint64_t linear;

        if (!view_linear(v, seg, offset, n, 0, &linear, fault))
                return VIEW_FAULT;
        if (!guest_read_linear(v->mem, &v->paging, linear, dst, n, ACCESS_SET_AD, &g))
                return answer(v, seg, &g, fault);
        return VIEW_OK;
}

enum view_status view_write(const struct guest_view *v, enum seg_reg seg, uint64_t offset, const void *src,
                            size_t n, struct guest_fault *fault)
{
        struct gva_result g;
        uint64_t linear;

        if (!view_linear(v, seg, offset, n, ACCESS_WRITE, &linear, fault))
                return VIEW_FAULT;
        if (!guest_write_linear(v->mem, &v->paging, linear, src, n, ACCESS_SET_AD, &g))
                return answer(v, seg, &g, fault);
        return VIEW_OK;
}

enum view_status view_probe_write(const struct guest_view *v, enum seg_reg seg, uint64_t offset, size_t n,
                                  struct guest_fault *fault)
{
        uint64_t linear;

        if (!view_linear(v, seg, offset, n, ACCESS_WRITE, &linear, fault))
                return VIEW_FAULT;
        for (const uint64_t end = linear + n; linear != end;) {
                const uint64_t in_page = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
                const uint64_t part = end - linear < in_page ? end - linear : in_page;
                struct gva_result g = guest_translate(v->mem, &v->paging, linear, ACCESS_WRITE);

                if (g.status == GVA_OK && !paging_at(v->mem, &v->paging, g.at, part, ACCESS_WRITE)) {
                        g.status = GVA_NOT_RAM;
                        g.use = ACCESS_WRITE;
                }
                if (g.status != GVA_OK)
                        return answer(v, seg, &g, fault);
                linear += part;
        }
        return VIEW_OK;
}

enum view_status view_fetch(const struct guest_view *v, uint64_t rip, uint8_t *dst, size_t max, size_t *got,
                            struct guest_fault *fault)
{
        struct gva_result g;
        uint64_t linear;

        *got = 0;
        BUG_UNLESS(max > 0 && max <= INSN_BYTES_MAX);
        if (!view_linear(v, SEG_CS, rip, 1, ACCESS_FETCH, &linear, fault))
                return VIEW_FAULT;
        const size_t in_page = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
        const size_t part = max < in_page ? max : in_page;
        const unsigned access = ACCESS_FETCH | ACCESS_SET_AD;
        if (!guest_read_linear(v->mem, &v->paging, linear, dst, part, access, &g))
                return answer(v, SEG_CS, &g, fault);
        *got = part;
        if (part < max &&
            guest_read_linear(v->mem, &v->paging, linear + part, dst + part, max - part, access, &g))
                *got = max;
        return VIEW_OK;
}
