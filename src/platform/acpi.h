/* SPDX-License-Identifier: BSD-2-Clause */
/* acpi.h - the ACPI tables of the guest's PC. [pure]
 * RSDP, XSDT, FADT (revision 6), FACS, MADT and DSDT, written into the reserved part of the first megabyte,
 * where guests search for the RSDP and pc_e820() keeps them from using the memory. */
#ifndef CASCADE_PLATFORM_ACPI_H
#define CASCADE_PLATFORM_ACPI_H

#include "base/guest_mem.h"

#define ACPI_AREA       0xf0000ull /* l1gpa; the RSDP is its first byte */
#define ACPI_AREA_BYTES 0x4000

struct acpi_config {
        unsigned cpus; /* APIC IDs 0..cpus-1 */
};

/* Address of the RSDP, or 0 if the guest's RAM or the area is too small (nothing usable was written). */
l1gpa_t acpi_build(const struct guest_mem *mem, const struct acpi_config *cfg);

#endif
