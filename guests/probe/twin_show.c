/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of twin.h. What the SDM leaves undefined at an exit is not shown. */
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested/checks.h"
#include "twin.h"

#define RAM_BYTES   0x6000000ull /* less than the machine has */
#define FRAME_WORDS 6
#define NAME_SKIP   6 /* "guest_" */

static void add(struct twin_text *x, const char *fmt, va_list ap)
{
        char piece[96];
        const int n = vsnprintf(piece, sizeof(piece), fmt, ap);
        const unsigned len = n < 0 ? 0 : (unsigned)n < sizeof(piece) ? (unsigned)n : sizeof(piece) - 1;
        if (!x->lost && x->used + len < sizeof(x->text)) {
                memcpy(x->text + x->used, piece, len + 1);
                x->used += len;
                return;
        }
        for (unsigned i = 0; i < len; i++)
                x->lost = (x->lost + 1) * 0x01000193u ^ (uint8_t)piece[i];
}

void twin_what(struct twin *t, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        add(&t->what, fmt, ap);
        va_end(ap);
}

void twin_see(struct twin *t, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        add(&t->seen, fmt, ap);
        va_end(ap);
}

void twin_see_status(struct twin *t, enum hw_status s)
{
        const uint32_t error = vmx_error(s);
        if (error == L2_INVALID)
                twin_see(t, " VMfailInvalid");
        else if (error)
                twin_see(t, " VMfail %u", error);
        else
                twin_see(t, " ok");
}

/* --- the first check that the VMCS violates --- */

const char *twin_violated(const struct twin *t)
{
        const struct guest_mem mem = {.ram = NULL, .low_bytes = RAM_BYTES};
        const struct check_env e = {
                .caps = &t->l2.caps, .mem = &mem, .current = L1GPA((uint64_t)l2_vmcs_page[0]), .lma = true};
        struct check_fail f = check_controls(&t->image, &e);
        if (f.id == CHK_NONE)
                f = check_host(&t->image, &e);
        if (f.id == CHK_NONE)
                f = check_guest(&t->image, &e);
        return f.id == CHK_NONE ? NULL : check_name(f.id);
}

/* --- exit information --- */

/* SDM 3C "Information for VM Exits Due to Instruction Execution": reasons with an instruction length. */
static bool has_length(uint32_t reason, uint32_t intr, uint32_t idt)
{
        static const uint64_t by_instruction = BIT(EXIT_TASK_SWITCH) | BITS(EXIT_WRMSR, EXIT_CPUID) |
                                               BIT(EXIT_MWAIT) | BIT(EXIT_MONITOR) | BIT(EXIT_PAUSE) |
                                               BIT(EXIT_GDTR_IDTR) | BIT(EXIT_LDTR_TR) | BIT(EXIT_INVEPT) |
                                               BIT(EXIT_RDTSCP) | BITS(EXIT_XSETBV, EXIT_INVVPID) |
                                               BITS(EXIT_RDSEED, EXIT_RDRAND) | BIT(EXIT_XSAVES);
        const uint64_t software =
                BIT(INTR_TYPE_SW_INTR) | BIT(INTR_TYPE_PRIV_SW_EXCEPTION) | BIT(INTR_TYPE_SW_EXCEPTION);
        if ((intr & INTR_VALID) && (software >> GET(intr, INTR_TYPE) & 1))
                return true;
        if ((idt & INTR_VALID) && (software >> GET(idt, INTR_TYPE) & 1))
                return true;
        return reason == EXIT_XRSTORS || (reason < 64 && (by_instruction >> reason & 1));
}

/* SDM 3C "VM-Exit Instruction-Information Field" */
static bool has_info(uint32_t reason, uint64_t qualification)
{
        static const uint64_t with = BIT(EXIT_VMCLEAR) | BIT(EXIT_VMPTRLD) | BIT(EXIT_VMPTRST) |
                                     BIT(EXIT_VMREAD) | BIT(EXIT_VMWRITE) | BIT(EXIT_VMXON) |
                                     BIT(EXIT_GDTR_IDTR) | BIT(EXIT_LDTR_TR) | BIT(EXIT_INVEPT) |
                                     BIT(EXIT_INVVPID) | BIT(EXIT_INVPCID) | BIT(EXIT_RDRAND) |
                                     BIT(EXIT_RDSEED) | BIT(EXIT_XSAVES);
        return (reason == EXIT_IO && (qualification & IOQ_STRING)) || reason == EXIT_XRSTORS ||
               (reason < 64 && (with >> reason & 1));
}

/* SDM 3C "Exit Qualification": instructions whose operand is a register leave it undefined. */
static bool has_qualification(uint32_t reason, uint32_t info)
{
        const bool may_be_register =
                reason == EXIT_VMREAD || reason == EXIT_VMWRITE || reason == EXIT_LDTR_TR;
        return !may_be_register || !(info & INSN_IS_REG);
}

static void show_addresses(struct twin *t, uint32_t reason, uint64_t qualification)
{
        const bool ept = reason == EXIT_EPT_VIOLATION || reason == EXIT_EPT_MISCONFIG;
        const bool linear = (reason == EXIT_EPT_VIOLATION && (qualification & EPTQ_LINEAR_VALID)) ||
                            (reason == EXIT_IO && (qualification & IOQ_STRING)) ||
                            (reason == EXIT_CR_ACCESS && GET(qualification, CRQ_TYPE) == CR_LMSW &&
                             (qualification & CRQ_LMSW_MEMORY));
        if (ept)
                twin_see(t, " gpa=0x%llx", (unsigned long long)vmread(F_guest_physical));
        if (linear)
                twin_see(t, " gla=0x%llx", (unsigned long long)vmread(F_guest_linear));
}

static void show_information(struct twin *t, uint32_t reason)
{
        const uint64_t qualification = vmread(F_exit_qualification);
        const uint32_t intr = (uint32_t)vmread(F_exit_intr_info), idt = (uint32_t)vmread(F_idt_vec_info);
        const uint32_t info = has_info(reason, qualification) ? (uint32_t)vmread(F_exit_insn_info) : 0;
        if (qualification && has_qualification(reason, info))
                twin_see(t, " q=0x%llx", (unsigned long long)qualification);
        if (has_length(reason, intr, idt))
                twin_see(t, " len=%u", (uint32_t)vmread(F_exit_insn_len));
        if (has_info(reason, qualification))
                twin_see(t, " info=0x%x", info);
        if (intr & INTR_VALID)
                twin_see(t, " intr=0x%x", intr);
        if ((intr & INTR_VALID) && (intr & INTR_ERROR_VALID))
                twin_see(t, ":0x%x", (uint32_t)vmread(F_exit_intr_error));
        if (idt & INTR_VALID)
                twin_see(t, " idt=0x%x", idt);
        if ((idt & INTR_VALID) && (idt & INTR_ERROR_VALID))
                twin_see(t, ":0x%x", (uint32_t)vmread(F_idt_vec_error));
        show_addresses(t, reason, qualification);
}

/* --- guest state --- */

/* Which segment a field belongs to, in the order ES CS SS DS FS GS LDTR TR, or -1. */
static int segment_of(uint32_t enc)
{
        static const struct {
                enum vmcs_field first, last;
        } rows[] = {
                {F_guest_es_base, F_guest_tr_base},
                {F_guest_es_limit, F_guest_tr_limit},
                {F_guest_es_ar, F_guest_tr_ar},
        };
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
                if (enc >= rows[i].first && enc <= rows[i].last)
                        return (int)(enc - rows[i].first) / 2;
        return -1;
}

/* SDM 3C "Saving Segment Registers and Descriptor-Table Registers": of an unusable segment only that it is.
 */
static bool undefined(const struct vmcs12 *v, uint32_t enc)
{
        const uint32_t ar[] = {v->guest_es_ar, v->guest_cs_ar, v->guest_ss_ar,   v->guest_ds_ar,
                               v->guest_fs_ar, v->guest_gs_ar, v->guest_ldtr_ar, v->guest_tr_ar};
        const int segment = segment_of(enc);
        const bool pae = (v->guest_cr0 & CR0_PG) && (v->guest_cr4 & CR4_PAE) && !(v->guest_efer & EFER_LMA);
        if (segment >= 0)
                return ar[segment] & AR_UNUSABLE;
        return enc >= F_guest_pdpte0 && enc <= F_guest_pdpte3 && !pae;
}

static void show_rip(struct twin *t, uint64_t before, uint64_t after)
{
        const int vector = twin_stub_vector(t, after);
        if (vector >= 0)
                twin_see(t, " handler=%d", vector);
        else if (after - before < 64)
                twin_see(t, " rip+%llu", (unsigned long long)(after - before));
        else
                twin_see(t, " rip=0x%llx", (unsigned long long)after);
}

/* What a delivered event left on the stack, as words of 64, 32 or 16 bits. */
static void show_frame(struct twin *t, uint64_t before, uint64_t after)
{
        const uint64_t base = t->at == BASE_REAL ? (uint64_t)twin_stack : 0;
        const uint64_t low = (uint64_t)twin_stack, end = low + TWIN_STACK_BYTES;
        const unsigned bytes = t->at == BASE_64 ? 8 : t->at == BASE_REAL ? 2 : 4;
        if (after >= before || base + after < low || base + before > end || before - after > 64)
                return;
        for (uint64_t at = after; at + bytes <= before; at += bytes) {
                uint64_t word = 0;
                memcpy(&word, (const void *)(base + at), bytes);
                twin_see(t, "%s%llx", at == after ? " frame=" : ",", (unsigned long long)word);
        }
}

static void show_guest(struct twin *t)
{
        uint64_t rsp = t->image.guest_rsp;
        for (unsigned i = 0; i < t->changed_count; i++) {
                const struct twin_change c = t->changed[i];
                const struct vmcs_field_info *f = &t->info[c.id];
                const uint64_t now = t->now[c.id];
                if (undefined(&t->image, f->enc) || f->enc == F_entry_intr_info)
                        continue;
                if (f->enc == F_guest_rsp)
                        rsp = c.old;
                if (f->enc == F_guest_rip)
                        show_rip(t, c.old, now);
                else if (f->enc == F_guest_preemption_timer)
                        twin_see(t, now ? " timer=?" : " timer=0");
                else
                        twin_see(t, " %s=0x%llx",
                                 vmcs_field_name(f->enc) + (f->type == TYPE_GUEST ? NAME_SKIP : 0),
                                 (unsigned long long)now);
        }
        show_frame(t, rsp, t->image.guest_rsp);
}

void twin_show_exit(struct twin *t)
{
        const uint32_t reason = (uint32_t)vmread(F_exit_reason);
        if (reason & EXIT_REASON_ENTRY_FAIL) {
                twin_see(t, " entry-fail %u q=0x%llx", reason & 0xffff,
                         (unsigned long long)vmread(F_exit_qualification));
        } else {
                twin_see(t, " exit %u", reason);
                show_information(t, reason);
                if (t->image.entry_intr_info & INTR_VALID)
                        twin_see(t, " injection kept");
        }
        show_guest(t);
}

/* What the exit loaded, or left; only where a case is about that: reading it costs exits. */
void twin_show_host(struct twin *t)
{
        const uint64_t efer = hw_rdmsr(MSR_EFER), pat = hw_rdmsr(MSR_PAT), cr0 = hw_read_cr0(),
                       cr4 = hw_read_cr4();
        uint64_t dr7;
        uint16_t tr;
        __asm__ volatile("movq %%db7, %0; str %1" : "=r"(dr7), "=r"(tr));
        twin_see(t, " host efer=%llx pat=%llx cr0=%llx cr4=%llx dr7=%llx tr=%x", (unsigned long long)efer,
                 (unsigned long long)pat, (unsigned long long)cr0, (unsigned long long)cr4,
                 (unsigned long long)dr7, tr);
}
