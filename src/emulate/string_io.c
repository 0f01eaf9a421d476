/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulate/string_io.h"
#include "base/bits.h"
#include "base/libc.h"

#define QUAL_BYTES BITS(2, 0) /* less 1 */
#define QUAL_IN    BIT(3)
#define QUAL_STR   BIT(4)
#define QUAL_REP   BIT(5)
#define QUAL_PORT  BITS(31, 16)
#define INFO_ADDR  BITS(9, 7) /* 0, 1, 2: 16, 32, 64 bits */
#define INFO_SEG   BITS(17, 15)

#define FLAGS_DF BIT(10)

/* Elements go through a buffer of this size, so that guest memory is translated once for all of them. */
#define BLOCK_BYTES 256

bool string_io_decode(uint64_t qualification, uint32_t instruction_info, struct string_io *out)
{
        const unsigned bytes = (unsigned)GET(qualification, QUAL_BYTES) + 1;
        const unsigned addr = (unsigned)GET(instruction_info, INFO_ADDR);
        const bool in = qualification & QUAL_IN;
        /* SDM 2 "INS/INSB/INSW/INSD": the segment is ES; the field is undefined for INS. */
        const unsigned seg = in ? SEG_ES : (unsigned)GET(instruction_info, INFO_SEG);

        if (!(qualification & QUAL_STR) || (bytes != 1 && bytes != 2 && bytes != 4))
                return false;
        if (addr > 2 || seg >= NR_SEG_REGS)
                return false;
        *out = (struct string_io){.port = (uint16_t)GET(qualification, QUAL_PORT),
                                  .bytes = (uint8_t)bytes,
                                  .addr_bytes = (uint8_t)(2u << addr),
                                  .seg = (uint8_t)seg,
                                  .in = in,
                                  .rep = qualification & QUAL_REP};
        return true;
}

static enum view_status move_block(const struct string_io *s, const struct guest_view *view, uint64_t offset,
                                   size_t elements, const struct port_bus *bus, struct guest_fault *fault)
{
        const size_t n = elements * s->bytes;
        uint8_t block[BLOCK_BYTES];
        uint32_t v = 0;

        /* SDM 2 "INS/INSB/INSW/INSD": memory must be known to be writable before the port is read. */
        enum view_status status = s->in ? view_probe_write(view, s->seg, offset, n, fault)
                                        : view_read(view, s->seg, offset, block, n, fault);
        if (status != VIEW_OK)
                return status;
        for (size_t at = 0; at < n; at += s->bytes) {
                if (s->in) {
                        v = bus->in(bus->ctx, s->port, s->bytes);
                        memcpy(block + at, &v, s->bytes);
                } else {
                        memcpy(&v, block + at, s->bytes);
                        bus->out(bus->ctx, s->port, s->bytes, v);
                }
        }
        return s->in ? view_write(view, s->seg, offset, block, n, fault) : VIEW_OK;
}

/* How many elements from `offset` up lie in one piece: not past the buffer, not around the end of the
 * addresses. */
static uint64_t block_elements(const struct string_io *s, bool down, uint64_t offset, uint64_t count)
{
        const uint64_t room = (bytes_mask(s->addr_bytes) - offset) / s->bytes;
        uint64_t n = count < BLOCK_BYTES / s->bytes ? count : BLOCK_BYTES / s->bytes;

        if (n > room)
                n = room;
        return down || n == 0 ? 1 : n;
}

enum string_io_status string_io_run(const struct string_io *s, const struct guest_view *view,
                                    struct gprs *gprs, const struct port_bus *bus, struct guest_fault *fault)
{
        const unsigned index = s->in ? GPR_RDI : GPR_RSI;
        const bool down = view->paging.rflags & FLAGS_DF;
        uint64_t left = s->rep ? gpr_read(gprs, GPR_RCX, s->addr_bytes) : 1;
        uint64_t budget = s->one ? 1 : STRING_IO_BYTES_MAX / s->bytes;
        bool one_by_one = false;

        while (left && budget) {
                const uint64_t offset = gpr_read(gprs, index, s->addr_bytes);
                const uint64_t want = left < budget ? left : budget;
                const uint64_t n = one_by_one ? 1 : block_elements(s, down, offset, want);
                const enum view_status status = move_block(s, view, offset, n, bus, fault);

                if (status != VIEW_OK && n > 1) {
                        one_by_one = true; /* find the element that faults: those before it must be moved */
                        continue;
                }
                if (status != VIEW_OK)
                        return status == VIEW_FAULT ? STRING_IO_FAULT : STRING_IO_NOT_RAM;
                const uint64_t by = n * s->bytes;
                gpr_write(gprs, index, s->addr_bytes, gprs->r[index] + (down ? -by : by));
                left -= n;
                budget -= n;
                if (s->rep)
                        gpr_write(gprs, GPR_RCX, s->addr_bytes, left);
        }
        return left ? STRING_IO_AGAIN : STRING_IO_DONE;
}
