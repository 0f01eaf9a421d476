/* SPDX-License-Identifier: BSD-2-Clause */
/* getuid() and geteuid() that never answer 0.
 *
 * For root, LTTng's daemons and its control library ignore LTTNG_HOME and share /var/run/lttng with the whole
 * system. A relay wants daemons of its own, several side by side. Linked into the relay and preloaded into
 * its daemons, these make LTTng use LTTNG_HOME for root as for anyone else. Nothing is gained by it: the
 * kernel knows better. */
#include <sys/syscall.h>
#include <unistd.h>

#define OVERFLOW_UID 65534 /* "nobody" */

static uid_t not_root(long uid)
{
        return uid ? (uid_t)uid : OVERFLOW_UID;
}

uid_t getuid(void)
{
        return not_root(syscall(SYS_getuid));
}

uid_t geteuid(void)
{
        return not_root(syscall(SYS_geteuid));
}
