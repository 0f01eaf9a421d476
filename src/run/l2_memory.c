/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits of the guest's guest that concern its memory: what nested/ decides is done here. */
#include "run/exits.h"
#include "run/inject.h"

bool serve_l2_memory(struct run *r, enum nested_ept verdict)
{
        switch (verdict) {
        case NESTED_EPT_RESUME:
                break;
        case NESTED_EPT_REFLECT:
                reflect(r);
                break;
        case NESTED_EPT_VE:
                inject_fault(r, &(struct guest_fault){ .vector = VEC_VE });
                break;
        case NESTED_EPT_MMIO:
                return false;
        }
        return true;
}

void exit_vmfunc(struct run *r, const struct exit_info *x)
{
        switch (nested_vmfunc(&r->nested, &r->v)) {
        case VMFUNC_SWITCH:
                skip_instruction(r);
                break;
        case VMFUNC_UNDEFINED:
                inject_ud(r);
                break;
        case VMFUNC_EXIT:
                reflect(r);
                break;
        }
}
