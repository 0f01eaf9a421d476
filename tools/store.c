/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bits.h"
#include "store.h"

#define CPU_MAX UINT8_MAX /* trace_record.cpu is 8 bits wide */

void store_open(struct store *s, int fd)
{
        memset(s, 0, sizeof(*s));
        s->fd = fd;
}

/* Number of bytes read, less than n only at the end of the file; -1 on an error. */
static ssize_t read_at(int fd, void *buf, size_t n, uint64_t offset)
{
        size_t done = 0;
        while (done < n) {
                const ssize_t got = pread(fd, (char *)buf + done, n - done, (off_t)(offset + done));
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -1;
                if (got == 0)
                        break;
                done += (size_t)got;
        }
        return (ssize_t)done;
}

static enum store_verdict header_at(struct store *s, uint64_t offset, struct trace_chunk *h)
{
        static const struct trace_chunk zero;
        const ssize_t got = read_at(s->fd, h, sizeof(*h), offset);
        if (got < 0)
                return STORE_IO;
        if (got == 0)
                return STORE_END;
        if ((size_t)got < sizeof(*h)) {
                snprintf(s->why, sizeof(s->why), "the header of chunk %" PRIu32 " is cut short", s->next_seq);
                return STORE_BAD;
        }
        return memcmp(h, &zero, sizeof(zero)) ? STORE_OK : STORE_END;
}

static enum store_verdict header_check(struct store *s, const struct trace_chunk *h)
{
        struct stat st;
        if (h->magic != TRACE_CHUNK_MAGIC) {
                snprintf(s->why, sizeof(s->why), "chunk %" PRIu32 " has no magic word", s->next_seq);
                return STORE_BAD;
        }
        if (h->version != TRACE_SCHEMA_VERSION) {
                snprintf(s->why, sizeof(s->why), "chunk %" PRIu32 " has schema version %" PRIu32 ", not %d",
                         s->next_seq, h->version, TRACE_SCHEMA_VERSION);
                return STORE_BAD_VERSION;
        }
        if (h->seq != s->next_seq) {
                snprintf(s->why, sizeof(s->why), "chunk %" PRIu32 " calls itself chunk %" PRIu32, s->next_seq,
                         h->seq);
                return STORE_BAD;
        }
        if (h->cpu > CPU_MAX) {
                snprintf(s->why, sizeof(s->why), "chunk %" PRIu32 " is from cpu %" PRIu32, s->next_seq,
                         h->cpu);
                return STORE_BAD;
        }
        if (fstat(s->fd, &st))
                return STORE_IO;
        if (s->next_offset + sizeof(*h) + (uint64_t)h->count * sizeof(struct trace_record) >
            (uint64_t)st.st_size) {
                snprintf(s->why, sizeof(s->why),
                         "chunk %" PRIu32 " (%" PRIu32 " records) is longer than the file", s->next_seq,
                         h->count);
                return STORE_BAD;
        }
        return STORE_OK;
}

enum store_verdict store_next(struct store *s, bool final, struct store_chunk *chunk)
{
        struct trace_chunk h, after;
        enum store_verdict v = header_at(s, s->next_offset, &h);
        if (v == STORE_OK)
                v = header_check(s, &h);
        if (v == STORE_BAD && !final)
                return STORE_END;
        if (v != STORE_OK)
                return v;
        const uint64_t bytes = sizeof(h) + (uint64_t)h.count * sizeof(struct trace_record);
        const uint64_t next = s->next_offset + ALIGN_UP(bytes, TRACE_CHUNK_ALIGN);
        if (!final && (header_at(s, next, &after) != STORE_OK || after.magic != TRACE_CHUNK_MAGIC))
                return STORE_END;
        *chunk = (struct store_chunk){.offset = s->next_offset + sizeof(h),
                                      .count = h.count,
                                      .seq = h.seq,
                                      .cpu = h.cpu,
                                      .lost = h.lost};
        s->next_offset = next;
        s->next_seq++;
        return STORE_OK;
}

static bool event_known(uint8_t event)
{
        switch (event) {
#define EVENT(name, id, group, aux, a, b, doc) case TRACE_##name:
#include "trace/events.def"
#undef EVENT
                return true;
        default:
                return false;
        }
}

enum store_verdict store_records(struct store *s, const struct store_chunk *chunk, uint32_t first, uint32_t n,
                                 struct trace_record *out, uint32_t *good)
{
        const ssize_t got =
                read_at(s->fd, out, (size_t)n * sizeof(*out), chunk->offset + (uint64_t)first * sizeof(*out));
        *good = 0;
        if (got < 0)
                return STORE_IO;
        const uint32_t whole = (uint32_t)((size_t)got / sizeof(*out));
        for (; *good < whole; (*good)++) {
                const struct trace_record *r = &out[*good];
                if (event_known(r->event))
                        continue;
                snprintf(s->why, sizeof(s->why),
                         r->event ? "record %" PRIu32 " of chunk %" PRIu32 " has unknown event %u"
                                  : "record %" PRIu32 " of chunk %" PRIu32 " was never written",
                         first + *good, chunk->seq, r->event);
                return STORE_BAD;
        }
        if (whole < n) {
                snprintf(s->why, sizeof(s->why), "chunk %" PRIu32 " is cut short", chunk->seq);
                return STORE_BAD;
        }
        return STORE_OK;
}
