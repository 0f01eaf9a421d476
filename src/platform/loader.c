/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bits.h"
#include "base/bug.h"
#include "platform/bzimage_load.h"
#include "platform/elf_load.h"
#include "platform/loader.h"
#include "platform/pvh.h"

static enum load_status load_pvh(struct place *p, struct load_result *result)
{
        l1gpa_t module_at[LOAD_MODULES_MAX];
        enum load_status status = elf_load(p, &result->entry);

        if (status == LOAD_OK)
                status = pvh_claim(p, &result->info);
        if (status == LOAD_OK)
                status = place_modules(p, p->req->mem.low_bytes, module_at);
        if (status != LOAD_OK)
                return status;
        pvh_write(p, result->info, module_at);
        result->kind = ENTRY_PVH32;
        return LOAD_OK;
}

enum load_status guest_load(const struct load_request *req, struct load_result *result)
{
        struct place p = {.req = req};

        BUG_UNLESS(req->mem.low_bytes <= GUEST_LOW_MAX);
        *result = (struct load_result){0};
        if (req->module_count > LOAD_MODULES_MAX)
                return LOAD_TOO_MANY_MODULES;
        if (req->e820_count > LOAD_E820_MAX)
                return LOAD_BAD_MEMORY_MAP;
        if (elf_recognise(req->kernel, req->kernel_len))
                return load_pvh(&p, result);
        if (bzimage_recognise(req->kernel, req->kernel_len))
                return bzimage_load(&p, result);
        return LOAD_NOT_A_KERNEL;
}

const char *load_status_text(enum load_status status)
{
        static const char *const text[LOAD_STATUS_COUNT] = {
#define LOAD_STATUS_TEXT(name, words) [LOAD_##name] = (words),
                LOAD_STATUS_LIST(LOAD_STATUS_TEXT)
#undef LOAD_STATUS_TEXT
        };

        return (unsigned)status < LOAD_STATUS_COUNT ? text[status] : "unknown";
}
