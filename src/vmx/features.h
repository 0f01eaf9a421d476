/* SPDX-License-Identifier: BSD-2-Clause */
/* features.h - the features that a guest hypervisor can be offered, expanded from features.def. [pure]
 *
 * A feature is a bit of a VMX capability MSR (or a few bits of one meaning). caps12_derive() offers what the silicon has and
 * cascade virtualizes; a struct feature_mask says what the user does not want offered. */
#ifndef CASCADE_VMX_FEATURES_H
#define CASCADE_VMX_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

enum feature {
        FEATURE_none,
#define FEATURE(id, word, bits, since, needs, text)  FEATURE_##id,
#define DEFAULT1(id, word, bits, since, needs, text) FEATURE_##id,
#define ABSENT(id, word, bits, since, needs, text)   FEATURE_##id,
#include "vmx/features.def"
#undef FEATURE
#undef DEFAULT1
#undef ABSENT
        FEATURE_COUNT
};

/* Where the bits of a feature are: members of struct vmx_caps. */
enum feature_word {
        WORD_PIN,
        WORD_PROC,
        WORD_PROC2,
        WORD_EXIT,
        WORD_ENTRY,
        WORD_EPT_VPID,
        WORD_VMFUNC,
        WORD_MISC,
        WORD_BASIC,
        WORD_COUNT
};

enum feature_kind { KIND_FEATURE, KIND_DEFAULT1, KIND_ABSENT };

enum generation {
#define GENERATION(id, text) GENERATION_##id,
#include "vmx/generations.def"
#undef GENERATION
        GENERATION_COUNT
};

#define FEATURE_NEEDS_MAX 2

struct feature_info {
        const char *name;
        enum feature_kind kind;
        enum feature_word word;
        enum generation since;
        uint64_t bits;
        enum feature needs[FEATURE_NEEDS_MAX]; /* FEATURE_none: no more */
};

/* The row of a feature; FEATURE_none has none. */
const struct feature_info *feature_info(enum feature f);

/* What is not to be offered. All zero: everything is. */
struct feature_mask {
        bool off[FEATURE_COUNT];
};

/* Reads one option, `vmx.NAME=off`, `vmx.NAME=on` or `vmx.like=GENERATION`, without its "vmx.", into the mask; a later one
 * counts. False: no such name; on for what is never offered; off for a control that has to be 1. */
bool feature_option(struct feature_mask *mask, const char *name, const char *value);

#endif
