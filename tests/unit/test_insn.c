/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulated instructions against the processor that runs this test: the same random encodings with the same
 * random registers, flags and memory, once natively and once through decoder and emulation. String
 * instructions, whose operands lie in two worlds, are tested by hand. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/bits.h"
#include "emulate/decode.h"
#include "emulate/insn.h"

#define CF    BIT(0)
#define PF    BIT(2)
#define AF    BIT(4)
#define ZF    BIT(6)
#define SF    BIT(7)
#define DF    BIT(10)
#define OF    BIT(11)
#define ARITH (CF | PF | AF | ZF | SF | OF)

/* Calls `code` with the registers of *g (but RSP) and the flags of *flags loaded, and stores them back. */
void native_run(struct gprs *g, uint64_t *flags, const void *code);
__asm__(".pushsection .text\n"
        "native_run:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "push %rdi; push %rsi; push %rdx\n"
        "push (%rsi); popfq\n"
        "mov 0(%rdi),%rax; mov 8(%rdi),%rcx; mov 16(%rdi),%rdx; mov 24(%rdi),%rbx\n"
        "mov 40(%rdi),%rbp; mov 48(%rdi),%rsi; mov 64(%rdi),%r8; mov 72(%rdi),%r9\n"
        "mov 80(%rdi),%r10; mov 88(%rdi),%r11; mov 96(%rdi),%r12; mov 104(%rdi),%r13\n"
        "mov 112(%rdi),%r14; mov 120(%rdi),%r15; mov 56(%rdi),%rdi\n"
        "call *(%rsp)\n"
        "pushfq; push %rdi; mov 32(%rsp),%rdi\n"
        "mov %rax,0(%rdi); mov %rcx,8(%rdi); mov %rdx,16(%rdi); mov %rbx,24(%rdi)\n"
        "mov %rbp,40(%rdi); mov %rsi,48(%rdi); mov %r8,64(%rdi); mov %r9,72(%rdi)\n"
        "mov %r10,80(%rdi); mov %r11,88(%rdi); mov %r12,96(%rdi); mov %r13,104(%rdi)\n"
        "mov %r14,112(%rdi); mov %r15,120(%rdi); pop 56(%rdi)\n"
        "mov 16(%rsp),%rsi; pop (%rsi)\n"
        "add $24,%rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        ".popsection\n");

static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint64_t random64(void)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed;
}

/* Random, but with the values at which carries and signs change showing up often. */
static uint64_t operand64(void)
{
        static const uint64_t edges[] = {0,
                                         1,
                                         0x7f,
                                         0x80,
                                         0xff,
                                         0x7fff,
                                         0x8000,
                                         0x7fffffff,
                                         0x80000000,
                                         0xffffffff,
                                         0x7fffffffffffffff,
                                         0x8000000000000000,
                                         ~0ull};
        const uint64_t r = random64();

        return r & 1 ? edges[(r >> 8) % ARRAY_LEN(edges)] : random64();
}

/* A device of 8 bytes. */
struct device {
        uint64_t value;
        unsigned reads, writes;
        l1gpa_t last;
};

static uint64_t device_read(void *ctx, l1gpa_t at, unsigned bytes)
{
        struct device *const d = ctx;
        uint64_t v = ~0ull; /* what lies above the operand must not matter */

        memcpy(&v, &d->value, bytes);
        d->reads++;
        d->last = at;
        return v;
}

static void device_write(void *ctx, l1gpa_t at, unsigned bytes, uint64_t value)
{
        struct device *const d = ctx;

        ck_assert_uint_eq(value & ~bytes_mask(bytes), 0);
        memcpy(&d->value, &value, bytes);
        d->writes++;
        d->last = at;
}

/* One instruction form: opcode bytes, size of its immediate (4: as the operand, at most 4), the /digit of its
 * ModR/M byte or -1 for any register, and what is special about it. */
#define BYTE       1 /* operands of 8 bits */
#define NO_66      2 /* no operand-size prefix */
#define BIT_OFFSET 4 /* the register is a bit offset */
#define WIDE       8 /* REX.W only */
/* clang-format off */
static const struct form {
        uint8_t opcode[2];
        uint8_t n, imm;
        int8_t digit;
        uint8_t special;
} forms[] = {
#define ALU(k)                                                                                               \
        {{(k)*8}, 1, 0, -1, BYTE}, {{(k)*8 + 1}, 1, 0, -1, 0}, {{(k)*8 + 2}, 1, 0, -1, BYTE},                \
                {{(k)*8 + 3}, 1, 0, -1, 0}, {{0x80}, 1, 1, k, BYTE}, {{0x81}, 1, 4, k, 0},                   \
                {{0x83}, 1, 1, k, 0}
    ALU(0), ALU(1), ALU(2), ALU(3), ALU(4), ALU(5), ALU(6), ALU(7),
#undef ALU
    {{0x84}, 1, 0, -1, BYTE},       {{0x85}, 1, 0, -1, 0},          {{0x86}, 1, 0, -1, BYTE},
    {{0x87}, 1, 0, -1, 0},          {{0x88}, 1, 0, -1, BYTE},       {{0x89}, 1, 0, -1, 0},
    {{0x8a}, 1, 0, -1, BYTE},       {{0x8b}, 1, 0, -1, 0},          {{0xc6}, 1, 1, 0, BYTE},
    {{0xc7}, 1, 4, 0, 0},           {{0xf6}, 1, 1, 0, BYTE},        {{0xf7}, 1, 4, 0, 0},
    {{0xf6}, 1, 0, 2, BYTE},        {{0xf7}, 1, 0, 2, 0},           {{0xf6}, 1, 0, 3, BYTE},
    {{0xf7}, 1, 0, 3, 0},           {{0xfe}, 1, 0, 0, BYTE},        {{0xff}, 1, 0, 0, 0},
    {{0xfe}, 1, 0, 1, BYTE},        {{0xff}, 1, 0, 1, 0},           {{0x0f, 0xc0}, 2, 0, -1, BYTE},
    {{0x0f, 0xc1}, 2, 0, -1, 0},    {{0x0f, 0xb0}, 2, 0, -1, BYTE}, {{0x0f, 0xb1}, 2, 0, -1, 0},
    {{0x0f, 0xb6}, 2, 0, -1, 0},    {{0x0f, 0xb7}, 2, 0, -1, 0},    {{0x0f, 0xbe}, 2, 0, -1, 0},
    {{0x0f, 0xbf}, 2, 0, -1, 0},    {{0x0f, 0xc3}, 2, 0, -1, NO_66}, {{0x63}, 1, 0, -1, NO_66 | WIDE},
    {{0x0f, 0xa3}, 2, 0, -1, BIT_OFFSET}, {{0x0f, 0xab}, 2, 0, -1, BIT_OFFSET},
    {{0x0f, 0xb3}, 2, 0, -1, BIT_OFFSET}, {{0x0f, 0xbb}, 2, 0, -1, BIT_OFFSET},
    {{0x0f, 0xba}, 2, 1, 4, 0},     {{0x0f, 0xba}, 2, 1, 5, 0},     {{0x0f, 0xba}, 2, 1, 6, 0},
    {{0x0f, 0xba}, 2, 1, 7, 0},
};
/* clang-format on */

#define MODRM_RDI 7 /* mod 0, rm 7: the operand is at [rdi] */

/* Appends one random encoding of the form. The register is neither RSP nor RDI. */
static size_t encode(const struct form *f, uint8_t *code, unsigned *reg)
{
        const bool wide = f->special & WIDE || random64() & 1;
        const bool word = !(f->special & NO_66) && random64() % 3 == 0;
        const bool rex = wide || random64() & 1;
        size_t n = 0;

        do
                *reg = (unsigned)(random64() % 8);
        while (*reg == GPR_RDI || (*reg == GPR_RSP && (!(f->special & BYTE) || rex)));
        const bool upper = rex && random64() & 1;
        if (word)
                code[n++] = 0x66;
        if (rex)
                code[n++] = (uint8_t)(0x40 | (wide ? 8 : 0) | (upper && f->digit < 0 ? 4 : 0));
        memcpy(code + n, f->opcode, f->n);
        n += f->n;
        code[n++] = (uint8_t)(MODRM_RDI | (f->digit < 0 ? *reg : (unsigned)f->digit) << 3);
        const unsigned imm = f->imm == 4 && word && !wide ? 2 : f->imm;
        for (unsigned i = 0; i < imm; i++)
                code[n++] = (uint8_t)(operand64() >> 8 * (random64() % 8));
        *reg += upper && f->digit < 0 ? 8 : 0;
        return n;
}

/* Flags that the manual leaves undefined after this operation. */
static uint64_t undefined_flags(unsigned op)
{
        switch (op) {
        case MMIO_AND:
        case MMIO_OR:
        case MMIO_XOR:
        case MMIO_TEST:
                return AF;
        case MMIO_BT:
        case MMIO_BTS:
        case MMIO_BTR:
        case MMIO_BTC:
                return OF | SF | AF | PF;
        default:
                return 0;
        }
}

static struct decoder decoder;

static void compare_with_processor(const struct form *f, uint8_t *executable)
{
        struct device device = {.value = operand64()};
        const struct mmio_bus bus = {.ctx = &device, .read = device_read, .write = device_write};
        struct gprs ours, theirs;
        uint64_t memory = device.value, our_flags = 2 | (random64() & ARITH), their_flags = our_flags;
        uint8_t code[INSN_BYTES_MAX] = {0};
        unsigned reg;
        const size_t n = encode(f, code, &reg);
        struct mmio_insn insn;
        struct guest_fault fault;

        for (unsigned i = 0; i < NR_GPRS; i++)
                ours.r[i] = operand64();
        if (random64() & 1)
                ours.r[GPR_RAX] = memory; /* else CMPXCHG would hardly ever succeed */
        if (f->special & BIT_OFFSET)
                ours.r[reg] &= 15; /* a larger one would address other memory */
        ours.r[GPR_RDI] = (uintptr_t)&memory;
        theirs = ours;
        memcpy(executable, code, n);
        executable[n] = 0xc3; /* ret */
        native_run(&theirs, &their_flags, executable);

        struct mmio_exec e = {.bus = &bus, .gprs = &ours, .rflags = &our_flags, .at = L1GPA(0xfee00000)};
        ck_assert_int_eq(mmio_decode(&decoder, 0, code, sizeof(code), 64, &insn), DECODE_OK);
        ck_assert_uint_eq(insn.len, n);
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_DONE);
        for (unsigned i = 0; i < NR_GPRS; i++)
                if (i != GPR_RSP && ours.r[i] != theirs.r[i])
                        ck_abort_msg("%02x %02x %02x %02x: register %u is %lx, not %lx", code[0], code[1],
                                     code[2], code[3], i, ours.r[i], theirs.r[i]);
        if (device.value != memory || (our_flags ^ their_flags) & ARITH & ~undefined_flags(insn.op))
                ck_abort_msg("%02x %02x %02x %02x: memory %lx, not %lx; flags %lx, not %lx", code[0], code[1],
                             code[2], code[3], device.value, memory, our_flags, their_flags);
        ck_assert_uint_le(device.reads, 1);
        ck_assert_uint_le(device.writes, 1);
}

START_TEST(same_as_processor)
{
        uint8_t *const executable =
                mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(executable, MAP_FAILED);
        ck_assert(decoder_open(&decoder));
        for (unsigned round = 0; round < 300; round++)
                compare_with_processor(&forms[_i], executable);
        munmap(executable, PAGE_SIZE);
}
END_TEST

/* How often the device is touched is part of the contract: its registers may have side effects. */
START_TEST(device_accesses)
{
        static const struct {
                struct mmio_insn insn;
                unsigned reads, writes;
        } t[] = {
                {{.op = MMIO_MOV, .bytes = 4, .reg_bytes = 4}, 1, 0},
                {{.op = MMIO_MOV, .bytes = 4, .reg_bytes = 4, .mem_is_dest = true}, 0, 1},
                {{.op = MMIO_MOV, .bytes = 4, .has_imm = true, .reg_bytes = 4, .mem_is_dest = true}, 0, 1},
                {{.op = MMIO_CMP, .bytes = 4, .reg_bytes = 4, .mem_is_dest = true}, 1, 0},
                {{.op = MMIO_TEST, .bytes = 4, .reg_bytes = 4, .mem_is_dest = true}, 1, 0},
                {{.op = MMIO_BT, .bytes = 4, .reg_bytes = 4, .mem_is_dest = true}, 1, 0},
                {{.op = MMIO_OR, .bytes = 4, .reg_bytes = 4, .mem_is_dest = true}, 1, 1},
                {{.op = MMIO_OR, .bytes = 4, .reg_bytes = 4}, 1, 0},
                {{.op = MMIO_XCHG, .bytes = 4, .reg_bytes = 4, .mem_is_dest = true}, 1, 1},
                {{.op = MMIO_CMPXCHG, .bytes = 4, .reg_bytes = 4, .mem_is_dest = true}, 1, 1},
                {{.op = MMIO_STOS, .bytes = 4, .reg_bytes = 4, .addr_bytes = 8}, 0, 1},
                {{.op = MMIO_LODS, .bytes = 4, .reg_bytes = 4, .addr_bytes = 8}, 1, 0},
        };
        struct device device = {.value = 5};
        const struct mmio_bus bus = {.ctx = &device, .read = device_read, .write = device_write};
        struct gprs g = {.r = {5, 1, 2, 3}};
        uint64_t rflags = 2;
        struct mmio_exec e = {.bus = &bus, .gprs = &g, .rflags = &rflags, .at = L1GPA(0xfee00ffc)};
        struct guest_fault fault;

        ck_assert_int_eq(mmio_execute(&t[_i].insn, &e, &fault), MMIO_DONE);
        ck_assert_uint_eq(device.reads, t[_i].reads);
        ck_assert_uint_eq(device.writes, t[_i].writes);
        ck_assert_uint_eq(device.last.raw, 0xfee00ffc);
        e.at = L1GPA(0xfee00ffd); /* half of it on another page: who knows where that is */
        ck_assert_int_eq(mmio_execute(&t[_i].insn, &e, &fault), MMIO_UNSUPPORTED);
        ck_assert_uint_eq(device.reads + device.writes, t[_i].reads + t[_i].writes);
}
END_TEST

/* --- string instructions: a page of device memory at 3.5 GiB, RAM below 64 KiB, flat segments, no paging ---
 */

#define DEVICE 0xe0000000ull
static _Alignas(4096) uint8_t ram[16 * PAGE_SIZE];
static const struct guest_mem mem = {.ram = ram, .low_bytes = sizeof(ram)};
static uint8_t device_page[2 * PAGE_SIZE];
static unsigned touched;

static uint64_t page_read(void *ctx, l1gpa_t at, unsigned bytes)
{
        uint64_t v = 0;

        ck_assert_uint_ge(at.raw, DEVICE);
        ck_assert_uint_le(at.raw + bytes, DEVICE + PAGE_SIZE); /* never the next page */
        memcpy(&v, device_page + (at.raw - DEVICE), bytes);
        touched++;
        return v;
}

static void page_write(void *ctx, l1gpa_t at, unsigned bytes, uint64_t value)
{
        ck_assert_uint_ge(at.raw, DEVICE);
        ck_assert_uint_le(at.raw + bytes, DEVICE + PAGE_SIZE);
        memcpy(device_page + (at.raw - DEVICE), &value, bytes);
        touched++;
}

static const struct mmio_bus page_bus = {.read = page_read, .write = page_write};

static struct guest_view flat_view(void)
{
        struct guest_view v = {.mem = &mem, .paging = {.cr0 = 1, .maxphyaddr = 40}, .mode_bits = 32};

        for (unsigned i = 0; i < NR_SEG_REGS; i++)
                v.seg[i] = (struct guest_segment){.limit = 0xffffffff, .ar = 0xc093};
        return v;
}

static const struct string_case {
        const char *what;
        uint8_t op, bytes, addr_bytes;
        bool is_write, rep, down;
        uint64_t si, di, cx; /* on entry; the device operand starts at its page + `device` */
        uint64_t device;
        enum mmio_status status;
        uint64_t si_after, di_after, cx_after;
        unsigned touched;
} string_cases[] = {
        {"one to device", MMIO_MOVS, 4, 4, true, false, false, 0x100, DEVICE, 7, 0, MMIO_DONE, 0x104,
         DEVICE + 4, 7, 1},
        {"one from device", MMIO_MOVS, 2, 4, false, false, false, DEVICE, 0x100, 7, 0, MMIO_DONE, DEVICE + 2,
         0x102, 7, 1},
        {"rep to device", MMIO_MOVS, 4, 4, true, true, false, 0x100, DEVICE, 8, 0, MMIO_DONE, 0x120,
         DEVICE + 32, 0, 8},
        {"rep down", MMIO_MOVS, 1, 4, true, true, true, 0x103, DEVICE + 3, 4, 3, MMIO_DONE, 0xff, DEVICE - 1,
         0, 4},
        {"rep from device", MMIO_MOVS, 8, 8, false, true, false, DEVICE, 0x200, 3, 0, MMIO_DONE, DEVICE + 24,
         0x218, 0, 3},
        {"count 0", MMIO_MOVS, 4, 4, true, true, false, 0x100, DEVICE, 0, 0, MMIO_DONE, 0x100, DEVICE, 0, 0},
        {"upper half of the count does not count", MMIO_MOVS, 4, 4, true, true, false, 0x100, DEVICE,
         BIT(32) | 1, 0, MMIO_DONE, 0x104, DEVICE + 4, 0, 1},
        {"to the end of the page", MMIO_MOVS, 4, 4, true, true, false, 0x100, DEVICE + 0xff8, 5, 0xff8,
         MMIO_AGAIN, 0x108, DEVICE + 0x1000, 3, 2},
        {"exactly to the end", MMIO_MOVS, 4, 4, true, true, false, 0x100, DEVICE + 0xff8, 2, 0xff8, MMIO_DONE,
         0x108, DEVICE + 0x1000, 0, 2},
        {"down to the start", MMIO_MOVS, 4, 4, true, true, true, 0x104, DEVICE + 4, 5, 4, MMIO_AGAIN, 0xfc,
         DEVICE - 4, 3, 2},
        {"RAM ends after two", MMIO_MOVS, 4, 4, true, true, false, 0xfff8, DEVICE, 5, 0, MMIO_NOT_RAM,
         0x10000, DEVICE + 8, 3, 2},
        {"RAM ends after two, from device", MMIO_MOVS, 4, 4, false, true, false, DEVICE, 0xfff8, 5, 0,
         MMIO_NOT_RAM, DEVICE + 8, 0x10000, 3, 2},
        {"16-bit addresses wrap", MMIO_MOVS, 2, 2, true, true, false, 0xabcdfffe, 0x5678fffe, 0x90002, 0xf00,
         MMIO_DONE, 0xabcd0002, 0x56780002, 0x90000, 2},
        {"stos", MMIO_STOS, 4, 4, true, true, false, 0x100, DEVICE, 3, 0, MMIO_DONE, 0x100, DEVICE + 12, 0,
         3},
        {"stos stays in its page", MMIO_STOS, 1, 8, true, true, false, 0x100, DEVICE, 1ull << 40, 0,
         MMIO_AGAIN, 0x100, DEVICE + 4096, (1ull << 40) - 4096, 4096},
        {"lods", MMIO_LODS, 2, 4, false, false, false, DEVICE, 0x100, 3, 0, MMIO_DONE, DEVICE + 2, 0x100, 3,
         1},
        {"rep lods", MMIO_LODS, 4, 4, false, true, true, DEVICE + 8, 0x100, 3, 8, MMIO_DONE, DEVICE - 4,
         0x100, 0, 3},
};

START_TEST(strings)
{
        const struct string_case *const c = &string_cases[_i];
        const struct guest_view view = flat_view();
        const struct mmio_insn insn = {.op = c->op,
                                       .len = 2,
                                       .bytes = c->bytes,
                                       .reg_bytes = c->bytes,
                                       .addr_bytes = c->addr_bytes,
                                       .seg = SEG_DS,
                                       .rep = c->rep};
        struct gprs g = {.r = {[GPR_RAX] = 0x1122334455667788,
                               [GPR_RCX] = c->cx,
                               [GPR_RSI] = c->si,
                               [GPR_RDI] = c->di}};
        uint64_t rflags = 2 | (c->down ? DF : 0);
        const struct mmio_exec e = {.view = &view,
                                    .bus = &page_bus,
                                    .gprs = &g,
                                    .rflags = &rflags,
                                    .at = L1GPA(DEVICE + c->device),
                                    .is_write = c->is_write};
        struct guest_fault fault;

        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), c->status);
        ck_assert_uint_eq(g.r[GPR_RSI], c->si_after);
        ck_assert_uint_eq(g.r[GPR_RDI], c->di_after);
        ck_assert_uint_eq(g.r[GPR_RCX], c->cx_after);
        ck_assert_uint_eq(touched, c->touched);
}
END_TEST

START_TEST(string_data)
{
        const struct guest_view view = flat_view();
        struct mmio_insn insn = {
                .op = MMIO_MOVS, .bytes = 4, .reg_bytes = 4, .addr_bytes = 4, .seg = SEG_DS, .rep = true};
        struct gprs g = {.r = {[GPR_RCX] = 4, [GPR_RSI] = 0x300, [GPR_RDI] = DEVICE + 0x40}};
        uint64_t rflags = 2;
        struct mmio_exec e = {.view = &view,
                              .bus = &page_bus,
                              .gprs = &g,
                              .rflags = &rflags,
                              .at = L1GPA(DEVICE + 0x40),
                              .is_write = true};
        struct guest_fault fault;

        for (unsigned i = 0; i < 16; i++)
                ram[0x300 + i] = (uint8_t)(0xa0 + i);
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_DONE);
        ck_assert_mem_eq(device_page + 0x40, ram + 0x300, 16);

        g = (struct gprs){.r = {[GPR_RCX] = 4, [GPR_RSI] = DEVICE + 0x40, [GPR_RDI] = 0x400}};
        e.is_write = false;
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_DONE);
        ck_assert_mem_eq(ram + 0x400, ram + 0x300, 16);

        insn.op = MMIO_STOS;
        g = (struct gprs){.r = {[GPR_RAX] = 0xffffffff01020304, [GPR_RCX] = 2, [GPR_RDI] = DEVICE}};
        e.at = L1GPA(DEVICE);
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_DONE);
        ck_assert_mem_eq(device_page, "\4\3\2\1\4\3\2\1\0", 9);

        insn = (struct mmio_insn){.op = MMIO_LODS, .bytes = 2, .reg_bytes = 2, .addr_bytes = 4};
        g.r[GPR_RAX] = ~0ull;
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_DONE);
        ck_assert_uint_eq(g.r[GPR_RAX], 0xffffffffffff0304);
}
END_TEST

START_TEST(string_one_by_one)
{
        const struct guest_view view = flat_view();
        const struct mmio_insn insn = {
                .op = MMIO_STOS, .bytes = 4, .reg_bytes = 4, .addr_bytes = 4, .rep = true};
        struct gprs g = {.r = {[GPR_RCX] = 2, [GPR_RDI] = DEVICE}};
        uint64_t rflags = 2;
        const struct mmio_exec e = {.view = &view, .bus = &page_bus, .gprs = &g, .rflags = &rflags,
                                    .at = L1GPA(DEVICE), .is_write = true, .one = true};
        struct guest_fault fault;

        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_AGAIN);
        ck_assert_uint_eq(g.r[GPR_RCX], 1);
        ck_assert_uint_eq(g.r[GPR_RDI], DEVICE + 4);
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_DONE);
}
END_TEST

/* The RAM operand faults: the device must not have been read for the element that is lost. */
START_TEST(string_faults)
{
        struct guest_view view = flat_view();
        const struct mmio_insn insn = {
                .op = MMIO_MOVS, .bytes = 4, .reg_bytes = 4, .addr_bytes = 4, .seg = SEG_FS, .rep = true};
        struct gprs g = {.r = {[GPR_RCX] = 4, [GPR_RSI] = DEVICE, [GPR_RDI] = 0x1f8}};
        uint64_t rflags = 2;
        struct mmio_exec e = {
                .view = &view, .bus = &page_bus, .gprs = &g, .rflags = &rflags, .at = L1GPA(DEVICE)};
        struct guest_fault fault;

        view.seg[SEG_ES].limit = 0x1ff;
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_FAULT);
        ck_assert_uint_eq(fault.vector, VECTOR_GP);
        ck_assert_uint_eq(touched, 2);
        ck_assert_uint_eq(g.r[GPR_RCX], 2);
        ck_assert_uint_eq(g.r[GPR_RDI], 0x200);
        ck_assert_uint_eq(g.r[GPR_RSI], DEVICE + 8);

        view = flat_view();
        view.seg[SEG_FS].limit = 0x103; /* the source is in the segment that the prefix names */
        g = (struct gprs){.r = {[GPR_RCX] = 4, [GPR_RSI] = 0x100, [GPR_RDI] = DEVICE}};
        e.is_write = true;
        touched = 0;
        ck_assert_int_eq(mmio_execute(&insn, &e, &fault), MMIO_FAULT);
        ck_assert_uint_eq(touched, 1);
        ck_assert_uint_eq(g.r[GPR_RCX], 3);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("insn");
        TCase *t = tcase_create("insn");

        tcase_set_timeout(t, 30);
        tcase_add_loop_test(t, same_as_processor, 0, ARRAY_LEN(forms));
        tcase_add_loop_test(t, device_accesses, 0, 12);
        tcase_add_loop_test(t, strings, 0, ARRAY_LEN(string_cases));
        tcase_add_test(t, string_data);
        tcase_add_test(t, string_one_by_one);
        tcase_add_test(t, string_faults);
        suite_add_tcase(s, t);
        return suite_run(s);
}
