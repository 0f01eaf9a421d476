/* SPDX-License-Identifier: BSD-2-Clause */
/* The image loaders against hostile kernels: whatever the bytes are, every write stays inside guest RAM,
 * modules and boot information leave each other whole, and the entry point lies in RAM.
 *
 * Input: one byte chooses a base image (raw bytes, or a valid ELF64, ELF32 or bzImage), one the size of the
 * initrd, one the memory map; then come raw bytes or, over a base image, records that spoil it: 2 bytes of
 * offset, 8 of value. The base images are the seeds. */
#include <stdlib.h>
#include "base/bits.h"
#include "base/bug.h"
#include "kernel_image.h"
#include "platform/loader.h"
#include "platform/pvh.h"

#define RAM_LOW    (4ull << 20)
#define RAM_HIGH   (1ull << 20)
#define INITRD_MAX (256u << 10)
#define HEAD       3
#define PATCH      10

enum { BASE_RAW, BASE_ELF64, BASE_ELF32, BASE_BZIMAGE, BASES };

/* ASan guards the ends of each. */
static uint8_t ram[RAM_LOW + RAM_HIGH];
static uint8_t initrd_bytes[INITRD_MAX];
static uint8_t image[KERNEL_IMAGE_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        image_fill(initrd_bytes, sizeof(initrd_bytes), 3);
        return 0;
}

static size_t make_image(unsigned base, const uint8_t *data, size_t size)
{
        size_t len;

        switch (base) {
        case BASE_ELF64:
                len = image_elf64(image);
                break;
        case BASE_ELF32:
                len = image_elf32(image);
                break;
        case BASE_BZIMAGE:
                len = image_bzimage(image);
                break;
        default:
                len = size < KERNEL_IMAGE_MAX ? size : KERNEL_IMAGE_MAX;
                memcpy(image, data, len);
                return len;
        }
        for (; size >= PATCH; data += PATCH, size -= PATCH) {
                uint16_t at;
                memcpy(&at, data, sizeof(at));
                if (at + 8u <= KERNEL_IMAGE_MAX)
                        memcpy(image + at, data + 2, 8);
                else
                        len = at % (len + 1); /* cut it off */
        }
        return len;
}

static void check_pvh(const struct load_request *req, const struct load_result *res)
{
        struct pvh_start_info info;
        struct pvh_module m;

        memcpy(&info, guest_mem_at(&req->mem, res->info, sizeof(info)), sizeof(info));
        BUG_UNLESS(info.magic == PVH_MAGIC && info.module_count == 1);
        BUG_UNLESS(info.memmap_count == req->e820_count);
        BUG_UNLESS(strcmp(guest_mem_at(&req->mem, L1GPA(info.cmdline), 4), "abc") == 0);
        memcpy(&m, guest_mem_at(&req->mem, L1GPA(info.modules), sizeof(m)), sizeof(m));
        BUG_UNLESS(m.bytes == req->modules[0].len);
        const void *module = guest_mem_at(&req->mem, L1GPA(m.base), m.bytes);
        BUG_UNLESS(module && memcmp(module, req->modules[0].bytes, m.bytes) == 0);
}

static void check_linux(const struct load_request *req, const struct load_result *res)
{
        const uint8_t *zp = guest_mem_at(&req->mem, res->info, PAGE_SIZE);
        uint32_t base, bytes, cmdline;

        memcpy(&base, zp + 0x218, 4);
        memcpy(&bytes, zp + 0x21c, 4);
        memcpy(&cmdline, zp + 0x228, 4);
        BUG_UNLESS(bytes == req->modules[0].len);
        const void *module = guest_mem_at(&req->mem, L1GPA(base), bytes);
        BUG_UNLESS(module && memcmp(module, req->modules[0].bytes, bytes) == 0);
        BUG_UNLESS(strcmp(guest_mem_at(&req->mem, L1GPA(cmdline), 4), "abc") == 0);
        BUG_UNLESS(guest_mem_at(&req->mem, res->gdt, res->gdt_limit + 1ull));
        BUG_UNLESS(res->kind == ENTRY_LINUX32 || guest_mem_at(&req->mem, res->cr3, PAGE_SIZE));
}

static const struct e820_entry maps[][3] = {
        { { 0, 0xa0000, E820_RAM }, { 0x100000, RAM_LOW - 0x100000, E820_RAM }, { SIZE_4G, 4096, E820_RAM } },
        { { 0, RAM_LOW, E820_RAM }, { 0xe0000, 0x20000, E820_RESERVED }, { 0x2ff000, 1, E820_RESERVED } },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < HEAD)
                return 0;
        const size_t len = make_image(data[0] % BASES, data + HEAD, size - HEAD);
        uint8_t *kernel = malloc(len ? len : 1); /* exactly as long as it says */
        BUG_UNLESS(kernel);
        memcpy(kernel, image, len);

        const struct load_module initrd = { initrd_bytes, 1 + data[1] * 1023u, "m" };
        const struct load_request req = {
                .mem = { .ram = ram, .low_bytes = RAM_LOW, .high_bytes = RAM_HIGH },
                .kernel = kernel, .kernel_len = len, .modules = &initrd, .module_count = 1, .cmdline = "abc",
                .e820 = maps[data[2] % ARRAY_LEN(maps)], .e820_count = ARRAY_LEN(maps[0]),
        };
        struct load_result res;
        if (guest_load(&req, &res) == LOAD_OK) {
                BUG_UNLESS(guest_mem_at(&req.mem, res.entry, 1) && res.entry.raw < SIZE_4G);
                if (res.kind == ENTRY_PVH32)
                        check_pvh(&req, &res);
                else
                        check_linux(&req, &res);
        }
        free(kernel);
        return 0;
}
