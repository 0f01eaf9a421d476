/* SPDX-License-Identifier: BSD-2-Clause */
/* event_combine.h - an exception during the delivery of another one. [pure] */
#ifndef CASCADE_RUN_EVENT_COMBINE_H
#define CASCADE_RUN_EVENT_COMBINE_H

#include <stdint.h>

enum event_pair {
        EVENT_SERIAL,       /* the second is delivered, the first again afterwards by what caused it */
        EVENT_DOUBLE_FAULT, /* #DF instead of both */
        EVENT_TRIPLE_FAULT, /* the guest shuts down */
};

/* Vectors 0 to 31 of hardware exceptions. */
enum event_pair event_combine(uint8_t first, uint8_t next);

#endif
