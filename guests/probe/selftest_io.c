/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-test of ports and of memory-mapped devices. Device memory is accessed in the ways that compilers
 * choose; only aligned accesses, as real local APICs want them. */
#include "apic.h"
#include "base/addr.h"
#include "base/libc.h"
#include "probe.h"
#include "traps.h"
#include "vmx/controls.h"

#define POST_PORT    0x80
#define DEBUG_PORT   0xe9
#define NOBODY_PORT  0x5555
#define NOBODY_AT    0xfe123000ull
#define TPR_AT       (APIC_BASE + APIC_TPR)
#define VERSION_AT   (APIC_BASE + APIC_VERSION)
#define STRING_BYTES 600

static void ports(struct probe *p)
{
        check(p, hw_inb(DEBUG_PORT) == DEBUG_PORT, "the debug port reads as its number");
        check(p,
              hw_inb(NOBODY_PORT) == 0xff && hw_inw(NOBODY_PORT) == 0xffff &&
                      hw_inl(NOBODY_PORT) == UINT32_MAX,
              "a port of no device reads all ones");
        uint64_t rax = ~0ull << 8;
        __asm__ volatile("inb $0xe9, %%al" : "+a"(rax));
        check(p, rax == (~0ull << 8 | DEBUG_PORT), "an 8-bit IN leaves the rest of RAX alone");
        rax = 0x1122334455667788ull;
        __asm__ volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(NOBODY_PORT));
        check(p, rax == 0x112233445566ffffull, "a 16-bit IN leaves the rest of RAX alone");
        rax = ~0ull;
        __asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(NOBODY_PORT));
        check(p, rax == UINT32_MAX, "a 32-bit IN clears the upper half of RAX");
}

static void strings(struct probe *p)
{
        static uint8_t bytes[STRING_BYTES];
        const uint8_t *from = bytes;
        uint8_t *to = bytes;
        uint64_t count = STRING_BYTES;
        __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(POST_PORT) : "memory");
        check(p, count == 0 && from == bytes + STRING_BYTES, "REP OUTSB moves all bytes");
        from = bytes + STRING_BYTES - 1, count = STRING_BYTES;
        __asm__ volatile("std; rep outsb; cld" : "+S"(from), "+c"(count) : "d"(POST_PORT) : "memory");
        check(p, count == 0 && (uint64_t)from + 1 == (uint64_t)bytes, "REP OUTSB moves downwards");
        from = bytes, count = 0;
        __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(POST_PORT) : "memory");
        check(p, count == 0 && from == bytes, "REP OUTSB with a count of 0 does nothing");
        count = STRING_BYTES - 1;
        __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(DEBUG_PORT) : "memory");
        check(p,
              to == bytes + STRING_BYTES - 1 && bytes[0] == DEBUG_PORT &&
                      bytes[STRING_BYTES - 2] == DEBUG_PORT && bytes[STRING_BYTES - 1] == 0,
              "REP INSB fills memory and nothing more");
        to = bytes;
        __asm__ volatile("insl" : "+D"(to) : "d"(NOBODY_PORT) : "memory");
        check(p, to == bytes + 4 && bytes[3] == 0xff && bytes[4] == DEBUG_PORT, "INSL stores four bytes");

        const uint64_t edge = PLAYGROUND + PAGE_SIZE;
        uint64_t at = edge - 10, left = 30;
        TRY("rep outsb", "+S"(at)COMMA "+c"(left), "d"(POST_PORT));
        check(p,
              traps()->vector == VEC_PF && traps()->cr2 == edge && traps()->error == 0 && at == edge &&
                      left == 20,
              "REP OUTSB into no page faults at that byte");
        at = PLAYGROUND, left = 3;
        TRY("rep insb", "+D"(at)COMMA "+c"(left), "d"(DEBUG_PORT));
        check(p, traps()->vector == VEC_PF && traps()->cr2 == PLAYGROUND && traps()->error == 3 && left == 3,
              "REP INSB into a read-only page faults before the first byte");
}

#define EAX_AFTER(text, before)                                                                              \
        ({                                                                                                   \
                uint64_t rax = (before);                                                                     \
                __asm__ volatile(text : "+a"(rax) : "d"(TPR_AT), "c"(VERSION_AT) : "memory", "cc");          \
                rax;                                                                                         \
        })

static void device_reads(struct probe *p)
{
        const uint32_t version = xapic_read(APIC_VERSION);
        check(p, EAX_AFTER("movl (%%rcx), %%eax", ~0ull) == version,
              "MOV from a device clears the upper half");
        check(p, EAX_AFTER("movzbl (%%rcx), %%eax", ~0ull) == (version & 0xff),
              "MOVZX of a byte of a device");
        check(p, EAX_AFTER("movzwl 2(%%rcx), %%eax", ~0ull) == version >> 16, "MOVZX of a word of a device");
        check(p, EAX_AFTER("movsbl (%%rcx), %%eax", 0) == (uint32_t)(int8_t)version,
              "MOVSX of a byte of a device");
        check(p, EAX_AFTER("addl (%%rcx), %%eax", 1) == version + 1, "ADD from a device");
        check(p, EAX_AFTER("andl (%%rcx), %%eax", 0xff) == (version & 0xff), "AND from a device");
        check(p, EAX_AFTER("cmpl %%eax, (%%rcx); sete %%al; movzbl %%al, %%eax", version) == 1,
              "CMP with a device");
        check(p, EAX_AFTER("testl $0xff, (%%rcx); setnz %%al; movzbl %%al, %%eax", 0) == 1,
              "TEST of a device");
        check(p, EAX_AFTER("btl $0, (%%rcx); setc %%al; movzbl %%al, %%eax", 2) == (version & 1),
              "BT of a device");
        uint32_t copy = 0;
        uint64_t from = VERSION_AT;
        void *to = &copy;
        __asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
        check(p, copy == version && from == VERSION_AT + 4 && to == &copy + 1,
              "MOVS from a device to memory");
        from = VERSION_AT;
        uint64_t rax = 0;
        __asm__ volatile("lodsl" : "+S"(from), "+a"(rax) : : "memory");
        check(p, rax == version && from == VERSION_AT + 4, "LODS from a device");
}

static bool tpr_is(uint32_t value)
{
        return xapic_read(APIC_TPR) == value;
}

static void device_writes(struct probe *p)
{
        EAX_AFTER("movl %%eax, (%%rdx)", 0x10);
        check(p, tpr_is(0x10), "MOV of a register to a device");
        EAX_AFTER("movl $0x20, (%%rdx)", 0);
        check(p, tpr_is(0x20), "MOV of a constant to a device");
        EAX_AFTER("orl $1, (%%rdx)", 0);
        check(p, tpr_is(0x21), "OR of a constant into a device");
        EAX_AFTER("addl %%eax, (%%rdx)", 0x11);
        check(p, tpr_is(0x32), "ADD of a register to a device");
        EAX_AFTER("andl $0xf0, (%%rdx)", 0);
        check(p, tpr_is(0x30), "AND of a constant into a device");
        check(p, EAX_AFTER("xchgl %%eax, (%%rdx)", 0x40) == 0x30 && tpr_is(0x40), "XCHG with a device");
        EAX_AFTER("incl (%%rdx)", 0);
        check(p, tpr_is(0x41), "INC of a device");
        EAX_AFTER("xorl %%eax, (%%rdx)", 0x41);
        check(p, tpr_is(0), "XOR of a register into a device");
        uint32_t value = 0x50;
        const void *from = &value;
        uint64_t to = TPR_AT;
        __asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
        check(p, tpr_is(0x50) && to == TPR_AT + 4, "MOVS from memory to a device");
        to = TPR_AT;
        __asm__ volatile("stosl" : "+D"(to) : "a"(0) : "memory");
        check(p, tpr_is(0) && to == TPR_AT + 4, "STOS to a device");
        check(p, EAX_AFTER("movl %%eax, 0x10(%%rdx, %%rax, 4)", 0) == 0 && tpr_is(0),
              "MOV with base, index and displacement");
}

void selftest_io(struct probe *p)
{
        ports(p);
        strings(p);
        device_reads(p);
        device_writes(p);
        if (p->cascade)
                check(p, *(volatile uint32_t *)NOBODY_AT == UINT32_MAX, "memory of no device reads all ones");
}
