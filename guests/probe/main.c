/* SPDX-License-Identifier: BSD-2-Clause */
/* The probe guest: its start, its output and its end. The first word of the command line says what it
 * does. */
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"
#include "boot/boot_info.h"
#include "boot/panic.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "probe.h"
#include "trace/record.h"
#include "traps.h"

#define PORT_DEBUG       0xe9
#define PORT_PM1A_CNT    0x604  /* of cascade's PC and of QEMU's */
#define PM1A_S5_SLP_EN   0x3400 /* SLP_TYP 5, SLP_EN */
#define PORT_BOCHS_BREAK 0x8900 /* 'D': into Bochs's debugger, whose next command quits */
#define MARK_CODE_SHIFT  24
#define CPUID_HYPERVISOR BIT(31)
#define LINE_BYTES       500
#define RESULT_BUG       99

static unsigned hypercall_level; /* 0: lines leave through the port */

void say_by_hypercall(const struct probe *p)
{
        hypercall_level = p->cascade ? p->level : 0;
}

static void say_line(const char *head, const char *fmt, va_list ap)
{
        char line[LINE_BYTES];
        const size_t room = sizeof(line) - 1;
        size_t used = hypercall_level ? (size_t)snprintf(line, room, "L%u| %s", hypercall_level, head) :
                                        (size_t)snprintf(line, room, "%s", head);
        used += (size_t)vsnprintf(line + used, room - used, fmt, ap);
        if (used > room - 1)
                used = room - 1;
        line[used++] = '\n';
        if (!hypercall_level || hypercall(HC_CONSOLE, (uint64_t)line, used) != HC_OK)
                hw_outs_b(PORT_DEBUG, line, used);
}

void say(const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        say_line("", fmt, ap);
        va_end(ap);
}

bool check(struct probe *p, bool good, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        say_line(good ? "ok   " : "FAIL ", fmt, ap);
        va_end(ap);
        p->ok += good;
        p->failed += !good;
        return good;
}

/* On the bare processor nobody waits for a result: there the emulator is told to stop. */
static _Noreturn void end(bool hypervisor, uint32_t result)
{
        if (hypervisor) {
                hw_outl(MARKER_PORT, (uint32_t)MARK_RESULT << MARK_CODE_SHIFT | result);
                hw_outw(PORT_PM1A_CNT, PM1A_S5_SLP_EN);
        }
        hw_outb(PORT_BOCHS_BREAK, 'D');
        hw_halt_forever();
}

_Noreturn void bug(const char *file, int line, const char *what)
{
        say("FAIL broken invariant at %s:%d: %s", file, line, what);
        end(hw_cpuid(1, 0).ecx & CPUID_HYPERVISOR, RESULT_BUG);
}

static struct probe look_around(void)
{
        struct probe p = { .hypervisor = hw_cpuid(1, 0).ecx & CPUID_HYPERVISOR, .level = 1 };
        if (!p.hypervisor)
                return p;
        const struct cpuid_regs c = hw_cpuid(CASCADE_CPUID_BASE, 0);
        p.cascade = c.ebx == CASCADE_CPUID_EBX && c.ecx == CASCADE_CPUID_ECX && c.edx == CASCADE_CPUID_EDX;
        p.level = p.cascade ? hw_cpuid(CASCADE_CPUID_BASE + 1, 0).eax + 1 : 2;
        return p;
}

static const struct {
        const char *word;
        void (*run)(struct probe *p, const char *words); /* `words`: what follows the first, or "" */
} modes[] = {
        { "bench", bench_run },
        { "selftest", selftest_run },
        { "nested", nested_run },
        { "waitsipi", nested_wait_run },
        { "abort", nested_abort_run },
        { "twin", twin_run_all },
        { "hostile", hostile_run },
};

_Noreturn void boot_main(uint32_t protocol, const void *info)
{
        static struct boot_info boot;
        struct probe p = look_around();
        traps_init();
        const bool known = boot_info_read(&boot, protocol, info);
        for (size_t i = 0; known && i < ARRAY_LEN(modes); i++) {
                const size_t n = strlen(modes[i].word);
                if (strncmp(boot.cmdline, modes[i].word, n) != 0 ||
                    (boot.cmdline[n] && boot.cmdline[n] != ' '))
                        continue;
                modes[i].run(&p, boot.cmdline + n);
                if (p.ok + p.failed)
                        say("%s: %u ok, %u failed", modes[i].word, p.ok, p.failed);
                end(p.hypervisor, p.failed);
        }
        say("FAIL what shall the probe do? command line: %s", known ? boot.cmdline : "(none)");
        end(p.hypervisor, 1);
}
