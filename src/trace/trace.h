/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.h - the per-processor trace buffer and its emitters.
 *
 * A buffer is one chunk (record.h): records are appended by a handful of instructions, never by an exit. The run
 * loop drains a nearly full buffer between an exit and the next entry; a record that finds no room is counted as
 * lost. A processor without a trace store has no buffer, and emitting costs it one test. */
#ifndef CASCADE_TRACE_TRACE_H
#define CASCADE_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include "hw/cpu.h"
#include "trace/record.h"

#define TRACE_BUFFER_BYTES   (128 * 1024)
#define TRACE_BUFFER_RECORDS (TRACE_BUFFER_BYTES / sizeof(struct trace_record) - 1)
/* Drained when fewer records than this have room: one exit emits far less. */
#define TRACE_RESERVE        256

struct trace_buffer {
        struct trace_chunk head;
        struct trace_record record[TRACE_BUFFER_RECORDS];
};
_Static_assert(sizeof(struct trace_buffer) == TRACE_BUFFER_BYTES, "a buffer is drained as one chunk");

struct trace {
        struct trace_buffer *buffer; /* NULL: tracing is off */
        uint64_t lost;
        uint8_t cpu;
};

static inline void trace_emit(struct trace *t, enum trace_event event, unsigned level, uint32_t aux, uint64_t a,
                              uint64_t b)
{
        struct trace_buffer *buf = t->buffer;
        if (__builtin_expect(!buf, 1))
                return;
        const uint32_t n = buf->head.count;
        if (__builtin_expect(n >= TRACE_BUFFER_RECORDS, 0)) {
                t->lost++;
                return;
        }
        buf->record[n] = (struct trace_record){ .tsc = hw_rdtsc(), .event = (uint8_t)event, .level = (uint8_t)level,
                                                .cpu = t->cpu, .aux = aux, .a = a, .b = b };
        buf->head.count = n + 1;
}

static inline bool trace_wants_drain(const struct trace *t)
{
        return t->buffer && t->buffer->head.count > TRACE_BUFFER_RECORDS - TRACE_RESERVE;
}

#endif
