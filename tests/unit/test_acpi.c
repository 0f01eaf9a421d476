/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* memmem */
#include "suite.h"
#include <string.h>
#include "platform/acpi.h"
#include "platform/aml.h"
#include "platform/pc.h"

static uint8_t ram[0x100000];
static const struct guest_mem mem = { .ram = ram, .low_bytes = sizeof(ram) };

static uint64_t get(const uint8_t *t, unsigned offset, unsigned bytes)
{
        uint64_t v = 0;
        memcpy(&v, t + offset, bytes);
        return v;
}

static uint8_t sum(const uint8_t *t, size_t n)
{
        uint8_t s = 0;
        while (n--)
                s = (uint8_t)(s + t[n]);
        return s;
}

static const uint8_t *at(uint64_t l1gpa)
{
        const uint8_t *t = guest_mem_at(&mem, L1GPA(l1gpa), 36);
        ck_assert_ptr_nonnull(t);
        ck_assert_uint_ge(l1gpa, ACPI_AREA);
        ck_assert_uint_lt(l1gpa, ACPI_AREA + ACPI_AREA_BYTES);
        return t;
}

static const uint8_t *table(uint64_t l1gpa, const char *signature, unsigned revision)
{
        const uint8_t *t = at(l1gpa);
        ck_assert_mem_eq(t, signature, 4);
        ck_assert_uint_eq(t[8], revision);
        ck_assert_uint_le(get(t, 4, 4), ACPI_AREA_BYTES);
        ck_assert_uint_eq(sum(t, get(t, 4, 4)), 0);
        return t;
}

static const uint8_t *xsdt_after_build(unsigned cpus)
{
        const struct acpi_config cfg = { .cpus = cpus };
        memset(ram, 0xaa, sizeof(ram));
        const l1gpa_t rsdp = acpi_build(&mem, &cfg);
        ck_assert_uint_eq(rsdp.raw, ACPI_AREA);
        const uint8_t *r = at(rsdp.raw);
        ck_assert_mem_eq(r, "RSD PTR ", 8);
        ck_assert_uint_eq(r[15], 2);
        ck_assert_uint_eq(sum(r, 20), 0);
        ck_assert_uint_eq(sum(r, 36), 0);
        ck_assert_uint_eq(get(r, 20, 4), 36);
        return table(get(r, 24, 8), "XSDT", 1);
}

START_TEST(fadt)
{
        const uint8_t *x = xsdt_after_build(1);
        ck_assert_uint_eq(get(x, 4, 4), 36 + 2 * 8);
        const uint8_t *f = table(get(x, 36, 8), "FACP", 6);
        ck_assert_uint_eq(get(f, 4, 4), 276);
        ck_assert_uint_eq(get(f, 40, 4), get(f, 140, 8)); /* DSDT, both forms */
        table(get(f, 40, 4), "DSDT", 2);
        ck_assert_uint_eq(get(f, 36, 4), get(f, 132, 8)); /* FACS */
        ck_assert_mem_eq(at(get(f, 36, 4)), "FACS", 4);
        ck_assert_uint_eq(get(f, 36, 4) % 64, 0);
        ck_assert_uint_eq(get(at(get(f, 36, 4)), 4, 4), 64);
        ck_assert_uint_eq(get(f, 46, 2), 9);
        ck_assert_uint_eq(get(f, 48, 4), 0); /* no SMI command */
        ck_assert_uint_eq(get(f, 56, 4), 0x600);
        ck_assert_uint_eq(get(f, 64, 4), 0x604);
        ck_assert_uint_eq(get(f, 76, 4), 0x608);
        ck_assert_uint_eq(get(f, 108, 1), RTC_CENTURY);
        ck_assert_uint_eq(get(f, 109, 2), 0xd);
        ck_assert_uint_eq(get(f, 112, 4), 0x575);
        ck_assert_uint_eq(get(f, 116, 4), 0x01000801);
        ck_assert_uint_eq(get(f, 120, 8), 0xcf9);
        ck_assert_uint_eq(get(f, 128, 1), 6);
        ck_assert_uint_eq(get(f, 148, 4), 0x02002001);
        ck_assert_uint_eq(get(f, 152, 8), 0x600);
        ck_assert_uint_eq(get(f, 172, 4), 0x02001001);
        ck_assert_uint_eq(get(f, 176, 8), 0x604);
        ck_assert_uint_eq(get(f, 208, 4), 0x03002001);
        ck_assert_uint_eq(get(f, 212, 8), 0x608);
        for (unsigned i = 220; i < 276; i++)
                ck_assert_uint_eq(f[i], 0); /* no general-purpose events, no sleep registers */
}
END_TEST

START_TEST(madt)
{
        static const uint8_t tail[] = {
                1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0, /* I/O APIC */
                2, 10, 0, 0, 2, 0, 0, 0, 0x00, 0,                /* interrupt 0 -> pin 2 */
                2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0,                /* SCI: level, high */
                4, 6, 0xff, 0, 0, 1,                             /* NMI on LINT1 */
        };
        for (unsigned cpus = 1; cpus <= LAPIC_MAX; cpus++) {
                const uint8_t *m = table(get(xsdt_after_build(cpus), 44, 8), "APIC", 3);
                ck_assert_uint_eq(get(m, 4, 4), 44 + 8 * cpus + sizeof(tail));
                ck_assert_uint_eq(get(m, 36, 4), 0xfee00000);
                ck_assert_uint_eq(get(m, 40, 4), 1);
                for (unsigned i = 0; i < cpus; i++) {
                        const uint8_t want[8] = { 0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0 };
                        ck_assert_mem_eq(m + 44 + 8 * i, want, 8);
                }
                ck_assert_mem_eq(m + 44 + 8 * cpus, tail, sizeof(tail));
        }
}
END_TEST

START_TEST(dsdt)
{
        static const uint8_t s5[] = {0x08, '\\', '_',  'S', '5',  '_', 0x12, 0x49,
                                     0x00, 4,    0x0a, 5,   0x0a, 5,   0,    0};
        static const char *const names[] = { "\\_SB_", "PCI0", "COM1", "COM2", "RTC_", "TIMR", "PIC_" };
        const uint8_t *d = table(get(table(get(xsdt_after_build(1), 36, 8), "FACP", 6), 40, 4), "DSDT", 2);
        const size_t n = get(d, 4, 4);
        ck_assert_mem_eq(d + 36, s5, sizeof(s5));
        for (unsigned i = 0; i < ARRAY_LEN(names); i++)
                ck_assert_ptr_nonnull(memmem(d, n, names[i], strlen(names[i])));
        /* The one scope reaches to the end: its length is right. */
        const uint8_t *scope = d + 36 + sizeof(s5);
        ck_assert_uint_eq(scope[0], 0x10);
        ck_assert_ptr_eq(scope + 1 + ((scope[1] & 0xf) | scope[2] << 4), d + n);
}
END_TEST

START_TEST(nothing_outside_the_area)
{
        xsdt_after_build(LAPIC_MAX);
        size_t touched = 0;
        for (size_t i = 0; i < sizeof(ram); i++)
                touched += (i < ACPI_AREA || i >= ACPI_AREA + ACPI_AREA_BYTES) && ram[i] != 0xaa;
        ck_assert_uint_eq(touched, 0);
}
END_TEST

START_TEST(refused)
{
        const struct guest_mem small = { .ram = ram, .low_bytes = ACPI_AREA + ACPI_AREA_BYTES - 1 };
        const struct acpi_config one = { .cpus = 1 }, many = { .cpus = LAPIC_MAX + 1 };
        ck_assert_uint_eq(acpi_build(&small, &one).raw, 0);
        ck_assert_uint_eq(acpi_build(&mem, &many).raw, 0);
}
END_TEST

START_TEST(aml_encodings)
{
        static const uint8_t want[] = { 0, 1, 0x0a, 2, 0x0a, 0xff, 0x0b, 0, 1, 0x0c, 0, 0, 1, 0,
                                        0x0c, 0x41, 0xd0, 0x0a, 0x03 };
        uint8_t buf[64];
        struct aml a = { .at = buf, .cap = sizeof(buf) };
        aml_integer(&a, 0);
        aml_integer(&a, 1);
        aml_integer(&a, 2);
        aml_integer(&a, 0xff);
        aml_integer(&a, 0x100);
        aml_integer(&a, 0x10000);
        aml_eisa_id(&a, "PNP0A03");
        ck_assert_uint_eq(a.len, sizeof(want));
        ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(aml_overflow)
{
        uint8_t buf[40];
        for (size_t cap = 0; cap < sizeof(buf); cap++) {
                struct aml a = { .at = buf, .cap = cap };
                memset(buf, 0xee, sizeof(buf));
                const aml_mark m = aml_device(&a, "ABCD");
                const struct aml_crs c = aml_crs(&a);
                aml_crs_io(&a, 0x3f8, 8);
                aml_crs_irq(&a, 4);
                aml_crs_end(&a, c);
                aml_end(&a, m);
                ck_assert_int_eq(a.overflow, cap < 32);
                for (size_t i = cap; i < sizeof(buf); i++)
                        ck_assert_uint_eq(buf[i], 0xee);
        }
}
END_TEST

int main(void)
{
        return RUN_SUITE("acpi", fadt, madt, dsdt, nothing_outside_the_area, refused, aml_encodings,
                         aml_overflow);
}
