/* SPDX-License-Identifier: BSD-2-Clause */
/* recorder.h - private LTTng daemons, one session, and the way of records into it.
 * Owns a directory of its own (LTTNG_HOME, sockets, clock file), the session daemon and, through it, the
 * consumer daemon; recorder_stop() ends exactly those and removes the directory. Should the relay die, the
 * kernel ends the daemons. Call from the main thread with SIGUSR1 blocked. Failures print one line on stderr.
 */
#ifndef CASCADE_TOOLS_RECORDER_H
#define CASCADE_TOOLS_RECORDER_H

#include <stdbool.h>
#include <sys/types.h>
#include "provider.h"

struct recorder {
        char home[64];
        char clock_path[80];
        char tools[4096]; /* folder of this program and of its libraries */
        struct shared_clock *clock;
        pid_t sessiond;
        bool session; /* exists */
        void *provider;
        cascade_emit_fn *emit;
};

/* Starts recording into the existing, empty folder `out` (an absolute path). On failure everything is ended
 * again. */
bool recorder_start(struct recorder *r, const char *out, uint64_t tsc_hz, uint64_t first_tsc);

void recorder_emit(struct recorder *r, const struct trace_record *records, size_t n);

/* Bytes that may still be on their way to the disk: stop while at least so many are free. */
uint64_t recorder_reserve(void);

/* Closes the session, so that the trace is complete, and ends the daemons. False: the trace may be
 * incomplete. */
bool recorder_stop(struct recorder *r);

#endif
