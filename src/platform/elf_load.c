/* SPDX-License-Identifier: BSD-2-Clause */
#include <elf.h>
#include "base/bits.h"
#include "base/libc.h"
#include "platform/elf_load.h"
#include "platform/pvh.h"

#define ELF_SEGMENTS_MAX 32  /* loaded ones: leaves room in PLACE_MAX for modules and our own structures */
#define ELF_PHNUM_MAX    128 /* headers of any kind: bounds the time that searching notes can take */

/* The file, and its header widened to 64 bits. */
struct elf {
        const uint8_t *bytes;
        uint64_t len;
        bool is64;
        uint64_t phoff;
        uint64_t phnum;
};

struct segment {
        uint32_t type;
        uint64_t offset;
        uint64_t paddr;
        uint64_t filesz;
        uint64_t memsz;
        uint64_t align;
};

static bool in_file(const struct elf *f, uint64_t offset, uint64_t bytes)
{
        return offset <= f->len && bytes <= f->len - offset;
}

bool elf_recognise(const uint8_t *kernel, uint64_t len)
{
        return len >= SELFMAG && memcmp(kernel, ELFMAG, SELFMAG) == 0;
}

static enum load_status check_header(uint64_t type, uint64_t machine, uint64_t want_machine,
                                     uint64_t phentsize, uint64_t want_phentsize, uint64_t phnum)
{
        if (type != ET_EXEC || machine != want_machine)
                return LOAD_WRONG_MACHINE;
        if (phnum == 0 || phnum > ELF_PHNUM_MAX || phentsize != want_phentsize)
                return LOAD_BAD_ELF;
        return LOAD_OK;
}

static enum load_status read_header32(struct elf *f)
{
        Elf32_Ehdr h;

        if (!in_file(f, 0, sizeof(h)))
                return LOAD_TRUNCATED;
        memcpy(&h, f->bytes, sizeof(h));
        f->phoff = h.e_phoff;
        f->phnum = h.e_phnum;
        return check_header(h.e_type, h.e_machine, EM_386, h.e_phentsize, sizeof(Elf32_Phdr), h.e_phnum);
}

static enum load_status read_header64(struct elf *f)
{
        Elf64_Ehdr h;

        if (!in_file(f, 0, sizeof(h)))
                return LOAD_TRUNCATED;
        memcpy(&h, f->bytes, sizeof(h));
        f->phoff = h.e_phoff;
        f->phnum = h.e_phnum;
        return check_header(h.e_type, h.e_machine, EM_X86_64, h.e_phentsize, sizeof(Elf64_Phdr), h.e_phnum);
}

static enum load_status read_header(struct elf *f)
{
        if (!in_file(f, 0, EI_NIDENT))
                return LOAD_TRUNCATED;
        if (f->bytes[EI_DATA] != ELFDATA2LSB)
                return LOAD_WRONG_MACHINE;
        if (f->bytes[EI_CLASS] != ELFCLASS32 && f->bytes[EI_CLASS] != ELFCLASS64)
                return LOAD_BAD_ELF;
        f->is64 = f->bytes[EI_CLASS] == ELFCLASS64;

        const enum load_status s = f->is64 ? read_header64(f) : read_header32(f);
        if (s != LOAD_OK)
                return s;
        const uint64_t phentsize = f->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
        return in_file(f, f->phoff, f->phnum * phentsize) ? LOAD_OK : LOAD_TRUNCATED;
}

/* i < phnum, and read_header() has seen that all program headers are in the file. */
static struct segment read_segment(const struct elf *f, uint64_t i)
{
        if (f->is64) {
                Elf64_Phdr h;
                memcpy(&h, f->bytes + f->phoff + i * sizeof(h), sizeof(h));
                return (struct segment){h.p_type, h.p_offset, h.p_paddr, h.p_filesz, h.p_memsz, h.p_align};
        }
        Elf32_Phdr h;
        memcpy(&h, f->bytes + f->phoff + i * sizeof(h), sizeof(h));
        return (struct segment){h.p_type, h.p_offset, h.p_paddr, h.p_filesz, h.p_memsz, h.p_align};
}

static enum load_status load_segment(struct place *p, const struct elf *f, const struct segment *s)
{
        if (s->filesz > s->memsz || s->memsz > UINT64_MAX - s->paddr)
                return LOAD_BAD_ELF;
        if (!in_file(f, s->offset, s->filesz))
                return LOAD_TRUNCATED;
        if (!place_usable(p, s->paddr, s->memsz))
                return LOAD_TOO_LARGE;
        if (p->taken_count >= ELF_SEGMENTS_MAX || !place_claim(p, s->paddr, s->memsz))
                return LOAD_BAD_ELF;
        place_write(p, s->paddr, f->bytes + s->offset, s->filesz, s->memsz);
        return LOAD_OK;
}

/* Value of the entry note if the note at `at` is one. Its name and descriptor are known to be in the file. */
static bool is_pvh_note(const uint8_t *name, const uint8_t *desc, const Elf32_Nhdr *n, uint64_t *entry)
{
        uint64_t value = 0;

        if (n->n_type != PVH_NOTE_TYPE || n->n_namesz != sizeof("Xen") ||
            memcmp(name, "Xen", sizeof("Xen")) != 0)
                return false;
        if (n->n_descsz != sizeof(uint32_t) && n->n_descsz != sizeof(uint64_t))
                return false;
        memcpy(&value, desc, n->n_descsz);
        *entry = value;
        return true;
}

/* Walks one note segment. A note that runs over the segment's end makes the file a bad one. */
static enum load_status search_notes(const struct elf *f, const struct segment *s, bool *found,
                                     uint64_t *entry)
{
        const uint64_t align = s->align == 8 ? 8 : 4;
        uint64_t at = 0;

        if (!in_file(f, s->offset, s->filesz))
                return LOAD_TRUNCATED;
        while (!*found && s->filesz - at >= sizeof(Elf32_Nhdr)) {
                const uint8_t *note = f->bytes + s->offset + at;
                const uint64_t left = s->filesz - at;
                Elf32_Nhdr n;

                memcpy(&n, note, sizeof(n));
                /* 32-bit sizes in 64-bit sums: nothing here can wrap around. */
                const uint64_t desc = ALIGN_UP(sizeof(n) + (uint64_t)n.n_namesz, align);
                const uint64_t next = ALIGN_UP(desc + n.n_descsz, align);
                if (desc > left || n.n_descsz > left - desc)
                        return LOAD_BAD_ELF;
                *found = is_pvh_note(note + sizeof(n), note + desc, &n, entry);
                at += next < left ? next : left;
        }
        return LOAD_OK;
}

static bool inside_kernel(const struct place *p, uint64_t entry)
{
        for (size_t i = 0; i < p->taken_count; i++)
                if (entry >= p->taken[i].base && entry - p->taken[i].base < p->taken[i].bytes)
                        return true;
        return false;
}

enum load_status elf_load(struct place *p, l1gpa_t *entry)
{
        struct elf f = {.bytes = p->req->kernel, .len = p->req->kernel_len};
        enum load_status status = read_header(&f);
        bool found = false;

        for (uint64_t i = 0; status == LOAD_OK && i < f.phnum; i++) {
                const struct segment s = read_segment(&f, i);
                if (s.type == PT_LOAD && (s.memsz != 0 || s.filesz != 0))
                        status = load_segment(p, &f, &s);
                else if (s.type == PT_NOTE && !found)
                        status = search_notes(&f, &s, &found, &entry->raw);
        }
        if (status != LOAD_OK)
                return status;
        if (!found)
                return LOAD_NO_PVH_NOTE;
        /* The entry is executed in 32-bit mode. */
        return entry->raw < SIZE_4G && inside_kernel(p, entry->raw) ? LOAD_OK : LOAD_BAD_ENTRY;
}
