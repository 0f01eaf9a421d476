/* SPDX-License-Identifier: BSD-2-Clause */
/* mtf.h - the monitor trap flag: an exit after each instruction of the guest's guest. SDM 3C "Monitor Trap Flag". The
 * decisions; run/mtf.c carries them out. [pure] */
#ifndef CASCADE_NESTED_MTF_H
#define CASCADE_NESTED_MTF_H

#include <stdbool.h>
#include <stdint.h>

enum mtf_method {
        MTF_ABSENT,      /* not offered */
        MTF_BY_HARDWARE, /* the processor's own */
        MTF_BY_TIMER,    /* the preemption timer, on a processor whose TSC counts instructions */
};

struct mtf {
        enum mtf_method method;
        bool on;       /* the control is 1 in vmcs12 of the guest's guest that runs */
        bool due;      /* its VM entry injects a pending exit, whatever the control says */
        bool armed;    /* MTF_BY_TIMER: vmcs02's timer expires where the exit is due */
        bool watch_db; /* MTF_BY_TIMER: #DB exits, as debug traps would come before the timer */
};

/* Ticks of the preemption timer: none, or that of VMLAUNCH and that of one instruction. */
#define MTF_TICKS_NOW  0u
#define MTF_TICKS_STEP 2u

/* A VM entry of the guest's guest. */
struct mtf_entry {
        bool vectoring;       /* injects an event to be delivered */
        bool blocked_mov_ss;
        uint64_t pending_dbg; /* field of vmcs02 */
        bool timer12;         /* vmcs12 has a preemption timer, with so many ticks left: */
        uint64_t timer12_left;
};

enum mtf_plan {
        MTF_AFTER_EVENT, /* an event is delivered first: the exit is due before its handler's first instruction */
        MTF_AFTER_STEP,  /* after one instruction */
        MTF_TIMER_FIRST, /* vmcs12's own timer has run out: its exit comes before the first instruction */
};
enum mtf_plan mtf_plan(const struct mtf_entry *e);

/* What a #DB that exited from the guest's guest is about. */
enum mtf_db {
        MTF_DB_TRAP,     /* the instruction is done: the exit is due, with the trap pending */
        MTF_DB_FAULT,    /* of an instruction breakpoint or general detection: to be delivered, the exit is due after that */
        MTF_DB_SOFTWARE, /* INT1, likewise */
};
enum mtf_db mtf_db(uint32_t intr_info, uint64_t qualification, uint64_t dr7);

/* What is pending at the exit, of a trap with this exit qualification. */
uint64_t mtf_pending(uint64_t qualification);

/* A debug register or flag of the guest's guest can raise #DB at its next instruction. */
bool mtf_db_possible(uint64_t rflags, uint64_t dr7);

#endif
