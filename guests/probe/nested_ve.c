/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: EPT violations that the guest takes as exceptions. SDM 3C "Virtualization Exceptions". */
#include "base/x86.h"
#include "nested.h"
#include "traps.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define EPT_RWX      7ull
#define EPT_SVE      BIT(63)
#define BUSY         0xffffffffu
#define PAGE         2 /* of the window */
#define AT           (WINDOW_4K + PAGE * PAGE_SIZE + 0x128)
#define QUALIFICATION (EPTQ_LINEAR_VALID | EPTQ_TRANSLATED)
#define NOWHERE      0x3000000000ull

static struct {
        uint32_t reason, busy;
        uint64_t qualification, linear, physical;
        uint16_t index;
} volatile info PAGE_ALIGNED;

static void enable(struct l2 *l)
{
        l2_reset(l);
        l2_proc2_on(l, PROC2_VE);
        l2_set(l, F_ve_info, (uint64_t)&info);
        l2_set(l, F_eptp_index, 0);
        info.busy = 0;
}

static void set_entry(uint64_t value)
{
        l2_ept_pt[PAGE] = value;
        BUG_UNLESS(hw_invept(INVEPT_SINGLE, vmread(F_eptp)) == HW_OK);
}

static void run(struct l2 *l, const uint8_t *code, uint64_t at)
{
        info.reason = info.index = 0;
        info.qualification = info.linear = info.physical = 0;
        traps()->vector = NO_VECTOR;
        traps()->resume = (uint64_t)l2_vmcall;
        l->gprs.r[GPR_RBX] = at;
        l2_run(l, code);
        traps()->resume = 0;
}

static void expect_taken(struct l2 *l, uint64_t qualification, const char *what)
{
        l2_expect(l, EXIT_VMCALL, 0, what);
        check(l->p, traps()->vector == VEC_VE && traps()->error == 0, "%s: the guest takes vector %llu", what,
              (unsigned long long)traps()->vector);
        check(l->p, info.reason == EXIT_EPT_VIOLATION && info.busy == BUSY && info.index == 0 && info.linear == AT &&
                      info.physical == AT && (info.qualification & BITS(8, 0)) == (qualification | QUALIFICATION),
              "%s: qualification 0x%llx", what, (unsigned long long)info.qualification);
}

static void expect_exit(struct l2 *l, const char *what)
{
        check(l->p, l->exit.reason == EXIT_EPT_VIOLATION && traps()->vector == NO_VECTOR && info.reason == 0,
              "%s: reason %u", what, l->exit.reason);
}

static void taken(struct l2 *l, uint64_t good)
{
        enable(l);
        set_entry(0);
        run(l, l2_read, AT);
        expect_taken(l, EPTQ_READ, "#VE of an absent page");
        check(l->p, traps()->rip == (uint64_t)l2_read && (traps()->rflags & RFLAGS_RF), "#VE is a fault");
        run(l, l2_read, AT);
        expect_exit(l, "#VE while the area is busy");
        info.busy = 0;
        set_entry(good & ~2ull);
        run(l, l2_write, AT);
        expect_taken(l, EPTQ_WRITE | EPTQ_R | EPTQ_X, "#VE of a page that is read-only");
        info.busy = 1;
        run(l, l2_write, AT);
        expect_exit(l, "#VE while the area is not clear");
        check(l->p, info.busy == 1, "an exit leaves the area alone");
        set_entry(good);
}

static void suppressed(struct l2 *l, uint64_t good)
{
        enable(l);
        set_entry(EPT_SVE);
        run(l, l2_read, AT);
        expect_exit(l, "#VE suppressed by an absent entry");
        set_entry((good & ~2ull) | EPT_SVE);
        run(l, l2_write, AT);
        expect_exit(l, "#VE suppressed by a leaf");
        set_entry(good & ~2ull);
        l2_ept_pd_high[0] |= EPT_SVE;
        set_entry(good & ~2ull);
        run(l, l2_write, AT);
        l2_ept_pd_high[0] &= ~EPT_SVE;
        expect_taken(l, EPTQ_WRITE | EPTQ_R | EPTQ_X, "#VE is not suppressed by an entry on the way");
        info.busy = 0;
        set_entry(2); /* write only */
        run(l, l2_read, AT);
        check(l->p, l->exit.reason == EXIT_EPT_MISCONFIG && info.busy == 0, "#VE is not for misconfigurations");
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)PROC2_VE);
        set_entry(0);
        run(l, l2_read, AT);
        expect_exit(l, "#VE turned off");
        set_entry(good);
}

static void as_exit(struct l2 *l, uint64_t good)
{
        enable(l);
        set_entry(0);
        l2_set(l, F_exception_bitmap, BIT(VEC_VE));
        run(l, l2_read, AT);
        l2_expect(l, EXIT_EXCEPTION_NMI, 0, "#VE by the exception bitmap");
        check(l->p, l->exit.intr_info == (INTR_VALID | INTR_TYPE_HW_EXCEPTION << 8 | VEC_VE), "#VE: information 0x%x",
              l->exit.intr_info);
        check(l->p, info.busy == BUSY && info.physical == AT && l->exit.rip == (uint64_t)l2_read && !(l->exit.idt_info & INTR_VALID),
              "the area has been written before the exit");
        set_entry(good);
}

/* Conditions beside the tables. */
static void not_convertible(struct l2 *l, uint64_t good)
{
        enable(l);
        set_entry(0);
        l2_set(l, F_guest_rsp, WINDOW_4K + (PAGE + 1) * PAGE_SIZE);
        run(l, l2_ud, 0);
        expect_exit(l, "#VE while an exception is delivered");
        check(l->p, (l->exit.idt_info & (INTR_VALID | INTR_VECTOR)) == (INTR_VALID | VEC_UD), "IDT-vectoring information 0x%x",
              l->exit.idt_info);
        enable(l);
        l2_set(l, F_ve_info, NOWHERE);
        run(l, l2_read, AT);
        expect_exit(l, "#VE with an area that is nowhere");
        set_entry(good);
}

/* An exception in the delivery of #VE. */
static void nested_faults(struct l2 *l, uint64_t good)
{
        enable(l);
        set_entry(0);
        l2_set(l, F_guest_idtr_limit, VEC_VE * 16 - 1); /* #GP in the delivery of #VE, but #DF is there */
        run(l, l2_read, AT);
        l2_expect(l, EXIT_VMCALL, 0, "#GP while #VE is delivered");
        check(l->p, traps()->vector == VEC_DF, "it makes a double fault: vector %llu", (unsigned long long)traps()->vector);
        enable(l);
        l2_set(l, F_exception_bitmap, BIT(VEC_GP));
        l2_set(l, F_guest_idtr_limit, VEC_VE * 16 - 1);
        run(l, l2_read, AT);
        l2_expect(l, EXIT_EXCEPTION_NMI, 0, "#GP while #VE is delivered, by the exception bitmap");
        check(l->p, l->exit.idt_info == (INTR_VALID | INTR_TYPE_HW_EXCEPTION << 8 | VEC_VE), "IDT-vectoring information 0x%x",
              l->exit.idt_info);
        set_entry(good);
}

/* REP OUTSB to a port that nobody intercepts: the page is missed by whoever executes it. */
static void string_output(struct l2 *l, uint64_t good)
{
        enable(l);
        set_entry(0);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_UNCOND_IO);
        l->gprs.r[GPR_RCX] = 1;
        run(l, l2_post_string, AT);
        expect_taken(l, EPTQ_READ, "#VE of REP OUTSB");
        set_entry(good);
}

/* The index is a field like others, but Bochs 2.7 tells only one that VMFUNC has set. */
static void index_field(struct l2 *l, uint64_t good)
{
        enable(l);
        set_entry(0);
        l2_set(l, F_eptp_index, 0x1234);
        run(l, l2_read, AT);
        if (l->p->cascade)
                check(l->p, info.index == 0x1234, "#VE tells the EPTP index of the VMCS");
        set_entry(good);
}

void nested_ve(struct l2 *l)
{
        if (!(l->caps.proc2.may1 & PROC2_VE))
                return;
        l2_reset(l);
        const uint64_t good = l2_ept_pt[PAGE];
        taken(l, good);
        suppressed(l, good);
        as_exit(l, good);
        not_convertible(l, good);
        nested_faults(l, good);
        string_output(l, good);
        index_field(l, good);
        l2_reset(l);
}
