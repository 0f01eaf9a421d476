/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs QEMU with KVM in the KVM guest, shows the inner guest's console as part of its own, and says by markers how far
 * the inner guest came: its own markers end in its QEMU.
 *
 *   launch mark    sets MARK_USERSPACE, nothing else
 *   launch         runs QEMU with the arguments in /inner/qemu.args, prints a line for the result, powers off
 *
 * Runs as process 1 of an initramfs with /proc, /dev and /sys. Statically linked. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "base/bits.h"
#include "trace/record.h"

#define MARK_CODE  BITS(31, 24)
#define MARK_VALUE BITS(23, 0)

#define QEMU       "/usr/bin/qemu-system-x86_64"
#define ARGS_PATH  "/inner/qemu.args"
#define ARGS_MAX   64
#define ARG_BYTES  512
#define LINE_BYTES 1024

/* What MARK_RESULT says of this guest itself; larger values are the inner guest's. */
enum { RESULT_OK = 0, RESULT_QEMU_FAILED = 0x100, RESULT_NO_RESULT, RESULT_NO_POWER_OFF };

struct inner {
        bool in_userspace;
        bool has_result;
        bool powered_off;
        uint32_t result;
};

static void mark(uint32_t code, uint32_t value)
{
        outl((uint32_t)PUT(PUT(0, MARK_CODE, code), MARK_VALUE, value), MARKER_PORT);
}

static void mark_inner(uint32_t code, uint32_t value)
{
        mark(MARK_OF_MY_GUEST | code, value);
}

/* One line of the inner guest's console: guests/linux/workload.c and, at the very end, its kernel. */
static void watch(struct inner *in, const char *line)
{
        static const char prefix[] = "cascade-guest: ";
        unsigned number = 0;
        const char *said = strstr(line, prefix);

        if (said && !in->in_userspace) {
                in->in_userspace = true;
                mark_inner(MARK_USERSPACE, 0);
        }
        said = said ? said + sizeof(prefix) - 1 : "";
        if (sscanf(said, "phase %u", &number) == 1)
                mark_inner(MARK_WORK_END, number);
        if (strcmp(said, "result ok") == 0 || sscanf(said, "result FAILED phase %u", &number) == 1) {
                in->has_result = true;
                in->result = number;
                mark_inner(MARK_RESULT, number);
        }
        if (in->has_result && strstr(line, "reboot: Power down"))
                in->powered_off = true;
}

/* QEMU's arguments, one to a line, after its name; NULL ends the list. */
static char **read_args(void)
{
        static char text[ARGS_MAX][ARG_BYTES];
        static char *args[ARGS_MAX + 1] = { "qemu" };
        FILE *f = fopen(ARGS_PATH, "r");
        size_t n = 1;

        while (f && n < ARGS_MAX && fgets(text[n], sizeof(text[n]), f)) {
                text[n][strcspn(text[n], "\n")] = '\0';
                args[n] = text[n];
                n++;
        }
        if (f)
                fclose(f);
        return args;
}

static pid_t start_qemu(int *console)
{
        int ends[2];

        if (pipe(ends) != 0)
                return -1;
        const pid_t child = fork();
        if (child == 0) {
                if (!freopen("/dev/null", "r", stdin) || dup2(ends[1], STDOUT_FILENO) < 0 ||
                    dup2(ends[1], STDERR_FILENO) < 0)
                        _exit(127);
                close(ends[0]);
                close(ends[1]);
                execv(QEMU, read_args());
                _exit(127);
        }
        close(ends[1]);
        *console = ends[0];
        return child;
}

/* The exit status of QEMU; what the inner guest did goes to `in`. */
static int run_qemu(struct inner *in)
{
        char line[LINE_BYTES];
        int console = -1, status = -1;
        const pid_t child = start_qemu(&console);
        FILE *f = child > 0 ? fdopen(console, "r") : NULL;

        while (f && fgets(line, sizeof(line), f)) {
                line[strcspn(line, "\r\n")] = '\0';
                puts(line);
                watch(in, line);
        }
        if (f)
                fclose(f);
        if (child < 0 || waitpid(child, &status, 0) != child)
                return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static uint32_t verdict(const struct inner *in, int status)
{
        if (status != 0)
                return RESULT_QEMU_FAILED;
        if (!in->has_result)
                return RESULT_NO_RESULT;
        if (in->result)
                return in->result;
        return in->powered_off ? RESULT_OK : RESULT_NO_POWER_OFF;
}

int main(int argc, char **argv)
{
        struct inner in = { 0 };

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (ioperm(MARKER_PORT, sizeof(uint32_t), 1) != 0) {
                perror("cascade-kvm: ioperm");
                return EXIT_FAILURE;
        }
        if (argc > 1 && strcmp(argv[1], "mark") == 0) {
                mark(MARK_USERSPACE, 0);
                return EXIT_SUCCESS;
        }
        mark_inner(MARK_GUEST, GUEST_LINUX);
        const int status = run_qemu(&in);
        if (in.powered_off)
                mark_inner(MARK_POWER_OFF, 0);
        const uint32_t result = verdict(&in, status);
        printf("cascade-kvm: QEMU ended with %d, result %u\n", status, result);
        tcdrain(STDOUT_FILENO);
        mark(MARK_RESULT, result);
        reboot(RB_POWER_OFF);
        perror("cascade-kvm: power off");
        return EXIT_FAILURE;
}
