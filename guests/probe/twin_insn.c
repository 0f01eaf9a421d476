/* SPDX-License-Identifier: BSD-2-Clause */
/* Class insn: every instruction that can exit, with every form of operand, under controls that make it exit
 * or not, at both ends of privilege, alone or behind STI or MOV SS. SDM 3C "Instructions That Cause VM
 * Exits". */
#include "base/layout.h"
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "twin_classes.h"
#include "twin_encode.h"

#define PER_OP        34u
#define CODE_BYTES    256u
#define SCRATCH_BYTES 4096u
#define PATTERN       0xa5
#define DR6_NONE      0xffff0ff0ull
#define CR4_OSXSAVE   BIT(18)
#define AR_USER_CODE  0xa0fbu
#define AR_USER_DATA  0xc0f3u
#define PREFIX_FS     0x64
#define FS_BASE       0x12340ull

static uint8_t code[CODE_BYTES] __attribute__((aligned(4096))),
        scratch[SCRATCH_BYTES] __attribute__((aligned(4096)));

/* What an instruction needs besides its operand. */
enum {
        PLAIN,
        VOLATILE = 1 /* its result is not the same twice */,
        PORT = 2,
        STRING = 4,
        MSR = 8,
        VALUE = 16
};

static const struct insn {
        struct op op;
        unsigned needs;
        bool real; /* also in real mode */
} insns[] = {
#define NONE(name, needs, pre, n, ...)                                                                       \
        {                                                                                                    \
                {name, pre, {__VA_ARGS__}, n, FORM_NONE, 0}, needs, true                                     \
        }
#define OPER(name, needs, pre, form, ext, n, ...)                                                            \
        {                                                                                                    \
                {name, pre, {__VA_ARGS__}, n, form, ext}, needs, false                                       \
        }
        NONE("cpuid", PLAIN, 0, 2, 0x0f, 0xa2),
        NONE("hlt", PLAIN, 0, 1, 0xf4),
        NONE("rdtsc", VOLATILE, 0, 2, 0x0f, 0x31),
        NONE("rdtscp", VOLATILE, 0, 3, 0x0f, 0x01, 0xf9),
        NONE("rdpmc", VOLATILE, 0, 2, 0x0f, 0x33),
        NONE("pause", PLAIN, 0xf3, 1, 0x90),
        NONE("invd", PLAIN, 0, 2, 0x0f, 0x08),
        NONE("wbinvd", PLAIN, 0, 2, 0x0f, 0x09),
        NONE("rdmsr", VOLATILE | MSR, 0, 2, 0x0f, 0x32),
        NONE("wrmsr", MSR, 0, 2, 0x0f, 0x30),
        NONE("xsetbv", PLAIN, 0, 3, 0x0f, 0x01, 0xd1),
        NONE("vmlaunch", PLAIN, 0, 3, 0x0f, 0x01, 0xc2),
        NONE("vmresume", PLAIN, 0, 3, 0x0f, 0x01, 0xc3),
        NONE("vmxoff", PLAIN, 0, 3, 0x0f, 0x01, 0xc4),
        NONE("vmcall", PLAIN, 0, 3, 0x0f, 0x01, 0xc1),
        NONE("vmfunc", PLAIN, 0, 3, 0x0f, 0x01, 0xd4),
        NONE("monitor", PLAIN, 0, 3, 0x0f, 0x01, 0xc8),
        NONE("mwait", PLAIN, 0, 3, 0x0f, 0x01, 0xc9),
        NONE("getsec", PLAIN, 0, 2, 0x0f, 0x37),
        NONE("rsm", PLAIN, 0, 2, 0x0f, 0xaa),
        NONE("ud2", PLAIN, 0, 2, 0x0f, 0x0b),
        NONE("int3", PLAIN, 0, 1, 0xcc),
        NONE("int1", PLAIN, 0, 1, 0xf1),
        NONE("int 0x80", PLAIN, 0, 2, 0xcd, 0x80),
        NONE("clts", PLAIN, 0, 2, 0x0f, 0x06),
        NONE("inb dx", VOLATILE | PORT, 0, 1, 0xec),
        NONE("inw dx", VOLATILE | PORT, 0x66, 1, 0xed),
        NONE("inl dx", VOLATILE | PORT, 0, 1, 0xed),
        NONE("outb dx", PORT, 0, 1, 0xee),
        NONE("outl dx", PORT, 0, 1, 0xef),
        NONE("outw dx", PORT, 0x66, 1, 0xef),
        OPER("inb imm", VOLATILE, 0, FORM_IMM8, 0, 1, 0xe4),
        OPER("inl imm", VOLATILE, 0, FORM_IMM8, 0, 1, 0xe5),
        OPER("outb imm", PLAIN, 0, FORM_IMM8, 0, 1, 0xe6),
        OPER("insb", VOLATILE | STRING, 0, FORM_NONE, 0, 1, 0x6c),
        OPER("rep insb", VOLATILE | STRING, 0xf3, FORM_NONE, 0, 1, 0x6c),
        OPER("insl", VOLATILE | STRING, 0, FORM_NONE, 0, 1, 0x6d),
        OPER("rep insw", VOLATILE | STRING, 0xf3, FORM_NONE, 0, 2, 0x66, 0x6d),
        OPER("outsb", STRING, 0, FORM_NONE, 0, 1, 0x6e),
        OPER("rep outsb", STRING, 0xf3, FORM_NONE, 0, 1, 0x6e),
        OPER("rep outsl", STRING, 0xf3, FORM_NONE, 0, 1, 0x6f),
        OPER("invlpg", PLAIN, 0, FORM_MEM, 7, 2, 0x0f, 0x01),
        OPER("sgdt", PLAIN, 0, FORM_MEM, 0, 2, 0x0f, 0x01),
        OPER("sidt", PLAIN, 0, FORM_MEM, 1, 2, 0x0f, 0x01),
        OPER("lgdt", PLAIN, 0, FORM_MEM, 2, 2, 0x0f, 0x01),
        OPER("lidt", PLAIN, 0, FORM_MEM, 3, 2, 0x0f, 0x01),
        OPER("smsw", PLAIN, 0, FORM_RM, 4, 2, 0x0f, 0x01),
        OPER("lmsw", VALUE, 0, FORM_RM, 6, 2, 0x0f, 0x01),
        OPER("sldt", PLAIN, 0, FORM_RM, 0, 2, 0x0f, 0x00),
        OPER("str", PLAIN, 0, FORM_RM, 1, 2, 0x0f, 0x00),
        OPER("lldt", VALUE, 0, FORM_RM, 2, 2, 0x0f, 0x00),
        OPER("ltr", VALUE, 0, FORM_RM, 3, 2, 0x0f, 0x00),
        OPER("vmclear", PLAIN, 0x66, FORM_MEM, 6, 2, 0x0f, 0xc7),
        OPER("vmptrld", PLAIN, 0, FORM_MEM, 6, 2, 0x0f, 0xc7),
        OPER("vmptrst", PLAIN, 0, FORM_MEM, 7, 2, 0x0f, 0xc7),
        OPER("vmxon", PLAIN, 0xf3, FORM_MEM, 6, 2, 0x0f, 0xc7),
        OPER("vmread", PLAIN, 0, FORM_RM_REG, 0, 2, 0x0f, 0x78),
        OPER("vmwrite", PLAIN, 0, FORM_RM_REG, 0, 2, 0x0f, 0x79),
        OPER("invept", PLAIN, 0x66, FORM_MEM_REG, 0, 3, 0x0f, 0x38, 0x80),
        OPER("invvpid", PLAIN, 0x66, FORM_MEM_REG, 0, 3, 0x0f, 0x38, 0x81),
        OPER("invpcid", PLAIN, 0x66, FORM_MEM_REG, 0, 3, 0x0f, 0x38, 0x82),
        OPER("rdrandl", VOLATILE, 0, FORM_REG, 6, 2, 0x0f, 0xc7),
        OPER("rdrandw", VOLATILE, 0x66, FORM_REG, 6, 2, 0x0f, 0xc7),
        OPER("rdseedl", VOLATILE, 0, FORM_REG, 7, 2, 0x0f, 0xc7),
        OPER("mov from cr0", PLAIN, 0, FORM_CR, 0, 2, 0x0f, 0x20),
        OPER("mov from cr3", PLAIN, 0, FORM_CR, 3, 2, 0x0f, 0x20),
        OPER("mov from cr4", PLAIN, 0, FORM_CR, 4, 2, 0x0f, 0x20),
        OPER("mov from cr8", PLAIN, 0, FORM_CR, 8, 2, 0x0f, 0x20),
        OPER("mov from cr1", PLAIN, 0, FORM_CR, 1, 2, 0x0f, 0x20),
        OPER("mov to cr0", VALUE, 0, FORM_CR, 0, 2, 0x0f, 0x22),
        OPER("mov to cr3", VALUE, 0, FORM_CR, 3, 2, 0x0f, 0x22),
        OPER("mov to cr4", VALUE, 0, FORM_CR, 4, 2, 0x0f, 0x22),
        OPER("mov to cr8", VALUE, 0, FORM_CR, 8, 2, 0x0f, 0x22),
        OPER("mov from dr0", PLAIN, 0, FORM_CR, 0, 2, 0x0f, 0x21),
        OPER("mov from dr4", PLAIN, 0, FORM_CR, 4, 2, 0x0f, 0x21),
        OPER("mov from dr6", PLAIN, 0, FORM_CR, 6, 2, 0x0f, 0x21),
        OPER("mov from dr7", PLAIN, 0, FORM_CR, 7, 2, 0x0f, 0x21),
        OPER("mov to dr1", VALUE, 0, FORM_CR, 1, 2, 0x0f, 0x23),
        OPER("mov to dr7", VALUE, 0, FORM_CR, 7, 2, 0x0f, 0x23),
#undef NONE
#undef OPER
};

unsigned insn_count(void)
{
        return ARRAY_LEN(insns) * PER_OP;
}

static uint64_t pick(struct twin *t, unsigned n)
{
        return twin_random(t) % n;
}

static bool is(const struct insn *i, const char *name)
{
        return strcmp(i->op.name, name) == 0;
}

/* --- what surrounds the instruction --- */

static void toggle(struct twin *t, enum vmcs_field field, uint32_t bits)
{
        const uint64_t now = twin_get(t, field);
        if (pick(t, 3))
                twin_set(t, field, now ^ (twin_random(t) & bits));
}

static void controls(struct twin *t)
{
        toggle(t, F_proc_ctls,
               PROC_HLT | PROC_INVLPG | PROC_RDPMC | PROC_RDTSC | PROC_CR3_LOAD | PROC_CR3_STORE |
                       PROC_CR8_LOAD | PROC_CR8_STORE | PROC_MOV_DR | PROC_UNCOND_IO | PROC_IO_BITMAPS |
                       PROC_MSR_BITMAPS | PROC_MONITOR | PROC_PAUSE);
        twin_set_quietly(t, F_proc_ctls, twin_get(t, F_proc_ctls) | PROC_MWAIT);
        toggle(t, F_proc2_ctls,
               PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_WBINVD | PROC2_RDRAND | PROC2_INVPCID);
        if (!pick(t, 4)) {
                twin_set(t, F_cr0_mask,
                         twin_random(t) & (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_PG));
                twin_set(t, F_cr0_shadow,
                         twin_get(t, F_guest_cr0) ^ (twin_random(t) & (CR0_TS | CR0_MP | CR0_PE)));
                twin_set(t, F_cr4_mask, twin_random(t) & 0x6ff);
                twin_set(t, F_cr4_shadow, twin_get(t, F_guest_cr4) ^ (twin_random(t) & 0x2004));
        }
        if (!pick(t, 4)) {
                twin_set(t, F_cr3_target_count, 1 + pick(t, 4));
                twin_set(t, F_cr3_target0 + 2 * (unsigned)pick(t, 4), twin_get(t, F_guest_cr3));
        }
}

static void privilege(struct twin *t, const struct insn *i)
{
        if (i->needs & STRING)
                twin_set(t, F_guest_fs_base, FS_BASE);
        if (!pick(t, 3))
                twin_set(t, F_guest_cr4, twin_get(t, F_guest_cr4) | CR4_OSXSAVE);
        if (t->at != BASE_64 || pick(t, 5)) {
                if (!pick(t, 4))
                        twin_set(t, F_exception_bitmap, 0);
                return;
        }
        twin_what(t, " user");
        twin_set_quietly(t, F_guest_cs_sel, SEL_CODE64 | 3);
        twin_set_quietly(t, F_guest_ss_sel, SEL_DATA | 3);
        twin_set_quietly(t, F_guest_cs_ar, AR_USER_CODE);
        twin_set_quietly(t, F_guest_ss_ar, AR_USER_DATA);
}

/* Values that are allowed, or nearly. Not SMEP and SMAP: all pages are the user's, and each fault would lead
 * to another, until the stack has run over the probe. */
static uint64_t value_for(struct twin *t, const struct insn *i)
{
        const uint64_t few = twin_random(t) & twin_random(t) & twin_random(t);
        if (is(i, "mov to cr0"))
                return twin_get(t, F_guest_cr0) ^ (few & (0xe005002full | BIT(32)));
        if (is(i, "mov to cr4"))
                return twin_get(t, F_guest_cr4) ^ (few & (BITS(19, 0) | BITS(23, 22) | BIT(40)));
        if (is(i, "mov to cr3"))
                return twin_get(t, F_guest_cr3) ^ (few & (BITS(4, 3) | BIT(38) | BIT(45) | BIT(63)));
        if (is(i, "mov to cr8"))
                return pick(t, 20);
        return i->op.bytes[1] == 0x23 ? few & (0xffffffff & ~BITS(7, 0)) : few & 0xf;
}

static void registers(struct twin *t, const struct insn *i)
{
        static const uint32_t msrs[] = {MSR_LSTAR,       MSR_STAR,  MSR_CSTAR,   MSR_KERNEL_GS_BASE,
                                        MSR_SYSENTER_CS, MSR_PAT,   MSR_FS_BASE, MSR_SYSENTER_EIP,
                                        0x4000,          0x40000000};
        static const uint16_t ports[] = {0x80, 0x5555, 0xe0};
        uint64_t *const r = t->l2.gprs.r;
        for (unsigned k = 0; k < NR_GPRS; k++)
                r[k] = pick(t, 2) ? pick(t, 8) : twin_random(t) >> 33;
        if (i->needs & MSR)
                r[GPR_RCX] = msrs[pick(t, ARRAY_LEN(msrs))];
        if (is(i, "wrmsr"))
                r[GPR_RDX] = pick(t, 4) ? 0 : twin_random(t),
                r[GPR_RAX] = pick(t, 2) ? 0x06060606 : twin_random(t) >> 33;
        if (i->needs & (PORT | STRING))
                r[GPR_RDX] = ports[pick(t, ARRAY_LEN(ports))];
        if (i->needs & STRING) {
                r[GPR_RCX] = pick(t, 4);
                r[GPR_RSI] = r[GPR_RDI] = (uint64_t)scratch + 16 * pick(t, 8);
        }
        for (unsigned k = 0; k < sizeof(l2_io_bitmap[0]); k += 64)
                *(uint64_t *)&l2_io_bitmap[0][k] = 0;
        if (pick(t, 2))
                l2_io_bitmap[0][ports[1] / 8] = 0xff;
}

/* --- the case --- */

static void write_code(struct twin *t, const struct insn *i)
{
        struct encoder e = {
                .t = t, .at = code, .wide = t->at == BASE_64, .operand = (uint64_t)scratch + 0x100};
        memset(scratch, PATTERN, sizeof(scratch));
        if (pick(t, 6) == 0 && t->at != BASE_REAL) {
                static const uint8_t mov_ss[] = {0x8e, 0xd0}; /* MOV SS, EAX */
                twin_what(t, " behind mov ss");
                memcpy(e.at, mov_ss, sizeof(mov_ss));
                e.at += sizeof(mov_ss);
                t->l2.gprs.r[GPR_RAX] = SEL_DATA;
        }
        e.short_addr = e.wide && pick(t, 4) == 0;
        if (i->op.form >= FORM_MEM && i->op.form <= FORM_RM_REG && pick(t, 5) == 0) {
                twin_set(t, F_guest_fs_base, FS_BASE);
                e.override = PREFIX_FS;
                e.segment = FS_BASE;
        }
        encode(&e, &i->op);
        if ((i->needs & VALUE) && !e.memory && e.rm != GPR_RSP)
                t->l2.gprs.r[e.rm] = value_for(t, i);
        for (const uint8_t *b = code; b < e.at; b++)
                twin_what(t, b == code ? " %02x" : "%02x", *b);
        memcpy(e.at, l2_vmcall, 3);
}

static void show_results(struct twin *t, const struct insn *i, const struct gprs *before)
{
        if (i->needs & VOLATILE)
                return;
        for (unsigned r = 0; r < NR_GPRS; r++)
                if (r != GPR_RSP && t->l2.gprs.r[r] != before->r[r])
                        twin_see(t, " r%u=%llx", r, (unsigned long long)t->l2.gprs.r[r]);
        uint64_t words[2];
        memcpy(words, scratch + 0x100, sizeof(words));
        if (words[0] != PATTERN * 0x0101010101010101ull || words[1] != PATTERN * 0x0101010101010101ull)
                twin_see(t, " memory=%llx,%llx", (unsigned long long)words[0], (unsigned long long)words[1]);
}

/* What no VMCS holds. */
static void restore_registers(const struct insn *i)
{
        if (i->op.bytes[1] == 0x23) {
                __asm__ volatile("movq %0, %%db0; movq %0, %%db1; movq %0, %%db2; movq %0, %%db3"
                                 :
                                 : "r"(0ull));
                hw_write_dr6(DR6_NONE);
        }
        if (is(i, "mov to cr8"))
                __asm__ volatile("movq %0, %%cr8" : : "r"(0ull));
        if (is(i, "wrmsr"))
                hw_wrmsr(MSR_KERNEL_GS_BASE, 0);
        hw_write_dr6(DR6_NONE);
}

void insn_one(struct twin *t, unsigned n)
{
        const struct insn *i = &insns[n / PER_OP];
        static const enum twin_base bases[] = {BASE_64, BASE_64, BASE_PROT, BASE_REAL};
        const enum twin_base base = bases[n % ARRAY_LEN(bases)];
        twin_use(t, base == BASE_REAL && !i->real ? BASE_64 : base);
        twin_what(t, " %s base %u", i->op.name, t->at);
        registers(t, i);
        controls(t);
        privilege(t, i);
        write_code(t, i);
        const struct gprs before = t->l2.gprs;
        twin_run_at(t, code);
        show_results(t, i, &before);
        restore_registers(i);
}
