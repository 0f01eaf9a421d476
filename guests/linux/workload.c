/* SPDX-License-Identifier: BSD-2-Clause */
/* The bottom guest's work: a short run through what an operating system asks of its machine. Each phase is
 * bracketed by markers that the hypervisor traces, and checks its own outcome.
 *
 *   workload mark    sets MARK_USERSPACE, nothing else
 *   workload         runs the phases, prints a line for each and one for the result, powers the machine off
 *
 * Runs as process 1 of an initramfs with /proc, /dev and a tmpfs on /tmp. Statically linked. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "base/bits.h"
#include "trace/record.h"

#define MARK_CODE  BITS(31, 24)
#define MARK_VALUE BITS(23, 0)

#define CHILDREN     20
#define TOUCH_BYTES  (8u << 20)
#define FILE_BYTES   (1u << 20)
#define BLOCK_BYTES  (64u << 10)
#define SLEEPS       5
#define SLEEP_NS     10000000ll
#define SLEEP_MAX_NS (10 * SLEEP_NS)
#define CLOCK_READS  1000
#define PROC_BYTES   (32u << 10)

static bool fail(const char *what)
{
        printf("cascade-guest: %s\n", what);
        return false;
}

static void mark(uint32_t code, uint32_t value)
{
        outl((uint32_t)PUT(PUT(0, MARK_CODE, code), MARK_VALUE, value), MARKER_PORT);
}

/* fork and exec, as often as a small shell script does. */
static bool run_processes(void)
{
        for (int i = 0; i < CHILDREN; i++) {
                int status;
                const pid_t child = fork();

                if (child < 0)
                        return fail("fork failed");
                if (child == 0) {
                        execl("/bin/true", "true", (char *)NULL);
                        _exit(127);
                }
                if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                        return fail("a child of /bin/true ended badly");
        }
        return true;
}

/* First touch of fresh pages, then every page must still hold what was written to it. */
static bool touch_memory(void)
{
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *m = mmap(NULL, TOUCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (m == MAP_FAILED)
                return fail("mmap failed");
        for (size_t at = 0; at < TOUCH_BYTES; at += page) {
                if (m[at] != 0)
                        return fail("a fresh page is not zero");
                memcpy(m + at, &at, sizeof(at));
        }
        for (size_t at = 0; at < TOUCH_BYTES; at += page)
                if (memcmp(m + at, &at, sizeof(at)) != 0)
                        return fail("a page lost its contents");
        return munmap(m, TOUCH_BYTES) == 0 || fail("munmap failed");
}

static void fill_block(uint8_t *block, uint32_t seed)
{
        for (size_t i = 0; i < BLOCK_BYTES; i += sizeof(seed)) {
                seed = seed * 1664525u + 1013904223u;
                memcpy(block + i, &seed, sizeof(seed));
        }
}

static bool write_file(const char *path, uint8_t *block)
{
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        bool ok = fd >= 0;

        for (uint32_t n = 0; ok && n < FILE_BYTES / BLOCK_BYTES; n++) {
                fill_block(block, n);
                ok = write(fd, block, BLOCK_BYTES) == (ssize_t)BLOCK_BYTES;
        }
        return fd >= 0 && close(fd) == 0 && ok;
}

static bool copy_file(const char *from, const char *to, uint8_t *block)
{
        const int in = open(from, O_RDONLY);
        const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        bool ok = in >= 0 && out >= 0;
        ssize_t n = 0;

        while (ok && (n = read(in, block, BLOCK_BYTES)) > 0)
                ok = write(out, block, (size_t)n) == n;
        if (in >= 0)
                close(in);
        return out >= 0 && close(out) == 0 && ok && n == 0;
}

static bool same_file(const char *path, uint8_t *block, uint8_t *want)
{
        const int fd = open(path, O_RDONLY);
        bool ok = fd >= 0;

        for (uint32_t n = 0; ok && n < FILE_BYTES / BLOCK_BYTES; n++) {
                fill_block(want, n);
                ok = read(fd, block, BLOCK_BYTES) == (ssize_t)BLOCK_BYTES &&
                     memcmp(block, want, BLOCK_BYTES) == 0;
        }
        ok = ok && read(fd, block, 1) == 0;
        return fd >= 0 && close(fd) == 0 && ok;
}

static bool copy_files(void)
{
        static uint8_t block[BLOCK_BYTES], want[BLOCK_BYTES];

        if (!write_file("/tmp/a", block))
                return fail("writing a file to tmpfs failed");
        if (!copy_file("/tmp/a", "/tmp/b", block))
                return fail("copying a file in tmpfs failed");
        if (!same_file("/tmp/b", block, want))
                return fail("the copied file differs");
        return (unlink("/tmp/a") == 0 && unlink("/tmp/b") == 0) || fail("unlink failed");
}

static int64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static bool sleep_once(void)
{
        const struct timespec want = { .tv_nsec = SLEEP_NS };
        const int64_t start = now_ns();

        if (nanosleep(&want, NULL) != 0)
                return fail("nanosleep failed");
        const int64_t took = now_ns() - start;
        if (took >= SLEEP_NS && took < SLEEP_MAX_NS)
                return true;
        printf("cascade-guest: a sleep of %lld ns took %" PRId64 " ns\n", SLEEP_NS, took);
        return false;
}

static bool sleep_and_watch(void)
{
        int64_t last = now_ns();

        for (int i = 0; i < SLEEPS; i++)
                if (!sleep_once())
                        return false;
        for (int i = 0; i < CLOCK_READS; i++) {
                const int64_t now = now_ns();
                if (now < last)
                        return fail("the monotonic clock ran backwards");
                last = now;
        }
        return true;
}

/* The whole of a small file, terminated; an empty string if it cannot be read. */
static const char *read_proc(const char *path)
{
        static char text[PROC_BYTES];
        const int fd = open(path, O_RDONLY);
        size_t have = 0;
        ssize_t n = 0;

        while (fd >= 0 && have < sizeof(text) - 1 && (n = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
                have += (size_t)n;
        if (fd >= 0)
                close(fd);
        text[have] = '\0';
        return text;
}

/* Interrupts of the local APIC timer ("LOC:") and of whatever device is the "timer", on all processors. */
static uint64_t timer_interrupts(void)
{
        uint64_t sum = 0;

        for (const char *line = read_proc("/proc/interrupts"); line && *line; line = strchr(line, '\n')) {
                line += *line == '\n';
                const char *end = strchrnul(line, '\n');
                const char *count = strchrnul(line, ':');
                const char *device = memmem(line, (size_t)(end - line), " timer", 6);
                if (*count == '\0' || (strncmp(line + strspn(line, " "), "LOC:", 4) != 0 && !device))
                        continue;
                for (count++; count < end;) {
                        char *after;
                        const uint64_t value = strtoull(count, &after, 10);
                        if (after == count)
                                break;
                        sum += value;
                        count = after;
                }
        }
        return sum;
}

static bool read_procs(void)
{
        const uint64_t before = timer_interrupts();

        if (!strstr(read_proc("/proc/cpuinfo"), "processor"))
                return fail("/proc/cpuinfo names no processor");
        if (!strstr(read_proc("/proc/meminfo"), "MemTotal:"))
                return fail("/proc/meminfo has no total");
        if (!sleep_once())
                return false;
        const uint64_t after = timer_interrupts();
        if (after > before)
                return true;
        printf("cascade-guest: timer interrupts stand at %" PRIu64 "\n", after);
        return false;
}

static const struct phase {
        const char *name;
        bool (*run)(void);
} phases[] = {
        { "processes", run_processes },
        { "memory", touch_memory },
        { "files", copy_files },
        { "timers", sleep_and_watch },
        { "proc", read_procs },
};

/* 0, or the number of the first phase that failed. */
static uint32_t run_phases(void)
{
        for (uint32_t i = 0; i < ARRAY_LEN(phases); i++) {
                const uint32_t number = i + 1;

                mark(MARK_WORK_BEGIN, number);
                const bool ok = phases[i].run();
                mark(MARK_WORK_END, number);
                printf("cascade-guest: phase %u %s %s\n", number, phases[i].name, ok ? "ok" : "failed");
                if (!ok)
                        return number;
        }
        return 0;
}

int main(int argc, char **argv)
{
        setvbuf(stdout, NULL, _IOLBF, 0);
        if (ioperm(MARKER_PORT, sizeof(uint32_t), 1) != 0) {
                perror("cascade-guest: ioperm");
                return EXIT_FAILURE;
        }
        if (argc > 1 && strcmp(argv[1], "mark") == 0) {
                mark(MARK_USERSPACE, 0);
                return EXIT_SUCCESS;
        }
        const uint32_t failed = run_phases();
        if (failed)
                printf("cascade-guest: result FAILED phase %u\n", failed);
        else
                printf("cascade-guest: result ok\n");
        tcdrain(STDOUT_FILENO);
        mark(MARK_RESULT, failed);
        reboot(RB_POWER_OFF);
        perror("cascade-guest: power off");
        return EXIT_FAILURE;
}
