/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/libc.h"
#include <stdint.h>
#include "base/arena.h"
#include "base/bug.h"
#include "base/fmt.h"
#include "base/heap.h"
#include "base/sort.h"

/* The loops here are what gcc likes to replace by calls of these very functions. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

/* Loads and stores of any alignment, as one instruction. */
typedef uint64_t __attribute__((aligned(1), may_alias)) word_t;

/* Whole words by string instruction: one instruction per word on any processor, and an emulator that counts
 * instructions counts one per word. The last (up to 8) bytes are read before anything is written, so this is
 * right for overlapping buffers as long as dst is below src. */
static void copy_up(uint8_t *dst, const uint8_t *src, size_t n)
{
        if (n < sizeof(word_t)) {
                while (n--)
                        *dst++ = *src++;
                return;
        }
        uint8_t *const last = dst + n - sizeof(word_t);
        const uint64_t tail = *(const word_t *)(src + n - sizeof(word_t));
        size_t words = n / sizeof(word_t);

        __asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(words) : : "memory");
        *(word_t *)last = tail;
}

static void copy_down(uint8_t *dst, const uint8_t *src, size_t n)
{
        while (n >= sizeof(word_t)) {
                n -= sizeof(word_t);
                *(word_t *)(dst + n) = *(const word_t *)(src + n);
        }
        while (n--)
                dst[n] = src[n];
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
        copy_up(dst, src, n);
        return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
        if ((uintptr_t)dst - (uintptr_t)src < n)
                copy_down(dst, src, n);
        else
                copy_up(dst, src, n);
        return dst;
}

void *memset(void *dst, int c, size_t n)
{
        uint8_t *p = dst;
        const uint64_t word = 0x0101010101010101ull * (uint8_t)c;

        if (n < sizeof(word_t)) {
                while (n--)
                        *p++ = (uint8_t)c;
                return dst;
        }
        *(word_t *)(p + n - sizeof(word_t)) = word;
        size_t words = n / sizeof(word_t);
        __asm__ volatile("rep stosq" : "+D"(p), "+c"(words) : "a"(word) : "memory");
        return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
        const uint8_t *p = a, *q = b;

        for (; n >= sizeof(word_t); n -= sizeof(word_t), p += sizeof(word_t), q += sizeof(word_t))
                if (*(const word_t *)p != *(const word_t *)q)
                        break;
        for (; n; n--, p++, q++)
                if (*p != *q)
                        return *p < *q ? -1 : 1;
        return 0;
}

size_t strlen(const char *s)
{
        size_t n = 0;

        while (s[n])
                n++;
        return n;
}

int strcmp(const char *a, const char *b)
{
        return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
        for (; n; n--, a++, b++) {
                if (*a != *b)
                        return (uint8_t)*a < (uint8_t)*b ? -1 : 1;
                if (!*a)
                        return 0;
        }
        return 0;
}

char *strncpy(char *restrict dst, const char *restrict src, size_t n)
{
        size_t i = 0;

        for (; i < n && src[i]; i++)
                dst[i] = src[i];
        for (; i < n; i++)
                dst[i] = 0;
        return dst;
}

char *strchr(const char *s, int c)
{
        for (;; s++) {
                if (*s == (char)c)
                        return (char *)(uintptr_t)s;
                if (!*s)
                        return NULL;
        }
}

int vsnprintf(char *restrict dst, size_t size, const char *restrict fmt, va_list ap)
{
        return fmt_vformat(dst, size, fmt, ap);
}

int snprintf(char *restrict dst, size_t size, const char *restrict fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        const int n = fmt_vformat(dst, size, fmt, ap);
        va_end(ap);
        return n;
}

/* malloc has no argument that could carry the arena: the one variable that stands for all of them. */
static struct arena *heap;

void heap_use(struct arena *a)
{
        heap = a;
}

void *malloc(size_t bytes)
{
        return heap ? arena_alloc(heap, bytes) : NULL;
}

void *calloc(size_t count, size_t bytes)
{
        return heap ? arena_calloc(heap, count, bytes) : NULL;
}

void *realloc(void *p, size_t bytes)
{
        return heap ? arena_realloc(heap, p, bytes) : NULL;
}

void free(void *p)
{
        BUG_UNLESS(heap || !p);
        if (p)
                arena_free(heap, p);
}

void qsort(void *array, size_t count, size_t bytes, int (*compare)(const void *, const void *))
{
        sort_array(array, count, bytes, compare);
}

void __stack_chk_fail(void)
{
        bug(__FILE__, __LINE__, "a library function overran its stack frame");
}
