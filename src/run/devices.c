/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/devices.h"
#include "base/bits.h"
#include "base/libc.h"
#include "emulate/string_io.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "hw/vmx_ops.h"
#include "run/activity.h"
#include "run/exits.h"
#include "run/inject.h"
#include "run/view.h"
#include "vmx/controls.h"
#include "vmx/fields.h"

#define MARKER_CODE  BITS(31, 24)
#define MARKER_VALUE BITS(23, 0)

/* Diagnostics: Linux waits for old devices by writing to it. No device answers there, on any PC. */
#define PORT_POST 0x80

void io_bitmap01_build(uint8_t *bitmap)
{
        memset(bitmap, 0xff, 2 * PAGE_SIZE);
        bitmap[PORT_POST / 8] &= (uint8_t)~BIT(PORT_POST % 8);
}

void device_marker(struct run *r, unsigned level, uint32_t code, uint64_t value)
{
        if (code == MARK_GUEST)
                trace_emit(&r->v.trace, TRACE_GUEST, level, (uint32_t)value, 0, 0);
        else
                trace_emit(&r->v.trace, TRACE_MARKER, level, code, value, 0);
        if (code == MARK_RESULT)
                r->guest_result = (uint32_t)value;
        if (r->v.parent_is_cascade) {
                hypercall(HC_MARKER, (uint64_t)level << 32 | code, value);
                return;
        }
        const struct console *c = r->v.console;
        if (code == MARK_USERSPACE)
                console_status(c, level, "event=userspace");
        else if (code == MARK_RESULT)
                console_status(c, level, "event=result value=%llu", (unsigned long long)value);
        else if (code == MARK_POWER_OFF)
                console_status(c, level, "event=poweroff");
}

/* A guest hypervisor that is no cascade speaks for its own guest, whose OUT it took itself. */
static void guest_marker(struct run *r, uint64_t value)
{
        const uint32_t code = (uint32_t)GET(value, MARKER_CODE);
        const unsigned deeper = code & MARK_OF_MY_GUEST ? 1 : 0;

        device_marker(r, r->v.level + 1 + deeper, code & ~(uint32_t)MARK_OF_MY_GUEST, GET(value, MARKER_VALUE));
}

void device_act(struct run *r, const struct pc_verdict *v)
{
        const unsigned guest = r->v.level + 1;
        switch (v->action) {
        case PC_NONE:
                break;
        case PC_CONSOLE:
                console_guest_byte(r->v.console, &r->uart[v->unit], guest, (uint8_t)v->value);
                break;
        case PC_DEBUG_BYTE:
                console_guest_byte(r->v.console, &r->debug_line, guest, (uint8_t)v->value);
                break;
        case PC_POWER_OFF:
                device_marker(r, guest, MARK_POWER_OFF, 0);
                run_end(r, r->guest_result ? EXIT_STATUS_GUEST_FAILED : EXIT_STATUS_OK, "the guest powered off");
        case PC_RESET:
                run_end(r, EXIT_STATUS_GUEST_RESET, "the guest reset itself");
        case PC_DEBUG_EXIT:
                run_end(r, (enum exit_status)(v->value & 0xff), "the guest ended itself through the debug-exit port");
        case PC_MARKER:
                guest_marker(r, v->value);
                break;
        case PC_IPI:
                /* SIPI: the only processor is running, and discards it. */
                if (GET(v->value64, APIC_MODE) == APIC_INIT)
                        activity_init(r);
                break;
        }
}

uint32_t device_in(struct run *r, uint16_t port, unsigned bytes)
{
        return pc_io_read(&r->pc, port, bytes, hw_rdtsc());
}

void device_out(struct run *r, uint16_t port, unsigned bytes, uint32_t value)
{
        const struct pc_verdict v = pc_io_write(&r->pc, port, bytes, value, hw_rdtsc());
        device_act(r, &v);
}

/* --- memory-mapped devices --- */

static uint64_t bus_read(void *ctx, l1gpa_t at, unsigned bytes)
{
        struct run *r = ctx;
        return pc_mmio_read(&r->pc, 0, at, bytes, hw_rdtsc());
}

static void bus_write(void *ctx, l1gpa_t at, unsigned bytes, uint64_t value)
{
        struct run *r = ctx;
        const struct pc_verdict v = pc_mmio_write(&r->pc, 0, at, bytes, value, hw_rdtsc());
        device_act(r, &v);
}

/* Memory that an instruction of a guest's guest needs and that its hypervisor has yet to map. */
static bool missing_memory(struct run *r, const struct guest_fault *f)
{
        if (!r->nested.in_l2 || !nested_has_ept02(&r->nested))
                return false;
        return serve_l2_memory(r, nested_ept_missing(&r->nested, &r->v, L2GPA(f->at.raw), f->cr2, f->use));
}

/* The guest has not moved on, and `ticks` is the least that a processor would have needed for what it did. */
static void spend(struct run *r, uint64_t ticks)
{
        if (r->nested.in_l2)
                nested_spend_ticks(&r->nested, ticks);
}

/* Memory that is no RAM, used in a way that cascade does not emulate. A guest hypervisor that let its guest go there is not to
 * suffer for it: that one gets #UD, or is shut down if what met no RAM is the delivery of an event. */
static void cannot_emulate(struct run *r, const char *why)
{
        if (!r->nested.in_l2)
                run_end(r, EXIT_STATUS_GUEST_KILLED, why);
        if (vmread(F_idt_vec_info) & INTR_VALID) {
                exit_to_l1(r, &(struct made_exit){ .reason = EXIT_TRIPLE_FAULT });
                return;
        }
        inject_ud(r);
        spend(r, 1);
}

static bool decode_at_rip(struct run *r, const struct guest_view *view, struct mmio_insn *insn, struct guest_fault *fault)
{
        uint8_t code[INSN_BYTES_MAX];
        size_t got = 0;
        const uint64_t rip = vmread(F_guest_rip);
        const enum view_status s = view_fetch(view, rip, code, sizeof(code), &got, fault);
        if (s == VIEW_FAULT) {
                inject_fault(r, fault);
                return false;
        }
        if (s == VIEW_NOT_RAM && missing_memory(r, fault))
                return false;
        if (s == VIEW_OK && mmio_decode(&r->decoder, rip, code, got, view->mode_bits, insn) == DECODE_OK)
                return true;
        if (nested_pause_shadowing(&r->nested, &r->v)) /* VMREAD or VMWRITE? */
                return false;
        if (!r->nested.in_l2)
                console_log(r->v.console, "no emulation for the instruction at rip 0x%llx of the guest", (unsigned long long)rip);
        cannot_emulate(r, "device memory accessed by an instruction that is not emulated");
        return false;
}

void device_mmio(struct run *r, l1gpa_t at, bool is_write)
{
        struct guest_view view;
        struct guest_fault fault = { 0 };
        struct mmio_insn insn;
        if (vmread(F_idt_vec_info) & INTR_VALID) { /* no instruction's access */
                cannot_emulate(r, "the delivery of an event uses device memory");
                return;
        }
        run_view(r, &view);
        if (!decode_at_rip(r, &view, &insn, &fault))
                return;
        const struct mmio_bus bus = { .ctx = r, .read = bus_read, .write = bus_write };
        uint64_t rflags = view.paging.rflags;
        const struct mmio_exec e = { .view = &view, .bus = &bus, .gprs = &r->v.gprs, .rflags = &rflags, .at = at, .is_write = is_write,
                                     .one = step_by_iteration(r) };
        r->v.gprs.r[GPR_RSP] = vmread(F_guest_rsp);
        const uint64_t count = r->v.gprs.r[GPR_RCX];
        const enum mmio_status s = mmio_execute(&insn, &e, &fault);
        vmwrite(F_guest_rsp, r->v.gprs.r[GPR_RSP]);
        vmwrite(F_guest_rflags, rflags);
        switch (s) {
        case MMIO_DONE:
                skip_bytes(r, insn.len);
                break;
        case MMIO_AGAIN:
                spend(r, (uint16_t)(count - r->v.gprs.r[GPR_RCX]));
                step_finish(rflags, true);
                break;
        case MMIO_FAULT:
                inject_fault(r, &fault);
                break;
        case MMIO_NOT_RAM:
                if (missing_memory(r, &fault))
                        break;
                cannot_emulate(r, "device memory as both operands of an instruction");
                break;
        case MMIO_UNSUPPORTED:
                cannot_emulate(r, "an access to device memory that is not emulated");
        }
}

void exit_ept_violation(struct run *r, const struct exit_info *x)
{
        if (guest_mem_at(&r->v.mem, L1GPA(x->guest_physical), 1))
                run_end(r, EXIT_STATUS_PANIC, "EPT violation in RAM");
        if (x->qualification & EPTQ_FETCH) /* nothing answers there: it reads as all ones, which is no instruction */
                run_end(r, EXIT_STATUS_GUEST_KILLED, "the guest executes from an address without RAM");
        device_mmio(r, L1GPA(x->guest_physical), x->qualification & EPTQ_WRITE);
}

/* --- ports --- */

static uint32_t port_in(void *ctx, uint16_t port, unsigned bytes)
{
        return device_in(ctx, port, bytes);
}

static void port_out(void *ctx, uint16_t port, unsigned bytes, uint32_t value)
{
        device_out(ctx, port, bytes, value);
}

static void string_io(struct run *r, const struct exit_info *x)
{
        struct string_io s;
        struct guest_view view;
        struct guest_fault fault = { 0 };
        if (!string_io_decode(x->qualification, x->insn_info, &s))
                run_end(r, EXIT_STATUS_PANIC, "unknown form of INS or OUTS");
        run_view(r, &view);
        s.one = step_by_iteration(r);
        const struct port_bus bus = { .ctx = r, .in = port_in, .out = port_out };
        const uint64_t count = r->v.gprs.r[GPR_RCX];
        switch (string_io_run(&s, &view, &r->v.gprs, &bus, &fault)) {
        case STRING_IO_DONE:
                skip_instruction(r);
                break;
        case STRING_IO_AGAIN:
                spend(r, (uint16_t)(count - r->v.gprs.r[GPR_RCX])); /* at most a page's worth */
                step_finish(view.paging.rflags, true);
                break;
        case STRING_IO_FAULT:
                inject_fault(r, &fault);
                break;
        case STRING_IO_NOT_RAM:
                if (missing_memory(r, &fault))
                        break;
                cannot_emulate(r, "INS or OUTS with device memory as its operand");
        }
}

void exit_io(struct run *r, const struct exit_info *x)
{
        const uint64_t q = x->qualification;
        if (q & IOQ_STRING) {
                string_io(r, x);
                return;
        }
        const uint16_t port = (uint16_t)GET(q, IOQ_PORT);
        const unsigned bytes = (unsigned)GET(q, IOQ_SIZE) + 1;
        skip_instruction(r); /* first: a write may end the machine */
        if (q & IOQ_IN)
                gpr_write(&r->v.gprs, GPR_RAX, bytes, device_in(r, port, bytes));
        else
                device_out(r, port, bytes, (uint32_t)gpr_read(&r->v.gprs, GPR_RAX, bytes));
}
