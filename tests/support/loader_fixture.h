/* SPDX-License-Identifier: BSD-2-Clause */
/* loader_fixture.h - a guest with a PC's memory map, an initrd and a request to load into it. One per Check
 * program; each test starts from setup(). */
#ifndef CASCADE_TESTS_LOADER_FIXTURE_H
#define CASCADE_TESTS_LOADER_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include "base/bits.h"
#include "kernel_image.h"
#include "platform/loader.h"

#define LOW_BYTES  (8ull << 20)
#define HIGH_BYTES (1ull << 20)
#define INITRD_MAX (LOW_BYTES + PAGE_SIZE)

static uint8_t ram[LOW_BYTES + HIGH_BYTES];
static uint8_t initrd[INITRD_MAX];
static uint8_t image[KERNEL_IMAGE_MAX];

/* A PC's map: low memory, a hole for firmware, the rest of low RAM, RAM from 4 GiB up. */
static const struct e820_entry pc_map[] = {
        { 0, 0xa0000, E820_RAM },
        { 0xe0000, 0x20000, E820_RESERVED },
        { 0x100000, LOW_BYTES - 0x100000, E820_RAM },
        { SIZE_4G, HIGH_BYTES, E820_RAM },
};

static struct load_request req;
static struct load_result res;
static struct load_module module;

static inline void setup(void)
{
        memset(ram, 0xcc, sizeof(ram));
        image_fill(initrd, sizeof(initrd), 200);
        module = (struct load_module){ .bytes = initrd, .len = 5000, .cmdline = "first" };
        req = (struct load_request){
                .mem = { .ram = ram, .low_bytes = LOW_BYTES, .high_bytes = HIGH_BYTES },
                .kernel = image,
                .modules = &module,
                .module_count = 1,
                .cmdline = "console=ttyS0",
                .e820 = pc_map,
                .e820_count = ARRAY_LEN(pc_map),
                .rsdp = L1GPA(0xe0000),
        };
}

static inline enum load_status load(void)
{
        return guest_load(&req, &res);
}

static inline void put_at(size_t at, uint64_t v, size_t bytes)
{
        image_put(image, at, v, bytes);
}

static inline uint64_t get_ram(uint64_t at, size_t bytes)
{
        uint64_t v = 0;
        memcpy(&v, ram + at, bytes);
        return v;
}

/* Where the loaded module must be: as high as page alignment allows. */
static inline uint64_t module_place(void)
{
        return ALIGN_DOWN(LOW_BYTES - module.len, PAGE_SIZE);
}

/* No proper prefix of a valid image loads: with less than `recognised` bytes it is no kernel at all. */
static inline void check_truncations(size_t len, size_t recognised)
{
        for (size_t n = 0; n < len; n++) {
                uint8_t *exact = malloc(n ? n : 1); /* so that ASan sees any read behind the end */
                memcpy(exact, image, n);
                req.kernel = exact;
                req.kernel_len = n;
                const enum load_status want = n < recognised ? LOAD_NOT_A_KERNEL : LOAD_TRUNCATED;
                ck_assert_msg(load() == want, "at %zu of %zu", n, len);
                free(exact);
        }
        req.kernel = image;
}

#endif
