/* SPDX-License-Identifier: BSD-2-Clause */
/* make-store FILE RECORDS CPUS CHUNK_RECORDS: a trace store as two nested hypervisors would write it, for
 * tests of the relay. With '-' for FILE the store goes to standard output.
 *
 * Round k (one per cpu in turn) is one exit of L3 that is reflected to L2: VM_EXIT(3), REFLECT(3),
 * VM_ENTRY(2), VM_EXIT(2) for VMRESUME, VM_ENTRY(3): 5 records at ticks 10, 12, 40, 90 and 130 of the round,
 * which lasts 1000 ticks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "trace/record.h"

#define TSC_HZ        1000000000ull
#define FIRST_TSC     5000000ull
#define ROUND_TICKS   1000u
#define CPUS_MAX      8
#define CHUNK_MAX     65536u
#define EXIT_CPUID    10u
#define EXIT_VMRESUME 24u

struct writer {
        FILE *out;
        uint32_t seq, chunk_records, cpus;
        uint32_t fill[CPUS_MAX];
        struct trace_record *buf[CPUS_MAX];
};

static void flush_cpu(struct writer *w, uint32_t cpu)
{
        static const char zeroes[TRACE_CHUNK_ALIGN];
        const struct trace_chunk h = {.magic = TRACE_CHUNK_MAGIC,
                                      .seq = w->seq++,
                                      .count = w->fill[cpu],
                                      .cpu = cpu,
                                      .version = TRACE_SCHEMA_VERSION};
        const size_t bytes = sizeof(h) + h.count * sizeof(struct trace_record);
        fwrite(&h, sizeof(h), 1, w->out);
        fwrite(w->buf[cpu], sizeof(struct trace_record), h.count, w->out);
        fwrite(zeroes, 1, ALIGN_UP(bytes, TRACE_CHUNK_ALIGN) - bytes, w->out);
        w->fill[cpu] = 0;
}

static void put(struct writer *w, struct trace_record r)
{
        w->buf[r.cpu][w->fill[r.cpu]++] = r;
        if (w->fill[r.cpu] == w->chunk_records)
                flush_cpu(w, r.cpu);
}

static void put_round(struct writer *w, uint64_t k, uint64_t step)
{
        static const struct trace_record round[] = {
                {.tsc = 10,
                 .event = TRACE_VM_EXIT,
                 .level = 3,
                 .aux = EXIT_CPUID,
                 .a = 0xffffffff81000000ull},
                {.tsc = 12,
                 .event = TRACE_REFLECT,
                 .level = 3,
                 .aux = EXIT_CPUID,
                 .a = 0xffffffff81000000ull},
                {.tsc = 40, .event = TRACE_VM_ENTRY, .level = 2, .a = 0x100000},
                {.tsc = 90, .event = TRACE_VM_EXIT, .level = 2, .aux = EXIT_VMRESUME, .a = 0x100200},
                {.tsc = 130, .event = TRACE_VM_ENTRY, .level = 3, .a = 0xffffffff81000002ull},
        };
        struct trace_record r = round[step];
        r.tsc += FIRST_TSC + (k + 1) * ROUND_TICKS;
        r.cpu = (uint8_t)(k % w->cpus);
        put(w, r);
}

int main(int argc, char **argv)
{
        struct writer w = {0};
        if (argc != 5)
                return EXIT_FAILURE;
        const uint64_t records = strtoull(argv[2], NULL, 10);
        w.cpus = (uint32_t)strtoul(argv[3], NULL, 10);
        w.chunk_records = (uint32_t)strtoul(argv[4], NULL, 10);
        w.out = strcmp(argv[1], "-") ? fopen(argv[1], "w") : stdout;
        if (!w.out || w.cpus < 1 || w.cpus > CPUS_MAX || w.chunk_records < 1 || w.chunk_records > CHUNK_MAX)
                return EXIT_FAILURE;
        for (uint32_t i = 0; i < w.cpus; i++) {
                w.buf[i] = calloc(w.chunk_records, sizeof(*w.buf[i]));
                if (!w.buf[i])
                        return EXIT_FAILURE;
        }
        put(&w, (struct trace_record){.tsc = FIRST_TSC,
                                      .event = TRACE_SESSION,
                                      .level = 1,
                                      .aux = TRACE_SCHEMA_VERSION,
                                      .a = TSC_HZ});
        put(&w, (struct trace_record){
                        .tsc = FIRST_TSC + 1, .event = TRACE_GUEST, .level = 2, .aux = GUEST_CASCADE});
        put(&w, (struct trace_record){
                        .tsc = FIRST_TSC + 2, .event = TRACE_GUEST, .level = 3, .aux = GUEST_LINUX});
        for (uint64_t i = 3; i < records; i++)
                put_round(&w, (i - 3) / 5, (i - 3) % 5);
        for (uint32_t i = 0; i < w.cpus; i++) {
                if (w.fill[i])
                        flush_cpu(&w, i);
                free(w.buf[i]);
        }
        return ferror(w.out) || fclose(w.out) ? EXIT_FAILURE : EXIT_SUCCESS;
}
