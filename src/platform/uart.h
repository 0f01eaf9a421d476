/* SPDX-License-Identifier: BSD-2-Clause */
/* uart.h - 16550A serial port. [pure]
 *
 * Owns: receive FIFO and registers. Transmission takes no time: the transmitter is always empty, and a byte
 * written is handed to the caller at once. The modem side is a terminal that is always there (CTS, DSR, DCD).
 * The interrupt output is a level, gated by OUT2 as PC boards do. */
#ifndef CASCADE_PLATFORM_UART_H
#define CASCADE_PLATFORM_UART_H

#include <stdbool.h>
#include <stdint.h>

#define UART_FIFO  16
#define UART_PORTS 8

struct uart {
        uint8_t fifo[UART_FIFO];
        uint8_t head;      /* next byte to read */
        uint8_t count;     /* bytes waiting */
        uint8_t ier;
        uint8_t fcr;
        uint8_t lcr;
        uint8_t mcr;
        uint8_t scratch;
        uint8_t divisor[2];
        uint8_t msr_delta; /* changes of the modem inputs since MSR was read */
        bool overrun;
        bool thr_empty; /* THRE interrupt condition: set by an emptied THR, cleared by reading it from IIR */
};

void uart_init(struct uart *u);
uint8_t uart_read(struct uart *u, unsigned reg);
/* True: `value` left the port. */
bool uart_write(struct uart *u, unsigned reg, uint8_t value);
/* A byte arrives. False and nothing changed if there is no room: the sender keeps it (flow control). */
bool uart_input(struct uart *u, uint8_t byte);
bool uart_irq(const struct uart *u);

#endif
