/* SPDX-License-Identifier: BSD-2-Clause */
/* cascade-relay: trace store in, CTF trace out, by way of LTTng-UST. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "merge.h"
#include "recorder.h"

enum status {
        DONE = 0,
        BAD_USAGE = 2,
        NO_STORE = 3,
        BAD_STORE = 4,
        BAD_SCHEMA = 5,
        NO_LTTNG = 6,
        DISK_FULL = 7,
        INTERRUPTED = 8,
        BAD_OUT = 9
};

#define BATCH   4096
#define POLL_MS 50
#define STALL_S 120
#define STR(x)  #x
#define XSTR(x) STR(x)

struct options {
        const char *store;
        const char *out;
        bool follow;
        bool quiet;
        int done_fd; /* readable or closed: the machine has ended */
};

struct relay {
        struct options opt;
        struct store store;
        struct merge merge;
        struct recorder recorder;
        char *out; /* absolute */
        int signal_fd;
        bool ended;       /* nothing more will be written to the store */
        bool interrupted; /* by a signal: record what the store holds by now ... */
        bool stop;        /* ... but the second signal, or one while nothing is followed, stops at once */
        uint64_t events;
};

static const char help[] =
        "usage: cascade-relay --store FILE --out DIR [--follow [--done-fd N | --pid P]] [--quiet]\n"
        "\n"
        "Turns the records of a trace store into a CTF trace in DIR, which must be empty or not exist.\n"
        "  --store FILE   the file or disk image the hypervisor writes its records to\n"
        "  --out DIR      where the trace goes; babeltrace2 DIR and cascade-report DIR read it\n"
        "  --follow       wait for more records until the machine has ended, that is, until\n"
        "    --done-fd N  file descriptor N is at its end or readable (default 0, standard input: keep\n"
        "                 a pipe to it open while the machine runs, then close it), or\n"
        "    --pid P      process P has ended\n"
        "  --quiet        no summary line on stderr\n"
        "\n"
        "The last line on stdout is {\"events\":N,\"lost\":N,\"backwards\":N,\"path\":DIR}; backwards\n"
        "counts records older than the one before them, whose time was set to that one's.\n"
        "On SIGINT or SIGTERM what the store holds by then is recorded, and the trace closed.\n"
        "\n"
        "exit status: 0 done; 2 bad usage; 3 store missing, unreadable or empty; 4 store damaged (what came\n"
        "before is in the trace); 5 store of another schema version; 6 LTTng failed; 7 no space left in DIR\n"
        "(what was recorded is readable); 8 interrupted; 9 DIR cannot be used\n";

static enum status complain(enum status status, const char *what, const char *why)
{
        fprintf(stderr, "cascade-relay: %s: %s\n", what, why);
        return status;
}

static bool parse_number(const char *text, int *out)
{
        char *end;
        errno = 0;
        const long v = strtol(text, &end, 10);
        *out = (int)v;
        return !errno && end != text && !*end && v >= 0 && v <= INT32_MAX;
}

static enum status use_pid(struct options *o, const char *text)
{
        int pid;
        if (!parse_number(text, &pid) || pid == 0)
                return complain(BAD_USAGE, text, "not a process id");
        o->done_fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (o->done_fd < 0 && errno == ESRCH)
                o->follow = false; /* has ended already: the store is complete */
        else if (o->done_fd < 0)
                return complain(BAD_USAGE, text, strerror(errno));
        return DONE;
}

static enum status parse_options(struct options *o, int argc, char **argv)
{
        static const struct option longs[] = {
                {"store", required_argument, NULL, 's'},   {"out", required_argument, NULL, 'o'},
                {"follow", no_argument, NULL, 'f'},        {"quiet", no_argument, NULL, 'q'},
                {"done-fd", required_argument, NULL, 'd'}, {"pid", required_argument, NULL, 'p'},
                {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
        };
        const char *pid = NULL;
        int c;
        *o = (struct options){.done_fd = STDIN_FILENO};
        while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
                switch (c) {
                case 's':
                        o->store = optarg;
                        break;
                case 'o':
                        o->out = optarg;
                        break;
                case 'f':
                        o->follow = true;
                        break;
                case 'q':
                        o->quiet = true;
                        break;
                case 'd':
                        if (!parse_number(optarg, &o->done_fd) || fcntl(o->done_fd, F_GETFD) < 0)
                                return complain(BAD_USAGE, optarg, "not an open file descriptor");
                        break;
                case 'p':
                        pid = optarg;
                        break;
                case 'h':
                        fputs(help, stdout);
                        exit(DONE);
                default:
                        return BAD_USAGE;
                }
        }
        if (!o->store || !o->out || optind != argc)
                return complain(BAD_USAGE, "usage", "--store FILE and --out DIR are needed (see --help)");
        return pid ? use_pid(o, pid) : DONE;
}

/* Looks, and unless `ms` is 0 waits, for the end of the machine or a signal. */
static void look_around(struct relay *r, int ms)
{
        struct pollfd p[] = {{.fd = r->signal_fd, .events = POLLIN},
                             {.fd = r->ended ? -1 : r->opt.done_fd, .events = POLLIN}};
        struct signalfd_siginfo info;
        if (poll(p, 2, ms) <= 0)
                return;
        if (p[0].revents && read(r->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                r->stop = r->interrupted || !r->opt.follow;
                r->interrupted = true;
                r->ended = true;
        }
        if (p[1].revents)
                r->ended = true;
}

static enum status store_failed(const struct relay *r, enum store_verdict v)
{
        if (v == STORE_IO)
                return complain(NO_STORE, r->opt.store, strerror(errno));
        if (v == STORE_BAD_VERSION)
                return complain(BAD_SCHEMA, r->opt.store, r->store.why);
        /* A machine that was interrupted may leave its last chunk unfinished; that is no damage. */
        return r->interrupted ? DONE : complain(BAD_STORE, r->opt.store, r->store.why);
}

/* Queues all chunks that are there. */
static enum status take_chunks(struct relay *r, bool final)
{
        struct store_chunk chunk;
        for (;;) {
                const enum store_verdict v = store_next(&r->store, final, &chunk);
                if (v == STORE_END)
                        return DONE;
                if (v != STORE_OK)
                        return store_failed(r, v);
                if (!merge_add(&r->merge, &chunk))
                        return complain(NO_STORE, r->opt.store, strerror(ENOMEM));
                if (r->merge.queued >= MERGE_CHUNKS_MAX)
                        return DONE;
        }
}

/* Reads the session record, which the clock of the trace depends on. */
static enum status first_record(struct relay *r, struct trace_record *session)
{
        struct store_chunk chunk = {0};
        enum store_verdict v;
        uint32_t good;
        while ((v = store_next(&r->store, r->ended, &chunk)) == STORE_END && !r->ended)
                look_around(r, POLL_MS);
        if (v == STORE_OK && chunk.count)
                v = store_records(&r->store, &chunk, 0, 1, session, &good);
        if (v != STORE_OK && r->interrupted)
                return complain(INTERRUPTED, "interrupted", "the store held nothing yet");
        if (v == STORE_END)
                return complain(NO_STORE, r->opt.store, "holds no trace");
        if (v != STORE_OK)
                return store_failed(r, v);
        if (!chunk.count || session->event != TRACE_SESSION || session->a == 0)
                return complain(BAD_STORE, r->opt.store,
                                "does not begin with a session record and its clock");
        if (session->aux != TRACE_SCHEMA_VERSION)
                return complain(BAD_SCHEMA, r->opt.store,
                                "session of another schema version than " XSTR(TRACE_SCHEMA_VERSION));
        return merge_add(&r->merge, &chunk) ? DONE : complain(NO_STORE, r->opt.store, strerror(ENOMEM));
}

static bool disk_full(const struct relay *r)
{
        struct statvfs fs;
        return statvfs(r->out, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < recorder_reserve();
}

/* A consumer that died would block the next tracepoint for ever. */
static void stalled(int sig)
{
        static const char line[] = "cascade-relay: LTTng takes no more events\n";
        const ssize_t n = write(STDERR_FILENO, line, sizeof(line) - 1);
        _exit(n > 0 ? NO_LTTNG : BAD_USAGE);
}

/* Records everything that is in order by now. */
static enum status emit_records(struct relay *r, bool final)
{
        struct trace_record batch[BATCH];
        size_t n;
        while (!r->stop && (n = merge_take(&r->merge, final, batch, BATCH)) > 0) {
                if (disk_full(r))
                        return complain(DISK_FULL, r->out, "no space left; the trace ends here");
                alarm(STALL_S);
                recorder_emit(&r->recorder, batch, n);
                alarm(0);
                r->events += n;
                look_around(r, 0);
        }
        return r->merge.verdict == STORE_OK ? DONE : store_failed(r, r->merge.verdict);
}

/* Losses after the last LOST record are known from the chunk headers alone; the trace shall tell them too. */
static void emit_untold_losses(struct relay *r)
{
        for (uint32_t cpu = 0; cpu < r->merge.cpus; cpu++) {
                struct trace_record lost = {.tsc = r->merge.last_tsc,
                                            .event = TRACE_LOST,
                                            .level = 1,
                                            .cpu = (uint8_t)cpu,
                                            .a = merge_lost_untold(&r->merge, cpu)};
                if (!lost.a)
                        continue;
                recorder_emit(&r->recorder, &lost, 1);
                r->events++;
        }
}

static enum status record_all(struct relay *r)
{
        bool all = false;
        while (!all && !r->stop) {
                const bool final =
                        r->ended; /* read first: what was written before the end is then seen below */
                const enum status taken = take_chunks(r, final);
                all = taken != DONE || (final && r->merge.queued < MERGE_CHUNKS_MAX);
                const enum status emitted = emit_records(r, all);
                if (taken != DONE || emitted != DONE)
                        return emitted != DONE ? emitted : taken;
                if (!all)
                        look_around(r, POLL_MS);
        }
        emit_untold_losses(r);
        return DONE;
}

static enum status make_out(struct relay *r)
{
        if (mkdir(r->opt.out, 0777) && errno != EEXIST)
                return complain(BAD_OUT, r->opt.out, strerror(errno));
        r->out = realpath(r->opt.out, NULL);
        if (!r->out || access(r->out, W_OK | X_OK))
                return complain(BAD_OUT, r->opt.out, strerror(errno));
        if (rmdir(r->out) || mkdir(r->out, 0777))
                return complain(BAD_OUT, r->opt.out, strerror(errno));
        return DONE;
}

static void catch_signals(struct relay *r)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGALRM, stalled);
        signal(SIGPIPE, SIG_IGN);
}

static void print_summary(const struct relay *r)
{
        json_t *o = json_pack("{s:I,s:I,s:I,s:s}", "events", (json_int_t)r->events, "lost",
                              (json_int_t)merge_lost(&r->merge), "backwards", (json_int_t)r->merge.backwards,
                              "path", r->out);
        if (o)
                json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(o);
        if (r->opt.quiet)
                return;
        fprintf(stderr,
                "cascade-relay: %" PRIu64 " events, %" PRIu64 " lost, %" PRIu64
                " times the clock went backwards\n",
                r->events, merge_lost(&r->merge), r->merge.backwards);
}

static enum status relay_run(struct relay *r)
{
        struct trace_record session;
        const int fd = open(r->opt.store, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return complain(NO_STORE, r->opt.store, strerror(errno));
        r->ended = !r->opt.follow;
        store_open(&r->store, fd);
        merge_init(&r->merge, &r->store);
        enum status s = first_record(r, &session);
        if (s == DONE)
                s = make_out(r);
        if (s == DONE && !recorder_start(&r->recorder, r->out, session.a, session.tsc))
                s = NO_LTTNG;
        if (s == DONE) {
                s = record_all(r);
                if (!recorder_stop(&r->recorder) && s == DONE)
                        s = NO_LTTNG;
                print_summary(r);
        }
        merge_free(&r->merge);
        free(r->out);
        close(fd);
        return s == DONE && r->interrupted
                       ? complain(INTERRUPTED, "interrupted", "what the store held is recorded")
                       : s;
}

int main(int argc, char **argv)
{
        static struct relay r;
        const enum status s = parse_options(&r.opt, argc, argv);
        if (s != DONE)
                return s;
        catch_signals(&r);
        return relay_run(&r);
}
