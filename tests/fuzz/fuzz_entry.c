/* SPDX-License-Identifier: BSD-2-Clause */
/* VM entry on any VMCS12: the checks, the merge, and what becomes of both.
 *
 * - A verdict is the same when asked again, and does not depend on exit information, on fields that the guest hypervisor
 *   is not offered, nor on the header of the region.
 * - What passes with the capabilities that were offered is a VMCS02 that the silicon enters: it passes the rows for the
 *   silicon's own capabilities, and what must be ours is on.
 * - The state that a guest hypervisor has after an exit is one that the silicon enters in VMCS01.
 *
 * Input: the processor and what is masked of it, the base to start from, then fields: 2 bytes to choose one and how, 8
 * of value. */
#include "base/bug.h"
#include "base/x86.h"
#include "input.h"
#include "nested/checks.h"
#include "nested/merge.h"
#include "vmx/epte.h"

#define RAM_BYTES (8 * PAGE_SIZE)
#define CURRENT   0x3000ull
#define SHADOW_AT 0x4000ull
#define LINK_NONE (~0ull)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static const struct guest_mem mem = { .ram = ram, .low_bytes = RAM_BYTES };

/* Haswell and Skylake as Bochs has them, and a processor with everything. */
static const struct vmx_caps processors[] = {
        { .basic = 0x00d810000000002b, .pin = { 0x16, 0x7f }, .proc = { 0x04006172, 0xf7f9fffe },
          .proc2 = { 0, 0x00047fff }, .exit = { 0x00036dfb, 0x007fffff }, .entry = { 0x000011fb, 0x0000ffff },
          .misc = 0x200401e0, .cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = 0x2000,
          .cr4_fixed1 = 0x1727ff, .ept_vpid = 0xf0106334141, .vmfunc = 1, .maxphyaddr = 40, .linear_bits = 48 },
        { .basic = 0x00d810000000002b, .pin = { 0x16, 0x7f }, .proc = { 0x04006172, 0xf7f9fffe },
          .proc2 = { 0, 0x02177fff }, .exit = { 0x00036dfb, 0x007fffff }, .entry = { 0x000011fb, 0x0000ffff },
          .misc = 0x600401e0, .cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = 0x2000,
          .cr4_fixed1 = 0x3727ff, .ept_vpid = 0xf0106334141, .vmfunc = 1, .maxphyaddr = 40, .linear_bits = 48 },
        { .basic = 0x01d8100000000004, .pin = { 0x16, 0xff }, .proc = { 0x04006172, ~PROC_TERTIARY },
          .proc2 = { 0, UINT32_MAX }, .exit = { 0x00036dfb, UINT32_MAX }, .entry = { 0x000011fb, UINT32_MAX },
          .misc = 0x7004c1e7, .cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = 0x2000,
          .cr4_fixed1 = 0xf77fff, .ept_vpid = 0xf0106f34141, .vmfunc = 1, .maxphyaddr = 46, .linear_bits = 48, .rtm = true,
          .sgx = true },
};

/* What vmx_probe() insists on, and what vmcs02 always has. */
#define NEEDED_PIN   (PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER)
#define NEEDED_PROC  (PROC_CR8_LOAD | PROC_CR8_STORE | PROC_UNCOND_IO | PROC_MSR_BITMAPS | PROC_SECONDARY | PROC_TSC_OFFSET)
#define NEEDED_PROC2 (PROC2_EPT | PROC2_UNRESTRICTED)
#define NEEDED_EXIT                                                                                          \
        (EXIT_CTL_SAVE_DEBUG | EXIT_CTL_HOST_64 | EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT | EXIT_CTL_LOAD_PAT | \
         EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER | EXIT_CTL_SAVE_PREEMPTION_TIMER)
#define NEEDED_ENTRY (ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER | ENTRY_CTL_GUEST_64)

static struct ctl_caps without(struct ctl_caps c, uint32_t mask, uint32_t needed)
{
        return (struct ctl_caps){ .must1 = c.must1, .may1 = c.may1 & (~mask | needed | c.must1) };
}

static struct vmx_caps take_silicon(struct input *in)
{
        struct vmx_caps c = processors[take_u8(in) % ARRAY_LEN(processors)];
        c.proc = without(c.proc, take_u32(in), NEEDED_PROC);
        c.proc2 = without(c.proc2, take_u32(in), NEEDED_PROC2);
        c.pin = without(c.pin, take_u8(in), NEEDED_PIN);
        c.exit = without(c.exit, take_u32(in), NEEDED_EXIT);
        c.entry = without(c.entry, take_u16(in), NEEDED_ENTRY);
        c.efer_mask = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
        c.debugctl_mask = DEBUGCTL_LBR | DEBUGCTL_BTF;
        return c;
}

/* One feature is masked, and what needs it; or none. */
static struct feature_mask take_mask(struct input *in)
{
        struct feature_mask mask = { 0 };
        mask.off[take_u8(in) % FEATURE_COUNT] = true;
        return mask;
}

/* --- bases --- */

#define AR_CODE64 (11u | AR_S | AR_P | AR_L | AR_G)
#define AR_DATA   (3u | AR_S | AR_P | AR_DB | AR_G)

static void start_from_64(struct vmcs12 *v, const struct vmx_caps *c)
{
        *v = (struct vmcs12){
                .pin_ctls = c->pin.must1, .proc_ctls = c->proc.must1, .exit_ctls = c->exit.must1 | EXIT_CTL_HOST_64,
                .entry_ctls = c->entry.must1 | ENTRY_CTL_GUEST_64, .vmcs_link = LINK_NONE, .host_cr0 = 0x80000021,
                .host_cr4 = CR4_VMXE | CR4_PAE, .host_efer = EFER_LME | EFER_LMA, .host_cs_sel = 8, .host_tr_sel = 0x18,
                .guest_cr0 = 0x80000021, .guest_cr4 = CR4_VMXE | CR4_PAE, .guest_efer = EFER_LME | EFER_LMA,
                .guest_rflags = RFLAGS_FIXED1, .guest_tr_limit = 0x67, .guest_tr_ar = 11 | AR_P,
                .guest_ldtr_ar = AR_UNUSABLE, .guest_dr7 = DR7_RESET,
#define SEG(s, selector, rights) .guest_##s##_sel = (selector), .guest_##s##_limit = UINT32_MAX, .guest_##s##_ar = (rights)
                SEG(cs, 8, AR_CODE64), SEG(ss, 0x10, AR_DATA), SEG(ds, 0x10, AR_DATA), SEG(es, 0x10, AR_DATA),
                SEG(fs, 0x10, AR_DATA), SEG(gs, 0x10, AR_DATA),
#undef SEG
        };
}

static void use_ept(struct vmcs12 *v, const struct vmx_caps *c)
{
        v->proc_ctls |= PROC_SECONDARY & c->proc.may1;
        v->proc2_ctls |= (PROC2_EPT | PROC2_UNRESTRICTED | PROC2_SHADOW) & c->proc2.may1;
        v->eptp = 0x1000 | MEMTYPE_WB | PUT(0, EPTP_WALK, EPTP_WALK4);
}

static void use_32(struct vmcs12 *v)
{
        v->entry_ctls &= ~ENTRY_CTL_GUEST_64;
        v->guest_efer = 0;
        v->guest_cs_ar = AR_CODE64 ^ (AR_L | AR_DB);
}

static void use_real_mode(struct vmcs12 *v)
{
        use_32(v);
        v->guest_cr0 = CR0_NE;
        v->guest_cr4 = CR4_VMXE;
        v->guest_cs_ar = 0x93;
        v->guest_cs_limit = 0xffff;
}

/* Any of the controls that are offered. */
static void wish(struct input *in, struct vmcs12 *v, const struct vmx_caps *c)
{
        v->pin_ctls |= take_u8(in) & c->pin.may1;
        v->proc_ctls |= take_u32(in) & c->proc.may1;
        v->proc2_ctls |= take_u32(in) & c->proc2.may1;
        v->exit_ctls |= take_u32(in) & c->exit.may1;
        v->entry_ctls |= take_u16(in) & c->entry.may1 & ~ENTRY_CTL_GUEST_64;
        v->vpid = 1;
        v->host_pat = v->guest_pat = 0x0007040600070406;
}

static void take_base(struct input *in, struct vmcs12 *v, struct check_env *e)
{
        const uint8_t how = take_u8(in);
        start_from_64(v, e->caps);
        if (how & 32)
                wish(in, v, e->caps);
        if (how & 1)
                use_ept(v, e->caps);
        if (how & 2)
                use_32(v);
        if ((how & 5) == 5)
                use_real_mode(v);
        if (how & 8) {
                use_32(v);
                v->exit_ctls &= ~EXIT_CTL_HOST_64;
                v->host_ss_sel = 0x10;
                v->host_cr4 = how & 16 ? CR4_VMXE | CR4_PAE : CR4_VMXE;
                v->host_efer = 0;
                e->lma = false;
        }
}

/* --- what may be in the fields --- */

static uint64_t mutated(uint64_t old, uint8_t how, uint64_t value)
{
        switch (how & 3) {
        case 0:
                return old ^ BIT(value & 63);
        case 1:
                return old ^ BIT(value & 63) ^ BIT(value >> 8 & 63);
        case 2:
                return value & 0xffff;
        default:
                return value;
        }
}

static void take_fields(struct input *in, struct vmcs12 *v)
{
        while (in->left) {
                const uint8_t which = take_u8(in), how = take_u8(in);
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)((which | (how & 0x80u) << 1) % VMCS_FIELD_COUNT));
                vmcs12_write(v, &f, mutated(vmcs12_read(v, &f), how, take_u64(in)));
        }
}

/* --- verdicts --- */

static struct check_fail verdict(const struct vmcs12 *v, const struct check_env *e)
{
        struct check_fail f = check_controls(v, e);
        if (f.kind == CHECK_PASSED)
                f = check_host(v, e);
        if (f.kind == CHECK_PASSED)
                f = check_guest(v, e);
        return f;
}

static void check_kind_fits(const struct check_fail *f)
{
        switch (f->kind) {
        case CHECK_PASSED:
                BUG_UNLESS(f->id == CHK_NONE);
                return;
        case CHECK_VM_FAIL:
                BUG_UNLESS(f->code == VMX_ERR_ENTRY_CONTROLS || f->code == VMX_ERR_ENTRY_HOST_STATE);
                break;
        case CHECK_ENTRY_FAIL:
                BUG_UNLESS(f->code == ENTRY_FAIL_QUAL_NONE || f->code == ENTRY_FAIL_QUAL_PDPTE || f->code == ENTRY_FAIL_QUAL_LINK);
                break;
        }
        BUG_UNLESS(f->id > CHK_NONE && f->id < CHECK_COUNT && check_name(f->id) && check_sdm(f->id));
}

/* Fields that no row may read: exit information, what is not offered, and the header. */
static void check_what_does_not_count(const struct vmcs12 *v, const struct check_env *e, const struct check_fail *f, uint64_t noise)
{
        struct vmcs12 other = *v;
        other.revision = (uint32_t)noise;
        other.abort = (uint32_t)(noise >> 8);
        other.launched = other.zero = (uint32_t)(noise >> 16);
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info field = vmcs_field_at((enum vmcs_field_id)id);
                if (field.type == TYPE_READ_ONLY || (f->kind == CHECK_PASSED && !vmcs_field_exists(&field, e->caps)))
                        vmcs12_write(&other, &field, noise * (id + 1));
        }
        const struct check_fail again = verdict(&other, e);
        BUG_UNLESS(again.kind == f->kind && again.id == f->id && again.code == f->code);
}

/* --- what passes --- */

/* Asked for by VMCS12 and left to the processor: it must not get lost. */
#define ASKED_PROC                                                                                           \
        (PROC_INTR_WINDOW | PROC_NMI_WINDOW | PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC | PROC_RDTSC |  \
         PROC_CR3_LOAD | PROC_CR3_STORE | PROC_MOV_DR | PROC_MONITOR | PROC_PAUSE)
#define ASKED_PROC2                                                                                          \
        (PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_WBINVD | PROC2_UNRESTRICTED | PROC2_PLE | PROC2_RDRAND |      \
         PROC2_INVPCID | PROC2_RDSEED)

static void check_controls02(const struct vmcs12 *v, const struct vmcs02_controls *c, const struct vmx_caps *hw)
{
        /* CR8 is not the processor's own: it exits, or is the virtual-APIC page's. */
        const uint32_t cr8 = c->proc & PROC_TPR_SHADOW ? PROC_CR8_LOAD | PROC_CR8_STORE : 0;
        const uint32_t own_proc = NEEDED_PROC & ~PROC_TSC_OFFSET & ~cr8, own_exit = NEEDED_EXIT;
        BUG_UNLESS(ctl_allowed(hw->pin, c->pin) && ctl_allowed(hw->proc, c->proc) && ctl_allowed(hw->proc2, c->proc2));
        BUG_UNLESS(ctl_allowed(hw->exit, c->exit) && ctl_allowed(hw->entry, c->entry));
        BUG_UNLESS((c->pin & (PIN_EXT_INTR | PIN_NMI | PIN_PREEMPTION_TIMER)) == (PIN_EXT_INTR | PIN_NMI | PIN_PREEMPTION_TIMER));
        BUG_UNLESS((c->proc & own_proc) == own_proc && (c->proc2 & PROC2_EPT) && (c->exit & own_exit) == own_exit);
        BUG_UNLESS(!(hw->proc2.may1 & PROC2_VPID) || (c->proc2 & PROC2_VPID));
        BUG_UNLESS((c->proc & v->proc_ctls & ASKED_PROC) == (v->proc_ctls & ASKED_PROC));
        BUG_UNLESS((c->proc2 & vmcs12_proc2(v) & ASKED_PROC2) == (vmcs12_proc2(v) & ASKED_PROC2));
        BUG_UNLESS((c->exception_bitmap & v->exception_bitmap) == v->exception_bitmap);
        BUG_UNLESS((c->cr0_mask & v->cr0_mask) == v->cr0_mask && (c->cr4_mask & v->cr4_mask) == v->cr4_mask);
        BUG_UNLESS(!((c->cr0_shadow ^ v->cr0_shadow) & v->cr0_mask) && !((c->cr4_shadow ^ v->cr4_shadow) & v->cr4_mask));
        BUG_UNLESS(c->cr3_target_count <= 4 && c->cr3_target_count == v->cr3_target_count);
}

static const struct l1_msrs l1_msrs_64 = { .efer = EFER_LME | EFER_LMA | EFER_NXE, .pat = 0x0007040600070406, .dr7 = DR7_RESET };
static const struct l1_msrs l1_msrs_32 = { .pat = 0x0007040600070406, .dr7 = DR7_RESET };

/* VMCS02 as load_l2() leaves it: ours where VMCS12's fields are not what the processor sees. */
static struct vmcs12 vmcs02_of(const struct vmcs12 *v, const struct vmcs02_controls *c, bool lma, const struct vmx_caps *hw)
{
        const struct l1_msrs *l1 = lma ? &l1_msrs_64 : &l1_msrs_32;
        struct vmcs12 o = *v;
        o.pin_ctls = c->pin;
        o.proc_ctls = c->proc;
        o.proc2_ctls = c->proc2;
        o.exit_ctls = c->exit;
        o.entry_ctls = c->entry;
        o.guest_efer = merge_guest_efer(v, l1);
        o.guest_pat = merge_guest_pat(v, l1);
        o.guest_debugctl = merge_guest_debugctl(v, l1);
        o.guest_dr7 = merge_guest_dr7(v, l1);
        o.vpid = 2;
        o.eptp = 0x1000 | MEMTYPE_WB | PUT(0, EPTP_WALK, EPTP_WALK4);
        o.msr_bitmap = o.vmread_bitmap = o.vmwrite_bitmap = 0x2000;
        o.exit_msr_store_count = o.exit_msr_load_count = o.entry_msr_load_count = 0;
        o.vmcs_link = LINK_NONE;
        if (!(vmcs12_proc2(v) & PROC2_EPT) && (v->guest_cr4 & CR4_PAE)) {
                uint64_t pdpte[PDPTES] = { 0 };
                if (!pdptes_read(&mem, hw, v->guest_cr3, pdpte))
                        memset(pdpte, 0, sizeof(pdpte));
                o.guest_pdpte0 = pdpte[0];
                o.guest_pdpte1 = pdpte[1];
                o.guest_pdpte2 = pdpte[2];
                o.guest_pdpte3 = pdpte[3];
        }
        return o;
}

static void check_merge(const struct vmcs12 *v, const struct check_env *e12, const struct vmx_caps *hw)
{
        const struct vmcs01_policy policy = { .exit = EXIT_CTL_SAVE_PREEMPTION_TIMER, .preemption_timer = true, .shadow = true };
        const struct check_env e = { .caps = hw, .mem = &mem, .current = L1GPA(CURRENT), .lma = true };
        struct vmcs02_controls c;
        merge_controls(v, &policy, hw, &c);
        check_controls02(v, &c, hw);
        const struct vmcs12 v02 = vmcs02_of(v, &c, e12->lma, hw);
        const struct check_fail controls = check_controls(&v02, &e), guest = check_guest(&v02, &e);
        if (controls.kind != CHECK_PASSED || guest.kind != CHECK_PASSED)
                bug(check_name(controls.id), (int)controls.code, check_name(guest.id));
}

static void put_segment(struct vmcs12 *o, enum vmcs_field sel, const struct seg_state *s)
{
        const uint32_t at = (uint32_t)sel - F_guest_es_sel;
        const uint64_t values[] = { s->sel, s->base, s->limit, s->ar };
        const uint32_t fields[] = { F_guest_es_sel, F_guest_es_base, F_guest_es_limit, F_guest_es_ar };
        for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
                struct vmcs_field_info f;
                BUG_UNLESS(vmcs_field_find(fields[i] + at, &f));
                vmcs12_write(o, &f, values[i]);
        }
}

/* VMCS01 as leave() writes it: the guest hypervisor's host state, which it controls in full, must be one to enter. */
static void check_return(const struct vmcs12 *v, const struct check_env *e12, const struct vmx_caps *hw, bool entered)
{
        const struct l1_msrs *l1 = e12->lma ? &l1_msrs_64 : &l1_msrs_32;
        /* A failed entry has loaded nothing of the guest's: what stays is the hypervisor's own. */
        const struct l2_at_exit own = { .cr0 = 0x80050033, .efer = l1->efer, .pat = l1->pat };
        const struct l2_at_exit guests = { .cr0 = v->guest_cr0, .cr4 = v->guest_cr4, .efer = merge_guest_efer(v, l1),
                                           .pat = merge_guest_pat(v, l1) };
        const struct l2_at_exit now = entered ? guests : own;
        struct l1_state_after_exit s;
        merge_host_to_l1(v, e12->caps, &now, &s);
        struct vmcs12 o = { .vmcs_link = LINK_NONE };
        o.proc_ctls = hw->proc.must1 | PROC_SECONDARY;
        o.proc2_ctls = PROC2_EPT | PROC2_UNRESTRICTED;
        o.entry_ctls = hw->entry.must1 | ENTRY_CTL_LOAD_EFER | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_DEBUG |
                       (s.efer & EFER_LMA ? ENTRY_CTL_GUEST_64 : 0);
        o.guest_cr0 = (s.cr0 & ~(CR0_CD | CR0_NW)) | (hw->cr0_fixed0 & CR0_NE);
        o.guest_cr3 = s.cr3;
        o.guest_cr4 = s.cr4 | CR4_VMXE;
        for (unsigned i = 0; i < NR_SEG_REGS; i++)
                put_segment(&o, (enum vmcs_field)(F_guest_es_sel + 2 * i), &s.seg[i]);
        put_segment(&o, F_guest_ldtr_sel, &s.ldtr);
        put_segment(&o, F_guest_tr_sel, &s.tr);
        o.guest_gdtr_base = s.gdtr_base;
        o.guest_gdtr_limit = s.gdtr_limit;
        o.guest_idtr_base = s.idtr_base;
        o.guest_idtr_limit = s.idtr_limit;
        o.guest_efer = s.efer;
        o.guest_pat = s.pat;
        o.guest_debugctl = s.debugctl;
        o.guest_dr7 = s.dr7;
        o.guest_sysenter_esp = s.sysenter_esp;
        o.guest_sysenter_eip = s.sysenter_eip;
        o.guest_rip = s.rip;
        o.guest_rflags = s.rflags;
        o.guest_interruptibility = s.interruptibility;
        o.guest_activity = s.activity;
        o.guest_pending_dbg = s.pending_dbg;
        const struct check_env e = { .caps = hw, .mem = &mem, .current = L1GPA(CURRENT), .lma = true };
        const struct check_fail f = check_guest(&o, &e);
        if (f.kind != CHECK_PASSED)
                bug(check_name(f.id), (int)f.code, "state of the guest hypervisor after an exit");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = { data, size };
        const struct vmx_caps hw = take_silicon(&in);
        const struct feature_mask mask = take_mask(&in);
        const struct vmx_caps caps12 = caps12_derive(&hw, &mask);
        struct check_env e = { .caps = &caps12, .mem = &mem, .current = L1GPA(CURRENT), .lma = true };
        const uint64_t noise = take_u64(&in);
        struct vmcs12 v;
        memset(ram, 0, sizeof(ram));
        const uint32_t shadow_word = CASCADE_VMCS12_REVISION | VMCS_REVISION_SHADOW;
        memcpy(ram + SHADOW_AT, &shadow_word, sizeof(shadow_word));
        take(&in, ram + 0x5000, 32);
        take_base(&in, &v, &e);
        take_fields(&in, &v);

        const struct check_fail f = verdict(&v, &e);
        check_kind_fits(&f);
        check_what_does_not_count(&v, &e, &f, noise);
        if (f.kind == CHECK_PASSED)
                check_merge(&v, &e, &hw);
        if (f.kind != CHECK_VM_FAIL)
                check_return(&v, &e, &hw, f.kind == CHECK_PASSED);
        return 0;
}
