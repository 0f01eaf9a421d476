/* SPDX-License-Identifier: BSD-2-Clause */
/* How the machine ends: the last words on the console, the trace written out, the emulator or the parent told. */
#include "base/bug.h"
#include "base/libc.h"
#include "boot/panic.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "run/inject.h"
#include "run/run.h"
#include "vmx/cpu_local.h"

#define BOCHS_DEBUG_PORT  0x8900 /* 'D': break into Bochs's debugger, whose next command quits */
#define QEMU_DEBUG_EXIT   0xf4   /* isa-debug-exit: status (value << 1) | 1 */
#define GUEST_PM1A_CNT    0x604  /* of the PC that a cascade above gives us: platform/pm.c */
#define PM1A_S5_SLP_EN    0x3400 /* SLP_TYP 5, SLP_EN */
#define LAST_RECORDS      8

static void flush_consoles(struct run *r)
{
        for (unsigned i = 0; i < PC_UARTS; i++)
                console_guest_flush(r->v.console, &r->uart[i], r->v.level + 1);
        console_guest_flush(r->v.console, &r->debug_line, r->v.level + 1);
}

static void finish_trace(struct run *r)
{
        if (!r->v.trace.buffer)
                return;
        store_close(&r->store, &r->v.trace);
        console_status(r->v.console, r->v.level, "event=trace bytes=%llu lost=%llu", (unsigned long long)r->store.bytes,
                       (unsigned long long)r->v.trace.lost);
}

static void status_line(const struct console *c, enum exit_status status, const char *why)
{
        console_status(c, c->level, "event=exit status=%d reason=%s", (int)status, why);
}

static _Noreturn void stop(const struct console *c, enum exit_status status)
{
        if (c->sink == CONSOLE_SINK_PARENT) {
                if (status == EXIT_STATUS_OK)
                        hw_outw(GUEST_PM1A_CNT, PM1A_S5_SLP_EN);
                hw_outb(QEMU_DEBUG_EXIT, (uint8_t)status);
        }
        hw_outb(BOCHS_DEBUG_PORT, 'D');
        hw_outb(QEMU_DEBUG_EXIT, (uint8_t)status);
        hw_halt_forever();
}

_Noreturn void machine_end(enum exit_status status, const char *why)
{
        const struct console *c = cpu_local()->console;
        struct run *r = cpu_local()->run;
        if (r) {
                flush_consoles(r);
                finish_trace(r);
        }
        status_line(c, status, why);
        stop(c, status);
}

_Noreturn void run_end(struct run *r, enum exit_status status, const char *why)
{
        machine_end(status, why);
}

static void last_records(const struct console *c, const struct trace_buffer *b)
{
        static const char *const names[] = {
#define EVENT(name, id, group, aux, a, b, doc) [id] = #name,
#include "trace/events.def"
#undef EVENT
        };
        if (!b)
                return;
        const uint32_t n = b->head.count;
        for (uint32_t i = n > LAST_RECORDS ? n - LAST_RECORDS : 0; i < n; i++) {
                const struct trace_record *t = &b->record[i];
                console_log(c, "  trace: tsc %llu L%u %s aux 0x%x a 0x%llx b 0x%llx", (unsigned long long)t->tsc, t->level,
                            names[t->event], t->aux, (unsigned long long)t->a, (unsigned long long)t->b);
        }
}

static _Noreturn void panic(const char *why)
{
        const struct console *c = cpu_local()->console;
        const struct run *r = cpu_local()->run;
        if (r) {
                for (unsigned i = 0; i < NR_GPRS; i += 4)
                        console_log(c, "  guest r%u..: %016llx %016llx %016llx %016llx", i,
                                    (unsigned long long)r->v.gprs.r[i], (unsigned long long)r->v.gprs.r[i + 1],
                                    (unsigned long long)r->v.gprs.r[i + 2], (unsigned long long)r->v.gprs.r[i + 3]);
                last_records(c, r->v.trace.buffer);
        }
        machine_end(EXIT_STATUS_PANIC, why);
}

_Noreturn void panic_exception(const struct exception_frame *f)
{
        const struct console *c = cpu_local()->console;
        console_log(c, "exception %llu, error 0x%llx, at rip 0x%llx, rsp 0x%llx, cr2 0x%llx", (unsigned long long)f->vector,
                    (unsigned long long)f->error, (unsigned long long)f->rip, (unsigned long long)f->rsp,
                    (unsigned long long)hw_read_cr2());
        panic("an exception in the hypervisor");
}

_Noreturn void bug(const char *file, int line, const char *what)
{
        const struct console *c = cpu_local()->console;
        console_log(c, "broken invariant at %s:%d: %s", file, line, what);
        panic("a broken invariant of the hypervisor");
}
