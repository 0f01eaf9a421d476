/* SPDX-License-Identifier: BSD-2-Clause */
/* root.h - putting one processor into VMX root operation. */
#ifndef CASCADE_VMX_ROOT_H
#define CASCADE_VMX_ROOT_H

#include "base/exit_status.h"
#include "mm/pool.h"
#include "vmx/caps.h"

/* Checks that the processor has VMX, that firmware did not lock it off, and what cascade cannot do without
 * (EPT, unrestricted guest, ...); fills caps. EXIT_STATUS_OK, or the status whose text says what is missing. */
enum exit_status vmx_probe(struct vmx_caps *caps);

/* Enters VMX operation. A VMXON region stays taken from the pool. */
void vmx_root_enter(const struct vmx_caps *caps, struct page_pool *pool);

/* A VMCS region of our own, cleared, with the revision the processor wants. */
hpa_t vmcs_region_alloc(const struct vmx_caps *caps, struct page_pool *pool);

/* Drops what the processor may have cached of guest-physical translations of one EPTP, or of everything. */
void ept_flush(const struct vmx_caps *caps, uint64_t eptp);
void vpid_flush(const struct vmx_caps *caps, uint16_t vpid);

#endif
