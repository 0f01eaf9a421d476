/* SPDX-License-Identifier: BSD-2-Clause */
/* view.h - the guest's memory as one of its instructions sees it: segments, then paging, then RAM. [pure]
 *
 * The caller fills struct guest_view from the VMCS for the length of one exit. Every access ends in bytes
 * copied, or in what the guest must get instead (struct guest_fault), or in VIEW_NOT_RAM: the address is fine
 * but no RAM answers there. Nothing here changes guest state, except accessed and dirty flags and the bytes
 * written. */
#ifndef CASCADE_EMULATE_VIEW_H
#define CASCADE_EMULATE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/guest_mem.h"
#include "emulate/paging.h"

/* Numbered as in VM-exit instruction information. */
enum seg_reg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, NR_SEG_REGS };

struct guest_segment {
        uint64_t base;
        uint32_t limit; /* in bytes, as the VMCS holds it */
        uint32_t ar;    /* access rights in VMCS format */
};

struct guest_view {
        const struct guest_mem *mem;
        struct guest_paging paging;
        struct guest_segment seg[NR_SEG_REGS];
        uint8_t mode_bits; /* 64 in 64-bit mode (EFER.LMA and CS.L), else 32 or 16 by CS.D */
};

enum view_status {
        VIEW_OK,
        VIEW_FAULT,   /* the exception in struct guest_fault is due */
        VIEW_NOT_RAM, /* guest_fault.at says where: device memory or nothing at all */
};

struct guest_fault {
        uint8_t vector;
        bool has_error_code;
        uint32_t error_code;
        uint64_t cr2; /* for #PF and VIEW_NOT_RAM: the linear address */
        l1gpa_t at;   /* for VIEW_NOT_RAM */
        uint8_t use;  /* for VIEW_NOT_RAM: what for, ACCESS_WRITE, _FETCH, _STRUCTURE */
};

#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_PF 14

/* The linear address of `bytes` bytes at `offset` in a segment, after the checks of SDM 3A "Limit Checking"
 * and "Type Checking", or false and #GP(0) or #SS(0). `offset` is already cut to the address size; access is
 * a combination of ACCESS_*. */
bool view_linear(const struct guest_view *v, enum seg_reg seg, uint64_t offset, uint64_t bytes,
                 unsigned access, uint64_t *linear, struct guest_fault *fault);

/* Copies n <= GUEST_LINEAR_MAX bytes, all or nothing. */
enum view_status view_read(const struct guest_view *v, enum seg_reg seg, uint64_t offset, void *dst, size_t n,
                           struct guest_fault *fault);
enum view_status view_write(const struct guest_view *v, enum seg_reg seg, uint64_t offset, const void *src,
                            size_t n, struct guest_fault *fault);

/* What view_write() of n >= 1 bytes would answer, without writing. */
enum view_status view_probe_write(const struct guest_view *v, enum seg_reg seg, uint64_t offset, size_t n,
                                  struct guest_fault *fault);

/* Reads the instruction at RIP: as many bytes as can be fetched, at most `max` <= INSN_BYTES_MAX, into *got.
 * Fails only if not even the first byte can be. */
#define INSN_BYTES_MAX 15
enum view_status view_fetch(const struct guest_view *v, uint64_t rip, uint8_t *dst, size_t max, size_t *got,
                            struct guest_fault *fault);

#endif
