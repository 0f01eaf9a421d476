/* SPDX-License-Identifier: BSD-2-Clause */
#include "processor.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/layout.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/hypercall.h"
#include "hw/vmx_ops.h"
#include "suite.h"
#include "vmx/cpu_local.h"

#define REVISION      0x5a5a
#define PAT_RESET     0x0007040600070406ull
#define CR0_ROOT      (CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define CR4_ROOT      (CR4_PAE | BIT(9) | BIT(18))
#define EFER_ROOT     (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define ROOT_CR3      0x1000
#define PHYSICAL_BITS 48
#define ADDRESSES     (PHYSICAL_BITS | LINEAR_BITS << 8) /* CPUID 80000008 */

struct processor cpu;

static uint64_t gdt[8];
static struct cpu_local local;

static uint64_t caps_msr(void *ctx, uint32_t msr);

void model_reset(const struct model_features *has, uint64_t seed)
{
        jmp_buf *const on_fault = cpu.on_fault;
        memset(&cpu, 0, sizeof(cpu));
        cpu.on_fault = on_fault;
        cpu.has = *has;
        cpu.rng = rng_seeded(seed);
        cpu.cr0 = CR0_ROOT;
        cpu.cr3 = ROOT_CR3;
        cpu.cr4 = CR4_ROOT;
        cpu.xcr0 = 1;
        cpu.tsc = 1000;
        cpu.root = (struct model_msrs){ .efer = EFER_ROOT, .pat = PAT_RESET };
        cpu.now = cpu.root;
        local.self = &local;
        vmx_caps_from_msrs(&cpu.caps, caps_msr, NULL);
        cpu.caps.maxphyaddr = PHYSICAL_BITS;
}

void model_fault(const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(cpu.fault, sizeof(cpu.fault), fmt, ap);
        va_end(ap);
        if (cpu.on_fault)
                longjmp(*cpu.on_fault, 1);
        ck_abort_msg("%s", cpu.fault);
        abort();
}

/* A broken invariant that the hypervisor notices itself. */
void bug(const char *file, int line, const char *what)
{
        model_fault("%s:%d: broken invariant: %s", file, line, what);
}

bool sabotaged(enum sabotage kind)
{
        if (cpu.sabotage != kind)
                return false;
        cpu.sabotaged++;
        return true;
}

static bool inside(uint64_t hpa, uint64_t bytes, const uint8_t *start, uint64_t size)
{
        const uint64_t first = (uint64_t)start;
        return hpa >= first && bytes <= size && hpa - first <= size - bytes;
}

bool model_is_ram(uint64_t hpa, uint64_t bytes)
{
        return inside(hpa, bytes, cpu.ram, cpu.ram_bytes);
}

bool model_owns(uint64_t hpa, uint64_t bytes)
{
        return inside(hpa, bytes, cpu.pool, cpu.pool_bytes) || model_is_ram(hpa, bytes);
}

/* --- VMX operation and its caches --- */

enum hw_status hw_vmxon(hpa_t region)
{
        MODEL_REQUIRE(!cpu.vmxon && (cpu.cr4 & CR4_VMXE), "VMXON at a wrong time");
        MODEL_REQUIRE(*(const uint32_t *)ptr_of(region) == REVISION, "VMXON with another revision");
        cpu.vmxon = true;
        cpu.vmxon_region = region.raw;
        return HW_OK;
}

enum hw_status hw_invept(uint64_t type, uint64_t eptp)
{
        const uint64_t needs = type == INVEPT_SINGLE ? EPTCAP_INVEPT_SINGLE : EPTCAP_INVEPT_ALL;
        MODEL_REQUIRE(cpu.vmxon && !cpu.in_guest, "INVEPT outside of VMX root operation");
        MODEL_REQUIRE((type == INVEPT_SINGLE || type == INVEPT_ALL) && (cpu.caps.ept_vpid & needs),
                      "INVEPT of type %llu", (unsigned long long)type);
        if (sabotaged(SABOTAGE_INVEPT) || (rng_one_in(&cpu.rng, 5) && sabotaged(SABOTAGE_INVEPT_EVERY_5TH)))
                return HW_OK;
        if (type == INVEPT_ALL)
                tlb_drop_all_ept();
        else
                tlb_drop_ep4ta(eptp & EPTP_ADDR);
        return HW_OK;
}

enum hw_status hw_invvpid(uint64_t type, uint16_t vpid, uint64_t linear)
{
        MODEL_REQUIRE(cpu.vmxon && !cpu.in_guest, "INVVPID outside of VMX root operation");
        MODEL_REQUIRE(type <= INVVPID_GLOBAL && (cpu.caps.ept_vpid & (EPTCAP_INVVPID_ADDR << type)),
                      "INVVPID of type %llu", (unsigned long long)type);
        MODEL_REQUIRE(type == INVVPID_ALL || vpid, "INVVPID of VPID 0");
        if (sabotaged(vpid == VPID01 ? SABOTAGE_INVVPID_01 : SABOTAGE_INVVPID_02))
                return HW_OK;
        if (type == INVVPID_ALL)
                tlb_drop_all_vpids();
        else if (type == INVVPID_ADDR)
                tlb_drop_linear(vpid, linear);
        else
                tlb_drop_vpid(vpid);
        return HW_OK;
}

/* --- registers --- */

#define CTLS(must1, may1) ((uint64_t)((must1) | (may1)) << 32 | (must1))
#define TRUE_PIN          0x00000016u
#define TRUE_PROC         0x04006172u
#define TRUE_EXIT         0x00036dfbu
#define TRUE_ENTRY        0x000011fbu

static uint64_t vmx_msr(uint32_t msr)
{
        const struct model_features *h = &cpu.has;
        switch (msr) {
        case MSR_VMX_BASIC:
                return REVISION | PUT(0, BASIC_REGION_SIZE, PAGE_SIZE) | PUT(0, BASIC_MEMTYPE, MEMTYPE_WB) |
                       BASIC_INS_OUTS | BASIC_TRUE_CTLS;
        case MSR_VMX_TRUE_PIN:
                return CTLS(TRUE_PIN, PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER);
        case MSR_VMX_TRUE_PROC:
                return CTLS(TRUE_PROC, 0xfff9fffeu & ~(PROC_TPR_SHADOW | PROC_MTF));
        case MSR_VMX_PROC2:
                return CTLS(0u, PROC2_EPT | PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_WBINVD | PROC2_UNRESTRICTED |
                                        PROC2_PLE | PROC2_RDRAND | PROC2_INVPCID | PROC2_VMFUNC | PROC2_RDSEED |
                                        (h->vpid ? PROC2_VPID : 0) | (h->shadow ? PROC2_SHADOW : 0));
        case MSR_VMX_TRUE_EXIT:
                return CTLS(TRUE_EXIT, EXIT_CTL_DEFAULT1 | EXIT_CTL_HOST_64 | EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT |
                                               EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER |
                                               EXIT_CTL_SAVE_PREEMPTION_TIMER);
        case MSR_VMX_TRUE_ENTRY:
                return CTLS(TRUE_ENTRY,
                            ENTRY_CTL_DEFAULT1 | ENTRY_CTL_GUEST_64 | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER);
        case MSR_VMX_MISC:
                return 5 | MISC_STORES_LMA | MISC_HLT | PUT(0, MISC_CR3_TARGETS, 4) |
                       (h->vmwrite_any ? MISC_VMWRITE_ANY : 0);
        case MSR_VMX_CR0_FIXED0:
                return CR0_PE | CR0_NE | CR0_PG;
        case MSR_VMX_CR0_FIXED1:
                return UINT32_MAX;
        case MSR_VMX_CR4_FIXED0:
                return CR4_VMXE;
        case MSR_VMX_CR4_FIXED1:
                return 0x1767ff;
        case MSR_VMX_VMFUNC:
                return VMFUNC_EPTP_SWITCHING;
        case MSR_VMX_VMCS_ENUM:
                return 0x2e;
        case MSR_VMX_EPT_VPID:
                return EPTCAP_EXEC_ONLY | EPTCAP_WALK4 | EPTCAP_UC | EPTCAP_WB | EPTCAP_2M |
                       (h->ept_1g ? EPTCAP_1G : 0) | EPTCAP_INVEPT | (h->ept_ad ? EPTCAP_AD : 0) |
                       (h->invept_single ? EPTCAP_INVEPT_SINGLE : 0) | EPTCAP_INVEPT_ALL |
                       (h->vpid ? EPTCAP_INVVPID | EPTCAP_INVVPID_ADDR | EPTCAP_INVVPID_ALL : 0) |
                       (h->vpid && h->invvpid_single ? EPTCAP_INVVPID_SINGLE | EPTCAP_INVVPID_GLOBAL : 0);
        }
        return 0;
}

static uint64_t caps_msr(void *ctx, uint32_t msr)
{
        return vmx_msr(msr);
}

bool hw_rdmsr_safe(uint32_t msr, uint64_t *value)
{
        *value = 0;
        switch (msr) {
        case MSR_FEATURE_CONTROL:
                *value = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
                return true;
        case MSR_EFER:
                *value = cpu.now.efer;
                return true;
        case MSR_PAT:
                *value = cpu.now.pat;
                return true;
        case MSR_APIC_BASE:
                *value = 0xfee00000 | BIT(8) | APICBASE_EN | APICBASE_EXTD;
                return true;
        case MSR_STAR:
        case MSR_LSTAR:
        case MSR_CSTAR:
        case MSR_FMASK:
        case MSR_TSC_AUX:
        case MSR_KERNEL_GS_BASE:
                return true;
        }
        *value = vmx_msr(msr);
        return msr >= MSR_VMX_BASIC && msr <= MSR_VMX_LAST;
}

bool hw_wrmsr_safe(uint32_t msr, uint64_t value)
{
        uint64_t old;
        return hw_rdmsr_safe(msr, &old);
}

uint64_t hw_rdmsr(uint32_t msr)
{
        uint64_t v;
        MODEL_REQUIRE(hw_rdmsr_safe(msr, &v), "RDMSR of %#x", msr);
        return v;
}

void hw_wrmsr(uint32_t msr, uint64_t value)
{
}

struct cpuid_regs hw_cpuid(uint32_t leaf, uint32_t subleaf)
{
        switch (leaf) {
        case 0:
                return (struct cpuid_regs){ .eax = 0x16, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 };
        case 1:
                return (struct cpuid_regs){ .eax = 0x306c3, .ecx = BIT(5) | BIT(26) | BIT(27), .edx = 0xbfebfbff };
        case 0xd:
                return (struct cpuid_regs){ .eax = 7, .ebx = 832, .ecx = 832 };
        case 0x80000000u:
                return (struct cpuid_regs){ .eax = 0x80000008u };
        case 0x80000001u:
                return (struct cpuid_regs){ .ecx = 1, .edx = BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29) };
        case 0x80000008u:
                return (struct cpuid_regs){ .eax = ADDRESSES };
        }
        return (struct cpuid_regs){ 0 };
}

uint64_t hw_rdtsc(void)
{
        return cpu.tsc += 3;
}

#define REGISTER(name)                                                                                                 \
        uint64_t hw_read_##name(void)                                                                                  \
        {                                                                                                              \
                return cpu.name;                                                                                       \
        }                                                                                                              \
        void hw_write_##name(uint64_t v)                                                                               \
        {                                                                                                              \
                cpu.name = v;                                                                                          \
        }
REGISTER(cr0)
REGISTER(cr2)
REGISTER(cr3)
REGISTER(cr4)
REGISTER(dr6)

uint64_t hw_xgetbv(uint32_t index)
{
        return cpu.xcr0;
}

void hw_xsetbv(uint32_t index, uint64_t value)
{
        cpu.xcr0 = value;
}

/* --- what the run loop could do but has no reason to --- */

#define PORT(suffix, type)                                                                                             \
        type hw_in##suffix(uint16_t port)                                                                              \
        {                                                                                                              \
                return (type)~0u;                                                                                      \
        }                                                                                                              \
        void hw_out##suffix(uint16_t port, type v)                                                                     \
        {                                                                                                              \
        }
PORT(b, uint8_t)
PORT(w, uint16_t)
PORT(l, uint32_t)

void hw_outs_b(uint16_t port, const void *bytes, uint64_t count)
{
}

void hw_outs_w(uint16_t port, const void *words, uint64_t count)
{
}

void hw_wbinvd(void)
{
}

void hw_unblock_nmi(void)
{
}

void hw_halt_forever(void)
{
        model_fault("the hypervisor halts for ever");
}

uint64_t hw_gdt_base(void)
{
        return (uint64_t)gdt;
}

uint64_t hw_idt_base(void)
{
        return (uint64_t)gdt;
}

void *hw_gs_self(void)
{
        return &local;
}

/* The cascade above, if there is one: SDM does not say what that does; hypercall.h does. */
uint64_t hw_vmcall(uint64_t rax, uint64_t rbx, uint64_t rcx)
{
        MODEL_REQUIRE(cpu.has.parent_is_cascade, "VMCALL in VMX root operation");
        if (rax == HC_VMCS_SWITCH)
                vmcs_switch_owned(rbx, rcx);
        return rax == HC_VMCS_OWN || rax == HC_VMCS_SWITCH ? HC_OK : HC_UNKNOWN;
}
