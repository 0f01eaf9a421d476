/* SPDX-License-Identifier: BSD-2-Clause */
/* input.h - the bytes of a fuzzer's input, taken from the front. What is missing is zero: inputs may end anywhere. */
#ifndef CASCADE_TESTS_FUZZ_INPUT_H
#define CASCADE_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
        const uint8_t *at;
        size_t left;
};

static inline void take(struct input *in, void *out, size_t bytes)
{
        const size_t n = bytes < in->left ? bytes : in->left;
        memset(out, 0, bytes);
        if (n)
                memcpy(out, in->at, n);
        in->at += n;
        in->left -= n;
}

static inline uint64_t take_bytes(struct input *in, size_t bytes)
{
        uint64_t v = 0;
        take(in, &v, bytes);
        return v;
}

#define take_u8(in)  ((uint8_t)take_bytes(in, 1))
#define take_u16(in) ((uint16_t)take_bytes(in, 2))
#define take_u32(in) ((uint32_t)take_bytes(in, 4))
#define take_u64(in) take_bytes(in, 8)

#endif
