/* SPDX-License-Identifier: BSD-2-Clause */
/* loader.h - puts a kernel image, its modules and its boot information into the guest's RAM. [pure]
 *
 * Takes ELF executables with a PVH entry note (32 or 64 bit) and Linux bzImages of boot protocol 2.06 or
 * later. The images live outside the guest's RAM and are hostile input: every offset and size is checked
 * before use, and nothing is written but through guest_mem_at(). Only RAM that the memory map calls usable is
 * written.
 *
 * On failure guest RAM may hold parts of the image and *result is not to be used; nothing else has happened.
 * The strings and the memory map are the caller's and trusted to be well formed in memory (terminated,
 * counted). */
#ifndef CASCADE_PLATFORM_LOADER_H
#define CASCADE_PLATFORM_LOADER_H

#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/guest_mem.h"
#include "platform/e820.h"

#define LOAD_MODULES_MAX 16
#define LOAD_E820_MAX    128 /* what a Linux zero page has room for */

struct load_module {
        const uint8_t *bytes;
        uint64_t len;
        const char *cmdline; /* NULL: none */
};

struct load_request {
        struct guest_mem mem;
        const uint8_t *kernel;
        uint64_t kernel_len;
        const struct load_module *modules; /* of a Linux guest: the first one is the initrd */
        size_t module_count;
        const char *cmdline; /* NULL: empty */
        const struct e820_entry *e820;
        size_t e820_count;
        l1gpa_t rsdp; /* 0: the guest searches for itself */
};

/* LOAD_STATUS(name, "text") */
#define LOAD_STATUS_LIST(LOAD_STATUS)                                                                        \
        LOAD_STATUS(OK, "loaded")                                                                            \
        LOAD_STATUS(NOT_A_KERNEL, "the kernel is neither an ELF executable nor a bzImage")                   \
        LOAD_STATUS(TRUNCATED, "the kernel is truncated")                                                    \
        LOAD_STATUS(TOO_LARGE, "the kernel does not fit into the guest's RAM")                               \
        LOAD_STATUS(INITRD_TOO_LARGE, "the initrd or a module does not fit into the guest's RAM")            \
        LOAD_STATUS(BAD_ELF, "the kernel's ELF headers contradict themselves")                               \
        LOAD_STATUS(WRONG_MACHINE, "the kernel is an ELF file but no x86 executable")                        \
        LOAD_STATUS(NO_PVH_NOTE, "the kernel is an ELF file without a PVH entry point")                      \
        LOAD_STATUS(BAD_ENTRY, "the kernel's entry point lies outside of what it loads")                     \
        LOAD_STATUS(OLD_PROTOCOL, "the bzImage's boot protocol is older than 2.06 or it is a zImage")        \
        LOAD_STATUS(BAD_SETUP, "the bzImage's setup header contradicts itself")                              \
        LOAD_STATUS(CMDLINE_TOO_LONG, "the command line is longer than the kernel takes")                    \
        LOAD_STATUS(TOO_MANY_MODULES, "more modules than the kernel's boot protocol takes")                  \
        LOAD_STATUS(BAD_MEMORY_MAP, "the memory map has more entries than the boot protocol takes")

enum load_status {
#define LOAD_STATUS_ENUM(name, text) LOAD_##name,
        LOAD_STATUS_LIST(LOAD_STATUS_ENUM)
#undef LOAD_STATUS_ENUM
        LOAD_STATUS_COUNT
};

/* How the guest's processor has to be set up before the first instruction at `entry`. Interrupts are off and
 * all registers not named here are 0. Flat segments have base 0 and limit 4 GiB.
 *
 * PVH32    protected mode without paging, flat 32-bit segments; EBX = info, a struct pvh_start_info
 * LINUX32  as above, but CS = LINUX_BOOT_CS, the others LINUX_BOOT_DS, GDTR = gdt; ESI = info, the zero page
 * LINUX64  long mode with CR3 = cr3; segments as for LINUX32 but a 64-bit CS; RSI = info, the zero page */
enum entry_kind { ENTRY_PVH32, ENTRY_LINUX32, ENTRY_LINUX64 };

#define LINUX_BOOT_CS 0x10
#define LINUX_BOOT_DS 0x18

struct load_result {
        enum entry_kind kind;
        l1gpa_t entry;
        l1gpa_t info;
        l1gpa_t gdt; /* ENTRY_LINUX*: a GDT in the guest's RAM with the two selectors above; else 0 */
        uint16_t gdt_limit;
        l1gpa_t cr3; /* ENTRY_LINUX64: page tables in the guest's RAM that map [0, 4 GiB) to itself; else 0 */
};

enum load_status guest_load(const struct load_request *req, struct load_result *result);

/* One line for people; for a value that is no enum load_status, "unknown". */
const char *load_status_text(enum load_status status);

#endif
