/* SPDX-License-Identifier: BSD-2-Clause */
/* merge.h - one time line out of the chunks of several processors.
 * Owns its queues; reads records through the store, which must outlive it. Memory: one block of records per
 * processor and 32 bytes per chunk that waits for another processor, at most MERGE_CHUNKS_MAX of them. Time
 * that would go backwards is set to the time before it, and counted. */
#ifndef CASCADE_TOOLS_MERGE_H
#define CASCADE_TOOLS_MERGE_H

#include "store.h"

#define MERGE_CPUS       256
#define MERGE_BLOCK      2048 /* records read at once */
#define MERGE_CHUNKS_MAX (1u << 20)

struct merge_cpu {
        struct store_chunk *chunks; /* ring: head..head+len, a power of two in size */
        uint32_t size, head, len;
        struct trace_record *block;
        uint32_t at, filled; /* of block */
        uint32_t read;       /* records of the head chunk that were read */
        uint64_t lost;       /* as the newest chunk header says */
        uint64_t lost_told;  /* by LOST records */
};

struct merge {
        struct store *store;
        struct merge_cpu cpu[MERGE_CPUS];
        uint32_t cpus;   /* highest processor seen, plus 1 */
        uint32_t queued; /* chunks in all rings */
        uint64_t last_tsc;
        uint64_t backwards;
        enum store_verdict verdict; /* STORE_OK until a record is bad; nothing is given out after that */
};

void merge_init(struct merge *m, struct store *s);
void merge_free(struct merge *m);

/* Queues a chunk; false: out of memory. */
bool merge_add(struct merge *m, const struct store_chunk *chunk);

/* Up to max records in the order of time. Unless `final`, stops where a processor that has been heard of
 * might still deliver an older record. */
size_t merge_take(struct merge *m, bool final, struct trace_record *out, size_t max);

/* Records that were lost, by the chunk headers; and of those the ones no LOST record has told of. */
uint64_t merge_lost(const struct merge *m);
uint64_t merge_lost_untold(const struct merge *m, uint32_t cpu);

#endif
