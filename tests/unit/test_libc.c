/* SPDX-License-Identifier: BSD-2-Clause */
/* The image's C library (src/base/libc.c under other names), its formatter, sort and arena allocator; the
 * host's C library is the reference. */
#include "suite.h"
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/bits.h"
#include "base/fmt.h"
#include "base/sort.h"

enum { N = 80 };

static int reference_format(char *dst, size_t size, const char *fmt, va_list ap)
{
        return vsnprintf(dst, size, fmt, ap);
}

static int reference_memcmp(const void *a, const void *b, size_t n)
{
        return memcmp(a, b, n);
}

static void reference_memmove(void *dst, const void *src, size_t n)
{
        memmove(dst, src, n);
}

#include "libc_names.h"
#include "base/heap.h"
#include "base/libc.h"

static int sign(int v)
{
        return (v > 0) - (v < 0);
}

static void fill(uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)(i * 7 + 3);
}

/* Every offset pair and length around the word size, overlapping either way and not at all. */
START_TEST(copies)
{
        for (size_t from = 0; from < 40; from++)
                for (size_t to = 0; to < 40; to++)
                        for (size_t n = 0; n <= 40; n++) {
                                uint8_t ours[N], ref[N];

                                fill(ours, N);
                                fill(ref, N);
                                ck_assert_ptr_eq(memmove(ours + to, ours + from, n), ours + to);
                                reference_memmove(ref + to, ref + from, n);
                                ck_assert_int_eq(reference_memcmp(ours, ref, N), 0);
                        }
}
END_TEST

START_TEST(copy_apart)
{
        for (size_t n = 0; n <= N; n++) {
                uint8_t src[N], dst[N + 1] = {0};

                fill(src, N);
                ck_assert_ptr_eq(memcpy(dst, src, n), dst);
                ck_assert_int_eq(reference_memcmp(dst, src, n), 0);
                for (size_t i = n; i <= N; i++)
                        ck_assert_uint_eq(dst[i], 0);
        }
}
END_TEST

START_TEST(fills)
{
        for (size_t at = 0; at < 9; at++)
                for (size_t n = 0; n + at <= N; n++) {
                        uint8_t p[N] = {0};

                        ck_assert_ptr_eq(memset(p + at, 0x1a5, n), p + at);
                        for (size_t i = 0; i < N; i++)
                                ck_assert_uint_eq(p[i], i >= at && i < at + n ? 0xa5 : 0);
                }
}
END_TEST

START_TEST(compares)
{
        for (size_t n = 1; n <= 24; n++)
                for (size_t i = 0; i < n; i++) {
                        uint8_t a[24] = {0}, b[24] = {0};

                        ck_assert_int_eq(memcmp(a, b, n), 0);
                        a[i] = 0x80;
                        b[i] = 0x7f;
                        ck_assert_int_gt(memcmp(a, b, n), 0);
                        ck_assert_int_lt(memcmp(b, a, n), 0);
                        ck_assert_int_eq(memcmp(a, b, i), 0);
                }
}
END_TEST

START_TEST(strings)
{
        static const struct {
                const char *a, *b;
                size_t n;
                int whole, part;
        } t[] = {
                {"", "", 0, 0, 0},         {"a", "", 1, 1, 1},        {"", "a", 1, -1, -1},
                {"abc", "abd", 2, -1, 0},  {"abc", "abd", 3, -1, -1}, {"abc", "abc", 9, 0, 0},
                {"\x80", "\x7f", 1, 1, 1}, {"abc", "ab", 2, 1, 0},
        };
        for (size_t i = 0; i < ARRAY_LEN(t); i++) {
                ck_assert_int_eq(sign(strcmp(t[i].a, t[i].b)), t[i].whole);
                ck_assert_int_eq(sign(strncmp(t[i].a, t[i].b, t[i].n)), t[i].part);
        }
        ck_assert_uint_eq(strlen(""), 0);
        ck_assert_uint_eq(strlen("four"), 4);

        const char *const s = "abca";
        ck_assert_ptr_eq(strchr(s, 'a'), s);
        ck_assert_ptr_eq(strchr(s, 'c'), s + 2);
        ck_assert_ptr_eq(strchr(s, 0), s + 4);
        ck_assert_ptr_null(strchr(s, 'x'));

        char d[6] = "-----";
        ck_assert_ptr_eq(strncpy(d, "ab", 4), d);
        ck_assert_int_eq(reference_memcmp(d, "ab\0\0-", 6), 0);
        strncpy(d, "xyz", 2);
        ck_assert_int_eq(reference_memcmp(d, "xy\0\0-", 6), 0);
}
END_TEST

static void __attribute__((format(printf, 1, 2))) same_format(const char *fmt, ...)
{
        for (size_t size = 0; size <= 64; size += size < 8 ? 1 : 28) {
                char ours[64] = "untouched", ref[64] = "untouched";
                va_list a, b;

                va_start(a, fmt);
                va_copy(b, a);
                const int n = vsnprintf(ours, size, fmt, a), want = reference_format(ref, size, fmt, b);
                va_end(b);
                va_end(a);
                ck_assert_str_eq(ours, ref);
                ck_assert_int_eq(n, want);
        }
}

START_TEST(formats_text)
{
        same_format("plain");
        same_format("%s|%5s|%-5s|%.2s|%.*s|%*s", "ab", "ab", "ab", "abc", 1, "xyz", 4, "q");
        same_format("%*s|%-*s", -4, "q", 4, "r");
        same_format("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
        same_format("100%% of %s", "it");
        static const char unterminated[3] = {'a', 'b', 'c'};
        same_format("%.3s", unterminated);
}
END_TEST

START_TEST(formats_numbers)
{
        same_format("%d %i %u %x %X", -7, 2147483647, 4294967295u, 0xdeadbeefu, 0xdeadbeefu);
        same_format("%d %lld %ld", (int)0x80000000, (long long)BIT(63), (long)-1);
        same_format("%5d|%-5d|%05d|%+d|% d|%+05d", 42, 42, -42, 42, 42, 42);
        same_format("%.3d|%8.3d|%-8.3d|%.0d|", 7, -7, 7, 0);
        same_format("%#x|%#X|%#10x|%#010x", 255u, 255u, 255u, 255u);
        same_format("%llx %llu %lx %lu %zu %zx", ~0ull, ~0ull, ~0ul, ~0ul, (size_t)1 << 40, (size_t)255);
        same_format("%hhu %hu %hhd %hd", 255, 65535, -128, -32768);
        same_format("%016llx|%02x", 0x123456789abcull, 5u);
        same_format("%p %20p", (void *)0x1234, (void *)~0ul);
        same_format("%jd %td", (intmax_t)-1, (ptrdiff_t)-2);
        same_format("%*d|%-*d|%.*d", 6, 1, 6, 2, -1, 3);
        same_format("%d|%x|%s|%lld", 1, 2u, "three", 4ll);
}
END_TEST

static int __attribute__((format(printf, 3, 0))) forward(char *dst, size_t size, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        const int n = fmt_vformat(dst, size, fmt, ap);
        va_end(ap);
        return n;
}

/* Where the C standard leaves the result open, ours still is bounded and visible. */
START_TEST(formats_oddities)
{
        static const struct {
                const char *fmt, *want;
        } t[] = {{"%q %d", "%q 5"}, {"%08.3d", "     005"}, {"%5", "%5"},
                 {"%", "%"},        {"%l", "%l"},           {"a%-08.3", "a%-08.3"}};
        char buf[32];

        for (size_t i = 0; i < ARRAY_LEN(t); i++) {
                ck_assert_int_eq(forward(buf, sizeof(buf), t[i].fmt, 5), (int)strlen(t[i].want));
                ck_assert_str_eq(buf, t[i].want);
        }
        forward(buf, sizeof(buf), "%s", NULL);
        ck_assert_str_eq(buf, "(null)");
        ck_assert_int_eq(forward(buf, sizeof(buf), "%99999999999d", 1), 4096);
        ck_assert_int_eq(forward(buf, sizeof(buf), "%*d", (int)0x80000000, 1), 4096);
        ck_assert_int_eq(forward(NULL, 0, "%d", 123), 3);
        ck_assert_int_eq(snprintf(buf, 3, "%s", "abc"), 3);
        ck_assert_str_eq(buf, "ab");
}
END_TEST

static int by_u16(const void *a, const void *b)
{
        uint16_t x, y;

        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        return (x > y) - (x < y);
}

START_TEST(sorts)
{
        uint32_t seed = 1;

        for (size_t n = 0; n < 70; n++)
                for (unsigned kind = 0; kind < 4; kind++) {
                        uint16_t v[70];
                        unsigned sum = 0, sorted = 0;

                        for (size_t i = 0; i < n; i++) {
                                seed = seed * 1103515245u + 12345u;
                                v[i] = (uint16_t)(kind == 0   ? seed >> 16
                                                  : kind == 1 ? i
                                                  : kind == 2 ? n - i
                                                              : 5);
                                sum += v[i];
                        }
                        qsort(v, n, sizeof(v[0]), by_u16);
                        for (size_t i = 0; i < n; i++)
                                sorted += v[i];
                        for (size_t i = 1; i < n; i++)
                                ck_assert_uint_le(v[i - 1], v[i]);
                        ck_assert_uint_eq(sum, sorted);
                }
}
END_TEST

static _Alignas(ARENA_ALIGN) uint8_t room[4096];

static bool all_bytes_are(const uint8_t *p, size_t n, uint8_t value)
{
        size_t k = 0;

        while (k < n && p[k] == value)
                k++;
        return k == n;
}

START_TEST(arena_fills_up_and_empties)
{
        struct arena a;
        void *p[128];
        size_t n = 0;

        arena_init(&a, room, sizeof(room));
        while (n < ARRAY_LEN(p) && (p[n] = arena_alloc(&a, 100))) {
                ck_assert(IS_ALIGNED((uintptr_t)p[n], ARENA_ALIGN));
                memset(p[n], (int)n, 100);
                n++;
        }
        ck_assert_uint_eq(n, 4096 / (16 + 112));
        ck_assert_uint_eq(a.used, 4096);
        for (size_t i = 0; i < n; i++)
                ck_assert(all_bytes_are(p[i], 100, (uint8_t)i));
        for (size_t i = 0; i < n; i += 2)
                arena_free(&a, p[i]);
        ck_assert_ptr_null(arena_alloc(&a, 200)); /* the holes are not next to each other */
        for (size_t i = 1; i < n; i += 2)
                arena_free(&a, p[i]);
        ck_assert_uint_eq(a.used, 0);
        void *const whole = arena_alloc(&a, 4096 - 16);
        ck_assert_ptr_nonnull(whole);
        arena_free(&a, whole);
        ck_assert_ptr_null(arena_alloc(&a, 4096 - 15));
        ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
        ck_assert_ptr_null(arena_calloc(&a, SIZE_MAX / 2, 3));
}
END_TEST

/* Random allocation, growth and release: contents survive, nothing leaks, neighbours join in every order. */
START_TEST(arena_random)
{
        struct {
                uint8_t *p;
                size_t n;
                uint8_t value;
        } live[24] = {0};
        struct arena a;
        uint32_t seed = 7;

        arena_init(&a, room, sizeof(room));
        for (unsigned round = 0; round < 20000; round++) {
                seed = seed * 1664525u + 1013904223u;
                const size_t i = (seed >> 8) % ARRAY_LEN(live), n = (seed >> 16) % 300;

                ck_assert(all_bytes_are(live[i].p, live[i].n, live[i].value));
                if (live[i].p && seed & 0x80) {
                        arena_free(&a, live[i].p);
                        live[i].p = NULL;
                        live[i].n = 0;
                        continue;
                }
                uint8_t *const q = arena_realloc(&a, live[i].p, n + 1);
                if (!q)
                        continue;
                live[i].p = q;
                live[i].n = n + 1;
                live[i].value = (uint8_t)round;
                memset(q, live[i].value, n + 1);
        }
        for (size_t i = 0; i < ARRAY_LEN(live); i++)
                arena_free(&a, live[i].p);
        ck_assert_uint_eq(a.used, 0);
        ck_assert_ptr_nonnull(arena_alloc(&a, 4096 - 16));
}
END_TEST

START_TEST(heap_serves_from_arena)
{
        struct arena a;

        ck_assert_ptr_null(malloc(1));
        ck_assert_ptr_null(calloc(1, 1));
        free(NULL);
        memset(room, 0xff, sizeof(room));
        arena_init(&a, room, sizeof(room));
        heap_use(&a);
        uint8_t *p = calloc(10, 10);
        for (size_t i = 0; i < 100; i++)
                ck_assert_uint_eq(p[i], 0);
        memset(p, 9, 100);
        p = realloc(p, 1000);
        for (size_t i = 0; i < 100; i++)
                ck_assert_uint_eq(p[i], 9);
        ck_assert_ptr_null(realloc(p, 5000));
        ck_assert_uint_eq(p[99], 9);
        ck_assert_ptr_null(realloc(p, 0));
        ck_assert_uint_eq(a.used, 0);
        free(malloc(0));
        ck_assert_uint_eq(a.used, 0);
        heap_use(NULL);
}
END_TEST

static void free_twice(struct arena *a, uint8_t *p)
{
        arena_free(a, p);
        arena_free(a, p);
}

static void free_inside(struct arena *a, uint8_t *p)
{
        arena_free(a, p + ARENA_ALIGN);
}

static void free_unaligned(struct arena *a, uint8_t *p)
{
        arena_free(a, p + 1);
}

static void free_foreign(struct arena *a, uint8_t *p)
{
        arena_free(a, &a);
}

static void canary_lost(struct arena *a, uint8_t *p)
{
        __stack_chk_fail();
}

static void (*const misuse[])(struct arena *a, uint8_t *p) = {free_twice, free_inside, free_unaligned,
                                                              free_foreign, canary_lost};

/* Our own mistakes stop at once. */
START_TEST(bugs_stop)
{
        struct arena a;

        memset(room, 0, sizeof(room));
        arena_init(&a, room, sizeof(room));
        misuse[_i](&a, arena_alloc(&a, 64));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("libc");
        TCase *t = tcase_create("libc");

        tcase_add_test(t, copies);
        tcase_add_test(t, copy_apart);
        tcase_add_test(t, fills);
        tcase_add_test(t, compares);
        tcase_add_test(t, strings);
        tcase_add_test(t, formats_text);
        tcase_add_test(t, formats_numbers);
        tcase_add_test(t, formats_oddities);
        tcase_add_test(t, sorts);
        tcase_add_test(t, arena_fills_up_and_empties);
        tcase_add_test(t, arena_random);
        tcase_add_test(t, heap_serves_from_arena);
        tcase_add_loop_test_raise_signal(t, bugs_stop, SIGABRT, 0, ARRAY_LEN(misuse));
        suite_add_tcase(s, t);
        return suite_run(s);
}
