/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a VMCS region, reached by any encodings: VMREAD and VMWRITE agree with a plain table of field values,
 * and neither the header nor another field ever changes.
 *
 * Input: bytes of the region, then accesses: 8 bytes of encoding, 8 of value, one to choose. */
#include "base/bug.h"
#include "input.h"
#include "nested/vmcs12.h"

#define HEADER_BYTES offsetof(struct vmcs12, vpid)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t model[VMCS_FIELD_COUNT];

static uint64_t field_mask(enum vmcs_width w)
{
        return w == W_U16 ? 0xffff : w == W_U32 ? 0xffffffff : ~0ull;
}

static void check_found(uint64_t enc, const struct vmcs_field_info *f)
{
        BUG_UNLESS((unsigned)f->id < VMCS_FIELD_COUNT);
        BUG_UNLESS((enc & ~1ull) == f->enc && !(enc & ~(uint64_t)FIELD_ENC_MASK));
        BUG_UNLESS(f->high == (enc & 1) && (!f->high || f->width == W_U64));
        BUG_UNLESS(f->width == (enc >> 13 & 3) && f->type == (enc >> 10 & 3));
}

static void access(struct vmcs12 *v, uint64_t enc, bool write, uint64_t value)
{
        struct vmcs_field_info f;
        if (!vmcs_field_find(enc, &f))
                return;
        check_found(enc, &f);
        if (write) {
                vmcs12_write(v, &f, value);
                if (f.high)
                        model[f.id] = (model[f.id] & 0xffffffff) | value << 32;
                else
                        model[f.id] = value & field_mask(f.width);
        }
        BUG_UNLESS(vmcs12_read(v, &f) == (f.high ? model[f.id] >> 32 : model[f.id]));
}

static void check_all(const struct vmcs12 *v)
{
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)id);
                BUG_UNLESS(vmcs12_read(v, &f) == model[id]);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = { data, size };
        struct vmcs12 v;
        uint8_t header[HEADER_BYTES];
        const size_t bytes = take_u16(&in) % (sizeof(v) + 1);
        memset(&v, 0, sizeof(v));
        take(&in, &v, bytes);
        memcpy(header, &v, sizeof(header));
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)id);
                model[id] = vmcs12_read(&v, &f);
                BUG_UNLESS(!(model[id] & ~field_mask(f.width)));
        }
        while (in.left) {
                const uint8_t how = take_u8(&in);
                const uint64_t any = take_u64(&in), value = take_u64(&in);
                const uint64_t known = vmcs_field_at((enum vmcs_field_id)(any % VMCS_FIELD_COUNT)).enc;
                access(&v, how & 2 ? any : known | (how >> 2 & 1), how & 1, value);
        }
        check_all(&v);
        BUG_UNLESS(memcmp(header, &v, sizeof(header)) == 0);
        return 0;
}
