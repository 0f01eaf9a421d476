/* SPDX-License-Identifier: BSD-2-Clause */
/* console.h - where this cascade's own lines and its guest's console go.
 *
 * At L1: port 0xE9 where it answers (Bochs, QEMU's isa-debugcon), else the first UART. Under another cascade:
 * its console hypercall, which passes whole lines up unchanged. Output is line-buffered, so that lines of
 * different levels never mix. */
#ifndef CASCADE_TRACE_CONSOLE_H
#define CASCADE_TRACE_CONSOLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_LINE_BYTES 512

enum console_sink { CONSOLE_SINK_UART, CONSOLE_SINK_E9, CONSOLE_SINK_PARENT };

struct console {
        enum console_sink sink;
        unsigned level; /* absolute level of this cascade */
};

void console_init(struct console *c, unsigned level, enum console_sink sink);
/* Raw bytes, no buffering. */
void console_write(const struct console *c, const char *bytes, size_t n);
/* "cascade L1: ..." line for humans. */
void console_log(const struct console *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "@cascade level=N ..." line for the launcher; docs/cli.md lists the events. */
void console_status(const struct console *c, unsigned level, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Whether a guest's own line may go out unchanged: one whole line, and no status line of our level or above, which
 * the launcher would take for ours. [pure] */
bool console_may_pass(const char *bytes, size_t n, unsigned level);

/* One guest console being assembled into lines "L3| text". */
struct console_line {
        unsigned used;
        char text[CONSOLE_LINE_BYTES];
};
void console_guest_byte(const struct console *c, struct console_line *l, unsigned level, uint8_t byte);
void console_guest_flush(const struct console *c, struct console_line *l, unsigned level);

#endif
