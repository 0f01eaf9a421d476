/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include "irq/pic.h"

static struct pic p;

/* As PC kernels do it: vectors 0x20 and 0x28. */
static void program(uint8_t icw4)
{
        pic_init(&p);
        pic_write(&p, 0x20, 0x11);
        pic_write(&p, 0x21, 0x20);
        pic_write(&p, 0x21, 0x04);
        pic_write(&p, 0x21, icw4);
        pic_write(&p, 0xa0, 0x11);
        pic_write(&p, 0xa1, 0x28);
        pic_write(&p, 0xa1, 0x02);
        pic_write(&p, 0xa1, 0x01);
}

static void pulse(unsigned irq)
{
        pic_set_line(&p, irq, true);
        pic_set_line(&p, irq, false);
}

static uint8_t isr(uint16_t port)
{
        pic_write(&p, port, 0x0b);
        const uint8_t v = pic_read(&p, port);
        pic_write(&p, port, 0x0a);
        return v;
}

START_TEST(reset_and_masks)
{
        pic_init(&p);
        pulse(0);
        ck_assert(!p.intr);
        ck_assert_uint_eq(pic_read(&p, 0x21), 0xff);
        program(1);
        ck_assert_uint_eq(pic_read(&p, 0x21), 0); /* ICW1 clears the mask and forgets edges */
        ck_assert(!p.intr);
        pic_write(&p, 0x21, 0xa5);
        pic_write(&p, 0xa1, 0x5a);
        ck_assert_uint_eq(pic_read(&p, 0x21), 0xa5);
        ck_assert_uint_eq(pic_read(&p, 0xa1), 0x5a);
}
END_TEST

START_TEST(every_line)
{
        for (unsigned irq = 0; irq < 16; irq++) {
                program(1);
                pulse(irq);
                if (irq == 2) {
                        ck_assert(!p.intr);
                        continue;
                }
                ck_assert(p.intr);
                ck_assert_int_eq(pic_peek(&p), 0x20 + (int)irq);
                ck_assert_int_eq(pic_ack(&p), 0x20 + (int)irq);
                ck_assert(!p.intr);
                ck_assert_uint_eq(isr(0x20), irq < 8 ? 1u << irq : 4);
                ck_assert_uint_eq(isr(0xa0), irq < 8 ? 0 : 1u << (irq - 8));
        }
        pic_set_line(&p, 16, true);
        pic_set_line(&p, 1u << 31, true);
}
END_TEST

START_TEST(priority_and_eoi)
{
        program(1);
        pulse(4);
        ck_assert_int_eq(pic_ack(&p), 0x24);
        pulse(5);
        ck_assert(!p.intr); /* lower than what is in service */
        pulse(1);
        ck_assert_int_eq(pic_ack(&p), 0x21);
        ck_assert_uint_eq(isr(0x20), 0x12);
        pic_write(&p, 0x20, 0x20);
        ck_assert_uint_eq(isr(0x20), 0x10);
        ck_assert(!p.intr);
        pic_write(&p, 0x20, 0x64); /* specific EOI of 4 */
        ck_assert_int_eq(pic_ack(&p), 0x25);
        pic_write(&p, 0x20, 0x20);
        ck_assert_uint_eq(isr(0x20), 0);
}
END_TEST

START_TEST(cascade)
{
        program(1);
        pulse(12);
        pulse(3);
        ck_assert_int_eq(pic_ack(&p), 0x2c); /* the slave hangs on input 2 */
        ck_assert(!p.intr);
        pulse(8);
        ck_assert(!p.intr); /* input 2 is in service at the master */
        pic_write(&p, 0xa0, 0x20);
        ck_assert(!p.intr);
        pic_write(&p, 0x20, 0x20);
        ck_assert_int_eq(pic_ack(&p), 0x28);
        pic_write(&p, 0xa0, 0x20);
        pic_write(&p, 0x20, 0x20);
        ck_assert_int_eq(pic_ack(&p), 0x23);
}
END_TEST

START_TEST(special_fully_nested)
{
        program(0x11);
        pulse(12);
        ck_assert_int_eq(pic_ack(&p), 0x2c);
        pulse(3);
        ck_assert(!p.intr); /* lower inputs of the master still wait */
        pulse(8);
        ck_assert(p.intr);
        ck_assert_int_eq(pic_ack(&p), 0x28);
}
END_TEST

START_TEST(spurious)
{
        program(1);
        ck_assert_int_eq(pic_ack(&p), 0x27);
        ck_assert_uint_eq(isr(0x20), 0);
        pic_write(&p, PIC_ELCR, 0x20);
        pic_set_line(&p, 5, true);
        ck_assert(p.intr);
        pic_set_line(&p, 5, false); /* a level that goes away */
        ck_assert(!p.intr);
        ck_assert_int_eq(pic_ack(&p), 0x27);
}
END_TEST

START_TEST(level_triggered)
{
        program(1);
        pic_write(&p, PIC_ELCR, 0xff);
        pic_write(&p, PIC_ELCR + 1, 0xff);
        ck_assert_uint_eq(pic_read(&p, PIC_ELCR), 0xf8);
        ck_assert_uint_eq(pic_read(&p, PIC_ELCR + 1), 0xde);
        pic_set_line(&p, 10, true);
        ck_assert_int_eq(pic_ack(&p), 0x2a);
        pic_write(&p, 0xa0, 0x20);
        pic_write(&p, 0x20, 0x20);
        ck_assert_int_eq(pic_ack(&p), 0x2a); /* still high */
        pic_set_line(&p, 10, false);
        pic_write(&p, 0xa0, 0x20);
        pic_write(&p, 0x20, 0x20);
        ck_assert(!p.intr);
}
END_TEST

START_TEST(edge_held_high)
{
        program(1);
        pic_set_line(&p, 4, true);
        ck_assert_int_eq(pic_ack(&p), 0x24);
        pic_write(&p, 0x20, 0x20);
        pic_set_line(&p, 4, true);
        ck_assert(!p.intr); /* one edge, one interrupt */
}
END_TEST

START_TEST(auto_eoi_and_rotation)
{
        program(3);
        pulse(3);
        ck_assert_int_eq(pic_ack(&p), 0x23);
        ck_assert_uint_eq(isr(0x20), 0);
        pic_write(&p, 0x20, 0x80); /* rotate in automatic EOI mode */
        pulse(3);
        pic_ack(&p);
        pulse(3);
        pulse(4);
        ck_assert_int_eq(pic_ack(&p), 0x24); /* 3 is lowest now */
        program(1);
        pic_write(&p, 0x20, 0xc5); /* lowest: 5, so 6 is highest */
        pulse(0);
        pulse(6);
        ck_assert_int_eq(pic_ack(&p), 0x26);
        pic_write(&p, 0x20, 0xa0); /* rotate on EOI: 6 becomes lowest */
        pulse(6);
        ck_assert_int_eq(pic_ack(&p), 0x20);
        pic_write(&p, 0x20, 0xe0); /* rotate on specific EOI of 0 */
        pulse(0);
        ck_assert_int_eq(pic_ack(&p), 0x26);
}
END_TEST

START_TEST(special_mask)
{
        program(1);
        pulse(1);
        pic_ack(&p);
        pulse(6);
        ck_assert(!p.intr);
        pic_write(&p, 0x21, 0x02);
        ck_assert(!p.intr);
        pic_write(&p, 0x20, 0x68); /* set special mask mode */
        ck_assert_int_eq(pic_ack(&p), 0x26);
        pic_write(&p, 0x20, 0x48);
        ck_assert(!p.chip[0].special_mask);
}
END_TEST

START_TEST(poll)
{
        program(1);
        pulse(5);
        pic_write(&p, 0x20, 0x0c);
        ck_assert_uint_eq(pic_read(&p, 0x20), 0x85);
        ck_assert(!p.intr);
        ck_assert_uint_eq(isr(0x20), 0x20);
        pic_write(&p, 0x20, 0x0c);
        ck_assert_uint_eq(pic_read(&p, 0x20), 0);
        ck_assert_uint_eq(pic_read(&p, 0x20), 0); /* IRR again */
}
END_TEST

START_TEST(short_initialisation)
{
        pic_init(&p);
        pic_write(&p, 0x20, 0x12); /* single, no ICW4 */
        pic_write(&p, 0x21, 0x47); /* low bits of the vector come from the input */
        pic_write(&p, 0x21, 0xf7); /* this is the mask already */
        ck_assert_uint_eq(pic_read(&p, 0x21), 0xf7);
        pulse(3);
        ck_assert_int_eq(pic_ack(&p), 0x43);
        ck_assert_uint_eq(pic_read(&p, 0x1234), 0xff);
}
END_TEST

int main(void)
{
        return RUN_SUITE("pic", reset_and_masks, every_line, priority_and_eoi, cascade, special_fully_nested,
                         spurious, level_triggered, edge_held_high, auto_eoi_and_rotation, special_mask, poll,
                         short_initialisation);
}
