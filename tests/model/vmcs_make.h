/* SPDX-License-Identifier: BSD-2-Clause */
/* vmcs_make.h - VMCSs that pass the checks of VM entry, and changes of them that keep them so, or do not. */
#ifndef CASCADE_TESTS_MODEL_VMCS_MAKE_H
#define CASCADE_TESTS_MODEL_VMCS_MAKE_H

#include "ref.h"
#include "rng.h"

/* A guest in 64-bit mode on tree 0, without EPT, and a host state that goes on in 64-bit mode. */
void vmcs_valid(const struct vmx_caps *caps12, struct vmcs12 *v);

/* A field and what to write to it. */
struct field_write {
        uint32_t enc;
        uint64_t value;
};
#define CHANGE_MAX 6
/* A random legal change of *v, as writes to be made; their number. */
unsigned vmcs_change(struct rng *rng, const struct vmx_caps *caps12, const struct vmcs12 *v,
                     struct field_write out[CHANGE_MAX]);
/* A random change of any field to anything near a limit. */
void vmcs_spoil(struct rng *rng, const struct vmx_caps *caps12, const struct vmcs12 *v, struct field_write *out);

#endif
