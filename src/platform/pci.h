/* SPDX-License-Identifier: BSD-2-Clause */
/* pci.h - PCI configuration mechanism #1 with a host bridge at 00:00.0 and nothing else. [pure]
 * Owns the address register and the bridge's command register. Everything absent reads as all ones. */
#ifndef CASCADE_PLATFORM_PCI_H
#define CASCADE_PLATFORM_PCI_H

#include <stdint.h>

#define PCI_ADDRESS_PORT 0xcf8 /* 32-bit accesses only */
#define PCI_DATA_PORT    0xcfc /* to 0xcff, any width */

struct pci {
        uint32_t address;
        uint16_t command;
};

void pci_init(struct pci *p);
uint32_t pci_read_address(const struct pci *p);
void pci_write_address(struct pci *p, uint32_t value);
/* One byte of the configuration space; port within [PCI_DATA_PORT, PCI_DATA_PORT + 4). */
uint8_t pci_read_data(const struct pci *p, uint16_t port);
void pci_write_data(struct pci *p, uint16_t port, uint8_t value);

#endif
