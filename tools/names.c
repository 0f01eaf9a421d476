/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "base/bits.h"
#include "names.h"
#include "trace/record.h"

const struct event_name event_names[] = {
#define EVENT(name, id, group, aux, a, b, doc) {#name, id, #aux, #a, #b},
#include "trace/events.def"
#undef EVENT
};
const size_t event_names_len = ARRAY_LEN(event_names);

static const struct {
        unsigned number;
        const char *name, *text;
} reasons[] = {
#define EXIT_REASON(name, number, text) {number, #name, text},
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
};

const char *reason_text(unsigned reason, char buf[static 16])
{
        for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
                if (reasons[i].number == reason)
                        return reasons[i].text;
        }
        snprintf(buf, 16, "reason %u", reason & 0xffff);
        return buf;
}

int reason_number(const char *word)
{
        char *end;
        for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
                if (!strcasecmp(word, reasons[i].name) || !strcasecmp(word, reasons[i].text))
                        return (int)reasons[i].number;
        }
        errno = 0;
        const unsigned long v = strtoul(word, &end, 10);
        return errno || end == word || *end || v > UINT16_MAX ? -1 : (int)v;
}

const char *guest_kind_text(uint32_t kind)
{
        static const char *const text[] = {[GUEST_UNKNOWN] = "unknown",
                                           [GUEST_LINUX] = "linux",
                                           [GUEST_CASCADE] = "cascade",
                                           [GUEST_PROBE] = "probe"};
        return kind < ARRAY_LEN(text) ? text[kind] : text[GUEST_UNKNOWN];
}
