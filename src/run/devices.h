/* SPDX-License-Identifier: BSD-2-Clause */
/* devices.h - accesses to the guest's PC, and what its devices answer to the world. */
#ifndef CASCADE_RUN_DEVICES_H
#define CASCADE_RUN_DEVICES_H

#include "run/run.h"

/* Fills the two pages of the I/O bitmap: what exits is everything but ports without a device behind them that guests
 * write to pass the time. */
void io_bitmap01_build(uint8_t *bitmap);
uint32_t device_in(struct run *r, uint16_t port, unsigned bytes);
void device_out(struct run *r, uint16_t port, unsigned bytes, uint32_t value);
/* Serves the instruction at RIP, whose memory operand is at this address, where no RAM is. */
void device_mmio(struct run *r, l1gpa_t at, bool is_write);
/* A verdict of the PC: console bytes go out, power-off ends the machine, and so on. */
void device_act(struct run *r, const struct pc_verdict *verdict);
/* The guest marks a point of its life (MARK_* of trace/record.h); also for guests further down. */
void device_marker(struct run *r, unsigned level, uint32_t code, uint64_t value);

#endif
