/* SPDX-License-Identifier: BSD-2-Clause */
#include "hypervisor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bug.h"
#include "run/devices.h"
#include "run/inject.h"
#include "run/msr.h"
#include "vmx/ept01.h"
#include "vmx/feature_control.h"
#include "vmx/host_state.h"
#include "vmx/root.h"
#include "vmx/vmcs01.h"

#define POOL_PAGES 300

static uint8_t ram[GUEST_RAM_BYTES] __attribute__((aligned(SIZE_2M)));
static uint8_t pool_bytes[POOL_PAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static struct page_pool pool;
static struct vmx_caps caps;
static const struct console console = { .sink = CONSOLE_SINK_E9, .level = 1 };

uint8_t *hypervisor_ram(void)
{
        return ram;
}

/* --- what boot/ and trace/ supply in the image --- */

void run_end(struct run *r, enum exit_status status, const char *why)
{
        model_fault("the run ends with status %d: %s", status, why);
}

void console_write(const struct console *c, const char *bytes, size_t n)
{
}

void console_log(const struct console *c, const char *fmt, ...)
{
}

void console_status(const struct console *c, unsigned level, const char *fmt, ...)
{
}

void console_guest_byte(const struct console *c, struct console_line *l, unsigned level, uint8_t byte)
{
}

void store_drain(struct trace_store *s, struct trace *t)
{
}

/* --- start --- */

static bool read_msr(void *ctx, uint32_t msr, uint64_t *value)
{
        return guest_rdmsr_any(ctx, msr, value);
}

static bool write_msr(void *ctx, uint32_t msr, uint64_t value)
{
        return guest_wrmsr_any(ctx, msr, value);
}

static void *pages(size_t count)
{
        void *p = pool_run(&pool, POOL_VMCS, count);
        BUG_UNLESS(p);
        return p;
}

static void start_vcpu(struct run *r, uint64_t rip, uint64_t cr3)
{
        struct vcpu *v = &r->v;
        uint8_t *bitmap = pages(1), *ports = pages(2);
        msr_bitmap01_build(bitmap);
        io_bitmap01_build(ports);
        v->parent_is_cascade = cpu.has.parent_is_cascade;
        v->level = 1;
        v->mem = (struct guest_mem){ .ram = ram, .low_bytes = sizeof(ram) };
        v->hw = &caps;
        v->pool = &pool;
        v->console = &console;
        v->msr_bitmap01 = hpa_of(bitmap);
        v->io_bitmap01 = hpa_of(ports);
        v->eptp01 = ept01_build(&v->mem, &caps, &pool);
        const struct guest_start start = { .kind = START_LONG64, .rip = rip, .cr3 = cr3, .cs = 8, .ds = 16 };
        vmcs01_create(v, &start);
        const struct nested_options nested = {
                .enabled = true,
                .msr = { .ctx = r, .read = read_msr, .write = write_msr },
        };
        nested_init(&r->nested, v, &nested);
        vmcs_own(v, &v->vmcs01, v->level + 1);
}

struct run *hypervisor_start(const struct model_features *has, uint64_t seed, uint64_t rip, uint64_t cr3)
{
        struct run *r = calloc(1, sizeof(*r));
        model_reset(has, seed);
        memset(ram, 0, sizeof(ram));
        pool_init(&pool, pool_bytes, sizeof(pool_bytes));
        cpu.ram = ram;
        cpu.ram_bytes = sizeof(ram);
        cpu.pool = pool_bytes;
        cpu.pool_bytes = sizeof(pool_bytes);
        MODEL_REQUIRE(vmx_probe(&caps) == EXIT_STATUS_OK, "cascade does not like this processor");
        vmx_root_enter(&caps, &pool);
        const struct pc_config pc = { .cpus = 1,
                                      .maxphyaddr = caps.maxphyaddr,
                                      .tsc_hz = 1000000000,
                                      .start_tsc = hw_rdtsc(),
                                      .low_bytes = sizeof(ram) };
        pc_init(&r->pc, &pc);
        start_vcpu(r, rip, cr3);
        r->cpuid_config = (struct cpuid_config){ .level = 1, .tsc_hz = 1000000000, .vmx = true };
        cpuid_build(&r->cpuid, &r->cpuid_config, hw_cpuid);
        guest_msrs_init(&r->msrs, feature_control_initial(true, true));
        prepare_entry(r);
        model_start(r);
        return r;
}

void hypervisor_free(struct run *r)
{
        free(r);
}
