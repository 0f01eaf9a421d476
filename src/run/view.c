/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/view.h"
#include "base/x86.h"
#include "hw/vmx_ops.h"
#include "vmx/ctl.h"
#include "vmx/fields.h"

static uint8_t mode_bits(const struct guest_view *g)
{
        const uint32_t cs_ar = g->seg[SEG_CS].ar;
        if (!(g->paging.cr0 & CR0_PE) || (g->paging.rflags & RFLAGS_VM))
                return 16;
        if ((g->paging.efer & EFER_LMA) && (cs_ar & AR_L))
                return 64;
        return cs_ar & AR_DB ? 32 : 16;
}

static bool by_ept12(void *ctx, l1gpa_t at, unsigned use, l1gpa_t *out)
{
        struct run *r = ctx;
        return nested_l2_address(&r->nested, &r->v, L2GPA(at.raw), use, out);
}

void run_view(void *ctx, struct guest_view *out)
{
        struct run *r = ctx;
        out->mem = &r->v.mem;
        for (unsigned i = 0; i < NR_SEG_REGS; i++) {
                out->seg[i].base = vmread(F_guest_es_base + 2 * i);
                out->seg[i].limit = (uint32_t)vmread(F_guest_es_limit + 2 * i);
                out->seg[i].ar = (uint32_t)vmread(F_guest_es_ar + 2 * i);
        }
        out->paging = (struct guest_paging){
                .cr0 = ctl_guest_cr0(&r->v),
                .cr3 = vmread(F_guest_cr3),
                .cr4 = ctl_guest_cr4(&r->v),
                .efer = vmread(F_guest_efer),
                .rflags = vmread(F_guest_rflags),
                .cpl = (uint8_t)GET(vmread(F_guest_ss_ar), AR_DPL),
                .maxphyaddr = r->v.hw->maxphyaddr,
                .pages_1g = r->cpuid.ext[1].edx >> 26 & 1,
                .pdpte_valid = true,
        };
        if (r->nested.in_l2 && nested_has_ept02(&r->nested)) {
                r->ept12_stage = (struct second_stage){ .translate = by_ept12, .ctx = r };
                out->paging.second = &r->ept12_stage;
        }
        for (unsigned i = 0; i < 4; i++)
                out->paging.pdpte[i] = vmread(F_guest_pdpte0 + 2 * i);
        out->mode_bits = mode_bits(out);
}
