/* SPDX-License-Identifier: BSD-2-Clause */
/* store.h - where trace buffers leave the machine: the second disk of the first IDE channel, written by
 * programmed I/O from its first sector on. Only used when the launcher's command line says so (trace=ata):
 * never touches a disk otherwise. */
#ifndef CASCADE_TRACE_STORE_H
#define CASCADE_TRACE_STORE_H

#include "trace/trace.h"

struct trace_store {
        uint64_t next_sector, sectors;
        uint32_t seq;
        uint64_t bytes; /* written so far */
        bool failed;    /* the disk answered with an error: everything after is lost */
};

/* False if no such disk answers. */
bool store_open(struct trace_store *s, uint64_t sectors);
/* Writes the buffer out and empties it. Records that do not fit any more are counted in t->lost. */
void store_drain(struct trace_store *s, struct trace *t);
/* The last drain. A chunk without records carries the final count of losses, for which room is always kept. */
void store_close(struct trace_store *s, struct trace *t);

#endif
