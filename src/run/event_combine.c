/* SPDX-License-Identifier: BSD-2-Clause */
#include "run/event_combine.h"
#include "base/bits.h"

#define VECTOR_DF 8

/* SDM 3A "Interrupt 8 - Double Fault Exception", table "Interrupt and Exception Classes". */
#define CONTRIBUTORY (BIT(0) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(21))
#define PAGE_FAULTS  (BIT(14) | BIT(20))

enum event_pair event_combine(uint8_t first, uint8_t next)
{
        const uint64_t a = BIT(first & 31), b = BIT(next & 31);
        if (first == VECTOR_DF)
                return (b & (CONTRIBUTORY | PAGE_FAULTS)) ? EVENT_TRIPLE_FAULT : EVENT_SERIAL;
        if ((a & CONTRIBUTORY) && (b & CONTRIBUTORY))
                return EVENT_DOUBLE_FAULT;
        if ((a & PAGE_FAULTS) && (b & (CONTRIBUTORY | PAGE_FAULTS)))
                return EVENT_DOUBLE_FAULT;
        return EVENT_SERIAL;
}
