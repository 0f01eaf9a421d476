/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot loaders' structures, built here byte by byte. Each lies in memory of its exact size, so that a read behind it
 * is seen. */
#include <string.h>
#include "suite.h"
#include "base/bits.h"
#include "base/layout.h"
#include "boot/boot_info.h"

static struct boot_info b;

/* Bytes written one after another. */
struct writer {
        size_t used;
        uint8_t bytes[16384];
};
static struct writer w;

static void put(uint64_t v, size_t bytes)
{
        ck_assert(w.used + bytes <= sizeof(w.bytes));
        memcpy(w.bytes + w.used, &v, bytes);
        w.used += bytes;
}

static void put_text(const char *s, size_t bytes)
{
        memcpy(w.bytes + w.used, s, bytes);
        w.used += bytes;
}

static bool read_exact(uint32_t protocol, const void *bytes, size_t n)
{
        void *exact = malloc(n);
        memcpy(exact, bytes, n);
        memset(&b, 0xaa, sizeof(b));
        const bool ok = boot_info_read(&b, protocol, exact);
        free(exact);
        return ok;
}

/* PVH */

static uint64_t pvh_modules[20][4];
static struct {
        uint64_t base, bytes;
        uint32_t type, reserved;
} pvh_map[2000];
_Static_assert(sizeof(pvh_map[0]) == 24, "hvm_memmap_table_entry");

static struct {
        uint32_t magic, version, flags, nr_modules;
        uint64_t modlist, cmdline, rsdp, memmap;
        uint32_t memmap_entries, reserved;
} pvh;
_Static_assert(sizeof(pvh) == 56, "hvm_start_info");

static void pvh_setup(void)
{
        memset(&pvh, 0, sizeof(pvh));
        memset(pvh_map, 0, sizeof(pvh_map));
        memset(pvh_modules, 0, sizeof(pvh_modules));
        pvh.magic = 0x336ec578;
        pvh.version = 1;
        pvh.modlist = (uint64_t)pvh_modules;
        pvh.memmap = (uint64_t)pvh_map;
}

static bool read_pvh(void)
{
        return read_exact(BOOT_PVH, &pvh, sizeof(pvh));
}

START_TEST(pvh_everything)
{
        char *line = strdup("vmx=on -- quiet");
        pvh_setup();
        pvh.cmdline = (uint64_t)line;
        pvh.nr_modules = 2;
        pvh_modules[0][0] = 0x4000000;
        pvh_modules[0][1] = 123;
        pvh_modules[1][0] = 0x5000000;
        pvh_modules[1][1] = 0;
        pvh.memmap_entries = 3;
        pvh_map[0].bytes = 0x9f000;
        pvh_map[0].type = 1;
        pvh_map[1].base = 0xf0000;
        pvh_map[1].bytes = 0x10000;
        pvh_map[1].type = 2;
        pvh_map[2].base = 0x100000000;
        pvh_map[2].bytes = 0x40000000;
        pvh_map[2].type = 1;
        ck_assert(read_pvh());
        free(line);
        ck_assert_str_eq(b.cmdline, "vmx=on -- quiet");
        ck_assert_uint_eq(b.module_count, 2);
        ck_assert((uint64_t)b.modules[0].bytes == 0x4000000 && b.modules[0].len == 123);
        ck_assert((uint64_t)b.modules[1].bytes == 0x5000000 && b.modules[1].len == 0);
        ck_assert_uint_eq(b.ram_count, 2);
        ck_assert(b.ram[0].base == 0 && b.ram[0].bytes == 0x9f000);
        ck_assert(b.ram[1].base == 0x100000000 && b.ram[1].bytes == 0x40000000);
}
END_TEST

START_TEST(pvh_nothing)
{
        pvh_setup();
        ck_assert(read_pvh());
        ck_assert(b.cmdline[0] == 0 && b.module_count == 0 && b.ram_count == 0);
        /* Counts of lists that are not there. */
        pvh.modlist = pvh.memmap = 0;
        pvh.nr_modules = pvh.memmap_entries = 5;
        ck_assert(read_pvh());
        ck_assert(b.module_count == 0 && b.ram_count == 0);
}
END_TEST

START_TEST(pvh_refused)
{
        pvh_setup();
        pvh.magic ^= 1;
        ck_assert(!read_pvh());
        pvh.magic ^= 1;
        pvh.version = 0;
        ck_assert(!read_pvh());
        pvh.version = 2;
        ck_assert(read_pvh());
        ck_assert(!read_exact(BOOT_UNKNOWN, &pvh, sizeof(pvh)));
        ck_assert(!read_exact(7, &pvh, sizeof(pvh)));
}
END_TEST

START_TEST(pvh_bounds)
{
        pvh_setup();
        pvh.nr_modules = UINT32_MAX; /* far more than the list has */
        pvh.memmap_entries = UINT32_MAX;
        for (size_t i = 0; i < ARRAY_LEN(pvh_map); i++) {
                pvh_map[i].base = i << 20;
                pvh_map[i].bytes = 4096;
                pvh_map[i].type = 1;
        }
        for (size_t i = 0; i < ARRAY_LEN(pvh_modules); i++)
                pvh_modules[i][0] = i + 1;
        ck_assert(read_pvh());
        ck_assert(b.module_count == BOOT_MAX_MODULES && b.ram_count == BOOT_MAX_RANGES);
        ck_assert_uint_eq((uint64_t)b.modules[BOOT_MAX_MODULES - 1].bytes, BOOT_MAX_MODULES);
        ck_assert_uint_eq(b.ram[BOOT_MAX_RANGES - 1].base, (uint64_t)(BOOT_MAX_RANGES - 1) << 20);
        for (size_t i = 0; i < ARRAY_LEN(pvh_map); i++)
                pvh_map[i].type = 2; /* nothing in it counts: it must end nevertheless */
        ck_assert(read_pvh() && b.ram_count == 0);
}
END_TEST

START_TEST(ranges_that_wrap_around_are_left_out)
{
        pvh_setup();
        pvh.memmap_entries = 3;
        for (size_t i = 0; i < 3; i++) {
                pvh_map[i].base = UINT64_MAX - 0xfff - i;
                pvh_map[i].bytes = 0x1000;
                pvh_map[i].type = 1;
        }
        ck_assert(read_pvh());
        ck_assert(b.ram_count == 2 && b.ram[0].base == UINT64_MAX - 0x1000);
}
END_TEST

START_TEST(long_command_lines_are_cut)
{
        static char line[BOOT_CMDLINE_BYTES + 10];
        for (size_t n = BOOT_CMDLINE_BYTES - 3; n < BOOT_CMDLINE_BYTES + 5; n++) {
                pvh_setup();
                memset(line, 'x', sizeof(line));
                line[n] = 0;
                pvh.cmdline = (uint64_t)line;
                ck_assert(read_pvh());
                ck_assert_uint_eq(strlen(b.cmdline), n < BOOT_CMDLINE_BYTES ? n : BOOT_CMDLINE_BYTES - 1);
        }
}
END_TEST

/* Multiboot2 */

static void mb2_begin(void)
{
        w.used = 0;
        put(0, 8); /* size, to be set, and a reserved word */
}

static void mb2_tag(uint32_t type, uint32_t size)
{
        w.used = ALIGN_UP(w.used, 8);
        put(type, 4);
        put(size, 4);
}

static bool mb2_read_as(uint32_t total)
{
        memcpy(w.bytes, &total, sizeof(total));
        return read_exact(BOOT_MULTIBOOT2, w.bytes, w.used);
}

static bool mb2_end_and_read(void)
{
        mb2_tag(0, 8);
        return mb2_read_as((uint32_t)w.used);
}

static void mb2_module(uint32_t start, uint32_t end)
{
        mb2_tag(3, 16);
        put(start, 4);
        put(end, 4);
}

static void mb2_map_entry(uint64_t base, uint64_t bytes, uint32_t type, size_t more)
{
        put(base, 8);
        put(bytes, 8);
        put(type, 4);
        put(0, 4);
        while (more--)
                put(0xee, 1);
}

static void mb2_all(void)
{
        mb2_begin();
        mb2_tag(21, 12); /* of no interest, and not a multiple of 8 bytes */
        put(0x100000, 4);
        mb2_tag(1, 8 + 7);
        put_text("tsc=1 ", 7);
        mb2_module(0x400000, 0x400123);
        mb2_module(0x500000, 0x600000);
        mb2_tag(6, 16 + 3 * 24);
        put(24, 4);
        put(0, 4);
        mb2_map_entry(0, 0x9f000, 1, 0);
        mb2_map_entry(0xf0000, 0x10000, 2, 0);
        mb2_map_entry(0x100000, 0xff00000, 1, 0);
}

static void check_mb2_all(void)
{
        ck_assert_str_eq(b.cmdline, "tsc=1 ");
        ck_assert_uint_eq(b.module_count, 2);
        ck_assert((uint64_t)b.modules[0].bytes == 0x400000 && b.modules[0].len == 0x123);
        ck_assert((uint64_t)b.modules[1].bytes == 0x500000 && b.modules[1].len == 0x100000);
        ck_assert_uint_eq(b.ram_count, 2);
        ck_assert(b.ram[1].base == 0x100000 && b.ram[1].bytes == 0xff00000);
}

START_TEST(mb2_everything)
{
        mb2_all();
        ck_assert(mb2_end_and_read());
        check_mb2_all();
}
END_TEST

START_TEST(mb2_truncated_anywhere)
{
        mb2_all();
        mb2_tag(0, 8);
        const size_t whole = w.used;
        for (size_t n = 8; n < whole; n++) {
                w.used = n; /* bytes behind n are not there */
                ck_assert_msg(!mb2_read_as((uint32_t)n), "%zu bytes", n);
        }
        for (uint32_t told = 0; told < 8; told++) {
                w.used = 8;
                ck_assert(!mb2_read_as(told));
        }
        w.used = whole;
        ck_assert(mb2_read_as((uint32_t)whole));
}
END_TEST

START_TEST(mb2_bad_tag_sizes)
{
        static const uint32_t sizes[] = { 0, 1, 7, 17, 0x1000, 0x7fffffff, 0xfffffff8, 0xffffffff };
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                for (uint32_t type = 1; type < 8; type++) {
                        mb2_begin();
                        mb2_tag(type, sizes[i]);
                        ck_assert_msg(!mb2_end_and_read(), "tag %u of %u bytes", type, sizes[i]);
                }
        }
}
END_TEST

START_TEST(mb2_tags_too_short_for_their_type)
{
        for (uint32_t size = 8; size < 16; size++) {
                mb2_begin();
                mb2_tag(3, size);
                for (uint32_t i = 8; i < size; i++)
                        put(0xff, 1);
                mb2_tag(6, size);
                for (uint32_t i = 8; i < size; i++)
                        put(0xff, 1);
                ck_assert(mb2_end_and_read());
                ck_assert(b.module_count == 0 && b.ram_count == 0);
        }
}
END_TEST

START_TEST(mb2_command_lines)
{
        mb2_begin();
        mb2_tag(1, 8); /* no byte of text */
        ck_assert(mb2_end_and_read());
        ck_assert_str_eq(b.cmdline, "");
        mb2_begin();
        mb2_tag(1, 8 + 3); /* no zero at the end of it */
        put_text("abc", 3);
        put_text("defgh", 5);
        ck_assert(mb2_end_and_read());
        ck_assert_str_eq(b.cmdline, "abc");
        mb2_begin();
        mb2_tag(1, 8 + 5000);
        for (int i = 0; i < 5000; i++)
                put('x', 1);
        ck_assert(mb2_end_and_read());
        ck_assert_uint_eq(strlen(b.cmdline), BOOT_CMDLINE_BYTES - 1);
}
END_TEST

START_TEST(mb2_modules_without_bytes)
{
        mb2_begin();
        mb2_module(0x400000, 0x400000);
        mb2_module(0x400001, 0x400000);
        mb2_module(0x400000, 0x400001);
        ck_assert(mb2_end_and_read());
        ck_assert(b.module_count == 1 && b.modules[0].len == 1);
        mb2_begin();
        for (uint32_t i = 0; i < BOOT_MAX_MODULES + 3; i++)
                mb2_module(i, i + 1);
        ck_assert(mb2_end_and_read());
        ck_assert_uint_eq(b.module_count, BOOT_MAX_MODULES);
}
END_TEST

START_TEST(mb2_memory_maps)
{
        /* Entries may be larger than what is known of them, and the last one may be cut. */
        mb2_begin();
        mb2_tag(6, 16 + 2 * 32 + 31);
        put(32, 4);
        put(0, 4);
        mb2_map_entry(0x100000, 0x1000, 1, 8);
        mb2_map_entry(0x200000, 0x1000, 1, 8);
        mb2_map_entry(0x300000, 0x1000, 1, 7);
        ck_assert(mb2_end_and_read());
        ck_assert(b.ram_count == 2 && b.ram[1].base == 0x200000);
        static const uint32_t sizes[] = { 0, 1, 23, 0xffffffff };
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                mb2_begin();
                mb2_tag(6, 16 + 24);
                put(sizes[i], 4);
                put(0, 4);
                mb2_map_entry(0x100000, 0x1000, 1, 0);
                ck_assert(mb2_end_and_read());
                ck_assert_uint_eq(b.ram_count, 0);
        }
        mb2_begin();
        mb2_tag(6, 16 + 100 * 24);
        put(24, 4);
        put(0, 4);
        for (uint64_t i = 0; i < 100; i++)
                mb2_map_entry(i << 20, 0x1000, 1, 0);
        ck_assert(mb2_end_and_read());
        ck_assert_uint_eq(b.ram_count, BOOT_MAX_RANGES);
}
END_TEST

/* The container of modules. */

#define PARTS_AT 512

static void container(uint32_t count, size_t bytes)
{
        memset(w.bytes, 0, sizeof(w.bytes));
        w.used = 0;
        put_text("CASCMODS", 8);
        put(count, 4);
        put(0, 4);
        for (uint32_t i = 0; i < count && i < 31; i++) {
                put(PARTS_AT + i * 16, 8);
                put(10 + i, 8);
        }
        w.used = bytes;
}

/* At an odd address: nothing says that modules are aligned. */
static bool unpack(void)
{
        uint8_t *exact = malloc(w.used + 1);
        memcpy(exact + 1, w.bytes, w.used);
        b = (struct boot_info){ .module_count = 2 };
        b.modules[0] = (struct boot_module){ exact + 1, w.used };
        b.modules[1] = (struct boot_module){ (const uint8_t *)0x1000, 5 };
        const bool ok = boot_info_unpack(&b);
        for (size_t i = 0; i < b.module_count; i++) /* as offsets, for the tests */
                b.modules[i].bytes = (const uint8_t *)((uint64_t)b.modules[i].bytes - (uint64_t)(exact + 1));
        free(exact);
        return ok;
}

static void set_part(unsigned i, uint64_t at, uint64_t len)
{
        memcpy(w.bytes + 16 + i * 16, &at, 8);
        memcpy(w.bytes + 24 + i * 16, &len, 8);
}

START_TEST(container_replaces_the_list)
{
        for (uint32_t count = 0; count <= BOOT_MAX_MODULES; count++) {
                container(count, 1024);
                ck_assert(unpack());
                ck_assert_uint_eq(b.module_count, count);
                for (uint32_t i = 0; i < count; i++)
                        ck_assert((uint64_t)b.modules[i].bytes == PARTS_AT + i * 16 && b.modules[i].len == 10 + i);
        }
}
END_TEST

START_TEST(container_limits)
{
        container(2, 1024);
        set_part(1, 1023, 1);
        ck_assert(unpack());
        set_part(1, 1024, 0);
        ck_assert(unpack());
        set_part(1, 0, 1024);
        ck_assert(unpack());
        container(0, 512);
        ck_assert(unpack() && b.module_count == 0);
}
END_TEST

START_TEST(damaged_containers)
{
        static const uint64_t bad[][2] = {
                { 1023, 2 }, { 1024, 1 }, { 1025, 0 }, { 0, 1025 }, { 512, UINT64_MAX }, { UINT64_MAX, 1 },
                { UINT64_MAX, UINT64_MAX }, { UINT64_MAX - 511, 512 },
        };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                for (unsigned part = 0; part < 3; part++) {
                        container(3, 1024);
                        set_part(part, bad[i][0], bad[i][1]);
                        ck_assert_msg(!unpack(), "row %zu, part %u", i, part);
                }
        }
        static const uint32_t counts[] = { BOOT_MAX_MODULES + 1, 31, 32, UINT32_MAX };
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
                container(counts[i], 1024);
                ck_assert(!unpack());
        }
}
END_TEST

START_TEST(no_container)
{
        for (size_t i = 0; i < 8; i++) {
                container(2, 1024);
                w.bytes[i] ^= 0x20;
                ck_assert(unpack());
                ck_assert(b.module_count == 2 && b.modules[0].len == 1024 && b.modules[1].len == 5);
        }
        for (size_t n = 0; n < 512; n++) { /* too short to be one */
                container(2, n);
                ck_assert(unpack());
                ck_assert(b.module_count == 2 && b.modules[0].len == n);
        }
        b = (struct boot_info){ .module_count = 0 };
        ck_assert(boot_info_unpack(&b) && b.module_count == 0);
}
END_TEST

int main(void)
{
        return RUN_SUITE("boot_info", pvh_everything, pvh_nothing, pvh_refused, pvh_bounds,
                         ranges_that_wrap_around_are_left_out, long_command_lines_are_cut, mb2_everything,
                         mb2_truncated_anywhere, mb2_bad_tag_sizes, mb2_tags_too_short_for_their_type,
                         mb2_command_lines, mb2_modules_without_bytes, mb2_memory_maps, container_replaces_the_list,
                         container_limits, damaged_containers, no_container);
}
