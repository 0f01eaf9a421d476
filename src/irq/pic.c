/* SPDX-License-Identifier: BSD-2-Clause */
#include "irq/pic.h"
#include "base/libc.h"

/* Command port: bit 4 set is ICW1; else bit 3 set is OCW3; else OCW2. */
#define ICW1        BIT(4)
#define ICW1_ICW4   BIT(0)
#define ICW1_SINGLE BIT(1)
#define ICW4_AEOI   BIT(1)
#define ICW4_SFNM   BIT(4)
#define OCW3        BIT(3)
#define OCW3_READ   BITS(1, 0)
#define OCW3_POLL   BIT(2)
#define OCW3_SMM    BITS(6, 5)
#define OCW2_CMD    BITS(7, 5)
#define OCW2_LEVEL  BITS(2, 0)

enum ocw2 {
        ROTATE_AEOI_OFF,
        EOI,
        NOP,
        EOI_SPECIFIC,
        ROTATE_AEOI_ON,
        EOI_ROTATE,
        SET_LOWEST,
        EOI_ROTATE_SPECIFIC
};

#define NO_INPUT      8
#define CASCADE_INPUT 2
#define SPURIOUS      7
#define POLL_PENDING  BIT(7)
/* Inputs that exist on edge-triggered lines only: IRQ 0, 1, 2 and 8, 13. */
#define ELCR_MASTER 0xf8
#define ELCR_SLAVE  0xde

enum { MASTER, SLAVE };

void pic_init(struct pic *p)
{
        memset(p, 0, sizeof(*p));
        for (unsigned i = 0; i < 2; i++) {
                p->chip[i].lowest = 7;
                p->chip[i].imr = 0xff; /* as firmware leaves it: nothing arrives before the guest asks */
        }
        p->chip[MASTER].base = 0x08;
        p->chip[SLAVE].base = 0x70;
}

/* Highest-priority input in `set`, as its place in the rotation (0 first), or NO_INPUT. */
static unsigned first_place(const struct pic_chip *c, uint8_t set)
{
        for (unsigned place = 0; place < 8; place++)
                if (set & BIT((c->lowest + 1u + place) & 7))
                        return place;
        return NO_INPUT;
}

static unsigned input_at(const struct pic_chip *c, unsigned place)
{
        return (c->lowest + 1u + place) & 7;
}

/* Input that the chip would signal now, or NO_INPUT. */
static unsigned chip_request(const struct pic *p, unsigned which)
{
        const struct pic_chip *c = &p->chip[which];
        uint8_t in_service = c->isr;

        if (!(c->irr & ~c->imr))
                return NO_INPUT;
        if (c->special_mask)
                in_service &= (uint8_t)~c->imr;
        const unsigned place = first_place(c, (uint8_t)(c->irr & ~c->imr));
        const unsigned busy = first_place(c, in_service);
        /* Special fully nested mode: a slave in service does not block a higher request of the same slave. */
        if (place == busy && c->fully_nested && which == MASTER && input_at(c, place) == CASCADE_INPUT)
                return CASCADE_INPUT;
        return place < busy ? input_at(c, place) : NO_INPUT;
}

static void drive(struct pic_chip *c, unsigned input, bool level)
{
        const uint8_t bit = (uint8_t)BIT(input);

        if (level && (!(c->lines & bit) || (c->elcr & bit)))
                c->irr |= bit;
        if (!level && (c->elcr & bit))
                c->irr &= (uint8_t)~bit;
        c->lines = (uint8_t)(level ? c->lines | bit : c->lines & ~bit);
}

/* The slave's output is the master's input 2: a level as far as the pair is concerned. */
static void refresh(struct pic *p)
{
        struct pic_chip *m = &p->chip[MASTER];

        if (chip_request(p, SLAVE) != NO_INPUT)
                m->irr |= BIT(CASCADE_INPUT);
        else
                m->irr &= (uint8_t)~BIT(CASCADE_INPUT);
        p->intr = chip_request(p, MASTER) != NO_INPUT;
}

void pic_set_line(struct pic *p, unsigned irq, bool level)
{
        if (irq == CASCADE_INPUT || irq > 15)
                return;
        drive(&p->chip[irq >> 3], irq & 7, level);
        refresh(p);
}

static void take(struct pic_chip *c, unsigned input)
{
        const uint8_t bit = (uint8_t)BIT(input);

        if (!(c->elcr & bit))
                c->irr &= (uint8_t)~bit;
        if (!c->auto_eoi)
                c->isr |= bit;
        else if (c->rotate_auto_eoi)
                c->lowest = (uint8_t)input;
}

int pic_peek(const struct pic *p)
{
        const unsigned m = chip_request(p, MASTER);

        if (m == NO_INPUT)
                return p->chip[MASTER].base + SPURIOUS;
        if (m != CASCADE_INPUT)
                return p->chip[MASTER].base + (int)m;
        const unsigned s = chip_request(p, SLAVE);
        return p->chip[SLAVE].base + (s == NO_INPUT ? SPURIOUS : (int)s);
}

int pic_ack(struct pic *p)
{
        const int vector = pic_peek(p);
        const unsigned m = chip_request(p, MASTER);

        if (m != NO_INPUT) {
                const unsigned s = chip_request(p, SLAVE);
                take(&p->chip[MASTER], m);
                if (m == CASCADE_INPUT && s != NO_INPUT)
                        take(&p->chip[SLAVE], s);
        }
        refresh(p);
        return vector;
}

static void end_interrupt(struct pic_chip *c, unsigned input, bool rotate)
{
        c->isr &= (uint8_t)~BIT(input);
        if (rotate)
                c->lowest = (uint8_t)input;
}

static void write_ocw2(struct pic_chip *c, uint8_t value)
{
        const unsigned level = (unsigned)GET(value, OCW2_LEVEL);
        const unsigned place = first_place(c, c->isr);

        switch ((enum ocw2)GET(value, OCW2_CMD)) {
        case ROTATE_AEOI_OFF:
        case ROTATE_AEOI_ON:
                c->rotate_auto_eoi = GET(value, OCW2_CMD) == ROTATE_AEOI_ON;
                break;
        case EOI:
        case EOI_ROTATE:
                if (place != NO_INPUT)
                        end_interrupt(c, input_at(c, place), GET(value, OCW2_CMD) == EOI_ROTATE);
                break;
        case EOI_SPECIFIC:
        case EOI_ROTATE_SPECIFIC:
                end_interrupt(c, level, GET(value, OCW2_CMD) == EOI_ROTATE_SPECIFIC);
                break;
        case SET_LOWEST:
                c->lowest = (uint8_t)level;
                break;
        case NOP:
                break;
        }
}

static void write_command(struct pic_chip *c, uint8_t value)
{
        if (value & ICW1) {
                const struct pic_chip old = *c;
                *c = (struct pic_chip){ .lines = old.lines, .elcr = old.elcr, .base = old.base };
                c->irr = old.lines & old.elcr; /* edges are forgotten, levels are still there */
                c->lowest = 7;
                c->needs_icw4 = value & ICW1_ICW4;
                c->single = value & ICW1_SINGLE;
                c->init_step = 2;
        } else if (value & OCW3) {
                c->poll = value & OCW3_POLL;
                if (GET(value, OCW3_READ) >= 2)
                        c->read_isr = GET(value, OCW3_READ) == 3;
                if (GET(value, OCW3_SMM) >= 2)
                        c->special_mask = GET(value, OCW3_SMM) == 3;
        } else {
                write_ocw2(c, value);
        }
}

static void write_data(struct pic_chip *c, uint8_t value)
{
        switch (c->init_step) {
        case 2:
                c->base = value & 0xf8;
                c->init_step = c->single ? (c->needs_icw4 ? 4 : 0) : 3;
                break;
        case 3: /* who is cascaded where is soldered on this board */
                c->init_step = c->needs_icw4 ? 4 : 0;
                break;
        case 4:
                c->auto_eoi = value & ICW4_AEOI;
                c->fully_nested = value & ICW4_SFNM;
                c->init_step = 0;
                break;
        default:
                c->imr = value;
                break;
        }
}

void pic_write(struct pic *p, uint16_t port, uint8_t value)
{
        switch (port) {
        case PIC_MASTER:
        case PIC_SLAVE:
                write_command(&p->chip[port == PIC_SLAVE], value);
                break;
        case PIC_MASTER + 1:
        case PIC_SLAVE + 1:
                write_data(&p->chip[port == PIC_SLAVE + 1], value);
                break;
        case PIC_ELCR:
                p->chip[MASTER].elcr = value & ELCR_MASTER;
                break;
        case PIC_ELCR + 1:
                p->chip[SLAVE].elcr = value & ELCR_SLAVE;
                break;
        default:
                break;
        }
        refresh(p);
}

static uint8_t read_command(struct pic *p, unsigned which)
{
        struct pic_chip *c = &p->chip[which];

        if (!c->poll)
                return c->read_isr ? c->isr : c->irr;
        /* A poll is an INTA cycle of this chip alone. */
        c->poll = false;
        const unsigned input = chip_request(p, which);
        if (input == NO_INPUT)
                return 0;
        take(c, input);
        refresh(p);
        return (uint8_t)(POLL_PENDING | input);
}

uint8_t pic_read(struct pic *p, uint16_t port)
{
        switch (port) {
        case PIC_MASTER:
        case PIC_SLAVE:
                return read_command(p, port == PIC_SLAVE);
        case PIC_MASTER + 1:
        case PIC_SLAVE + 1:
                return p->chip[port == PIC_SLAVE + 1].imr;
        case PIC_ELCR:
        case PIC_ELCR + 1:
                return p->chip[port - PIC_ELCR].elcr;
        default:
                return 0xff;
        }
}
