/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that touch device memory: any bytes, any mode, any registers. Whatever libcapstone makes of them, the
 * bus is asked for accesses of 1, 2, 4 or 8 bytes within the page of the exit, a bounded number of times.
 *
 * Input: mode and access, the code, registers, then bytes for RAM. */
#include "base/bug.h"
#include "base/x86.h"
#include "emulate/decode.h"
#include "emulate/insn.h"
#include "input.h"

#define RAM_BYTES  (4 * PAGE_SIZE)
#define DEVICE     0xfee00000ull
#define ACCESS_MAX 4096u /* the bound of one exit: the elements in a page */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t ram[RAM_BYTES];
static const struct guest_mem mem = { .ram = ram, .low_bytes = RAM_BYTES };
static struct decoder decoder;
static unsigned accesses;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        BUG_UNLESS(decoder_open(&decoder));
        return 0;
}

static void count(l1gpa_t at, unsigned bytes)
{
        accesses++;
        BUG_UNLESS(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
        BUG_UNLESS(ALIGN_DOWN(at.raw, PAGE_SIZE) == DEVICE && ALIGN_DOWN(at.raw + bytes - 1, PAGE_SIZE) == DEVICE);
}

static uint64_t bus_read(void *ctx, l1gpa_t at, unsigned bytes)
{
        count(at, bytes);
        return 0x8877665544332211ull ^ at.raw;
}

static void bus_write(void *ctx, l1gpa_t at, unsigned bytes, uint64_t value)
{
        count(at, bytes);
}

static struct guest_view take_view(struct input *in, unsigned mode_bits)
{
        struct guest_view v = { .mem = &mem, .mode_bits = (uint8_t)mode_bits };
        v.paging.cr0 = CR0_PE; /* paging has a target of its own */
        v.paging.cpl = take_u8(in) & 3;
        v.paging.maxphyaddr = 39;
        for (unsigned s = 0; s < NR_SEG_REGS; s++)
                v.seg[s] = (struct guest_segment){ .base = take_u16(in), .limit = take_u32(in), .ar = take_u32(in) };
        return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint8_t modes[] = { 16, 32, 64 };
        struct input in = { data, size };
        const uint8_t how = take_u8(&in), n = (uint8_t)(1 + take_u8(&in) % INSN_BYTES_MAX);
        const unsigned mode_bits = modes[how % 3];
        uint8_t code[INSN_BYTES_MAX];
        take(&in, code, sizeof(code));
        const uint64_t rip = take_u64(&in);
        struct mmio_insn insn, again;
        if (mmio_decode(&decoder, rip, code, n, mode_bits, &insn) != DECODE_OK)
                return 0;
        BUG_UNLESS(mmio_decode(&decoder, rip, code, n, mode_bits, &again) == DECODE_OK && memcmp(&insn, &again, sizeof(insn)) == 0);
        BUG_UNLESS(insn.op < NR_MMIO_OPS && insn.len >= 1 && insn.len <= n && insn.reg < 16 && insn.seg < NR_SEG_REGS);

        struct gprs gprs;
        for (unsigned i = 0; i < ARRAY_LEN(gprs.r); i++)
                gprs.r[i] = how & 8 ? take_u64(&in) : take_u16(&in);
        const struct guest_view view = take_view(&in, mode_bits);
        take(&in, ram, sizeof(ram));
        const struct mmio_bus bus = { .read = bus_read, .write = bus_write };
        uint64_t rflags = take_u32(&in);
        struct guest_fault fault = { 0 };
        const struct mmio_exec e = { .view = &view, .bus = &bus, .gprs = &gprs, .rflags = &rflags,
                                     .at = L1GPA(DEVICE + (take_u16(&in) & (PAGE_SIZE - 1))), .is_write = how & 16 };
        accesses = 0;
        if (mmio_execute(&insn, &e, &fault) == MMIO_FAULT)
                BUG_UNLESS(fault.vector == VECTOR_SS || fault.vector == VECTOR_GP || fault.vector == VECTOR_PF);
        BUG_UNLESS(accesses <= ACCESS_MAX);
        return 0;
}
