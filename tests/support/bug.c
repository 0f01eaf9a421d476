/* SPDX-License-Identifier: BSD-2-Clause */
/* bug() on the host: a broken invariant is a crash that the sanitizers and fuzzers report. */
#include <stdio.h>
#include <stdlib.h>
#include "base/bug.h"

void bug(const char *file, int line, const char *what)
{
        fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
        abort();
}
