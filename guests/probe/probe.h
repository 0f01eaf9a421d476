/* SPDX-License-Identifier: BSD-2-Clause */
/* probe.h - what the parts of the probe guest share: where it runs, how it prints, how it counts.
 *
 * The probe is a freestanding program that looks at its machine from inside. It runs under any number of
 * cascades and equally on the bare processor, and prints the same lines in both cases: so what it prints
 * never depends on time, on addresses that the loader chose or on the depth, except in the lines of the
 * benchmark.
 *
 * struct probe is owned by boot_main(); say() and check() write to the debug console at once. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct probe {
        bool hypervisor; /* CPUID says that there is one */
        bool cascade;    /* and it is a cascade */
        unsigned level;  /* the probe's own absolute level; 1 on the bare processor */
        unsigned ok, failed;
};

/* From now on lines leave by a hypercall if a cascade is above: much cheaper than byte by byte. */
void say_by_hypercall(const struct probe *p);

/* One line. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line `ok ...` or `FAIL ...` with the observation that was judged; returns `good`. */
bool check(struct probe *p, bool good, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What the first word of the command line chooses; `words` are the others. */
void bench_run(struct probe *p, const char *words);
void selftest_run(struct probe *p, const char *words);
void nested_run(struct probe *p, const char *words);
/* Enters a guest that waits for a SIPI: the end, on one processor. */
void nested_wait_run(struct probe *p, const char *words);
/* Its first word is the VMX abort that is to be the end. */
void nested_abort_run(struct probe *p, const char *words);
void twin_run_all(struct probe *p, const char *words);
void hostile_run(struct probe *p, const char *words);

/* Parts of the self-test, in files of their own. `tsc_hz` was measured against the PIT. */
uint64_t selftest_clock(struct probe *p);
void selftest_cpu(struct probe *p);
void selftest_memory(struct probe *p);
void selftest_step(struct probe *p);
void selftest_io(struct probe *p);
void selftest_apic(struct probe *p, uint64_t tsc_hz);
void selftest_irq(struct probe *p, uint64_t tsc_hz);

/* A region of linear addresses that nothing else uses: its first page is mapped read-only, the next one
 * not at all. */
#define PLAYGROUND 0x8000000000ull
extern uint8_t playground_page[];

#endif
