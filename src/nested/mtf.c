/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/mtf.h"
#include "base/bits.h"
#include "base/x86.h"
#include "vmx/controls.h"

/* Exit qualification of a debug exception: as DR6. */
#define DB_BREAKPOINTS BITS(3, 0)
#define DB_BD          BIT(13)
#define DB_BS          BIT(14)

#define DR7_ENABLES BITS(7, 0)
#define DR7_GD      BIT(13)
#define DR7_RW(n)   (BITS(17, 16) << 4 * (n)) /* 0: instructions */

enum mtf_plan mtf_plan(const struct mtf_entry *e)
{
        const bool trap = (e->pending_dbg & (PENDING_DBG_BS | PENDING_DBG_ENABLED_BP)) && !e->blocked_mov_ss;
        if (e->vectoring || trap)
                return MTF_AFTER_EVENT;
        return e->timer12 && e->timer12_left < MTF_TICKS_STEP ? MTF_TIMER_FIRST : MTF_AFTER_STEP;
}

enum mtf_db mtf_db(uint32_t intr_info, uint64_t qualification, uint64_t dr7)
{
        if (GET(intr_info, INTR_TYPE) == INTR_TYPE_PRIV_SW_EXCEPTION)
                return MTF_DB_SOFTWARE;
        if (qualification & DB_BS)
                return MTF_DB_TRAP;
        if (qualification & DB_BD)
                return MTF_DB_FAULT;
        for (unsigned n = 0; n < 4; n++)
                if ((qualification >> n & 1) && (dr7 & DR7_RW(n)))
                        return MTF_DB_TRAP;
        return MTF_DB_FAULT;
}

uint64_t mtf_pending(uint64_t qualification)
{
        const uint64_t breakpoints = qualification & DB_BREAKPOINTS;
        return (qualification & DB_BS) | breakpoints | (breakpoints ? PENDING_DBG_ENABLED_BP : 0);
}

bool mtf_db_possible(uint64_t rflags, uint64_t dr7)
{
        return (rflags & RFLAGS_TF) || (dr7 & (DR7_ENABLES | DR7_GD));
}
