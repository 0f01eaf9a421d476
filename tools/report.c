/* SPDX-License-Identifier: BSD-2-Clause */
/* cascade-report: what exits cost, per level and reason, from the CTF trace alone. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ctf.h"
#include "names.h"
#include "report.h"

enum status {
        DONE = 0,
        NO_MEMORY = 1,
        BAD_USAGE = 2,
        NO_FOLDER = 3,
        NO_TRACE = 4,
        NOT_OURS = 5,
        BAD_SCHEMA = 6,
        DAMAGED = 7,
        CANNOT_WRITE = 8,
        NO_BABELTRACE = 9
};

struct options {
        const char *folder;
        const char *json;
        struct report_filter filter;
};

struct reading {
        struct account account;
        enum status status;
};

static const char help[] =
        "usage: cascade-report DIR [--json FILE] [--level N] [--reason R]\n"
        "\n"
        "Reads a CTF trace made by cascade-relay and shows per level and exit reason: count, ticks (mean,\n"
        "p50, p99), and how many hardware exits at L1 one such exit took.\n"
        "  --json FILE   write the result as JSON too; with '-' to standard output, instead of the table\n"
        "  --level N     only exits of level N (2 for L2)\n"
        "  --reason R    only exits for reason R: a number, a name (EPT_VIOLATION), a text (EPT violation)\n"
        "\n"
        "exit status: 0 done; 1 out of memory; 2 bad usage; 3 no such folder; 4 not a CTF trace; 5 no\n"
        "cascade events in it; 6 recorded with another schema version; 7 trace damaged (what came before is\n"
        "shown); 8 the result cannot be written; 9 libbabeltrace2 is not usable\n";

static enum status complain(enum status status, const char *what, const char *why)
{
        fprintf(stderr, "cascade-report: %s: %s\n", what, why);
        return status;
}

static enum status parse_level(const char *word, int *level)
{
        char *end;
        errno = 0;
        const unsigned long v = strtoul(word, &end, 10);
        if (errno || end == word || *end || v >= ACCOUNT_LEVELS)
                return complain(BAD_USAGE, word, "not a level");
        *level = (int)v;
        return DONE;
}

static enum status parse_options(struct options *o, int argc, char **argv)
{
        static const struct option longs[] = {
                {"json", required_argument, NULL, 'j'},
                {"level", required_argument, NULL, 'l'},
                {"reason", required_argument, NULL, 'r'},
                {"help", no_argument, NULL, 'h'},
                {NULL, 0, NULL, 0},
        };
        enum status s = DONE;
        int c;
        *o = (struct options){.filter = {-1, -1}};
        while (s == DONE && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
                switch (c) {
                case 'j':
                        o->json = optarg;
                        break;
                case 'l':
                        s = parse_level(optarg, &o->filter.level);
                        break;
                case 'r':
                        o->filter.reason = reason_number(optarg);
                        if (o->filter.reason < 0)
                                s = complain(BAD_USAGE, optarg, "not an exit reason");
                        break;
                case 'h':
                        fputs(help, stdout);
                        exit(DONE);
                default:
                        s = BAD_USAGE;
                }
        }
        if (s != DONE)
                return s;
        if (optind + 1 != argc)
                return complain(BAD_USAGE, "usage", "one DIR is needed (see --help)");
        o->folder = argv[optind];
        return DONE;
}

/* The schema is checked where it is told, before anything is made of other events. */
static bool take_record(void *user, const struct trace_record *r)
{
        struct reading *reading = user;
        if (!account_add(&reading->account, r)) {
                reading->status = NO_MEMORY;
                return false;
        }
        if (!reading->account.session || reading->account.version != TRACE_SCHEMA_VERSION) {
                reading->status = BAD_SCHEMA;
                return false;
        }
        return true;
}

static enum status judge(const struct options *o, const struct reading *reading, enum ctf_verdict v,
                         const struct ctf_result *result)
{
        char why[96];
        switch (v) {
        case CTF_NO_FOLDER:
                return complain(NO_FOLDER, o->folder, strerror(errno));
        case CTF_NO_TRACE:
                return complain(NO_TRACE, o->folder, "not a CTF trace");
        case CTF_FAILED:
                return complain(NO_BABELTRACE, "libbabeltrace2",
                                result->why[0] ? result->why : "its plugins are missing");
        case CTF_STOPPED:
                if (reading->status == NO_MEMORY)
                        return complain(NO_MEMORY, o->folder, strerror(ENOMEM));
                snprintf(why, sizeof(why), "recorded with schema version %" PRIu32 ", not %d",
                         reading->account.version, TRACE_SCHEMA_VERSION);
                return complain(BAD_SCHEMA, o->folder,
                                reading->account.session ? why : "does not begin with a session event");
        case CTF_DAMAGED:
                return complain(DAMAGED, o->folder, result->why[0] ? result->why : "damaged trace");
        case CTF_OK:
                break;
        }
        return reading->account.events ? DONE
                                       : complain(NOT_OURS, o->folder, "no cascade events in this trace");
}

static enum status write_results(const struct options *o, struct account *a)
{
        const bool json_only = o->json && !strcmp(o->json, "-");
        if (json_only)
                return report_json(stdout, a, o->folder, o->filter)
                               ? DONE
                               : complain(CANNOT_WRITE, "stdout", strerror(errno));
        if (!report_table(stdout, a, o->folder, o->filter) || fflush(stdout))
                return complain(CANNOT_WRITE, "stdout", strerror(errno));
        if (!o->json)
                return DONE;
        FILE *f = fopen(o->json, "w");
        const bool ok = f && report_json(f, a, o->folder, o->filter);
        if (!f || fclose(f) || !ok)
                return complain(CANNOT_WRITE, o->json, strerror(errno));
        return DONE;
}

int main(int argc, char **argv)
{
        struct options o;
        struct ctf_result result;
        enum status s = parse_options(&o, argc, argv);
        if (s != DONE)
                return s;
        struct reading *reading = calloc(1, sizeof(*reading));
        if (!reading)
                return complain(NO_MEMORY, "start", strerror(ENOMEM));
        account_init(&reading->account);
        const enum ctf_verdict v = ctf_read(o.folder, take_record, reading, &result);
        reading->account.lost += result.discarded;
        account_end(&reading->account);
        s = judge(&o, reading, v, &result);
        if (s == DONE || (s == DAMAGED && reading->account.events)) {
                const enum status written = write_results(&o, &reading->account);
                s = s == DONE ? written : s;
        }
        account_free(&reading->account);
        free(reading);
        return s;
}
