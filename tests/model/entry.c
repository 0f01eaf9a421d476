/* SPDX-License-Identifier: BSD-2-Clause */
/* VM entries and VM exits: SDM 3C chapters "VM Entries" and "VM Exits", as far as a hypervisor can tell. */
#include <string.h>
#include "hw/cpu.h"
#include "hw/vmx_ops.h"
#include "nested/checks.h"
#include "processor.h"
#include "vmx/controls.h"
#include "vmx/epte.h"

#define LINK_NONE (~0ull)

const uint8_t vmx_exit_point[1];

/* In place of src/vmx/enter.S, which is only ever called by the boot code and for refused entries. */
void vmx_enter(struct vcpu *v, enum entry_insn how)
{
        model_fault("a VM entry that the processor refused is tried again");
}

/* --- checks --- */

static void refuse(const struct check_fail *f)
{
        MODEL_REQUIRE(f->kind == CHECK_PASSED, "VM entry of %s fails: %s (SDM 3C \"%s\")",
                      cpu.current->region == cpu.run->v.vmcs01.region.raw ? "vmcs01" : "vmcs02", check_name(f->id),
                      check_sdm(f->id));
}

/* The rows that src/nested checks vmcs12 by, here with the processor's own capabilities for a VMCS of ours.
 * Those that read memory are made below. */
static void check_rows(const struct vmcs12 *v)
{
        struct vmcs12 copy = *v;
        const struct guest_mem none = { 0 };
        const struct check_env env = {
                .caps = &cpu.caps, .mem = &none, .current = L1GPA(cpu.current->region), .lma = true
        };
        copy.vmcs_link = LINK_NONE;
        struct check_fail f = check_controls(&copy, &env);
        refuse(&f);
        f = check_host(&copy, &env);
        refuse(&f);
        f = check_guest(&copy, &env);
        refuse(&f);
}

static void check_page(const char *what, bool used, uint64_t at)
{
        MODEL_REQUIRE(!used || (IS_ALIGNED(at, PAGE_SIZE) && model_owns(at, PAGE_SIZE)), "VM entry with %s at %#llx",
                      what, (unsigned long long)at);
}

/* Addresses that the processor will use must be memory of the hypervisor's. */
static void check_pages(const struct vmcs12 *v)
{
        const uint32_t proc2 = vmcs12_proc2(v);
        check_page("the MSR bitmap", v->proc_ctls & PROC_MSR_BITMAPS, v->msr_bitmap);
        check_page("I/O bitmap A", v->proc_ctls & PROC_IO_BITMAPS, v->io_bitmap_a);
        check_page("I/O bitmap B", v->proc_ctls & PROC_IO_BITMAPS, v->io_bitmap_b);
        check_page("the VMREAD bitmap", proc2 & PROC2_SHADOW, v->vmread_bitmap);
        check_page("the VMWRITE bitmap", proc2 & PROC2_SHADOW, v->vmwrite_bitmap);
        check_page("the EPT", proc2 & PROC2_EPT, v->eptp & EPTP_ADDR);
        MODEL_REQUIRE(!v->entry_msr_load_count && !v->exit_msr_load_count && !v->exit_msr_store_count,
                      "VM entry with MSR lists, which the model does not have");
}

/* What an exit will load is what the hypervisor runs with now. */
static void check_host_state(const struct vmcs12 *v)
{
        MODEL_REQUIRE(v->host_rip == (uint64_t)vmx_exit_point &&
                              v->host_rsp == (uint64_t)&cpu.run->v + sizeof(struct gprs),
                      "an exit would not arrive at the exit point");
        MODEL_REQUIRE(v->host_cr0 == cpu.cr0 && v->host_cr3 == cpu.cr3 && v->host_cr4 == cpu.cr4,
                      "an exit would change the hypervisor's control registers");
        MODEL_REQUIRE(!(v->exit_ctls & EXIT_CTL_LOAD_EFER) || v->host_efer == cpu.root.efer,
                      "an exit would change EFER");
        MODEL_REQUIRE(!(v->exit_ctls & EXIT_CTL_LOAD_PAT) || v->host_pat == cpu.root.pat,
                      "an exit would change the PAT");
        MODEL_REQUIRE(v->host_gs_base == (uint64_t)hw_gs_self(), "an exit would change GS");
}

/* SDM 3C "Checks on Guest Non-Register State": the link pointer. With VMCS shadowing the VMCS that it names
 * becomes active. */
static void check_link(const struct vmcs12 *v)
{
        if (v->vmcs_link == LINK_NONE)
                return;
        const bool shadowing = vmcs12_proc2(v) & PROC2_SHADOW;
        check_page("the link pointer", true, v->vmcs_link);
        const uint32_t word = *(const uint32_t *)ptr_of(HPA(v->vmcs_link));
        MODEL_REQUIRE(word == (GET(cpu.caps.basic, BASIC_REVISION) | (shadowing ? VMCS_REVISION_SHADOW : 0)),
                      "VM entry with a link pointer to a VMCS that begins with %#x", word);
        MODEL_REQUIRE(v->vmcs_link != cpu.current->region, "VM entry with a link pointer to the current VMCS");
        if (shadowing)
                vmcs_activate(v->vmcs_link);
}

/* --- entry --- */

static void load_msrs(const struct vmcs12 *v)
{
        if (v->entry_ctls & ENTRY_CTL_LOAD_EFER)
                cpu.now.efer = v->guest_efer;
        if (v->entry_ctls & ENTRY_CTL_LOAD_PAT)
                cpu.now.pat = v->guest_pat;
        if (v->entry_ctls & ENTRY_CTL_LOAD_DEBUG) {
                cpu.now.debugctl = v->guest_debugctl;
                cpu.now.dr7 = v->guest_dr7;
        }
}

/* SDM 3C "Operations that Invalidate Cached Mappings": without VPIDs, transitions invalidate those of VPID 0.
 */
static void flush_if_no_vpid(const struct vmcs12 *v)
{
        if (!(vmcs12_proc2(v) & PROC2_VPID))
                tlb_drop_vpid(0);
}

static void enter(enum entry_insn how)
{
        struct cached_vmcs *c = cpu.current;
        MODEL_REQUIRE(c, "VM entry without a current VMCS");
        MODEL_REQUIRE(!(c->word & VMCS_REVISION_SHADOW), "VM entry with a shadow VMCS");
        MODEL_REQUIRE(c->launched == (how == ENTER_RESUME), how == ENTER_LAUNCH
                                                                    ? "VMLAUNCH with a VMCS that is not clear"
                                                                    : "VMRESUME with a VMCS that is not launched");
        check_rows(&c->v);
        check_pages(&c->v);
        check_host_state(&c->v);
        check_link(&c->v);
        c->launched = true;
        flush_if_no_vpid(&c->v);
        load_msrs(&c->v);
        cpu.gprs = cpu.run->v.gprs;
        cpu.delivered = c->v.entry_intr_info & INTR_VALID ? c->v.entry_intr_info : 0;
        cpu.delivered_error = c->v.entry_error_code;
        cpu.in_guest = true;
        cpu.count.entries02 += c->region != cpu.run->v.vmcs01.region.raw;
}

/* --- exit --- */

static uint64_t garbage(void)
{
        return rng_any(&cpu.rng);
}

/* Exit information: undefined where the exit does not define it. */
static void write_information(struct vmcs12 *v, const struct model_exit *x)
{
        v->exit_reason = x->reason;
        v->exit_qualification = x->qualification;
        v->exit_intr_info = x->intr_info;
        v->exit_intr_error = x->intr_info & INTR_ERROR_VALID ? x->intr_error : (uint32_t)garbage();
        v->idt_vec_info = x->idt_info;
        v->idt_vec_error = x->idt_info & INTR_ERROR_VALID ? x->idt_error : (uint32_t)garbage();
        v->exit_insn_len = x->defined & EXIT_HAS_LENGTH ? x->insn_len : (uint32_t)garbage();
        v->exit_insn_info = x->defined & EXIT_HAS_INSN ? x->insn_info : (uint32_t)garbage();
        v->guest_linear = x->defined & EXIT_HAS_LINEAR ? x->linear : garbage();
        v->guest_physical = x->defined & EXIT_HAS_PHYSICAL ? x->physical : garbage();
        v->io_rcx = garbage();
        v->io_rsi = garbage();
        v->io_rdi = garbage();
        v->io_rip = garbage();
}

static void save_state(struct vmcs12 *v)
{
        if (v->exit_ctls & EXIT_CTL_SAVE_EFER)
                v->guest_efer = cpu.now.efer;
        if (v->exit_ctls & EXIT_CTL_SAVE_PAT)
                v->guest_pat = cpu.now.pat;
        if (v->exit_ctls & EXIT_CTL_SAVE_DEBUG) {
                v->guest_debugctl = cpu.now.debugctl;
                v->guest_dr7 = cpu.now.dr7;
        }
        v->entry_ctls = (v->entry_ctls & ~ENTRY_CTL_GUEST_64) | (cpu.now.efer & EFER_LMA ? ENTRY_CTL_GUEST_64 : 0);
        v->entry_intr_info &= ~INTR_VALID;
}

static void leave(const struct model_exit *x)
{
        struct vmcs12 *v = &cpu.current->v;
        write_information(v, x);
        save_state(v);
        flush_if_no_vpid(v);
        if (v->exit_ctls & EXIT_CTL_LOAD_EFER)
                cpu.now.efer = v->host_efer;
        if (v->exit_ctls & EXIT_CTL_LOAD_PAT)
                cpu.now.pat = v->host_pat;
        cpu.now.debugctl = 0;
        cpu.in_guest = false;
        cpu.count.exits++;
        cpu.last = *x;
        cpu.run->v.gprs = cpu.gprs;
        cpu.run->v.gprs.r[GPR_RSP] = garbage(); /* its slot: enter.S leaves RAX there */
}

void model_exit(const struct model_exit *x)
{
        leave(x);
        enter((enum entry_insn)run_exit(&cpu.run->v));
}

void model_start(struct run *r)
{
        cpu.run = r;
        r->v.current->launched = true;
        enter(ENTER_LAUNCH);
}
