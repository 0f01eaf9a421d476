/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: the log of pages that the guest makes dirty. SDM 3C "Page-Modification Logging". Bochs 2.7 logs addresses with
 * their page offset, and finds the log full at any access: lines about that are judged under cascade only. */
#include "base/x86.h"
#include "nested.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define EPT_ACCESSED BIT(8)
#define EPT_DIRTY    BIT(9)
#define EPTP_AD      BIT(6)
#define ENTRIES      512u
#define AT(page)     (WINDOW_4K + (page) * PAGE_SIZE + 0x128)
#define NOWHERE      0x3000000000ull

static volatile uint64_t log[ENTRIES] PAGE_ALIGNED;

static void flush(void)
{
        BUG_UNLESS(hw_invept(INVEPT_SINGLE, vmread(F_eptp)) == HW_OK);
}

static void clean(unsigned page)
{
        l2_ept_pt[page] &= ~(EPT_ACCESSED | EPT_DIRTY);
        flush();
}

static void run(struct l2 *l, const uint8_t *code, unsigned page)
{
        l->gprs.r[GPR_RBX] = AT(page);
        l2_run(l, code);
}

/* With the guest's paging structures and code accessed and dirty already, so that only the window is logged. */
static void enable(struct l2 *l, uint64_t index)
{
        l2_reset(l);
        l2_set(l, F_eptp, vmread(F_eptp) | EPTP_AD);
        for (unsigned i = 0; i < WINDOW_PAGES; i++)
                run(l, l2_write, i);
        for (unsigned i = 0; i < WINDOW_PAGES; i++)
                clean(i);
        for (unsigned i = 0; i < ENTRIES; i++)
                log[i] = 0;
        l2_proc2_on(l, PROC2_PML);
        l2_set(l, F_pml_address, (uint64_t)log);
        l2_set(l, F_pml_index, index);
}

static bool is_dirty(unsigned page)
{
        return *(volatile uint64_t *)&l2_ept_pt[page] & EPT_DIRTY;
}

static bool logged(unsigned index, unsigned page)
{
        return ALIGN_DOWN(log[index], PAGE_SIZE) == ALIGN_DOWN(AT(page), PAGE_SIZE);
}

static void entries(struct l2 *l)
{
        enable(l, ENTRIES - 1);
        run(l, l2_read, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && vmread(F_pml_index) == ENTRIES - 1 && !is_dirty(0), "PML: a read is not logged");
        run(l, l2_write, 0);
        check(l->p, l->exit.reason == EXIT_VMCALL && vmread(F_pml_index) == ENTRIES - 2 && is_dirty(0) && logged(ENTRIES - 1, 0),
              "PML: the first write is logged");
        if (l->p->cascade)
                check(l->p, log[ENTRIES - 1] == ALIGN_DOWN(AT(0), PAGE_SIZE), "by the SDM: PML: the address of the page is logged");
        run(l, l2_write, 0);
        check(l->p, vmread(F_pml_index) == ENTRIES - 2 && log[ENTRIES - 2] == 0, "PML: the second write is not");
        run(l, l2_write, 3);
        check(l->p, vmread(F_pml_index) == ENTRIES - 3 && logged(ENTRIES - 2, 3), "PML: nor that of another page forgotten");
        clean(0);
        run(l, l2_write, 0);
        check(l->p, vmread(F_pml_index) == ENTRIES - 4 && logged(ENTRIES - 3, 0), "PML: a page that was made clean is logged again");
        l2_set(l, F_pml_index, 5);
        run(l, l2_write, 1);
        check(l->p, vmread(F_pml_index) == 4 && logged(5, 1), "PML: an index that was written");
}

static void full(struct l2 *l)
{
        enable(l, 0);
        run(l, l2_write, 2);
        check(l->p, l->exit.reason == EXIT_VMCALL && vmread(F_pml_index) == 0xffff && logged(0, 2), "PML: the last entry");
        run(l, l2_write, 3);
        check(l->p, l->exit.reason == EXIT_PML_FULL && !(l->exit.qualification & BIT(12)), "PML: full, reason %u", l->exit.reason);
        check(l->p, !is_dirty(3) && vmread(F_pml_index) == 0xffff && l->exit.rip == (uint64_t)l2_write &&
                      !(l->exit.idt_info & INTR_VALID), "PML: full, and nothing has happened");
        l2_set(l, F_pml_index, ENTRIES);
        run(l, l2_write, 3);
        check(l->p, l->exit.reason == EXIT_PML_FULL && !is_dirty(3), "PML: an index behind the end is full");
        l2_set(l, F_pml_index, ENTRIES - 1);
        l2_resume(l);
        check(l->p, l->exit.reason == EXIT_VMCALL && is_dirty(3) && logged(ENTRIES - 1, 3), "PML: the write again, with room");
        if (!l->p->cascade)
                return;
        l2_set(l, F_pml_index, 0xffff);
        run(l, l2_write, 3);
        check(l->p, l->exit.reason == EXIT_VMCALL, "by the SDM: PML: full does not matter to a dirty page");
        run(l, l2_read, 1);
        check(l->p, l->exit.reason == EXIT_PML_FULL && !(l2_ept_pt[1] & EPT_ACCESSED), "by the SDM: PML: an accessed flag needs room as well");
}

static void beside(struct l2 *l)
{
        enable(l, ENTRIES - 1);
        l2_set(l, F_eptp, vmread(F_eptp) & ~EPTP_AD);
        run(l, l2_write, 1);
        check(l->p, l->exit.reason == EXIT_VMCALL && vmread(F_pml_index) == ENTRIES - 1, "PML: nothing is logged without A/D flags");
        enable(l, ENTRIES - 1);
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)PROC2_PML);
        run(l, l2_write, 1);
        check(l->p, l->exit.reason == EXIT_VMCALL && is_dirty(1) && vmread(F_pml_index) == ENTRIES - 1, "PML: nor when it is off");
        enable(l, ENTRIES - 1);
        l2_set(l, F_pml_address, NOWHERE);
        run(l, l2_write, 1);
        check(l->p, l->exit.reason == EXIT_VMCALL && is_dirty(1) && vmread(F_pml_index) == ENTRIES - 2, "PML: a log that is nowhere");
        enable(l, ENTRIES - 1);
        l2_set(l, F_pml_address, (uint64_t)log | 8);
        run(l, l2_write, 1);
        if (l->p->cascade)
                check(l->p, l->exit.reason == L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, "by the SDM: PML: the log begins on a page");
}

/* A full log while an event is delivered: its stack is a clean page. */
static void in_delivery(struct l2 *l)
{
        enable(l, ENTRIES);
        l2_set(l, F_guest_rsp, WINDOW_4K + 2 * PAGE_SIZE);
        l2_set(l, F_entry_intr_info, INTR_VALID | INTR_TYPE_HW_EXCEPTION << 8 | VEC_UD);
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == EXIT_PML_FULL && l->exit.idt_info == (INTR_VALID | INTR_TYPE_HW_EXCEPTION << 8 | VEC_UD) && !is_dirty(1),
              "PML: full while an exception is delivered");
}

void nested_pml(struct l2 *l)
{
        if (!(l->caps.proc2.may1 & PROC2_PML))
                return;
        entries(l);
        full(l);
        beside(l);
        in_delivery(l);
        for (unsigned i = 0; i < WINDOW_PAGES; i++)
                clean(i);
        l2_reset(l);
}
