/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - the command line of one cascade level: `key=value` words, then ` -- ` and, verbatim, the command line of
 * its guest. docs/cli.md lists the keys. [pure] */
#ifndef CASCADE_BOOT_OPTIONS_H
#define CASCADE_BOOT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "vmx/features.h"

struct options {
        uint64_t trace_sectors;  /* size of the trace store; 0: no tracing */
        uint64_t tsc_hz;         /* 0: find out */
        uint64_t guest_bytes;    /* RAM of the guest; 0: all that is left */
        uint32_t guest_kind;     /* GUEST_* of trace/record.h */
        bool nested;             /* offer VMX to the guest at all */
        bool unlocked;           /* the guest is to set and lock IA32_FEATURE_CONTROL itself */
        struct feature_mask vmx; /* what of VMX not to offer */
        bool console_uart;       /* console=uart */
        const char *guest_cmdline; /* points into the text given; empty if there is no ` -- ` */
};

/* Splits `text` at ` -- ` in place and reads the words before it. False if a word is not understood; *bad then
 * points to it. */
bool options_parse(char *text, struct options *out, const char **bad);

#endif
