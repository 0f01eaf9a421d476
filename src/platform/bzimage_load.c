/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bits.h"
#include "base/libc.h"
#include "platform/bzimage_load.h"

/* The setup header in the file, and at the same offsets in the zero page. */
#define HDR_START            0x1f1
#define HDR_SETUP_SECTS      0x1f1
#define HDR_SYSSIZE          0x1f4
#define HDR_BOOT_FLAG        0x1fe
#define HDR_JUMP_OFFSET      0x201 /* second byte of a short jump over the header: where the header ends */
#define HDR_MAGIC            0x202
#define HDR_VERSION          0x206
#define HDR_TYPE_OF_LOADER   0x210
#define HDR_LOADFLAGS        0x211
#define HDR_CODE32_START     0x214
#define HDR_RAMDISK_IMAGE    0x218
#define HDR_RAMDISK_SIZE     0x21c
#define HDR_CMD_LINE_PTR     0x228
#define HDR_INITRD_ADDR_MAX  0x22c
#define HDR_KERNEL_ALIGNMENT 0x230
#define HDR_RELOCATABLE      0x234
#define HDR_XLOADFLAGS       0x236
#define HDR_CMDLINE_SIZE     0x238
#define HDR_PREF_ADDRESS     0x258
#define HDR_INIT_SIZE        0x260
#define HDR_END_2_06         0x23c
#define HDR_END_2_10         0x264
#define HDR_END_MAX          0x290 /* where the zero page goes on with something else */

#define BOOT_FLAG           0xaa55u
#define MAGIC_HDRS          0x53726448u /* "HdrS" */
#define VERSION_MIN         0x0206u
#define VERSION_INIT_SIZE   0x020au
#define VERSION_XLOADFLAGS  0x020cu
#define LOADED_HIGH         BIT(0)
#define XLF_KERNEL_64       BIT(0)
#define LOADER_TYPE_UNKNOWN 0xff
#define SETUP_SECTS_DEFAULT 4
#define SECTOR              512u
#define SYSSIZE_UNIT        16u
#define ENTRY64_OFFSET      0x200
#define LOAD_ADDRESS        0x100000ull

/* The zero page outside of the header. */
#define ZP_ACPI_RSDP    0x070
#define ZP_E820_ENTRIES 0x1e8
#define ZP_E820_TABLE   0x2d0
#define ZP_E820_ENTRY   20
#define ZP_BYTES        4096

/* Present, writable, and for the last level a 2 MiB page: SDM 3A "4-Level Paging". */
#define PT_TABLE        (BIT(0) | BIT(1))
#define PT_LEAF         (PT_TABLE | BIT(7))
#define PT_ENTRIES      512
#define IDENTITY_GIB    4
#define IDENTITY_TABLES (2 + IDENTITY_GIB) /* top level, one of pointers, one directory per GiB */

_Static_assert(2 * SECTOR >= HDR_END_MAX, "even with one setup sector, the payload begins behind the header");

struct setup {
        uint64_t header_end;
        uint64_t payload; /* offset in the file of the protected-mode kernel */
        uint64_t payload_bytes;
        uint32_t version;
        uint32_t initrd_addr_max;
        uint32_t cmdline_size;
        uint64_t alignment;
        uint64_t pref_address;
        uint64_t init_size;
        bool relocatable;
        bool entry64;
};

static uint64_t get(const uint8_t *at, size_t bytes)
{
        uint64_t v = 0;

        memcpy(&v, at, bytes); /* little-endian, like everything this runs on */
        return v;
}

static void put(uint8_t *at, uint64_t v, size_t bytes)
{
        memcpy(at, &v, bytes);
}

bool bzimage_recognise(const uint8_t *kernel, uint64_t len)
{
        return len >= HDR_VERSION && get(kernel + HDR_BOOT_FLAG, 2) == BOOT_FLAG &&
               get(kernel + HDR_MAGIC, 4) == MAGIC_HDRS;
}

static enum load_status read_sizes(const uint8_t *k, uint64_t len, struct setup *s)
{
        if (len < HDR_LOADFLAGS + 1)
                return LOAD_TRUNCATED;
        s->version = (uint32_t)get(k + HDR_VERSION, 2);
        if (s->version < VERSION_MIN || !(k[HDR_LOADFLAGS] & LOADED_HIGH))
                return LOAD_OLD_PROTOCOL;

        s->header_end = HDR_MAGIC + (uint64_t)k[HDR_JUMP_OFFSET];
        const uint64_t least = s->version >= VERSION_INIT_SIZE ? HDR_END_2_10 : HDR_END_2_06;
        if (s->header_end < least || s->header_end > HDR_END_MAX)
                return LOAD_BAD_SETUP;

        const uint64_t sects = k[HDR_SETUP_SECTS] ? k[HDR_SETUP_SECTS] : SETUP_SECTS_DEFAULT;
        s->payload = (sects + 1) * SECTOR;
        s->payload_bytes = get(k + HDR_SYSSIZE, 4) * SYSSIZE_UNIT;
        if (s->payload_bytes == 0)
                return LOAD_BAD_SETUP;
        /* The file may be longer, by a signature; never shorter. */
        return s->payload <= len && s->payload_bytes <= len - s->payload ? LOAD_OK : LOAD_TRUNCATED;
}

static enum load_status read_setup(const uint8_t *k, uint64_t len, struct setup *s)
{
        const enum load_status status = read_sizes(k, len, s);

        if (status != LOAD_OK)
                return status;
        s->initrd_addr_max = (uint32_t)get(k + HDR_INITRD_ADDR_MAX, 4);
        s->cmdline_size = (uint32_t)get(k + HDR_CMDLINE_SIZE, 4);
        s->alignment = get(k + HDR_KERNEL_ALIGNMENT, 4);
        s->relocatable = k[HDR_RELOCATABLE] != 0;
        s->entry64 = s->version >= VERSION_XLOADFLAGS && (get(k + HDR_XLOADFLAGS, 2) & XLF_KERNEL_64);
        if (s->relocatable && (s->alignment < PAGE_SIZE || (s->alignment & (s->alignment - 1))))
                return LOAD_BAD_SETUP;
        if (s->version >= VERSION_INIT_SIZE) {
                s->pref_address = get(k + HDR_PREF_ADDRESS, 8);
                s->init_size = get(k + HDR_INIT_SIZE, 4);
        } else {
                /* Before 2.10 the header does not tell what decompression needs: assume four to one. */
                s->pref_address = LOAD_ADDRESS;
                s->init_size = 4 * s->payload_bytes;
        }
        return s->entry64 && s->payload_bytes <= ENTRY64_OFFSET ? LOAD_BAD_SETUP : LOAD_OK;
}

/* Chooses where the kernel is loaded and claims what it will overwrite before it can read a memory map. */
static enum load_status place_kernel(struct place *p, const struct setup *s, uint64_t *load)
{
        const uint64_t bytes = s->init_size > s->payload_bytes ? s->init_size : s->payload_bytes;

        if (s->relocatable) {
                *load = s->pref_address;
                if (IS_ALIGNED(*load, s->alignment) && *load >= LOAD_ADDRESS &&
                    *load < p->req->mem.low_bytes && bytes <= p->req->mem.low_bytes - *load &&
                    place_claim(p, *load, bytes))
                        return LOAD_OK;
                return place_lowest(p, bytes, s->alignment, LOAD_ADDRESS, p->req->mem.low_bytes, load)
                               ? LOAD_OK
                               : LOAD_TOO_LARGE;
        }
        /* Loaded at 1 MiB, it moves itself to pref_address: everything from the one to the end of the other.
         */
        *load = LOAD_ADDRESS;
        if (s->pref_address >= SIZE_4G)
                return LOAD_BAD_SETUP;
        const uint64_t run_end = s->pref_address + bytes;
        const uint64_t end = run_end > LOAD_ADDRESS + bytes ? run_end : LOAD_ADDRESS + bytes;
        return place_claim(p, LOAD_ADDRESS, end - LOAD_ADDRESS) ? LOAD_OK : LOAD_TOO_LARGE;
}

/* Claims room for a structure of ours in low RAM and clears it. */
static bool claim_cleared(struct place *p, uint64_t bytes, uint64_t *at)
{
        if (!place_lowest(p, bytes, PAGE_SIZE, PLACE_FLOOR, p->req->mem.low_bytes, at))
                return false;
        place_write(p, *at, NULL, 0, bytes);
        return true;
}

static bool write_page_tables(struct place *p, uint64_t *cr3)
{
        if (!claim_cleared(p, IDENTITY_TABLES * PAGE_SIZE, cr3))
                return false;
        uint8_t *tables = guest_mem_at(&p->req->mem, L1GPA(*cr3), IDENTITY_TABLES * PAGE_SIZE);
        uint8_t *pointers = tables + PAGE_SIZE;
        uint8_t *directories = pointers + PAGE_SIZE;

        put(tables, (*cr3 + PAGE_SIZE) | PT_TABLE, 8);
        for (uint64_t i = 0; i < IDENTITY_GIB; i++)
                put(pointers + i * 8, (*cr3 + (2 + i) * PAGE_SIZE) | PT_TABLE, 8);
        for (uint64_t i = 0; i < IDENTITY_GIB * PT_ENTRIES; i++)
                put(directories + i * 8, i * SIZE_2M | PT_LEAF, 8);
        return true;
}

/* boot.rst "32-bit Boot Protocol", "64-bit Boot Protocol": selectors 0x10 (execute/read) and 0x18
 * (read/write), flat. Descriptor bits: SDM 3A "Segment Descriptors"; accessed is set so that the processor
 * need not write it. */
static bool write_gdt(struct place *p, bool code64, struct load_result *r)
{
        const uint64_t flat = 0x00cf92000000ffffull | BIT(40);
        const uint64_t executable = BIT(43), size32 = BIT(54), long_mode = BIT(53);
        const uint64_t code = flat | executable;
        const uint64_t gdt[] = {0, 0, code64 ? (code & ~size32) | long_mode : code, flat};

        if (!claim_cleared(p, sizeof(gdt), &r->gdt.raw))
                return false;
        place_write(p, r->gdt.raw, gdt, sizeof(gdt), sizeof(gdt));
        r->gdt_limit = sizeof(gdt) - 1;
        return true;
}

static void fill_zero_page(const struct place *p, const struct setup *s, uint8_t *zp, const uint64_t load)
{
        const struct load_request *req = p->req;

        memcpy(zp + HDR_START, req->kernel + HDR_START, s->header_end - HDR_START);
        zp[HDR_TYPE_OF_LOADER] = LOADER_TYPE_UNKNOWN;
        put(zp + HDR_CODE32_START, load, 4);
        put(zp + ZP_ACPI_RSDP, req->rsdp.raw, 8);
        zp[ZP_E820_ENTRIES] = (uint8_t)req->e820_count;
        for (size_t i = 0; i < req->e820_count; i++) {
                uint8_t *entry = zp + ZP_E820_TABLE + i * ZP_E820_ENTRY;
                put(entry, req->e820[i].base, 8);
                put(entry + 8, req->e820[i].bytes, 8);
                put(entry + 16, req->e820[i].type, 4);
        }
}
_Static_assert(ZP_E820_TABLE + LOAD_E820_MAX * ZP_E820_ENTRY <= ZP_BYTES && LOAD_E820_MAX <= UINT8_MAX,
               "e820");

/* initrd_addr_max is the last address that the initrd may occupy. */
static enum load_status place_initrd(struct place *p, const struct setup *s, uint8_t *zp)
{
        l1gpa_t at[LOAD_MODULES_MAX];

        if (p->req->module_count == 0 || p->req->modules[0].len == 0) {
                put(zp + HDR_RAMDISK_IMAGE, 0, 4);
                put(zp + HDR_RAMDISK_SIZE, 0, 4);
                return LOAD_OK;
        }
        const enum load_status status = place_modules(p, (uint64_t)s->initrd_addr_max + 1, at);
        if (status != LOAD_OK)
                return status;
        put(zp + HDR_RAMDISK_IMAGE, at[0].raw, 4);
        put(zp + HDR_RAMDISK_SIZE, p->req->modules[0].len, 4);
        return LOAD_OK;
}

static enum load_status write_boot_info(struct place *p, const struct setup *s, uint64_t load,
                                        struct load_result *r)
{
        const char *cmdline = p->req->cmdline ? p->req->cmdline : "";
        const uint64_t cmdline_bytes = strlen(cmdline) + 1;
        uint64_t cmdline_at;

        if (!claim_cleared(p, ZP_BYTES, &r->info.raw) || !claim_cleared(p, cmdline_bytes, &cmdline_at) ||
            !write_gdt(p, s->entry64, r) || (s->entry64 && !write_page_tables(p, &r->cr3.raw)))
                return LOAD_TOO_LARGE;
        uint8_t *zp = guest_mem_at(&p->req->mem, r->info, ZP_BYTES);
        fill_zero_page(p, s, zp, load);
        place_write(p, cmdline_at, cmdline, cmdline_bytes, cmdline_bytes);
        put(zp + HDR_CMD_LINE_PTR, cmdline_at, 4);
        return place_initrd(p, s, zp);
}

enum load_status bzimage_load(struct place *p, struct load_result *result)
{
        const struct load_request *req = p->req;
        struct setup s = {0};
        uint64_t load;
        enum load_status status = read_setup(req->kernel, req->kernel_len, &s);

        if (status != LOAD_OK)
                return status;
        if (req->module_count > 1)
                return LOAD_TOO_MANY_MODULES;
        if (req->cmdline && strlen(req->cmdline) > s.cmdline_size)
                return LOAD_CMDLINE_TOO_LONG;
        status = place_kernel(p, &s, &load);
        if (status != LOAD_OK)
                return status;
        place_write(p, load, req->kernel + s.payload, s.payload_bytes, s.payload_bytes);

        result->kind = s.entry64 ? ENTRY_LINUX64 : ENTRY_LINUX32;
        result->entry = L1GPA(load + (s.entry64 ? ENTRY64_OFFSET : 0));
        return write_boot_info(p, &s, load, result);
}
