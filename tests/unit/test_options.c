/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "suite.h"
#include "base/bits.h"
#include "boot/options.h"
#include "trace/record.h"

static char text[256];
static struct options o;
static const char *bad;

/* A copy of its exact size, so that a read behind the text is seen; `text` keeps the result for what points there. */
static bool parse(const char *line)
{
        const size_t n = strlen(line) + 1;
        char *exact = malloc(n);
        memcpy(exact, line, n);
        struct options first;
        const bool ok = options_parse(exact, &first, &bad);
        free(exact);
        memcpy(text, line, n);
        ck_assert(options_parse(text, &o, &bad) == ok);
        return ok;
}

static void check_defaults(void)
{
        ck_assert(o.trace_sectors == 0 && o.tsc_hz == 0 && o.guest_kind == GUEST_UNKNOWN);
        ck_assert(!o.vmx.off[FEATURE_shadow] && o.nested && !o.console_uart);
}

START_TEST(defaults)
{
        ck_assert(parse(""));
        check_defaults();
        ck_assert_str_eq(o.guest_cmdline, "");
        ck_assert(parse("    "));
        check_defaults();
        ck_assert_str_eq(o.guest_cmdline, "");
}
END_TEST

START_TEST(every_key)
{
        ck_assert(parse("memory=256") && o.guest_bytes == 256u << 20);
        ck_assert(parse("memory=17592186044415") && o.guest_bytes == 0xfffffffffff00000u);
        ck_assert(!parse("memory=17592186044416") && !parse("memory=") && !parse("memory=1M"));
        ck_assert(parse("trace=ata trace.sectors=4194288") && o.trace_sectors == 4194288);
        ck_assert(parse("trace.sectors=7 trace=ata") && o.trace_sectors == 7);
        ck_assert(parse("trace.sectors=7 trace=off") && o.trace_sectors == 0);
        ck_assert(parse("tsc_hz=3500000000") && o.tsc_hz == 3500000000);
        ck_assert(parse("tsc_hz=18446744073709551615") && o.tsc_hz == UINT64_MAX);
        ck_assert(parse("guest=linux") && o.guest_kind == GUEST_LINUX);
        ck_assert(parse("guest=cascade") && o.guest_kind == GUEST_CASCADE);
        ck_assert(parse("guest=probe") && o.guest_kind == GUEST_PROBE);
        ck_assert(parse("vmx=off") && !o.nested && !o.vmx.off[FEATURE_shadow]);
        ck_assert(parse("vmx=on") && o.nested);
        ck_assert(parse("vmx.shadow=off") && o.vmx.off[FEATURE_shadow] && o.nested);
        ck_assert(parse("vmx.shadow=on") && !o.vmx.off[FEATURE_shadow]);
        ck_assert(parse("vmx.ept=off vmx.ept_2m=off vmx.ept=on") && !o.vmx.off[FEATURE_ept] && o.vmx.off[FEATURE_ept_2m]);
        ck_assert(parse("vmx.like=haswell") && o.vmx.off[FEATURE_rdseed] && !o.vmx.off[FEATURE_shadow]);
        ck_assert(parse("vmx.locked=off") && o.unlocked);
        ck_assert(parse("vmx.locked=off vmx.locked=on") && !o.unlocked && !parse("vmx.locked=1"));
        ck_assert(parse("console=uart") && o.console_uart);
        ck_assert(parse("console=e9") && !o.console_uart);
        ck_assert(parse("console=auto") && !o.console_uart);
        ck_assert(parse("level=3"));
        check_defaults();
}
END_TEST

START_TEST(a_later_word_wins)
{
        ck_assert(parse("vmx=off vmx=on tsc_hz=5 tsc_hz=6 console=uart console=e9"));
        ck_assert(o.nested && o.tsc_hz == 6 && !o.console_uart);
}
END_TEST

START_TEST(all_at_once)
{
        ck_assert(parse("  trace=ata trace.sectors=64   tsc_hz=100000000 guest=cascade vmx.shadow=off console=uart "
                        " -- guest=linux -- console=ttyS0,115200 panic=-1"));
        ck_assert(o.trace_sectors == 64 && o.tsc_hz == 100000000 && o.guest_kind == GUEST_CASCADE);
        ck_assert(o.vmx.off[FEATURE_shadow] && o.nested && o.console_uart);
        ck_assert_str_eq(o.guest_cmdline, "guest=linux -- console=ttyS0,115200 panic=-1");
}
END_TEST

/* The word that is complained about comes last in each line. */
START_TEST(bad_words)
{
        static const char *const words[] = {
                "trace",      "trace=",       "trace=on",     "trace=atas",      "trace.sectors=",
                "tsc_hz=",    "tsc_hz=1a",    "tsc_hz=-1",    "tsc_hz=+1",       "tsc_hz=18446744073709551616",
                "tsc_hz=0x1", "tsc_hz=99999999999999999999", "guest=", "guest=Linux", "guest=linux2",
                "vmx=",       "vmx=yes",      "vmx=onn",      "vmx.shadow=1",    "console=com1",
                "console=",   "level=",       "level=x",      "=",               "=on",
                "vmx==on",    "vmx=on=on",    "unknown=1",    "VMX=on",          "vmx.shado=on",
                "vmx.=on",    "vmx.ept=maybe", "vmx.like=zen", "vmx.like=",      "vmx.ept",       "vmx.ept=",      "vmx.none=off",
                "-",          "---",          "--x",          "\tvmx=on",
        };
        char line[128];
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
                ck_assert_msg(!parse(words[i]), "%s", words[i]);
                ck_assert_str_eq(bad, words[i]);
                snprintf(line, sizeof(line), "vmx=off tsc_hz=1 %s", words[i]);
                ck_assert_msg(!parse(line), "%s", line);
                ck_assert_str_eq(bad, words[i]);
        }
}
END_TEST

START_TEST(a_bad_word_in_the_middle_is_told_alone)
{
        ck_assert(!parse("vmx=on what guest=linux"));
        ck_assert_str_eq(bad, "what");
        ck_assert(!parse("what=1 guest=linux"));
        ck_assert_str_eq(bad, "what=1");
        ck_assert(!parse("what vmx=on -- vmx=on"));
        ck_assert_str_eq(bad, "what");
}
END_TEST

START_TEST(guest_part)
{
        static const struct {
                const char *line, *guest;
        } rows[] = {
                { "vmx=on", "" },
                { "vmx=on --", "" },
                { "vmx=on -- ", "" },
                { "--", "" },
                { "-- ", "" },
                { "-- vmx=maybe", "vmx=maybe" },
                { " -- a", "a" },
                { "vmx=on -- a -- b -- c", "a -- b -- c" },
                { "vmx=on -- -- c", "-- c" },
                { "-- --", "--" },
                { "vmx=on --  two  spaces ", " two  spaces " },
                { "vmx=on -- a --b", "a --b" },
        };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                ck_assert_msg(parse(rows[i].line), "%s", rows[i].line);
                ck_assert_str_eq(o.guest_cmdline, rows[i].guest);
                ck_assert(o.guest_cmdline >= text && o.guest_cmdline <= text + sizeof(text));
                check_defaults();
        }
}
END_TEST

/* Only a whole word splits. */
START_TEST(dashes_inside_of_words_do_not_split)
{
        ck_assert(!parse("guest=-- a"));
        ck_assert_str_eq(bad, "guest=--");
        ck_assert(!parse("x-- a"));
        ck_assert_str_eq(bad, "x--");
        ck_assert(!parse("--a b"));
        ck_assert_str_eq(bad, "--a");
}
END_TEST

START_TEST(levels_peel_off_one_by_one)
{
        char inner[128];
        ck_assert(parse("guest=cascade -- guest=cascade vmx=off -- guest=linux -- quiet -- x"));
        ck_assert(o.guest_kind == GUEST_CASCADE && o.nested);
        strcpy(inner, o.guest_cmdline);
        ck_assert(parse(inner) && o.guest_kind == GUEST_CASCADE && !o.nested);
        strcpy(inner, o.guest_cmdline);
        ck_assert(parse(inner) && o.guest_kind == GUEST_LINUX && o.nested);
        ck_assert_str_eq(o.guest_cmdline, "quiet -- x");
}
END_TEST

int main(void)
{
        return RUN_SUITE("options", defaults, every_key, a_later_word_wins, all_at_once, bad_words,
                         a_bad_word_in_the_middle_is_told_alone, guest_part, dashes_inside_of_words_do_not_split,
                         levels_peel_off_one_by_one);
}
