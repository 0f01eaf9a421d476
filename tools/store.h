/* SPDX-License-Identifier: BSD-2-Clause */
/* store.h - reads the trace store, the file of chunks described in trace/record.h. Its content is hostile
 * input. The caller owns the file descriptor (any regular file, possibly sparse, possibly still growing) and
 * must keep it open. Fails with STORE_BAD and a reason in one line; what was read before stays good. */
#ifndef CASCADE_TOOLS_STORE_H
#define CASCADE_TOOLS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "trace/record.h"

enum store_verdict {
        STORE_OK,          /* a chunk, or a record */
        STORE_END,         /* nothing more (yet) */
        STORE_BAD,         /* damaged */
        STORE_BAD_VERSION, /* written with another schema */
        STORE_IO           /* the file cannot be read; errno tells why */
};

struct store {
        int fd;
        uint32_t next_seq;
        uint64_t next_offset;
        char why[160]; /* set with STORE_BAD* */
};

struct store_chunk {
        uint64_t offset; /* of the first record */
        uint32_t count;
        uint32_t seq;
        uint32_t cpu;
        uint64_t lost;
};

void store_open(struct store *s, int fd);

/* The next chunk. Unless `final`, the machine may be in the middle of writing: a chunk is given out when its
 * successor has begun, and anything odd counts as not yet written. With `final` what is there is judged as it
 * stands. */
enum store_verdict store_next(struct store *s, bool final, struct store_chunk *chunk);

/* Reads n records of a chunk from record `first` on, and checks them: *good tells how many are sound. */
enum store_verdict store_records(struct store *s, const struct store_chunk *chunk, uint32_t first, uint32_t n,
                                 struct trace_record *out, uint32_t *good);

#endif
