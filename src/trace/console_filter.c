/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/libc.h"
#include "trace/console.h"

#define STATUS_MARK  "@cascade"
#define STATUS_LEVEL "level="
#define LEVEL_MOST   1000 /* no stack is as deep */

static bool contains(const char *bytes, size_t n, const char *what)
{
        const size_t len = strlen(what);
        for (size_t i = 0; i + len <= n; i++)
                if (strncmp(bytes + i, what, len) == 0)
                        return true;
        return false;
}

static bool one_line(const char *bytes, size_t n)
{
        for (size_t i = 0; i + 1 < n; i++)
                if (bytes[i] == '\n')
                        return false;
        return n && bytes[n - 1] == '\n';
}

bool console_may_pass(const char *bytes, size_t n, unsigned level)
{
        static const char head[] = STATUS_MARK " " STATUS_LEVEL;
        if (!one_line(bytes, n))
                return false;
        /* Not only in front: a reader that takes an emulator's prompt off the line would find the mark behind it. */
        if (n < sizeof(head) || strncmp(bytes, head, sizeof(head) - 1) != 0)
                return bytes[0] != '@' && !contains(bytes, n, STATUS_MARK);
        unsigned told = 0;
        size_t i = sizeof(head) - 1;
        for (; bytes[i] >= '0' && bytes[i] <= '9' && told < LEVEL_MOST; i++) /* the line's end is no digit */
                told = told * 10 + (unsigned)(bytes[i] - '0');
        /* A second level would be the one that a reader believes. */
        return (bytes[i] == ' ' || bytes[i] == '\n') && told > level && !contains(bytes + i, n - i, STATUS_LEVEL) &&
               !contains(bytes + i, n - i, STATUS_MARK);
}
