/* SPDX-License-Identifier: BSD-2-Clause */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "tracepoints.h"
#include "provider.h"

void cascade_emit(struct shared_clock *clock, const struct trace_record *records, size_t n)
{
        for (const struct trace_record *r = records; r < records + n; r++) {
                clock->tsc = r->tsc;
                switch (r->event) {
#include "provider_emit.h"
                }
        }
}
