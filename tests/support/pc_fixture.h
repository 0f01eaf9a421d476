/* SPDX-License-Identifier: BSD-2-Clause */
/* pc_fixture.h - one PC and short names for what a guest does to it: for the suites about struct pc. */
#ifndef CASCADE_TESTS_PC_FIXTURE_H
#define CASCADE_TESTS_PC_FIXTURE_H

#include "suite.h"
#include <string.h>
#include "platform/pc.h"
#include "trace/record.h"
#define HZ    100000000ull
#define START 5000ull
#define LAPIC 0xfee00000ull

static const struct pc_config config = { .cpus = 2, .maxphyaddr = 39, .tsc_hz = HZ, .start_tsc = START,
                                         .epoch_seconds = 1700000000, .low_bytes = 64ull << 20 };
static struct pc pc;
static uint64_t now;

static inline void fresh(void)
{
        now = START;
        pc_init(&pc, &config);
}

static inline struct pc_verdict out(uint16_t port, unsigned bytes, uint32_t v)
{
        return pc_io_write(&pc, port, bytes, v, now);
}

static inline uint32_t in(uint16_t port, unsigned bytes)
{
        return pc_io_read(&pc, port, bytes, now);
}

static inline void mmio(uint64_t at, uint32_t v)
{
        ck_assert_int_eq(pc_mmio_write(&pc, 0, L1GPA(at), 4, v, now).action, PC_NONE);
}

static inline uint32_t mmio_in(uint64_t at)
{
        return (uint32_t)pc_mmio_read(&pc, 0, L1GPA(at), 4, now);
}

static inline void redir(unsigned pin, uint32_t low)
{
        mmio(IOAPIC_BASE, 0x10 + 2 * pin);
        mmio(IOAPIC_BASE + 0x10, low);
}

static inline bool wrmsr(uint32_t msr, uint64_t v)
{
        struct pc_verdict verdict;
        return pc_msr_write(&pc, 0, msr, v, now, &verdict);
}

static inline void program_pic(uint8_t master_mask, uint8_t slave_mask)
{
        static const struct {
                uint16_t port;
                uint8_t v;
        } seq[] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1},
                   {0xa0, 0x11}, {0xa1, 0x28}, {0xa1, 2}, {0xa1, 1}};
        for (unsigned i = 0; i < ARRAY_LEN(seq); i++)
                out(seq[i].port, 1, seq[i].v);
        out(0x21, 1, master_mask);
        out(0xa1, 1, slave_mask);
}

static inline void start_pit(uint16_t count)
{
        out(0x43, 1, 0x34);
        out(0x40, 1, count & 0xff);
        out(0x40, 1, count >> 8);
}

#endif
