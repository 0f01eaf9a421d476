/* SPDX-License-Identifier: BSD-2-Clause */
/* The hostile test: random VMX instructions by the million, with entries into a random guest. The probe must go on to the
 * end, whatever it does; that the hypervisor above goes on as well shows in that. */
#include "hostile.h"
#include "base/libc.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "traps.h"

#define COUNT_USUAL 100000
#define SAY_EVERY   100000

static uint64_t number_after(const char *words, const char *key, uint64_t otherwise)
{
        const size_t n = strlen(key);
        for (const char *w = words; *w; w++) {
                if (strncmp(w, key, n) != 0)
                        continue;
                uint64_t v = 0;
                for (w += n; *w >= '0' && *w <= '9'; w++)
                        v = v * 10 + (uint64_t)(*w - '0');
                return v;
        }
        return otherwise;
}

static void start(struct hostile *h)
{
        hw_write_cr4(hw_read_cr4() | CR4_VMXE);
        memory_init(h);
        BUG_UNLESS(hw_vmxon(HPA((uint64_t)l2_vmxon_page)) == HW_OK);
        vmcs_init(h);
        h->vmxon = true;
        h->current = -1;
        for (unsigned i = 0; i < HOSTILE_VMCSS; i++)
                *(uint32_t *)hostile_vmcs_page[i] = (uint32_t)GET(h->l2.caps.basic, BASIC_REVISION);
        for (unsigned i = 0; i < 1000; i++)
                memory_stir(h);
}

/* Afterwards VMX works as ever. */
static void check_sane(struct hostile *h)
{
        struct l2 *l = &h->l2;
        if (!h->vmxon)
                BUG_UNLESS(hw_vmxon(HPA((uint64_t)l2_vmxon_page)) == HW_OK);
        l2_clear(l, 1);
        l2_load(l, 1);
        l2_forget(l);
        l2_reset(l);
        l2_run(l, l2_cpuid);
        l2_expect(l, EXIT_CPUID, 0, "after all that, a guest that executes CPUID");
}

void hostile_run(struct probe *p, const char *words)
{
        static struct hostile h;
        const uint64_t count = number_after(words, "count=", COUNT_USUAL), seed = number_after(words, "seed=", 1);
        h.l2.p = p;
        if (!vmx_start(&h.l2))
                return;
        h.state = seed * 0x9e3779b97f4a7c15ull | 1;
        start(&h);
        say("hostile: seed %llu, %llu instructions", (unsigned long long)seed, (unsigned long long)count);
        for (uint64_t said = 0; h.instructions < count;) {
                hostile_step(&h);
                if (h.instructions - said < SAY_EVERY)
                        continue;
                said = h.instructions;
                say("hostile: %llu instructions, %llu faults, %llu entries, %llu of them failed", (unsigned long long)h.instructions,
                    (unsigned long long)h.faults, (unsigned long long)h.entries, (unsigned long long)h.failed);
        }
        check(p, h.exits > 0, "%llu instructions, %llu faults, %llu entries, %llu exits", (unsigned long long)h.instructions,
              (unsigned long long)h.faults, (unsigned long long)h.entries, (unsigned long long)h.exits);
        check_sane(&h);
}
