/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest may say through the console hypercall of the cascade above it. */
#include <string.h>
#include "suite.h"
#include "base/bits.h"
#include "trace/console.h"

/* In memory of its exact size, so that a read behind it is seen. */
static bool passes(const char *text, size_t n, unsigned level)
{
        char *exact = calloc(1, n ? n : 1);
        memcpy(exact, text, n);
        const bool may = console_may_pass(exact, n, level);
        free(exact);
        return may;
}

static const struct {
        const char *text;
        unsigned level;
        bool may;
} lines[] = {
        { "cascade L2: hello\n", 1, true },
        { "L3| login:\n", 1, true },
        { "\n", 1, true },
        { "level=1\n", 1, true },
        { "a line of two\nparts\n", 1, false },
        { "\n\n", 1, false },
        { "no end", 1, false },
        /* status lines: of deeper levels only */
        { "@cascade level=2 event=boot\n", 1, true },
        { "@cascade level=3 event=userspace\n", 1, true },
        { "@cascade level=3 event=userspace\n", 2, true },
        { "@cascade level=3 event=userspace\n", 3, false },
        { "@cascade level=1 event=exit status=0\n", 1, false },
        { "@cascade level=0 event=exit\n", 1, false },
        { "@cascade level=10 event=boot\n", 9, true },
        { "@cascade level=10 event=boot\n", 10, false },
        { "@cascade level=2\n", 1, true },
        { "@cascade level=\n", 0, false },
        { "@cascade level= 2\n", 1, false },
        { "@cascade level=2x\n", 1, false },
        { "@cascade level=-2 event=boot\n", 1, false },
        { "@cascade level=4294967298 event=boot\n", 1, false },
        { "@cascade level=99999999999999999999999 event=boot\n", 1, false },
        /* a second level, or the level not where it belongs */
        { "@cascade level=3 level=1 event=exit status=0\n", 1, false },
        { "@cascade level=3 event=exit\tlevel=1\n", 1, false },
        { "@cascade event=exit level=3\n", 1, false },
        { "@cascade  level=3 event=boot\n", 1, false },
        { "@cascade", 1, false },
        { "@cascade\n", 1, false },
        { "@other\n", 1, false },
        /* the mark inside of another line */
        { "<bochs:1> @cascade level=1 event=exit status=0\n", 1, false },
        { " @cascade level=1 event=exit status=0\n", 1, false },
        { "@cascade level=3 event=boot @cascade\n", 1, false },
};

START_TEST(lines_pass_or_not)
{
        for (size_t i = 0; i < ARRAY_LEN(lines); i++)
                ck_assert_msg(passes(lines[i].text, strlen(lines[i].text), lines[i].level) == lines[i].may, "%s",
                              lines[i].text);
}
END_TEST

START_TEST(nothing_is_no_line)
{
        ck_assert(!passes("", 0, 1));
}
END_TEST

START_TEST(no_prefix_of_a_status_line_passes)
{
        static const char line[] = "@cascade level=2 event=boot\n";
        for (size_t n = 0; n < sizeof(line) - 2; n++)
                ck_assert_msg(!passes(line, n, 1), "%zu bytes", n);
}
END_TEST

START_TEST(bytes_of_any_value_pass)
{
        ck_assert(passes("\0@\xff\n", 4, 1));
        ck_assert(!passes("\0@cascade\n", 10, 1));
        ck_assert(!passes("@cascade level=2\0\n", 18, 1));
}
END_TEST

int main(void)
{
        return RUN_SUITE("console", lines_pass_or_not, nothing_is_no_line, no_prefix_of_a_status_line_passes,
                         bytes_of_any_value_pass);
}
