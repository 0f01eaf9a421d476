/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader_fixture.h"
#include "suite.h"
#include "platform/load_place.h"
#include "platform/pvh.h"

static Elf64_Phdr *phdr(int i)
{
        return (Elf64_Phdr *)(void *)(image + sizeof(Elf64_Ehdr)) + i;
}

static void check_elf_body(void)
{
        ck_assert_mem_eq(ram + ELF_TEXT_PADDR, image + ELF_TEXT_OFFSET, ELF_TEXT_BYTES);
        ck_assert_uint_eq(ram[ELF_TEXT_PADDR + ELF_TEXT_BYTES], 0xcc);
        ck_assert_mem_eq(ram + ELF_DATA_PADDR, image + ELF_DATA_OFFSET, ELF_DATA_BYTES);
        for (size_t i = ELF_DATA_BYTES; i < ELF_DATA_MEMSZ; i++)
                ck_assert_uint_eq(ram[ELF_DATA_PADDR + i], 0);
        ck_assert_uint_eq(ram[ELF_DATA_PADDR + ELF_DATA_MEMSZ], 0xcc);
}

static void check_start_info(void)
{
        struct pvh_start_info info;
        struct pvh_module m;

        ck_assert_uint_eq(res.kind, ENTRY_PVH32);
        ck_assert_uint_eq(res.entry.raw, ELF_ENTRY);
        ck_assert_uint_eq(res.cr3.raw, 0);
        ck_assert_uint_eq(res.gdt.raw, 0);
        memcpy(&info, ram + res.info.raw, sizeof(info));
        ck_assert_uint_eq(info.magic, 0x336ec578);
        ck_assert_uint_eq(info.version, 1);
        ck_assert_uint_eq(info.flags, 0);
        ck_assert_uint_eq(info.rsdp, 0xe0000);
        ck_assert_str_eq((char *)ram + info.cmdline, "console=ttyS0");
        ck_assert_uint_eq(info.module_count, 1);
        memcpy(&m, ram + info.modules, sizeof(m));
        ck_assert_uint_eq(m.base, module_place());
        ck_assert_uint_eq(m.bytes, module.len);
        ck_assert_str_eq((char *)ram + m.cmdline, "first");
        ck_assert_mem_eq(ram + m.base, initrd, m.bytes);
        ck_assert_uint_eq(info.memmap_count, ARRAY_LEN(pc_map));
        for (size_t i = 0; i < ARRAY_LEN(pc_map); i++) {
                struct pvh_memmap e;
                memcpy(&e, ram + info.memmap + i * sizeof(e), sizeof(e));
                ck_assert_uint_eq(e.base, pc_map[i].base);
                ck_assert_uint_eq(e.bytes, pc_map[i].bytes);
                ck_assert_uint_eq(e.type, pc_map[i].type);
        }
}

START_TEST(elf64_loads)
{
        req.kernel_len = image_elf64(image);
        ck_assert_int_eq(load(), LOAD_OK);
        check_elf_body();
        check_start_info();
        ck_assert_uint_eq(res.info.raw, PLACE_FLOOR);
}
END_TEST

START_TEST(elf32_loads)
{
        req.kernel_len = image_elf32(image);
        ck_assert_int_eq(load(), LOAD_OK);
        check_elf_body();
        check_start_info();
}
END_TEST

START_TEST(elf_without_extras)
{
        struct pvh_start_info info;

        req.kernel_len = image_elf64(image);
        req.module_count = 0;
        req.cmdline = NULL;
        ck_assert_int_eq(load(), LOAD_OK);
        memcpy(&info, ram + res.info.raw, sizeof(info));
        ck_assert_uint_eq(info.module_count, 0);
        ck_assert_uint_eq(info.modules, 0);
        ck_assert_str_eq((char *)ram + info.cmdline, "");
}
END_TEST

START_TEST(elf_several_modules)
{
        const struct load_module three[] = {
                { initrd, PAGE_SIZE, NULL }, { initrd + 1, PAGE_SIZE + 1, "b" }, { initrd, 0, "empty" }
        };
        struct pvh_start_info info;
        struct pvh_module m[3];

        req.kernel_len = image_elf64(image);
        req.modules = three;
        req.module_count = 3;
        ck_assert_int_eq(load(), LOAD_OK);
        memcpy(&info, ram + res.info.raw, sizeof(info));
        memcpy(m, ram + info.modules, sizeof(m));
        ck_assert_uint_eq(m[0].base, LOW_BYTES - PAGE_SIZE);
        ck_assert_uint_eq(m[0].cmdline, 0);
        ck_assert_uint_eq(m[1].base, LOW_BYTES - 3 * PAGE_SIZE);
        ck_assert_mem_eq(ram + m[1].base, initrd + 1, PAGE_SIZE + 1);
        ck_assert_str_eq((char *)ram + m[1].cmdline, "b");
        ck_assert_uint_eq(m[2].bytes, 0);
        ck_assert_str_eq((char *)ram + m[2].cmdline, "empty");
        ck_assert_str_eq((char *)ram + info.cmdline, "console=ttyS0");
}
END_TEST

START_TEST(elf64_every_truncation)
{
        check_truncations(image_elf64(image), 4);
}
END_TEST

START_TEST(elf32_every_truncation)
{
        check_truncations(image_elf32(image), 4);
}
END_TEST

/* One change to the valid ELF64, and what it must come to. */
static const struct {
        const char *what;
        size_t at;
        uint64_t value;
        size_t bytes;
        enum load_status status;
} elf_spoilt[] = {
#define EHDR(field)    offsetof(Elf64_Ehdr, field)
#define PHDR(i, field) (sizeof(Elf64_Ehdr) + (i) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field))
        { "magic", 0, 0x7e, 1, LOAD_NOT_A_KERNEL },
        { "class 0", EI_CLASS, 0, 1, LOAD_BAD_ELF },
        { "class 3", EI_CLASS, 3, 1, LOAD_BAD_ELF },
        { "big endian", EI_DATA, ELFDATA2MSB, 1, LOAD_WRONG_MACHINE },
        { "relocatable", EHDR(e_type), ET_REL, 2, LOAD_WRONG_MACHINE },
        { "other machine", EHDR(e_machine), EM_AARCH64, 2, LOAD_WRONG_MACHINE },
        { "64-bit class of a 32-bit machine", EHDR(e_machine), EM_386, 2, LOAD_WRONG_MACHINE },
        { "header size", EHDR(e_phentsize), sizeof(Elf64_Phdr) + 8, 2, LOAD_BAD_ELF },
        { "no headers", EHDR(e_phnum), 0, 2, LOAD_BAD_ELF },
        { "too many headers", EHDR(e_phnum), 129, 2, LOAD_BAD_ELF },
        { "extended numbering", EHDR(e_phnum), PN_XNUM, 2, LOAD_BAD_ELF },
        { "headers behind the end", EHDR(e_phnum), 128, 2, LOAD_TRUNCATED },
        { "headers far behind the end", EHDR(e_phoff), ~0ull - 8, 8, LOAD_TRUNCATED },
        { "segment behind the end", PHDR(1, p_offset), ELF_DATA_OFFSET + 1, 8, LOAD_TRUNCATED },
        { "segment offset wraps", PHDR(1, p_offset), ~0ull - 0x10, 8, LOAD_TRUNCATED },
        { "less memory than file", PHDR(1, p_memsz), ELF_DATA_BYTES - 1, 8, LOAD_BAD_ELF },
        { "no memory but file", PHDR(1, p_memsz), 0, 8, LOAD_BAD_ELF },
        { "memory wraps", PHDR(1, p_memsz), ~0ull, 8, LOAD_BAD_ELF },
        { "address wraps", PHDR(1, p_paddr), ~0ull - 0x100, 8, LOAD_BAD_ELF },
        { "segments overlap", PHDR(1, p_paddr), ELF_TEXT_PADDR + ELF_TEXT_BYTES - 1, 8, LOAD_BAD_ELF },
        { "segments touch", PHDR(1, p_paddr), ELF_TEXT_PADDR + ELF_TEXT_BYTES, 8, LOAD_OK },
        { "in firmware", PHDR(1, p_paddr), 0x100000 - ELF_DATA_MEMSZ, 8, LOAD_TOO_LARGE },
        { "end of low RAM", PHDR(1, p_paddr), LOW_BYTES - ELF_DATA_MEMSZ, 8, LOAD_OK },
        { "one byte behind low RAM", PHDR(1, p_paddr), LOW_BYTES - ELF_DATA_MEMSZ + 1, 8, LOAD_TOO_LARGE },
        { "in the device hole", PHDR(1, p_paddr), SIZE_4G - PAGE_SIZE, 8, LOAD_TOO_LARGE },
        { "end of high RAM", PHDR(1, p_paddr), SIZE_4G + HIGH_BYTES - ELF_DATA_MEMSZ, 8, LOAD_OK },
        { "behind high RAM", PHDR(1, p_paddr), SIZE_4G + HIGH_BYTES - ELF_DATA_MEMSZ + 1, 8, LOAD_TOO_LARGE },
        { "more than RAM", PHDR(1, p_memsz), LOW_BYTES, 8, LOAD_TOO_LARGE },
        { "notes behind the end", PHDR(2, p_offset), ELF_BYTES, 8, LOAD_TRUNCATED },
        { "notes wrap", PHDR(2, p_filesz), ~0ull, 8, LOAD_TRUNCATED },
        { "last note cut off", PHDR(2, p_filesz), ELF_NOTE_BYTES - 9, 8, LOAD_BAD_ELF },
        { "note name runs away", ELF_NOTE_OFFSET, 0xffffffff, 4, LOAD_BAD_ELF },
        { "note value runs away", ELF_NOTE_OFFSET + 4, 0xffffffff, 4, LOAD_BAD_ELF },
        { "no note segment", PHDR(2, p_type), PT_NULL, 4, LOAD_NO_PVH_NOTE },
        { "other note type", ELF_NOTE_OFFSET + 32, 17, 4, LOAD_NO_PVH_NOTE },
        { "other note owner", ELF_NOTE_OFFSET + 36, 0x6e6559, 4, LOAD_NO_PVH_NOTE },
        { "note value of 4 bytes", ELF_NOTE_OFFSET + 28, 4, 4, LOAD_OK },
        { "note value of 2 bytes", ELF_NOTE_OFFSET + 28, 2, 4, LOAD_NO_PVH_NOTE },
        { "entry at the last byte", ELF_NOTE_OFFSET + 40, ELF_TEXT_PADDR + ELF_TEXT_BYTES - 1, 4, LOAD_OK },
        { "entry behind", ELF_NOTE_OFFSET + 40, ELF_TEXT_PADDR + ELF_TEXT_BYTES, 4, LOAD_BAD_ENTRY },
        { "entry before", ELF_NOTE_OFFSET + 40, ELF_TEXT_PADDR - 1, 4, LOAD_BAD_ENTRY },
        { "entry above 4 GiB", ELF_NOTE_OFFSET + 44, 1, 4, LOAD_BAD_ENTRY },
        { "only memory, no bytes", PHDR(1, p_filesz), 0, 8, LOAD_OK },
};

START_TEST(elf_spoilt_row)
{
        req.kernel_len = image_elf64(image);
        put_at(elf_spoilt[_i].at, elf_spoilt[_i].value, elf_spoilt[_i].bytes);
        const enum load_status s = load();
        ck_assert_msg(s == elf_spoilt[_i].status, "%s: %s", elf_spoilt[_i].what, load_status_text(s));
}
END_TEST

/* The kernel may be loaded there, but the entry has 32 bits. */
START_TEST(elf_entry_in_high_ram)
{
        req.kernel_len = image_elf64(image);
        phdr(0)->p_paddr = SIZE_4G;
        put_at(ELF_NOTE_OFFSET + 40, SIZE_4G, 8);
        ck_assert_int_eq(load(), LOAD_BAD_ENTRY);
}
END_TEST

/* A segment without file bytes may have any offset that is in the file, its end included. */
START_TEST(elf_bss_only_segment)
{
        req.kernel_len = image_elf64(image);
        phdr(1)->p_filesz = 0;
        phdr(1)->p_offset = ELF_BYTES;
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(get_ram(ELF_DATA_PADDR, 8), 0);
        phdr(1)->p_offset++;
        ck_assert_int_eq(load(), LOAD_TRUNCATED);
}
END_TEST

/* What follows the last program header is none. */
START_TEST(elf_counts_its_headers)
{
        req.kernel_len = image_elf64(image);
        *phdr(3) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_filesz = 2, .p_memsz = 1 };
        ck_assert_int_eq(load(), LOAD_OK);
        put_at(EHDR(e_phnum), 4, 2);
        ck_assert_int_eq(load(), LOAD_BAD_ELF);
}
END_TEST

START_TEST(elf_too_many_segments)
{
        for (unsigned n = 32; n <= 33; n++) {
                setup();
                req.kernel_len = image_elf64(image);
                put_at(EHDR(e_phoff), 0xc00, 8);
                put_at(EHDR(e_phnum), n + 1, 2);
                for (unsigned i = 0; i < n; i++) {
                        const Elf64_Phdr p = {
                                .p_type = PT_LOAD, .p_memsz = 1, .p_paddr = ELF_TEXT_PADDR + i
                        };
                        memcpy(image + 0xc00 + i * sizeof(p), &p, sizeof(p));
                }
                const Elf64_Phdr note = { .p_type = PT_NOTE, .p_offset = ELF_NOTE_OFFSET,
                                          .p_filesz = ELF_NOTE_BYTES, .p_align = 4 };
                memcpy(image + 0xc00 + n * sizeof(note), &note, sizeof(note));
                req.kernel_len = 0xc00 + (n + 1) * sizeof(note);
                ck_assert_int_eq(load(), n == 32 ? LOAD_OK : LOAD_BAD_ELF);
        }
}
END_TEST

/* Our structures move out of the way of a kernel that is linked where they would be. */
START_TEST(elf_over_the_floor)
{
        req.kernel_len = image_elf64(image);
        phdr(1)->p_paddr = PLACE_FLOOR - 0x1000;
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.info.raw, ALIGN_UP(PLACE_FLOOR - 0x1000 + ELF_DATA_MEMSZ, PAGE_SIZE));
        ck_assert_mem_eq(ram + PLACE_FLOOR - 0x1000, image + ELF_DATA_OFFSET, ELF_DATA_BYTES);
}
END_TEST

START_TEST(elf_fills_ram)
{
        static const struct e820_entry one = { 0, LOW_BYTES, E820_RAM };

        req.kernel_len = image_elf64(image);
        req.e820 = &one;
        req.e820_count = 1;
        req.module_count = 0;
        phdr(0)->p_paddr = 0x1000;
        put_at(ELF_NOTE_OFFSET + 40, 0x1000, 4);
        phdr(1)->p_paddr = PLACE_FLOOR;
        phdr(1)->p_memsz = LOW_BYTES - PLACE_FLOOR - PAGE_SIZE;
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(res.info.raw, LOW_BYTES - PAGE_SIZE);
        phdr(1)->p_memsz++;
        ck_assert_int_eq(load(), LOAD_TOO_LARGE);
}
END_TEST

START_TEST(initrd_exactly_fits)
{
        const uint64_t room = LOW_BYTES - ALIGN_UP(ELF_DATA_PADDR + ELF_DATA_MEMSZ, PAGE_SIZE);

        req.kernel_len = image_elf64(image);
        module.len = room;
        ck_assert_int_eq(load(), LOAD_OK);
        check_start_info();
        ck_assert_mem_eq(ram + ELF_DATA_PADDR, image + ELF_DATA_OFFSET, ELF_DATA_BYTES);
        module.len = room + 1;
        ck_assert_int_eq(load(), LOAD_INITRD_TOO_LARGE);
        module.len = ~0ull;
        ck_assert_int_eq(load(), LOAD_INITRD_TOO_LARGE);
}
END_TEST

START_TEST(counts_are_bounded)
{
        static struct e820_entry map[LOAD_E820_MAX + 1];
        static struct load_module modules[LOAD_MODULES_MAX + 1];

        memcpy(map, pc_map, sizeof(pc_map));
        for (size_t i = ARRAY_LEN(pc_map); i < ARRAY_LEN(map); i++)
                map[i] = (struct e820_entry){ SIZE_4G * 2 + i * PAGE_SIZE, PAGE_SIZE, E820_RESERVED };
        for (size_t i = 0; i < ARRAY_LEN(modules); i++)
                modules[i] = (struct load_module){ .bytes = initrd, .len = 1 };
        req.kernel_len = image_elf64(image);
        req.e820 = map;
        req.modules = modules;
        req.e820_count = LOAD_E820_MAX;
        req.module_count = LOAD_MODULES_MAX;
        ck_assert_int_eq(load(), LOAD_OK);
        req.module_count = LOAD_MODULES_MAX + 1;
        ck_assert_int_eq(load(), LOAD_TOO_MANY_MODULES);
        req.module_count = 1;
        req.e820_count = LOAD_E820_MAX + 1;
        ck_assert_int_eq(load(), LOAD_BAD_MEMORY_MAP);
        req.e820_count = LOAD_E820_MAX;
        req.kernel_len = image_bzimage(image);
        ck_assert_int_eq(load(), LOAD_OK);
        ck_assert_uint_eq(get_ram(res.info.raw + 0x1e8, 1), LOAD_E820_MAX);
}
END_TEST

START_TEST(not_a_kernel)
{
        memset(image, 0, sizeof(image));
        req.kernel_len = sizeof(image);
        ck_assert_int_eq(load(), LOAD_NOT_A_KERNEL);
        req.kernel = NULL;
        req.kernel_len = 0;
        ck_assert_int_eq(load(), LOAD_NOT_A_KERNEL);
}
END_TEST

START_TEST(every_status_has_text)
{
        for (int i = 0; i < LOAD_STATUS_COUNT; i++)
                ck_assert_uint_gt(strlen(load_status_text((enum load_status)i)), 5);
        ck_assert_str_eq(load_status_text((enum load_status)LOAD_STATUS_COUNT), "unknown");
        ck_assert_str_eq(load_status_text((enum load_status)-1), "unknown");
}
END_TEST

/* Usable means: every byte covered by RAM entries, in any order, and by no other entry. */
START_TEST(place_usable_edges)
{
        static const struct e820_entry map[] = {
                { 0x3000, 0x1000, E820_RAM }, { 0x1000, 0x2000, E820_RAM }, { 0x5000, 0x3000, E820_RAM },
                { 0x6000, 0x1000, E820_RESERVED }, { 0x9000, ~0ull, E820_RAM }, { 0, 0, E820_RESERVED },
        };
        const struct place p = { .req = &req };

        req.e820 = map;
        req.e820_count = ARRAY_LEN(map);
        ck_assert(place_usable(&p, 0x1000, 0x3000));
        ck_assert(!place_usable(&p, 0xfff, 2));
        ck_assert(!place_usable(&p, 0x3fff, 2));
        ck_assert(!place_usable(&p, 0x5000, 0x1001));
        ck_assert(place_usable(&p, 0x5000, 0x1000));
        ck_assert(!place_usable(&p, 0x6fff, 2));
        ck_assert(place_usable(&p, 0x7000, 0x1000));
        ck_assert(!place_usable(&p, 0x7000, 0));
        ck_assert(!place_usable(&p, 0x7000, ~0ull));
        ck_assert(place_usable(&p, LOW_BYTES - 1, 1));
        ck_assert(!place_usable(&p, LOW_BYTES - 1, 2));
}
END_TEST

START_TEST(place_is_exclusive)
{
        struct place p = { .req = &req };
        uint64_t at;

        ck_assert(place_claim(&p, 0x201000, 0x1000));
        ck_assert(!place_claim(&p, 0x201fff, 1));
        ck_assert(!place_claim(&p, 0x200fff, 2));
        ck_assert(place_lowest(&p, 0x1000, 0x1000, 0x200000, LOW_BYTES, &at) && at == 0x200000);
        ck_assert(place_lowest(&p, 0x1000, 0x1000, 0x200000, LOW_BYTES, &at) && at == 0x202000);
        ck_assert(!place_lowest(&p, 0x1001, 0x1000, 0x200000, 0x204000, &at));
        ck_assert(place_lowest(&p, 0x1000, 0x1000, 0x200000, 0x204000, &at) && at == 0x203000);
        ck_assert(place_highest(&p, 1, 0x1000, 0x202800, &at) && at == 0x1ff000);
        ck_assert(place_highest(&p, 0, 0x1000, LOW_BYTES, &at) && at == LOW_BYTES - 0x1000);
        ck_assert(!place_highest(&p, 1, 0x1000, 0, &at));
        while (p.taken_count < PLACE_MAX)
                ck_assert(place_lowest(&p, 1, 1, 0x300000, LOW_BYTES, &at));
        ck_assert(!place_claim(&p, 0x400000, 1));
        ck_assert(!place_lowest(&p, 1, 1, 0x400000, LOW_BYTES, &at));
        ck_assert(!place_highest(&p, 1, 1, LOW_BYTES, &at));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("loader");
        TCase *t = tcase_create("elf");
        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, elf64_loads);
        tcase_add_test(t, elf32_loads);
        tcase_add_test(t, elf_without_extras);
        tcase_add_test(t, elf_several_modules);
        tcase_add_test(t, elf64_every_truncation);
        tcase_add_test(t, elf32_every_truncation);
        tcase_add_loop_test(t, elf_spoilt_row, 0, ARRAY_LEN(elf_spoilt));
        tcase_add_test(t, elf_entry_in_high_ram);
        tcase_add_test(t, elf_bss_only_segment);
        tcase_add_test(t, elf_counts_its_headers);
        tcase_add_test(t, elf_too_many_segments);
        tcase_add_test(t, elf_over_the_floor);
        tcase_add_test(t, elf_fills_ram);
        tcase_add_test(t, initrd_exactly_fits);
        suite_add_tcase(s, t);
        t = tcase_create("common");
        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, counts_are_bounded);
        tcase_add_test(t, not_a_kernel);
        tcase_add_test(t, every_status_has_text);
        tcase_add_test(t, place_usable_edges);
        tcase_add_test(t, place_is_exclusive);
        suite_add_tcase(s, t);
        return suite_run(s);
}
