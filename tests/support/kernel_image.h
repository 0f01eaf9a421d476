/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel_image.h - small synthetic kernels for the loaders' unit tests and fuzzer: valid ones, to be spoiled.
 * Host only. Each maker writes to `out` (KERNEL_IMAGE_MAX bytes) and returns the length. */
#ifndef CASCADE_TESTS_KERNEL_IMAGE_H
#define CASCADE_TESTS_KERNEL_IMAGE_H

#include <elf.h>
#include <stdint.h>
#include <string.h>

#define KERNEL_IMAGE_MAX 8192

/* Layout of the ELF images: header, two loaded segments and a note segment, then their bytes. */
#define ELF_TEXT_PADDR  0x100000u
#define ELF_TEXT_OFFSET 0x400u
#define ELF_TEXT_BYTES  0x123u
#define ELF_DATA_PADDR  0x102000u
#define ELF_DATA_OFFSET 0x800u
#define ELF_DATA_BYTES  0x80u
#define ELF_DATA_MEMSZ  0x2345u
#define ELF_NOTE_OFFSET 0x300u
#define ELF_NOTE_BYTES  56u
#define ELF_ENTRY       (ELF_TEXT_PADDR + 0x10)
#define ELF_BYTES       (ELF_DATA_OFFSET + ELF_DATA_BYTES)

static inline void image_fill(uint8_t *at, size_t bytes, unsigned seed)
{
        for (size_t i = 0; i < bytes; i++)
                at[i] = (uint8_t)(seed + i * 7 + (i >> 8) * 3 + 1);
}

/* A foreign note ("GNU", type 3, 8 bytes), then the PVH entry: a 32-bit value in a descriptor of 8 bytes. */
static inline void image_notes(uint8_t *at)
{
        const uint32_t notes[ELF_NOTE_BYTES / 4] = {
                4, 8, 3, 0x554e47, 0, 0, 4, 8, 18, 0x6e6558, ELF_ENTRY, 0
        };
        memcpy(at, notes, sizeof(notes));
}

static inline void image_bodies(uint8_t *out)
{
        image_notes(out + ELF_NOTE_OFFSET);
        image_fill(out + ELF_TEXT_OFFSET, ELF_TEXT_BYTES, 11);
        image_fill(out + ELF_DATA_OFFSET, ELF_DATA_BYTES, 99);
}

static inline size_t image_elf64(uint8_t *out)
{
        const Elf64_Ehdr h = {
                .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(h),
                .e_ehsize = sizeof(h), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3,
        };
        const Elf64_Phdr p[3] = {
                { .p_type = PT_LOAD, .p_offset = ELF_TEXT_OFFSET, .p_paddr = ELF_TEXT_PADDR,
                  .p_filesz = ELF_TEXT_BYTES, .p_memsz = ELF_TEXT_BYTES, .p_align = 0x1000 },
                { .p_type = PT_LOAD, .p_offset = ELF_DATA_OFFSET, .p_paddr = ELF_DATA_PADDR,
                  .p_filesz = ELF_DATA_BYTES, .p_memsz = ELF_DATA_MEMSZ, .p_align = 0x1000 },
                { .p_type = PT_NOTE, .p_offset = ELF_NOTE_OFFSET, .p_filesz = ELF_NOTE_BYTES,
                  .p_memsz = ELF_NOTE_BYTES, .p_align = 4 },
        };
        memset(out, 0, KERNEL_IMAGE_MAX);
        memcpy(out, &h, sizeof(h));
        memcpy(out + sizeof(h), p, sizeof(p));
        image_bodies(out);
        return ELF_BYTES;
}

static inline size_t image_elf32(uint8_t *out)
{
        const Elf32_Ehdr h = {
                .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
                .e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT, .e_phoff = sizeof(h),
                .e_ehsize = sizeof(h), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 3,
        };
        const Elf32_Phdr p[3] = {
                { .p_type = PT_LOAD, .p_offset = ELF_TEXT_OFFSET, .p_paddr = ELF_TEXT_PADDR,
                  .p_filesz = ELF_TEXT_BYTES, .p_memsz = ELF_TEXT_BYTES, .p_align = 0x1000 },
                { .p_type = PT_LOAD, .p_offset = ELF_DATA_OFFSET, .p_paddr = ELF_DATA_PADDR,
                  .p_filesz = ELF_DATA_BYTES, .p_memsz = ELF_DATA_MEMSZ, .p_align = 0x1000 },
                { .p_type = PT_NOTE, .p_offset = ELF_NOTE_OFFSET, .p_filesz = ELF_NOTE_BYTES,
                  .p_memsz = ELF_NOTE_BYTES, .p_align = 4 },
        };
        memset(out, 0, KERNEL_IMAGE_MAX);
        memcpy(out, &h, sizeof(h));
        memcpy(out + sizeof(h), p, sizeof(p));
        image_bodies(out);
        return ELF_BYTES;
}

/* A bzImage of one setup sector and a payload of BZ_PAYLOAD bytes. Offsets: boot.rst. */
#define BZ_SETUP        0x400u
#define BZ_PAYLOAD      0x810u
#define BZ_BYTES        (BZ_SETUP + BZ_PAYLOAD)
#define BZ_INIT_SIZE    0x3000u
#define BZ_PREF         0x200000u
#define BZ_CMDLINE_SIZE 63u
#define BZ_HEADER_END   0x268u

static inline void image_put(uint8_t *out, size_t at, uint64_t v, size_t bytes)
{
        memcpy(out + at, &v, bytes);
}

static inline size_t image_bzimage(uint8_t *out)
{
        memset(out, 0, KERNEL_IMAGE_MAX);
        image_put(out, 0x1f1, 1, 1);                    /* setup_sects */
        image_put(out, 0x1f4, BZ_PAYLOAD / 16, 4);      /* syssize */
        image_put(out, 0x1fe, 0xaa55, 2);               /* boot_flag */
        image_put(out, 0x200, 0xeb, 1);                 /* jump */
        image_put(out, 0x201, BZ_HEADER_END - 0x202, 1);
        image_put(out, 0x202, 0x53726448, 4);           /* header */
        image_put(out, 0x206, 0x20f, 2);                /* version */
        image_put(out, 0x211, 1, 1);                    /* loadflags: LOADED_HIGH */
        image_put(out, 0x22c, 0x7fffffff, 4);           /* initrd_addr_max */
        image_put(out, 0x230, 0x200000, 4);             /* kernel_alignment */
        image_put(out, 0x234, 1, 1);                    /* relocatable_kernel */
        image_put(out, 0x236, 1, 2);                    /* xloadflags: XLF_KERNEL_64 */
        image_put(out, 0x238, BZ_CMDLINE_SIZE, 4);
        image_put(out, 0x258, BZ_PREF, 8);
        image_put(out, 0x260, BZ_INIT_SIZE, 4);
        image_fill(out + BZ_SETUP, BZ_PAYLOAD, 5);
        return BZ_BYTES;
}

#endif
