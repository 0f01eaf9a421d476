/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/checks_rules.h"

#define CHECK FAIL_UNLESS

struct check_fail check_controls(const struct vmcs12 *v, const struct check_env *e)
{
        const struct vmx_caps *c = e->caps;
#include "nested/checks_controls.def"
        return (struct check_fail){ .id = CHK_NONE };
}

struct check_fail check_tpr(const struct vmcs12 *v, const struct check_env *e)
{
#include "nested/checks_tpr.def"
        return (struct check_fail){ .id = CHK_NONE };
}

struct check_fail check_host(const struct vmcs12 *v, const struct check_env *e)
{
        const struct vmx_caps *c = e->caps;
#include "nested/checks_host.def"
        return (struct check_fail){ .id = CHK_NONE };
}
