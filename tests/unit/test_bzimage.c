/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader_fixture.h"
#include "suite.h"

/* Unaligned parts of the zero page, by the offsets of zero-page.rst. */
static uint64_t zero_page(size_t at, size_t bytes)
{
        return get_ram(res.info.raw + at, bytes);
}

static void check_zero_page(uint64_t kernel_at)
{
        ck_assert_uint_eq(zero_page(0x214, 4), kernel_at);
        ck_assert_uint_eq(zero_page(0x210, 1), 0xff);
        ck_assert_uint_eq(zero_page(0x202, 4), 0x53726448);
        ck_assert_uint_eq(zero_page(BZ_HEADER_END, 4), 0);
        ck_assert_uint_eq(zero_page(0x070, 8), 0xe0000);
        ck_assert_uint_eq(zero_page(0x1ef, 1), 0);
        ck_assert_uint_eq(zero_page(0x218, 4), module_place());
        ck_assert_uint_eq(zero_page(0x21c, 4), module.len);
        ck_assert_mem_eq(ram + module_place(), initrd, module.len);
        ck_assert_str_eq((char *)ram + zero_page(0x228, 4), "console=ttyS0");
        ck_assert_uint_eq(zero_page(0x1e8, 1), ARRAY_LEN(pc_map));
        for (size_t i = 0; i < ARRAY_LEN(pc_map); i++) {
                ck_assert_uint_eq(zero_page(0x2d0 + 20 * i, 8), pc_map[i].base);
                ck_assert_uint_eq(zero_page(0x2d8 + 20 * i, 8), pc_map[i].bytes);
                ck_assert_uint_eq(zero_page(0x2e0 + 20 * i, 4), pc_map[i].type);
        }
        ck_assert_mem_eq(ram + kernel_at, image + BZ_SETUP, BZ_PAYLOAD);
        ck_assert_uint_eq(ram[kernel_at + BZ_PAYLOAD], 0xcc);
}

/* Descriptors as SDM 3A "Segment Descriptors" lays them out: base 0, limit 0xfffff pages,
 * present, accessed. */
static void check_gdt(uint64_t code)
{
        ck_assert_uint_eq(res.gdt_limit, 31);
        ck_assert_uint_eq(get_ram(res.gdt.raw, 8), 0);
        ck_assert_uint_eq(get_ram(res.gdt.raw + LINUX_BOOT_CS, 8), code);
        ck_assert_uint_eq(get_ram(res.gdt.raw + LINUX_BOOT_DS, 8), 0x00cf93000000ffffull);
}

/* Walks the loader's page tables like a processor would: all leaves are 2 MiB. */
static uint64_t walk(uint64_t la)
{
        const uint64_t frame = BITS(51, 12);
        const uint64_t e4 = get_ram(res.cr3.raw + GET(la, BITS(47, 39)) * 8, 8);
        if ((e4 & 3) != 3)
                return ~0ull;
        const uint64_t e3 = get_ram((e4 & frame) + GET(la, BITS(38, 30)) * 8, 8);
        if ((e3 & 3) != 3)
                return ~0ull;
        const uint64_t e2 = get_ram((e3 & frame) + GET(la, BITS(29, 21)) * 8, 8);
        ck_assert_uint_eq(e2 & 0x83, 0x83);
        return (e2 & BITS(51, 21)) | (la & BITS(20, 0));
}

START_TEST(bzimage64_loads)
{
        req.kernel_len = image_bzimage(image);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.kind, ENTRY_LINUX64);
        ck_assert_uint_eq(res.entry.raw, BZ_PREF + 0x200);
        check_zero_page(BZ_PREF);
        check_gdt(0x00af9b000000ffffull);
        static const uint64_t probes[] = {
                0, BZ_PREF + 0x200, 0x3fffffff, 0x40000000, 0xfee00000, SIZE_4G - 1
        };
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
                ck_assert_uint_eq(walk(probes[i]), probes[i]);
        ck_assert_uint_eq(get_ram(res.cr3.raw + 6 * PAGE_SIZE, 8), 0xccccccccccccccccull);
        ck_assert_uint_eq(walk(SIZE_4G), ~0ull);
        ck_assert_uint_eq(walk(1ull << 39), ~0ull);
}
END_TEST

START_TEST(bzimage32_loads)
{
        req.kernel_len = image_bzimage(image);
        put_at(0x236, 0, 2);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.kind, ENTRY_LINUX32);
        ck_assert_uint_eq(res.entry.raw, BZ_PREF);
        ck_assert_uint_eq(res.cr3.raw, 0);
        check_zero_page(BZ_PREF);
        check_gdt(0x00cf9b000000ffffull);
}
END_TEST

/* xloadflags has a meaning from 2.12 on only. */
START_TEST(bzimage_before_xloadflags)
{
        req.kernel_len = image_bzimage(image);
        put_at(0x206, 0x20b, 2);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.kind, ENTRY_LINUX32);
        put_at(0x206, 0x20c, 2);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.kind, ENTRY_LINUX64);
}
END_TEST

/* pref_address and init_size have a meaning from 2.10 on only. */
START_TEST(bzimage_before_pref_address)
{
        req.kernel_len = image_bzimage(image);
        put_at(0x258, 0x400000, 8);
        put_at(0x206, 0x20a, 2);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.entry.raw, 0x400000);
        put_at(0x206, 0x209, 2);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.entry.raw, 0x200000);
}
END_TEST

START_TEST(bzimage_oldest)
{
        req.kernel_len = image_bzimage(image);
        put_at(0x206, 0x206, 2);
        put_at(0x201, 0x23c - 0x202, 1);
        put_at(0x234, 0, 1);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.kind, ENTRY_LINUX32);
        ck_assert_uint_eq(res.entry.raw, 0x100000);
}
END_TEST

START_TEST(bzimage_every_truncation)
{
        check_truncations(image_bzimage(image), 0x206);
        req.kernel_len = BZ_BYTES + 100; /* a signature behind the payload */
        ck_assert_int_eq(load(), LOAD_OK);
}
END_TEST

/* The initrd of these rows: too large for what is free below pref_address. */
#define BZ_ROW_PAGES 0x101
#define BZ_ROW_ROOM  (LOW_BYTES - BZ_PREF - BZ_ROW_PAGES * PAGE_SIZE)

static const struct {
        const char *what;
        size_t at;
        uint64_t value;
        size_t bytes;
        enum load_status status;
} bz_spoilt[] = {
        { "boot flag", 0x1fe, 0xaa54, 2, LOAD_NOT_A_KERNEL },
        { "magic", 0x202, 0x53726449, 4, LOAD_NOT_A_KERNEL },
        { "protocol 2.05", 0x206, 0x205, 2, LOAD_OLD_PROTOCOL },
        { "zImage", 0x211, 0, 1, LOAD_OLD_PROTOCOL },
        { "header ends too early", 0x201, 0x263 - 0x202, 1, LOAD_BAD_SETUP },
        { "header ends early", 0x201, 0x264 - 0x202, 1, LOAD_OK },
        { "header ends late", 0x201, 0x290 - 0x202, 1, LOAD_OK },
        { "header ends too late", 0x201, 0x291 - 0x202, 1, LOAD_BAD_SETUP },
        { "no payload", 0x1f4, 0, 4, LOAD_BAD_SETUP },
        { "payload shorter than the 64-bit entry", 0x1f4, 0x20, 4, LOAD_BAD_SETUP },
        { "payload a little longer than that", 0x1f4, 0x21, 4, LOAD_OK },
        { "payload longer than the file", 0x1f4, BZ_PAYLOAD / 16 + 1, 4, LOAD_TRUNCATED },
        { "payload of 64 GiB", 0x1f4, 0xffffffff, 4, LOAD_TRUNCATED },
        { "4 setup sectors by default", 0x1f1, 0, 1, LOAD_TRUNCATED },
        { "many setup sectors", 0x1f1, 255, 1, LOAD_TRUNCATED },
        { "alignment 0", 0x230, 0, 4, LOAD_BAD_SETUP },
        { "alignment below a page", 0x230, 0x800, 4, LOAD_BAD_SETUP },
        { "alignment of a page", 0x230, 0x1000, 4, LOAD_OK },
        { "alignment no power of two", 0x230, 0x300000, 4, LOAD_BAD_SETUP },
        { "needs all RAM but the initrd's", 0x260, BZ_ROW_ROOM, 4, LOAD_OK },
        { "one byte more than that", 0x260, BZ_ROW_ROOM + 1, 4, LOAD_INITRD_TOO_LARGE },
        { "one byte more than all RAM", 0x260, LOW_BYTES - BZ_PREF + 1, 4, LOAD_TOO_LARGE },
        { "needs 4 GiB", 0x260, 0xffffffff, 4, LOAD_TOO_LARGE },
        { "initrd limit 0", 0x22c, 0, 4, LOAD_INITRD_TOO_LARGE },
        { "command line exactly fits", 0x238, 13, 4, LOAD_OK },
        { "command line one too long", 0x238, 12, 4, LOAD_CMDLINE_TOO_LONG },
};

START_TEST(bz_spoilt_row)
{
        module.len = (BZ_ROW_PAGES - 1) * PAGE_SIZE + 1;
        req.kernel_len = image_bzimage(image);
        put_at(bz_spoilt[_i].at, bz_spoilt[_i].value, bz_spoilt[_i].bytes);
        const enum load_status s = load();
        ck_assert_msg(s == bz_spoilt[_i].status, "%s: %s", bz_spoilt[_i].what, load_status_text(s));
}
END_TEST

/* Where a relocatable kernel goes when it cannot have its preferred address. */
static const struct {
        const char *what;
        uint64_t pref;
        uint64_t at;
} bz_places[] = {
        { "preferred", 0x400000, 0x400000 },
        { "preferred but unaligned", 0x300000, 0x200000 },
        { "behind the end of RAM", LOW_BYTES, 0x200000 },
        { "over the end of RAM", LOW_BYTES - 0x2000, 0x200000 },
        { "in high RAM", SIZE_4G, 0x200000 },
        { "far away", 0xffffffffffe00000ull, 0x200000 },
        { "below 1 MiB", 0, 0x200000 },
};

START_TEST(bz_place_row)
{
        req.kernel_len = image_bzimage(image);
        put_at(0x258, bz_places[_i].pref, 8);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_msg(zero_page(0x214, 4) == bz_places[_i].at, "%s", bz_places[_i].what);
        check_zero_page(bz_places[_i].at);
}
END_TEST

/* A kernel that cannot be relocated is loaded at 1 MiB and needs all up to the end of its final place. */
START_TEST(bzimage_not_relocatable)
{
        req.kernel_len = image_bzimage(image);
        put_at(0x234, 0, 1);
        put_at(0x230, 0, 4);
        put_at(0x258, 0x500000, 8);
        ck_assert_int_eq(load(), LOAD_OK);
        check_zero_page(0x100000);
        module.len = LOW_BYTES - 0x500000 - BZ_INIT_SIZE;
        ck_assert_int_eq(load(), LOAD_OK);
        module.len++;
        ck_assert_int_eq(load(), LOAD_INITRD_TOO_LARGE);
        put_at(0x258, LOW_BYTES, 8);
        ck_assert_int_eq(load(), LOAD_TOO_LARGE);
        put_at(0x258, SIZE_4G, 8);
        ck_assert_int_eq(load(), LOAD_BAD_SETUP);
}
END_TEST

/* initrd_addr_max is the last byte that the initrd may occupy. */
START_TEST(bzimage_initrd_limit)
{
        req.kernel_len = image_bzimage(image);
        module.len = PAGE_SIZE;
        put_at(0x22c, 0x6fffff, 4);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(zero_page(0x218, 4), 0x6ff000);
        put_at(0x22c, 0x6ffffe, 4);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(zero_page(0x218, 4), 0x6fe000);
        put_at(0x22c, 0xffffffff, 4);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(zero_page(0x218, 4), LOW_BYTES - PAGE_SIZE);
}
END_TEST

START_TEST(bzimage_initrd_exactly_fits)
{
        req.kernel_len = image_bzimage(image);
        module.len = LOW_BYTES - BZ_PREF - BZ_INIT_SIZE;
        ck_assert_int_eq(load(), LOAD_OK);
        check_zero_page(BZ_PREF);
        module.len++;
        ck_assert_int_eq(load(), LOAD_INITRD_TOO_LARGE);
}
END_TEST

START_TEST(bzimage_without_initrd)
{
        req.kernel_len = image_bzimage(image);
        put_at(0x218, 0x12345678, 4); /* stale values in the file must not reach the kernel */
        put_at(0x21c, 0x1000, 4);
        for (req.module_count = 0; req.module_count <= 1; req.module_count++) {
                module.len = 0;
                ck_assert_int_eq(load(), LOAD_OK);
                ck_assert_uint_eq(zero_page(0x218, 4), 0);
                ck_assert_uint_eq(zero_page(0x21c, 4), 0);
        }
        ck_assert_int_eq(load(), LOAD_TOO_MANY_MODULES);
}
END_TEST

START_TEST(no_room_for_boot_info)
{
        static const struct e820_entry map[] = { { BZ_PREF, 8 * PAGE_SIZE, E820_RAM } };

        /* The kernel takes 3 pages; zero page, command line and GDT 3; the page tables would need 6. */
        req.kernel_len = image_bzimage(image);
        req.e820 = map;
        req.e820_count = 1;
        req.module_count = 0;
        ck_assert_int_eq(load(), LOAD_TOO_LARGE);
        put_at(0x236, 0, 2);
        ck_assert_int_eq(load(), LOAD_OK);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bzimage");
        TCase *t = tcase_create("bzimage");
        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, bzimage64_loads);
        tcase_add_test(t, bzimage32_loads);
        tcase_add_test(t, bzimage_before_xloadflags);
        tcase_add_test(t, bzimage_before_pref_address);
        tcase_add_test(t, bzimage_oldest);
        tcase_add_test(t, bzimage_every_truncation);
        tcase_add_loop_test(t, bz_spoilt_row, 0, ARRAY_LEN(bz_spoilt));
        tcase_add_loop_test(t, bz_place_row, 0, ARRAY_LEN(bz_places));
        tcase_add_test(t, bzimage_not_relocatable);
        tcase_add_test(t, bzimage_initrd_limit);
        tcase_add_test(t, bzimage_initrd_exactly_fits);
        tcase_add_test(t, bzimage_without_initrd);
        tcase_add_test(t, no_room_for_boot_info);
        suite_add_tcase(s, t);
        return suite_run(s);
}
