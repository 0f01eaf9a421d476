/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: the guest hypervisor's EPT, with pages of both sizes. SDM 3C "The Extended Page Table
 * Mechanism". */
#include "base/x86.h"
#include "apic.h"
#include "nested.h"

#define EPT_R        BIT(0)
#define EPT_W        BIT(1)
#define EPT_X        BIT(2)
#define EPT_WB       (6u << 3)
#define EPT_TYPE     BITS(5, 3)
#define EPT_ACCESSED BIT(8)
#define EPT_DIRTY    BIT(9)
#define EPTP_AD      BIT(6)
#define VALUE        0x0123456789abcdefull
#define VMCALL_CODE  0xc1010f /* 0f 01 c1 */

/* Bits that older processors and newer ones define differently (advanced information, NMI unblocking) are
 * left out. */
#define QUALIFICATION BITS(8, 0)

static void flush(void)
{
        BUG_UNLESS(hw_invept(INVEPT_SINGLE, vmread(F_eptp)) == HW_OK);
}

static void run_at(struct l2 *l, const uint8_t *code, uint64_t address)
{
        l->gprs.r[GPR_RBX] = address;
        l2_run(l, code);
}

static void expect_violation(struct l2 *l, uint64_t qualification, uint64_t at, const char *what)
{
        l->exit.qualification &= QUALIFICATION;
        l2_expect(l, EXIT_EPT_VIOLATION, qualification | EPTQ_LINEAR_VALID | EPTQ_TRANSLATED, what);
        if (l->exit.reason == EXIT_EPT_VIOLATION &&
            (l->exit.guest_physical != at || l->exit.guest_linear != at))
                check(l->p, false, "%s: guest-physical 0x%llx, linear 0x%llx", what,
                      (unsigned long long)l->exit.guest_physical, (unsigned long long)l->exit.guest_linear);
}

static void mapped(struct l2 *l)
{
        *(volatile uint64_t *)(l2_window[0] + 8) = VALUE;
        run_at(l, l2_read, WINDOW_4K + 8);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE,
              "EPT: a read through a page of 4 KiB");
        l->gprs.r[GPR_RAX] = ~VALUE;
        run_at(l, l2_write, WINDOW_4K + PAGE_SIZE);
        check(l->p, l->exit.reason == EXIT_VMCALL && *(volatile uint64_t *)l2_window[1] == ~VALUE,
              "EPT: a write through a page of 4 KiB");
        *(volatile uint64_t *)(WINDOW_2M_AT + 0x123450) = VALUE;
        run_at(l, l2_read, WINDOW_2M + 0x123450);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE,
              "EPT: a read through a page of 2 MiB");
        *(volatile uint64_t *)(WINDOW_2M_AT + 0x1ff000) = VMCALL_CODE;
        run_at(l, l2_jump, WINDOW_2M + 0x1ff000);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->exit.rip == WINDOW_2M + 0x1ff000,
              "EPT: code in a page of 2 MiB");
}

static void not_mapped(struct l2 *l)
{
        run_at(l, l2_read, WINDOW_NONE + 0x18);
        expect_violation(l, EPTQ_READ, WINDOW_NONE + 0x18, "EPT: a read of no page");
        run_at(l, l2_write, WINDOW_NONE + 0x20);
        expect_violation(l, EPTQ_WRITE, WINDOW_NONE + 0x20, "EPT: a write to no page");
        run_at(l, l2_jump, WINDOW_NONE);
        expect_violation(l, EPTQ_FETCH, WINDOW_NONE, "EPT: a jump to no page");
        run_at(l, l2_read, 0x4000000000ull);
        check(l->p, l->exit.reason == EXIT_EPT_VIOLATION && l->exit.guest_physical == 0x4000000000ull,
              "EPT: a read above everything");
        /* SDM 3C "Caching Translation Information": what is not present is never cached. */
        l2_ept_pd_high[2] = WINDOW_2M_AT | EPT_R | EPT_W | EPT_X | EPT_WB | BIT(7);
        run_at(l, l2_read, WINDOW_NONE + 0x123450);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == VALUE, "EPT: a page that appears");
        l2_ept_pd_high[2] = 0;
        flush();
        run_at(l, l2_read, WINDOW_NONE + 0x123450);
        expect_violation(l, EPTQ_READ, WINDOW_NONE + 0x123450, "EPT: a page that goes away");
}

static void permission(struct l2 *l, uint64_t rights, const uint8_t *code, uint64_t access, const char *what)
{
        const uint64_t old = l2_ept_pt[2];
        l2_ept_pt[2] = (old & ~(EPT_R | EPT_W | EPT_X)) | rights;
        flush();
        run_at(l, code, WINDOW_4K + 2 * PAGE_SIZE);
        expect_violation(l, access | rights << 3, WINDOW_4K + 2 * PAGE_SIZE, what);
        l2_ept_pt[2] = old;
        run_at(l, l2_jump, WINDOW_4K + 2 * PAGE_SIZE);
        check(l->p, l->exit.reason == EXIT_VMCALL, "%s: gone with the right", what);
}

static void permissions(struct l2 *l)
{
        *(volatile uint64_t *)l2_window[2] = VMCALL_CODE;
        permission(l, EPT_R | EPT_X, l2_write, EPTQ_WRITE, "EPT: a write to a read-only page");
        permission(l, EPT_R, l2_jump, EPTQ_FETCH, "EPT: a jump to a page without execution");
        permission(l, EPT_R | EPT_W, l2_jump, EPTQ_FETCH, "EPT: a jump to a page of data");
        permission(l, 0, l2_read, EPTQ_READ, "EPT: a read of a page that is not present");
        if (l->caps.ept_vpid & EPTCAP_EXEC_ONLY)
                permission(l, EPT_X, l2_read, EPTQ_READ, "EPT: a read of an execute-only page");
        l2_ept_pd_high[1] &= ~EPT_W;
        flush();
        run_at(l, l2_write, WINDOW_2M + 0x1000);
        expect_violation(l, EPTQ_WRITE | (EPT_R | EPT_X) << 3, WINDOW_2M + 0x1000,
                         "EPT: a write to a read-only page of 2 MiB");
        l2_ept_pd_high[1] |= EPT_W;
        l2_ept_pd_high[0] &= ~EPT_W;
        flush();
        run_at(l, l2_write, WINDOW_4K);
        expect_violation(l, EPTQ_WRITE | (EPT_R | EPT_X) << 3, WINDOW_4K,
                         "EPT: a right that the table above lacks");
        l2_ept_pd_high[0] |= EPT_W;
        flush();
}

static void misconfigured(struct l2 *l, uint64_t *entry, uint64_t value, uint64_t at, const char *what)
{
        const uint64_t old = *entry;
        *entry = value;
        flush();
        run_at(l, l2_read, at);
        check(l->p, l->exit.reason == EXIT_EPT_MISCONFIG && l->exit.guest_physical == at, "%s: reason %u",
              what, l->exit.reason);
        *entry = old;
        flush();
}

static void misconfigurations(struct l2 *l)
{
        const uint64_t at = WINDOW_4K + 3 * PAGE_SIZE, good = l2_ept_pt[3], large = l2_ept_pd_high[1];
        misconfigured(l, &l2_ept_pt[3], (good & ~(EPT_R | EPT_X)), at, "EPT misconfiguration, write only");
        misconfigured(l, &l2_ept_pt[3], (good & ~EPT_R), at, "EPT misconfiguration, write and execute");
        misconfigured(l, &l2_ept_pt[3], (good & ~EPT_TYPE) | 2u << 3, at,
                      "EPT misconfiguration, memory type 2");
        misconfigured(l, &l2_ept_pt[3], good | BIT(51), at, "EPT misconfiguration, address too wide");
        misconfigured(l, &l2_ept_pd_high[1], large | BIT(13), WINDOW_2M,
                      "EPT misconfiguration, large page not aligned");
        misconfigured(l, &l2_ept_pd_high[0], l2_ept_pd_high[0] | BIT(4), at,
                      "EPT misconfiguration, reserved bits of a table");
}

static void accessed_and_dirty(struct l2 *l)
{
        if (!(l->caps.ept_vpid & EPTCAP_AD))
                return;
        l2_set(l, F_eptp, vmread(F_eptp) | EPTP_AD);
        flush();
        run_at(l, l2_read, WINDOW_4K + PAGE_SIZE);
        const uint64_t read = *(volatile uint64_t *)&l2_ept_pt[1];
        run_at(l, l2_write, WINDOW_4K + PAGE_SIZE);
        const uint64_t written = *(volatile uint64_t *)&l2_ept_pt[1];
        check(l->p, l->exit.reason == EXIT_VMCALL && (read & EPT_ACCESSED) && !(read & EPT_DIRTY),
              "EPT with A/D: a read sets accessed only");
        check(l->p, (written & EPT_ACCESSED) && (written & EPT_DIRTY), "EPT with A/D: a write sets dirty");
        check(l->p, *(volatile uint64_t *)&l2_ept_pd_high[0] & EPT_ACCESSED,
              "EPT with A/D: tables are accessed as well");
        check(l->p, !(*(volatile uint64_t *)&l2_ept_pt[3] & EPT_ACCESSED),
              "EPT with A/D: other pages are not");
        l2_set(l, F_eptp, vmread(F_eptp) & ~EPTP_AD);
        l2_ept_pt[1] &= ~(EPT_ACCESSED | EPT_DIRTY);
}

/* A device page of the guest hypervisor's, handed on to its guest. */
static void device_page(struct l2 *l)
{
        const uint64_t old = l2_ept_pt[2];
        l2_ept_pt[2] = APIC_BASE | EPT_R | EPT_W;
        flush();
        run_at(l, l2_read32, WINDOW_4K + 2 * PAGE_SIZE + APIC_VERSION);
        check(l->p, l->exit.reason == EXIT_VMCALL && (uint32_t)l->gprs.r[GPR_RAX] == apic_read(APIC_VERSION),
              "EPT: a device's page");
        l2_ept_pt[2] = old;
        flush();
}

/* An instruction that nobody between the guest and the port intercepts, with an operand in memory. */
static void string_output(struct l2 *l)
{
        const uint64_t old = vmread(F_proc_ctls);
        l2_set(l, F_proc_ctls, old & ~(uint64_t)PROC_UNCOND_IO);
        l->gprs.r[GPR_RCX] = 16;
        run_at(l, l2_post_string, WINDOW_4K + PAGE_SIZE - 8);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RCX] == 0 &&
                      l->gprs.r[GPR_RSI] == WINDOW_4K + PAGE_SIZE + 8, "EPT: REP OUTSB over two pages");
        l->gprs.r[GPR_RCX] = 1;
        run_at(l, l2_post_string, WINDOW_NONE + 0x10);
        expect_violation(l, EPTQ_READ, WINDOW_NONE + 0x10, "EPT: REP OUTSB of no page");
        l2_set(l, F_proc_ctls, old);
}

void nested_ept(struct l2 *l)
{
        l2_reset(l);
        mapped(l);
        not_mapped(l);
        device_page(l);
        string_output(l);
        permissions(l);
        misconfigurations(l);
        accessed_and_dirty(l);
}
