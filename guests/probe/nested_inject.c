/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: events of every type into guests of every mode. SDM 3C "Event Injection". The guest has tables of its own,
 * whose gates all lead to VMCALL: what the delivery has pushed lies on its stack then. All memory that the delivery
 * touches has to be found anew by whoever is above, so deliveries are interrupted many times on the way. */
#include "base/libc.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"
#include "traps.h"

#define PAGE_ALIGNED   __attribute__((aligned(4096)))
#define VECTOR         0x99u
#define ERROR_CODE     0x1230u
#define SOFT_LENGTH    2u
#define EVENTS         8u
#define GDT_CODE64     0x08u
#define GDT_DATA       0x10u
#define GDT_CODE32     0x18u
#define AR_CODE32      (11u | AR_S | AR_P | AR_DB | AR_G)
#define AR_DATA16      (3u | AR_S | AR_P)
#define AR_V8086       (3u | AR_S | AR_P | 3u << 5)
#define AR_TSS32       (11u | AR_P)
#define GATE_INTR      0x8eull /* present, interrupt gate */
#define GATE_DPL3      0x60ull
#define LOW_CODE       0x5000u /* below 1 MiB, for guests that reach no further: free by now */
#define LOW_STACK      0x5f00u
#define LOW_RIP        0x100u
#define NO_MSR         0x1fffu
#define RFLAGS_IOPL3   (3u << 12)
#define REAL_LIMIT     0xffffu
#define TSS_LIMIT      0x67u

/* A delivery's tables, one page each: IDT (of all three forms), GDT, TSS, stack. */
static uint64_t idt64[512] PAGE_ALIGNED, idt32[512] PAGE_ALIGNED, gdt[512] PAGE_ALIGNED;
static uint32_t ivt[1024] PAGE_ALIGNED, tss[1024] PAGE_ALIGNED, stack[1024] PAGE_ALIGNED;
#define STACK_TOP ((uint64_t)(stack + 1000))

static void build_tables(void)
{
        const uint64_t to = (uint64_t)l2_vmcall;
        const uint64_t dpl = GATE_DPL3;
        for (unsigned i = 0; i < 256; i++) {
                const uint64_t low = (to & 0xffff) | (GATE_INTR | dpl) << 40 | (to >> 16 & 0xffff) << 48;
                idt64[2 * i] = low | GDT_CODE64 << 16;
                idt64[2 * i + 1] = to >> 32;
                idt32[i] = low | GDT_CODE32 << 16;
                ivt[i] = LOW_CODE >> 4 << 16;
        }
        gdt[GDT_CODE64 / 8] = 0x00af9b000000ffffull;
        gdt[GDT_DATA / 8] = 0x00cf93000000ffffull;
        gdt[GDT_CODE32 / 8] = 0x00cf9b000000ffffull;
        tss[1] = (uint32_t)STACK_TOP; /* ESP0 */
        tss[2] = GDT_DATA;            /* SS0 */
        memcpy((void *)(uintptr_t)LOW_CODE, l2_vmcall, 3);
        memcpy((void *)(uintptr_t)(LOW_CODE + LOW_RIP), l2_rdmsr, 5);
}

enum mode { MODE_64, MODE_32, MODE_REAL, MODE_V8086, NR_MODES };

static const char *const mode_name[NR_MODES] = { "64-bit mode", "protected mode", "real mode", "virtual-8086 mode" };

static void set_segments(struct l2 *l, uint32_t limit, uint32_t ar)
{
        for (unsigned i = 0; i < 12; i += 2) {
                l2_set(l, F_guest_es_sel + i, LOW_CODE >> 4);
                l2_set(l, F_guest_es_base + i, LOW_CODE);
                l2_set(l, F_guest_es_limit + i, limit);
                l2_set(l, F_guest_es_ar + i, ar);
        }
}

static void legacy(struct l2 *l, uint64_t cr0)
{
        l2_set(l, F_entry_ctls, vmread(F_entry_ctls) & ~(uint64_t)ENTRY_CTL_GUEST_64);
        l2_set(l, F_guest_efer, 0);
        l2_set(l, F_guest_cr0, cr0 | CR0_NE | CR0_ET);
        l2_set(l, F_guest_cr4, vmread(F_guest_cr4) & ~CR4_PAE);
        l2_set(l, F_guest_cs_ar, AR_CODE32);
        l2_set(l, F_guest_cs_sel, GDT_CODE32);
        l2_set(l, F_guest_idtr_base, (uint64_t)idt32);
        l2_set(l, F_guest_idtr_limit, 256 * 8 - 1);
}

static void set_mode(struct l2 *l, enum mode m)
{
        l2_reset(l);
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        l2_set(l, F_guest_idtr_base, (uint64_t)idt64);
        l2_set(l, F_guest_idtr_limit, 256 * 16 - 1);
        l2_set(l, F_guest_gdtr_base, (uint64_t)gdt);
        l2_set(l, F_guest_gdtr_limit, 0xff);
        l2_set(l, F_guest_rsp, STACK_TOP);
        l2_set(l, F_guest_cs_sel, GDT_CODE64);
        l2_set(l, F_guest_ss_sel, GDT_DATA);
        l2_set(l, F_guest_rip, (uint64_t)l2_nops);
        if (m == MODE_64)
                return;
        legacy(l, m == MODE_REAL ? 0 : CR0_PE);
        if (m == MODE_32)
                return;
        set_segments(l, REAL_LIMIT, m == MODE_REAL ? AR_DATA16 : AR_V8086);
        l2_set(l, F_guest_rsp, LOW_STACK - LOW_CODE);
        l2_set(l, F_guest_rip, LOW_RIP);
        if (m == MODE_REAL) {
                l2_set(l, F_guest_idtr_base, (uint64_t)ivt);
                l2_set(l, F_guest_idtr_limit, 256 * 4 - 1);
                return;
        }
        l2_set(l, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF | RFLAGS_VM | RFLAGS_IOPL3);
        l2_set(l, F_guest_tr_base, (uint64_t)tss);
        l2_set(l, F_guest_tr_limit, TSS_LIMIT);
        l2_set(l, F_guest_tr_ar, AR_TSS32);
}

static const struct {
        const char *what;
        enum intr_type type;
        unsigned vector;
        bool error; /* where there is protection */
        unsigned length;
} events[EVENTS] = {
        { "an external interrupt", INTR_TYPE_EXT, VECTOR, false, 0 },
        { "an NMI", INTR_TYPE_NMI, VEC_NMI, false, 0 },
        { "#GP", INTR_TYPE_HW_EXCEPTION, VEC_GP, true, 0 },
        { "#UD", INTR_TYPE_HW_EXCEPTION, VEC_UD, false, 0 },
        { "a software interrupt", INTR_TYPE_SW_INTR, VECTOR, false, SOFT_LENGTH },
        { "INT1", INTR_TYPE_PRIV_SW_EXCEPTION, VEC_DB, false, 1 },
        { "INT3", INTR_TYPE_SW_EXCEPTION, VEC_BP, false, 1 },
        { "INT n of length 0", INTR_TYPE_SW_INTR, VECTOR, false, 0 },
};

static bool has_error(enum mode m, unsigned e)
{
        return events[e].error && m != MODE_REAL;
}

static uint32_t info(enum mode m, unsigned e)
{
        return INTR_VALID | (uint32_t)events[e].type << 8 | events[e].vector | (has_error(m, e) ? INTR_ERROR_VALID : 0);
}

/* The n-th thing that was pushed, from the top of the stack; what is pushed has the width of the mode. */
static uint64_t pushed(enum mode m, unsigned n)
{
        const uint64_t sp = vmread(F_guest_rsp);
        switch (m) {
        case MODE_64:
                return *(const volatile uint64_t *)(sp + 8ull * n);
        case MODE_REAL:
                return *(const volatile uint16_t *)(LOW_CODE + sp + 2ull * n);
        default:
                return *(const volatile uint32_t *)(sp + 4ull * n);
        }
}

static bool offered(const struct l2 *l, unsigned e)
{
        return events[e].type != INTR_TYPE_SW_INTR || events[e].length || (l->caps.misc & MISC_INJECT_ILEN0);
}

static void inject(struct l2 *l, enum mode m, unsigned e)
{
        l2_set(l, F_entry_intr_info, info(m, e));
        l2_set(l, F_entry_error_code, ERROR_CODE);
        l2_set(l, F_entry_insn_len, events[e].length);
        BUG_UNLESS(hw_invept(INVEPT_ALL, 0) == HW_OK);
}

static void deliver(struct l2 *l, enum mode m, unsigned e)
{
        set_mode(l, m);
        const uint64_t rip = vmread(F_guest_rip), flags = vmread(F_guest_rflags), cs = vmread(F_guest_cs_sel);
        inject(l, m, e);
        l2_resume(l);
        if (!l2_expect(l, EXIT_VMCALL, 0, events[e].what))
                return;
        const unsigned error = has_error(m, e) ? 1 : 0;
        const uint64_t want = m == MODE_REAL ? flags & 0xffff : flags;
        check(l->p,
              (!error || pushed(m, 0) == ERROR_CODE) && pushed(m, error) == rip + events[e].length &&
                      (pushed(m, error + 1) & 0xffff) == cs && (pushed(m, error + 2) & ~BIT(16)) == want,
              "into %s: what was pushed", mode_name[m]);
        check(l->p, !(vmread(F_guest_rflags) & RFLAGS_IF) && vmread(F_guest_interruptibility) == (events[e].type == INTR_TYPE_NMI ? INTRBLK_NMI : 0u),
              "into %s: flags and blocking", mode_name[m]);
        nmi_unblock();
}

/* SDM 3A "Exception and Interrupt Handling in Real-Address Mode": without an error code, whoever raises it. */
static void fault_in_real_mode(struct l2 *l)
{
        set_mode(l, MODE_REAL);
        l->gprs.r[GPR_RCX] = NO_MSR;
        l2_resume(l);
        l2_expect(l, EXIT_VMCALL, 0, "#GP of RDMSR in real mode");
        check(l->p, pushed(MODE_REAL, 0) == LOW_RIP && pushed(MODE_REAL, 1) == LOW_CODE >> 4, "it pushes no error code");
}

/* The guest's stack is not there: the exit tells of the event, and the next entry delivers it. */
static void interrupted(struct l2 *l, unsigned e)
{
        set_mode(l, MODE_64);
        l2_set(l, F_guest_rsp, WINDOW_NONE + PAGE_SIZE);
        inject(l, MODE_64, e);
        l2_resume(l);
        const uint32_t *const told = &l->exit.idt_info;
        check(l->p,
              l->exit.reason == EXIT_EPT_VIOLATION && *told == info(MODE_64, e) &&
                      (!events[e].error || vmread(F_idt_vec_error) == ERROR_CODE) &&
                      (!events[e].length || l->exit.insn_len == events[e].length),
              "%s, interrupted: information 0x%x", events[e].what, *told);
        l2_set(l, F_guest_rsp, STACK_TOP);
        l2_set(l, F_entry_intr_info, *told);
        l2_set(l, F_entry_error_code, vmread(F_idt_vec_error));
        l2_set(l, F_entry_insn_len, events[e].length);
        if (events[e].type == INTR_TYPE_NMI)
                l2_set(l, F_guest_interruptibility, 0);
        nmi_unblock();
        l2_resume(l);
        l2_expect(l, EXIT_VMCALL, 0, "and delivered again");
}

/* SDM 3A "Interrupt 8 - Double Fault Exception": the second exception meets a handler that is not there. */
static void double_faults(struct l2 *l)
{
        set_mode(l, MODE_64);
        idt64[2 * VEC_GP] &= ~(0x80ull << 40);
        l2_set(l, F_entry_intr_info, info(MODE_64, 2));
        l2_resume(l);
        l2_expect(l, EXIT_VMCALL, 0, "#GP whose gate is not present");
        check(l->p, pushed(MODE_64, 0) == 0 && pushed(MODE_64, 1) == (uint64_t)l2_nops, "the guest gets #DF");
        set_mode(l, MODE_64);
        l2_set(l, F_exception_bitmap, BIT(VEC_DF));
        l2_set(l, F_entry_intr_info, info(MODE_64, 2));
        l2_resume(l);
        l2_expect(l, EXIT_EXCEPTION_NMI, 0, "#DF by the exception bitmap");
        check(l->p, !(l->exit.idt_info & INTR_VALID) && GET(l->exit.intr_info, INTR_VECTOR) == VEC_DF,
              "it comes of no delivery: 0x%x", l->exit.idt_info);
        set_mode(l, MODE_64);
        l2_set(l, F_exception_bitmap, BIT(VEC_NP));
        l2_set(l, F_entry_intr_info, info(MODE_64, 2));
        l2_resume(l);
        check(l->p,
              l->exit.reason == EXIT_EXCEPTION_NMI && GET(l->exit.intr_info, INTR_VECTOR) == VEC_NP &&
                      GET(l->exit.idt_info, INTR_VECTOR) == VEC_GP,
              "#NP by the exception bitmap comes of the delivery of #GP");
        set_mode(l, MODE_64);
        idt64[2 * VEC_DF] &= ~(0x80ull << 40);
        l2_set(l, F_entry_intr_info, info(MODE_64, 2));
        l2_resume(l);
        l2_expect(l, EXIT_TRIPLE_FAULT, 0, "and a triple fault if #DF has no handler");
        build_tables();
}

void nested_injections(struct l2 *l)
{
        build_tables();
        for (enum mode m = MODE_64; m < NR_MODES; m++)
                for (unsigned e = 0; e < EVENTS; e++)
                        if (offered(l, e))
                                deliver(l, m, e);
        fault_in_real_mode(l);
        for (unsigned e = 0; e < EVENTS; e++)
                if (offered(l, e))
                        interrupted(l, e);
        double_faults(l);
        l2_reset(l);
}
