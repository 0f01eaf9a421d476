/* SPDX-License-Identifier: BSD-2-Clause */
#include "pc_fixture.h"

START_TEST(quiet_at_reset)
{
        fresh();
        ck_assert_uint_eq(pc_next_event(&pc), UINT64_MAX);
        for (unsigned c = 0; c < config.cpus; c++) {
                ck_assert_int_eq(pc_pending_vector(&pc, c), -1);
                ck_assert(!pc_nmi_pending(&pc, c));
        }
        pc_advance(&pc, UINT64_MAX - 1);
        ck_assert_uint_eq(pc.unknown_io, 0);
}
END_TEST

START_TEST(unknown_ports)
{
        static const uint16_t ports[] = {0x0,   0x1f7, 0x3c0, 0x2e8, 0x3e8, 0x4ff,
                                         0x510, 0xcf8, 0xcfb, 0xd00, 0xffff};
        fresh();
        uint64_t n = 0;
        for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
                for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
                        if (ports[i] == 0xcf8 && bytes > 1)
                                continue;
                        if (ports[i] == 0xcfb && bytes > 1)
                                continue;
                        ck_assert_uint_eq(in(ports[i], bytes), (uint32_t)(BIT(bytes * 8) - 1));
                        ck_assert_uint_eq(pc.unknown_io, ++n);
                        ck_assert_int_eq(out(ports[i], bytes, 0xffffffff).action, PC_NONE);
                        ck_assert_uint_eq(pc.unknown_io, ++n);
                        ck_assert_uint_eq(pc.last_unknown_port, ports[i]);
                }
        }
        ck_assert_uint_eq(in(MARKER_PORT, 4), 0xffffffff);
        ck_assert_int_eq(out(MARKER_PORT, 2, 1).action, PC_NONE);
}
END_TEST

/* No port at any width may crash or touch anything outside; those that answer are exactly these. */
START_TEST(every_port)
{
        fresh();
        unsigned known = 0;
        for (uint32_t port = 0; port <= 0xffff; port++) {
                const uint64_t before = pc.unknown_io;
                in((uint16_t)port, 1);
                known += pc.unknown_io == before;
                in((uint16_t)port, 2);
                in((uint16_t)port, 4);
        }
        ck_assert_uint_eq(known, 16 + 6 + 4 + 1 + 2 + 2 + 1 + 1 + 12 + 1 + 4 + 2);
        for (uint32_t port = 0; port <= 0xffff; port++) {
                for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
                        out((uint16_t)port, bytes, 0xffffffff);
                        out((uint16_t)port, bytes, 0);
                }
        }
        now += 10 * HZ;
        pc_advance(&pc, now);
        for (uint32_t port = 0; port <= 0xffff; port++)
                in((uint16_t)port, 4);
}
END_TEST

START_TEST(verdicts)
{
        static const struct {
                uint16_t port;
                unsigned bytes;
                uint32_t v;
                enum pc_action action;
                uint32_t value, unit;
        } row[] = {
                {0x3f8, 1, 'A', PC_CONSOLE, 'A', 0},
                {0x2f8, 1, 'B', PC_CONSOLE, 'B', 1},
                {0x3f8, 2, 0x0041, PC_CONSOLE, 'A', 0},
                {0xe9, 1, 0x37, PC_DEBUG_BYTE, 0x37, 0},
                {0xe9, 4, 0x11223344, PC_DEBUG_BYTE, 0x44, 0},
                {0xf4, 1, 0x121, PC_DEBUG_EXIT, 0x21, 0},
                {0xf4, 2, 0x12345, PC_DEBUG_EXIT, 0x2345, 0},
                {0xf4, 4, 0xdeadbeef, PC_DEBUG_EXIT, 0xdeadbeef, 0},
                {MARKER_PORT, 4, 0x01000000, PC_MARKER, 0x01000000, 0},
                {0x80, 1, 0x55, PC_NONE, 0, 0},
                {0xed, 1, 0, PC_NONE, 0, 0},
                {0x64, 1, 0xfe, PC_RESET, 0, 0},
                {0x64, 1, 0xff, PC_NONE, 0, 0},
                {0x92, 1, 0x01, PC_RESET, 0, 0},
                {0x92, 1, 0x02, PC_NONE, 0, 0},
                {0xcf9, 1, 0x02, PC_NONE, 0, 0},
                {0xcf9, 1, 0x06, PC_RESET, 0, 0},
                {0xcf9, 1, 0x0e, PC_RESET, 0, 0},
                {0x604, 2, 0x1400, PC_NONE, 0, 0},
                {0x604, 2, 0x3400, PC_POWER_OFF, 0, 0},
                {0x604, 4, 0x3400, PC_POWER_OFF, 0, 0},
                {0x605, 1, 0x34, PC_POWER_OFF, 0, 0},
                {0x604, 2, 0x2c00, PC_NONE, 0, 0},
                {0x604, 2, 0x3000, PC_NONE, 0, 0},
        };
        for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
                fresh();
                const struct pc_verdict v = out(row[i].port, row[i].bytes, row[i].v);
                ck_assert_msg(v.action == row[i].action && v.value == (v.action ? row[i].value : v.value) &&
                              v.unit == row[i].unit, "row %u", i);
                ck_assert_uint_eq(pc.unknown_io, 0);
        }
}
END_TEST

START_TEST(small_devices)
{
        fresh();
        ck_assert_uint_eq(in(0xe9, 1), 0xe9);
        out(0x92, 1, 0x02);
        ck_assert_uint_eq(in(0x92, 1), 0x02);
        out(0xcf9, 1, 0x02);
        ck_assert_uint_eq(in(0xcf9, 1), 0x02);
        ck_assert_uint_eq(in(0x64, 1), 0x04);
        out(0x64, 1, 0xaa);
        ck_assert_uint_eq(in(0x64, 1), 0x05);
        ck_assert_uint_eq(in(0x60, 1), 0x55);
        ck_assert_uint_eq(in(0x64, 1), 0x04);
        out(0x64, 1, 0x60);
        out(0x60, 1, 0x43);
        out(0x64, 1, 0x20);
        ck_assert_uint_eq(in(0x60, 1), 0x43);
        out(0x64, 1, 0xab);
        ck_assert_uint_eq(in(0x60, 1), 0x00);
        out(0x60, 1, 0xf4); /* to a keyboard that is not there */
        ck_assert_uint_eq(in(0x64, 1), 0x04);
        out(0x64, 1, 0xd1);
        ck_assert_int_eq(out(0x60, 1, 0x03).action, PC_NONE);
        out(0x64, 1, 0xd1);
        ck_assert_int_eq(out(0x60, 1, 0x02).action, PC_RESET);
        out(0x64, 1, 0xd0);
        ck_assert_uint_eq(in(0x60, 1), 0x03);
        ck_assert_int_eq(out(0x61, 1, 0x03).action, PC_NONE);
        ck_assert_uint_eq(in(0x61, 1) & 0x0f, 0x03);
}
END_TEST

START_TEST(pci_config)
{
        fresh();
        out(0xcfb, 1, 0x01); /* probing for mechanism #2 must not disturb #1 */
        out(0xcf8, 4, 0x80000000);
        ck_assert_uint_eq(in(0xcf8, 4), 0x80000000);
        ck_assert_uint_eq(in(0xcfc, 4), 0x12378086);
        ck_assert_uint_eq(in(0xcfc, 2), 0x8086);
        ck_assert_uint_eq(in(0xcfe, 2), 0x1237);
        ck_assert_uint_eq(in(0xcfd, 1), 0x80);
        out(0xcf8, 4, 0x80000008);
        ck_assert_uint_eq(in(0xcfe, 2), 0x0600);
        out(0xcf8, 4, 0x8000000c);
        ck_assert_uint_eq(in(0xcfe, 1), 0x00); /* header type 0, one function */
        for (uint32_t reg = 0x10; reg < 0x100; reg += 4) {
                out(0xcf8, 4, 0x80000000 | reg);
                out(0xcfc, 4, 0xffffffff);
                ck_assert_uint_eq(in(0xcfc, 4), 0); /* no BARs */
        }
        out(0xcf8, 4, 0x80000004);
        out(0xcfc, 4, 0xffffffff);
        ck_assert_uint_eq(in(0xcfc, 4), 0x0147);
        out(0xcf8, 4, 0x80000800); /* 00:01.0 */
        ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
        out(0xcfc, 4, 0);
        out(0xcf8, 4, 0x80000100); /* 00:00.1 */
        ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
        out(0xcf8, 4, 0x80010000);
        ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
        out(0xcf8, 4, 0); /* not enabled */
        ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
        out(0xcf8, 4, 0xffffffff);
        ck_assert_uint_eq(in(0xcf8, 4), 0x80fffffc);
}
END_TEST

START_TEST(pm_registers)
{
        fresh();
        ck_assert_uint_eq(in(0x604, 2), 0x0001);
        out(0x602, 2, 0x0120);
        ck_assert_uint_eq(in(0x602, 2), 0x0120);
        ck_assert_uint_eq(in(0x600, 4), 0x01200000);
        ck_assert_uint_eq(in(0x600, 2), 0);
        out(0x600, 2, 0xffff);
        ck_assert_uint_eq(in(0x600, 4), 0x01200000);
        out(0x604, 2, 0x1402);
        ck_assert_uint_eq(in(0x604, 2), 0x1403);
        for (uint64_t s = 0; s < 5000; s += 777) { /* wraps every twenty minutes */
                now = s * HZ;
                ck_assert_uint_eq(in(0x608, 4), (uint32_t)(s * 3579545));
        }
        now = HZ / 2;
        ck_assert_uint_eq(in(0x608, 4), 1789772);
        ck_assert_uint_eq(in(0x609, 1), 1789772 >> 8 & 0xff);
        out(0x608, 4, 0);
        ck_assert_uint_eq(in(0x608, 4), 1789772);
}
END_TEST

START_TEST(pit_through_pic)
{
        fresh();
        program_pic(0xfe, 0xff);
        start_pit(1193);
        const uint64_t due = pc_next_event(&pc);
        ck_assert_uint_eq(due, START + (1193 * HZ + PIT_HZ - 1) / PIT_HZ);
        pc_advance(&pc, due - 1);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
        pc_advance(&pc, due);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0x20);
        ck_assert_int_eq(pc_pending_vector(&pc, 1), -1); /* virtual wire at the boot processor only */
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x20);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
        out(0x20, 1, 0x20);
        pc_advance(&pc, pc_next_event(&pc));
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x20);
        out(0x20, 1, 0x20);
        pc_advance(&pc, pc_next_event(&pc));
        out(0x21, 1, 0xff); /* masked after it was raised */
        ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
        ck_assert_uint_gt(pc_next_event(&pc), due);
}
END_TEST

START_TEST(pit_through_ioapic)
{
        fresh();
        redir(2, 0x30);
        redir(0, 0x31); /* nothing is wired to pin 0 */
        start_pit(1000);
        for (unsigned i = 0; i < 5; i++) {
                now = pc_next_event(&pc);
                pc_advance(&pc, now);
                ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x30);
                ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
                mmio(LAPIC + 0xb0, 0);
        }
}
END_TEST

START_TEST(access_fires_what_is_due)
{
        fresh();
        redir(2, 0x30);
        start_pit(1000);
        now = pc_next_event(&pc) + 3;
        out(0x43, 1, 0x30); /* stops the PIT, after its edge */
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0x30);
        ck_assert_uint_eq(pc_next_event(&pc), UINT64_MAX);
}
END_TEST

START_TEST(uart_interrupts)
{
        fresh();
        redir(4, 0x34);
        redir(3, 0x33);
        out(0x3fc, 1, 0x08);
        out(0x3f9, 1, 0x02);
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x34);
        mmio(LAPIC + 0xb0, 0);
        ck_assert_uint_eq(in(0x3fa, 1), 0x02);
        ck_assert_int_eq(out(0x3f8, 1, 'x').action, PC_CONSOLE);
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x34); /* a new edge, as the line was low in between */
        mmio(LAPIC + 0xb0, 0);
        out(0x3f9, 1, 0x00);
        out(0x2fc, 1, 0x08);
        out(0x2f9, 1, 0x01);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
        ck_assert(pc_console_input(&pc, 1, 'k'));
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x33);
        ck_assert_uint_eq(in(0x2fd, 1), 0x61);
        ck_assert_uint_eq(in(0x2f8, 1), 'k');
        ck_assert(pc_console_input(&pc, 0, 'a'));
        ck_assert(!pc_console_input(&pc, 0, 'b')); /* FIFO off */
        ck_assert(!pc_console_input(&pc, 2, 'c'));
}
END_TEST

START_TEST(rtc_interrupt)
{
        fresh();
        program_pic(0xfb, 0xfe);
        out(0x70, 1, 10);
        out(0x71, 1, 0x26);
        out(0x70, 1, 11);
        out(0x71, 1, 0x42);
        now = pc_next_event(&pc);
        ck_assert_uint_eq(now, START + (HZ + 1023) / 1024);
        pc_advance(&pc, now);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0x28);
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x28);
        out(0x70, 1, 12);
        ck_assert_uint_eq(in(0x71, 1), 0xc0);
        out(0xa0, 1, 0x20);
        out(0x20, 1, 0x20);
        now = pc_next_event(&pc);
        pc_advance(&pc, now);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0x28);
}
END_TEST

START_TEST(level_through_ioapic)
{
        fresh();
        redir(4, 0x8034);
        out(0x3fc, 1, 0x08);
        out(0x3f9, 1, 0x02);
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x34);
        mmio(LAPIC + 0xb0, 0); /* EOI with the line still up */
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x34);
        in(0x3fa, 1);
        mmio(LAPIC + 0xb0, 0);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
}
END_TEST

START_TEST(lapic_mmio)
{
        fresh();
        ck_assert(pc_is_mmio(&pc, 0, L1GPA(LAPIC)) && pc_is_mmio(&pc, 0, L1GPA(LAPIC + 0xfff)));
        ck_assert(!pc_is_mmio(&pc, 0, L1GPA(LAPIC + 0x1000)) && !pc_is_mmio(&pc, 0, L1GPA(LAPIC - 1)));
        ck_assert(pc_is_mmio(&pc, 0, L1GPA(IOAPIC_BASE)));
        ck_assert(!pc_is_mmio(&pc, 0, L1GPA(0xfed00000))); /* no HPET */
        ck_assert_uint_eq(mmio_in(LAPIC + 0x30), LAPIC_VERSION);
        ck_assert_uint_eq(pc_mmio_read(&pc, 0, L1GPA(LAPIC + 0x32), 2, now), LAPIC_VERSION >> 16);
        ck_assert_uint_eq(pc_mmio_read(&pc, 0, L1GPA(LAPIC + 0x32), 1, now), 5);
        ck_assert_uint_eq(pc.unknown_mmio, 0);
        ck_assert_uint_eq(pc_mmio_read(&pc, 0, L1GPA(LAPIC + 0x33), 2, now), 0xffff);
        ck_assert_uint_eq(pc_mmio_read(&pc, 0, L1GPA(LAPIC + 0x34), 4, now), 0xffffffff);
        ck_assert_uint_eq(pc_mmio_read(&pc, 0, L1GPA(LAPIC + 0x30), 8, now), UINT64_MAX);
        ck_assert_uint_eq(pc_mmio_read(&pc, 0, L1GPA(0xfed00000), 8, now), UINT64_MAX);
        ck_assert_uint_eq(pc.unknown_mmio, 4);
        pc_mmio_write(&pc, 0, L1GPA(LAPIC + 0x80), 1, 0x20, now);
        pc_mmio_write(&pc, 0, L1GPA(LAPIC + 0x84), 4, 0x20, now);
        pc_mmio_write(&pc, 0, L1GPA(LAPIC + 0x80), 8, 0x20, now);
        pc_mmio_write(&pc, 0, L1GPA(0xfed00000), 4, 0x20, now);
        ck_assert_uint_eq(pc.unknown_mmio, 8);
        ck_assert_uint_eq(pc_get_cr8(&pc, 0), 0);
        pc_set_cr8(&pc, 0, 7);
        ck_assert_uint_eq(mmio_in(LAPIC + 0x80), 0x70);
        ck_assert_uint_eq(mmio_in(LAPIC + 0x40), 0); /* reserved: reports itself */
        mmio(LAPIC + 0x280, 0);
        ck_assert_uint_eq(mmio_in(LAPIC + 0x280), ESR_BAD_REGISTER);
        mmio(LAPIC + 0x3f0, 0x55);
        mmio(LAPIC + 0x280, 0);
        ck_assert_uint_eq(mmio_in(LAPIC + 0x280), ESR_BAD_REGISTER);
}
END_TEST

START_TEST(lapic_moves)
{
        fresh();
        ck_assert(wrmsr(MSR_APIC_BASE, 0x123456000 | APICBASE_EN | APICBASE_BSP));
        ck_assert(!pc_is_mmio(&pc, 0, L1GPA(LAPIC)));
        ck_assert(pc_is_mmio(&pc, 1, L1GPA(LAPIC))); /* each processor has its own */
        ck_assert_uint_eq(mmio_in(0x123456030), LAPIC_VERSION);
        ck_assert(wrmsr(MSR_APIC_BASE, IOAPIC_BASE | APICBASE_EN));
        ck_assert_uint_eq(mmio_in(IOAPIC_BASE + 0x30), LAPIC_VERSION);
        mmio(IOAPIC_BASE + 0x80, 0x10);
        ck_assert_uint_eq(pc_get_cr8(&pc, 0), 1);
        ck_assert(wrmsr(MSR_APIC_BASE, LAPIC));
        ck_assert(!pc_is_mmio(&pc, 0, L1GPA(LAPIC)));
        ck_assert_uint_eq(mmio_in(IOAPIC_BASE), 0);
}
END_TEST

START_TEST(msrs)
{
        uint64_t v;
        struct pc_verdict verdict;
        fresh();
        ck_assert(pc_msr_read(&pc, 0, MSR_APIC_BASE, &v, now));
        ck_assert_uint_eq(v, 0xfee00900);
        ck_assert(pc_msr_read(&pc, 1, MSR_APIC_BASE, &v, now));
        ck_assert_uint_eq(v, 0xfee00800);
        ck_assert(!pc_msr_read(&pc, 0, 0x802, &v, now)); /* xAPIC mode */
        ck_assert(!wrmsr(0x80b, 0));
        ck_assert(!wrmsr(MSR_APIC_BASE, 0xfee00500));
        ck_assert(wrmsr(MSR_APIC_BASE, 0xfee00d00));
        ck_assert(!pc_is_mmio(&pc, 0, L1GPA(LAPIC)));
        ck_assert(pc_msr_read(&pc, 0, 0x803, &v, now));
        ck_assert_uint_eq(v, LAPIC_VERSION);
        ck_assert(!wrmsr(0x803, 0));
        ck_assert(!wrmsr(0x80b, 1));
        ck_assert(wrmsr(0x80b, 0));
        ck_assert(!pc_msr_read(&pc, 0, 0x8ff, &v, now));
        ck_assert(!pc_msr_read(&pc, 0, 0x900, &v, now));
        ck_assert(!pc_msr_read(&pc, 0, 0x10, &v, now));
        ck_assert(!wrmsr(0x10, 0));
        ck_assert(pc_msr_write(&pc, 0, 0x830, (uint64_t)1 << 32 | 0x4500, now, &verdict));
        ck_assert_int_eq(verdict.action, PC_IPI);
        ck_assert_uint_eq(verdict.cpus, 2);
        ck_assert_uint_eq(verdict.value64, (uint64_t)1 << 32 | 0x4500);
        ck_assert(wrmsr(0x83f, 0x80));
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0x80);
}
END_TEST

START_TEST(init_and_sipi)
{
        fresh();
        pc.bus.cpu[1].tpr = 0x50;
        mmio(LAPIC + 0x310, 1u << 24);
        struct pc_verdict v = pc_mmio_write(&pc, 0, L1GPA(LAPIC + 0x300), 4, 0x4500, now);
        ck_assert_int_eq(v.action, PC_IPI);
        ck_assert_uint_eq(v.cpus, 2);
        pc_init_cpu(&pc, 1);
        ck_assert_uint_eq(pc_get_cr8(&pc, 1), 0);
        v = pc_mmio_write(&pc, 0, L1GPA(LAPIC + 0x300), 4, 0x46a5, now);
        ck_assert_int_eq(v.action, PC_IPI);
        ck_assert_uint_eq(v.value64 & 0xff, 0xa5);
        mmio(LAPIC + 0x300, 0x4400);
        ck_assert(pc_nmi_pending(&pc, 1) && !pc_nmi_pending(&pc, 0));
        pc_ack_nmi(&pc, 1);
        ck_assert(!pc_nmi_pending(&pc, 1));
}
END_TEST

START_TEST(deadline_and_next_event)
{
        uint64_t v;
        fresh();
        ck_assert(wrmsr(MSR_TSC_DEADLINE, now + 100)); /* LVT not in deadline mode */
        ck_assert_uint_eq(pc_next_event(&pc), UINT64_MAX);
        mmio(LAPIC + 0x320, 0x400ec);
        ck_assert(wrmsr(MSR_TSC_DEADLINE, now + 100));
        ck_assert_uint_eq(pc_next_event(&pc), START + 100);
        start_pit(1000); /* later */
        ck_assert_uint_eq(pc_next_event(&pc), START + 100);
        now = START + 100;
        ck_assert(pc_msr_read(&pc, 0, MSR_TSC_DEADLINE, &v, now));
        ck_assert_uint_eq(v, 0); /* it has fired */
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0xec);
        ck_assert_uint_eq(pc_next_event(&pc), pc.pit.due);
        ck_assert(wrmsr(MSR_TSC_DEADLINE, 1));
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0xec);
        pc.bus.cpu[1].svr = SVR_ENABLE | 0xff;
        pc_mmio_write(&pc, 1, L1GPA(LAPIC + 0x3e0), 4, 0xb, now);
        pc_mmio_write(&pc, 1, L1GPA(LAPIC + 0x320), 4, 0x40, now);
        pc_mmio_write(&pc, 1, L1GPA(LAPIC + 0x380), 4, 7, now);
        ck_assert_uint_eq(pc_next_event(&pc), now + 7); /* of any processor */
        pc_advance(&pc, now + 7);
        ck_assert_int_eq(pc_pending_vector(&pc, 1), 0x40);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
}
END_TEST

START_TEST(extint_before_apic)
{
        fresh();
        program_pic(0xef, 0xff);
        pc.bus.cpu[0].svr = SVR_ENABLE | 0xff;
        lapic_accept(&pc.bus.cpu[0], 0x90, false);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0x90);
        out(0x3fc, 1, 0x08);
        out(0x3f9, 1, 0x02);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), 0x24);
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x24);
        ck_assert_int_eq(pc_ack_vector(&pc, 0), 0x90);
        ck_assert_int_eq(pc_pending_vector(&pc, 0), -1);
}
END_TEST

START_TEST(memory_map)
{
        struct e820_entry e[E820_MAX + 1];
        struct pc_config c = config;
        c.low_bytes = 0xc0000000;
        c.high_bytes = 0x40000000;
        ck_assert_uint_eq(pc_e820(&c, e, E820_MAX + 1), 4);
        ck_assert(e[0].base == 0 && e[0].bytes == 0x9f000 && e[0].type == E820_RAM);
        ck_assert(e[1].base == 0x9f000 && e[1].bytes == 0x61000 && e[1].type == E820_RESERVED);
        ck_assert(e[2].base == 0x100000 && e[2].bytes == 0xbff00000 && e[2].type == E820_RAM);
        ck_assert(e[3].base == SIZE_4G && e[3].bytes == 0x40000000 && e[3].type == E820_RAM);
        ck_assert_uint_eq(pc_e820(&c, e, 2), 2);
        ck_assert_uint_eq(pc_e820(&c, e, 0), 0);
        c.high_bytes = 0;
        ck_assert_uint_eq(pc_e820(&c, e, E820_MAX), 3);
        c.low_bytes = 0x10000;
        ck_assert_uint_eq(pc_e820(&c, e, E820_MAX), 2);
        ck_assert_uint_eq(e[0].bytes, 0x10000);
}
END_TEST

int main(void)
{
        return RUN_SUITE("pc", quiet_at_reset, unknown_ports, every_port, verdicts, small_devices, pci_config,
                         pm_registers, pit_through_pic, pit_through_ioapic, access_fires_what_is_due,
                         uart_interrupts, rtc_interrupt, level_through_ioapic, lapic_mmio, lapic_moves, msrs,
                         init_and_sipi, deadline_and_next_event, extint_before_apic, memory_map);
}
