/* SPDX-License-Identifier: BSD-2-Clause */
/* Layouts: ACPI specification, "ACPI Software Programming Model". Every table is written field by field:
 * offset, width, value. */
#include "platform/acpi.h"
#include "base/bits.h"
#include "base/libc.h"
#include "platform/aml.h"
#include "platform/pc.h"

#define HEADER_BYTES  36
#define AT_LENGTH     4
#define AT_REVISION   8
#define AT_CHECKSUM   9
#define AT_OEM_ID     10
#define AT_OEM_TABLE  16
#define AT_OEM_REV    24
#define AT_CREATOR    28
#define AT_CREATOR_REV 32

#define RSDP_BYTES 36
#define FACS_BYTES 64
#define FADT_BYTES 276 /* revision 6 */
#define SCI_IRQ    9
#define GSI_PIT    2

/* The device hole that the host bridge offers, below the APICs. */
#define MMIO_WINDOW     0xd0000000u
#define MMIO_WINDOW_END 0xfebfffffu

/* FADT flags and boot architecture flags. No fixed buttons (a set bit means: not here, or a device of the
 * DSDT). */
#define FADT_WBINVD       BIT(0)
#define FADT_PROC_C1      BIT(2)
#define FADT_NO_PWR       BIT(4)
#define FADT_NO_SLP       BIT(5)
#define FADT_NO_FIX_RTC   BIT(6)
#define FADT_TMR_32BIT    BIT(8)
#define FADT_RESET_REG    BIT(10)
#define FADT_FLAGS        (FADT_WBINVD | FADT_PROC_C1 | FADT_NO_PWR | FADT_NO_SLP | FADT_NO_FIX_RTC | \
                           FADT_TMR_32BIT | FADT_RESET_REG)
#define BOOT_LEGACY       BIT(0)
#define BOOT_NO_VGA       BIT(2)
#define BOOT_NO_MSI       BIT(3)
#define BOOT_FLAGS        (BOOT_LEGACY | BOOT_NO_VGA | BOOT_NO_MSI) /* and no 8042: nothing to probe for */
#define GAS_IO            1
#define C2_NONE           101  /* latencies beyond the limits: state not supported */
#define C3_NONE           1001

#define MADT_PCAT_COMPAT  BIT(0) /* there is a pair of 8259s to mask */
#define MADT_LAPIC        0
#define MADT_IOAPIC       1
#define MADT_OVERRIDE     2
#define MADT_LAPIC_NMI    4
#define MADT_ALL_CPUS     0xff
#define INTI_CONFORMS     0x0
#define INTI_HIGH_LEVEL   0xd

/* Bump allocation within the area. Once an allocation fails, `at` stays NULL and every later one fails. */
struct area {
        uint8_t *bytes;
        size_t used;
        bool overflow;
};

static uint8_t *take(struct area *a, size_t bytes, size_t align)
{
        const size_t at = (size_t)ALIGN_UP(a->used, align);

        if (a->overflow || bytes > ACPI_AREA_BYTES || at > ACPI_AREA_BYTES - bytes) {
                a->overflow = true;
                return NULL;
        }
        a->used = at + bytes;
        memset(a->bytes + at, 0, bytes);
        return a->bytes + at;
}

static uint64_t address_of(const struct area *a, const uint8_t *table)
{
        return ACPI_AREA + (uint64_t)(table - a->bytes);
}

static void put(uint8_t *table, size_t offset, unsigned bytes, uint64_t v)
{
        for (unsigned i = 0; i < bytes; i++)
                table[offset + i] = (uint8_t)(v >> 8 * i);
}

static uint8_t checksum(const uint8_t *bytes, size_t n)
{
        uint8_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum = (uint8_t)(sum + bytes[i]);
        return (uint8_t)-sum;
}

static void finish(uint8_t *t, const char *signature, uint8_t revision, size_t bytes)
{
        memcpy(t, signature, 4);
        put(t, AT_LENGTH, 4, bytes);
        t[AT_REVISION] = revision;
        memcpy(t + AT_OEM_ID, "CASCAD", 6);
        memcpy(t + AT_OEM_TABLE, "CASCADPC", 8);
        put(t, AT_OEM_REV, 4, 1);
        memcpy(t + AT_CREATOR, "CSCD", 4);
        put(t, AT_CREATOR_REV, 4, 1);
        t[AT_CHECKSUM] = 0;
        t[AT_CHECKSUM] = checksum(t, bytes);
}

/* ---- DSDT ---- */

struct isa_device {
        const char *name, *hid;
        uint8_t uid;
        uint16_t port[2]; /* second: 0 if none */
        uint8_t ports;
        uint8_t irq;
};

static const struct isa_device isa_devices[] = {
        { "COM1", "PNP0501", 1, { 0x3f8, 0 }, UART_PORTS, 4 },
        { "COM2", "PNP0501", 2, { 0x2f8, 0 }, UART_PORTS, 3 },
        { "RTC_", "PNP0B00", 0, { RTC_INDEX_PORT, 0 }, 2, 8 },
        { "TIMR", "PNP0100", 0, { PIT_PORT, 0 }, 4, 0 },
        { "PIC_", "PNP0000", 0, { PIC_MASTER, PIC_SLAVE }, 2, 2 },
};

static void dsdt_isa_device(struct aml *a, const struct isa_device *d)
{
        const aml_mark m = aml_device(a, d->name);

        aml_name(a, "_HID");
        aml_eisa_id(a, d->hid);
        aml_name(a, "_UID");
        aml_integer(a, d->uid);
        const struct aml_crs crs = aml_crs(a);
        for (unsigned i = 0; i < 2 && d->port[i]; i++)
                aml_crs_io(a, d->port[i], d->ports);
        aml_crs_irq(a, d->irq);
        aml_crs_end(a, crs);
        aml_end(a, m);
}

/* Ports that belong to the board itself, so that nothing is ever placed there. */
static void dsdt_board(struct aml *a)
{
        const aml_mark m = aml_device(a, "SYSR");

        aml_name(a, "_HID");
        aml_eisa_id(a, "PNP0C02");
        const struct aml_crs crs = aml_crs(a);
        aml_crs_io(a, PM1A_EVENT_PORT, PM_PORT_END - PM1A_EVENT_PORT);
        aml_crs_io(a, PIC_ELCR, 2);
        aml_crs_end(a, crs);
        aml_end(a, m);
}

static void dsdt_host_bridge(struct aml *a)
{
        const aml_mark m = aml_device(a, "PCI0");

        aml_name(a, "_HID");
        aml_eisa_id(a, "PNP0A03");
        aml_name(a, "_UID");
        aml_integer(a, 0);
        const struct aml_crs crs = aml_crs(a);
        aml_crs_bus_window(a, 0, 0xff);
        aml_crs_io(a, PCI_ADDRESS_PORT, 8);
        aml_crs_io_window(a, 0, PCI_ADDRESS_PORT - 1);
        aml_crs_io_window(a, PCI_DATA_PORT + 4, 0xffff);
        aml_crs_memory_window(a, MMIO_WINDOW, MMIO_WINDOW_END);
        aml_crs_end(a, crs);
        dsdt_board(a);
        for (size_t i = 0; i < ARRAY_LEN(isa_devices); i++)
                dsdt_isa_device(a, &isa_devices[i]);
        aml_end(a, m);
}

static uint8_t *build_dsdt(struct area *area)
{
        uint8_t *t = take(area, HEADER_BYTES, 16);

        if (!t)
                return NULL;
        struct aml a = { .at = t, .len = HEADER_BYTES, .cap = ACPI_AREA_BYTES - (size_t)(t - area->bytes) };
        /* Name (\_S5, Package { SLP_TYPa, SLP_TYPb, 0, 0 }) */
        aml_name(&a, "\\_S5_");
        const aml_mark s5 = aml_package(&a, 4);
        aml_integer(&a, PM_SLEEP_S5);
        aml_integer(&a, PM_SLEEP_S5);
        aml_integer(&a, 0);
        aml_integer(&a, 0);
        aml_end(&a, s5);
        const aml_mark sb = aml_scope(&a, "\\_SB_");
        dsdt_host_bridge(&a);
        aml_end(&a, sb);
        if (a.overflow) {
                area->overflow = true;
                return NULL;
        }
        area->used += a.len - HEADER_BYTES;
        finish(t, "DSDT", 2, a.len);
        return t;
}

/* ---- the other tables ---- */

static uint8_t *build_facs(struct area *area)
{
        uint8_t *t = take(area, FACS_BYTES, 64);

        if (!t)
                return NULL;
        memcpy(t, "FACS", 4);
        put(t, AT_LENGTH, 4, FACS_BYTES);
        put(t, 32, 1, 2); /* version */
        return t;
}

/* Generic Address Structure of an I/O port; access size: 1 byte, 2 word, 3 dword. */
static void put_gas(uint8_t *t, size_t offset, uint16_t port, uint8_t bits, uint8_t access)
{
        put(t, offset, 1, GAS_IO);
        put(t, offset + 1, 1, bits);
        put(t, offset + 3, 1, access);
        put(t, offset + 4, 8, port);
}

static uint8_t *build_fadt(struct area *area, uint64_t facs, uint64_t dsdt)
{
        uint8_t *t = take(area, FADT_BYTES, 16);

        if (!t)
                return NULL;
        put(t, 36, 4, facs);
        put(t, 40, 4, dsdt);
        put(t, 46, 2, SCI_IRQ); /* no SMI command port: ACPI mode is always on */
        put(t, 56, 4, PM1A_EVENT_PORT);
        put(t, 64, 4, PM1A_CONTROL_PORT);
        put(t, 76, 4, PM_TIMER_PORT);
        put(t, 88, 1, 4); /* lengths: PM1 event, control, timer */
        put(t, 89, 1, 2);
        put(t, 91, 1, 4);
        put(t, 96, 2, C2_NONE);
        put(t, 98, 2, C3_NONE);
        put(t, 108, 1, RTC_CENTURY);
        put(t, 109, 2, BOOT_FLAGS);
        put(t, 112, 4, FADT_FLAGS);
        put_gas(t, 116, PC_RESET_PORT, 8, 1);
        put(t, 128, 1, PC_RESET_VALUE);
        put(t, 132, 8, facs);
        put(t, 140, 8, dsdt);
        put_gas(t, 148, PM1A_EVENT_PORT, 32, 2);
        put_gas(t, 172, PM1A_CONTROL_PORT, 16, 2);
        put_gas(t, 208, PM_TIMER_PORT, 32, 3);
        finish(t, "FACP", 6, FADT_BYTES);
        return t;
}

static uint8_t *madt_entry(struct area *area, uint8_t type, uint8_t bytes)
{
        uint8_t *e = take(area, bytes, 1);

        if (!e)
                return NULL;
        e[0] = type;
        e[1] = bytes;
        return e;
}

static void madt_lapic(struct area *area, unsigned cpu)
{
        uint8_t *e = madt_entry(area, MADT_LAPIC, 8);

        if (!e)
                return;
        put(e, 2, 1, cpu);
        put(e, 3, 1, cpu);
        put(e, 4, 4, 1); /* enabled */
}

static void madt_override(struct area *area, uint8_t irq, uint8_t gsi, uint16_t flags)
{
        uint8_t *e = madt_entry(area, MADT_OVERRIDE, 10);

        if (!e)
                return;
        put(e, 3, 1, irq); /* on bus 0, ISA */
        put(e, 4, 4, gsi);
        put(e, 8, 2, flags);
}

static uint8_t *build_madt(struct area *area, unsigned cpus)
{
        uint8_t *t = take(area, HEADER_BYTES + 8, 16);

        for (unsigned i = 0; i < cpus; i++)
                madt_lapic(area, i);
        uint8_t *io = madt_entry(area, MADT_IOAPIC, 12);
        if (io)
                put(io, 4, 4, IOAPIC_BASE); /* id 0, global interrupts from 0 */
        madt_override(area, 0, GSI_PIT, INTI_CONFORMS);
        madt_override(area, SCI_IRQ, SCI_IRQ, INTI_HIGH_LEVEL);
        uint8_t *nmi = madt_entry(area, MADT_LAPIC_NMI, 6);
        if (!nmi)
                return NULL;
        put(nmi, 2, 1, MADT_ALL_CPUS);
        put(nmi, 5, 1, 1); /* LINT1 */
        put(t, 36, 4, LAPIC_BASE_RESET);
        put(t, 40, 4, MADT_PCAT_COMPAT);
        finish(t, "APIC", 3, (size_t)(area->bytes + area->used - t));
        return t;
}

static uint8_t *build_xsdt(struct area *area, uint64_t fadt, uint64_t madt)
{
        uint8_t *t = take(area, HEADER_BYTES + 16, 16);

        if (!t)
                return NULL;
        put(t, 36, 8, fadt);
        put(t, 44, 8, madt);
        finish(t, "XSDT", 1, HEADER_BYTES + 16);
        return t;
}

l1gpa_t acpi_build(const struct guest_mem *mem, const struct acpi_config *cfg)
{
        struct area area = { .bytes = guest_mem_at(mem, L1GPA(ACPI_AREA), ACPI_AREA_BYTES) };

        if (!area.bytes || cfg->cpus > LAPIC_MAX)
                return L1GPA(0);
        uint8_t *rsdp = take(&area, RSDP_BYTES, 16);
        const uint8_t *facs = build_facs(&area);
        const uint8_t *dsdt = build_dsdt(&area);
        if (!rsdp || !facs || !dsdt)
                return L1GPA(0);
        const uint8_t *fadt = build_fadt(&area, address_of(&area, facs), address_of(&area, dsdt));
        const uint8_t *madt = build_madt(&area, cfg->cpus);
        if (!fadt || !madt)
                return L1GPA(0);
        const uint8_t *xsdt = build_xsdt(&area, address_of(&area, fadt), address_of(&area, madt));
        if (!xsdt)
                return L1GPA(0);
        memcpy(rsdp, "RSD PTR ", 8);
        memcpy(rsdp + 9, "CASCAD", 6);
        rsdp[15] = 2;                  /* revision; no RSDT */
        put(rsdp, 20, 4, RSDP_BYTES);
        put(rsdp, 24, 8, address_of(&area, xsdt));
        rsdp[8] = checksum(rsdp, 20);  /* the part that ACPI 1.0 knew */
        rsdp[32] = checksum(rsdp, RSDP_BYTES);
        return L1GPA(ACPI_AREA);
}
