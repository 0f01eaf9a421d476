/* SPDX-License-Identifier: BSD-2-Clause */
/* decode.h - instructions that access device memory, decoded by libcapstone, with a cache in front of it.
 *
 * [pure] but for libcapstone. The caller owns struct decoder, one per CPU; decoder_open() is called at boot,
 * one CPU at a time: it allocates everything that libcapstone will ever use for this decoder
 * (DECODER_HEAP_BYTES of the heap). Decoding allocates nothing, keeps the guest's vector registers, and needs
 * about 8 KiB of stack and, in the image, host CR4.OSFXSR = 1 and an FS base with a readable canary at offset
 * 0x28. What the guest hands over is any sequence of bytes: the answer is an instruction or
 * DECODE_UNSUPPORTED. */
#ifndef CASCADE_EMULATE_DECODE_H
#define CASCADE_EMULATE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "emulate/insn.h"

#define DECODER_CACHE      256
#define DECODER_HEAP_BYTES (80ull << 10)

struct cs_insn;

struct decoder {
        size_t engine[3];      /* handles of libcapstone for 16, 32 and 64 bits */
        struct cs_insn *insn;  /* its working space, used for one instruction at a time */
        uint64_t hits, misses; /* of the cache */
        struct decoder_line {
                uint64_t rip;
                uint8_t mode_bits; /* 0: empty */
                uint8_t code[INSN_BYTES_MAX];
                struct mmio_insn insn;
        } cache[DECODER_CACHE];
};

enum decode_status {
        DECODE_OK,
        DECODE_UNSUPPORTED, /* no instruction, no memory operand, or none that is emulated for devices */
};

/* False if the heap has too little room. */
bool decoder_open(struct decoder *d);

/* `mode_bits` is 16, 32 or 64; `n` bytes of `code` were read at `rip`, INSN_BYTES_MAX if there are that many.
 */
enum decode_status mmio_decode(struct decoder *d, uint64_t rip, const uint8_t *code, size_t n,
                               unsigned mode_bits, struct mmio_insn *out);

#endif
