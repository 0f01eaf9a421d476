/* SPDX-License-Identifier: BSD-2-Clause */
/* pic.h - the pair of 8259A interrupt controllers of a PC, with the ELCR registers. [pure]
 *
 * Owns: both chips. `intr` is a cache of the master's INTR output; every function leaves it exact.
 * Inputs are levels (IRQ 0..15; 2 is the cascade and cannot be driven). */
#ifndef CASCADE_IRQ_PIC_H
#define CASCADE_IRQ_PIC_H

#include <stdbool.h>
#include "base/bits.h"

#define PIC_MASTER 0x20 /* ports: command, data */
#define PIC_SLAVE  0xa0
#define PIC_ELCR   0x4d0 /* ports: master, slave */

struct pic_chip {
        uint8_t lines;        /* input levels */
        uint8_t irr;          /* requests: latched edges, or levels where elcr says so */
        uint8_t isr;          /* in service */
        uint8_t imr;          /* masked */
        uint8_t elcr;         /* level-triggered inputs */
        uint8_t base;         /* vector of input 0 */
        uint8_t lowest;       /* input of lowest priority: 7 unless rotated */
        uint8_t init_step;    /* ICW expected next at the data port: 2, 3, 4; 0 when initialised */
        bool needs_icw4;      /* announced by ICW1 */
        bool single;          /* announced by ICW1: no ICW3 */
        bool auto_eoi;
        bool rotate_auto_eoi;
        bool special_mask;
        bool fully_nested;    /* special fully nested mode */
        bool read_isr;        /* command port reads ISR, not IRR */
        bool poll;            /* next command port read is a poll */
};

struct pic {
        struct pic_chip chip[2]; /* master, slave */
        bool intr;
};

void pic_init(struct pic *p);
void pic_set_line(struct pic *p, unsigned irq, bool level);
/* port: one of the six named above (command or data of a chip, ELCR). */
uint8_t pic_read(struct pic *p, uint16_t port);
void pic_write(struct pic *p, uint16_t port, uint8_t value);
/* Vector that an INTA cycle would deliver now; pic_ack() performs the cycle. A request that is gone by then
 * is answered with the spurious vector (input 7), which sets no ISR bit of its chip. */
int pic_peek(const struct pic *p);
int pic_ack(struct pic *p);

#endif
