/* SPDX-License-Identifier: BSD-2-Clause */
/* libc_names.h - gives the functions of src/base/libc.c names that the host's C library does not have, so
 * that a host program can test them. Forced in before that file; tests include it after all system headers.
 */
#ifndef CASCADE_TESTS_LIBC_NAMES_H
#define CASCADE_TESTS_LIBC_NAMES_H

#define memcpy           image_memcpy
#define memmove          image_memmove
#define memset           image_memset
#define memcmp           image_memcmp
#define strlen           image_strlen
#define strcmp           image_strcmp
#define strncmp          image_strncmp
#define strncpy          image_strncpy
#define strchr           image_strchr
#define snprintf         image_snprintf
#define vsnprintf        image_vsnprintf
#define malloc           image_malloc
#define calloc           image_calloc
#define realloc          image_realloc
#define free             image_free
#define qsort            image_qsort
#define __stack_chk_fail image_stack_chk_fail

#endif
