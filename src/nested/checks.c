/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/checks.h"

static const struct {
        const char *name, *sdm;
} rows[CHECK_COUNT] = {
        [CHK_NONE] = { "none", "" },
#define CHECK(id, how, heading, ok) [CHK_##id] = { #id, heading },
#include "nested/checks.def"
#undef CHECK
};

const char *check_name(enum check_id id)
{
        return id < CHECK_COUNT ? rows[id].name : "?";
}

const char *check_sdm(enum check_id id)
{
        return id < CHECK_COUNT ? rows[id].sdm : "?";
}
