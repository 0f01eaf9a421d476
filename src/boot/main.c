/* SPDX-License-Identifier: BSD-2-Clause */
/* Start-up of one cascade level: from the boot loader's hand-over to the first instruction of the guest. */
#include "base/bits.h"
#include "base/bug.h"
#include "base/heap.h"
#include "base/layout.h"
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "boot/boot_info.h"
#include "boot/clock.h"
#include "boot/idt.h"
#include "boot/memory.h"
#include "boot/options.h"
#include "boot/panic.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "platform/acpi.h"
#include "platform/loader.h"
#include "run/devices.h"
#include "run/inject.h"
#include "run/mtf.h"
#include "run/msr.h"
#include "run/run.h"
#include "vmx/cpu_local.h"
#include "vmx/ept01.h"
#include "vmx/feature_control.h"
#include "vmx/host_state.h"
#include "vmx/root.h"
#include "vmx/vmcs01.h"

#define STACK_GUARD 0x5ca1ab1e0ddba11ull
#define HOST_STACK_PAGES 8
#define CPUID_1_HYPERVISOR BIT(31)
#define CPUID_1_XSAVE      BIT(26)
#define CR4_OSXSAVE_BIT    BIT(18)
#define CPUID_EXT_1G_PAGES BIT(26) /* as entry.S sees it */
#define PIC_MASKS_1 0x21
#define PIC_MASKS_2 0xa1

extern uint8_t image_start[], image_end[];

/* Everything one processor needs from its first C instruction on; the only object of static storage. */
static struct {
        struct cpu_local cpu;
        struct console console;
        struct descriptor_tables tables;
        struct boot_info boot;
        struct options options;
        struct vmx_caps caps;
        struct page_pool pool;
        struct arena heap;
        _Alignas(16) uint8_t heap_bytes[3 * DECODER_HEAP_BYTES];
        struct run run;
} machine;

static bool parent_is_cascade(void)
{
        if (!(hw_cpuid(1, 0).ecx & CPUID_1_HYPERVISOR))
                return false;
        const struct cpuid_regs c = hw_cpuid(CASCADE_CPUID_BASE, 0);
        return c.ebx == CASCADE_CPUID_EBX && c.ecx == CASCADE_CPUID_ECX && c.edx == CASCADE_CPUID_EDX;
}

static void start_cpu(void)
{
        machine.cpu = (struct cpu_local){ .self = &machine.cpu, .console = &machine.console, .stack_guard = STACK_GUARD };
        hw_wrmsr(MSR_FS_BASE, (uint64_t)&machine.cpu);
        hw_wrmsr(MSR_GS_BASE, (uint64_t)&machine.cpu);
        idt_init(&machine.tables);
        if (hw_cpuid(1, 0).ecx & CPUID_1_XSAVE)
                hw_write_cr4(hw_read_cr4() | CR4_OSXSAVE_BIT);
        hw_outb(PIC_MASKS_1, 0xff); /* cascade takes no interrupts */
        hw_outb(PIC_MASKS_2, 0xff);
}

static void start_console(bool nested)
{
        const unsigned level = nested ? hw_cpuid(CASCADE_CPUID_BASE + 1, 0).eax + 1 : 1;
        enum console_sink sink = CONSOLE_SINK_PARENT;
        if (!nested)
                sink = hw_inb(0xe9) == 0xe9 && !machine.options.console_uart ? CONSOLE_SINK_E9 : CONSOLE_SINK_UART;
        console_init(&machine.console, level, sink);
}

static _Noreturn void refuse(enum exit_status status, const char *why)
{
        console_status(&machine.console, machine.console.level, "event=error text=%s", why);
        machine_end(status, why);
}

static const char *status_text(enum exit_status status)
{
        static const struct {
                enum exit_status status;
                const char *text;
        } texts[] = {
#define EXIT_STATUS(name, number, text) { EXIT_STATUS_##name, text },
#include "base/exit_status.def"
#undef EXIT_STATUS
        };
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                if (texts[i].status == status)
                        return texts[i].text;
        return "?";
}

static void read_boot_info(uint32_t protocol, const void *info)
{
        const char *bad = NULL;
        const bool known = boot_info_read(&machine.boot, protocol, info);
        const bool parsed = known && options_parse(machine.boot.cmdline, &machine.options, &bad);
        start_console(parent_is_cascade());
        if (!known)
                refuse(EXIT_STATUS_USAGE, "entered neither through PVH nor through multiboot2");
        if (!parsed) {
                console_log(&machine.console, "what is this on the command line: %s", bad);
                refuse(EXIT_STATUS_USAGE, "a word of the command line is not understood (docs/cli.md lists them)");
        }
        if (!boot_info_unpack(&machine.boot))
                refuse(EXIT_STATUS_KERNEL_UNREADABLE, "the container of modules is damaged");
}

static void start_vmx(void)
{
        const enum exit_status s = vmx_probe(&machine.caps);
        if (s != EXIT_STATUS_OK)
                refuse(s, status_text(s));
        vmx_root_enter(&machine.caps, &machine.pool);
}

static void start_memory(struct memory_plan *plan)
{
        const struct memory_limits limits = {
                .image_start = (uint64_t)image_start,
                .image_end = (uint64_t)image_end,
                .mapped_end = hw_cpuid(0x80000001u, 0).edx & CPUID_EXT_1G_PAGES ? 512 * SIZE_1G : BOOT_PD_COUNT * SIZE_1G,
                .guest_bytes = machine.options.guest_bytes,
        };
        if (!memory_plan_make(&machine.boot, &limits, plan))
                refuse(EXIT_STATUS_MEMORY_TOO_SMALL, status_text(EXIT_STATUS_MEMORY_TOO_SMALL));
        pool_init(&machine.pool, (void *)plan->pool_at, plan->pool_bytes);
        arena_init(&machine.heap, machine.heap_bytes, sizeof(machine.heap_bytes));
        heap_use(&machine.heap);
}

static enum exit_status status_of_load(enum load_status s)
{
        switch (s) {
        case LOAD_OK:
                return EXIT_STATUS_OK;
        case LOAD_TRUNCATED:
                return EXIT_STATUS_KERNEL_UNREADABLE;
        case LOAD_INITRD_TOO_LARGE:
                return EXIT_STATUS_INITRD_TOO_LARGE;
        case LOAD_TOO_LARGE:
                return EXIT_STATUS_MEMORY_TOO_SMALL;
        default:
                return EXIT_STATUS_KERNEL_FORMAT;
        }
}

static struct load_result load_guest(const struct pc_config *pc, const struct guest_mem *mem)
{
        struct e820_entry map[E820_MAX];
        struct load_module modules[BOOT_MAX_MODULES];
        const struct boot_info *b = &machine.boot;
        if (b->module_count == 0)
                refuse(EXIT_STATUS_KERNEL_UNREADABLE, "no guest: the boot loader passed no module");
        for (size_t i = 1; i < b->module_count; i++)
                modules[i - 1] = (struct load_module){ .bytes = b->modules[i].bytes, .len = b->modules[i].len };
        const struct load_request req = {
                .mem = *mem,
                .kernel = b->modules[0].bytes,
                .kernel_len = b->modules[0].len,
                .modules = modules,
                .module_count = b->module_count - 1,
                .cmdline = machine.options.guest_cmdline,
                .e820 = map,
                .e820_count = pc_e820(pc, map, ARRAY_LEN(map)),
                .rsdp = acpi_build(mem, &(struct acpi_config){ .cpus = pc->cpus }),
        };
        struct load_result result;
        const enum load_status s = guest_load(&req, &result);
        if (s != LOAD_OK)
                refuse(status_of_load(s), load_status_text(s));
        return result;
}

static struct guest_start start_of(const struct load_result *l)
{
        struct guest_start s = { .kind = l->kind == ENTRY_LINUX64 ? START_LONG64 : START_PROTECTED32, .rip = l->entry.raw, .cr3 = l->cr3.raw };
        if (l->kind == ENTRY_PVH32) {
                s.rbx = l->info.raw;
        } else {
                s.rsi = l->info.raw;
                s.cs = LINUX_BOOT_CS;
                s.ds = LINUX_BOOT_DS;
                s.gdt = l->gdt.raw;
                s.gdt_limit = l->gdt_limit;
        }
        return s;
}

static void start_trace(struct run *r)
{
        const struct options *o = &machine.options;
        if (!o->trace_sectors)
                return;
        if (!store_open(&r->store, o->trace_sectors))
                refuse(EXIT_STATUS_TRACE_FAILED, "trace=ata, but the second IDE disk does not answer");
        r->v.trace.buffer = pool_run(&machine.pool, POOL_TRACE, TRACE_BUFFER_BYTES / PAGE_SIZE);
        BUG_UNLESS(r->v.trace.buffer);
        trace_emit(&r->v.trace, TRACE_SESSION, 1, TRACE_SCHEMA_VERSION, r->tsc_hz, 0);
}

static const char *guest_name(uint32_t kind)
{
        static const char *const names[] = { [GUEST_UNKNOWN] = "unknown", [GUEST_LINUX] = "linux",
                                             [GUEST_CASCADE] = "cascade", [GUEST_PROBE] = "probe" };
        return names[kind];
}

static bool read_msr(void *ctx, uint32_t msr, uint64_t *value)
{
        return guest_rdmsr_any(ctx, msr, value);
}

static bool write_msr(void *ctx, uint32_t msr, uint64_t value)
{
        return guest_wrmsr_any(ctx, msr, value);
}

static void start_vcpu(struct run *r, const struct guest_mem *mem, const struct load_result *loaded)
{
        struct vcpu *v = &r->v;
        uint8_t *stack = pool_run(&machine.pool, POOL_HOST, HOST_STACK_PAGES);
        uint8_t *bitmap = pool_page(&machine.pool, POOL_VMCS);
        uint8_t *ports = pool_run(&machine.pool, POOL_VMCS, 2);
        BUG_UNLESS(stack && bitmap && ports);
        msr_bitmap01_build(bitmap);
        io_bitmap01_build(ports);
        v->host_stack_top = stack + HOST_STACK_PAGES * PAGE_SIZE;
        v->level = machine.console.level;
        v->mem = *mem;
        v->hw = &machine.caps;
        v->pool = &machine.pool;
        v->console = &machine.console;
        v->msr_bitmap01 = hpa_of(bitmap);
        v->io_bitmap01 = hpa_of(ports);
        v->eptp01 = ept01_build(mem, &machine.caps, &machine.pool);
        const struct guest_start start = start_of(loaded);
        vmcs01_create(v, &start);
        const struct nested_options nested = {
                .enabled = machine.options.nested,
                .msr = { .ctx = r, .read = read_msr, .write = write_msr },
                .mask = machine.options.vmx,
                .mtf = mtf_find(v),
        };
        nested_init(&r->nested, v, &nested);
        vmcs_own(v, &v->vmcs01, v->level + 1);
}

static void start_guest_view(struct run *r)
{
        r->cpuid_config = (struct cpuid_config){
                .level = r->v.level,
                .tsc_hz = r->tsc_hz,
                .vmx = machine.options.nested,
                .rdtscp = machine.caps.proc2.may1 & PROC2_RDTSCP,
                .invpcid = machine.caps.proc2.may1 & PROC2_INVPCID,
                .xsaves = machine.caps.proc2.may1 & PROC2_XSAVES,
        };
        cpuid_build(&r->cpuid, &r->cpuid_config, hw_cpuid);
        guest_msrs_init(&r->msrs, feature_control_initial(machine.options.nested, !machine.options.unlocked));
        BUG_UNLESS(decoder_open(&r->decoder));
}

_Noreturn void boot_main(uint32_t protocol, const void *info)
{
        struct memory_plan plan;
        struct run *r = &machine.run;
        start_cpu();
        read_boot_info(protocol, info);
        start_memory(&plan);
        start_vmx();

        const struct guest_mem mem = memory_guest(&plan);
        r->v.parent_is_cascade = machine.console.sink == CONSOLE_SINK_PARENT;
        r->tsc_hz = machine.options.tsc_hz ? machine.options.tsc_hz : clock_tsc_hz();
        const struct pc_config pc = { .cpus = 1, .maxphyaddr = machine.caps.maxphyaddr, .tsc_hz = r->tsc_hz,
                                      .start_tsc = hw_rdtsc(), .epoch_seconds = clock_epoch_seconds(),
                                      .low_bytes = mem.low_bytes, .high_bytes = mem.high_bytes };
        const struct load_result loaded = load_guest(&pc, &mem);
        pc_init(&r->pc, &pc);
        start_trace(r);
        start_vcpu(r, &mem, &loaded);
        start_guest_view(r);
        machine.cpu.run = r;

        const unsigned level = machine.console.level;
        console_status(&machine.console, level, "event=boot shadow=%s tsc_hz=%llu guest_mib=%llu",
                       r->nested.shadowing ? "hw" : "off", (unsigned long long)r->tsc_hz,
                       (unsigned long long)(plan.guest_bytes >> 20));
        console_status(&machine.console, level + 1, "event=start what=%s", guest_name(machine.options.guest_kind));
        device_marker(r, level + 1, MARK_GUEST, machine.options.guest_kind);
        prepare_entry(r);
        r->v.current->launched = true;
        vmx_enter(&r->v, ENTER_LAUNCH);
}
