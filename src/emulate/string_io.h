/* SPDX-License-Identifier: BSD-2-Clause */
/* string_io.h - INS and OUTS exits: many elements in one exit. [pure]
 *
 * Moves elements between guest memory and a port, updating RCX and RSI or RDI, until the count is used up,
 * the bound STRING_IO_BYTES_MAX is reached, or memory faults. Registers always show exactly the elements that
 * were moved. The caller advances RIP on STRING_IO_DONE only. */
#ifndef CASCADE_EMULATE_STRING_IO_H
#define CASCADE_EMULATE_STRING_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "base/gprs.h"
#include "emulate/view.h"

#define STRING_IO_BYTES_MAX 4096 /* per exit: bounds how long interrupts wait */

struct string_io {
        uint16_t port;
        uint8_t bytes;      /* of an element: 1, 2 or 4 */
        uint8_t addr_bytes; /* 2, 4 or 8 */
        uint8_t seg;        /* enum seg_reg */
        bool in;            /* INS; else OUTS */
        bool rep;
        bool one;           /* one element and no more; the caller's to set */
};

struct port_bus {
        void *ctx;
        uint32_t (*in)(void *ctx, uint16_t port, unsigned bytes);
        void (*out)(void *ctx, uint16_t port, unsigned bytes, uint32_t value);
};

enum string_io_status {
        STRING_IO_DONE,
        STRING_IO_AGAIN,   /* elements are left: let the guest execute the instruction again */
        STRING_IO_FAULT,   /* *fault is due */
        STRING_IO_NOT_RAM, /* fault->at: the memory operand is a device */
};

/* From the exit qualification and VM-exit instruction information (SDM 3C "Exit Qualification for I/O
 * Instructions" and "Format of the VM-Exit Instruction-Information Field as Used for INS and OUTS"). False if
 * the fields hold what no processor reports. */
bool string_io_decode(uint64_t qualification, uint32_t instruction_info, struct string_io *out);

enum string_io_status string_io_run(const struct string_io *s, const struct guest_view *view,
                                    struct gprs *gprs, const struct port_bus *bus, struct guest_fault *fault);

#endif
