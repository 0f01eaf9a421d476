/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/fields.h"
#include "base/bug.h"

#define ENC_GROUP(enc) (((enc) >> 13 & 3) * 4 + ((enc) >> 10 & 3)) /* width and type */
#define ENC_INDEX(enc) ((enc) >> 1 & 0x1ff)
#define GROUPS         16
#define INDICES        26 /* one more than the highest index of fields.def */

#define FIELD(name, enc, w, h, s, n)                                                                         \
        _Static_assert(((enc) >> 13 & 3) == W_##w && !((enc)&1) && !((enc) & ~0x6ffe), #name);               \
        _Static_assert(ENC_INDEX(enc) < INDICES, #name);                                                     \
        _Static_assert(HOME_##h == HOME_HW || SHADOW_##s == SHADOW_NONE, #name);
#include "vmx/fields.def"
#undef FIELD

static const struct {
        uint16_t enc;
        uint8_t home, shadow, needs;
        const char *name;
} fields[VMCS_FIELD_COUNT] = {
#define FIELD(name, enc, w, h, s, n) [FI_##name] = { (enc), HOME_##h, SHADOW_##s, NEEDS_##n, #name },
#include "vmx/fields.def"
#undef FIELD
};

/* Dense index of each encoding, plus one; 0 where there is no field. */
static const uint8_t by_encoding[GROUPS][INDICES] = {
#define FIELD(name, enc, w, h, s, n) [ENC_GROUP(enc)][ENC_INDEX(enc)] = FI_##name + 1,
#include "vmx/fields.def"
#undef FIELD
};
_Static_assert(VMCS_FIELD_COUNT < 255, "dense indices fit by_encoding");

bool vmcs_field_find(uint64_t enc, struct vmcs_field_info *out)
{
        if ((enc & ~FIELD_ENC_MASK) || GET(enc, FIELD_ENC_INDEX) >= INDICES)
                return false;
        const unsigned slot = by_encoding[ENC_GROUP(enc)][ENC_INDEX(enc)];
        if (slot == 0)
                return false;
        const struct vmcs_field_info f = vmcs_field_at(slot - 1);
        if ((enc & FIELD_ENC_HIGH) && f.width != W_U64)
                return false;
        *out = f;
        out->high = enc & FIELD_ENC_HIGH;
        return true;
}

struct vmcs_field_info vmcs_field_at(enum vmcs_field_id id)
{
        BUG_UNLESS(id < VMCS_FIELD_COUNT);
        return (struct vmcs_field_info){
                .enc = fields[id].enc,
                .id = id,
                .width = GET(fields[id].enc, FIELD_ENC_WIDTH),
                .type = GET(fields[id].enc, FIELD_ENC_TYPE),
                .home = fields[id].home,
                .shadow = fields[id].shadow,
                .needs = fields[id].needs,
        };
}

const char *vmcs_field_name(uint64_t enc)
{
        struct vmcs_field_info f;
        return vmcs_field_find(enc, &f) ? fields[f.id].name : "?";
}

unsigned vmcs_width_bytes(enum vmcs_width w)
{
        static const uint8_t bytes[] = { [W_U16] = 2, [W_U32] = 4, [W_U64] = 8, [W_NAT] = 8 };
        BUG_UNLESS(w < ARRAY_LEN(bytes));
        return bytes[w];
}

unsigned vmcs_max_index(void)
{
        return INDICES - 1;
}
