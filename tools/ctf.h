/* SPDX-License-Identifier: BSD-2-Clause */
/* ctf.h - feeds the cascade events of a CTF trace to a callback, as records, in the order of time.
 * One pass, memory independent of the length of the trace. Owns nothing after it returns. */
#ifndef CASCADE_TOOLS_CTF_H
#define CASCADE_TOOLS_CTF_H

#include <stdbool.h>
#include <stdint.h>
#include "trace/record.h"

enum ctf_verdict {
        CTF_OK,
        CTF_NO_FOLDER, /* errno tells why */
        CTF_NO_TRACE,  /* no CTF metadata below the folder, or not readable as such */
        CTF_DAMAGED,   /* babeltrace stopped in the middle */
        CTF_STOPPED,   /* by the callback */
        CTF_FAILED     /* libbabeltrace2 or its plugins are not usable */
};

/* False stops the reading. */
typedef bool ctf_record_fn(void *user, const struct trace_record *r);

struct ctf_result {
        uint64_t foreign;   /* events that are not cascade's */
        uint64_t discarded; /* events that LTTng says it dropped */
        char why[200];      /* with CTF_DAMAGED, CTF_FAILED: libbabeltrace2's first reason */
};

enum ctf_verdict ctf_read(const char *folder, ctf_record_fn *fn, void *user, struct ctf_result *result);

#endif
