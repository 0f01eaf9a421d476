/* SPDX-License-Identifier: BSD-2-Clause */
/* The run loop: one call of run_exit() per hardware exit. */
#include "run/run.h"
#include "base/bits.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "hw/vmx_ops.h"
#include "nested/route.h"
#include "run/activity.h"
#include "run/devices.h"
#include "run/exits.h"
#include "run/inject.h"
#include "run/mtf.h"
#include "run/view.h"
#include "vmx/controls.h"
#include "vmx/cpu_local.h"
#include "vmx/fields.h"

/* --- exits that need little --- */

void exit_cpuid(struct run *r, const struct exit_info *x)
{
        uint64_t *g = r->v.gprs.r;
        const struct cpuid_regs c =
                cpuid_answer(&r->cpuid, (uint32_t)g[GPR_RAX], (uint32_t)g[GPR_RCX], vmread(F_guest_cr4));
        g[GPR_RAX] = c.eax;
        g[GPR_RBX] = c.ebx;
        g[GPR_RCX] = c.ecx;
        g[GPR_RDX] = c.edx;
        skip_instruction(r);
}

/* SDM 2D "XSETBV": what the processor would refuse. The guest runs with the value itself. */
void exit_xsetbv(struct run *r, const struct exit_info *x)
{
        const uint64_t value = (uint32_t)r->v.gprs.r[GPR_RAX] | r->v.gprs.r[GPR_RDX] << 32;
        const struct cpuid_regs can = r->cpuid.basic[0xd][0];
        const uint64_t supported = can.eax | (uint64_t)can.edx << 32;
        const uint64_t avx512 = BITS(7, 5), mpx = BITS(4, 3), amx = BITS(18, 17);
        const bool ok = (uint32_t)r->v.gprs.r[GPR_RCX] == 0 && GET(vmread(F_guest_ss_ar), AR_DPL) == 0 && (value & 1) &&
                        !(value & ~supported) && !((value & BIT(2)) && !(value & BIT(1))) &&
                        !((value & avx512) && ((value & avx512) != avx512 || !(value & BIT(2)))) &&
                        ((value & mpx) == 0 || (value & mpx) == mpx) && ((value & amx) == 0 || (value & amx) == amx);
        if (!ok) {
                inject_gp0(r);
                return;
        }
        hw_xsetbv(0, value);
        cpuid_refresh_xsave(&r->cpuid, &r->cpuid_config, hw_cpuid);
        skip_instruction(r);
}

static void exit_undefined(struct run *r, const struct exit_info *x)
{
        inject_ud(r); /* an instruction of a feature that CPUID does not announce */
}

static void exit_refused(struct run *r, const struct exit_info *x)
{
        inject_gp0(r); /* RDPMC: there are no counters */
}

static void exit_nothing(struct run *r, const struct exit_info *x)
{
        /* Windows and the timer: prepare_entry() does what is due. */
}

static void exit_window(struct run *r, const struct exit_info *x)
{
        close_windows(r);
}

/* Only while a window is open (run/inject.c), or for a guest's guest: the halt itself is the processor's. */
static void exit_hlt(struct run *r, const struct exit_info *x)
{
        skip_instruction(r);
        activity_halt(r);
}

static void exit_timer(struct run *r, const struct exit_info *x)
{
        r->armed = 0;
}

static void exit_skip(struct run *r, const struct exit_info *x)
{
        skip_instruction(r);
}

static void exit_invd(struct run *r, const struct exit_info *x)
{
        hw_wbinvd(); /* never throws away what others wrote */
        skip_instruction(r);
}

/* A physical NMI: nothing on this machine but the guest can be its addressee. The IRET of the host's handler ends
 * the blocking, which the processor carries from VMCS to VMCS otherwise (Bochs 2.7). */
static void exit_exception_nmi(struct run *r, const struct exit_info *x)
{
        if (GET(x->intr_info, INTR_TYPE) != INTR_TYPE_NMI)
                run_end(r, EXIT_STATUS_PANIC, "exit for an exception that is not intercepted");
        hw_unblock_nmi();
}

static void exit_ext_intr(struct run *r, const struct exit_info *x)
{
        /* cascade masks every source: what arrives is firmware's leftover. Acknowledged by the exit; end it. */
        const uint64_t base = hw_rdmsr(MSR_APIC_BASE);
        if (base & APICBASE_EXTD)
                hw_wrmsr(MSR_X2APIC_FIRST + LAPIC_EOI, 0);
        else
                *(volatile uint32_t *)((base & APICBASE_ADDR) + LAPIC_EOI * 16) = 0;
}

static void exit_triple_fault(struct run *r, const struct exit_info *x)
{
        console_log(r->v.console, "triple fault of L%u at rip 0x%llx, cr3 0x%llx", run_level(r),
                    (unsigned long long)vmread(F_guest_rip), (unsigned long long)vmread(F_guest_cr3));
        run_end(r, EXIT_STATUS_GUEST_TRIPLE_FAULT, "triple fault");
}

static void exit_task_switch(struct run *r, const struct exit_info *x)
{
        run_end(r, EXIT_STATUS_GUEST_KILLED, "the guest switches tasks by hardware, which is not emulated");
}

static void exit_entry_failed(struct run *r, const struct exit_info *x)
{
        run_end(r, EXIT_STATUS_PANIC, "VM entry failed on guest state");
}

/* --- VMX for the guest --- */

/* SDM 3C "Conventions": VMsucceed, VMfailInvalid, VMfailValid in RFLAGS. */
static void set_vmx_flags(bool cf, bool zf)
{
        const uint64_t all = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;
        vmwrite(F_guest_rflags, (vmread(F_guest_rflags) & ~all) | (cf ? RFLAGS_CF : 0) | (zf ? RFLAGS_ZF : 0));
}

static void finish_insn(struct run *r, const struct insn_result *res)
{
        switch (res->outcome) {
        case INSN_SUCCEED:
        case INSN_FAIL_VALID:
        case INSN_FAIL_INVALID:
                set_vmx_flags(res->outcome == INSN_FAIL_INVALID, res->outcome == INSN_FAIL_VALID);
                skip_instruction(r);
                break;
        case INSN_FAULT:
                inject_fault(r, &res->fault);
                break;
        case INSN_ENTERED:
        case INSN_EXITED:
                rearm_after_switch(r);
                if (__builtin_expect(mtf_in_use(r) | r->init_pending, 0))
                        r->armed = 0;
                if (__builtin_expect(r->nested.current->v.guest_activity != ACTIVITY_ACTIVE, 0) && r->nested.in_l2)
                        activity_enter(r);
                break;
        case INSN_ABORTED:
                run_end(r, EXIT_STATUS_GUEST_TRIPLE_FAULT, "VMX abort");
        }
}

static void exit_vmx_insn(struct run *r, const struct exit_info *x)
{
        close_windows(r);
        if (__builtin_expect(r->nested.shadowing_paused, 0))
                nested_resume_shadowing(&r->nested, &r->v, true);
        const uint32_t insn = (uint32_t)GET(x->reason, EXIT_REASON_BASIC);
        const struct insn_result res = nested_insn(&r->nested, &r->v, x, run_view, r);
        trace_emit(&r->v.trace, TRACE_VMX_INSN, r->v.level + 1, insn, r->nested.current ? r->nested.current->at.raw : 0,
                   (uint64_t)res.outcome << 32 | res.error);
        finish_insn(r, &res);
        if (__builtin_expect(r->init_pending, 0) && !r->nested.vmxon)
                activity_take_init(r);
}

static uint64_t console_hypercall(struct run *r, uint64_t at, uint64_t bytes)
{
        const char *text = bytes <= CONSOLE_LINE_BYTES + 32 ? guest_mem_at(&r->v.mem, L1GPA(at), bytes) : NULL;
        if (!text || bytes == 0 || !console_may_pass(text, bytes, r->v.level))
                return HC_BAD;
        console_write(r->v.console, text, bytes);
        return HC_OK;
}

static uint64_t do_hypercall(struct run *r, const uint64_t *g)
{
        switch ((uint32_t)g[GPR_RAX]) {
        case HC_CONSOLE:
                return console_hypercall(r, g[GPR_RBX], g[GPR_RCX]);
        case HC_VMCS_OWN:
                return nested_own_vmcs(&r->nested, &r->v, L1GPA(g[GPR_RBX]), g[GPR_RCX]) ? HC_OK : HC_BAD;
        case HC_VMCS_SWITCH:
                return nested_switch_vmcs(&r->nested, &r->v, L1GPA(g[GPR_RBX]), L1GPA(g[GPR_RCX])) ? HC_OK : HC_BAD;
        case HC_MARKER:
                device_marker(r, (unsigned)(g[GPR_RBX] >> 32 & 0xff), (uint32_t)(g[GPR_RBX] & 0xff), g[GPR_RCX]);
                return HC_OK;
        case HC_HW_EXITS:
                return r->v.parent_is_cascade ? hypercall(HC_HW_EXITS, 0, 0) : r->v.hw_exits;
        default:
                return HC_UNKNOWN;
        }
}

void exit_vmcall(struct run *r, const struct exit_info *x)
{
        uint64_t *g = r->v.gprs.r;
        const bool kernel = GET(vmread(F_guest_ss_ar), AR_DPL) == 0;
        if (kernel && (uint32_t)g[GPR_RAX] >> 16 == HC_CONSOLE >> 16) {
                g[GPR_RAX] = do_hypercall(r, g);
                skip_instruction(r);
        } else {
                exit_vmx_insn(r, x);
        }
}

/* --- dispatch --- */

static exit_fn *const handlers[EXIT_REASON_COUNT] = {
        [EXIT_EXCEPTION_NMI] = exit_exception_nmi,
        [EXIT_EXT_INTR] = exit_ext_intr,
        [EXIT_TRIPLE_FAULT] = exit_triple_fault,
        [EXIT_INIT] = exit_nothing,
        [EXIT_SIPI] = exit_nothing,
        [EXIT_INTR_WINDOW] = exit_window,
        [EXIT_NMI_WINDOW] = exit_window,
        [EXIT_TASK_SWITCH] = exit_task_switch,
        [EXIT_CPUID] = exit_cpuid,
        [EXIT_GETSEC] = exit_undefined,
        [EXIT_HLT] = exit_hlt,
        [EXIT_INVD] = exit_invd,
        [EXIT_RDPMC] = exit_refused,
        [EXIT_VMCALL] = exit_vmcall,
        [EXIT_VMCLEAR] = exit_vmx_insn,
        [EXIT_VMLAUNCH] = exit_vmx_insn,
        [EXIT_VMPTRLD] = exit_vmx_insn,
        [EXIT_VMPTRST] = exit_vmx_insn,
        [EXIT_VMREAD] = exit_vmx_insn,
        [EXIT_VMRESUME] = exit_vmx_insn,
        [EXIT_VMWRITE] = exit_vmx_insn,
        [EXIT_VMXOFF] = exit_vmx_insn,
        [EXIT_VMXON] = exit_vmx_insn,
        [EXIT_INVEPT] = exit_vmx_insn,
        [EXIT_INVVPID] = exit_vmx_insn,
        [EXIT_CR_ACCESS] = exit_cr_access,
        [EXIT_IO] = exit_io,
        [EXIT_RDMSR] = exit_rdmsr,
        [EXIT_WRMSR] = exit_wrmsr,
        [EXIT_ENTRY_GUEST_STATE] = exit_entry_failed,
        [EXIT_ENTRY_MSR_LOAD] = exit_entry_failed,
        [EXIT_MWAIT] = exit_undefined,
        [EXIT_MONITOR] = exit_undefined,
        [EXIT_PAUSE] = exit_skip,
        [EXIT_EPT_VIOLATION] = exit_ept_violation,
        [EXIT_PREEMPTION_TIMER] = exit_timer,
        [EXIT_XSETBV] = exit_xsetbv,
        [EXIT_VMFUNC] = exit_vmfunc,
};

static void read_exit_info(struct run *r, struct exit_info *x, uint32_t reason)
{
        x->reason = reason;
        x->qualification = vmread(F_exit_qualification);
        x->intr_info = (uint32_t)vmread(F_exit_intr_info);
        x->error_code = (uint32_t)vmread(F_exit_intr_error);
        x->insn_len = (uint32_t)vmread(F_exit_insn_len);
        x->insn_info = (uint32_t)vmread(F_exit_insn_info);
        x->idt_vec_info = (uint32_t)vmread(F_idt_vec_info);
        x->idt_vec_error = (uint32_t)vmread(F_idt_vec_error);
        x->guest_linear = vmread(F_guest_linear);
        x->guest_physical = vmread(F_guest_physical);
}

/* What the router wants to know of registers. */
static void read_operand(struct run *r, struct exit_info *x)
{
        const uint32_t reason = (uint32_t)GET(x->reason, EXIT_REASON_BASIC);
        unsigned reg;
        x->rcx = r->v.gprs.r[GPR_RCX];
        if (reason == EXIT_CR_ACCESS)
                reg = (unsigned)GET(x->qualification, CRQ_GPR);
        else if (reason == EXIT_VMREAD || reason == EXIT_VMWRITE)
                reg = (unsigned)GET(x->insn_info, INSN_REG2);
        else
                return;
        /* Outside 64-bit mode the operand is the lower half, whatever the upper one still holds. */
        const bool mode64 = (vmread(F_guest_efer) & EFER_LMA) && (vmread(F_guest_cs_ar) & AR_L);
        const uint64_t value = reg == GPR_RSP ? vmread(F_guest_rsp) : r->v.gprs.r[reg];
        x->operand = mode64 ? value : (uint32_t)value;
}

static void handle(struct run *r, const struct exit_info *x)
{
        const uint32_t reason = (uint32_t)GET(x->reason, EXIT_REASON_BASIC);
        exit_fn *const fn = reason < EXIT_REASON_COUNT ? handlers[reason] : NULL;
        if (!fn && r->nested.in_l2) { /* only vmcs12 can have asked for it */
                reflect(r);
                return;
        }
        if (!fn) {
                console_log(r->v.console, "exit reason %u has no handler", reason);
                run_end(r, EXIT_STATUS_PANIC, "an exit that nothing asked for");
        }
        fn(r, x);
}

void reflect(struct run *r)
{
        close_windows(r);
        if (!nested_reflect(&r->nested, &r->v))
                run_end(r, EXIT_STATUS_GUEST_TRIPLE_FAULT, "VMX abort");
        rearm_after_switch(r);
}

/* SDM 3C "Exit Qualification for EPT Violations", bit 12: the IRET that exited and is executed again has ended blocking by
 * NMI already. */
static void reblock_nmi(const struct exit_info *x)
{
        if ((x->qualification & EPTQ_NMI_UNBLOCK) && !(x->idt_vec_info & INTR_VALID))
                vmwrite(F_guest_interruptibility, vmread(F_guest_interruptibility) | INTRBLK_NMI);
}

static void handle_l2_memory(struct run *r, const struct exit_info *x)
{
        l1gpa_t at;
        const enum nested_ept verdict = nested_ept_fault(&r->nested, &r->v, x, &at);
        if (verdict == NESTED_EPT_RESUME)
                reblock_nmi(x);
        if (!serve_l2_memory(r, verdict))
                device_mmio(r, at, x->qualification & EPTQ_WRITE);
}

static void serve_l2(struct run *r, const struct exit_info *x)
{
        const uint32_t basic = (uint32_t)GET(x->reason, EXIT_REASON_BASIC);
        if (basic == EXIT_PREEMPTION_TIMER && nested_timer12_expired(&r->nested))
                reflect(r);
        else if (route_l2_exit(&r->nested.current->v, x, &r->v.mem) == OWNER_L1)
                reflect(r);
        else if (basic == EXIT_EPT_VIOLATION || basic == EXIT_EPT_MISCONFIG)
                handle_l2_memory(r, x);
        else
                handle(r, x);
}

/* An exit of the guest's guest. */
static void handle_l2(struct run *r, uint32_t reason)
{
        struct exit_info x;
        nested_note_exit(&r->nested);
        if (__builtin_expect(vmread(F_guest_pending_dbg) != 0, 0))
                step_forget(reason);
        if (route_always_l1(reason) && !(r->nested.shadowing_paused | r->nested.mtf.on)) {
                reflect(r);
                return;
        }
        read_exit_info(r, &x, reason);
        read_operand(r, &x);
        if (__builtin_expect(r->nested.shadowing_paused, 0))
                nested_resume_shadowing(&r->nested, &r->v, GET(reason, EXIT_REASON_BASIC) != EXIT_EPT_VIOLATION);
        if (__builtin_expect(r->nested.mtf.on, 0))
                mtf_serve(r, &x, serve_l2);
        else
                serve_l2(r, &x);
        if (r->nested.in_l2)
                reinject_interrupted_event(r);
}

static void handle_l1(struct run *r, uint32_t reason)
{
        struct exit_info x;
        if (__builtin_expect(vmread(F_guest_pending_dbg) != 0, 0))
                step_forget(reason);
        read_exit_info(r, &x, reason);
        handle(r, &x);
        if (__builtin_expect(x.idt_vec_info & INTR_VALID, 0) && !r->nested.in_l2)
                reinject_interrupted_event(r);
}

static __attribute__((noinline)) void trace_entry(struct run *r)
{
        if (trace_wants_drain(&r->v.trace))
                store_drain(&r->store, &r->v.trace);
        trace_emit(&r->v.trace, TRACE_VM_ENTRY, run_level(r), (uint32_t)vmread(F_entry_intr_info), vmread(F_guest_rip), 0);
}

static inline uint64_t how_to_enter(struct run *r)
{
        struct hw_vmcs *const vmcs = r->v.current;
        if (__builtin_expect(r->v.trace.buffer != NULL, 0))
                trace_entry(r);
        if (__builtin_expect(vmcs->launched, 1))
                return ENTER_RESUME;
        vmcs->launched = true;
        return ENTER_LAUNCH;
}

static __attribute__((noinline)) void trace_exit(struct run *r, uint32_t reason)
{
        trace_emit(&r->v.trace, TRACE_VM_EXIT, run_level(r), reason, vmread(F_guest_rip), vmread(F_exit_qualification));
}

static __attribute__((noinline)) uint64_t catch_up_and_enter(struct run *r)
{
        prepare_entry(r);
        return how_to_enter(r);
}

static __attribute__((noinline)) uint64_t run_exit_any(struct run *r, uint32_t reason)
{
        if (__builtin_expect(r->v.trace.buffer != NULL, 0))
                trace_exit(r, reason);
        /* The commonest exits need no exit information. */
        if (r->nested.in_l2)
                handle_l2(r, reason);
        else if (reason == EXIT_CPUID)
                exit_cpuid(r, NULL);
        else if (reason == EXIT_VMRESUME || reason == EXIT_VMLAUNCH)
                exit_vmx_insn(r, &(struct exit_info){ .reason = reason });
        else
                handle_l1(r, reason);
        return catch_up_and_enter(r);
}

/* The commonest exit is served right here, in registers that need no saving: CPUID of the guest, untraced. */
uint64_t run_exit(struct vcpu *v)
{
        struct run *r = run_of(v);
        const uint32_t reason = (uint32_t)vmread(F_exit_reason);
        v->hw_exits++;
        if (reason != EXIT_CPUID || r->nested.in_l2 || v->trace.buffer)
                return run_exit_any(r, reason);
        const struct cpuid_regs *c = cpuid_constant(&r->cpuid, (uint32_t)v->gprs.r[GPR_RAX]);
        if (__builtin_expect(!c, 0))
                return run_exit_any(r, reason);
        v->gprs.r[GPR_RAX] = c->eax;
        v->gprs.r[GPR_RBX] = c->ebx;
        v->gprs.r[GPR_RCX] = c->ecx;
        v->gprs.r[GPR_RDX] = c->edx;
        skip_instruction(r);
        return __builtin_expect(anything_due(r, hw_rdtsc()), 0) ? catch_up_and_enter(r) : ENTER_RESUME;
}

/* The processor refused the VMCS: what the guest hypervisor gets. */
static void entry_refused(struct run *r, uint64_t rflags)
{
        struct vcpu *v = &r->v;
        const uint64_t error = rflags & RFLAGS_ZF ? vmread(F_insn_error) : 0;
        console_log(v->console, "the processor refuses to enter L%u: %s, error %llu", run_level(r),
                    rflags & RFLAGS_CF ? "VMfailInvalid" : "VMfailValid", (unsigned long long)error);
        if (!r->nested.in_l2)
                run_end(r, EXIT_STATUS_PANIC, "VM entry refused");
        v->current->launched = false;
        const struct insn_result res = nested_entry_refused(&r->nested, v);
        finish_insn(r, &res);
}

_Noreturn void run_entry_failed(struct vcpu *v, uint64_t rflags)
{
        struct run *r = run_of(v);
        if (r->nested.in_l2 && nested_apicv_tpr_fell(&r->nested, v))
                reflect(r);
        else
                entry_refused(r, rflags);
        prepare_entry(r);
        vmx_enter(v, (enum entry_insn)how_to_enter(r));
}
