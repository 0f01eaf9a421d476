/* SPDX-License-Identifier: BSD-2-Clause */
#include "ref.h"
#include <string.h>
#include "base/x86.h"
#include "nested/checks.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

#define LINK_NONE (~0ull)
#define OWNED_MAX 10 /* docs/nested.md, "Regions" */

struct ref ref;

static const struct expect succeed = { .outcome = DONE, .flags = VM_SUCCEED };
static const struct expect invalid = { .outcome = DONE, .flags = VM_FAIL_INVALID };

void ref_forget(struct ref_vmcs *r)
{
        r->wild = true;
        memset(r->unknown, true, sizeof(r->unknown));
}

void ref_reset(const struct vmx_caps *caps12, const struct guest_mem *mem)
{
        ref = (struct ref){ .caps = caps12, .mem = mem };
        for (unsigned i = 0; i < VMCSS; i++) {
                ref.vmcs[i] = (struct ref_vmcs){ .at = PAGE(P_VMCS + i), .word = CASCADE_VMCS12_REVISION };
                ref_forget(&ref.vmcs[i]);
        }
}

struct ref_vmcs *ref_vmcs_at(uint64_t at)
{
        for (unsigned i = 0; i < VMCSS; i++)
                if (ref.vmcs[i].at == at)
                        return &ref.vmcs[i];
        return NULL;
}

static void set(struct ref_vmcs *r, enum vmcs_field_id id, uint64_t value)
{
        const struct vmcs_field_info f = vmcs_field_at(id);
        vmcs12_write(&r->v, &f, value);
        r->unknown[id] = false;
}

static struct expect fail(enum vmx_insn_error error)
{
        if (!ref.current)
                return invalid;
        set(ref.current, FI_insn_error, error);
        return (struct expect){ .outcome = DONE, .flags = VM_FAIL_VALID };
}

static struct expect fault(uint8_t vector)
{
        return (struct expect){ .outcome = FAULTED, .vector = vector };
}

/* What is wrong with the operand of VMCLEAR or VMPTRLD, in the error numbers of that instruction; or VMX_ERR_NONE. */
static enum vmx_insn_error bad_pointer(uint64_t at, enum vmx_insn_error address, enum vmx_insn_error vmxon)
{
        if (!IS_ALIGNED(at, PAGE_SIZE) || at >> ref.caps->maxphyaddr)
                return address;
        return at == PAGE(P_VMXON) ? vmxon : VMX_ERR_NONE;
}

struct expect ref_vmxon(uint64_t at)
{
        if (ref.vmxon)
                return fail(VMX_ERR_VMXON_IN_ROOT);
        if (at != PAGE(P_VMXON))
                return invalid;
        ref.vmxon = true;
        ref.current = NULL;
        return succeed;
}

struct expect ref_vmxoff(void)
{
        if (!ref.vmxon)
                return fault(VEC_UD);
        ref.vmxon = false;
        ref.current = NULL;
        return succeed;
}

struct expect ref_vmclear(uint64_t at)
{
        if (!ref.vmxon)
                return fault(VEC_UD);
        const enum vmx_insn_error bad = bad_pointer(at, VMX_ERR_VMCLEAR_ADDRESS, VMX_ERR_VMCLEAR_VMXON);
        if (bad)
                return fail(bad);
        struct ref_vmcs *r = ref_vmcs_at(at);
        if (r)
                r->launched = false;
        if (r && ref.current == r)
                ref.current = NULL;
        return succeed;
}

struct expect ref_vmptrld(uint64_t at)
{
        if (!ref.vmxon)
                return fault(VEC_UD);
        const enum vmx_insn_error bad = bad_pointer(at, VMX_ERR_VMPTRLD_ADDRESS, VMX_ERR_VMPTRLD_VMXON);
        if (bad)
                return fail(bad);
        struct ref_vmcs *r = ref_vmcs_at(at);
        const uint32_t shadow = ref.caps->proc2.may1 & PROC2_SHADOW ? VMCS_REVISION_SHADOW : 0;
        if (!r || (r->word & ~shadow) != CASCADE_VMCS12_REVISION)
                return fail(VMX_ERR_VMPTRLD_REVISION);
        ref.current = r;
        return succeed;
}

struct expect ref_vmptrst(uint64_t *at)
{
        *at = ref.current ? ref.current->at : ~0ull;
        return ref.vmxon ? succeed : fault(VEC_UD);
}

static bool field_find(uint64_t enc, struct vmcs_field_info *f)
{
        return vmcs_field_find(enc, f) && vmcs_field_exists(f, ref.caps);
}

struct expect ref_vmread(uint64_t enc, uint64_t *value, bool *known)
{
        struct vmcs_field_info f;
        *known = false;
        if (!ref.vmxon)
                return fault(VEC_UD);
        if (!ref.current)
                return invalid;
        if (!field_find(enc, &f))
                return fail(VMX_ERR_BAD_COMPONENT);
        *value = vmcs12_read(&ref.current->v, &f);
        *known = !ref.current->wild && !ref.current->unknown[f.id];
        return succeed;
}

struct expect ref_vmwrite(uint64_t enc, uint64_t value)
{
        struct vmcs_field_info f;
        if (!ref.vmxon)
                return fault(VEC_UD);
        if (!ref.current)
                return invalid;
        if (!field_find(enc, &f))
                return fail(VMX_ERR_BAD_COMPONENT);
        if (f.type == TYPE_READ_ONLY && !(ref.caps->misc & MISC_VMWRITE_ANY))
                return fail(VMX_ERR_VMWRITE_READ_ONLY);
        vmcs12_write(&ref.current->v, &f, value);
        ref.current->unknown[f.id] &= f.high;
        return succeed;
}

static bool eptp_ok(uint64_t eptp)
{
        const uint64_t type = GET(eptp, EPTP_MEMTYPE);
        return (type == MEMTYPE_UC || type == MEMTYPE_WB) && GET(eptp, EPTP_WALK) == EPTP_WALK4 &&
               !(eptp & EPTP_RESERVED) && !(eptp >> ref.caps->maxphyaddr) &&
               (!(eptp & EPTP_AD) || (ref.caps->ept_vpid & EPTCAP_AD));
}

struct expect ref_invept(uint64_t type, uint64_t eptp, uint64_t reserved)
{
        if (!ref.vmxon)
                return fault(VEC_UD);
        if (type == INVEPT_ALL && (ref.caps->ept_vpid & EPTCAP_INVEPT_ALL))
                return succeed;
        if (type == INVEPT_SINGLE && (ref.caps->ept_vpid & EPTCAP_INVEPT_SINGLE) && eptp_ok(eptp))
                return succeed;
        return fail(VMX_ERR_INV_OPERAND);
}

struct expect ref_invvpid(uint64_t type, uint64_t first, uint64_t linear)
{
        if (!ref.vmxon || !(ref.caps->proc2.may1 & PROC2_VPID))
                return fault(VEC_UD);
        if (type > INVVPID_GLOBAL || !(ref.caps->ept_vpid & (EPTCAP_INVVPID_ADDR << type)) || first >> 16 ||
            (type != INVVPID_ALL && !(first & UINT16_MAX)) ||
            (type == INVVPID_ADDR && !is_canonical(linear, LINEAR_BITS)))
                return fail(VMX_ERR_INV_OPERAND);
        return succeed;
}

bool ref_own(uint64_t at)
{
        struct ref_vmcs *r = ref_vmcs_at(at);
        if (!ref.vmxon || ref.in_l2 || !r || (!r->owned && ref.owned >= OWNED_MAX))
                return false;
        ref.owned += !r->owned;
        r->owned = true;
        return true;
}

bool ref_switch(uint64_t clear, uint64_t load)
{
        struct ref_vmcs *c = ref_vmcs_at(clear), *l = ref_vmcs_at(load);
        if (!ref.vmxon || ref.in_l2 || !c || !l || !c->owned || !l->owned ||
            (l->word & ~VMCS_REVISION_SHADOW) != CASCADE_VMCS12_REVISION)
                return false;
        c->launched = false;
        ref.current = l;
        return true;
}

/* --- VM entry and exit --- */

static struct expect failed_as_exit(uint32_t reason, uint64_t qualification)
{
        /* SDM 3C "VM-Entry Failures During or After Loading Guest State": nothing else of the exit
         * information changes. */
        set(ref.current, FI_exit_reason, reason | EXIT_REASON_ENTRY_FAIL);
        set(ref.current, FI_exit_qualification, qualification);
        return (struct expect){ .outcome = LEFT };
}

static struct check_fail all_checks(const struct ref_vmcs *r)
{
        const struct check_env env = { .caps = ref.caps, .mem = ref.mem, .current = L1GPA(r->at), .lma = true };
        struct check_fail f = check_controls(&r->v, &env);
        if (f.kind == CHECK_PASSED)
                f = check_host(&r->v, &env);
        if (f.kind == CHECK_PASSED)
                f = check_guest(&r->v, &env);
        return f;
}

bool ref_would_enter(void)
{
        return all_checks(ref.current).kind == CHECK_PASSED && ref.current->v.entry_msr_load_count <= MSR_LIST_GOOD;
}

struct expect ref_enter(bool launch)
{
        struct ref_vmcs *r = ref.current;
        if (!ref.vmxon)
                return fault(VEC_UD);
        if (!r || (r->word & VMCS_REVISION_SHADOW))
                return invalid;
        if (launch && r->launched)
                return fail(VMX_ERR_VMLAUNCH_NOT_CLEAR);
        if (!launch && !r->launched)
                return fail(VMX_ERR_VMRESUME_NOT_LAUNCHED);
        const struct check_fail f = all_checks(r);
        if (f.kind == CHECK_VM_FAIL)
                return fail(f.code);
        if (f.kind != CHECK_PASSED)
                return failed_as_exit(EXIT_ENTRY_GUEST_STATE, f.code);
        if (r->v.entry_msr_load_count > MSR_LIST_GOOD)
                return failed_as_exit(EXIT_ENTRY_MSR_LOAD, MSR_LIST_GOOD + 1);
        r->launched = true;
        ref.in_l2 = true;
        ref.timer_left = r->v.guest_preemption_timer;
        return (struct expect){ .outcome = LEFT };
}

static void save_guest(struct ref_vmcs *r, const struct vmcs12 *now)
{
#define FIELD(name, enc, width, home, shadow, needs)                                                                   \
        if (GET(enc, FIELD_ENC_TYPE) == TYPE_GUEST && HOME_##home == HOME_HW)                                          \
                r->v.name = now->name;
        const struct vmcs12 before = r->v;
#include "vmx/fields.def"
#undef FIELD
        if (!(before.exit_ctls & EXIT_CTL_SAVE_EFER))
                r->v.guest_efer = before.guest_efer;
        if (!(before.exit_ctls & EXIT_CTL_SAVE_PAT))
                r->v.guest_pat = before.guest_pat;
        if (!(before.exit_ctls & EXIT_CTL_SAVE_DEBUG)) {
                r->v.guest_debugctl = before.guest_debugctl;
                r->v.guest_dr7 = before.guest_dr7;
        }
        const bool saves =
                (before.pin_ctls & PIN_PREEMPTION_TIMER) && (before.exit_ctls & EXIT_CTL_SAVE_PREEMPTION_TIMER);
        r->v.guest_preemption_timer = saves ? (uint32_t)ref.timer_left : before.guest_preemption_timer;
        r->v.entry_intr_info &= ~INTR_VALID;
        r->v.entry_ctls |= ENTRY_CTL_GUEST_64; /* the tests' guests never leave IA-32e mode */
}

void ref_exit(const struct model_exit *x, const struct vmcs12 *now)
{
        struct ref_vmcs *r = ref.current;
        save_guest(r, now);
        set(r, FI_exit_reason, x->reason);
        set(r, FI_exit_qualification, x->qualification);
        set(r, FI_exit_intr_info, x->intr_info);
        set(r, FI_idt_vec_info, x->idt_info);
        set(r, FI_guest_linear, x->linear);
        set(r, FI_guest_physical, x->physical);
        set(r, FI_idt_vec_error, x->idt_error);
        r->unknown[FI_guest_linear] = !(x->defined & EXIT_HAS_LINEAR);
        r->unknown[FI_guest_physical] = !(x->defined & EXIT_HAS_PHYSICAL);
        r->unknown[FI_idt_vec_error] = !(x->idt_info & INTR_ERROR_VALID);
        set(r, FI_exit_insn_len, x->insn_len);
        set(r, FI_exit_insn_info, x->insn_info);
        r->unknown[FI_exit_insn_len] = !(x->defined & EXIT_HAS_LENGTH);
        r->unknown[FI_exit_insn_info] = !(x->defined & EXIT_HAS_INSN);
        r->unknown[FI_exit_intr_error] = true;
        r->unknown[FI_io_rcx] = r->unknown[FI_io_rsi] = r->unknown[FI_io_rdi] = r->unknown[FI_io_rip] = true;
        ref.in_l2 = false;
}

enum ref_l2_field ref_field_of_l2(uint64_t enc, bool write, struct ref_vmcs **link)
{
        const struct vmcs12 *v = &ref.current->v;
        if (!(vmcs12_proc2(v) & PROC2_SHADOW) || (enc & ~BITS(14, 0)))
                return L2_FIELD_EXITS;
        const uint8_t *bits = guest_mem_at(ref.mem, L1GPA(write ? v->vmwrite_bitmap : v->vmread_bitmap), PAGE_SIZE);
        if (bits[enc / 8] >> enc % 8 & 1)
                return L2_FIELD_EXITS;
        *link = v->vmcs_link == LINK_NONE ? NULL : ref_vmcs_at(v->vmcs_link);
        return *link ? L2_FIELD_LINKED : L2_FIELD_INVALID;
}
