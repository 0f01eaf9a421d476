/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include "names.h"
#include "report.h"

struct row {
        unsigned level, reason;
        struct account_cell *cell;
};

static int by_level_then_ticks(const void *x, const void *y)
{
        const struct row *a = x, *b = y;
        if (a->level != b->level)
                return a->level < b->level ? -1 : 1;
        if (a->cell->ticks != b->cell->ticks)
                return a->cell->ticks > b->cell->ticks ? -1 : 1;
        return a->reason < b->reason ? -1 : a->reason > b->reason;
}

/* The cells with exits that pass the filter, sorted; NULL: out of memory. */
static struct row *rows_of(struct account *a, struct report_filter f, size_t *n)
{
        struct row *rows = calloc((size_t)ACCOUNT_LEVELS * ACCOUNT_REASONS, sizeof(*rows));
        *n = 0;
        if (!rows)
                return NULL;
        for (unsigned l = 0; l < a->levels; l++) {
                for (unsigned r = 0; r < ACCOUNT_REASONS; r++) {
                        struct account_cell *c = a->level[l].cell[r];
                        if (!c || !c->count || (f.level >= 0 && (unsigned)f.level != l) ||
                            (f.reason >= 0 && (unsigned)f.reason != r))
                                continue;
                        rows[(*n)++] = (struct row){l, r, c};
                }
        }
        qsort(rows, *n, sizeof(*rows), by_level_then_ticks);
        return rows;
}

static double per_exit(uint64_t sum, const struct account_cell *c)
{
        return (double)sum / (double)c->count;
}

static void print_guests(FILE *out, const struct account *a)
{
        for (unsigned l = 0; l < a->levels; l++) {
                const struct account_level *v = &a->level[l];
                if (!v->seen)
                        continue;
                fprintf(out, "L%u: %s, %" PRIu64 " hardware exits%s%s", l, guest_kind_text(v->kind), v->exits,
                        v->reached_userspace ? ", reached user space" : "",
                        v->powered_off ? ", powered off" : "");
                if (v->has_result)
                        fprintf(out, ", result %" PRIu64, v->result);
                fputc('\n', out);
        }
}

static void print_total(FILE *out, unsigned level, const struct account_cell *t)
{
        if (!t->count)
                return;
        fprintf(out, "L%-4u %-32s %10" PRIu64 " %12.1f %10s %10s %8.2f %12.1f %16" PRIu64 "\n\n", level,
                "all", t->count, per_exit(t->ticks, t), "", "", per_exit(t->l1_exits, t),
                per_exit(t->hosted, t), t->ticks);
}

bool report_table(FILE *out, struct account *a, const char *path, struct report_filter f)
{
        struct account_cell total = {0};
        char buf[16];
        size_t n;
        struct row *rows = rows_of(a, f, &n);
        if (!rows)
                return false;
        fprintf(out,
                "trace %s\n%" PRIu64 " events, %" PRIu64 " lost, %" PRIu64 " exits unmatched, %" PRIu64
                " ticks/s, %" PRIu64 " ticks spent writing records (not counted below)\n",
                path, a->events, a->lost, a->unmatched, a->tsc_hz, a->drained);
        print_guests(out, a);
        fprintf(out, "\n%-5s %-32s %10s %12s %10s %10s %8s %12s %16s\n", "level", "exit reason", "count",
                "mean ticks", "p50", "p99", "L1 exits", "run deeper", "total ticks");
        for (size_t i = 0; i < n; i++) {
                struct account_cell *c = rows[i].cell;
                fprintf(out,
                        "L%-4u %-32s %10" PRIu64 " %12.1f %10" PRIu64 " %10" PRIu64 " %8.2f %12.1f %16" PRIu64
                        "\n",
                        rows[i].level, reason_text(rows[i].reason, buf), c->count, per_exit(c->ticks, c),
                        account_percentile(c, 50), account_percentile(c, 99), per_exit(c->l1_exits, c),
                        per_exit(c->hosted, c), c->ticks);
                total.count += c->count;
                total.ticks += c->ticks;
                total.hosted += c->hosted;
                total.l1_exits += c->l1_exits;
                if (i + 1 < n && rows[i + 1].level == rows[i].level)
                        continue;
                print_total(out, rows[i].level, &total);
                total = (struct account_cell){0};
        }
        fputs("mean, p50, p99: ticks from an exit to the next entry into its level; L1 exits: hardware exits "
              "in that time;\n"
              "run deeper: mean ticks of it in which a deeper level ran (VMLAUNCH and VMRESUME last until "
              "that one exits).\n",
              out);
        free(rows);
        return !ferror(out);
}

static json_t *levels_json(const struct account *a)
{
        json_t *levels = json_array();
        for (unsigned l = 0; l < a->levels; l++) {
                const struct account_level *v = &a->level[l];
                if (!v->seen)
                        continue;
                json_array_append_new(
                        levels, json_pack("{s:i,s:s,s:I,s:b,s:b,s:o}", "level", (int)l, "what",
                                          guest_kind_text(v->kind), "exits", (json_int_t)v->exits,
                                          "reached_userspace", v->reached_userspace, "powered_off",
                                          v->powered_off, "result",
                                          v->has_result ? json_integer((json_int_t)v->result) : json_null()));
        }
        return levels;
}

static json_t *exits_json(const struct row *rows, size_t n)
{
        json_t *exits = json_array();
        char buf[16];
        for (size_t i = 0; i < n; i++) {
                struct account_cell *c = rows[i].cell;
                json_array_append_new(
                        exits, json_pack("{s:i,s:s,s:I,s:f,s:I,s:I,s:f,s:f,s:I}", "level", (int)rows[i].level,
                                         "reason", reason_text(rows[i].reason, buf), "count",
                                         (json_int_t)c->count, "ticks_mean", per_exit(c->ticks, c),
                                         "ticks_p50", (json_int_t)account_percentile(c, 50), "ticks_p99",
                                         (json_int_t)account_percentile(c, 99), "l1_exits_per_exit",
                                         per_exit(c->l1_exits, c), "ticks_deeper_mean",
                                         per_exit(c->hosted, c), "ticks_total", (json_int_t)c->ticks));
        }
        return exits;
}

bool report_json(FILE *out, struct account *a, const char *path, struct report_filter f)
{
        size_t n;
        struct row *rows = rows_of(a, f, &n);
        if (!rows)
                return false;
        json_t *o = json_pack("{s:{s:s,s:I,s:I,s:I,s:I},s:o,s:o}", "trace", "path", path, "events",
                              (json_int_t)a->events, "lost", (json_int_t)a->lost, "tsc_hz",
                              (json_int_t)a->tsc_hz, "unmatched", (json_int_t)a->unmatched, "levels",
                              levels_json(a), "exits", exits_json(rows, n));
        const bool ok =
                o && !json_dumpf(o, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) && fputc('\n', out) != EOF;
        json_decref(o);
        free(rows);
        return ok && !fflush(out);
}
