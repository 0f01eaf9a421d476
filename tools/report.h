/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h - shows an account to people (table) and programs (JSON). Owns nothing. */
#ifndef CASCADE_TOOLS_REPORT_H
#define CASCADE_TOOLS_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include "account.h"

struct report_filter {
        int level;  /* -1: all */
        int reason; /* -1: all */
};

/* Sorts samples, therefore not const. */
bool report_table(FILE *out, struct account *a, const char *path, struct report_filter f);

/* False: out of memory, or the file cannot be written (errno). */
bool report_json(FILE *out, struct account *a, const char *path, struct report_filter f);

#endif
