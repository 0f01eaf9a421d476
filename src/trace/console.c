/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/console.h"
#include "base/bits.h"
#include "base/libc.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"

#define PORT_E9       0xe9
#define UART_BASE     0x3f8
#define UART_LSR      (UART_BASE + 5)
#define UART_LSR_THRE BIT(5)

void console_init(struct console *c, unsigned level, enum console_sink sink)
{
        c->level = level;
        c->sink = sink;
        if (sink == CONSOLE_SINK_UART) {
                hw_outb(UART_BASE + 1, 0);    /* no interrupts */
                hw_outb(UART_BASE + 3, 0x80); /* DLAB */
                hw_outb(UART_BASE + 0, 1);    /* 115200 baud */
                hw_outb(UART_BASE + 1, 0);
                hw_outb(UART_BASE + 3, 0x03); /* 8n1 */
                hw_outb(UART_BASE + 2, 0x07); /* FIFO on and empty */
                hw_outb(UART_BASE + 4, 0x03); /* DTR, RTS */
        }
}

void console_write(const struct console *c, const char *bytes, size_t n)
{
        if (c->sink == CONSOLE_SINK_PARENT) {
                hypercall(HC_CONSOLE, (uint64_t)bytes, n);
        } else if (c->sink == CONSOLE_SINK_E9) {
                hw_outs_b(PORT_E9, bytes, n);
        } else {
                for (size_t i = 0; i < n; i++) {
                        while (!(hw_inb(UART_LSR) & UART_LSR_THRE))
                                ;
                        hw_outb(UART_BASE, (uint8_t)bytes[i]);
                }
        }
}

static void write_line(const struct console *c, char *line, size_t capacity, size_t used)
{
        if (used > capacity - 2)
                used = capacity - 2;
        line[used++] = '\n';
        console_write(c, line, used);
}

/* vsnprintf() returns what it would have written; what is there is at most the capacity. */
static size_t clamp(int would, size_t capacity)
{
        return would < 0 ? 0 : (size_t)would < capacity ? (size_t)would : capacity - 1;
}

static void formatted_line(const struct console *c, const char *head, const char *fmt, va_list ap)
{
        char line[CONSOLE_LINE_BYTES];
        size_t used = clamp(snprintf(line, sizeof(line), "%s", head), sizeof(line));
        used += clamp(vsnprintf(line + used, sizeof(line) - used, fmt, ap), sizeof(line) - used);
        write_line(c, line, sizeof(line), used);
}

void console_log(const struct console *c, const char *fmt, ...)
{
        char head[32];
        snprintf(head, sizeof(head), "cascade L%u: ", c->level);
        va_list ap;
        va_start(ap, fmt);
        formatted_line(c, head, fmt, ap);
        va_end(ap);
}

void console_status(const struct console *c, unsigned level, const char *fmt, ...)
{
        char head[32];
        snprintf(head, sizeof(head), "@cascade level=%u ", level);
        va_list ap;
        va_start(ap, fmt);
        formatted_line(c, head, fmt, ap);
        va_end(ap);
}

void console_guest_flush(const struct console *c, struct console_line *l, unsigned level)
{
        if (!l->used)
                return;
        char line[CONSOLE_LINE_BYTES + 16];
        const size_t used = clamp(snprintf(line, sizeof(line), "L%u| %.*s", level, (int)l->used, l->text), sizeof(line));
        write_line(c, line, sizeof(line), used);
        l->used = 0;
}

void console_guest_byte(const struct console *c, struct console_line *l, unsigned level, uint8_t byte)
{
        if (byte == '\r' || byte == 0)
                return;
        if (byte != '\n')
                l->text[l->used++] = (char)byte;
        if (byte == '\n' || l->used == CONSOLE_LINE_BYTES)
                console_guest_flush(c, l, level);
}
