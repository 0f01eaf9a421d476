/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMX instructions of the guest, each after its pseudocode in SDM 3C chapter "VMX Instruction Reference".
 * The processor has already raised #UD for a wrong mode before the exit; CPL and operands are left to us. */
#include "base/bits.h"
#include "base/libc.h"
#include "base/x86.h"
#include "hw/vmx_ops.h"
#include "nested/checks_rules.h"
#include "nested/entry.h"
#include "nested/operand.h"
#include "nested/region.h"
#include "vmx/ctl.h"
#include "vmx/feature_control.h"
#include "vmx/root.h"

/* One instruction being emulated. */
struct insn {
        struct nested *n;
        struct vcpu *v;
        const struct exit_info *x;
        struct region12 *vmcs; /* what VMREAD and VMWRITE access and failures are reported in; NULL: none */
        void (*view_fill)(void *ctx, struct guest_view *out);
        void *view_ctx;
        bool view_valid;
        struct guest_view view;
        struct operand_env env;
        struct insn_result fault; /* set when an operand faults */
};

static const struct insn_result succeed = { .outcome = INSN_SUCCEED };
static const struct insn_result fail_invalid = { .outcome = INSN_FAIL_INVALID };

static struct insn_result raise(uint8_t vector, bool has_error)
{
        return (struct insn_result){ .outcome = INSN_FAULT, .fault = { .vector = vector, .has_error_code = has_error } };
}

/* SDM 3C "Conventions": VMfail is VMfailValid with an error number if there is a current VMCS. */
static struct insn_result vm_fail(struct insn *i, enum vmx_insn_error error)
{
        if (!i->vmcs)
                return fail_invalid;
        const struct vmcs_field_info f = vmcs_field_at(FI_insn_error);
        region12_write(i->n, i->v, i->vmcs, &f, error);
        return (struct insn_result){ .outcome = INSN_FAIL_VALID, .error = error };
}

/* --- operands --- */

static void fill_view(struct insn *i)
{
        if (i->view_valid)
                return;
        i->view_fill(i->view_ctx, &i->view);
        i->view_valid = true;
        i->env.gprs = &i->v->gprs;
        i->v->gprs.r[GPR_RSP] = vmread(F_guest_rsp);
        for (unsigned s = 0; s < NR_SEG_REGS; s++) {
                i->env.seg[s].base = i->view.seg[s].base;
                i->env.seg[s].limit = i->view.seg[s].limit;
                i->env.seg[s].ar = i->view.seg[s].ar;
        }
        i->env.mode64 = i->view.mode_bits == 64;
        i->env.linear_bits = i->v->hw->linear_bits;
}

static bool operand_faulted(struct insn *i, const struct vmx_operand *o)
{
        if (o->fault != OPERAND_OK)
                i->fault = raise(o->fault == OPERAND_SS ? VEC_SS : VEC_GP, true);
        return o->fault != OPERAND_OK;
}

/* A page walk that failed: #PF, or memory that is not RAM. The latter reads as all ones and drops writes. */
static bool access_faulted(struct insn *i, const struct gva_result *g)
{
        if (g->status == GVA_NOT_RAM)
                return false;
        i->fault = raise(g->status == GVA_PAGE_FAULT ? VEC_PF : VEC_GP, true);
        i->fault.fault.error_code = g->status == GVA_PAGE_FAULT ? g->error_code : 0;
        i->fault.fault.cr2 = g->linear;
        return true;
}

static bool read_operand(struct insn *i, void *out, uint8_t bytes)
{
        fill_view(i);
        const struct operand_use use = { .bytes = bytes };
        const struct vmx_operand o = operand_decode(i->x->insn_info, i->x->qualification, use, &i->env);
        struct gva_result g;
        if (operand_faulted(i, &o))
                return false;
        memset(out, 0xff, bytes);
        return guest_read_linear(&i->v->mem, &i->view.paging, o.linear, out, bytes, ACCESS_SET_AD, &g) ||
               !access_faulted(i, &g);
}

static bool write_memory(struct insn *i, const struct vmx_operand *o, const void *bytes, uint8_t n)
{
        struct gva_result g;
        return guest_write_linear(&i->v->mem, &i->view.paging, o->linear, bytes, n, ACCESS_SET_AD, &g) ||
               !access_faulted(i, &g);
}

/* The mode decides how wide register operands are: 64-bit mode needs EFER.LMA and CS.L. */
static bool mode64(void)
{
        return (vmread(F_guest_efer) & EFER_LMA) && (vmread(F_guest_cs_ar) & AR_L);
}

static uint64_t reg_value(struct insn *i, enum gpr reg)
{
        if (reg == GPR_RSP)
                return vmread(F_guest_rsp);
        return mode64() ? i->v->gprs.r[reg] : (uint32_t)i->v->gprs.r[reg];
}

static void set_reg(struct insn *i, enum gpr reg, uint64_t value)
{
        const uint64_t sized = mode64() ? value : (uint32_t)value;
        if (reg == GPR_RSP)
                vmwrite(F_guest_rsp, sized);
        else
                i->v->gprs.r[reg] = sized;
}

/* A VMCS or VMXON pointer: page-aligned and within the physical-address width. */
static bool pointer_ok(const struct insn *i, uint64_t at)
{
        return IS_ALIGNED(at, PAGE_SIZE) && (at >> i->n->caps12.maxphyaddr) == 0;
}

static uint32_t revision_at(const struct insn *i, uint64_t at)
{
        const uint32_t *word = guest_mem_at(&i->v->mem, L1GPA(at), PAGE_SIZE);
        return word ? __atomic_load_n(word, __ATOMIC_RELAXED) : UINT32_MAX;
}

/* --- the instructions --- */

static void set_shadowing(struct insn *i, bool on)
{
        if (!i->n->shadowing)
                return;
        const uint64_t ctls = ctl_read(i->v, proc2_ctls);
        ctl_write(i->v, proc2_ctls, on ? ctls | PROC2_SHADOW : ctls & ~(uint64_t)PROC2_SHADOW);
        region12_link(i->n, i->v);
}

static struct insn_result vmxon(struct insn *i)
{
        struct nested *n = i->n;
        uint64_t at;
        if (n->vmxon)
                return vm_fail(i, VMX_ERR_VMXON_IN_ROOT);
        uint64_t feature_control;
        if ((ctl_guest_cr0(i->v) & n->caps12.cr0_fixed0) != n->caps12.cr0_fixed0 ||
            !n->msr.read(n->msr.ctx, MSR_FEATURE_CONTROL, &feature_control) || !feature_control_allows_vmxon(feature_control))
                return raise(VEC_GP, true);
        if (!read_operand(i, &at, sizeof(at)))
                return i->fault;
        if (!pointer_ok(i, at) || revision_at(i, at) != CASCADE_VMCS12_REVISION)
                return fail_invalid;
        n->vmxon = true;
        n->vmxon_at = L1GPA(at);
        n->current = NULL;
        set_shadowing(i, true);
        return succeed;
}

static struct insn_result vmxoff(struct insn *i)
{
        i->n->vmxon = false;
        i->n->current = NULL; /* first: without shadowing the link pointer must name no shadow VMCS */
        set_shadowing(i, false);
        return succeed;
}

static struct insn_result vmclear(struct insn *i)
{
        struct nested *n = i->n;
        uint64_t at;
        if (!read_operand(i, &at, sizeof(at)))
                return i->fault;
        if (!pointer_ok(i, at))
                return vm_fail(i, VMX_ERR_VMCLEAR_ADDRESS);
        if (at == n->vmxon_at.raw)
                return vm_fail(i, VMX_ERR_VMCLEAR_VMXON);
        struct region12 *r = region12_find(n, L1GPA(at));
        if (r) {
                r->v.launched = 0;
                if (!r->owned)
                        region12_drop(n, i->v, r);
                if (n->current == r) {
                        n->current = NULL;
                        region12_link(n, i->v);
                }
        } else {
                uint32_t *image = guest_mem_at(&i->v->mem, L1GPA(at), PAGE_SIZE);
                if (image)
                        image[offsetof(struct vmcs12, launched) / sizeof(*image)] = 0;
        }
        return succeed;
}

static struct insn_result vmptrld(struct insn *i)
{
        struct nested *n = i->n;
        uint64_t at;
        if (!read_operand(i, &at, sizeof(at)))
                return i->fault;
        if (!pointer_ok(i, at))
                return vm_fail(i, VMX_ERR_VMPTRLD_ADDRESS);
        if (at == n->vmxon_at.raw)
                return vm_fail(i, VMX_ERR_VMPTRLD_VMXON);
        const uint32_t revision = revision_at(i, at);
        const bool shadow_ok = n->caps12.proc2.may1 & PROC2_SHADOW;
        if ((revision & ~(shadow_ok ? VMCS_REVISION_SHADOW : 0)) != CASCADE_VMCS12_REVISION)
                return vm_fail(i, VMX_ERR_VMPTRLD_REVISION);
        n->current = region12_load(n, i->v, L1GPA(at));
        n->current->v.revision = revision; /* the indicator may have been changed since VMCLEAR */
        region12_link(n, i->v);
        return succeed;
}

static struct insn_result vmptrst(struct insn *i)
{
        const uint64_t at = i->n->current ? i->n->current->at.raw : ~0ull;
        fill_view(i);
        const struct operand_use use = { .bytes = sizeof(at), .write = true };
        const struct vmx_operand o = operand_decode(i->x->insn_info, i->x->qualification, use, &i->env);
        if (operand_faulted(i, &o) || !write_memory(i, &o, &at, sizeof(at)))
                return i->fault;
        return succeed;
}

static bool field_find(const struct insn *i, uint64_t enc, struct vmcs_field_info *f)
{
        return vmcs_field_find(enc, f) && vmcs_field_exists(f, &i->n->caps12);
}

static struct insn_result vmread_insn(struct insn *i)
{
        struct region12 *r = i->vmcs;
        if (!r)
                return fail_invalid;
        struct vmcs_field_info f;
        const bool in_reg = i->x->insn_info & INSN_IS_REG;
        if (!field_find(i, reg_value(i, operand_reg2(i->x->insn_info)), &f))
                return vm_fail(i, VMX_ERR_BAD_COMPONENT);
        if (in_reg) {
                set_reg(i, (enum gpr)GET(i->x->insn_info, INSN_REG1), region12_read(i->n, i->v, r, &f));
                return succeed;
        }
        fill_view(i);
        const struct operand_use use = { .bytes = i->env.mode64 ? 8 : 4, .write = true, .can_be_reg = true };
        const struct vmx_operand o = operand_decode(i->x->insn_info, i->x->qualification, use, &i->env);
        if (operand_faulted(i, &o))
                return i->fault;
        const uint64_t value = region12_read(i->n, i->v, r, &f);
        return write_memory(i, &o, &value, use.bytes) ? succeed : i->fault;
}

static struct insn_result vmwrite_insn(struct insn *i)
{
        struct region12 *r = i->vmcs;
        if (!r)
                return fail_invalid;
        uint64_t value = 0;
        if (i->x->insn_info & INSN_IS_REG) {
                value = reg_value(i, (enum gpr)GET(i->x->insn_info, INSN_REG1));
        } else {
                fill_view(i);
                if (!read_operand(i, &value, i->env.mode64 ? 8 : 4))
                        return i->fault;
                if (!i->env.mode64)
                        value = (uint32_t)value;
        }
        struct vmcs_field_info f;
        if (!field_find(i, reg_value(i, operand_reg2(i->x->insn_info)), &f))
                return vm_fail(i, VMX_ERR_BAD_COMPONENT);
        if (f.type == TYPE_READ_ONLY && !(i->n->caps12.misc & MISC_VMWRITE_ANY))
                return vm_fail(i, VMX_ERR_VMWRITE_READ_ONLY);
        region12_write(i->n, i->v, r, &f, value);
        return succeed;
}

static struct insn_result invept(struct insn *i)
{
        const uint64_t type = reg_value(i, operand_reg2(i->x->insn_info)), cap = i->n->caps12.ept_vpid;
        struct invept_desc d;
        if (!(i->n->caps12.proc2.may1 & PROC2_EPT) || !(cap & EPTCAP_INVEPT))
                return raise(VEC_UD, false);
        if (!(type == INVEPT_SINGLE && (cap & EPTCAP_INVEPT_SINGLE)) && !(type == INVEPT_ALL && (cap & EPTCAP_INVEPT_ALL)))
                return vm_fail(i, VMX_ERR_INV_OPERAND);
        if (!read_operand(i, &d, sizeof(d)))
                return i->fault;
        if (type == INVEPT_SINGLE && !eptp_ok(&i->n->caps12, d.eptp))
                return vm_fail(i, VMX_ERR_INV_OPERAND);
        if (type == INVEPT_ALL)
                ept02_invalidate_all(&i->n->ept02);
        else
                ept02_invalidate(&i->n->ept02, d.eptp);
        return succeed;
}

static struct insn_result invvpid(struct insn *i)
{
        const uint64_t type = reg_value(i, operand_reg2(i->x->insn_info)), cap = i->n->caps12.ept_vpid;
        struct invvpid_desc d;
        if (!(i->n->caps12.proc2.may1 & PROC2_VPID) || !(cap & EPTCAP_INVVPID))
                return raise(VEC_UD, false);
        if (type > INVVPID_GLOBAL || !(cap & (EPTCAP_INVVPID_ADDR << type)))
                return vm_fail(i, VMX_ERR_INV_OPERAND);
        if (!read_operand(i, &d, sizeof(d)))
                return i->fault;
        if (d.reserved[0] | d.reserved[1] | d.reserved[2])
                return vm_fail(i, VMX_ERR_INV_OPERAND);
        if (type != INVVPID_ALL && d.vpid == 0)
                return vm_fail(i, VMX_ERR_INV_OPERAND);
        if (type == INVVPID_ADDR && !canonical(&i->n->caps12, d.linear))
                return vm_fail(i, VMX_ERR_INV_OPERAND);
        /* VPID02 holds the translations of one VPID12 at a time: whatever was asked for is gone after this. */
        vpid_flush(i->v->hw, VPID02);
        return succeed;
}

static struct insn_result vmcall(struct insn *i)
{
        return vm_fail(i, VMX_ERR_VMCALL_IN_ROOT);
}

static struct insn_result vmlaunch(struct insn *i)
{
        return nested_enter(i->n, i->v, true);
}

static struct insn_result vmresume(struct insn *i)
{
        return nested_enter(i->n, i->v, false);
}

static struct insn_result (*const emulate[EXIT_REASON_COUNT])(struct insn *) = {
        [EXIT_VMCALL] = vmcall,       [EXIT_VMCLEAR] = vmclear,     [EXIT_VMLAUNCH] = vmlaunch, [EXIT_VMPTRLD] = vmptrld,
        [EXIT_VMPTRST] = vmptrst,     [EXIT_VMREAD] = vmread_insn,  [EXIT_VMRESUME] = vmresume, [EXIT_VMWRITE] = vmwrite_insn,
        [EXIT_VMXOFF] = vmxoff,       [EXIT_VMXON] = vmxon,         [EXIT_INVEPT] = invept,     [EXIT_INVVPID] = invvpid,
};

struct insn_result nested_insn(struct nested *n, struct vcpu *v, const struct exit_info *x,
                               void (*view)(void *ctx, struct guest_view *out), void *ctx)
{
        const uint32_t reason = (uint32_t)GET(x->reason, EXIT_REASON_BASIC);
        const bool is_vmxon = reason == EXIT_VMXON;
        if (!n->enabled || (is_vmxon ? !(ctl_guest_cr4(v) & CR4_VMXE) : !n->vmxon))
                return raise(VEC_UD, false);
        if (GET(vmread(F_guest_ss_ar), AR_DPL) != 0)
                return raise(VEC_GP, true);
        struct insn i; /* not cleared: the view alone is half a kilobyte, and most instructions do not need it */
        i.n = n;
        i.v = v;
        i.x = x;
        i.vmcs = n->in_l2 ? region12_linked(n) : n->current;
        i.view_fill = view;
        i.view_ctx = ctx;
        i.view_valid = false;
        return emulate[reason](&i);
}
