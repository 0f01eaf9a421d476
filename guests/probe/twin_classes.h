/* SPDX-License-Identifier: BSD-2-Clause */
/* twin_classes.h - the classes of twin.h in the order of the run. A new one: its word here, at the end, so that
 * numbers of cases stay; and WORD_count() and WORD_one() in a file of its own. */
#ifndef PROBE_TWIN_CLASSES_H
#define PROBE_TWIN_CLASSES_H

#include "twin.h"

#define TWIN_CLASSES(CLASS) \
        CLASS(control)      \
        CLASS(host)         \
        CLASS(guest)        \
        CLASS(legacy)       \
        CLASS(mixed)        \
        CLASS(toggle)       \
        CLASS(field)        \
        CLASS(event)        \
        CLASS(inval)        \
        CLASS(pointer)      \
        CLASS(list)         \
        CLASS(ept)          \
        CLASS(irq)          \
        CLASS(insn)

#define CLASS(word)              \
        unsigned word##_count(void); \
        void word##_one(struct twin *t, unsigned n);
TWIN_CLASSES(CLASS)
#undef CLASS

#endif
