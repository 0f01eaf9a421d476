/* SPDX-License-Identifier: BSD-2-Clause */
/* bug.h - for broken invariants of our own, never for a guest's input. Never compiled out. */
#ifndef CASCADE_BASE_BUG_H
#define CASCADE_BASE_BUG_H

/* Prints what is known and stops with a failing exit status. The image supplies one (src/boot/panic.c),
 * host programs another (tests/support/bug.c). */
_Noreturn void bug(const char *file, int line, const char *what);

#define BUG_UNLESS(cond)                                                                                     \
        do {                                                                                                 \
                if (__builtin_expect(!(cond), 0))                                                            \
                        bug(__FILE__, __LINE__, #cond);                                                      \
        } while (0)

#endif
