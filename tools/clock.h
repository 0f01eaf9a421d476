/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h - the clock that the relay shares with LTTng's daemons.
 * The relay owns the file and is its only writer; cascade-clock.so maps it, read-only, in the relay and in
 * both daemons. */
#ifndef CASCADE_TOOLS_CLOCK_H
#define CASCADE_TOOLS_CLOCK_H

#include <stdint.h>

#define CLOCK_FILE_ENV   "CASCADE_CLOCK_FILE"
#define CLOCK_FILE_MAGIC 0x4b434f4c43454341ull /* "ACECLOCK" */

struct shared_clock {
        uint64_t magic;
        uint64_t tsc_hz;
        volatile uint64_t tsc; /* the record that is being emitted; never 0 */
        char uuid[40];         /* 36 characters and a terminating zero */
};

#endif
