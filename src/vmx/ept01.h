/* SPDX-License-Identifier: BSD-2-Clause */
/* ept01.h - the guest's RAM mapped for the processor. Built once: everything outside RAM stays unmapped, so that
 * an access there exits and is served by a device model or answered with all ones. */
#ifndef CASCADE_VMX_EPT01_H
#define CASCADE_VMX_EPT01_H

#include "base/guest_mem.h"
#include "mm/pool.h"
#include "vmx/caps.h"

/* What EPT01 says about one address. */
struct ept01_leaf {
        bool ram;            /* false: not mapped by EPT01, the rest is undefined */
        hpa_t hpa;           /* translation of exactly that address, offset included */
        unsigned page_shift; /* size of the leaf */
        unsigned rwx;        /* EPTE_R | _W | _X */
        unsigned memtype;    /* enum memtype */
        bool ipat;
};

/* Returns the EPTP. RAM must begin on a page and consist of whole pages. Leaves are as large as alignment and the
 * processor allow: 1 GiB, 2 MiB, 4 KiB. The pool must have room (one page per GiB and some): running out is a bug, as
 * nothing runs yet. */
uint64_t ept01_build(const struct guest_mem *mem, const struct vmx_caps *caps, struct page_pool *pool);

struct ept01_leaf ept01_lookup(uint64_t eptp01, l1gpa_t at);

#endif
