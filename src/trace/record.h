/* SPDX-License-Identifier: BSD-2-Clause */
/* record.h - layout of trace records and of the chunks in which they leave the machine. [pure]
 * Shared by the image (writer) and the host tools (reader); little-endian, no padding. */
#ifndef CASCADE_TRACE_RECORD_H
#define CASCADE_TRACE_RECORD_H

#include <stdint.h>

#define TRACE_SCHEMA_VERSION 1

enum trace_event {
#define EVENT(name, id, group, aux, a, b, doc) TRACE_##name = (id),
#include "trace/events.def"
#undef EVENT
};

struct trace_record {
        uint64_t tsc;  /* guest TSC = host TSC: offset 0 at every level */
        uint8_t event; /* enum trace_event */
        uint8_t level; /* absolute level (L2 = 2) that the event is about */
        uint8_t cpu;   /* processor number */
        uint8_t _zero;
        uint32_t aux;
        uint64_t a;
        uint64_t b;
};
_Static_assert(sizeof(struct trace_record) == 32, "records are 32 bytes");

/* A chunk is a header, `count` records, and zeroes up to the next multiple of TRACE_CHUNK_ALIGN bytes.
 * Chunks follow each other from byte 0 of the trace store; seq counts 0, 1, 2, ...; a header without the
 * magic word or with another seq ends the stream. */
#define TRACE_CHUNK_MAGIC 0x4b4e4843454341ull /* "ACECHNK" */
#define TRACE_CHUNK_ALIGN 512

struct trace_chunk {
        uint64_t magic;
        uint32_t seq;
        uint32_t count;
        uint32_t cpu;
        uint32_t version; /* TRACE_SCHEMA_VERSION */
        uint64_t lost;    /* records lost on this cpu since the start */
};
_Static_assert(sizeof(struct trace_chunk) == 32, "a chunk header is as large as a record");

/* TRACE_MARKER codes. Guests set them with a 32-bit OUT to port MARKER_PORT: code in bits 31:24, value below. */
#define MARKER_PORT       0x5ca0
#define MARK_USERSPACE    1 /* the guest's init runs; value 0 */
#define MARK_WORK_BEGIN   2 /* value: number of the workload's phase */
#define MARK_WORK_END     3 /* value: number of the phase */
#define MARK_RESULT       4 /* value: exit status the guest reports for itself */
#define MARK_POWER_OFF    5 /* set by the hypervisor above when the guest powers off */
#define MARK_GUEST        6 /* set by a hypervisor that starts its guest; value: GUEST_*, recorded as TRACE_GUEST */
#define MARK_USER         16 /* and above, below MARK_OF_MY_GUEST: free for experiments */
#define MARK_OF_MY_GUEST  64 /* added to a code by a guest that runs a guest: it is about that guest, one level deeper */

/* TRACE_GUEST kinds. */
#define GUEST_UNKNOWN 0
#define GUEST_LINUX   1
#define GUEST_CASCADE 2
#define GUEST_PROBE   3

#endif
