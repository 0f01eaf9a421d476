/* SPDX-License-Identifier: BSD-2-Clause */
/* fmt.h - printf formatting into a caller's buffer. [pure]
 *
 * Conversions: %s %c %d %i %u %x %X %p %%, lengths hh h l ll z j t, flags - 0 + space #, width and precision
 * (numbers or *). No floating point. An unknown conversion is copied as it stands, so that a mistake shows.
 */
#ifndef CASCADE_BASE_FMT_H
#define CASCADE_BASE_FMT_H

#include <stdarg.h>
#include <stddef.h>

/* As vsnprintf: writes at most size - 1 characters and a final 0 (nothing if size is 0), returns the length
 * that the whole text has. */
int fmt_vformat(char *dst, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

#endif
