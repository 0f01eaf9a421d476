/* SPDX-License-Identifier: BSD-2-Clause */
/* tracepoints.h - LTTng-UST's frame around the generated tracepoints; LTTng includes it several times. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER cascade

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tracepoints.h"

#if !defined(CASCADE_TOOLS_TRACEPOINTS_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define CASCADE_TOOLS_TRACEPOINTS_H

#include <lttng/tracepoint.h>
#include "trace/record.h"
#include "provider_events.h"

#endif

#include <lttng/tracepoint-event.h>
