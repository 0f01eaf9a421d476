/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/uart.h"
#include "base/bits.h"
#include "base/libc.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };

#define IER_RX    BIT(0)
#define IER_THRE  BIT(1)
#define IER_LINE  BIT(2)
#define IER_MODEM BIT(3)
#define IER_BITS  BITS(3, 0)

/* IIR: identity of the interrupt of highest priority. */
#define IIR_NONE    0x1
#define IIR_MODEM   0x0
#define IIR_THRE    0x2
#define IIR_RX      0x4
#define IIR_TIMEOUT 0xc
#define IIR_LINE    0x6
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   BIT(0)
#define FCR_CLEAR_RX BIT(1)
#define FCR_TRIGGER  BITS(7, 6)
#define FCR_KEPT     (FCR_TRIGGER | FCR_ENABLE)
#define LCR_DLAB     BIT(7)
#define MCR_DTR      BIT(0)
#define MCR_RTS      BIT(1)
#define MCR_OUT1     BIT(2)
#define MCR_OUT2     BIT(3)
#define MCR_LOOP     BIT(4)
#define MCR_BITS     BITS(4, 0)
#define LSR_DATA     BIT(0)
#define LSR_OVERRUN  BIT(1)
#define LSR_EMPTY    BITS(6, 5) /* THR and shift register */
#define MSR_CTS      BIT(4)
#define MSR_DSR      BIT(5)
#define MSR_RI       BIT(6)
#define MSR_DCD      BIT(7)
#define MSR_INPUTS   BITS(7, 4)
#define DELTA_RI     BIT(2) /* trailing edge only; the other deltas are MSR >> 4 */

void uart_init(struct uart *u)
{
        memset(u, 0, sizeof(*u));
        u->thr_empty = true;
        u->divisor[0] = 1; /* 115200 */
}

static unsigned room(const struct uart *u)
{
        return (u->fcr & FCR_ENABLE ? UART_FIFO : 1u) - u->count;
}

static void receive(struct uart *u, uint8_t byte)
{
        u->fifo[(u->head + u->count) % UART_FIFO] = byte;
        u->count++;
}

bool uart_input(struct uart *u, uint8_t byte)
{
        if ((u->mcr & MCR_LOOP) || room(u) == 0)
                return false;
        receive(u, byte);
        return true;
}

static uint8_t identify(const struct uart *u)
{
        static const uint8_t trigger_level[4] = { 1, 4, 8, 14 };

        if ((u->ier & IER_LINE) && u->overrun)
                return IIR_LINE;
        if ((u->ier & IER_RX) && u->count) {
                /* Below the trigger level the character timeout reports: nothing else is on its way. */
                const bool few = (u->fcr & FCR_ENABLE) && u->count < trigger_level[GET(u->fcr, FCR_TRIGGER)];
                return few ? IIR_TIMEOUT : IIR_RX;
        }
        if ((u->ier & IER_THRE) && u->thr_empty)
                return IIR_THRE;
        if ((u->ier & IER_MODEM) && u->msr_delta)
                return IIR_MODEM;
        return IIR_NONE;
}

bool uart_irq(const struct uart *u)
{
        return (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && identify(u) != IIR_NONE;
}

/* In loopback the modem outputs come back as inputs. */
static uint8_t modem_inputs(uint8_t mcr)
{
        if (!(mcr & MCR_LOOP))
                return MSR_CTS | MSR_DSR | MSR_DCD;
        return (uint8_t)((mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
                         (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *u, uint8_t value)
{
        const uint8_t was = modem_inputs(u->mcr), is = modem_inputs(value & MCR_BITS);
        const uint8_t changed = was ^ is;

        u->mcr = value & MCR_BITS;
        u->msr_delta |= (uint8_t)((changed & ~MSR_RI) >> 4);
        if (changed & was & MSR_RI)
                u->msr_delta |= DELTA_RI;
}

static void write_fcr(struct uart *u, uint8_t value)
{
        /* Turning the FIFOs on or off empties them. */
        if ((value & FCR_CLEAR_RX) || ((value ^ u->fcr) & FCR_ENABLE))
                u->count = 0;
        u->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
}

static bool transmit(struct uart *u, uint8_t byte)
{
        u->thr_empty = true;
        if (!(u->mcr & MCR_LOOP))
                return true;
        if (room(u))
                receive(u, byte);
        else
                u->overrun = true;
        return false;
}

bool uart_write(struct uart *u, unsigned reg, uint8_t value)
{
        const bool dlab = u->lcr & LCR_DLAB;

        switch (reg) {
        case DATA:
                if (!dlab)
                        return transmit(u, value);
                u->divisor[0] = value;
                break;
        case IER:
                if (dlab) {
                        u->divisor[1] = value;
                        break;
                }
                /* Enabling the THRE interrupt with the THR empty raises it: drivers start their output that
                 * way. */
                if ((value & IER_THRE) && !(u->ier & IER_THRE))
                        u->thr_empty = true;
                u->ier = value & IER_BITS;
                break;
        case IIR_FCR:
                write_fcr(u, value);
                break;
        case LCR:
                u->lcr = value;
                break;
        case MCR:
                write_mcr(u, value);
                break;
        case SCRATCH:
                u->scratch = value;
                break;
        default:
                break; /* LSR and MSR are read-only */
        }
        return false;
}

static uint8_t read_data(struct uart *u)
{
        if (!u->count)
                return 0;
        const uint8_t byte = u->fifo[u->head];
        u->head = (uint8_t)((u->head + 1) % UART_FIFO);
        u->count--;
        return byte;
}

static uint8_t read_iir(struct uart *u)
{
        const uint8_t id = identify(u);

        if (id == IIR_THRE)
                u->thr_empty = false;
        return (uint8_t)(id | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
}

static uint8_t read_lsr(struct uart *u)
{
        const uint8_t v = (uint8_t)(LSR_EMPTY | (u->count ? LSR_DATA : 0) | (u->overrun ? LSR_OVERRUN : 0));
        u->overrun = false;
        return v;
}

uint8_t uart_read(struct uart *u, unsigned reg)
{
        const bool dlab = u->lcr & LCR_DLAB;
        uint8_t v;

        switch (reg) {
        case DATA:
                return dlab ? u->divisor[0] : read_data(u);
        case IER:
                return dlab ? u->divisor[1] : u->ier;
        case IIR_FCR:
                return read_iir(u);
        case LCR:
                return u->lcr;
        case MCR:
                return u->mcr;
        case LSR:
                return read_lsr(u);
        case MSR:
                v = (uint8_t)(modem_inputs(u->mcr) | u->msr_delta);
                u->msr_delta = 0;
                return v;
        default:
                return u->scratch;
        }
}
