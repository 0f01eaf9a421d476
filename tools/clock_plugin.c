/* SPDX-License-Identifier: BSD-2-Clause */
/* LTTng-UST clock and getcpu plugins: time is the TSC of the record in hand, and everything is recorded in
 * the buffer of one processor, so that records with equal timestamps keep their order.
 *
 * Callbacks of LTTng take no argument, so the mapping is the one file-scope variable of this library. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <lttng/ust-clock.h>
#include <lttng/ust-getcpu.h>
#include "clock.h"

void lttng_ust_clock_plugin_init(void);
void lttng_ust_getcpu_plugin_init(void);

static const struct shared_clock *shared;

static uint64_t clock_read(void)
{
        return shared->tsc;
}

static uint64_t clock_freq(void)
{
        return shared->tsc_hz;
}

static int clock_uuid(char *uuid)
{
        memcpy(uuid, shared->uuid, LTTNG_UST_UUID_STR_LEN);
        return 0;
}

static const char *clock_name(void)
{
        return "tsc";
}

static const char *clock_description(void)
{
        return "time-stamp counter of the traced machine";
}

static int first_cpu(void)
{
        return 0;
}

/* A daemon with another clock would spoil the trace unnoticed, so there is no going on without the file. */
static void give_up(const char *why)
{
        fprintf(stderr, "cascade-clock: %s\n", why);
        _exit(EXIT_FAILURE);
}

void lttng_ust_clock_plugin_init(void)
{
        const char *path = getenv(CLOCK_FILE_ENV);
        const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
                give_up(CLOCK_FILE_ENV " does not name a readable file");
        void *map = mmap(NULL, sizeof(*shared), PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (map == MAP_FAILED)
                give_up("cannot map the clock file");
        shared = map;
        if (shared->magic != CLOCK_FILE_MAGIC)
                give_up(CLOCK_FILE_ENV " does not name a clock file");
        if (lttng_ust_trace_clock_set_read64_cb(clock_read) ||
            lttng_ust_trace_clock_set_freq_cb(clock_freq) || lttng_ust_trace_clock_set_uuid_cb(clock_uuid) ||
            lttng_ust_trace_clock_set_name_cb(clock_name) ||
            lttng_ust_trace_clock_set_description_cb(clock_description) ||
            lttng_ust_enable_trace_clock_override())
                give_up("LTTng-UST refused the clock");
}

void lttng_ust_getcpu_plugin_init(void)
{
        if (lttng_ust_getcpu_override(first_cpu))
                give_up("LTTng-UST refused the getcpu override");
}
