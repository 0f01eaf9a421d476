/* SPDX-License-Identifier: BSD-2-Clause */
#include "l2.h"
#include "apic.h"
#include "base/layout.h"
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define EPT_RWX      7u
#define EPT_WB       (6u << 3)
#define EPT_LARGE    BIT(7)
#define EPTP_WALK4   (3u << 3)
#define EPTP_WB      6u
#define LINK_NONE    (~0ull)
#define L2_STACK     8192
#define AR_CODE64    (11u | AR_S | AR_P | AR_L | AR_G)
#define AR_DATA      (3u | AR_S | AR_P | AR_DB | AR_G)
#define AR_TSS       (11u | AR_P)
#define TSS_LIMIT    0x67

uint8_t l2_vmxon_page[PAGE_SIZE] PAGE_ALIGNED, l2_vmcs_page[L2_VMCSS][PAGE_SIZE] PAGE_ALIGNED;
uint8_t l2_io_bitmap[2][PAGE_SIZE] PAGE_ALIGNED, l2_msr_bitmap[PAGE_SIZE] PAGE_ALIGNED;
uint8_t l2_window[WINDOW_PAGES][PAGE_SIZE] PAGE_ALIGNED;
uint64_t l2_ept_pt[512] PAGE_ALIGNED, l2_ept_pd_high[512] PAGE_ALIGNED;
static uint64_t ept_pml4[512] PAGE_ALIGNED, ept_pdpt[512] PAGE_ALIGNED, ept_pd_low[512] PAGE_ALIGNED;
static uint8_t l2_stack[L2_STACK] PAGE_ALIGNED;

struct table_register {
        uint16_t limit;
        uint64_t base;
} __attribute__((packed));

uint32_t vmx_error(enum hw_status s)
{
        return s == HW_OK ? 0 : s == HW_FAIL_INVALID ? L2_INVALID : (uint32_t)vmread(F_insn_error);
}

static uint64_t read_msr(void *ctx, uint32_t msr)
{
        return hw_rdmsr(msr);
}

static void build_ept(void)
{
        for (unsigned i = 0; i < 512; i++)
                ept_pd_low[i] = i * SIZE_2M | EPT_RWX | EPT_WB | EPT_LARGE;
        for (unsigned i = 0; i < WINDOW_PAGES; i++)
                l2_ept_pt[i] = (uint64_t)l2_window[i] | EPT_RWX | EPT_WB;
        l2_ept_pd_high[0] = (uint64_t)l2_ept_pt | EPT_RWX;
        l2_ept_pd_high[1] = WINDOW_2M_AT | EPT_RWX | EPT_WB | EPT_LARGE;
        l2_ept_pd_high[3] = APIC_BASE | EPT_RWX | EPT_LARGE;
        ept_pdpt[0] = (uint64_t)ept_pd_low | EPT_RWX;
        ept_pdpt[GET(WINDOW_4K, BITS(38, 30))] = (uint64_t)l2_ept_pd_high | EPT_RWX;
        ept_pml4[0] = (uint64_t)ept_pdpt | EPT_RWX;
}

static void set_revision(void *page, uint64_t basic)
{
        *(volatile uint32_t *)page = (uint32_t)GET(basic, BASIC_REVISION);
}

bool vmx_start(struct l2 *l)
{
        const uint64_t wanted = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
        if (!(hw_cpuid(1, 0).ecx & BIT(5)) || (hw_rdmsr(MSR_FEATURE_CONTROL) & wanted) != wanted)
                return check(l->p, false, "the processor has VMX");
        vmx_caps_from_msrs(&l->caps, read_msr, NULL);
        l->caps.maxphyaddr = (uint8_t)hw_cpuid(0x80000008, 0).eax;
        set_revision(l2_vmxon_page, l->caps.basic);
        for (unsigned i = 0; i < L2_VMCSS; i++)
                set_revision(l2_vmcs_page[i], l->caps.basic);
        build_ept();
        return true;
}

void l2_load(struct l2 *l, unsigned vmcs)
{
        BUG_UNLESS(hw_vmptrld(HPA((uint64_t)l2_vmcs_page[vmcs])) == HW_OK);
        l->current = vmcs;
}

void l2_clear(struct l2 *l, unsigned vmcs)
{
        BUG_UNLESS(hw_vmclear(HPA((uint64_t)l2_vmcs_page[vmcs])) == HW_OK);
        l->launched[vmcs] = false;
}

void l2_forget(struct l2 *l)
{
        memset(l->kept, 0, sizeof(l->kept));
        memset(l->host_rsp, 0, sizeof(l->host_rsp));
}

static bool *kept(struct l2 *l, uint64_t field)
{
        struct vmcs_field_info f;
        BUG_UNLESS(vmcs_field_find(field, &f));
        return &l->kept[l->current][f.id];
}

void l2_set(struct l2 *l, uint64_t field, uint64_t value)
{
        *kept(l, field) = false;
        vmwrite(field, value);
}

/* Deep down a VMWRITE costs exits of every level above. */
static void put(struct l2 *l, uint64_t field, uint64_t value)
{
        bool *const k = kept(l, field);
        if (!*k)
                vmwrite(field, value);
        *k = true;
}

/* What a run of the snippets may leave different. */
static void guest_has_run(struct l2 *l)
{
        static const enum vmcs_field changes[] = { F_guest_cr0,         F_guest_cr3,
                                                   F_guest_cr4,         F_guest_rsp,
                                                   F_guest_rflags,      F_guest_interruptibility,
                                                   F_guest_activity,    F_guest_pending_dbg,
                                                   F_guest_sysenter_eip };
        for (unsigned i = 0; i < ARRAY_LEN(changes); i++)
                *kept(l, changes[i]) = false;
}

static void reset_controls(struct l2 *l)
{
        const struct vmx_caps *c = &l->caps;
        put(l, F_pin_ctls, ctl_make(c->pin, 0));
        put(l, F_proc_ctls, ctl_make(c->proc, PROC_UNCOND_IO | PROC_MSR_BITMAPS | PROC_SECONDARY | PROC_HLT));
        put(l, F_proc2_ctls, ctl_make(c->proc2, PROC2_EPT | PROC2_UNRESTRICTED));
        put(l, F_exit_ctls,
            ctl_make(c->exit, EXIT_CTL_HOST_64 | EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER | EXIT_CTL_SAVE_PAT |
                                      EXIT_CTL_LOAD_PAT));
        put(l, F_entry_ctls,
            ctl_make(c->entry, ENTRY_CTL_GUEST_64 | ENTRY_CTL_LOAD_EFER | ENTRY_CTL_LOAD_PAT));
        const enum vmcs_field zero[] = { F_exception_bitmap,
                                         F_pf_error_mask,
                                         F_pf_error_match,
                                         F_cr3_target_count,
                                         F_exit_msr_store_count,
                                         F_exit_msr_load_count,
                                         F_entry_msr_load_count,
                                         F_entry_intr_info,
                                         F_entry_error_code,
                                         F_entry_insn_len,
                                         F_tsc_offset,
                                         F_cr0_mask,
                                         F_cr4_mask,
                                         F_cr0_shadow,
                                         F_cr4_shadow,
                                         F_vpid };
        for (unsigned i = 0; i < ARRAY_LEN(zero); i++)
                put(l, zero[i], 0);
        put(l, F_io_bitmap_a, (uint64_t)l2_io_bitmap[0]);
        put(l, F_io_bitmap_b, (uint64_t)l2_io_bitmap[1]);
        put(l, F_msr_bitmap, (uint64_t)l2_msr_bitmap);
        put(l, F_eptp, (uint64_t)ept_pml4 | EPTP_WALK4 | EPTP_WB);
        put(l, F_vmcs_link, LINK_NONE);
}

static void reset_host(struct l2 *l, const struct table_register *gdt, const struct table_register *idt)
{
        const struct {
                enum vmcs_field field;
                uint64_t value;
        } rows[] = {
                { F_host_es_sel, SEL_DATA },
                { F_host_cs_sel, SEL_CODE64 },
                { F_host_ss_sel, SEL_DATA },
                { F_host_ds_sel, SEL_DATA },
                { F_host_fs_sel, 0 },
                { F_host_gs_sel, 0 },
                { F_host_tr_sel, SEL_TSS },
                { F_host_fs_base, 0 },
                { F_host_gs_base, 0 },
                { F_host_tr_base, 0 },
                { F_host_gdtr_base, gdt->base },
                { F_host_idtr_base, idt->base },
                { F_host_pat, hw_rdmsr(MSR_PAT) },
                { F_host_efer, hw_rdmsr(MSR_EFER) },
                { F_host_cr0, hw_read_cr0() },
                { F_host_cr3, hw_read_cr3() },
                { F_host_cr4, hw_read_cr4() },
                { F_host_sysenter_cs, 0 },
                { F_host_sysenter_esp, 0 },
                { F_host_sysenter_eip, 0 },
                { F_host_rip, (uint64_t)l2_host_entry },
        };
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
                put(l, rows[i].field, rows[i].value);
}

static void reset_segments(struct l2 *l)
{
        const struct {
                uint16_t selector;
                uint32_t limit, ar;
        } rows[] = {
                /* ES CS SS DS FS GS LDTR TR: fields of one kind are 2 apart in this order */
                { SEL_DATA, UINT32_MAX, AR_DATA },
                { SEL_CODE64, UINT32_MAX, AR_CODE64 },
                { SEL_DATA, UINT32_MAX, AR_DATA },
                { SEL_DATA, UINT32_MAX, AR_DATA },
                { SEL_DATA, UINT32_MAX, AR_DATA },
                { SEL_DATA, UINT32_MAX, AR_DATA },
                { 0, 0, AR_UNUSABLE },
                { SEL_TSS, TSS_LIMIT, AR_TSS },
        };
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
                put(l, F_guest_es_sel + 2 * i, rows[i].selector);
                put(l, F_guest_es_base + 2 * i, 0);
                put(l, F_guest_es_limit + 2 * i, rows[i].limit);
                put(l, F_guest_es_ar + 2 * i, rows[i].ar);
        }
}

static void reset_guest(struct l2 *l, const struct table_register *gdt, const struct table_register *idt)
{
        const struct {
                enum vmcs_field field;
                uint64_t value;
        } rows[] = {
                { F_guest_cr0, hw_read_cr0() },
                { F_guest_cr3, hw_read_cr3() },
                { F_guest_cr4, hw_read_cr4() },
                { F_guest_dr7, DR7_RESET },
                { F_guest_rsp, (uint64_t)l2_stack + L2_STACK },
                { F_guest_rflags, RFLAGS_FIXED1 },
                { F_guest_gdtr_base, gdt->base },
                { F_guest_gdtr_limit, gdt->limit },
                { F_guest_idtr_base, idt->base },
                { F_guest_idtr_limit, idt->limit },
                { F_guest_interruptibility, 0 },
                { F_guest_activity, ACTIVITY_ACTIVE },
                { F_guest_pending_dbg, 0 },
                { F_guest_debugctl, 0 },
                { F_guest_sysenter_cs, 0 },
                { F_guest_sysenter_esp, 0 },
                { F_guest_sysenter_eip, 0 },
                { F_guest_efer, hw_rdmsr(MSR_EFER) },
                { F_guest_pat, hw_rdmsr(MSR_PAT) },
        };
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
                put(l, rows[i].field, rows[i].value);
}

void l2_reset(struct l2 *l)
{
        struct table_register gdt, idt;
        __asm__("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
        reset_controls(l);
        reset_host(l, &gdt, &idt);
        reset_segments(l);
        reset_guest(l, &gdt, &idt);
        memset(&l->gprs, 0, sizeof(l->gprs));
        memset(l2_io_bitmap, 0, sizeof(l2_io_bitmap));
        memset(l2_msr_bitmap, 0, sizeof(l2_msr_bitmap));
}

static void read_exit(struct l2_exit *x)
{
        *x = (struct l2_exit){
                .reason = (uint32_t)vmread(F_exit_reason),
                .intr_info = (uint32_t)vmread(F_exit_intr_info),
                .intr_error = (uint32_t)vmread(F_exit_intr_error),
                .insn_len = (uint32_t)vmread(F_exit_insn_len),
                .insn_info = (uint32_t)vmread(F_exit_insn_info),
                .idt_info = (uint32_t)vmread(F_idt_vec_info),
                .qualification = vmread(F_exit_qualification),
                .guest_physical = vmread(F_guest_physical),
                .guest_linear = vmread(F_guest_linear),
                .rip = vmread(F_guest_rip),
        };
}

uint32_t l2_resume(struct l2 *l)
{
        const uint32_t flags = l2_enter(&l->gprs, !l->launched[l->current], &l->host_rsp[l->current]);
        if (flags) {
                const enum hw_status s = flags & RFLAGS_CF ? HW_FAIL_INVALID : HW_FAIL_VALID;
                l->exit = (struct l2_exit){ .reason = L2_VMFAIL + vmx_error(s) };
                return l->exit.reason;
        }
        read_exit(&l->exit);
        if (!(l->exit.reason & EXIT_REASON_ENTRY_FAIL)) {
                l->launched[l->current] = true;
                guest_has_run(l);
        }
        return l->exit.reason;
}

uint32_t l2_run(struct l2 *l, const void *rip)
{
        vmwrite(F_guest_rip, (uint64_t)rip);
        return l2_resume(l);
}

bool l2_expect(struct l2 *l, uint32_t reason, uint64_t qualification, const char *what)
{
        const struct l2_exit *x = &l->exit;
        if (x->reason >= L2_VMFAIL && !(x->reason & EXIT_REASON_ENTRY_FAIL))
                return check(l->p, false, "%s: the entry failed, error %u", what, x->reason - L2_VMFAIL);
        return check(l->p, x->reason == reason && x->qualification == qualification,
                     "%s: reason 0x%x qualification 0x%llx", what, x->reason,
                     (unsigned long long)x->qualification);
}
