/* SPDX-License-Identifier: BSD-2-Clause */
/* pit.h - 8254 interval timer of a PC and the parts of port 0x61 that belong to it. [pure]
 *
 * Owns: three channels. Counts are never stored: they follow from `now` and the TSC at which counting began.
 * Channel 0 raises IRQ 0; `due` caches the TSC of its next rising edge. Gates of channels 0 and 1 are tied
 * high, channel 2's is bit 0 of port 0x61. A new count takes effect at once, also in modes 2 and 3. */
#ifndef CASCADE_PLATFORM_PIT_H
#define CASCADE_PLATFORM_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ       1193182
#define PIT_PORT     0x40 /* three counters and the control word */
#define PIT_CONTROL  0x43
#define PIT_GATE_PORT 0x61

struct pit_channel {
        uint8_t mode;         /* 0..5 */
        uint8_t access;       /* 1 low byte, 2 high byte, 3 low then high */
        bool bcd;
        bool loaded;          /* a count was written since the control word */
        bool gate;
        bool running;         /* counting: loaded, gated, and triggered where the mode wants it */
        bool have_low;        /* access 3: the low byte of a new count is in `low` */
        bool read_high;       /* access 3: the high byte is read next */
        bool count_latched;
        bool status_latched;
        uint8_t low;
        uint8_t status;
        uint16_t latched;
        uint32_t count;       /* 1..65536, in BCD mode 1..10000 */
        uint64_t start;       /* TSC at which counting began */
        uint64_t held;        /* ticks counted when the gate stopped it */
};

struct pit {
        struct pit_channel ch[3];
        uint64_t tsc_hz;
        uint64_t due;         /* TSC of channel 0's next edge; UINT64_MAX if none */
        uint8_t port61;       /* bits 3:0 as written */
};

void pit_init(struct pit *p, uint64_t tsc_hz);
uint8_t pit_read(struct pit *p, uint16_t port, uint64_t now);
void pit_write(struct pit *p, uint16_t port, uint8_t value, uint64_t now);
uint8_t pit_read_gate(const struct pit *p, uint64_t now);
void pit_write_gate(struct pit *p, uint8_t value, uint64_t now);
/* True if channel 0's output rose since the last call: one edge of IRQ 0, however many periods passed. */
bool pit_advance(struct pit *p, uint64_t now);

#endif
