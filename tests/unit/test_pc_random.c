/* SPDX-License-Identifier: BSD-2-Clause */
#include "pc_fixture.h"

static uint64_t random_next(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static void random_access(uint64_t *state)
{
        static const uint16_t ports[] = {0x20,  0x21,  0xa0,  0xa1,  0x40,  0x41,  0x42,  0x43,
                                         0x61,  0x70,  0x71,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc,
                                         0x2f8, 0x2f9, 0x4d0, 0x4d1, 0x64,  0x60,  0x600};
        const uint64_t r = random_next(state), v = random_next(state) >> (r >> 32 & 63);
        const unsigned cpu = r & 1, bytes = 1u << (r >> 1 & 3);
        const uint16_t port = r & 16 ? ports[(r >> 40) % ARRAY_LEN(ports)] : (uint16_t)(r >> 40);
        const uint64_t at = (r & 32 ? LAPIC : IOAPIC_BASE) + (r >> 40 & 0xfff & (r & 64 ? 0xff0 : 0xfff));
        struct pc_verdict verdict;
        uint64_t value;

        switch (r >> 8 & 7) {
        case 0:
                pc_io_write(&pc, port, bytes > 4 ? 4 : bytes, (uint32_t)v, now);
                break;
        case 1:
                pc_io_read(&pc, port, bytes > 4 ? 4 : bytes, now);
                break;
        case 2:
                pc_mmio_write(&pc, cpu, L1GPA(at), bytes, v, now);
                break;
        case 3:
                pc_mmio_read(&pc, cpu, L1GPA(at), bytes, now);
                break;
        case 4:
                if (r & 32)
                        pc_msr_write(&pc, cpu, 0x1b, LAPIC | (r >> 40 & (APICBASE_EN | APICBASE_EXTD)), now,
                                     &verdict);
                else
                        pc_msr_write(&pc, cpu, 0x800 + (uint32_t)(r >> 40 & 0x3f), v, now, &verdict);
                break;
        case 5:
                pc_msr_write(&pc, cpu, 0x6e0, now + (v & 0xffff), now, &verdict);
                break;
        case 6:
                pc_msr_read(&pc, cpu, 0x800 + (uint32_t)(r >> 40 & 0x3f), &value, now);
                pc_console_input(&pc, cpu, (uint8_t)v);
                break;
        default:
                now += v & 0xfffff;
                pc_advance(&pc, now);
                break;
        }
}

/* Whatever a guest does: nothing breaks, and the caches that hot paths read stay exact. */
START_TEST(random_accesses)
{
        uint64_t state = 88172645463325252ull;
        fresh();
        for (unsigned i = 0; i < 300000; i++) {
                random_access(&state);
                uint64_t due = pc.pit.due < pc.rtc.due ? pc.pit.due : pc.rtc.due;
                for (unsigned c = 0; c < config.cpus; c++) {
                        const int cached = pc_pending_vector(&pc, c);
                        if (pc.bus.cpu[c].timer_due < due)
                                due = pc.bus.cpu[c].timer_due;
                        lapic_set_tpr(&pc.bus.cpu[c], pc.bus.cpu[c].tpr); /* computes anew */
                        if (pc_pending_vector(&pc, c) != cached || cached < -1 || cached > 255)
                                ck_abort_msg("step %u: processor %u: offer %d", i, c, cached);
                        if (cached >= 0 && (i & 3) == 0 && pc_ack_vector(&pc, c) != cached)
                                ck_abort_msg("step %u: another vector than offered", i);
                        if (pc.bus.cpu[c].lint0 != pc.pic.intr)
                                ck_abort_msg("step %u: LINT0 and INTR differ", i);
                }
                if (pc_next_event(&pc) != due)
                        ck_abort_msg("step %u: next event", i);
        }
}
END_TEST

int main(void)
{
        return RUN_SUITE("pc_random", random_accesses);
}
