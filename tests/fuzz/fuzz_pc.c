/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's PC under any accesses: ports, device memory, MSRs, time. Nothing breaks, what it says is in range, and the
 * caches that the run loop reads are what their sources are.
 *
 * Input: records of 1 byte kind, 2 of place, 4 of value. */
#include "base/bug.h"
#include "input.h"
#include "platform/pc.h"

#define HZ    100000000ull
#define LAPIC 0xfee00000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pc_config config = { .cpus = 2, .maxphyaddr = 39, .tsc_hz = HZ, .start_tsc = 5000,
                                         .epoch_seconds = 1700000000, .low_bytes = 64ull << 20 };
static struct pc pc;
static uint64_t now;

static void port(bool write, uint16_t where, uint32_t value)
{
        static const uint16_t known[] = { 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x3f8, 0x3f9,
                                          0x3fa, 0x3fb, 0x3fc, 0x2f8, 0x2f9, 0x4d0, 0x4d1, 0x60, 0x64, 0x92, 0xcf8, 0xcf9,
                                          0xcfc, 0xe9, 0xf4, 0x600, 0x604, 0x608 };
        static const uint8_t sizes[] = { 1, 2, 4 };
        const uint16_t at = where & 0x8000 ? where & 0x7fff : known[where % ARRAY_LEN(known)];
        const unsigned bytes = sizes[(where >> 8) % 3];
        if (write)
                BUG_UNLESS(pc_io_write(&pc, at, bytes, value, now).action <= PC_IPI);
        else
                pc_io_read(&pc, at, bytes, now);
}

static void memory(bool write, unsigned cpu, uint16_t where, uint32_t value)
{
        const uint64_t at = (where & 0x8000 ? LAPIC : IOAPIC_BASE) + (where & (where & 0x4000 ? 0xfff : 0xff0));
        const unsigned bytes = 1u << (where >> 12 & 3);
        if (write)
                BUG_UNLESS(pc_mmio_write(&pc, cpu, L1GPA(at), bytes, value | (uint64_t)value << 32, now).action <= PC_IPI);
        else
                pc_mmio_read(&pc, cpu, L1GPA(at), bytes, now);
}

static void msr(bool write, unsigned cpu, uint16_t where, uint32_t value)
{
        static const uint32_t special[] = { 0x1b, 0x6e0, 0x808, 0x80b, 0x830, 0x832, 0x838, 0x83f };
        const uint32_t number = where & 1 ? special[where >> 1 & 7] : 0x800 + (where >> 1 & 0xff);
        uint64_t v = value;
        struct pc_verdict verdict = { .action = PC_NONE };
        if (number == 0x1b)
                v = LAPIC | (value & (APICBASE_EN | APICBASE_EXTD));
        if (number == 0x6e0)
                v = now + (int64_t)(int32_t)value;
        if (write)
                (void)pc_msr_write(&pc, cpu, number, v, now, &verdict);
        else
                (void)pc_msr_read(&pc, cpu, number, &v, now);
        BUG_UNLESS(verdict.action == PC_NONE || verdict.action == PC_IPI);
}

static void check_state(void)
{
        uint64_t due = pc.pit.due < pc.rtc.due ? pc.pit.due : pc.rtc.due;
        for (unsigned c = 0; c < config.cpus; c++) {
                const int offered = pc_pending_vector(&pc, c);
                BUG_UNLESS(offered >= -1 && offered <= 255);
                if (pc.bus.cpu[c].timer_due < due)
                        due = pc.bus.cpu[c].timer_due;
        }
        BUG_UNLESS(pc_next_event(&pc) == due);
}

static void step(uint8_t kind, uint16_t where, uint32_t value)
{
        const bool write = kind & 0x80;
        const unsigned cpu = kind >> 6 & 1;
        switch (kind & 7) {
        case 0:
        case 1:
                port(write, where, value);
                break;
        case 2:
                memory(write, cpu, where, value);
                break;
        case 3:
                msr(write, cpu, where, value);
                break;
        case 4:
                (void)pc_console_input(&pc, cpu, (uint8_t)value);
                break;
        case 5: {
                const int offered = pc_pending_vector(&pc, cpu);
                if (offered >= 0)
                        BUG_UNLESS(pc_ack_vector(&pc, cpu) == offered);
                break;
        }
        case 6:
                pc_set_cr8(&pc, cpu, value & 15);
                break;
        default:
                now += value;
                pc_advance(&pc, now);
        }
        check_state();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = { data, size };
        now = config.start_tsc;
        pc_init(&pc, &config);
        while (in.left) {
                const uint8_t kind = take_u8(&in);
                const uint16_t where = take_u16(&in);
                step(kind, where, take_u32(&in));
        }
        return 0;
}
