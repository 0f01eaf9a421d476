/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/options.h"
#include "base/libc.h"
#include "trace/record.h"

#define VMX_PREFIX "vmx."

static bool number(const char *s, uint64_t *out)
{
        uint64_t v = 0;
        if (!*s)
                return false;
        for (; *s; s++) {
                const uint64_t digit = (uint64_t)(*s - '0');
                if (*s < '0' || *s > '9' || v > (UINT64_MAX - digit) / 10)
                        return false;
                v = v * 10 + digit;
        }
        *out = v;
        return true;
}

static bool mebibytes(const char *s, uint64_t *out)
{
        if (!number(s, out) || *out > UINT64_MAX >> 20)
                return false;
        *out <<= 20;
        return true;
}

static bool on_off(const char *s, bool *out)
{
        *out = strcmp(s, "on") == 0;
        return *out || strcmp(s, "off") == 0;
}

static bool guest_kind(const char *s, uint32_t *out)
{
        static const struct {
                const char *name;
                uint32_t kind;
        } kinds[] = { { "linux", GUEST_LINUX }, { "cascade", GUEST_CASCADE }, { "probe", GUEST_PROBE } };
        for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if (strcmp(s, kinds[i].name) == 0) {
                        *out = kinds[i].kind;
                        return true;
                }
        }
        return false;
}

/* Every key has a default, so that each may be left out. */
static bool one_word(const char *key, const char *value, struct options *o)
{
        uint64_t ignored;
        if (strcmp(key, "trace") == 0)
                return strcmp(value, "off") == 0 ? (o->trace_sectors = 0, true) : strcmp(value, "ata") == 0;
        if (strcmp(key, "trace.sectors") == 0)
                return number(value, &o->trace_sectors);
        if (strcmp(key, "tsc_hz") == 0)
                return number(value, &o->tsc_hz);
        if (strcmp(key, "memory") == 0)
                return mebibytes(value, &o->guest_bytes);
        if (strcmp(key, "guest") == 0)
                return guest_kind(value, &o->guest_kind);
        if (strcmp(key, "vmx") == 0)
                return on_off(value, &o->nested);
        if (strcmp(key, "vmx.locked") == 0) {
                o->unlocked = strcmp(value, "off") == 0;
                return o->unlocked || strcmp(value, "on") == 0;
        }
        if (strncmp(key, VMX_PREFIX, strlen(VMX_PREFIX)) == 0)
                return feature_option(&o->vmx, key + strlen(VMX_PREFIX), value);
        if (strcmp(key, "console") == 0) {
                o->console_uart = strcmp(value, "uart") == 0;
                return o->console_uart || strcmp(value, "e9") == 0 || strcmp(value, "auto") == 0;
        }
        return strcmp(key, "level") == 0 && number(value, &ignored);
}

static char *split_guest_part(char *text)
{
        for (char *s = text; *s; s++) {
                const bool starts_word = s == text || s[-1] == ' ';
                if (starts_word && s[0] == '-' && s[1] == '-' && (s[2] == ' ' || s[2] == 0)) {
                        char *rest = s[2] ? s + 3 : s + 2;
                        *s = 0;
                        return rest;
                }
        }
        return text + strlen(text);
}

bool options_parse(char *text, struct options *out, const char **bad)
{
        *out = (struct options){ .guest_kind = GUEST_UNKNOWN, .nested = true };
        out->guest_cmdline = split_guest_part(text);
        for (char *s = text; *s;) {
                if (*s == ' ') {
                        s++;
                        continue;
                }
                char *end = strchr(s, ' '), *equals = strchr(s, '=');
                char *const next = end ? end + 1 : s + strlen(s);
                if (end)
                        *end = 0;
                *bad = s;
                if (!equals || (end && equals > end))
                        return false;
                *equals = 0;
                const bool ok = one_word(s, equals + 1, out);
                *equals = '=';
                if (!ok)
                        return false;
                s = next;
        }
        return true;
}
