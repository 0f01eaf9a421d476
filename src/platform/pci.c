/* SPDX-License-Identifier: BSD-2-Clause */
#include "platform/pci.h"
#include "base/bits.h"

#define ADDRESS_ENABLE   BIT(31)
#define ADDRESS_FUNCTION BITS(23, 8) /* bus, device, function: 0 is the host bridge */
#define ADDRESS_REGISTER BITS(7, 2)
#define ADDRESS_KEPT     (ADDRESS_ENABLE | ADDRESS_FUNCTION | ADDRESS_REGISTER)

#define REG_VENDOR   0x00
#define REG_COMMAND  0x04
#define REG_CLASS    0x08
#define HOST_BRIDGE  0x12378086u /* 440FX: what PC kernels expect to find */
#define CLASS_HOST   0x06000002u /* base class 06, subclass 00, revision 2 */
#define COMMAND_BITS (BIT(8) | BIT(6) | BITS(2, 0))

void pci_init(struct pci *p)
{
        *p = (struct pci){ .command = (uint16_t)BITS(2, 0) };
}

uint32_t pci_read_address(const struct pci *p)
{
        return p->address;
}

void pci_write_address(struct pci *p, uint32_t value)
{
        p->address = (uint32_t)(value & ADDRESS_KEPT);
}

uint8_t pci_read_data(const struct pci *p, uint16_t port)
{
        uint32_t v = 0;

        if (!(p->address & ADDRESS_ENABLE) || (p->address & ADDRESS_FUNCTION))
                return 0xff;
        switch (p->address & ADDRESS_REGISTER) {
        case REG_VENDOR:
                v = HOST_BRIDGE;
                break;
        case REG_COMMAND:
                v = p->command;
                break;
        case REG_CLASS:
                v = CLASS_HOST;
                break;
        default:
                break; /* no BARs, no capabilities, header type 0 */
        }
        return (uint8_t)(v >> (port & 3) * 8);
}

void pci_write_data(struct pci *p, uint16_t port, uint8_t value)
{
        const unsigned byte = port & 3;

        if (p->address != (ADDRESS_ENABLE | REG_COMMAND) || byte > 1)
                return;
        p->command =
                (uint16_t)((byte ? PUT(p->command, BITS(15, 8), value) : PUT(p->command, BITS(7, 0), value)) &
                           COMMAND_BITS);
}
