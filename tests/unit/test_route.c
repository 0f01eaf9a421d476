/* SPDX-License-Identifier: BSD-2-Clause */
/* Each row: vmcs12 as a statement, the exit, and whose it is. A row of the routing table without an answer of
 * both kinds fails, unless its owner does not depend on vmcs12. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/x86.h"
#include "nested/route.h"

#define RAM_BYTES (16 * PAGE_SIZE)
#define BITMAP_A  0x2000
#define BITMAP_B  0x3000
#define BITMAP    0x4000
#define NOT_RAM   0x80000000ull

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static const struct guest_mem mem = { .ram = ram, .low_bytes = RAM_BYTES };

static void set_bit(uint64_t at, unsigned bit)
{
        ram[at + bit / 8] |= (uint8_t)(1u << bit % 8);
}

static enum exit_owner owner(const struct vmcs12 *v, struct exit_info x)
{
        return route_l2_exit(v, &x, &mem);
}

/* Exits that depend on one control. */
static const struct {
        uint32_t reason;
        uint32_t proc, proc2;
} by_control[] = {
        { EXIT_INTR_WINDOW, PROC_INTR_WINDOW, 0 },
        { EXIT_NMI_WINDOW, PROC_NMI_WINDOW, 0 },
        { EXIT_HLT, PROC_HLT, 0 },
        { EXIT_INVLPG, PROC_INVLPG, 0 },
        { EXIT_RDPMC, PROC_RDPMC, 0 },
        { EXIT_RDTSC, PROC_RDTSC, 0 },
        { EXIT_MOV_DR, PROC_MOV_DR, 0 },
        { EXIT_MWAIT, PROC_MWAIT, 0 },
        { EXIT_MONITOR, PROC_MONITOR, 0 },
        { EXIT_MTF, PROC_MTF, 0 },
        { EXIT_PAUSE, PROC_PAUSE, 0 },
        { EXIT_PAUSE, 0, PROC2_PLE },
        { EXIT_TPR_THRESHOLD, PROC_TPR_SHADOW, 0 },
        { EXIT_APIC_ACCESS, 0, PROC2_APIC_ACCESS },
        { EXIT_APIC_WRITE, 0, PROC2_APIC_REGS },
        { EXIT_APIC_WRITE, 0, PROC2_VID },
        { EXIT_VIRTUALIZED_EOI, 0, PROC2_VID },
        { EXIT_GDTR_IDTR, 0, PROC2_DESC_TABLE },
        { EXIT_LDTR_TR, 0, PROC2_DESC_TABLE },
        { EXIT_WBINVD, 0, PROC2_WBINVD },
        { EXIT_RDRAND, 0, PROC2_RDRAND },
        { EXIT_RDSEED, 0, PROC2_RDSEED },
        { EXIT_XSAVES, 0, PROC2_XSAVES },
        { EXIT_XRSTORS, 0, PROC2_XSAVES },
        { EXIT_RDTSCP, PROC_RDTSC, PROC2_RDTSCP },
        { EXIT_INVPCID, PROC_INVLPG, PROC2_INVPCID },
};

START_TEST(one_control)
{
        for (size_t i = 0; i < ARRAY_LEN(by_control); i++) {
                const uint32_t reason = by_control[i].reason, proc = by_control[i].proc,
                               proc2 = by_control[i].proc2;
                const uint32_t second = proc2 ? PROC_SECONDARY : 0;
                const struct vmcs12 asked = { .proc_ctls = proc | second, .proc2_ctls = proc2 };
                const struct vmcs12 others = {
                        .proc_ctls = ~(proc | (reason == EXIT_PAUSE ? PROC_PAUSE : 0)) | PROC_SECONDARY,
                        .proc2_ctls = ~(proc2 | (reason == EXIT_PAUSE ? PROC2_PLE : 0) |
                                        (reason == EXIT_APIC_WRITE ? PROC2_APIC_REGS | PROC2_VID : 0)),
                };
                const struct vmcs12 inactive = { .proc_ctls = proc, .proc2_ctls = proc2 };
                ck_assert_msg(owner(&asked, (struct exit_info){ .reason = reason }) == OWNER_L1, "reason %u",
                              reason);
                ck_assert_msg(owner(&others, (struct exit_info){ .reason = reason }) == OWNER_L0, "reason %u",
                              reason);
                if (proc2)
                        ck_assert_msg(owner(&inactive, (struct exit_info){ .reason = reason }) == OWNER_L0,
                                      "reason %u without secondary controls", reason);
        }
}
END_TEST

static const uint32_t always_l1[] = {
        EXIT_TRIPLE_FAULT,
        EXIT_TASK_SWITCH,
        EXIT_CPUID,
        EXIT_GETSEC,
        EXIT_INVD,
        EXIT_RSM,
        EXIT_VMCALL,
        EXIT_VMCLEAR,
        EXIT_VMLAUNCH,
        EXIT_VMPTRLD,
        EXIT_VMPTRST,
        EXIT_VMRESUME,
        EXIT_VMXOFF,
        EXIT_VMXON,
        EXIT_INVEPT,
        EXIT_INVVPID,
        EXIT_XSETBV,
        EXIT_ENTRY_GUEST_STATE,
        EXIT_ENTRY_MSR_LOAD,
        EXIT_ENTRY_MCE,
        EXIT_ENTRY_GUEST_STATE | EXIT_REASON_ENTRY_FAIL,
        EXIT_EXT_INTR | EXIT_REASON_ENTRY_FAIL,
        35,
        38,
        42,
        71,
        76,
        0xffff, /* reasons that the table does not know */
};
static const uint32_t always_l0[] = {
        EXIT_EXT_INTR,  EXIT_INIT,          EXIT_SIPI,          EXIT_IO_SMI,
        EXIT_OTHER_SMI, EXIT_EPT_VIOLATION, EXIT_EPT_MISCONFIG, EXIT_PREEMPTION_TIMER,
        EXIT_ENCLS,     EXIT_PCONFIG,
        EXIT_SPP,       EXIT_UMWAIT,        EXIT_TPAUSE,        EXIT_LOADIWKEY,
        EXIT_ENCLV,     EXIT_ENQCMD,        EXIT_ENQCMDS,       EXIT_BUS_LOCK,
        EXIT_NOTIFY,    EXIT_VMFUNC,        EXIT_PML_FULL,
};

START_TEST(fixed_owners)
{
        const struct vmcs12 none = { .cr0_mask = 0 };
        struct vmcs12 every;
        memset(&every, 0xff, sizeof(every));
        for (size_t i = 0; i < ARRAY_LEN(always_l1); i++) {
                ck_assert_msg(owner(&none, (struct exit_info){ .reason = always_l1[i] }) == OWNER_L1, "%u",
                              always_l1[i]);
                ck_assert_msg(owner(&every, (struct exit_info){ .reason = always_l1[i] }) == OWNER_L1, "%u",
                              always_l1[i]);
        }
        for (size_t i = 0; i < ARRAY_LEN(always_l0); i++) {
                ck_assert_msg(owner(&none, (struct exit_info){ .reason = always_l0[i] }) == OWNER_L0, "%u",
                              always_l0[i]);
                ck_assert_msg(owner(&every, (struct exit_info){ .reason = always_l0[i] }) == OWNER_L0, "%u",
                              always_l0[i]);
        }
}
END_TEST

static bool is_always_l1(uint32_t reason)
{
        for (size_t i = 0; i < ARRAY_LEN(always_l1); i++)
                if (always_l1[i] == reason)
                        return true;
        return false;
}

START_TEST(owners_known_by_reason_alone)
{
        for (uint32_t reason = 0; reason < EXIT_REASON_COUNT; reason++)
                ck_assert_msg(!route_always_l1(reason) || is_always_l1(reason), "%u", reason);
        ck_assert(route_always_l1(EXIT_CPUID) && route_always_l1(EXIT_VMCALL) && route_always_l1(EXIT_VMRESUME));
        ck_assert(!route_always_l1(EXIT_CPUID | EXIT_REASON_ENTRY_FAIL));
        ck_assert(!route_always_l1(EXIT_REASON_COUNT) && !route_always_l1(0xffff));
}
END_TEST

/* Rows that have tests of their own below. */
static const uint32_t special[] = { EXIT_EXCEPTION_NMI, EXIT_CR_ACCESS, EXIT_IO,     EXIT_RDMSR,
                                    EXIT_WRMSR,         EXIT_VMREAD,    EXIT_VMWRITE };

START_TEST(every_reason_is_tested)
{
        bool tested[EXIT_REASON_COUNT] = { false };
        for (size_t i = 0; i < ARRAY_LEN(by_control); i++)
                tested[by_control[i].reason] = true;
        for (size_t i = 0; i < ARRAY_LEN(always_l1); i++)
                if (always_l1[i] < EXIT_REASON_COUNT)
                        tested[always_l1[i]] = true;
        for (size_t i = 0; i < ARRAY_LEN(always_l0); i++)
                tested[always_l0[i]] = true;
        for (size_t i = 0; i < ARRAY_LEN(special); i++)
                tested[special[i]] = true;
        for (unsigned i = 0; i < EXIT_REASON_COUNT; i++)
                ck_assert_msg(tested[i], "exit reason %u", i);
}
END_TEST

static struct exit_info exception(enum intr_type type, unsigned vector, uint32_t error)
{
        return (struct exit_info){ .reason = EXIT_EXCEPTION_NMI,
                                   .error_code = error,
                                   .intr_info = (uint32_t)(INTR_VALID | PUT(0, INTR_TYPE, type) | vector) };
}

START_TEST(exceptions)
{
        for (unsigned vector = 0; vector < 32; vector++) {
                if (vector == VEC_PF)
                        continue;
                const struct vmcs12 listed = { .exception_bitmap = CTL(vector) },
                                    others = { .exception_bitmap = ~CTL(vector) };
                ck_assert(owner(&listed, exception(INTR_TYPE_HW_EXCEPTION, vector, 0)) == OWNER_L1);
                ck_assert(owner(&others, exception(INTR_TYPE_HW_EXCEPTION, vector, 0)) == OWNER_L0);
        }
        const struct vmcs12 bp = { .exception_bitmap = CTL(VEC_BP) };
        ck_assert(owner(&bp, exception(INTR_TYPE_SW_EXCEPTION, VEC_BP, 0)) == OWNER_L1);
        const struct vmcs12 all = { .exception_bitmap = UINT32_MAX, .pin_ctls = PIN_NMI };
        ck_assert(owner(&all, exception(INTR_TYPE_NMI, VEC_NMI, 0)) == OWNER_L0);
}
END_TEST

START_TEST(page_faults)
{
        const struct {
                uint32_t bitmap, mask, match, error;
                enum exit_owner owner;
        } rows[] = {
                { CTL(VEC_PF), 0, 0, 7, OWNER_L1 }, /* all */
                { 0, 0, 0, 7, OWNER_L0 },           /* none */
                { CTL(VEC_PF), 0, 1, 7, OWNER_L0 }, /* none, the other way */
                { 0, 0, 1, 7, OWNER_L1 },           /* all, the other way */
                { CTL(VEC_PF), 3, 1, 5, OWNER_L1 }, /* equal under the mask */
                { CTL(VEC_PF), 3, 1, 7, OWNER_L0 }, /* unequal under the mask */
                { 0, 3, 1, 7, OWNER_L1 },           { 0, 3, 1, 5, OWNER_L0 },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct vmcs12 v = { .exception_bitmap = rows[i].bitmap,
                                          .pf_error_mask = rows[i].mask,
                                          .pf_error_match = rows[i].match };
                ck_assert_msg(owner(&v, exception(INTR_TYPE_HW_EXCEPTION, VEC_PF, rows[i].error)) ==
                                      rows[i].owner,
                              "row %zu", i);
        }
}
END_TEST

static struct exit_info io(unsigned port, unsigned bytes)
{
        return (struct exit_info){ .reason = EXIT_IO,
                                   .qualification = PUT(0, IOQ_PORT, port) | PUT(0, IOQ_SIZE, bytes - 1) };
}

START_TEST(io_ports)
{
        const struct vmcs12 none = { .proc_ctls = 0 }, all = { .proc_ctls = PROC_UNCOND_IO };
        ck_assert(owner(&none, io(0x60, 1)) == OWNER_L0);
        ck_assert(owner(&all, io(0x60, 1)) == OWNER_L1);

        /* with bitmaps, unconditional exiting is ignored */
        const struct vmcs12 v = { .proc_ctls = PROC_IO_BITMAPS | PROC_UNCOND_IO,
                                  .io_bitmap_a = BITMAP_A,
                                  .io_bitmap_b = BITMAP_B };
        memset(ram, 0, sizeof(ram));
        ck_assert(owner(&v, io(0x60, 1)) == OWNER_L0);
        set_bit(BITMAP_A, 0x61);
        ck_assert(owner(&v, io(0x60, 1)) == OWNER_L0);
        ck_assert(owner(&v, io(0x60, 2)) == OWNER_L1);
        ck_assert(owner(&v, io(0x61, 1)) == OWNER_L1);
        ck_assert(owner(&v, io(0x5e, 4)) == OWNER_L1);
        ck_assert(owner(&v, io(0x5d, 4)) == OWNER_L0);
        ck_assert(owner(&v, io(0x62, 4)) == OWNER_L0);
        ck_assert(owner(&v, io(0x8061, 1)) == OWNER_L0);
        /* from the last port of A to the first of B */
        ck_assert(owner(&v, io(0x7fff, 2)) == OWNER_L0);
        set_bit(BITMAP_B, 0);
        ck_assert(owner(&v, io(0x7fff, 1)) == OWNER_L0);
        ck_assert(owner(&v, io(0x7fff, 2)) == OWNER_L1);
        ck_assert(owner(&v, io(0x8000, 1)) == OWNER_L1);
        /* the last port, and beyond it */
        ck_assert(owner(&v, io(0xffff, 1)) == OWNER_L0);
        ck_assert(owner(&v, io(0xffff, 2)) == OWNER_L1);
        ck_assert(owner(&v, io(0xfffe, 2)) == OWNER_L0);
        ck_assert(owner(&v, io(0xfffd, 4)) == OWNER_L1);
        ck_assert(owner(&v, io(0xfffc, 4)) == OWNER_L0);
        set_bit(BITMAP_B, 0x7fff);
        ck_assert(owner(&v, io(0xffff, 1)) == OWNER_L1);

        const struct vmcs12 lost = { .proc_ctls = PROC_IO_BITMAPS,
                                     .io_bitmap_a = NOT_RAM,
                                     .io_bitmap_b = BITMAP_B };
        ck_assert(owner(&lost, io(0x60, 1)) == OWNER_L1);
        ck_assert(owner(&lost, io(0x8060, 1)) == OWNER_L0);
}
END_TEST

START_TEST(msrs)
{
        static const struct {
                uint32_t msr;
                unsigned bit; /* in the bitmap for reads; writes are 2 KiB up */
        } rows[] = { { 0, 0 },
                     { 0x10, 0x10 },
                     { 0x1fff, 0x1fff },
                     { 0xc0000000, 0x2000 },
                     { 0xc0000080, 0x2080 },
                     { 0xc0001fff, 0x3fff } };
        const struct vmcs12 none = { .msr_bitmap = BITMAP },
                            v = { .proc_ctls = PROC_MSR_BITMAPS, .msr_bitmap = BITMAP };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct exit_info rd = { .reason = EXIT_RDMSR, .rcx = rows[i].msr };
                const struct exit_info wr = { .reason = EXIT_WRMSR, .rcx = rows[i].msr };
                const struct exit_info junk = { .reason = EXIT_RDMSR, .rcx = rows[i].msr | BIT(40) };
                memset(ram, 0, sizeof(ram));
                ck_assert(owner(&none, rd) == OWNER_L1 && owner(&none, wr) == OWNER_L1);
                ck_assert(owner(&v, rd) == OWNER_L0 && owner(&v, wr) == OWNER_L0 &&
                          owner(&v, junk) == OWNER_L0);
                set_bit(BITMAP, rows[i].bit);
                ck_assert(owner(&v, rd) == OWNER_L1 && owner(&v, wr) == OWNER_L0 &&
                          owner(&v, junk) == OWNER_L1);
                memset(ram, 0, sizeof(ram));
                set_bit(BITMAP + 2048, rows[i].bit);
                ck_assert(owner(&v, rd) == OWNER_L0 && owner(&v, wr) == OWNER_L1);
        }
        memset(ram, 0, sizeof(ram));
        static const uint32_t outside[] = { 0x2000, 0xbfffffff, 0xc0002000, 0xffffffff, 0x40000000 };
        for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
                ck_assert(owner(&v, (struct exit_info){ .reason = EXIT_RDMSR, .rcx = outside[i] }) ==
                          OWNER_L1);
                ck_assert(owner(&v, (struct exit_info){ .reason = EXIT_WRMSR, .rcx = outside[i] }) ==
                          OWNER_L1);
        }
        const struct vmcs12 lost = { .proc_ctls = PROC_MSR_BITMAPS, .msr_bitmap = NOT_RAM };
        ck_assert(owner(&lost, (struct exit_info){ .reason = EXIT_RDMSR, .rcx = 0x10 }) == OWNER_L1);
}
END_TEST

static struct exit_info cr(enum cr_access type, unsigned number, uint64_t value)
{
        return (struct exit_info){ .reason = EXIT_CR_ACCESS,
                                   .operand = value,
                                   .qualification = PUT(0, CRQ_TYPE, type) | number |
                                                    PUT(0, CRQ_LMSW_SOURCE, type == CR_LMSW ? value : 0) };
}

START_TEST(cr0_and_cr4)
{
        const struct vmcs12 v = {
                .cr0_mask = CR0_PG | CR0_TS, .cr0_shadow = CR0_PG, .cr4_mask = CR4_PAE, .cr4_shadow = 0
        };
        ck_assert(owner(&v, cr(CR_MOV_TO, 0, CR0_PG)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 0, CR0_PG | CR0_WP)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 0, 0)) == OWNER_L1);
        ck_assert(owner(&v, cr(CR_MOV_TO, 0, CR0_PG | CR0_TS)) == OWNER_L1);
        ck_assert(owner(&v, cr(CR_MOV_TO, 4, 0)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 4, CR4_PSE)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 4, CR4_PAE)) == OWNER_L1);
}
END_TEST

START_TEST(clts_and_lmsw)
{
        const struct vmcs12 set = { .cr0_mask = CR0_TS, .cr0_shadow = CR0_TS },
                            clear = { .cr0_mask = CR0_TS };
        const struct vmcs12 open = { .cr0_shadow = CR0_TS };
        ck_assert(owner(&set, cr(CR_CLTS, 0, 0)) == OWNER_L1);
        ck_assert(owner(&clear, cr(CR_CLTS, 0, 0)) == OWNER_L0);
        ck_assert(owner(&open, cr(CR_CLTS, 0, 0)) == OWNER_L0);

        const struct vmcs12 pe = { .cr0_mask = CR0_PE | CR0_MP | CR0_EM | CR0_TS,
                                   .cr0_shadow = CR0_PE | CR0_MP };
        ck_assert(owner(&pe, cr(CR_LMSW, 0, CR0_PE | CR0_MP)) == OWNER_L0);
        ck_assert(owner(&pe, cr(CR_LMSW, 0, CR0_MP)) == OWNER_L0); /* cannot clear PE */
        ck_assert(owner(&pe, cr(CR_LMSW, 0, CR0_PE)) == OWNER_L1);
        ck_assert(owner(&pe, cr(CR_LMSW, 0, CR0_PE | CR0_MP | CR0_EM)) == OWNER_L1);
        ck_assert(owner(&pe, cr(CR_LMSW, 0, CR0_PE | CR0_MP | CR0_TS)) == OWNER_L1);
        ck_assert(owner(&pe, cr(CR_LMSW, 0, CR0_PE | CR0_MP | CR0_ET)) ==
                  OWNER_L0); /* beyond bit 3: not written */
        const struct vmcs12 real = { .cr0_mask = CR0_PE };
        ck_assert(owner(&real, cr(CR_LMSW, 0, CR0_PE)) == OWNER_L1);
        ck_assert(owner(&real, cr(CR_LMSW, 0, CR0_MP)) == OWNER_L0);
}
END_TEST

START_TEST(cr3_and_cr8)
{
        const struct vmcs12 none = { .proc_ctls = 0 };
        struct vmcs12 v = { .proc_ctls = PROC_CR3_LOAD | PROC_CR8_STORE,
                            .cr3_target_count = 2,
                            .cr3_target0 = 0x1000,
                            .cr3_target1 = 0x2000,
                            .cr3_target2 = 0x3000,
                            .cr3_target3 = 0x4000 };
        ck_assert(owner(&none, cr(CR_MOV_TO, 3, 0x5000)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 3, 0x5000)) == OWNER_L1);
        ck_assert(owner(&v, cr(CR_MOV_TO, 3, 0x1000)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 3, 0x2000)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 3, 0x3000)) == OWNER_L1);
        v.cr3_target_count = UINT32_MAX;
        ck_assert(owner(&v, cr(CR_MOV_TO, 3, 0x4000)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_FROM, 3, 0)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_FROM, 8, 0)) == OWNER_L1);
        ck_assert(owner(&v, cr(CR_MOV_TO, 8, 0)) == OWNER_L0);
        v.proc_ctls = PROC_CR3_STORE | PROC_CR8_LOAD;
        ck_assert(owner(&v, cr(CR_MOV_FROM, 3, 0)) == OWNER_L1);
        ck_assert(owner(&v, cr(CR_MOV_FROM, 8, 0)) == OWNER_L0);
        ck_assert(owner(&v, cr(CR_MOV_TO, 8, 0)) == OWNER_L1);
        /* no such access exists; not ours to explain */
        ck_assert(owner(&v, cr(CR_MOV_TO, 2, 0)) == OWNER_L1);
        ck_assert(owner(&v, cr(CR_MOV_FROM, 0, 0)) == OWNER_L1);
}
END_TEST

START_TEST(shadowed_vmread_and_vmwrite)
{
        const struct vmcs12 none = { .vmread_bitmap = BITMAP, .vmwrite_bitmap = BITMAP_A };
        const struct vmcs12 v = { .proc_ctls = PROC_SECONDARY,
                                  .proc2_ctls = PROC2_SHADOW,
                                  .vmread_bitmap = BITMAP,
                                  .vmwrite_bitmap = BITMAP_A };
        struct exit_info rd = { .reason = EXIT_VMREAD, .operand = F_guest_rip };
        struct exit_info wr = { .reason = EXIT_VMWRITE, .operand = F_guest_rip };
        memset(ram, 0, sizeof(ram));
        ck_assert(owner(&none, rd) == OWNER_L1 && owner(&none, wr) == OWNER_L1);
        ck_assert(owner(&v, rd) == OWNER_L0 && owner(&v, wr) == OWNER_L0);
        set_bit(BITMAP, F_guest_rip);
        ck_assert(owner(&v, rd) == OWNER_L1 && owner(&v, wr) == OWNER_L0);
        set_bit(BITMAP_A, F_guest_rip);
        ck_assert(owner(&v, wr) == OWNER_L1);
        memset(ram, 0, sizeof(ram));
        rd.operand = 0x7fff;
        ck_assert(owner(&v, rd) == OWNER_L0);
        rd.operand = 0x8000;
        wr.operand = BIT(40);
        ck_assert(owner(&v, rd) == OWNER_L1 && owner(&v, wr) == OWNER_L1);
}
END_TEST

START_TEST(event_predicates)
{
        const struct vmcs12 none = { .pin_ctls = 0 };
        const struct vmcs12 all = { .pin_ctls = PIN_EXT_INTR | PIN_NMI | PIN_PREEMPTION_TIMER };
        ck_assert(route_l1_wants_ext_intr(&all) && route_l1_wants_nmi(&all) &&
                  route_l1_wants_preemption_timer(&all));
        ck_assert(!route_l1_wants_ext_intr(&none) && !route_l1_wants_nmi(&none));
        ck_assert(!route_l1_wants_preemption_timer(&none));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("route");
        TCase *t = tcase_create("route");
        tcase_add_test(t, one_control);
        tcase_add_test(t, fixed_owners);
        tcase_add_test(t, owners_known_by_reason_alone);
        tcase_add_test(t, every_reason_is_tested);
        tcase_add_test(t, exceptions);
        tcase_add_test(t, page_faults);
        tcase_add_test(t, io_ports);
        tcase_add_test(t, msrs);
        tcase_add_test(t, cr0_and_cr4);
        tcase_add_test(t, clts_and_lmsw);
        tcase_add_test(t, cr3_and_cr8);
        tcase_add_test(t, shadowed_vmread_and_vmwrite);
        tcase_add_test(t, event_predicates);
        suite_add_tcase(s, t);
        return suite_run(s);
}
