/* SPDX-License-Identifier: BSD-2-Clause */
/* VMCSs as a processor holds them: SDM 3C "Software Use of the VMCS and Related Structures". While a VMCS is
 * active its data is in the processor and its memory holds something else; VMCLEAR writes it back, in a
 * format of the processor's own. */
#include <string.h>
#include "hw/vmx_ops.h"
#include "processor.h"

#define IMAGE_AT    16
#define IMAGE_SEAL  0xc0de5ea1ed0f7e57ull
#define IMAGE_MASK  0xa5a5a5a5a5a5a5a5ull
#define POISON_AT   8 /* behind the revision and the VMX-abort indicator */
#define IMAGE_WORDS (sizeof(struct vmcs12) / 8)

/* What memory holds of a VMCS that is not active. */
struct image {
        uint64_t seal, region;
        uint64_t words[IMAGE_WORDS];
        uint64_t sum;
};
_Static_assert(sizeof(struct vmcs12) % 8 == 0 && IMAGE_AT + sizeof(struct image) <= PAGE_SIZE, "fits a region");

static uint64_t sum_of(const struct image *m)
{
        uint64_t sum = m->region;
        for (size_t i = 0; i < IMAGE_WORDS; i++)
                sum = (sum << 7 | sum >> 57) ^ m->words[i];
        return sum;
}

static struct image *image_at(uint64_t region)
{
        return (struct image *)((uint8_t *)ptr_of(HPA(region)) + IMAGE_AT);
}

static uint32_t first_word(uint64_t region)
{
        return *(const uint32_t *)ptr_of(HPA(region));
}

static void store(struct cached_vmcs *c)
{
        struct image *m = image_at(c->region);
        memcpy(m->words, &c->v, sizeof(c->v));
        for (size_t i = 0; i < IMAGE_WORDS; i++)
                m->words[i] ^= IMAGE_MASK;
        m->seal = IMAGE_SEAL;
        m->region = c->region;
        m->sum = sum_of(m);
}

static bool load(struct cached_vmcs *c)
{
        const struct image *m = image_at(c->region);
        if (m->seal != IMAGE_SEAL || m->region != c->region || m->sum != sum_of(m))
                return false;
        for (size_t i = 0; i < IMAGE_WORDS; i++) {
                const uint64_t word = m->words[i] ^ IMAGE_MASK;
                memcpy((uint8_t *)&c->v + 8 * i, &word, 8);
        }
        return true;
}

static void poison(struct cached_vmcs *c)
{
        c->poison = (uint8_t)rng_any(&cpu.rng);
        memset((uint8_t *)ptr_of(HPA(c->region)) + POISON_AT, c->poison, PAGE_SIZE - POISON_AT);
}

static void expect_untouched(const struct cached_vmcs *c)
{
        const uint8_t *at = (const uint8_t *)ptr_of(HPA(c->region)) + POISON_AT;
        MODEL_REQUIRE(first_word(c->region) == c->word, "the first word of an active VMCS was changed from %#x to %#x",
                      c->word, first_word(c->region));
        MODEL_REQUIRE(at[0] == c->poison && !memcmp(at, at + 1, PAGE_SIZE - POISON_AT - 1),
                      "the memory of an active VMCS was written");
}

static void check_region(uint64_t region, const char *what)
{
        MODEL_REQUIRE(cpu.vmxon && !cpu.in_guest, "%s outside of VMX root operation", what);
        MODEL_REQUIRE(IS_ALIGNED(region, PAGE_SIZE) && model_owns(region, PAGE_SIZE), "%s with pointer %#llx", what,
                      (unsigned long long)region);
        MODEL_REQUIRE(region != cpu.vmxon_region, "%s with the VMXON pointer", what);
}

struct cached_vmcs *vmcs_find(uint64_t region)
{
        for (struct cached_vmcs *c = cpu.vmcs; c < cpu.vmcs + MODEL_VMCSS; c++)
                if (c->region == region)
                        return c;
        return NULL;
}

static struct cached_vmcs *slot_for(uint64_t region)
{
        struct cached_vmcs *c = vmcs_find(region);
        if (!c)
                c = vmcs_find(0);
        MODEL_REQUIRE(c, "more than %d VMCSs", MODEL_VMCSS);
        c->region = region;
        return c;
}

struct cached_vmcs *vmcs_activate(uint64_t region)
{
        const uint32_t word = first_word(region);
        MODEL_REQUIRE((word & ~VMCS_REVISION_SHADOW) == GET(cpu.caps.basic, BASIC_REVISION), "a VMCS of revision %#x",
                      word);
        MODEL_REQUIRE(!(word & VMCS_REVISION_SHADOW) || cpu.has.shadow,
                      "a shadow VMCS, which this processor does not know");
        struct cached_vmcs *c = slot_for(region);
        if (c->active) {
                MODEL_REQUIRE(word == c->word, "the shadow-VMCS indicator was changed without VMCLEAR");
                return c;
        }
        MODEL_REQUIRE(load(c), "a VMCS is used that no VMCLEAR prepared");
        c->active = true;
        c->launched = false;
        c->word = word;
        poison(c);
        return c;
}

static void garbage(void *at, size_t bytes)
{
        for (size_t i = 0; i < bytes; i += 8) {
                const uint64_t word = rng_any(&cpu.rng);
                memcpy((uint8_t *)at + i, &word, 8);
        }
}

enum hw_status hw_vmclear(hpa_t region)
{
        check_region(region.raw, "VMCLEAR");
        struct cached_vmcs *c = slot_for(region.raw);
        const bool shadow = c->active && (c->word & VMCS_REVISION_SHADOW);
        if (c->active && (sabotaged(shadow ? SABOTAGE_VMCLEAR_TO_02 : SABOTAGE_VMCLEAR_TO_01)))
                return HW_OK;
        if (c->active) {
                expect_untouched(c);
        } else if (!load(c)) {
                garbage(&c->v, sizeof(c->v)); /* never used: its fields are undefined */
        }
        if (cpu.current == c)
                cpu.current = NULL;
        c->active = c->launched = false;
        store(c);
        return HW_OK;
}

enum hw_status hw_vmptrld(hpa_t region)
{
        check_region(region.raw, "VMPTRLD");
        if (cpu.current && rng_one_in(&cpu.rng, 1000) && sabotaged(SABOTAGE_VMPTRLD))
                return HW_OK;
        cpu.current = vmcs_activate(region.raw);
        return HW_OK;
}

void vmcs_switch_owned(uint64_t clear, uint64_t to)
{
        struct cached_vmcs *c = vmcs_find(clear), *l = vmcs_find(to);
        MODEL_REQUIRE(c && l, "HC_VMCS_SWITCH of a VMCS that is not owned");
        c->launched = false;
        c->word = first_word(clear);
        l->word = first_word(to);
        cpu.current = vmcs_activate(to);
}

bool model_field_find(uint64_t enc, struct vmcs_field_info *f)
{
        return vmcs_field_find(enc, f) && vmcs_field_exists(f, &cpu.caps);
}

uint64_t vmread(uint64_t field)
{
        struct vmcs_field_info f;
        MODEL_REQUIRE(cpu.current && !cpu.in_guest, "VMREAD without a current VMCS");
        MODEL_REQUIRE(model_field_find(field, &f), "VMREAD of a field that does not exist: %#llx",
                      (unsigned long long)field);
        return vmcs12_read(&cpu.current->v, &f);
}

static bool write_sabotaged(const struct vmcs_field_info *f)
{
        const bool is_02 = cpu.run && cpu.current->region != cpu.run->v.vmcs01.region.raw;
        switch (f->enc) {
        case F_eptp:
                return is_02 && sabotaged(SABOTAGE_WRITE_EPTP);
        case F_vmcs_link:
                return sabotaged(SABOTAGE_WRITE_LINK);
        case F_proc_ctls:
                return is_02 && sabotaged(SABOTAGE_WRITE_CONTROLS);
        case F_entry_intr_info:
                return sabotaged(SABOTAGE_WRITE_EVENT);
        case F_guest_efer:
                return sabotaged(SABOTAGE_WRITE_EFER);
        }
        return false;
}

enum hw_status hw_vmwrite(uint64_t field, uint64_t value)
{
        struct vmcs_field_info f;
        MODEL_REQUIRE(cpu.current && !cpu.in_guest, "VMWRITE without a current VMCS");
        if (!model_field_find(field, &f))
                return HW_FAIL_VALID;
        if (f.type == TYPE_READ_ONLY && !cpu.has.vmwrite_any)
                return HW_FAIL_VALID;
        if (cpu.sabotage && write_sabotaged(&f))
                return HW_OK;
        vmcs12_write(&cpu.current->v, &f, value);
        return HW_OK;
}

void vmwrite(uint64_t field, uint64_t value)
{
        MODEL_REQUIRE(hw_vmwrite(field, value) == HW_OK, "VMWRITE of field %s is refused", vmcs_field_name(field));
}
