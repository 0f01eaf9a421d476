/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay's reading side: chunks of a trace store, whole, growing, cut short and hostile; the merge of
 * processors. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/bits.h"
#include "../../tools/merge.h"

#define RECORDS_MAX 64

static struct trace_chunk good_header(uint32_t seq, uint32_t count, uint32_t cpu)
{
        return (struct trace_chunk){.magic = TRACE_CHUNK_MAGIC,
                                    .seq = seq,
                                    .count = count,
                                    .cpu = cpu,
                                    .version = TRACE_SCHEMA_VERSION};
}

static uint64_t write_chunk(int fd, uint64_t at, struct trace_chunk h, const uint64_t *tsc)
{
        struct trace_record r[RECORDS_MAX] = {0};
        for (uint32_t i = 0; i < h.count; i++)
                r[i] = (struct trace_record){.tsc = tsc[i], .event = TRACE_VM_EXIT, .cpu = (uint8_t)h.cpu};
        ck_assert_int_eq(pwrite(fd, &h, sizeof(h), (off_t)at), sizeof(h));
        ck_assert_int_eq(pwrite(fd, r, h.count * sizeof(r[0]), (off_t)(at + sizeof(h))),
                         (ssize_t)(h.count * sizeof(r[0])));
        const uint64_t next = ALIGN_UP(at + sizeof(h) + h.count * sizeof(r[0]), TRACE_CHUNK_ALIGN);
        ck_assert_int_eq(ftruncate(fd, (off_t)next), 0);
        return next;
}

static int new_store(void)
{
        const int fd = memfd_create("store", MFD_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        return fd;
}

static const uint64_t ticks[RECORDS_MAX] = {10, 20,  30,  40,  50,  60,  70,  80,
                                            90, 100, 110, 120, 130, 140, 150, 160};

START_TEST(chunks_in_order)
{
        const int fd = new_store();
        struct store s;
        struct store_chunk c;
        /* 15 records and the header fill one unit exactly; 16 need two. */
        uint64_t at = write_chunk(fd, 0, good_header(0, 15, 0), ticks);
        ck_assert_uint_eq(at, 512);
        at = write_chunk(fd, at, good_header(1, 16, 0), ticks);
        ck_assert_uint_eq(at, 512 + 1024);
        write_chunk(fd, at, good_header(2, 0, 3), ticks);
        store_open(&s, fd);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        ck_assert(c.offset == 32 && c.count == 15 && c.seq == 0 && c.cpu == 0);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        ck_assert(c.offset == 512 + 32 && c.count == 16 && c.seq == 1);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        ck_assert(c.count == 0 && c.cpu == 3);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_END);
        close(fd);
}
END_TEST

START_TEST(empty_and_sparse_end)
{
        const int fd = new_store();
        struct store s;
        struct store_chunk c;
        store_open(&s, fd);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_END);
        ck_assert_int_eq(store_next(&s, false, &c), STORE_END);
        const uint64_t at = write_chunk(fd, 0, good_header(0, 1, 0), ticks);
        ck_assert_int_eq(ftruncate(fd, (off_t)at + (1 << 20)), 0); /* zeroes to the end of a disk image */
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_END);
        close(fd);
}
END_TEST

/* A chunk may still be in the making until its successor is there, or the machine has ended. */
START_TEST(growing_store)
{
        const int fd = new_store();
        struct store s;
        struct store_chunk c;
        const uint64_t at = write_chunk(fd, 0, good_header(0, 2, 0), ticks);
        store_open(&s, fd);
        ck_assert_int_eq(store_next(&s, false, &c), STORE_END);
        write_chunk(fd, at, good_header(1, 2, 0), ticks);
        ck_assert_int_eq(store_next(&s, false, &c), STORE_OK);
        ck_assert_uint_eq(c.seq, 0);
        ck_assert_int_eq(store_next(&s, false, &c), STORE_END);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        ck_assert_uint_eq(c.seq, 1);
        close(fd);
}
END_TEST

static enum store_verdict second_chunk(struct trace_chunk h, bool final)
{
        const int fd = new_store();
        struct store s;
        struct store_chunk c;
        write_chunk(fd, 0, good_header(0, 1, 0), ticks);
        ck_assert_int_eq(ftruncate(fd, 1024), 0);
        ck_assert_int_eq(pwrite(fd, &h, sizeof(h), 512), sizeof(h));
        store_open(&s, fd);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        const enum store_verdict v = store_next(&s, final, &c);
        ck_assert((v == STORE_BAD || v == STORE_BAD_VERSION) == (s.why[0] != '\0') || !final);
        close(fd);
        return v;
}

START_TEST(hostile_headers)
{
        struct trace_chunk h = good_header(1, 15, 0);
        ck_assert_int_eq(second_chunk(h, true), STORE_OK);
        h.count = 16; /* one more than the file has room for */
        ck_assert_int_eq(second_chunk(h, true), STORE_BAD);
        h.count = UINT32_MAX;
        ck_assert_int_eq(second_chunk(h, true), STORE_BAD);
        h = good_header(1, 1, 255);
        ck_assert_int_eq(second_chunk(h, true), STORE_OK);
        h.cpu = 256;
        ck_assert_int_eq(second_chunk(h, true), STORE_BAD);
        ck_assert_int_eq(second_chunk(good_header(0, 1, 0), true), STORE_BAD);
        ck_assert_int_eq(second_chunk(good_header(2, 1, 0), true), STORE_BAD);
        h = good_header(1, 1, 0);
        h.magic ^= 1;
        ck_assert_int_eq(second_chunk(h, true), STORE_BAD);
        ck_assert_int_eq(second_chunk(h, false), STORE_END); /* perhaps half written: not judged yet */
        h = good_header(1, 1, 0);
        h.version++;
        ck_assert_int_eq(second_chunk(h, true), STORE_BAD_VERSION);
        ck_assert_int_eq(second_chunk(h, false), STORE_BAD_VERSION);
}
END_TEST

START_TEST(header_cut_short)
{
        const int fd = new_store();
        struct store s;
        struct store_chunk c;
        write_chunk(fd, 0, good_header(0, 1, 0), ticks);
        const struct trace_chunk h = good_header(1, 0, 0);
        ck_assert_int_eq(pwrite(fd, &h, sizeof(h) - 1, 512), sizeof(h) - 1);
        store_open(&s, fd);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_BAD);
        close(fd);
}
END_TEST

START_TEST(bad_records_keep_the_good_ones)
{
        const int fd = new_store();
        struct store s;
        struct store_chunk c;
        struct trace_record out[8];
        uint32_t good;
        uint8_t event;
        write_chunk(fd, 0, good_header(0, 8, 0), ticks);
        store_open(&s, fd);
        ck_assert_int_eq(store_next(&s, true, &c), STORE_OK);
        ck_assert_int_eq(store_records(&s, &c, 0, 8, out, &good), STORE_OK);
        ck_assert(good == 8 && out[7].tsc == 80);
        const off_t event_5 = 32 + 5 * 32 + offsetof(struct trace_record, event);
        event = 0;
        ck_assert_int_eq(pwrite(fd, &event, 1, event_5), 1);
        ck_assert_int_eq(store_records(&s, &c, 0, 8, out, &good), STORE_BAD);
        ck_assert_uint_eq(good, 5);
        ck_assert_str_eq(s.why, "record 5 of chunk 0 was never written");
        event = 200;
        ck_assert_int_eq(pwrite(fd, &event, 1, event_5), 1);
        ck_assert_int_eq(store_records(&s, &c, 3, 5, out, &good), STORE_BAD);
        ck_assert_uint_eq(good, 2);
        ck_assert_str_eq(s.why, "record 5 of chunk 0 has unknown event 200");
        ck_assert_int_eq(ftruncate(fd, 32 + 3 * 32 + 31), 0); /* shrunk behind our back */
        ck_assert_int_eq(store_records(&s, &c, 0, 8, out, &good), STORE_BAD);
        ck_assert_uint_eq(good, 3);
        close(fd);
}
END_TEST

static size_t merge_all(struct merge *m, struct store *s, int fd, struct trace_record *out, size_t max)
{
        struct store_chunk c;
        size_t n = 0, got;
        store_open(s, fd);
        merge_init(m, s);
        while (store_next(s, true, &c) == STORE_OK)
                ck_assert(merge_add(m, &c));
        while ((got = merge_take(m, true, out + n, max - n < 3 ? max - n : 3)) > 0)
                n += got;
        return n;
}

START_TEST(merge_orders_processors)
{
        static const uint64_t cpu0[] = {10, 40, 50}, cpu1[] = {20, 30, 60}, cpu0_later[] = {55, 70};
        static const uint64_t want[] = {10, 20, 30, 40, 50, 55, 60, 70};
        const int fd = new_store();
        struct trace_record out[16];
        struct store s;
        struct merge m;
        uint64_t at = write_chunk(fd, 0, good_header(0, 3, 0), cpu0);
        at = write_chunk(fd, at, good_header(1, 3, 1), cpu1);
        write_chunk(fd, at, good_header(2, 2, 0), cpu0_later);
        ck_assert_uint_eq(merge_all(&m, &s, fd, out, 16), ARRAY_LEN(want));
        for (size_t i = 0; i < ARRAY_LEN(want); i++)
                ck_assert_uint_eq(out[i].tsc, want[i]);
        ck_assert_uint_eq(m.backwards, 0);
        ck_assert_int_eq(m.verdict, STORE_OK);
        merge_free(&m);
        close(fd);
}
END_TEST

/* While the machine runs, nothing newer than what any known processor may still deliver is given out. */
START_TEST(merge_waits_for_slow_processor)
{
        static const uint64_t cpu0[] = {10, 40}, cpu1[] = {20, 25};
        const int fd = new_store();
        struct trace_record out[16];
        struct store s;
        struct store_chunk c;
        struct merge m;
        const uint64_t at = write_chunk(fd, 0, good_header(0, 2, 0), cpu0);
        write_chunk(fd, at, good_header(1, 2, 1), cpu1);
        store_open(&s, fd);
        merge_init(&m, &s);
        while (store_next(&s, true, &c) == STORE_OK)
                ck_assert(merge_add(&m, &c));
        ck_assert_uint_eq(merge_take(&m, false, out, 16), 3);
        ck_assert_uint_eq(out[2].tsc, 25);
        ck_assert_uint_eq(merge_take(&m, false, out, 16), 0);
        ck_assert_uint_eq(merge_take(&m, true, out, 16), 1);
        ck_assert_uint_eq(out[0].tsc, 40);
        merge_free(&m);
        close(fd);
}
END_TEST

START_TEST(merge_counts_backwards)
{
        static const uint64_t tsc[] = {10, 50, 49, 50, 20, 60};
        static const uint64_t want[] = {10, 50, 50, 50, 50, 60};
        const int fd = new_store();
        struct trace_record out[16];
        struct store s;
        struct merge m;
        write_chunk(fd, 0, good_header(0, 6, 0), tsc);
        ck_assert_uint_eq(merge_all(&m, &s, fd, out, 16), 6);
        for (size_t i = 0; i < 6; i++)
                ck_assert_uint_eq(out[i].tsc, want[i]);
        ck_assert_uint_eq(m.backwards, 2);
        merge_free(&m);
        close(fd);
}
END_TEST

START_TEST(merge_stops_at_damage)
{
        const int fd = new_store();
        struct trace_record out[16];
        struct store s;
        struct merge m;
        const uint8_t zero = 0;
        const uint64_t at = write_chunk(fd, 0, good_header(0, 4, 0), ticks);
        write_chunk(fd, at, good_header(1, 4, 0), ticks + 4);
        ck_assert_int_eq(pwrite(fd, &zero, 1, 32 + 2 * 32 + offsetof(struct trace_record, event)), 1);
        ck_assert_uint_eq(merge_all(&m, &s, fd, out, 16), 2);
        ck_assert_int_eq(m.verdict, STORE_BAD);
        merge_free(&m);
        close(fd);
}
END_TEST

START_TEST(merge_tells_losses)
{
        const int fd = new_store();
        struct trace_record out[16];
        struct store s;
        struct merge m;
        struct trace_chunk h = good_header(0, 2, 0);
        h.lost = 7;
        const uint64_t at = write_chunk(fd, 0, h, ticks);
        const struct trace_record lost = {.tsc = 20, .event = TRACE_LOST, .a = 5};
        ck_assert_int_eq(pwrite(fd, &lost, sizeof(lost), 32 + 32), sizeof(lost));
        h = good_header(1, 1, 1);
        h.lost = 3;
        write_chunk(fd, at, h, ticks);
        ck_assert_uint_eq(merge_all(&m, &s, fd, out, 16), 3);
        ck_assert_uint_eq(merge_lost(&m), 10);
        ck_assert_uint_eq(merge_lost_untold(&m, 0), 2);
        ck_assert_uint_eq(merge_lost_untold(&m, 1), 3);
        merge_free(&m);
        close(fd);
}
END_TEST

/* More chunks than the first ring holds, more records than a block. */
START_TEST(merge_many_chunks)
{
        const int fd = new_store();
        static struct trace_record out[8192];
        struct store s;
        struct merge m;
        uint64_t tsc[50], at = 0, n = 0;
        for (uint32_t seq = 0; seq < 150; seq++) {
                for (size_t i = 0; i < ARRAY_LEN(tsc); i++)
                        tsc[i] = ++n;
                at = write_chunk(fd, at, good_header(seq, ARRAY_LEN(tsc), 0), tsc);
        }
        ck_assert_uint_eq(merge_all(&m, &s, fd, out, ARRAY_LEN(out)), n);
        for (size_t i = 0; i < n; i++)
                ck_assert_uint_eq(out[i].tsc, i + 1);
        ck_assert_uint_eq(m.queued, 0);
        merge_free(&m);
        close(fd);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("trace");
        TCase *t = tcase_create("store");
        tcase_add_test(t, chunks_in_order);
        tcase_add_test(t, empty_and_sparse_end);
        tcase_add_test(t, growing_store);
        tcase_add_test(t, hostile_headers);
        tcase_add_test(t, header_cut_short);
        tcase_add_test(t, bad_records_keep_the_good_ones);
        suite_add_tcase(s, t);
        t = tcase_create("merge");
        tcase_add_test(t, merge_orders_processors);
        tcase_add_test(t, merge_waits_for_slow_processor);
        tcase_add_test(t, merge_counts_backwards);
        tcase_add_test(t, merge_stops_at_damage);
        tcase_add_test(t, merge_tells_losses);
        tcase_add_test(t, merge_many_chunks);
        suite_add_tcase(s, t);
        return suite_run(s);
}
