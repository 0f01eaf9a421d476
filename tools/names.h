/* SPDX-License-Identifier: BSD-2-Clause */
/* names.h - words for numbers of the trace, from the same tables as everything else. */
#ifndef CASCADE_TOOLS_NAMES_H
#define CASCADE_TOOLS_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct event_name {
        const char
                *name; /* as in events.def: upper case; LTTng's name is "cascade:" and this in lower case */
        uint8_t event;
        const char *aux, *a, *b; /* "_": unused */
};
extern const struct event_name event_names[];
extern const size_t event_names_len;

/* "EPT violation"; for numbers without a row "reason N", in buf. */
const char *reason_text(unsigned reason, char buf[static 16]);

/* Takes a number, a short name (EPT_VIOLATION) or a text (EPT violation), in any case; -1 when it is none. */
int reason_number(const char *word);

const char *guest_kind_text(uint32_t kind);

#endif
