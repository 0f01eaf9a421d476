/* SPDX-License-Identifier: BSD-2-Clause */
/* shadow.h - which fields of its VMCSs a guest hypervisor reaches without an exit. [pure] */
#ifndef CASCADE_SHADOW_VMCS_SHADOW_H
#define CASCADE_SHADOW_VMCS_SHADOW_H

#include "vmx/caps.h"

/* Fills the VMREAD and VMWRITE bitmaps, a page each (SDM 3C "VMCS Shadowing Bitmap Addresses"): a bit per encoding,
 * 1 = exit. Bits are clear for what fields.def marks RO or RW and the guest is offered. Fields that the silicon
 * lacks must keep their bits, as Bochs reports their VMfailValid into the wrong VMCS. */
void shadow_bitmaps_build(const struct vmx_caps *caps12, uint64_t *vmread_bitmap, uint64_t *vmwrite_bitmap);

#endif
