/* SPDX-License-Identifier: BSD-2-Clause */
/* i8042.h - a keyboard controller without keyboard or mouse. [pure]
 * Answers its own commands; what goes to a device is never answered. Owns its few registers. */
#ifndef CASCADE_PLATFORM_I8042_H
#define CASCADE_PLATFORM_I8042_H

#include <stdbool.h>
#include <stdint.h>

#define I8042_DATA    0x60
#define I8042_COMMAND 0x64

struct i8042 {
        uint8_t command_byte;
        uint8_t out;     /* output buffer, valid while `full` */
        bool full;
        uint8_t pending; /* command whose operand the data port takes next; 0 if none */
};

void i8042_init(struct i8042 *k);
uint8_t i8042_read(struct i8042 *k, uint16_t port);
/* True: the write pulses the processor's reset line. */
bool i8042_write(struct i8042 *k, uint16_t port, uint8_t value);

#endif
