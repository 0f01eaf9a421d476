/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include "platform/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct uart u;

static void fresh(uint8_t mcr, uint8_t ier)
{
        uart_init(&u);
        uart_write(&u, IIR, 0x01);
        uart_write(&u, MCR, mcr);
        uart_write(&u, IER, ier);
}

START_TEST(reset_state)
{
        uart_init(&u);
        ck_assert_uint_eq(uart_read(&u, IER), 0);
        ck_assert_uint_eq(uart_read(&u, IIR), 0x01);
        ck_assert_uint_eq(uart_read(&u, LCR), 0);
        ck_assert_uint_eq(uart_read(&u, MCR), 0);
        ck_assert_uint_eq(uart_read(&u, LSR), 0x60);
        ck_assert_uint_eq(uart_read(&u, MSR), 0xb0);
        ck_assert_uint_eq(uart_read(&u, DATA), 0);
        ck_assert(!uart_irq(&u));
}
END_TEST

/* What kernels do to find out that this is a 16550A. */
START_TEST(autoconfig)
{
        uart_init(&u);
        uart_write(&u, IER, 0);
        ck_assert_uint_eq(uart_read(&u, IER), 0);
        uart_write(&u, IER, 0x0f);
        ck_assert_uint_eq(uart_read(&u, IER), 0x0f);
        uart_write(&u, IER, 0xff); /* no 16750 or XScale bits */
        ck_assert_uint_eq(uart_read(&u, IER), 0x0f);
        uart_write(&u, IER, 0);
        uart_write(&u, MCR, 0x1a); /* loop, OUT2, RTS: DCD and CTS come back */
        ck_assert_uint_eq(uart_read(&u, MSR) & 0xf0, 0x90);
        uart_write(&u, MCR, 0x1f);
        ck_assert_uint_eq(uart_read(&u, MSR) & 0xf0, 0xf0);
        uart_write(&u, MCR, 0xff);
        ck_assert_uint_eq(uart_read(&u, MCR), 0x1f); /* no AFE */
        uart_write(&u, MCR, 0);
        uart_write(&u, LCR, 0xbf); /* no EFR behind this */
        uart_write(&u, IIR, 0);
        uart_write(&u, LCR, 0);
        uart_write(&u, IIR, 0x01);
        ck_assert_uint_eq(uart_read(&u, IIR) >> 6, 3);
        uart_write(&u, IIR, 0x21); /* no 64-byte FIFO, with or without DLAB */
        ck_assert_uint_eq(uart_read(&u, IIR) & 0xe0, 0xc0);
        uart_write(&u, LCR, 0x80);
        uart_write(&u, IIR, 0x21);
        ck_assert_uint_eq(uart_read(&u, IIR) & 0xe0, 0xc0);
        uart_write(&u, LCR, 0);
        uart_write(&u, IIR, 0);
        ck_assert_uint_eq(uart_read(&u, IIR), 0x01);
        uart_write(&u, SCR, 0xa5);
        ck_assert_uint_eq(uart_read(&u, SCR), 0xa5);
}
END_TEST

/* Start-up of an interrupt-driven driver: THRE must show each time it is enabled, or the driver falls back to
 * a timer. */
START_TEST(thre_test)
{
        fresh(0x08, 0);
        for (unsigned i = 0; i < 3; i++) {
                uart_write(&u, IER, 0x02);
                ck_assert(uart_irq(&u));
                ck_assert_uint_eq(uart_read(&u, IIR) & 0x0f, 0x02);
                ck_assert(!uart_irq(&u));
                ck_assert_uint_eq(uart_read(&u, IIR) & 0x0f, 0x01);
                uart_write(&u, IER, 0x00);
        }
}
END_TEST

START_TEST(transmit_by_interrupt)
{
        fresh(0x0b, 0x02);
        ck_assert_uint_eq(uart_read(&u, IIR) & 0x0f, 0x02);
        for (unsigned i = 0; i < 16; i++)
                ck_assert(uart_write(&u, DATA, (uint8_t)i));
        ck_assert(uart_irq(&u)); /* empty again */
        uart_write(&u, IER, 0x02); /* rewriting IER raises nothing new */
        ck_assert_uint_eq(uart_read(&u, IIR) & 0x0f, 0x02);
        uart_write(&u, IER, 0x02);
        ck_assert(!uart_irq(&u));
        ck_assert(uart_write(&u, DATA, 'x'));
        ck_assert(uart_irq(&u));
        uart_write(&u, IER, 0);
        ck_assert(!uart_irq(&u));
        ck_assert_uint_eq(uart_read(&u, LSR), 0x60);
}
END_TEST

START_TEST(out2_gates)
{
        fresh(0x00, 0x02);
        ck_assert(!uart_irq(&u));
        uart_write(&u, MCR, 0x08);
        ck_assert(uart_irq(&u));
        uart_write(&u, MCR, 0x18);
        ck_assert(!uart_irq(&u)); /* loopback takes the pin away */
}
END_TEST

START_TEST(receive_fifo)
{
        fresh(0x08, 0x05);
        uart_write(&u, IIR, 0x81); /* trigger at 8 */
        for (unsigned i = 0; i < 16; i++) {
                ck_assert(uart_input(&u, (uint8_t)(0x40 + i)));
                ck_assert_uint_eq(uart_read(&u, IIR) & 0x0f, i + 1 < 8 ? 0x0c : 0x04);
        }
        ck_assert(!uart_input(&u, 0xff)); /* full: the sender waits */
        ck_assert_uint_eq(uart_read(&u, LSR), 0x61);
        for (unsigned i = 0; i < 16; i++)
                ck_assert_uint_eq(uart_read(&u, DATA), 0x40 + i);
        ck_assert_uint_eq(uart_read(&u, LSR), 0x60);
        ck_assert(!uart_irq(&u));
        uart_input(&u, 1);
        uart_write(&u, IIR, 0x03); /* clear receive FIFO */
        ck_assert_uint_eq(uart_read(&u, LSR), 0x60);
        uart_input(&u, 1);
        uart_write(&u, IIR, 0x00); /* turning it off empties it, too */
        ck_assert_uint_eq(uart_read(&u, LSR), 0x60);
        ck_assert(uart_input(&u, 2));
        ck_assert_uint_eq(uart_read(&u, IIR), 0x04);
        ck_assert(!uart_input(&u, 3)); /* one byte of room without FIFO */
        ck_assert_uint_eq(uart_read(&u, DATA), 2);
}
END_TEST

START_TEST(priorities)
{
        fresh(0x10, 0x0f); /* loopback */
        uart_write(&u, IIR, 0x00);
        uart_write(&u, DATA, 'a');
        uart_write(&u, DATA, 'b'); /* overrun */
        uart_write(&u, MCR, 0x1b);
        ck_assert_uint_eq(uart_read(&u, IIR), 0x06);
        ck_assert_uint_eq(uart_read(&u, LSR), 0x63);
        ck_assert_uint_eq(uart_read(&u, IIR), 0x04);
        ck_assert_uint_eq(uart_read(&u, DATA), 'a');
        ck_assert_uint_eq(uart_read(&u, IIR), 0x02);
        ck_assert_uint_eq(uart_read(&u, IIR), 0x00);
        ck_assert_uint_eq(uart_read(&u, MSR) & 0x0f, 0x0b);
        ck_assert_uint_eq(uart_read(&u, MSR) & 0x0f, 0x00);
        ck_assert_uint_eq(uart_read(&u, IIR), 0x01);
        ck_assert(!uart_input(&u, 'z')); /* the line is cut in loopback */
}
END_TEST

START_TEST(ring_trailing_edge)
{
        fresh(0x10, 0x08);
        uart_read(&u, MSR);
        uart_write(&u, MCR, 0x14);
        ck_assert_uint_eq(uart_read(&u, MSR), 0x40); /* leading edge: no delta */
        uart_write(&u, MCR, 0x10);
        ck_assert_uint_eq(uart_read(&u, MSR), 0x04);
}
END_TEST

START_TEST(divisor_latch)
{
        uart_init(&u);
        uart_write(&u, LCR, 0x83);
        ck_assert(!uart_write(&u, DATA, 0x0c)); /* not transmitted */
        uart_write(&u, IER, 0x01);
        ck_assert_uint_eq(uart_read(&u, DATA), 0x0c);
        ck_assert_uint_eq(uart_read(&u, IER), 0x01);
        uart_write(&u, LCR, 0x03);
        ck_assert_uint_eq(uart_read(&u, IER), 0x00);
        ck_assert(uart_write(&u, DATA, 'A'));
        ck_assert(!uart_write(&u, LSR, 0));
        ck_assert(!uart_write(&u, MSR, 0));
}
END_TEST

int main(void)
{
        return RUN_SUITE("uart", reset_state, autoconfig, thre_test, transmit_by_interrupt, out2_gates,
                         receive_fifo, priorities, ring_trailing_edge, divisor_latch);
}
