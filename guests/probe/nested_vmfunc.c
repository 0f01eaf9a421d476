/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: VM functions, of which there is one, EPTP switching. SDM 3C "VM Functions". */
#include "base/x86.h"
#include "nested.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define EPT_RWX      7ull
#define EPT_WB       (6ull << 3)
#define EPTP_AD      BIT(6)
#define LEN_VMFUNC   3
#define VIEWS        10 /* EPTs that are live at once */
#define LIST_ENTRIES 512u
#define NOWHERE      0x3000000000ull /* within the physical-address width, but neither RAM nor device */

/* EPTs beside that of l2.c: view i shows page i % WINDOW_PAGES of the window as its first. */
static uint64_t pml4[VIEWS][512] PAGE_ALIGNED, pdpt[VIEWS][512] PAGE_ALIGNED, pd[VIEWS][512] PAGE_ALIGNED,
        pt[VIEWS][512] PAGE_ALIGNED, list[LIST_ENTRIES] PAGE_ALIGNED;

static uint64_t *table(uint64_t entry)
{
        return (uint64_t *)(entry & BITS(51, 12));
}

static void build_views(uint64_t eptp)
{
        const uint64_t *const pdpt0 = table(table(eptp)[0]);
        const unsigned high = (unsigned)GET(WINDOW_4K, BITS(38, 30));
        for (unsigned i = 0; i < VIEWS; i++) {
                pml4[i][0] = (uint64_t)pdpt[i] | EPT_RWX;
                pdpt[i][0] = pdpt0[0]; /* the first GiB is as everywhere */
                pdpt[i][high] = (uint64_t)pd[i] | EPT_RWX;
                pd[i][0] = (uint64_t)pt[i] | EPT_RWX;
                pt[i][0] = (uint64_t)l2_window[i % WINDOW_PAGES] | EPT_RWX | EPT_WB;
                list[i] = (uint64_t)pml4[i] | (eptp & BITS(11, 0));
        }
        for (unsigned i = 0; i < WINDOW_PAGES; i++)
                *(volatile uint64_t *)l2_window[i] = i;
}

static void enable(struct l2 *l, uint64_t functions)
{
        l2_reset(l);
        l2_proc2_on(l, PROC2_VMFUNC);
        l2_set(l, F_vmfunc_ctls, functions);
        l2_set(l, F_eptp_list, (uint64_t)list);
        l->gprs.r[GPR_RBX] = WINDOW_4K;
}

static void call(struct l2 *l, uint64_t rax, uint64_t rcx)
{
        l->gprs.r[GPR_RAX] = rax;
        l->gprs.r[GPR_RCX] = rcx;
        l2_run(l, l2_vmfunc_read);
}

static void expect_exit(struct l2 *l, const char *what)
{
        l2_expect(l, EXIT_VMFUNC, 0, what);
        check(l->p, l->exit.insn_len == LEN_VMFUNC && l->exit.rip == (uint64_t)l2_vmfunc_read, "%s: length %u", what,
              l->exit.insn_len);
}

static void not_enabled(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_exception_bitmap, BIT(VEC_UD));
        l2_run(l, l2_vmfunc);
        l2_expect(l, EXIT_EXCEPTION_NMI, 0, "VMFUNC without VM functions");
        check(l->p, GET(l->exit.intr_info, INTR_VECTOR) == VEC_UD, "it is #UD");
        enable(l, 0);
        call(l, 0, 0);
        expect_exit(l, "VMFUNC of a function that is off");
        enable(l, VMFUNC_EPTP_SWITCHING);
        call(l, 63, 0);
        expect_exit(l, "VMFUNC of the last function");
        l2_set(l, F_exception_bitmap, BIT(VEC_UD));
        call(l, 64, 0);
        if (l->p->cascade)
                check(l->p, l->exit.reason == EXIT_EXCEPTION_NMI && GET(l->exit.intr_info, INTR_VECTOR) == VEC_UD,
                      "VMFUNC beyond the last function is undefined");
}

static void refused(struct l2 *l, uint64_t entry, const char *what)
{
        const uint64_t eptp = vmread(F_eptp), old = list[1];
        list[1] = entry;
        call(l, 0, 1);
        expect_exit(l, what);
        check(l->p, vmread(F_eptp) == eptp, "%s: the EPTP stays", what);
        list[1] = old;
}

static void bad_entries(struct l2 *l)
{
        const uint64_t good = list[1];
        enable(l, VMFUNC_EPTP_SWITCHING);
        call(l, 0, LIST_ENTRIES);
        expect_exit(l, "EPTP switching beyond the list");
        call(l, 0, BIT(31));
        expect_exit(l, "EPTP switching far beyond the list");
        refused(l, 0, "EPTP switching to nothing");
        refused(l, good ^ 7, "EPTP switching with memory type 1");
        refused(l, good | BIT(5), "EPTP switching with another walk length");
        refused(l, good | BIT(8), "EPTP switching with a reserved bit");
        refused(l, good | BIT(l->caps.maxphyaddr), "EPTP switching with an address too wide");
        refused(l, good | BIT(63), "EPTP switching with bit 63");
        l2_set(l, F_eptp_list, NOWHERE);
        call(l, 0, 1);
        expect_exit(l, "EPTP switching with a list that is nowhere");
}

static bool sees(struct l2 *l, unsigned view)
{
        return l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == view % WINDOW_PAGES && vmread(F_eptp) == list[view] &&
               (!(l->caps.proc2.may1 & PROC2_VE) || vmread(F_eptp_index) == view);
}

static void switches(struct l2 *l)
{
        enable(l, VMFUNC_EPTP_SWITCHING);
        call(l, 0, 3);
        check(l->p, sees(l, 3) && l->gprs.r[GPR_RCX] == 3, "EPTP switching");
        l->gprs.r[GPR_RAX] = ~0ull;
        l2_run(l, l2_read);
        check(l->p, l->gprs.r[GPR_RAX] == 3, "the switched EPT stays for the next VM entry");
        call(l, BIT(32), BIT(40) | 2);
        check(l->p, sees(l, 2), "EPTP switching looks at EAX and ECX");
        call(l, 0, 2);
        check(l->p, sees(l, 2), "EPTP switching to the same EPT");
        bool good = true;
        for (unsigned i = 0; i < 3 * VIEWS; i++) {
                call(l, 0, i * 7 % VIEWS);
                good &= sees(l, i * 7 % VIEWS);
        }
        check(l->p, good, "EPTP switching among %u EPTs", VIEWS);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_CF | RFLAGS_ZF | RFLAGS_OF);
        call(l, 0, 1);
        check(l->p, sees(l, 1) && (vmread(F_guest_rflags) & (RFLAGS_CF | RFLAGS_ZF | RFLAGS_OF)) ==
                      (RFLAGS_CF | RFLAGS_ZF | RFLAGS_OF), "EPTP switching leaves the flags alone");
        l2_set(l, F_eptp, vmread(F_eptp)); /* for l2_reset() */
}

/* An EPTP that differs in the A/D bit only. */
static void other_flags(struct l2 *l)
{
        if (!(l->caps.ept_vpid & EPTCAP_AD))
                return;
        enable(l, VMFUNC_EPTP_SWITCHING);
        list[0] |= EPTP_AD;
        call(l, 0, 0);
        check(l->p, sees(l, 0) && (*(volatile uint64_t *)&pt[0][0] & BIT(8)), "EPTP switching turns A/D flags on");
        pt[0][0] = (uint64_t)l2_window[2] | EPT_RWX | EPT_WB;
        BUG_UNLESS(hw_invept(INVEPT_SINGLE, list[0] & ~EPTP_AD) == HW_OK);
        l2_run(l, l2_read);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == 2, "INVEPT takes EPTPs with and without A/D flags as one");
        list[0] &= ~EPTP_AD;
        l2_set(l, F_eptp, vmread(F_eptp));
}

void nested_vmfunc(struct l2 *l)
{
        if (!(l->caps.proc2.may1 & PROC2_VMFUNC) || !(l->caps.vmfunc & VMFUNC_EPTP_SWITCHING))
                return;
        l2_reset(l);
        build_views(vmread(F_eptp));
        not_enabled(l);
        bad_entries(l);
        switches(l);
        other_flags(l);
        l2_reset(l);
}
