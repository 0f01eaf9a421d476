/* SPDX-License-Identifier: BSD-2-Clause */
/* account.h - what exits cost, from the records in the order of time. Knows nothing of files and of CTF.
 *
 * The exit of level n at time t ends with the next VM entry into level n on the same processor. Its cost is
 * the time between, without the intervals in which records were written out (DRAIN); its L1 exits are the
 * hardware exits on that processor from t, itself included, until then. An exit that is the entry of a deeper
 * level (VMLAUNCH, VMRESUME) thereby lasts while that level runs: `hosted` is this share of the cost. An exit
 * without such an entry, or with lost records before it, is counted as unmatched and has no cost.
 *
 * The account owns everything it allocates; account_free() releases it. Its one failure is lack of memory
 * (false). Percentiles are exact (nearest rank) up to ACCOUNT_EXACT_SAMPLES per cell; a larger cell counts in
 * 128 classes per power of two, and its percentiles are then within 0.4 %. */
#ifndef CASCADE_TOOLS_ACCOUNT_H
#define CASCADE_TOOLS_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include "trace/record.h"

#define ACCOUNT_LEVELS        256
#define ACCOUNT_CPUS          256
#define ACCOUNT_REASONS       128 /* basic exit reasons; the last one collects what lies beyond */
#define ACCOUNT_EXACT_SAMPLES (1u << 20)
#define ACCOUNT_CLASS_BITS    7
#define ACCOUNT_CLASSES       ((64 - ACCOUNT_CLASS_BITS + 1) << ACCOUNT_CLASS_BITS)

/* All exits of one level for one reason. */
struct account_cell {
        uint64_t count;
        uint64_t ticks;
        uint64_t hosted;
        uint64_t l1_exits;
        uint64_t *samples; /* NULL once there are classes */
        size_t room;
        uint64_t *classes; /* counts; NULL while samples are exact */
        bool sorted;
};

struct account_level {
        bool seen;
        uint32_t kind; /* GUEST_* */
        bool reached_userspace;
        bool powered_off;
        bool has_result;
        uint64_t result;
        uint64_t exits; /* hardware exits, matched or not */
        struct account_cell *cell[ACCOUNT_REASONS];
};

struct account_exit {
        bool pending;
        uint8_t reason;
        uint64_t tsc;
        uint64_t exits_before; /* hardware exits of the processor before this one */
        uint64_t drained;
        uint64_t hosted;
};

struct account_cpu {
        uint64_t exits;
        bool running; /* level `in`, since `since` */
        uint8_t in;
        uint64_t since;
        struct account_exit exit[ACCOUNT_LEVELS];
};

struct account {
        uint64_t events;
        uint64_t lost;
        uint64_t unmatched;
        uint64_t drained;
        bool session;
        uint32_t version;
        uint64_t tsc_hz;
        unsigned levels; /* highest level seen, plus 1 */
        struct account_level level[ACCOUNT_LEVELS];
        struct account_cpu *cpu[ACCOUNT_CPUS];
};

void account_init(struct account *a);
void account_free(struct account *a);
bool account_add(struct account *a, const struct trace_record *r);

/* After the last record: exits that still wait for their entry become unmatched. */
void account_end(struct account *a);

/* The q-th percentile of the costs, 1 <= q <= 100; 0 for a cell without exits. */
uint64_t account_percentile(struct account_cell *c, unsigned q);

/* Class of a value and the middle of the class. */
unsigned account_class(uint64_t v);
uint64_t account_class_middle(unsigned class);

#endif
