/* SPDX-License-Identifier: BSD-2-Clause */
/* provider.h - cascade-provider.so, the LTTng-UST side of the relay. It is loaded by dlopen() when LTTng's
 * environment is set and the session records, because liblttng-ust reads the environment and registers while
 * it is loaded. */
#ifndef CASCADE_TOOLS_PROVIDER_H
#define CASCADE_TOOLS_PROVIDER_H

#include <stddef.h>
#include "clock.h"
#include "trace/record.h"

#define PROVIDER_EMIT_SYMBOL "cascade_emit"

/* Fires one tracepoint per record, at the record's time. Blocks while LTTng's buffers are full. */
typedef void cascade_emit_fn(struct shared_clock *clock, const struct trace_record *records, size_t n);
cascade_emit_fn cascade_emit;

#endif
