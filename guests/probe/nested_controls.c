/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: each control that makes an instruction exit, or lets it work, as 1 and as 0. */
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"
#include "nested/tsc.h"

#define RUNS   EXIT_VMCALL /* the instruction runs, and VMCALL behind it exits */
#define FAULTS(vector) (0x100u + (vector)) /* it faults: an exception exit */

#define TIMER_TICKS 3000u
#define PLE_WINDOW  500u

static uint64_t scratch[8];

static const struct {
        const char *what;
        const uint8_t *code;
        uint32_t proc, proc2; /* on throughout */
        uint32_t proc_bit, proc2_bit; /* the control in question */
        uint32_t on, off;
} rows[] = {
        { "INVLPG exiting", l2_invlpg, 0, 0, PROC_INVLPG, 0, EXIT_INVLPG, RUNS },
        { "RDTSC exiting", l2_rdtsc, 0, 0, PROC_RDTSC, 0, EXIT_RDTSC, RUNS },
        { "RDTSC exiting, RDTSCP", l2_rdtscp, 0, PROC2_RDTSCP, PROC_RDTSC, 0, EXIT_RDTSCP, RUNS },
        { "RDTSC exiting, RDTSCP not enabled", l2_rdtscp, 0, 0, PROC_RDTSC, 0, FAULTS(VEC_UD), FAULTS(VEC_UD) },
        { "enable RDTSCP", l2_rdtscp, 0, 0, 0, PROC2_RDTSCP, RUNS, FAULTS(VEC_UD) },
        { "INVLPG exiting, INVPCID", l2_invpcid, 0, PROC2_INVPCID, PROC_INVLPG, 0, EXIT_INVPCID, RUNS },
        { "enable INVPCID", l2_invpcid, 0, 0, 0, PROC2_INVPCID, RUNS, FAULTS(VEC_UD) },
        { "MWAIT exiting", l2_mwait, 0, 0, PROC_MWAIT, 0, EXIT_MWAIT, RUNS },
        { "MONITOR exiting", l2_monitor, 0, 0, PROC_MONITOR, 0, EXIT_MONITOR, RUNS },
        { "RDPMC exiting", l2_rdpmc, 0, 0, PROC_RDPMC, 0, EXIT_RDPMC, RUNS },
        { "MOV-DR exiting, write", l2_write_dr7, 0, 0, PROC_MOV_DR, 0, EXIT_MOV_DR, RUNS },
        { "MOV-DR exiting, read", l2_read_dr6, 0, 0, PROC_MOV_DR, 0, EXIT_MOV_DR, RUNS },
        { "PAUSE exiting", l2_pause, 0, 0, PROC_PAUSE, 0, EXIT_PAUSE, RUNS },
        { "CR3-store exiting", l2_read_cr3, 0, 0, PROC_CR3_STORE, 0, EXIT_CR_ACCESS, RUNS },
        { "CR8-store exiting", l2_read_cr8, 0, 0, PROC_CR8_STORE, 0, EXIT_CR_ACCESS, RUNS },
        { "CR8-load exiting", l2_write_cr8, 0, 0, PROC_CR8_LOAD, 0, EXIT_CR_ACCESS, RUNS },
        { "descriptor-table exiting, SGDT", l2_sgdt, 0, 0, 0, PROC2_DESC_TABLE, EXIT_GDTR_IDTR, RUNS },
        { "descriptor-table exiting, STR", l2_str, 0, 0, 0, PROC2_DESC_TABLE, EXIT_LDTR_TR, RUNS },
        { "WBINVD exiting", l2_wbinvd, 0, 0, 0, PROC2_WBINVD, EXIT_WBINVD, RUNS },
        { "RDRAND exiting", l2_rdrand, 0, 0, 0, PROC2_RDRAND, EXIT_RDRAND, RUNS },
        { "RDSEED exiting", l2_rdseed, 0, 0, 0, PROC2_RDSEED, EXIT_RDSEED, RUNS },
};

static uint32_t outcome(const struct l2 *l)
{
        if (l->exit.reason != EXIT_EXCEPTION_NMI)
                return l->exit.reason;
        return FAULTS((uint32_t)GET(l->exit.intr_info, INTR_VECTOR));
}

static void one(struct l2 *l, unsigned i, bool on)
{
        l2_reset(l);
        l2_set(l, F_exception_bitmap, BIT(VEC_UD) | BIT(VEC_GP));
        const uint32_t proc = (uint32_t)vmread(F_proc_ctls) & ~rows[i].proc_bit;
        const uint32_t proc2 = (uint32_t)vmread(F_proc2_ctls) & ~(rows[i].proc2_bit | PROC2_RDTSCP | PROC2_INVPCID);
        l2_set(l, F_proc_ctls, proc | rows[i].proc | (on ? rows[i].proc_bit : 0));
        l2_set(l, F_proc2_ctls, proc2 | rows[i].proc2 | (on ? rows[i].proc2_bit : 0));
        l->gprs.r[GPR_RAX] = l->gprs.r[GPR_RBX] = l->gprs.r[GPR_RDI] = (uint64_t)scratch;
        if (rows[i].code == l2_write_dr7 || rows[i].code == l2_write_cr8)
                l->gprs.r[GPR_RBX] = 0;
        l2_run(l, rows[i].code);
        const uint32_t wanted = on ? rows[i].on : rows[i].off;
        check(l->p, outcome(l) == wanted, "%s %s: 0x%x", rows[i].what, on ? "1" : "0", outcome(l));
}

static bool offered(const struct l2 *l, uint32_t proc, uint32_t proc2)
{
        return !(proc & ~l->caps.proc.may1) && !(proc2 & ~l->caps.proc2.may1);
}

/* A HLT that does not exit, and a loop that no control ends, go on until the preemption timer is up. */
static uint32_t run_timed(struct l2 *l, const uint8_t *code)
{
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_PREEMPTION_TIMER);
        l2_set(l, F_guest_preemption_timer, TIMER_TICKS);
        return l2_run(l, code);
}

static void hlt(struct l2 *l)
{
        l2_reset(l);
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_HLT);
        check(l->p, run_timed(l, l2_hlt) == EXIT_PREEMPTION_TIMER, "HLT exiting 0: the preemption timer ends it");
        l2_reset(l);
        l2_proc_on(l, PROC_HLT);
        check(l->p, run_timed(l, l2_hlt) == EXIT_HLT, "HLT exiting 1");
}

static void pause_loop(struct l2 *l)
{
        l2_reset(l);
        check(l->p, run_timed(l, l2_pause_loop) == EXIT_PREEMPTION_TIMER, "PAUSE-loop exiting 0: the loop goes on");
        l2_reset(l);
        l2_proc2_on(l, PROC2_PLE);
        l2_set(l, F_ple_gap, 100);
        l2_set(l, F_ple_window, PLE_WINDOW);
        check(l->p, run_timed(l, l2_pause_loop) == EXIT_PAUSE, "PAUSE-loop exiting 1");
        l2_reset(l);
        l2_proc2_on(l, PROC2_PLE);
        l2_set(l, F_ple_gap, 100);
        l2_set(l, F_ple_window, TIMER_TICKS * 2);
        check(l->p, run_timed(l, l2_pause_loop) == EXIT_PREEMPTION_TIMER, "PAUSE-loop exiting 1, a longer window");
}

static uint64_t tsc_seen(struct l2 *l, const uint8_t *code)
{
        l->gprs.r[GPR_RCX] = MSR_TSC;
        l2_run(l, code);
        return (uint32_t)l->gprs.r[GPR_RAX] | l->gprs.r[GPR_RDX] << 32;
}

/* The guest reads something between what the map makes of the moments before and after. */
static void scaled(struct l2 *l, uint64_t multiplier, uint64_t offset, const uint8_t *code, const char *what)
{
        const struct tsc_map m = { multiplier, offset };
        l2_reset(l);
        l2_proc_on(l, PROC_TSC_OFFSET);
        l2_proc2_on(l, PROC2_TSC_SCALING | PROC2_RDTSCP);
        l2_set(l, F_tsc_offset, offset);
        l2_set(l, F_tsc_multiplier, multiplier);
        const uint64_t before = tsc_read(m, hw_rdtsc());
        const uint64_t seen = tsc_seen(l, code);
        const uint64_t after = tsc_read(m, hw_rdtsc());
        check(l->p, l->exit.reason == EXIT_VMCALL && seen + 1 - before <= after + 1 - before, "TSC scaling: %s", what);
}

static void tsc_scaling(struct l2 *l)
{
        scaled(l, TSC_UNSCALED, 0, l2_rdtsc, "by 1");
        scaled(l, TSC_UNSCALED * 3, 1ull << 40, l2_rdtsc, "by 3");
        scaled(l, TSC_UNSCALED / 7, -5ull, l2_rdtsc, "by 1/7");
        scaled(l, TSC_UNSCALED * 5 / 2, 100, l2_rdtscp, "RDTSCP");
        scaled(l, TSC_UNSCALED * 5 / 2, 100, l2_rdmsr, "RDMSR");
        l2_set(l, F_tsc_multiplier, 0);
        check(l->p, l2_run(l, l2_rdtsc) == L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, "TSC scaling: by 0 is refused");
        const uint64_t now = hw_rdtsc();
        hw_wrmsr(MSR_TSC, now + (1ull << 36));
        scaled(l, TSC_UNSCALED * 5 / 2, 100, l2_rdtsc, "after the host's TSC was set");
        hw_wrmsr(MSR_TSC, hw_rdtsc() - (1ull << 36));
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) & ~(uint64_t)PROC_TSC_OFFSET);
        const uint64_t before = hw_rdtsc(), seen = tsc_seen(l, l2_rdtsc);
        check(l->p, seen - before <= hw_rdtsc() - before, "TSC scaling does nothing without TSC offsetting");
}

#define CR4_OSXSAVE BIT(18)
#define XSAVE_BYTES 1024

/* XSAVES and XRSTORS of x87 state. No bit of IA32_XSS can be set on processors that cascade shows, so no bit of the
 * XSS-exiting bitmap ever makes them exit. */
static void xsaves(struct l2 *l)
{
        static uint8_t area[XSAVE_BYTES] __attribute__((aligned(64)));
        for (unsigned on = 0; on < 2; on++) {
                l2_reset(l);
                l2_set(l, F_exception_bitmap, BIT(VEC_UD) | BIT(VEC_GP));
                l2_set(l, F_guest_cr4, vmread(F_guest_cr4) | CR4_OSXSAVE);
                l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)PROC2_XSAVES);
                l2_proc2_on(l, on ? PROC2_XSAVES : 0);
                l2_set(l, F_xss_exit_bitmap, ~0ull);
                l->gprs.r[GPR_RAX] = 1;
                l->gprs.r[GPR_RBX] = (uint64_t)area;
                l2_run(l, l2_xsaves);
                check(l->p, outcome(l) == (on ? RUNS : FAULTS(VEC_UD)), "enable XSAVES %u: 0x%x", on, outcome(l));
        }
        check(l->p, area[527] >> 7, "XSAVES: the area is compacted"); /* XCOMP_BV[63] */
        l2_run(l, l2_xrstors);
        check(l->p, outcome(l) == RUNS, "XRSTORS: 0x%x", outcome(l));
        check(l->p, !hw_wrmsr_safe(MSR_XSS, BIT(0)) && hw_wrmsr_safe(MSR_XSS, 0), "IA32_XSS has no bit for user state");
}

void nested_controls(struct l2 *l)
{
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                if (!offered(l, rows[i].proc | rows[i].proc_bit, rows[i].proc2 | rows[i].proc2_bit))
                        continue;
                one(l, i, true);
                one(l, i, false);
        }
        hlt(l);
        if (offered(l, 0, PROC2_PLE))
                pause_loop(l);
        if (offered(l, 0, PROC2_XSAVES))
                xsaves(l);
        if (offered(l, 0, PROC2_TSC_SCALING | PROC2_RDTSCP))
                tsc_scaling(l);
}
