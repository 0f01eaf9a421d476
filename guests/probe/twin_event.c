/* SPDX-License-Identifier: BSD-2-Clause */
/* Class event: events of every type into guests in every state, some of which cannot take them: exceptions
 * while an event is delivered, to the double and the triple fault. SDM 3C "Event Injection". */
#include "base/x86.h"
#include "twin_classes.h"

#define TYPES     7u /* without "other", which an emulator that lacks MTF does not survive */
#define VARIANTS  9u
#define NOT_CANON BIT(62)
#define UNMAPPED  BIT(45) /* by the guest's page tables */
#define NO_MEMORY BIT(38) /* by EPT */

static const uint8_t vectors[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,  12, 13,
                                  14, 15, 16, 17, 18, 19, 20, 21, 30, 31, 32, 128, 255};

unsigned event_count(void)
{
        return TYPES * ARRAY_LEN(vectors) * 2 * VARIANTS;
}

/* Why the guest may not be able to take the event. */
static void obstacle(struct twin *t)
{
        static const uint64_t places[] = {NOT_CANON, UNMAPPED, NO_MEMORY};
        const bool wide = t->at == BASE_64;
        const uint64_t place = wide ? places[twin_random(t) % ARRAY_LEN(places)] : BIT(30);
        switch (twin_random(t) % 8) {
        case 0:
                twin_set(t, F_guest_rsp, (wide ? place : 0) + 0x1000);
                break;
        case 1:
                twin_set(t, F_guest_idtr_base, place == NOT_CANON ? UNMAPPED : place);
                break;
        case 2:
                twin_set(t, F_guest_idtr_limit, twin_random(t) % 0x400);
                break;
        case 3:
                twin_set(t, F_guest_gdtr_base, place == NOT_CANON ? UNMAPPED : place);
                break;
        case 4:
                twin_set(t, F_guest_gdtr_limit, 7);
                break;
        default:
                break;
        }
}

static void guest_state(struct twin *t)
{
        const uint64_t r = twin_random(t);
        if (r & 3)
                twin_set(t, F_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
        if (!(r >> 2 & 3))
                twin_set(t, F_guest_interruptibility, BIT(r >> 4 & 3) & ~(uint64_t)INTRBLK_SMI);
        if (!(r >> 6 & 7))
                twin_set(t, F_guest_activity, ACTIVITY_HLT);
        if (!(r >> 9 & 3))
                twin_set(t, F_pin_ctls, twin_get(t, F_pin_ctls) | PIN_NMI | PIN_VIRTUAL_NMI);
        switch (r >> 11 & 3) {
        case 0:
                twin_set(t, F_exception_bitmap, 0);
                break;
        case 1:
                twin_set(t, F_exception_bitmap, twin_random(t));
                break;
        case 2:
                twin_set(t, F_exception_bitmap, BIT(VEC_DF));
                break;
        }
}

void event_one(struct twin *t, unsigned n)
{
        const unsigned kind = n / VARIANTS;
        const unsigned type = kind / 2 / ARRAY_LEN(vectors), vector = vectors[kind / 2 % ARRAY_LEN(vectors)];
        const bool error = kind & 1;
        /* Half of the error codes are where they belong: elsewhere the entry only fails. */
        twin_use(t, n % VARIANTS % TWIN_BASES);
        twin_what(t, " base %u", t->at);
        twin_set(t, F_entry_intr_info, INTR_VALID | (error ? INTR_ERROR_VALID : 0) | type << 8 | vector);
        if (error)
                twin_set(t, F_entry_error_code, twin_random(t) & 0x7fff);
        if (type >= INTR_TYPE_SW_INTR)
                twin_set(t, F_entry_insn_len, twin_random(t) % 17);
        guest_state(t);
        if (n % VARIANTS > 3)
                obstacle(t);
        twin_run(t);
}
