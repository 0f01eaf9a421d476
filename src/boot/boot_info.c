/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/boot_info.h"
#include "base/bits.h"
#include "base/libc.h"
#include "base/layout.h"

/* PVH: Xen "public/arch-x86/hvm/start_info.h", version 1. */
#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
        uint32_t magic, version, flags, nr_modules;
        uint64_t modlist, cmdline, rsdp;
        uint64_t memmap; /* from version 1 */
        uint32_t memmap_entries, reserved;
};

struct pvh_module {
        uint64_t address, size, cmdline, reserved;
};

struct pvh_memmap_entry {
        uint64_t address, size;
        uint32_t type, reserved;
};

#define PVH_MEMMAP_READ 1024 /* entries looked at: no end but their count tells where the map ends */

#define MEMORY_RAM 1 /* E820 type, in PVH and multiboot2 alike */

/* Multiboot2 specification, "Boot information format". */
enum mb2_tag_type { MB2_END = 0, MB2_CMDLINE = 1, MB2_MODULE = 3, MB2_MMAP = 6 };

struct mb2_tag {
        uint32_t type, size;
};

struct mb2_module {
        struct mb2_tag tag;
        uint32_t start, end;
};

struct mb2_mmap {
        struct mb2_tag tag;
        uint32_t entry_size, entry_version;
};

/* At most `most` bytes of s, its zero included. */
static void copy_cmdline(struct boot_info *b, const char *s, size_t most)
{
        const size_t room = most < BOOT_CMDLINE_BYTES - 1 ? most : BOOT_CMDLINE_BYTES - 1;
        strncpy(b->cmdline, s, room);
        b->cmdline[room] = 0;
}

static void add_module(struct boot_info *b, uint64_t at, uint64_t len)
{
        if (b->module_count < BOOT_MAX_MODULES)
                b->modules[b->module_count++] = (struct boot_module){ (const uint8_t *)at, len };
}

static void add_ram(struct boot_info *b, uint64_t base, uint64_t bytes)
{
        if (b->ram_count < BOOT_MAX_RANGES && bytes <= UINT64_MAX - base)
                b->ram[b->ram_count++] = (struct boot_range){ base, bytes };
}

static bool read_pvh(struct boot_info *b, const struct pvh_start_info *s)
{
        if (s->magic != PVH_MAGIC || s->version < 1)
                return false;
        if (s->cmdline)
                copy_cmdline(b, (const char *)s->cmdline, BOOT_CMDLINE_BYTES);
        const struct pvh_module *m = (const struct pvh_module *)s->modlist;
        for (uint32_t i = 0; m && i < s->nr_modules && i < BOOT_MAX_MODULES; i++)
                add_module(b, m[i].address, m[i].size);
        const struct pvh_memmap_entry *e = (const struct pvh_memmap_entry *)s->memmap;
        for (uint32_t i = 0; e && i < s->memmap_entries && i < PVH_MEMMAP_READ; i++)
                if (e[i].type == MEMORY_RAM)
                        add_ram(b, e[i].address, e[i].size);
        return true;
}

/* An entry is {base, length, type, reserved}: PVH took its layout from here. */
static void read_mb2_mmap(struct boot_info *b, const struct mb2_mmap *m)
{
        if (m->entry_size < sizeof(struct pvh_memmap_entry))
                return;
        const uint8_t *entries = (const uint8_t *)(m + 1);
        const size_t count = (m->tag.size - sizeof(*m)) / m->entry_size;
        for (size_t i = 0; i < count; i++) {
                struct pvh_memmap_entry e;
                memcpy(&e, entries + i * m->entry_size, sizeof(e));
                if (e.type == MEMORY_RAM)
                        add_ram(b, e.address, e.size);
        }
}

/* One tag that lies in the structure as a whole. One that is too short for its type says nothing. */
static void read_mb2_tag(struct boot_info *b, const struct mb2_tag *t)
{
        if (t->type == MB2_CMDLINE) {
                copy_cmdline(b, (const char *)(t + 1), t->size - sizeof(*t));
        } else if (t->type == MB2_MODULE && t->size >= sizeof(struct mb2_module)) {
                const struct mb2_module *m = (const struct mb2_module *)t;
                if (m->end > m->start)
                        add_module(b, m->start, m->end - m->start);
        } else if (t->type == MB2_MMAP && t->size >= sizeof(struct mb2_mmap)) {
                read_mb2_mmap(b, (const struct mb2_mmap *)t);
        }
}

static bool read_mb2(struct boot_info *b, const uint32_t *info)
{
        const uint64_t total = info[0];
        for (uint64_t at = 2 * sizeof(*info); at + sizeof(struct mb2_tag) <= total;) {
                const struct mb2_tag *t = (const struct mb2_tag *)((const uint8_t *)info + at);
                if (t->type == MB2_END)
                        return true;
                if (t->size < sizeof(*t) || t->size > total - at)
                        return false;
                read_mb2_tag(b, t);
                at += ALIGN_UP(t->size, 8);
        }
        return false;
}

bool boot_info_read(struct boot_info *out, uint32_t protocol, const void *info)
{
        memset(out, 0, sizeof(*out));
        if (protocol == BOOT_PVH)
                return read_pvh(out, info);
        return protocol == BOOT_MULTIBOOT2 && read_mb2(out, info);
}

/* The container: loaders that pass only one module (QEMU's PVH path) get all of them in one. */
struct mod_container {
        char magic[8];
        uint32_t count, reserved;
        struct {
                uint64_t offset, bytes; /* from the start of the container */
        } part[31];
};
_Static_assert(sizeof(struct mod_container) == 512, "container header is one sector");

bool boot_info_unpack(struct boot_info *b)
{
        if (b->module_count == 0 || b->modules[0].len < sizeof(struct mod_container))
                return true;
        const struct boot_module whole = b->modules[0];
        struct mod_container c;
        memcpy(&c, whole.bytes, sizeof(c));
        if (memcmp(c.magic, "CASCMODS", sizeof(c.magic)) != 0)
                return true;
        if (c.count > BOOT_MAX_MODULES)
                return false;
        b->module_count = 0;
        for (uint32_t i = 0; i < c.count; i++) {
                const uint64_t at = c.part[i].offset, len = c.part[i].bytes;
                if (at > whole.len || len > whole.len - at)
                        return false;
                add_module(b, (uint64_t)whole.bytes + at, len);
        }
        return true;
}
