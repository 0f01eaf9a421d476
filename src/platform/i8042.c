/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/i8042.h"
#include "base/bits.h"

#define STATUS_FULL   BIT(0)
#define STATUS_SYSTEM BIT(2)

#define CMD_READ_BYTE    0x20
#define CMD_WRITE_BYTE   0x60
#define CMD_SELF_TEST    0xaa
#define CMD_TEST_KBD     0xab
#define CMD_READ_OUTPUT  0xd0
#define CMD_WRITE_OUTPUT 0xd1
#define CMD_PULSE        0xf0 /* low nibble: lines that are not pulsed */
#define PULSE_RESET      BIT(0)

#define SELF_TEST_OK   0x55
#define KBD_TEST_OK    0x00
#define BYTE_SYSTEM    0x04
#define BYTE_DISABLED  BITS(5, 4) /* both device clocks off */
#define OUTPUT_RESET_N BIT(0)
#define OUTPUT_A20     BIT(1)

void i8042_init(struct i8042 *k)
{
        *k = (struct i8042){ .command_byte = BYTE_SYSTEM | BYTE_DISABLED };
}

uint8_t i8042_read(struct i8042 *k, uint16_t port)
{
        if (port == I8042_COMMAND)
                return (uint8_t)((k->full ? STATUS_FULL : 0) | STATUS_SYSTEM);
        k->full = false;
        return k->out;
}

static void answer(struct i8042 *k, uint8_t value)
{
        k->out = value;
        k->full = true;
}

static bool write_command(struct i8042 *k, uint8_t value)
{
        k->pending = 0;
        switch (value) {
        case CMD_READ_BYTE:
                answer(k, k->command_byte);
                return false;
        case CMD_SELF_TEST:
                answer(k, SELF_TEST_OK);
                return false;
        case CMD_TEST_KBD:
                answer(k, KBD_TEST_OK);
                return false;
        case CMD_READ_OUTPUT:
                answer(k, OUTPUT_RESET_N | OUTPUT_A20);
                return false;
        case CMD_WRITE_BYTE:
        case CMD_WRITE_OUTPUT:
                k->pending = value;
                return false;
        default:
                return value >= CMD_PULSE && !(value & PULSE_RESET);
        }
}

bool i8042_write(struct i8042 *k, uint16_t port, uint8_t value)
{
        if (port == I8042_COMMAND)
                return write_command(k, value);
        const uint8_t command = k->pending;
        k->pending = 0;
        if (command == CMD_WRITE_BYTE)
                k->command_byte = value;
        return command == CMD_WRITE_OUTPUT && !(value & OUTPUT_RESET_N);
}
