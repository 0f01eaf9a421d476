/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/fmt.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct out {
        char *dst;
        size_t size;
        size_t len; /* of the whole text, also of what did not fit */
};

/* One conversion between '%' and its letter. */
struct spec {
        bool left, zero, plus, space, alt;
        int width;
        int precision; /* -1: not given */
        int length;    /* bytes of an integer argument */
};

/* More digits than a 64-bit number has in any base used here; prefixes and signs are kept apart. */
#define DIGITS_MAX 24
/* A larger width or precision is an accident (or an attack through a name): nothing here prints that much. */
#define WIDTH_MAX 4096

static void put(struct out *o, char c)
{
        if (o->len + 1 < o->size)
                o->dst[o->len] = c;
        o->len++;
}

static void pad(struct out *o, char c, int n)
{
        for (; n > 0; n--)
                put(o, c);
}

static int at_most(int v, int max)
{
        return v < max ? v : max;
}

static int read_number(const char **p)
{
        int n = 0;

        for (; **p >= '0' && **p <= '9'; (*p)++)
                n = at_most(n * 10 + (**p - '0'), WIDTH_MAX);
        return n;
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
        int len = 0;

        if (!text)
                text = "(null)";
        while ((s->precision < 0 || len < s->precision) && len < INT_MAX && text[len])
                len++;
        if (!s->left)
                pad(o, ' ', s->width - len);
        for (int i = 0; i < len; i++)
                put(o, text[i]);
        if (s->left)
                pad(o, ' ', s->width - len);
}

static void put_integer(struct out *o, const struct spec *s, uint64_t v, unsigned base, bool upper,
                        const char *prefix)
{
        const char *const digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
        char buf[DIGITS_MAX];
        int n = 0, prefix_len = 0;

        for (; v; v /= base)
                buf[n++] = digits[v % base];
        if (n == 0 && s->precision != 0)
                buf[n++] = '0';
        while (prefix[prefix_len])
                prefix_len++;

        int zeroes = s->precision > n ? s->precision - n : 0;
        if (s->zero && !s->left && s->precision < 0 && s->width > n + prefix_len)
                zeroes = s->width - n - prefix_len;
        const int blanks = s->width - n - zeroes - prefix_len;

        if (!s->left)
                pad(o, ' ', blanks);
        for (int i = 0; i < prefix_len; i++)
                put(o, prefix[i]);
        pad(o, '0', zeroes);
        while (n > 0)
                put(o, buf[--n]);
        if (s->left)
                pad(o, ' ', blanks);
}

static const char *read_flags(const char *p, struct spec *s)
{
        for (;; p++) {
                switch (*p) {
                case '-':
                        s->left = true;
                        break;
                case '0':
                        s->zero = true;
                        break;
                case '+':
                        s->plus = true;
                        break;
                case ' ':
                        s->space = true;
                        break;
                case '#':
                        s->alt = true;
                        break;
                default:
                        return p;
                }
        }
}

static const char *read_length(const char *p, struct spec *s)
{
        s->length = sizeof(int);
        switch (*p) {
        case 'h':
                s->length = p[1] == 'h' ? sizeof(char) : sizeof(short);
                return p[1] == 'h' ? p + 2 : p + 1;
        case 'l':
                s->length = sizeof(long long);
                return p[1] == 'l' ? p + 2 : p + 1;
        case 'z':
        case 'j':
        case 't':
                s->length = sizeof(long long);
                return p + 1;
        default:
                return p;
        }
}
_Static_assert(sizeof(long) == sizeof(long long) && sizeof(size_t) == sizeof(long long), "one 64-bit length");

static uint64_t narrow_unsigned(uint64_t v, int bytes)
{
        return bytes == 8 ? v : v & ((1ull << (8 * bytes)) - 1);
}

static int64_t narrow_signed(uint64_t v, int bytes)
{
        return (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static void put_signed(struct out *o, const struct spec *s, int64_t v)
{
        const char *const sign = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

        put_integer(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false, sign);
}

static void put_hex(struct out *o, const struct spec *s, uint64_t v, bool upper)
{
        put_integer(o, s, v, 16, upper, !s->alt || !v ? "" : upper ? "0X" : "0x");
}

/* va_list is an array type: inside a struct it can be handed down and still advance. */
struct args {
        va_list ap;
};

static uint64_t next_integer(struct args *a, const struct spec *s)
{
        return s->length == sizeof(long long) ? va_arg(a->ap, uint64_t) : va_arg(a->ap, unsigned);
}

/* Returns false if the letter is not known: its argument, if any, is left alone. */
static bool convert(struct out *o, char letter, const struct spec *s, struct args *a)
{
        switch (letter) {
        case 'd':
        case 'i':
                put_signed(o, s, narrow_signed(next_integer(a, s), s->length));
                return true;
        case 'u':
                put_integer(o, s, narrow_unsigned(next_integer(a, s), s->length), 10, false, "");
                return true;
        case 'x':
        case 'X':
                put_hex(o, s, narrow_unsigned(next_integer(a, s), s->length), letter == 'X');
                return true;
        case 'p':
                put_integer(o, s, (uintptr_t)va_arg(a->ap, void *), 16, false, "0x");
                return true;
        case 'c':
                pad(o, ' ', s->left ? 0 : s->width - 1);
                put(o, (char)va_arg(a->ap, int));
                pad(o, ' ', s->left ? s->width - 1 : 0);
                return true;
        case 's':
                put_text(o, s, va_arg(a->ap, const char *));
                return true;
        case '%':
                put(o, '%');
                return true;
        default:
                return false;
        }
}

static const char *read_spec(const char *p, struct spec *s, struct args *a)
{
        *s = (struct spec){.precision = -1};
        p = read_flags(p, s);
        if (*p == '*') {
                const int width = va_arg(a->ap, int);

                s->left |= width < 0;
                s->width = width < -WIDTH_MAX ? WIDTH_MAX : at_most(width < 0 ? -width : width, WIDTH_MAX);
                p++;
        } else {
                s->width = read_number(&p);
        }
        if (*p == '.') {
                p++;
                if (*p == '*') {
                        s->precision = at_most(va_arg(a->ap, int), WIDTH_MAX);
                        p++;
                } else {
                        s->precision = read_number(&p);
                }
        }
        return read_length(p, s);
}

int fmt_vformat(char *dst, size_t size, const char *fmt, va_list ap)
{
        struct out o = {.dst = dst, .size = size};
        struct args a;

        va_copy(a.ap, ap);
        while (*fmt) {
                struct spec s;
                const char *const start = fmt;

                if (*fmt != '%') {
                        put(&o, *fmt++);
                        continue;
                }
                fmt = read_spec(fmt + 1, &s, &a);
                if (*fmt && convert(&o, *fmt, &s, &a)) {
                        fmt++;
                        continue;
                }
                for (const char *p = start; p < fmt; p++)
                        put(&o, *p);
        }
        va_end(a.ap);
        if (size)
                dst[o.len < size ? o.len : size - 1] = 0;
        return o.len < INT_MAX ? (int)o.len : INT_MAX;
}
