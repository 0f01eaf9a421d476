/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/mtf.h"
#include "base/bits.h"
#include "base/x86.h"
#include "emulate/shadow_insn.h"
#include "hw/cpu.h"
#include "hw/vmx_ops.h"
#include "nested/route.h"
#include "run/exits.h"
#include "run/inject.h"
#include "run/view.h"
#include "vmx/ctl.h"

#define DR7_GD BIT(13)

/* --- the method --- */

#define NOPS_MAX 24

/* Ticks of `nops` NOPs and what is around them, 0 to NOPS_MAX. */
static uint64_t ticks_of(unsigned nops)
{
        uint32_t first, then;
        __asm__ volatile("lea 1f(%%rip), %%rcx\n\t"
                         "sub %[skip], %%rcx\n\t"
                         "rdtsc\n\t"
                         "mov %%eax, %[first]\n\t"
                         "jmp *%%rcx\n\t"
                         ".fill %c[max], 1, 0x90\n"
                         "1:\trdtsc"
                         : "=&a"(then), [first] "=&r"(first)
                         : [skip] "r"((uint64_t)nops), [max] "i"(NOPS_MAX)
                         : "rcx", "rdx", "cc");
        return then - first;
}

/* True of an emulator (Bochs), of no processor: that executes several NOPs in a tick. */
static bool tsc_counts_instructions(void)
{
        for (unsigned nops = 0; nops <= NOPS_MAX; nops++)
                if (ticks_of(nops) != ticks_of(0) + nops)
                        return false;
        return true;
}

enum mtf_method mtf_find(const struct vcpu *v)
{
        if (v->parent_is_cascade || !tsc_counts_instructions())
                return v->hw->proc.may1 & PROC_MTF ? MTF_BY_HARDWARE : MTF_ABSENT;
        /* The flag of Bochs 2.7, where it is advertised, never exits. */
        return v->hw->pin.may1 & PIN_PREEMPTION_TIMER && !GET(v->hw->misc, MISC_TIMER_SHIFT) ? MTF_BY_TIMER : MTF_ABSENT;
}

/* --- entries --- */

static void exit_now(struct run *r)
{
        exit_to_l1(r, &(struct made_exit){ .reason = EXIT_MTF });
}

static struct shadow_table table(enum vmcs_field base, enum vmcs_field limit, bool usable)
{
        return (struct shadow_table){ .base = vmread(base), .limit = (uint32_t)vmread(limit), .usable = usable };
}

/* The timer does not exit in the shadow of STI or MOV SS, where the flag does: these instructions are carried out here.
 * False: the next instruction is another one, or faults. */
static bool carry_out_shadow_insn(struct run *r)
{
        struct guest_view view;
        struct guest_fault fault;
        uint8_t code[INSN_BYTES_MAX];
        size_t got = 0;
        run_view(r, &view);
        if (view_fetch(&view, vmread(F_guest_rip), code, sizeof(code), &got, &fault) != VIEW_OK)
                return false;
        r->v.gprs.r[GPR_RSP] = vmread(F_guest_rsp);
        struct shadow_env e = { .view = &view,
                                .gdt = table(F_guest_gdtr_base, F_guest_gdtr_limit, true),
                                .ldt = table(F_guest_ldtr_base, F_guest_ldtr_limit, !(vmread(F_guest_ldtr_ar) & AR_UNUSABLE)),
                                .gprs = &r->v.gprs,
                                .rip = vmread(F_guest_rip),
                                .rflags = view.paging.rflags };
        const enum shadow_insn done = shadow_insn_execute(&e, code, got);
        if (done == SHADOW_INSN_NONE)
                return false;
        vmwrite(F_guest_rsp, r->v.gprs.r[GPR_RSP]);
        vmwrite(F_guest_rflags, e.rflags);
        if (done == SHADOW_INSN_SS) {
                vmwrite(F_guest_ss_sel, e.ss_sel);
                vmwrite(F_guest_ss_base, e.ss.base);
                vmwrite(F_guest_ss_limit, e.ss.limit);
                vmwrite(F_guest_ss_ar, e.ss.ar);
        }
        /* SDM 2 "MOV": a second load of SS in a row blocks nothing. */
        const bool again = done == SHADOW_INSN_SS && (vmread(F_guest_interruptibility) & INTRBLK_MOV_SS);
        skip_bytes(r, e.rip - vmread(F_guest_rip));
        if (!again)
                vmwrite(F_guest_interruptibility,
                        vmread(F_guest_interruptibility) | (done == SHADOW_INSN_SS ? INTRBLK_MOV_SS : INTRBLK_STI));
        return true;
}

bool mtf_arm(struct run *r)
{
        struct nested *n = &r->nested;
        struct mtf *m = &n->mtf;
        const struct vmcs12 *v12 = &n->current->v;
        if (m->due) {
                m->due = false;
                exit_now(r);
                return true;
        }
        if (m->method != MTF_BY_TIMER)
                return false;
        r->armed = 0; /* this is looked at before each entry */
        const struct mtf_entry e = { .vectoring = vmread(F_entry_intr_info) & INTR_VALID,
                                     .blocked_mov_ss = vmread(F_guest_interruptibility) & INTRBLK_MOV_SS,
                                     .pending_dbg = vmread(F_guest_pending_dbg),
                                     .timer12 = route_l1_wants_preemption_timer(v12),
                                     .timer12_left = nested_timer12_left(n) };
        const enum mtf_plan plan = mtf_plan(&e);
        if (plan == MTF_AFTER_STEP && carry_out_shadow_insn(r)) {
                exit_now(r);
                return true;
        }
        m->armed = plan != MTF_TIMER_FIRST;
        m->watch_db = plan == MTF_AFTER_STEP && mtf_db_possible(vmread(F_guest_rflags), vmread(F_guest_dr7));
        ctl_write(&r->v, exception_bitmap, v12->exception_bitmap | (m->watch_db ? BIT(VEC_DB) : 0));
        nested_arm_timer(n, &r->v, plan == MTF_AFTER_EVENT ? MTF_TICKS_NOW : MTF_TICKS_STEP);
        return false;
}

/* --- exits --- */

/* A #DB that nobody but us intercepted is delivered. What its exit left undone: SDM 3B "Debug Exception (#DB)". */
static void deliver_db(const struct exit_info *x, enum mtf_db db)
{
        const uint32_t type = db == MTF_DB_SOFTWARE ? INTR_TYPE_PRIV_SW_EXCEPTION : INTR_TYPE_HW_EXCEPTION;
        if (db == MTF_DB_FAULT) {
                hw_write_dr6(hw_read_dr6() | (x->qualification & (BITS(3, 0) | BITS(14, 13))));
                vmwrite(F_guest_rflags, vmread(F_guest_rflags) | RFLAGS_RF);
        }
        vmwrite(F_guest_dr7, vmread(F_guest_dr7) & ~DR7_GD);
        vmwrite(F_guest_debugctl, vmread(F_guest_debugctl) & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
        vmwrite(F_entry_insn_len, x->insn_len);
        vmwrite(F_entry_intr_info, INTR_VALID | type << 8 | VEC_DB);
}

static bool take_db(struct run *r, const struct exit_info *x)
{
        const enum mtf_db db = mtf_db(x->intr_info, x->qualification, vmread(F_guest_dr7));
        if (db == MTF_DB_TRAP) {
                vmwrite(F_guest_pending_dbg, mtf_pending(x->qualification));
                exit_now(r);
                return true;
        }
        if (route_l1_wants_exception(&r->nested.current->v, VEC_DB, 0))
                return false;
        deliver_db(x, db);
        return true;
}

/* The exit is of the flag's making. */
static bool take(struct run *r, const struct exit_info *x)
{
        const struct mtf *m = &r->nested.mtf;
        const uint32_t basic = (uint32_t)GET(x->reason, EXIT_REASON_BASIC);
        if (m->method != MTF_BY_TIMER)
                return false;
        if (basic == EXIT_PREEMPTION_TIMER && m->armed) {
                exit_now(r);
                return true;
        }
        return basic == EXIT_EXCEPTION_NMI && m->watch_db && GET(x->intr_info, INTR_TYPE) != INTR_TYPE_NMI &&
               GET(x->intr_info, INTR_VECTOR) == VEC_DB && take_db(r, x);
}

void mtf_serve(struct run *r, const struct exit_info *x, void (*serve)(struct run *r, const struct exit_info *x))
{
        const uint64_t rip = vmread(F_guest_rip), rcx = r->v.gprs.r[GPR_RCX];
        if (r->nested.mtf.method == MTF_BY_TIMER)
                r->armed = 0;
        if (take(r, x))
                return;
        serve(r, x);
        if (!r->nested.in_l2 || (x->idt_vec_info & INTR_VALID) || (vmread(F_entry_intr_info) & INTR_VALID))
                return;
        /* An iteration of a REP instruction leaves RIP where it was. */
        const uint32_t basic = (uint32_t)GET(x->reason, EXIT_REASON_BASIC);
        const bool repeats = (basic == EXIT_IO || basic == EXIT_EPT_VIOLATION) && r->v.gprs.r[GPR_RCX] != rcx;
        if (vmread(F_guest_rip) != rip || repeats)
                exit_now(r);
}
