/* SPDX-License-Identifier: BSD-2-Clause */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <lttng/lttng.h>
#include "recorder.h"

#define SESSION          "cascade"
#define CHANNEL          "cascade"
#define SUBBUF_BYTES     (512u << 10)
#define SUBBUFS          4
#define BLOCK_FOREVER    (-1)
#define METADATA_BYTES   (1u << 20)
#define DAEMON_START_S   30
#define DAEMON_END_S     30
#define REGISTER_TIMEOUT "30000" /* ms */
/* sun_path holds 108 bytes, and LTTng appends names of up to 40. */
#define HOME_MAX 60

extern char **environ;

static bool fail(const char *what, const char *why)
{
        fprintf(stderr, "cascade-relay: %s: %s\n", what, why);
        return false;
}

/* Of the space for shared memory every processor gets a part, although only one is recorded to. */
static uint64_t subbuf_bytes(void)
{
        const long cpus = sysconf(_SC_NPROCESSORS_CONF);
        return cpus > 16 ? SUBBUF_BYTES / 8 : SUBBUF_BYTES;
}

uint64_t recorder_reserve(void)
{
        return subbuf_bytes() * SUBBUFS + METADATA_BYTES;
}

static bool make_home(struct recorder *r)
{
        const char *tmp = getenv("TMPDIR");
        if (!tmp || tmp[0] != '/' || strlen(tmp) + sizeof("/cascade-XXXXXX") > HOME_MAX)
                tmp = "/tmp";
        snprintf(r->home, sizeof(r->home), "%s/cascade-XXXXXX", tmp);
        if (!mkdtemp(r->home)) {
                r->home[0] = '\0';
                return fail(tmp, strerror(errno));
        }
        return true;
}

static bool read_uuid(char uuid[static 37])
{
        const int fd = open("/proc/sys/kernel/random/uuid", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        const bool ok = read(fd, uuid, 36) == 36;
        uuid[36] = '\0';
        close(fd);
        return ok;
}

static bool make_clock(struct recorder *r, uint64_t tsc_hz, uint64_t first_tsc)
{
        snprintf(r->clock_path, sizeof(r->clock_path), "%s/clock", r->home);
        const int fd = open(r->clock_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return fail(r->clock_path, strerror(errno));
        void *map = ftruncate(fd, sizeof(*r->clock))
                            ? MAP_FAILED
                            : mmap(NULL, sizeof(*r->clock), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (map == MAP_FAILED)
                return fail(r->clock_path, strerror(errno));
        r->clock = map;
        r->clock->magic = CLOCK_FILE_MAGIC;
        r->clock->tsc_hz = tsc_hz;
        r->clock->tsc = first_tsc ? first_tsc : 1;
        return read_uuid(r->clock->uuid) || fail("/proc/sys/kernel/random/uuid", "cannot be read");
}

static bool set_environment(struct recorder *r)
{
        char plugin[sizeof(r->tools) + 32];
        const ssize_t n = readlink("/proc/self/exe", r->tools, sizeof(r->tools) - 1);
        char *slash = n > 0 ? memrchr(r->tools, '/', (size_t)n) : NULL;
        if (!slash)
                return fail("/proc/self/exe", "cannot be read");
        *slash = '\0';
        snprintf(plugin, sizeof(plugin), "%s/cascade-clock.so", r->tools);
        if (access(plugin, R_OK))
                return fail(plugin, strerror(errno));
        setenv("LTTNG_HOME", r->home, 1);
        setenv("LTTNG_UST_CLOCK_PLUGIN", plugin, 1);
        setenv("LTTNG_UST_GETCPU_PLUGIN", plugin, 1);
        setenv("LTTNG_UST_ALLOW_BLOCKING", "1", 1);
        setenv("LTTNG_UST_REGISTER_TIMEOUT", REGISTER_TIMEOUT, 1);
        setenv(CLOCK_FILE_ENV, r->clock_path, 1);
        return true;
}

/* The child: a process group of its own, so that Ctrl-C reaches the relay only; ended by the kernel with the
 * relay. */
static _Noreturn void exec_sessiond(const struct recorder *r, pid_t relay)
{
        char preload[sizeof(r->tools) + 32], log[sizeof(r->home) + 16];
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != relay)
                _exit(EXIT_FAILURE);
        snprintf(preload, sizeof(preload), "%s/cascade-private-uid.so", r->tools);
        setenv("LD_PRELOAD", preload, 1);
        snprintf(log, sizeof(log), "%s/log", r->home);
        const int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        const int in = open("/dev/null", O_RDONLY);
        if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
                _exit(EXIT_FAILURE);
        execlp("lttng-sessiond", "lttng-sessiond", "--no-kernel", "--sig-parent", (char *)NULL);
        fprintf(stderr, "lttng-sessiond: %s\n", strerror(errno));
        _exit(EXIT_FAILURE);
}

/* The daemon is ready when it sends SIGUSR1 to its parent. */
static bool start_sessiond(struct recorder *r)
{
        const pid_t relay = getpid();
        const struct timespec slice = {.tv_nsec = 100000000};
        sigset_t ready;
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        r->sessiond = fork();
        if (r->sessiond == 0)
                exec_sessiond(r, relay);
        if (r->sessiond < 0)
                return fail("fork", strerror(errno));
        sigemptyset(&ready);
        sigaddset(&ready, SIGUSR1);
        for (int i = 0; i < DAEMON_START_S * 10; i++) {
                if (sigtimedwait(&ready, NULL, &slice) == SIGUSR1)
                        return true;
                if (waitpid(r->sessiond, NULL, WNOHANG) == r->sessiond) {
                        r->sessiond = 0;
                        return fail("lttng-sessiond", "did not start (is lttng-tools installed?)");
                }
        }
        return fail("lttng-sessiond", "is not ready in time");
}

static bool enable_events(struct lttng_handle *handle, struct lttng_domain *domain)
{
        struct lttng_channel *channel = lttng_channel_create(domain);
        struct lttng_event *event = lttng_event_create();
        int ret = -LTTNG_ERR_NOMEM;
        if (channel && event) {
                strcpy(channel->name, CHANNEL);
                channel->attr.overwrite = 0;
                channel->attr.subbuf_size = subbuf_bytes();
                channel->attr.num_subbuf = SUBBUFS;
                channel->attr.switch_timer_interval = 0;
                channel->attr.read_timer_interval = 0;
                ret = lttng_channel_set_blocking_timeout(channel, BLOCK_FOREVER);
                if (!ret)
                        ret = lttng_enable_channel(handle, channel);
                strcpy(event->name, "cascade:*");
                event->type = LTTNG_EVENT_TRACEPOINT;
                event->loglevel_type = LTTNG_EVENT_LOGLEVEL_ALL;
                if (ret >= 0)
                        ret = lttng_enable_event(handle, event, CHANNEL);
        }
        lttng_channel_destroy(channel);
        lttng_event_destroy(event);
        return ret >= 0 || fail("LTTng channel", lttng_strerror(ret));
}

static bool start_session(struct recorder *r, const char *out)
{
        struct lttng_domain domain = {.type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID};
        struct lttng_session_descriptor *d = lttng_session_descriptor_local_create(SESSION, out);
        const int created = d ? lttng_create_session_ext(d) : LTTNG_ERR_NOMEM;
        lttng_session_descriptor_destroy(d);
        if (created != LTTNG_OK)
                return fail("LTTng session", lttng_strerror(-created));
        r->session = true;
        struct lttng_handle *handle = lttng_create_handle(SESSION, &domain);
        if (!handle)
                return fail("LTTng session", strerror(ENOMEM));
        const bool enabled = enable_events(handle, &domain);
        lttng_destroy_handle(handle);
        if (!enabled)
                return false;
        const int started = lttng_start_tracing(SESSION);
        return started >= 0 || fail("LTTng session", lttng_strerror(started));
}

static bool load_provider(struct recorder *r)
{
        char path[sizeof(r->tools) + 32];
        snprintf(path, sizeof(path), "%s/cascade-provider.so", r->tools);
        r->provider = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        void *sym = r->provider ? dlsym(r->provider, PROVIDER_EMIT_SYMBOL) : NULL;
        if (!sym)
                return fail("cascade-provider.so", dlerror());
        memcpy(&r->emit, &sym, sizeof(sym));
        return true;
}

bool recorder_start(struct recorder *r, const char *out, uint64_t tsc_hz, uint64_t first_tsc)
{
        memset(r, 0, sizeof(*r));
        if (make_home(r) && make_clock(r, tsc_hz, first_tsc) && set_environment(r) && start_sessiond(r) &&
            start_session(r, out) && load_provider(r))
                return true;
        recorder_stop(r);
        return false;
}

void recorder_emit(struct recorder *r, const struct trace_record *records, size_t n)
{
        r->emit(r->clock, records, n);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        return remove(path);
}

/* Ends the session daemon, which ends its consumer; both are then ours to reap. */
static bool stop_sessiond(struct recorder *r)
{
        const struct timespec slice = {.tv_nsec = 10000000};
        bool gone = false, clean = true;
        kill(r->sessiond, SIGTERM);
        for (int i = 0; i < DAEMON_END_S * 100 && !gone; i++) {
                int status;
                const pid_t pid = waitpid(-1, &status, WNOHANG);
                gone = pid < 0 && errno == ECHILD;
                if (pid == 0)
                        nanosleep(&slice, NULL);
        }
        if (!gone) {
                kill(-r->sessiond, SIGKILL); /* its process group, made by setsid() */
                clean = fail("lttng-sessiond", "did not end, killed");
                while (waitpid(-1, NULL, 0) > 0)
                        continue;
        }
        r->sessiond = 0;
        return clean;
}

bool recorder_stop(struct recorder *r)
{
        bool ok = true;
        if (r->session) {
                const int stopped = lttng_stop_tracing(SESSION);
                const int destroyed = lttng_destroy_session(SESSION);
                if (stopped < 0 && stopped != -LTTNG_ERR_TRACE_ALREADY_STOPPED)
                        ok = fail("LTTng session", lttng_strerror(stopped));
                else if (destroyed < 0)
                        ok = fail("LTTng session", lttng_strerror(destroyed));
                r->session = false;
        }
        if (r->sessiond > 0)
                ok = stop_sessiond(r) && ok;
        if (r->home[0])
                nftw(r->home, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        return ok;
}
