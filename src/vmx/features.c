/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmx/features.h"
#include "base/libc.h"
#include "vmx/controls.h"

#define NONE      { FEATURE_none }
#define ONE(a)    { FEATURE_##a }
#define TWO(a, b) { FEATURE_##a, FEATURE_##b }

#define ROW(id, kind, word, bits, since, ...)                                                                \
        [FEATURE_##id] = { #id, KIND_##kind, WORD_##word, GENERATION_##since, bits, __VA_ARGS__ },
#define FEATURE(id, word, bits, since, needs, text)  ROW(id, FEATURE, word, bits, since, needs)
#define DEFAULT1(id, word, bits, since, needs, text) ROW(id, DEFAULT1, word, bits, since, needs)
#define ABSENT(id, word, bits, since, needs, text)   ROW(id, ABSENT, word, bits, since, needs)

static const struct feature_info table[FEATURE_COUNT] = {
#include "vmx/features.def"
};

static const char *const generations[GENERATION_COUNT] = {
#define GENERATION(id, text) #id,
#include "vmx/generations.def"
#undef GENERATION
};

const struct feature_info *feature_info(enum feature f)
{
        return &table[f];
}

static bool like(struct feature_mask *mask, const char *value)
{
        for (unsigned g = 0; g < GENERATION_COUNT; g++) {
                if (strcmp(generations[g], value) != 0)
                        continue;
                for (unsigned f = FEATURE_none + 1; f < FEATURE_COUNT; f++)
                        mask->off[f] = mask->off[f] || table[f].since > g;
                return true;
        }
        return false;
}

bool feature_option(struct feature_mask *mask, const char *name, const char *value)
{
        const bool on = strcmp(value, "on") == 0;
        if (strcmp(name, "like") == 0)
                return like(mask, value);
        if (!on && strcmp(value, "off") != 0)
                return false;
        for (unsigned f = FEATURE_none + 1; f < FEATURE_COUNT; f++) {
                if (strcmp(table[f].name, name) != 0)
                        continue;
                mask->off[f] = !on;
                return table[f].kind != (on ? KIND_ABSENT : KIND_DEFAULT1);
        }
        return false;
}
