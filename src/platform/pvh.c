/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bits.h"
#include "base/bug.h"
#include "base/libc.h"
#include "platform/pvh.h"

/* Where the parts are, as offsets from start_info: all structures are multiples of 8 bytes, the strings come
 * last. */
struct layout {
        uint64_t modules;
        uint64_t memmap;
        uint64_t cmdline;
        uint64_t module_cmdlines;
        uint64_t bytes;
};

static uint64_t string_bytes(const char *s)
{
        return s ? strlen(s) + 1 : 0;
}

static struct layout lay_out(const struct load_request *req)
{
        struct layout l;

        l.modules = sizeof(struct pvh_start_info);
        l.memmap = l.modules + req->module_count * sizeof(struct pvh_module);
        l.cmdline = l.memmap + req->e820_count * sizeof(struct pvh_memmap);
        l.module_cmdlines = l.cmdline + (req->cmdline ? string_bytes(req->cmdline) : 1);
        l.bytes = l.module_cmdlines;
        for (size_t i = 0; i < req->module_count; i++)
                l.bytes += string_bytes(req->modules[i].cmdline);
        return l;
}

enum load_status pvh_claim(struct place *p, l1gpa_t *start_info)
{
        const uint64_t bytes = lay_out(p->req).bytes;

        return place_lowest(p, bytes, PAGE_SIZE, PLACE_FLOOR, p->req->mem.low_bytes, &start_info->raw)
                       ? LOAD_OK
                       : LOAD_TOO_LARGE;
}

static void write_modules(const struct place *p, uint64_t base, const struct layout *l,
                          const l1gpa_t *module_at)
{
        uint64_t string = l->module_cmdlines;

        for (size_t i = 0; i < p->req->module_count; i++) {
                const struct load_module *m = &p->req->modules[i];
                const struct pvh_module entry = {
                        .base = module_at[i].raw,
                        .bytes = m->len,
                        .cmdline = m->cmdline ? base + string : 0,
                };
                place_write(p, base + l->modules + i * sizeof(entry), &entry, sizeof(entry), sizeof(entry));
                place_write(p, base + string, m->cmdline, string_bytes(m->cmdline), string_bytes(m->cmdline));
                string += string_bytes(m->cmdline);
        }
}

void pvh_write(const struct place *p, l1gpa_t start_info, const l1gpa_t module_at[LOAD_MODULES_MAX])
{
        const struct load_request *req = p->req;
        const struct layout l = lay_out(req);
        const uint64_t base = start_info.raw;
        const char *cmdline = req->cmdline ? req->cmdline : "";
        const struct pvh_start_info info = {
                .magic = PVH_MAGIC,
                .version = PVH_VERSION,
                .module_count = (uint32_t)req->module_count,
                .modules = req->module_count ? base + l.modules : 0,
                .cmdline = base + l.cmdline,
                .rsdp = req->rsdp.raw,
                .memmap = base + l.memmap,
                .memmap_count = (uint32_t)req->e820_count,
        };

        place_write(p, base, &info, sizeof(info), l.bytes);
        for (size_t i = 0; i < req->e820_count; i++) {
                const struct pvh_memmap entry = {
                        .base = req->e820[i].base, .bytes = req->e820[i].bytes, .type = req->e820[i].type};
                place_write(p, base + l.memmap + i * sizeof(entry), &entry, sizeof(entry), sizeof(entry));
        }
        place_write(p, base + l.cmdline, cmdline, strlen(cmdline) + 1, strlen(cmdline) + 1);
        write_modules(p, base, &l, module_at);
}
