/* SPDX-License-Identifier: BSD-2-Clause */
/* Opcodes: ACPI specification, "ACPI Machine Language (AML) Specification"; resource descriptors: "Resource
 * Data Types for ACPI". */
#include "platform/aml.h"
#include "base/bits.h"
#include "base/libc.h"

#define OP_NAME       0x08
#define OP_BYTE       0x0a
#define OP_WORD       0x0b
#define OP_DWORD      0x0c
#define OP_SCOPE      0x10
#define OP_BUFFER     0x11
#define OP_PACKAGE    0x12
#define OP_EXT        0x5b
#define OP_EXT_DEVICE 0x82

/* Package lengths are always written in their two-byte form: 12 bits, known only at the end. */
#define PKG_LENGTH_BYTES 2
#define PKG_TWO_BYTES    0x40
#define PKG_LENGTH_MAX   0xfff

#define RES_IRQ       0x22 /* two bytes of mask, no flags: edge-triggered, active high */
#define RES_IO        0x47
#define RES_IO_16BIT  0x01
#define RES_END       0x79
#define RES_DWORD     0x87
#define RES_WORD      0x88
#define WINDOW_MEMORY 0
#define WINDOW_IO     1
#define WINDOW_BUS    2
#define WINDOW_FIXED  0x0c /* minimum and maximum are fixed; the bridge produces, decodes positively */
#define IO_ALL        0x03 /* ISA and non-ISA ranges */
#define MEMORY_RW     0x01

static void byte(struct aml *a, uint8_t v)
{
        aml_bytes(a, &v, 1);
}

static void little(struct aml *a, uint32_t v, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                byte(a, (uint8_t)(v >> 8 * i));
}

void aml_bytes(struct aml *a, const void *bytes, size_t n)
{
        if (a->overflow || n > a->cap - a->len) {
                a->overflow = true;
                return;
        }
        memcpy(a->at + a->len, bytes, n);
        a->len += n;
}

void aml_integer(struct aml *a, uint32_t v)
{
        const unsigned n = v <= 0xff ? 1 : v <= 0xffff ? 2 : 4;

        if (v <= 1) { /* ZeroOp and OneOp are their own values */
                byte(a, (uint8_t)v);
                return;
        }
        byte(a, n == 1 ? OP_BYTE : n == 2 ? OP_WORD : OP_DWORD);
        little(a, v, n);
}

static unsigned hex_digit(char c)
{
        return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

void aml_eisa_id(struct aml *a, const char *id)
{
        /* Three letters of five bits and four hex digits, stored big-endian. */
        const uint32_t v = ((uint32_t)(id[0] & 31) << 26) | ((uint32_t)(id[1] & 31) << 21) |
                           ((uint32_t)(id[2] & 31) << 16) | hex_digit(id[3]) << 12 | hex_digit(id[4]) << 8 |
                           hex_digit(id[5]) << 4 | hex_digit(id[6]);
        byte(a, OP_DWORD);
        little(a, __builtin_bswap32(v), 4);
}

static aml_mark begin(struct aml *a)
{
        const aml_mark m = { a->len };
        little(a, 0, PKG_LENGTH_BYTES);
        return m;
}

static void name_string(struct aml *a, const char *name)
{
        aml_bytes(a, name, strlen(name));
}

aml_mark aml_scope(struct aml *a, const char *name)
{
        byte(a, OP_SCOPE);
        const aml_mark m = begin(a);
        name_string(a, name);
        return m;
}

aml_mark aml_device(struct aml *a, const char *name)
{
        byte(a, OP_EXT);
        byte(a, OP_EXT_DEVICE);
        const aml_mark m = begin(a);
        name_string(a, name);
        return m;
}

void aml_name(struct aml *a, const char *name)
{
        byte(a, OP_NAME);
        name_string(a, name);
}

aml_mark aml_package(struct aml *a, uint8_t elements)
{
        byte(a, OP_PACKAGE);
        const aml_mark m = begin(a);
        byte(a, elements);
        return m;
}

void aml_end(struct aml *a, aml_mark m)
{
        const size_t length = a->len - m.at;

        if (a->overflow || length > PKG_LENGTH_MAX) {
                a->overflow = true;
                return;
        }
        a->at[m.at] = (uint8_t)(PKG_TWO_BYTES | (length & 0xf));
        a->at[m.at + 1] = (uint8_t)(length >> 4);
}

struct aml_crs aml_crs(struct aml *a)
{
        struct aml_crs c;

        aml_name(a, "_CRS");
        byte(a, OP_BUFFER);
        c.buffer = begin(a);
        byte(a, OP_WORD);
        c.size_at = a->len;
        little(a, 0, 2);
        return c;
}

void aml_crs_end(struct aml *a, struct aml_crs c)
{
        byte(a, RES_END);
        byte(a, 0); /* checksum 0: not checked */
        if (a->overflow)
                return;
        const size_t size = a->len - (c.size_at + 2);
        a->at[c.size_at] = (uint8_t)size;
        a->at[c.size_at + 1] = (uint8_t)(size >> 8);
        aml_end(a, c.buffer);
}

void aml_crs_io(struct aml *a, uint16_t port, uint8_t ports)
{
        byte(a, RES_IO);
        byte(a, RES_IO_16BIT);
        little(a, port, 2); /* minimum */
        little(a, port, 2); /* maximum */
        byte(a, 1);         /* alignment */
        byte(a, ports);
}

void aml_crs_irq(struct aml *a, unsigned irq)
{
        byte(a, RES_IRQ);
        little(a, (uint32_t)BIT(irq), 2);
}

static void window(struct aml *a, uint8_t type, uint8_t specific, unsigned width, uint32_t from, uint32_t to)
{
        byte(a, width == 4 ? RES_DWORD : RES_WORD);
        little(a, 3 + 5 * width, 2);
        byte(a, type);
        byte(a, WINDOW_FIXED);
        byte(a, specific);
        little(a, 0, width); /* granularity */
        little(a, from, width);
        little(a, to, width);
        little(a, 0, width); /* translation */
        little(a, to - from + 1, width);
}

void aml_crs_bus_window(struct aml *a, uint16_t from, uint16_t to)
{
        window(a, WINDOW_BUS, 0, 2, from, to);
}

void aml_crs_io_window(struct aml *a, uint16_t from, uint16_t to)
{
        window(a, WINDOW_IO, IO_ALL, 2, from, to);
}

void aml_crs_memory_window(struct aml *a, uint32_t from, uint32_t to)
{
        window(a, WINDOW_MEMORY, MEMORY_RW, 4, from, to);
}
