/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "emulate/view.h"
#include "hw/hypercall.h"
#include "vmx/controls.h"

#define TRIES        64 /* EPT violations of one access that are served before something is wrong */
#define DISPLACEMENT 0x40
#define FIRST_GPR    GPR_RDX /* RAX, RCX and RSP have uses of their own */

static struct vmcs12 *now(void)
{
        return &cpu.current->v;
}

bool guest_is_l2(void)
{
        return cpu.current->region != cpu.run->v.vmcs01.region.raw;
}

uint64_t guest_rip(void)
{
        return now()->guest_rip;
}

enum vmx_flags guest_vmx_flags(void)
{
        const uint64_t f = now()->guest_rflags;
        return f & RFLAGS_CF ? VM_FAIL_INVALID : f & RFLAGS_ZF ? VM_FAIL_VALID : VM_SUCCEED;
}

static void set_flags(enum vmx_flags f)
{
        const uint64_t all = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;
        now()->guest_rflags = (now()->guest_rflags & ~all) | (f == VM_FAIL_INVALID ? RFLAGS_CF
                                                              : f == VM_FAIL_VALID ? RFLAGS_ZF
                                                                                   : 0);
}

static uint32_t random_length(void)
{
        return 2 + (uint32_t)rng_below(&cpu.rng, 6);
}

static void random_gprs(void)
{
        for (unsigned i = 0; i < NR_GPRS; i++)
                if (i != GPR_RSP)
                        cpu.gprs.r[i] = rng_any(&cpu.rng);
}

/* Exits by an instruction that begins at RIP, and says what became of it. `changes`: a bit per register that
 * it, or the hypervisor in its place, may change. */
static enum outcome exit_by(struct model_exit *x, uint32_t changes)
{
        const struct cached_vmcs *ran = cpu.current;
        const uint64_t rip = guest_rip();
        const struct gprs before = cpu.gprs;
        x->defined |= EXIT_HAS_LENGTH;
        x->insn_len = random_length();
        model_exit(x);
        for (unsigned i = 0; i < NR_GPRS; i++)
                MODEL_REQUIRE(i == GPR_RSP || (changes >> i & 1) || cpu.gprs.r[i] == before.r[i],
                              "exit reason %u changed register %u", x->reason, i);
        if (cpu.current != ran)
                return LEFT;
        if (guest_rip() == rip + x->insn_len)
                return DONE;
        return guest_rip() == rip && cpu.delivered ? FAULTED : LEFT;
}

static enum outcome done_without_exit(void)
{
        now()->guest_rip += random_length();
        return DONE;
}

/* --- VMX instructions --- */

/* Whether VMREAD or VMWRITE of level 1 or 2 goes to the VMCS that the link pointer names: SDM 3C "VMCS
 * Shadowing Bitmap Addresses". */
static bool goes_to_shadow(const struct vmx_insn *i)
{
        if (!(vmcs12_proc2(now()) & PROC2_SHADOW) || (i->reg2 & ~BITS(14, 0)))
                return false;
        const uint64_t bitmap = i->reason == EXIT_VMREAD ? now()->vmread_bitmap : now()->vmwrite_bitmap;
        const uint8_t *bits = ptr_of(HPA(bitmap));
        return !(bits[i->reg2 / 8] >> i->reg2 % 8 & 1);
}

static enum outcome shadow_fail(struct cached_vmcs *link, enum vmx_insn_error error)
{
        link->v.insn_error = error;
        set_flags(VM_FAIL_VALID);
        return done_without_exit();
}

/* The memory operand of an instruction that does not exit. Its page is always mapped. */
static uint64_t *operand_at(uint64_t linear, bool write)
{
        uint64_t hpa;
        MODEL_REQUIRE(guest_access(linear, write, &hpa) == DONE, "the operand of VMREAD or VMWRITE is not mapped");
        return ptr_of(HPA(hpa));
}

static enum outcome access_shadow(struct vmx_insn *i)
{
        struct vmcs_field_info f;
        if (now()->vmcs_link == ~0ull) {
                set_flags(VM_FAIL_INVALID);
                return done_without_exit();
        }
        struct cached_vmcs *link = vmcs_find(now()->vmcs_link);
        MODEL_REQUIRE(link && link->active && (link->word & VMCS_REVISION_SHADOW),
                      "the link pointer names no shadow VMCS");
        if (!model_field_find(i->reg2, &f))
                return shadow_fail(link, VMX_ERR_BAD_COMPONENT);
        if (i->reason == EXIT_VMREAD) {
                i->value = vmcs12_read(&link->v, &f);
                if (i->memory)
                        *operand_at(i->at, true) = i->value;
        } else {
                if (f.type == TYPE_READ_ONLY && !cpu.has.vmwrite_any)
                        return shadow_fail(link, VMX_ERR_VMWRITE_READ_ONLY);
                vmcs12_write(&link->v, &f, i->memory ? *operand_at(i->at, false) : i->value);
        }
        set_flags(VM_SUCCEED);
        return done_without_exit();
}

static bool is_field_access(const struct vmx_insn *i)
{
        return i->reason == EXIT_VMREAD || i->reason == EXIT_VMWRITE;
}

enum outcome guest_vmx(struct vmx_insn *i)
{
        if (is_field_access(i) && goes_to_shadow(i))
                return access_shadow(i);
        const unsigned base = FIRST_GPR, reg2 = GPR_RSI + (unsigned)rng_below(&cpu.rng, 2), reg1 = GPR_R8;
        random_gprs();
        cpu.gprs.r[reg2] = i->reg2;
        struct model_exit x = { .reason = i->reason, .defined = EXIT_HAS_INSN };
        x.insn_info = (uint32_t)PUT(PUT(0, INSN_REG2, reg2), INSN_ADDR_SIZE, INSN_ADDR_64);
        const bool in_reg = is_field_access(i) && !i->memory;
        if (in_reg) {
                x.insn_info = (uint32_t)PUT(x.insn_info | INSN_IS_REG, INSN_REG1, reg1);
                if (i->reason == EXIT_VMWRITE)
                        cpu.gprs.r[reg1] = i->value;
        } else {
                x.insn_info = (uint32_t)PUT(PUT(x.insn_info | INSN_INDEX_INVALID, INSN_BASE, base), INSN_SEG, SEG_DS);
                cpu.gprs.r[base] = i->at - DISPLACEMENT;
                x.qualification = DISPLACEMENT;
        }
        const enum outcome o = exit_by(&x, in_reg && i->reason == EXIT_VMREAD ? 1u << reg1 : 0);
        if (in_reg && i->reason == EXIT_VMREAD)
                i->value = cpu.gprs.r[reg1];
        return o;
}

/* --- other instructions --- */

enum outcome guest_insn(uint32_t reason)
{
        static const struct {
                uint32_t reason, proc, proc2; /* exits if one of these controls is 1 */
                uint32_t changes;
        } rows[] = {
                { EXIT_CPUID, ~0u, 0, 1u << GPR_RAX | 1u << GPR_RBX | 1u << GPR_RCX | 1u << GPR_RDX },
                { EXIT_VMCALL, ~0u, 0, 1u << GPR_RAX },
                { EXIT_INVD, ~0u, 0, 0 },
                { EXIT_HLT, PROC_HLT, 0, 0 },
                { EXIT_RDTSC, PROC_RDTSC, 0, 0 },
                { EXIT_PAUSE, PROC_PAUSE, 0, 0 },
                { EXIT_WBINVD, 0, PROC2_WBINVD, 0 },
                { EXIT_VMXOFF, ~0u, 0, 0 },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                if (rows[i].reason != reason)
                        continue;
                random_gprs();
                cpu.gprs.r[GPR_RAX] = 1; /* a leaf of CPUID that is not constant; no hypercall */
                struct model_exit x = { .reason = reason };
                if ((now()->proc_ctls & rows[i].proc) || (vmcs12_proc2(now()) & rows[i].proc2))
                        return exit_by(&x, rows[i].changes);
                return done_without_exit();
        }
        model_fault("the model does not know exit reason %u", reason);
}

enum outcome guest_hypercall(uint64_t rax, uint64_t rbx, uint64_t rcx, uint64_t *result)
{
        random_gprs();
        cpu.gprs.r[GPR_RAX] = rax;
        cpu.gprs.r[GPR_RBX] = rbx;
        cpu.gprs.r[GPR_RCX] = rcx;
        struct model_exit x = { .reason = EXIT_VMCALL };
        const enum outcome o = exit_by(&x, 1u << GPR_RAX);
        *result = cpu.gprs.r[GPR_RAX];
        return o;
}

/* SDM 3C "Operations that Invalidate Cached Mappings": what invalidates by itself does so for the current
 * VPID. */
static uint16_t vpid_now(void)
{
        return vmcs12_proc2(now()) & PROC2_VPID ? now()->vpid : 0;
}

enum outcome guest_invlpg(uint64_t linear)
{
        if (now()->proc_ctls & PROC_INVLPG) {
                struct model_exit x = { .reason = EXIT_INVLPG, .qualification = linear };
                return exit_by(&x, 0);
        }
        tlb_drop_linear(vpid_now(), linear);
        return done_without_exit();
}

static bool is_cr3_target(uint64_t value)
{
        const uint64_t targets[] = { now()->cr3_target0, now()->cr3_target1, now()->cr3_target2, now()->cr3_target3 };
        for (unsigned i = 0; i < now()->cr3_target_count; i++)
                if (targets[i] == value)
                        return true;
        return false;
}

static enum outcome exit_by_cr(unsigned number, uint64_t value)
{
        struct model_exit x = { .reason = EXIT_CR_ACCESS,
                                .qualification = PUT(PUT(0, CRQ_NUMBER, number), CRQ_GPR, FIRST_GPR) };
        random_gprs();
        cpu.gprs.r[FIRST_GPR] = value;
        return exit_by(&x, 0);
}

enum outcome guest_mov_to_cr3(uint64_t value)
{
        if ((now()->proc_ctls & PROC_CR3_LOAD) && !is_cr3_target(value))
                return exit_by_cr(3, value);
        now()->guest_cr3 = value;
        tlb_drop_vpid(vpid_now());
        return done_without_exit();
}

enum outcome guest_mov_to_cr(unsigned number, uint64_t value)
{
        struct vmcs12 *v = now();
        const uint64_t mask = number == 0 ? v->cr0_mask : v->cr4_mask,
                       shadow = number == 0 ? v->cr0_shadow : v->cr4_shadow;
        uint64_t *cr = number == 0 ? &v->guest_cr0 : &v->guest_cr4;
        if ((value ^ shadow) & mask)
                return exit_by_cr(number, value);
        const uint64_t merged = (*cr & mask) | (value & ~mask);
        if ((merged ^ *cr) & (number == 0 ? CR0_PG : CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP))
                tlb_drop_vpid(vpid_now());
        *cr = merged;
        return done_without_exit();
}

/* The model has no function that does not exit: cascade uses none. */
enum outcome guest_vmfunc(uint32_t function, uint32_t ecx)
{
        MODEL_REQUIRE((vmcs12_proc2(now()) & PROC2_VMFUNC) && !now()->vmfunc_ctls, "VM functions of vmcs02");
        struct model_exit x = { .reason = EXIT_VMFUNC };
        random_gprs();
        cpu.gprs.r[GPR_RAX] = function;
        cpu.gprs.r[GPR_RCX] = ecx;
        return exit_by(&x, 0);
}

/* SDM 3C "MSR-Bitmap Address" */
static bool wrmsr_exits(uint32_t msr)
{
        const bool high = msr >= 0xc0000000u;
        const uint8_t *bits = ptr_of(HPA(now()->msr_bitmap + 2048 + (high ? 1024 : 0)));
        return !(now()->proc_ctls & PROC_MSR_BITMAPS) || (msr & ~0xc0000000u) >= 0x2000 ||
               (bits[(msr & 0x1fff) / 8] >> msr % 8 & 1);
}

enum outcome guest_write_msr(uint32_t msr, uint64_t value)
{
        if (wrmsr_exits(msr)) {
                struct model_exit x = { .reason = EXIT_WRMSR };
                random_gprs();
                cpu.gprs.r[GPR_RCX] = msr;
                cpu.gprs.r[GPR_RAX] = (uint32_t)value;
                cpu.gprs.r[GPR_RDX] = value >> 32;
                return exit_by(&x, 0);
        }
        if (msr == MSR_EFER)
                cpu.now.efer = value;
        if (msr == MSR_FS_BASE)
                now()->guest_fs_base = value;
        return done_without_exit();
}

/* --- memory and events --- */

/* Software events have an instruction length. */
static struct model_exit exit_in_delivery(uint32_t event)
{
        return (struct model_exit){ .idt_info = event,
                                    .idt_error = cpu.delivered_error,
                                    .insn_len = now()->entry_insn_len,
                                    .defined =
                                            event && GET(event, INTR_TYPE) >= INTR_TYPE_SW_INTR ? EXIT_HAS_LENGTH : 0 };
}

static enum outcome access(uint64_t linear, bool write, uint32_t event, uint64_t *hpa)
{
        for (unsigned tries = 0; tries < TRIES; tries++) {
                struct tlb_access a = { .linear = linear, .needs = write ? EPTQ_WRITE : EPTQ_READ };
                if (tlb_translate(&a) == TLB_OK) {
                        *hpa = a.hpa;
                        return DONE;
                }
                const struct cached_vmcs *ran = cpu.current;
                const uint64_t rip = guest_rip();
                struct model_exit x = exit_in_delivery(event);
                x.reason = EXIT_EPT_VIOLATION;
                x.qualification = a.qualification;
                x.linear = linear;
                x.physical = a.gpa;
                x.defined |= EXIT_HAS_LINEAR | EXIT_HAS_PHYSICAL;
                model_exit(&x);
                if (cpu.current != ran || guest_rip() != rip)
                        return LEFT;
                MODEL_REQUIRE(cpu.delivered == event, "an event %#x is not delivered again, but %#x", event,
                              cpu.delivered);
                MODEL_REQUIRE(!(event & INTR_ERROR_VALID) || cpu.delivered_error == x.idt_error,
                              "an event's error code changes");
                MODEL_REQUIRE(!(x.defined & EXIT_HAS_LENGTH) || now()->entry_insn_len == x.insn_len,
                              "a software event's instruction length changes");
        }
        model_fault("an access to %#llx causes EPT violations for ever", (unsigned long long)linear);
}

enum outcome guest_access(uint64_t linear, bool write, uint64_t *hpa)
{
        return access(linear, write, 0, hpa);
}

enum outcome guest_deliver(uint64_t linear, uint64_t *hpa)
{
        return access(linear, true, cpu.delivered, hpa);
}

static enum outcome by_event(const struct model_exit *x)
{
        const struct cached_vmcs *ran = cpu.current;
        const uint64_t rip = guest_rip();
        model_exit(x);
        return cpu.current != ran || guest_rip() != rip ? LEFT : DONE;
}

enum outcome guest_timer(void)
{
        if (!(now()->pin_ctls & PIN_PREEMPTION_TIMER))
                return DONE;
        cpu.tsc += (uint64_t)now()->guest_preemption_timer << GET(cpu.caps.misc, MISC_TIMER_SHIFT);
        if (now()->exit_ctls & EXIT_CTL_SAVE_PREEMPTION_TIMER)
                now()->guest_preemption_timer = 0;
        return by_event(&(struct model_exit){ .reason = EXIT_PREEMPTION_TIMER });
}

enum outcome guest_external_interrupt(void)
{
        const bool ack = now()->exit_ctls & EXIT_CTL_ACK_INTR;
        return by_event(&(struct model_exit){ .reason = EXIT_EXT_INTR, .intr_info = ack ? INTR_VALID | 0x21 : 0 });
}
