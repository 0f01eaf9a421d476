/* SPDX-License-Identifier: BSD-2-Clause */
/* aml.h - writes ACPI Machine Language: just what a small DSDT needs. [pure]
 * The caller owns the buffer. Running out of it sets `overflow` and writes nothing more; look at it at the
 * end. */
#ifndef CASCADE_PLATFORM_AML_H
#define CASCADE_PLATFORM_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
        uint8_t *at;
        size_t len;
        size_t cap;
        bool overflow;
};

/* Where an open package (scope, device, buffer) began, for aml_end(). */
typedef struct { size_t at; } aml_mark;

void aml_bytes(struct aml *a, const void *bytes, size_t n);
void aml_integer(struct aml *a, uint32_t v);
/* "PNP0A03" in the compressed form of EISA ids. */
void aml_eisa_id(struct aml *a, const char *id);

/* name: one segment of four characters, or "\\" and one. */
aml_mark aml_scope(struct aml *a, const char *name);
aml_mark aml_device(struct aml *a, const char *name);
/* Name (name, ...): the value follows. */
void aml_name(struct aml *a, const char *name);
aml_mark aml_package(struct aml *a, uint8_t elements);
void aml_end(struct aml *a, aml_mark m);

/* Name (_CRS, ResourceTemplate { ... }) */
struct aml_crs {
        aml_mark buffer;
        size_t size_at;
};
struct aml_crs aml_crs(struct aml *a);
void aml_crs_end(struct aml *a, struct aml_crs c);
void aml_crs_io(struct aml *a, uint16_t port, uint8_t ports);
void aml_crs_irq(struct aml *a, unsigned irq);
/* Windows of a host bridge, from..to inclusive. */
void aml_crs_bus_window(struct aml *a, uint16_t from, uint16_t to);
void aml_crs_io_window(struct aml *a, uint16_t from, uint16_t to);
void aml_crs_memory_window(struct aml *a, uint32_t from, uint32_t to);

#endif
