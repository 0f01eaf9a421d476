/* SPDX-License-Identifier: BSD-2-Clause */
/* fields.h - names, encodings and properties of VMCS fields, expanded from fields.def. [pure]
 *
 * F_<name> is the encoding that VMREAD and VMWRITE take; FI_<name> a dense index (0 .. VMCS_FIELD_COUNT - 1)
 * for tables with one entry per field. Owns no state. Encodings a guest supplies go through
 * vmcs_field_find(), which accepts any value and fails for those that name no field of this table; whether a
 * processor with given capabilities has the field is vmcs_field_exists() in caps.h. */
#ifndef CASCADE_VMX_FIELDS_H
#define CASCADE_VMX_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/bits.h"

enum vmcs_field {
#define FIELD(name, enc, w, h, s, n) F_##name = (enc),
#include "vmx/fields.def"
#undef FIELD
};

enum vmcs_field_id {
#define FIELD(name, enc, w, h, s, n) FI_##name,
#include "vmx/fields.def"
#undef FIELD
        VMCS_FIELD_COUNT
};

/* SDM 3D "Field Encoding in VMCS": layout of an encoding. */
#define FIELD_ENC_HIGH  BIT(0) /* access type: the upper half of a 64-bit field */
#define FIELD_ENC_INDEX BITS(9, 1)
#define FIELD_ENC_TYPE  BITS(11, 10) /* enum vmcs_type */
#define FIELD_ENC_WIDTH BITS(14, 13) /* enum vmcs_width */
#define FIELD_ENC_MASK  (FIELD_ENC_HIGH | FIELD_ENC_INDEX | FIELD_ENC_TYPE | FIELD_ENC_WIDTH)

enum vmcs_width { W_U16, W_U64, W_U32, W_NAT };                         /* as encoded */
enum vmcs_type { TYPE_CONTROL, TYPE_READ_ONLY, TYPE_GUEST, TYPE_HOST }; /* as encoded */
enum vmcs_home { HOME_SW, HOME_HW };
enum vmcs_shadow { SHADOW_NONE, SHADOW_RO, SHADOW_RW };

enum vmcs_needs {
        NEEDS_ALWAYS,
        NEEDS_SECONDARY,
        NEEDS_TPR_SHADOW,
        NEEDS_MSR_BITMAP,
        NEEDS_APIC_ACCESS,
        NEEDS_EPT,
        NEEDS_VPID,
        NEEDS_VID,
        NEEDS_PI,
        NEEDS_PLE,
        NEEDS_VMFUNC,
        NEEDS_EPTP_SWITCHING,
        NEEDS_SHADOW,
        NEEDS_VE,
        NEEDS_XSAVES,
        NEEDS_ENCLS,
        NEEDS_SPP,
        NEEDS_TSC_SCALING,
        NEEDS_PML,
        NEEDS_PREEMPTION_TIMER,
        NEEDS_PAT,
        NEEDS_EFER,
        NEEDS_PERF_GLOBAL,
        NEEDS_BNDCFGS,
};

/* C types of the widths; natural width is 64 bits on the processors cascade runs on. */
typedef uint16_t vmcs_U16;
typedef uint32_t vmcs_U32;
typedef uint64_t vmcs_U64;
typedef uint64_t vmcs_NAT;

struct vmcs_field_info {
        uint32_t enc; /* encoding of the full access, also where `high` is set */
        enum vmcs_field_id id;
        enum vmcs_width width;
        enum vmcs_type type;
        enum vmcs_home home;
        enum vmcs_shadow shadow;
        enum vmcs_needs needs;
        bool high; /* the encoding asked for bits 63:32 of a 64-bit field */
};

/* What `enc` names, or false: reserved bits set, no such field, or a high access to a field that has no
 * halves. */
bool vmcs_field_find(uint64_t enc, struct vmcs_field_info *out);

/* The field with this dense index. */
struct vmcs_field_info vmcs_field_at(enum vmcs_field_id id);

/* Name as in fields.def, also for the high half; "?" if the encoding names nothing. */
const char *vmcs_field_name(uint64_t enc);

/* Bytes a field holds: 8 for natural width. */
unsigned vmcs_width_bytes(enum vmcs_width w);

/* Highest index used by any encoding: IA32_VMX_VMCS_ENUM[9:1]. */
unsigned vmcs_max_index(void);

#endif
