/* SPDX-License-Identifier: BSD-2-Clause */
/* libc.h - the few C library functions that freestanding code here may use. In the image they come from
 * src/base/libc.c, on the host from the real C library (same prototypes, so host builds link either). */
#ifndef CASCADE_BASE_LIBC_H
#define CASCADE_BASE_LIBC_H

#include <stdarg.h>
#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strncpy(char *restrict dst, const char *restrict src, size_t n);
char *strchr(const char *s, int c);
int snprintf(char *restrict dst, size_t size, const char *restrict fmt, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *restrict dst, size_t size, const char *restrict fmt, va_list ap);

#endif
