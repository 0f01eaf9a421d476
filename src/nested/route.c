/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/route.h"
#include "base/x86.h"

/* Whether the guest hypervisor asked for this exit. */
typedef bool wants_fn(const struct vmcs12 *v, const struct exit_info *x, const struct guest_mem *mem);

#define WANTS(name)                                                                                          \
        static bool name(const struct vmcs12 *v, const struct exit_info *x, const struct guest_mem *mem)

WANTS(always)
{
        return true;
}

WANTS(never)
{
        return false;
}

/* Instructions and events that exit if one control is 1. */
#define IF_PROC(name, ctl)                                                                                   \
        WANTS(name)                                                                                          \
        {                                                                                                    \
                return v->proc_ctls & (ctl);                                                                 \
        }
#define IF_PROC2(name, ctl)                                                                                  \
        WANTS(name)                                                                                          \
        {                                                                                                    \
                return vmcs12_proc2(v) & (ctl);                                                              \
        }
IF_PROC(intr_window, PROC_INTR_WINDOW)
IF_PROC(nmi_window, PROC_NMI_WINDOW)
IF_PROC(hlt, PROC_HLT)
IF_PROC(invlpg, PROC_INVLPG)
IF_PROC(rdpmc, PROC_RDPMC)
IF_PROC(rdtsc, PROC_RDTSC)
IF_PROC(mov_dr, PROC_MOV_DR)
IF_PROC(mwait, PROC_MWAIT)
IF_PROC(monitor, PROC_MONITOR)
IF_PROC(mtf, PROC_MTF)
IF_PROC(tpr_threshold, PROC_TPR_SHADOW)
IF_PROC2(apic_access, PROC2_APIC_ACCESS)
IF_PROC2(apic_write, PROC2_APIC_REGS | PROC2_VID)
IF_PROC2(virtualized_eoi, PROC2_VID)
IF_PROC2(desc_table, PROC2_DESC_TABLE)
IF_PROC2(wbinvd, PROC2_WBINVD)
IF_PROC2(rdrand, PROC2_RDRAND)
IF_PROC2(rdseed, PROC2_RDSEED)
IF_PROC2(xsaves, PROC2_XSAVES)

/* SDM 3C "Instructions That Cause VM Exits Conditionally": without "enable RDTSCP" and "enable INVPCID" these
 * two raise #UD before they could exit. */
WANTS(rdtscp)
{
        return (v->proc_ctls & PROC_RDTSC) && (vmcs12_proc2(v) & PROC2_RDTSCP);
}

WANTS(invpcid)
{
        return (v->proc_ctls & PROC_INVLPG) && (vmcs12_proc2(v) & PROC2_INVPCID);
}

/* With PAUSE-loop exiting, vmcs02's gap and window are vmcs12's: the loop was as long as the guest hypervisor
 * says. */
WANTS(pause)
{
        return (v->proc_ctls & PROC_PAUSE) || (vmcs12_proc2(v) & PROC2_PLE);
}

/* SDM 3C "Exceptions": a page fault is compared with the mask and match fields, and bit 14 of the bitmap
 * tells which outcome exits. */
bool route_l1_wants_exception(const struct vmcs12 *v, unsigned vector, uint32_t error_code)
{
        const bool listed = v->exception_bitmap >> (vector & 31) & 1;
        if (vector == VEC_PF && (error_code & v->pf_error_mask) != v->pf_error_match)
                return !listed;
        return listed;
}

WANTS(exception)
{
        if (GET(x->intr_info, INTR_TYPE) == INTR_TYPE_NMI)
                return false;
        return route_l1_wants_exception(v, (unsigned)GET(x->intr_info, INTR_VECTOR), x->error_code);
}

/* One bit of a bitmap of `bytes` bytes in the guest's memory. */
static bool bitmap_bit(const struct guest_mem *mem, uint64_t at, uint64_t bytes, uint64_t bit)
{
        const uint8_t *bitmap = guest_mem_at(mem, L1GPA(at), bytes);
        return !bitmap || (bitmap[bit / 8] >> bit % 8 & 1);
}

#define IO_BITMAP_PORTS 0x8000u
#define IO_BITMAP_BYTES (IO_BITMAP_PORTS / 8)
#define LAST_PORT       0xffffu

/* SDM 3C "I/O-Bitmap Addresses": one bit per port that the access touches; one that runs over the last port
 * exits. */
WANTS(io)
{
        if (!(v->proc_ctls & PROC_IO_BITMAPS))
                return v->proc_ctls & PROC_UNCOND_IO;
        const uint32_t first = (uint32_t)GET(x->qualification, IOQ_PORT);
        const uint32_t last = first + (uint32_t)GET(x->qualification, IOQ_SIZE);
        if (last > LAST_PORT)
                return true;
        for (uint32_t port = first; port <= last; port++) {
                const uint64_t bitmap = port < IO_BITMAP_PORTS ? v->io_bitmap_a : v->io_bitmap_b;
                if (bitmap_bit(mem, bitmap, IO_BITMAP_BYTES, port % IO_BITMAP_PORTS))
                        return true;
        }
        return false;
}

#define MSR_RANGE     0x2000u
#define MSR_HIGH_BASE 0xc0000000u

/* SDM 3C "MSR-Bitmap Address": four bitmaps of 1 KiB: read low, read high, write low, write high. */
static bool msr(const struct vmcs12 *v, const struct exit_info *x, const struct guest_mem *mem, bool write)
{
        if (!(v->proc_ctls & PROC_MSR_BITMAPS))
                return true;
        const uint32_t number = (uint32_t)x->rcx; /* RDMSR and WRMSR take ECX */
        const bool high = number >= MSR_HIGH_BASE;
        const uint32_t bit = high ? number - MSR_HIGH_BASE : number;
        if (bit >= MSR_RANGE)
                return true;
        const uint32_t bitmap = (write ? 2u : 0u) + (high ? 1u : 0u);
        return bitmap_bit(mem, v->msr_bitmap, PAGE_SIZE, (uint64_t)bitmap * MSR_RANGE + bit);
}

WANTS(rdmsr)
{
        return msr(v, x, mem, false);
}

WANTS(wrmsr)
{
        return msr(v, x, mem, true);
}

/* SDM 3C "Processor-Based VM-Execution Controls", CR3-target values: writing one of the first n does not
 * exit. */
static bool mov_to_cr3(const struct vmcs12 *v, uint64_t value)
{
        const uint64_t targets[] = { v->cr3_target0, v->cr3_target1, v->cr3_target2, v->cr3_target3 };
        if (!(v->proc_ctls & PROC_CR3_LOAD))
                return false;
        for (unsigned i = 0; i < ARRAY_LEN(targets) && i < v->cr3_target_count; i++)
                if (targets[i] == value)
                        return false;
        return true;
}

static bool mov_to_cr(const struct vmcs12 *v, uint64_t number, uint64_t value)
{
        switch (number) {
        case 0:
                return (value ^ v->cr0_shadow) & v->cr0_mask;
        case 3:
                return mov_to_cr3(v, value);
        case 4:
                return (value ^ v->cr4_shadow) & v->cr4_mask;
        case 8:
                return v->proc_ctls & PROC_CR8_LOAD;
        }
        return true;
}

static bool mov_from_cr(const struct vmcs12 *v, uint64_t number)
{
        switch (number) {
        case 3:
                return v->proc_ctls & PROC_CR3_STORE;
        case 8:
                return v->proc_ctls & PROC_CR8_STORE;
        }
        return true;
}

/* LMSW writes CR0 bits 3:0 and can set PE but not clear it. */
static bool lmsw(const struct vmcs12 *v, uint64_t source)
{
        const uint64_t writes = (CR0_MP | CR0_EM | CR0_TS) | (source & CR0_PE);
        return (source ^ v->cr0_shadow) & v->cr0_mask & writes;
}

/* SDM 3C "Instructions That Cause VM Exits Conditionally": CLTS, LMSW, MOV to and from CR. */
WANTS(cr_access)
{
        switch (GET(x->qualification, CRQ_TYPE)) {
        case CR_MOV_TO:
                return mov_to_cr(v, GET(x->qualification, CRQ_NUMBER), x->operand);
        case CR_MOV_FROM:
                return mov_from_cr(v, GET(x->qualification, CRQ_NUMBER));
        case CR_CLTS:
                return v->cr0_mask & v->cr0_shadow & CR0_TS;
        case CR_LMSW:
                return lmsw(v, GET(x->qualification, CRQ_LMSW_SOURCE));
        }
        return true;
}

/* SDM 3C "VMCS Shadowing Bitmap Addresses": encodings of more than 15 bits always exit. */
static bool shadow_exits(const struct vmcs12 *v, const struct exit_info *x, const struct guest_mem *mem,
                         uint64_t bitmap)
{
        if (!(vmcs12_proc2(v) & PROC2_SHADOW) || (x->operand & ~BITS(14, 0)))
                return true;
        return bitmap_bit(mem, bitmap, PAGE_SIZE, x->operand);
}

WANTS(vmread)
{
        return shadow_exits(v, x, mem, v->vmread_bitmap);
}

WANTS(vmwrite)
{
        return shadow_exits(v, x, mem, v->vmwrite_bitmap);
}

static wants_fn *const l1_wants[EXIT_REASON_COUNT] = {
        [EXIT_EXCEPTION_NMI] = exception,
        [EXIT_EXT_INTR] = never, /* physical: ours, irq/ may then offer a virtual one */
        [EXIT_TRIPLE_FAULT] = always,
        [EXIT_INIT] = never,
        [EXIT_SIPI] = never,
        [EXIT_IO_SMI] = never,
        [EXIT_OTHER_SMI] = never,
        [EXIT_INTR_WINDOW] = intr_window,
        [EXIT_NMI_WINDOW] = nmi_window,
        [EXIT_TASK_SWITCH] = always, /* SDM 3C "Other Causes of VM Exits" */
        [EXIT_CPUID] = always,       /* SDM 3C "Instructions That Cause VM Exits Unconditionally" */
        [EXIT_GETSEC] = always,
        [EXIT_HLT] = hlt,
        [EXIT_INVD] = always,
        [EXIT_INVLPG] = invlpg,
        [EXIT_RDPMC] = rdpmc,
        [EXIT_RDTSC] = rdtsc,
        [EXIT_RSM] = always,
        [EXIT_VMCALL] = always,
        [EXIT_VMCLEAR] = always,
        [EXIT_VMLAUNCH] = always,
        [EXIT_VMPTRLD] = always,
        [EXIT_VMPTRST] = always,
        [EXIT_VMREAD] = vmread,
        [EXIT_VMRESUME] = always,
        [EXIT_VMWRITE] = vmwrite,
        [EXIT_VMXOFF] = always,
        [EXIT_VMXON] = always,
        [EXIT_CR_ACCESS] = cr_access,
        [EXIT_MOV_DR] = mov_dr,
        [EXIT_IO] = io,
        [EXIT_RDMSR] = rdmsr,
        [EXIT_WRMSR] = wrmsr,
        [EXIT_ENTRY_GUEST_STATE] = always, /* of vmcs02: state that only vmcs12 can have brought in */
        [EXIT_ENTRY_MSR_LOAD] = always,
        [EXIT_MWAIT] = mwait,
        [EXIT_MTF] = mtf,
        [EXIT_MONITOR] = monitor,
        [EXIT_PAUSE] = pause,
        [EXIT_ENTRY_MCE] = always,
        [EXIT_TPR_THRESHOLD] = tpr_threshold,
        [EXIT_APIC_ACCESS] = apic_access,
        [EXIT_VIRTUALIZED_EOI] = virtualized_eoi,
        [EXIT_GDTR_IDTR] = desc_table,
        [EXIT_LDTR_TR] = desc_table,
        [EXIT_EPT_VIOLATION] = never, /* ept02 decides and may return a verdict for the guest hypervisor */
        [EXIT_EPT_MISCONFIG] = never,
        [EXIT_INVEPT] = always,
        [EXIT_RDTSCP] = rdtscp,
        [EXIT_PREEMPTION_TIMER] = never, /* the earlier of two deadlines: the run loop knows whose it was */
        [EXIT_INVVPID] = always,
        [EXIT_WBINVD] = wbinvd,
        [EXIT_XSETBV] = always,
        [EXIT_APIC_WRITE] = apic_write,
        [EXIT_RDRAND] = rdrand,
        [EXIT_INVPCID] = invpcid,
        [EXIT_VMFUNC] = never, /* vmfunc.c decides */
        [EXIT_ENCLS] = never, /* controls from here on are not offered: such an exit is our own wish */
        [EXIT_RDSEED] = rdseed,
        [EXIT_PML_FULL] = never, /* vmcs02 has no log; vmcs12's is kept by ept02 */
        [EXIT_XSAVES] = xsaves, /* our XSS-exiting bitmap is 0: the exit is by theirs */
        [EXIT_XRSTORS] = xsaves,
        [EXIT_PCONFIG] = never,
        [EXIT_SPP] = never,
        [EXIT_UMWAIT] = never,
        [EXIT_TPAUSE] = never,
        [EXIT_LOADIWKEY] = never,
        [EXIT_ENCLV] = never,
        [EXIT_ENQCMD] = never,
        [EXIT_ENQCMDS] = never,
        [EXIT_BUS_LOCK] = never,
        [EXIT_NOTIFY] = never,
};

enum exit_owner route_l2_exit(const struct vmcs12 *v, const struct exit_info *x, const struct guest_mem *mem)
{
        const uint64_t basic = GET(x->reason, EXIT_REASON_BASIC);
        if ((x->reason & EXIT_REASON_ENTRY_FAIL) || basic >= EXIT_REASON_COUNT || !l1_wants[basic])
                return OWNER_L1;
        return l1_wants[basic](v, x, mem) ? OWNER_L1 : OWNER_L0;
}

bool route_always_l1(uint32_t reason)
{
        const uint32_t basic = (uint32_t)GET(reason, EXIT_REASON_BASIC);
        return !(reason & EXIT_REASON_ENTRY_FAIL) && basic < EXIT_REASON_COUNT && l1_wants[basic] == always;
}
