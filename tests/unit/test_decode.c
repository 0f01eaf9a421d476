/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding of instructions that access devices. The encodings are what assemblers produce for the text beside
 * them; the expectations are written from the manual, not from the decoder. */
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "emulate/decode.h"

static struct decoder decoder;

#define LOAD(o, l, n, r)                                                                                     \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = n, .reg = GPR_##r                         \
        }
#define LOAD_HIGH(o, l, n, r)                                                                                \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = n, .reg = GPR_##r, .reg_high8 = true      \
        }
#define STORE(o, l, n, r)                                                                                    \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = n, .reg = GPR_##r, .mem_is_dest = true    \
        }
#define STORE_HIGH(o, l, n, r)                                                                               \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = n, .reg = GPR_##r, .reg_high8 = true,     \
                .mem_is_dest = true                                                                          \
        }
#define IMM(o, l, n, i)                                                                                      \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = n, .has_imm = true, .imm = i,             \
                .mem_is_dest = true                                                                          \
        }
#define EXTEND(o, l, n, rn, r)                                                                               \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = rn, .reg = GPR_##r                        \
        }
#define ONCE(o, l, n, s)                                                                                     \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = n, .seg = SEG_##s                         \
        }
#define REP(o, l, n, s)                                                                                      \
        {                                                                                                    \
                .op = MMIO_##o, .len = l, .bytes = n, .reg_bytes = n, .seg = SEG_##s, .rep = true            \
        }

static const struct good {
        unsigned mode_bits, addr_bytes;
        const char *text;
        const char *code;
        struct mmio_insn want; /* but for the address size */
} good[] = {
        {64, 8, "mov eax,DWORD [rdi]", "\x8b\x07", LOAD(MOV, 2, 4, RAX)},
        {64, 8, "mov DWORD [rdi],eax", "\x89\x07", STORE(MOV, 2, 4, RAX)},
        {64, 8, "mov r9d,DWORD [rip+0x10]", "\x44\x8b\x0d\x10\x00\x00\x00", LOAD(MOV, 7, 4, R9)},
        {64, 8, "mov DWORD [rbx+rcx*4+0x1000],r10d", "\x44\x89\x94\x8b\x00\x10\x00\x00",
         STORE(MOV, 8, 4, R10)},
        {64, 8, "mov DWORD [rax+0xf0],0xfffffff0", "\xc7\x80\xf0\x00\x00\x00\xf0\xff\xff\xff",
         IMM(MOV, 10, 4, 0xfffffff0)},
        {64, 8, "mov QWORD [rax],0xfffffffffffffffe", "\x48\xc7\x00\xfe\xff\xff\xff", IMM(MOV, 7, 8, ~1ull)},
        {64, 8, "mov rax,QWORD [rsi]", "\x48\x8b\x06", LOAD(MOV, 3, 8, RAX)},
        {64, 8, "mov QWORD [rsi],r15", "\x4c\x89\x3e", STORE(MOV, 3, 8, R15)},
        {64, 8, "mov ax,WORD [rdi]", "\x66\x8b\x07", LOAD(MOV, 3, 2, RAX)},
        {64, 8, "mov WORD [rdi],dx", "\x66\x89\x17", STORE(MOV, 3, 2, RDX)},
        {64, 8, "mov WORD [rdi],0x8001", "\x66\xc7\x07\x01\x80", IMM(MOV, 5, 2, 0x8001)},
        {64, 8, "mov bl,BYTE [rdi]", "\x8a\x1f", LOAD(MOV, 2, 1, RBX)},
        {64, 8, "mov bh,BYTE [rdi]", "\x8a\x3f", LOAD_HIGH(MOV, 2, 1, RBX)},
        {64, 8, "mov BYTE [rdi],ah", "\x88\x27", STORE_HIGH(MOV, 2, 1, RAX)},
        {64, 8, "mov BYTE [rdi],sil", "\x40\x88\x37", STORE(MOV, 3, 1, RSI)},
        {64, 8, "mov BYTE [rdi],r8b", "\x44\x88\x07", STORE(MOV, 3, 1, R8)},
        {64, 8, "mov BYTE [rdi],0x80", "\xc6\x07\x80", IMM(MOV, 3, 1, 0x80)},
        {64, 8, "movabs eax,ds:0x1122334455667788", "\xa1\x88\x77\x66\x55\x44\x33\x22\x11",
         LOAD(MOV, 9, 4, RAX)},
        {64, 8, "movabs ds:0x1122334455667788,al", "\xa2\x88\x77\x66\x55\x44\x33\x22\x11",
         STORE(MOV, 9, 1, RAX)},
        {64, 8, "movabs ds:0x1122334455667788,rax", "\x48\xa3\x88\x77\x66\x55\x44\x33\x22\x11",
         STORE(MOV, 10, 8, RAX)},
        {64, 4, "mov eax,DWORD [edi]", "\x67\x8b\x07", LOAD(MOV, 3, 4, RAX)},
        {64, 8, "mov eax,DWORD gs:[rdi]", "\x65\x8b\x07", LOAD(MOV, 3, 4, RAX)},
        {64, 8, "movnti DWORD [rdi],ecx", "\x0f\xc3\x0f", STORE(MOV, 3, 4, RCX)},
        {64, 8, "movzx eax,BYTE [rdi]", "\x0f\xb6\x07", EXTEND(MOVZX, 3, 1, 4, RAX)},
        {64, 8, "movzx r8d,WORD [rdi]", "\x44\x0f\xb7\x07", EXTEND(MOVZX, 4, 2, 4, R8)},
        {64, 8, "movzx ax,BYTE [rdi]", "\x66\x0f\xb6\x07", EXTEND(MOVZX, 4, 1, 2, RAX)},
        {64, 8, "movzx rcx,WORD [rdi]", "\x48\x0f\xb7\x0f", EXTEND(MOVZX, 4, 2, 8, RCX)},
        {64, 8, "movsx eax,BYTE [rdi]", "\x0f\xbe\x07", EXTEND(MOVSX, 3, 1, 4, RAX)},
        {64, 8, "movsx rdx,BYTE [rdi]", "\x48\x0f\xbe\x17", EXTEND(MOVSX, 4, 1, 8, RDX)},
        {64, 8, "movsx edx,WORD [rdi]", "\x0f\xbf\x17", EXTEND(MOVSX, 3, 2, 4, RDX)},
        {64, 8, "movsxd rbp,DWORD [rdi]", "\x48\x63\x2f", EXTEND(MOVSX, 3, 4, 8, RBP)},
        {64, 8, "and DWORD [rdi],0xfffffff0", "\x83\x27\xf0", IMM(AND, 3, 4, 0xfffffff0)},
        {64, 8, "and DWORD [rdi],0x12345678", "\x81\x27\x78\x56\x34\x12", IMM(AND, 6, 4, 0x12345678)},
        {64, 8, "or DWORD [rdi],eax", "\x09\x07", STORE(OR, 2, 4, RAX)},
        {64, 8, "or BYTE [rdi],0x1", "\x80\x0f\x01", IMM(OR, 3, 1, 1)},
        {64, 8, "xor QWORD [rdi],rcx", "\x48\x31\x0f", STORE(XOR, 3, 8, RCX)},
        {64, 8, "add QWORD [rdi],0xffffffffffffffff", "\x48\x83\x07\xff", IMM(ADD, 4, 8, ~0ull)},
        {64, 8, "sub WORD [rdi],0x1234", "\x66\x81\x2f\x34\x12", IMM(SUB, 5, 2, 0x1234)},
        {64, 8, "adc BYTE [rdi],dl", "\x10\x17", STORE(ADC, 2, 1, RDX)},
        {64, 8, "sbb DWORD [rdi],edx", "\x19\x17", STORE(SBB, 2, 4, RDX)},
        {64, 8, "add eax,DWORD [rdi]", "\x03\x07", LOAD(ADD, 2, 4, RAX)},
        {64, 8, "and r11,QWORD [rdi]", "\x4c\x23\x1f", LOAD(AND, 3, 8, R11)},
        {64, 8, "or cl,BYTE [rdi]", "\x0a\x0f", LOAD(OR, 2, 1, RCX)},
        {64, 8, "cmp DWORD [rdi],0x5", "\x83\x3f\x05", IMM(CMP, 3, 4, 5)},
        {64, 8, "cmp DWORD [rdi],eax", "\x39\x07", STORE(CMP, 2, 4, RAX)},
        {64, 8, "cmp eax,DWORD [rdi]", "\x3b\x07", LOAD(CMP, 2, 4, RAX)},
        {64, 8, "cmp BYTE [rdi],0xff", "\x80\x3f\xff", IMM(CMP, 3, 1, 0xff)},
        {64, 8, "test DWORD [rdi],0x80000000", "\xf7\x07\x00\x00\x00\x80", IMM(TEST, 6, 4, 0x80000000)},
        {64, 8, "test BYTE [rdi],0x80", "\xf6\x07\x80", IMM(TEST, 3, 1, 0x80)},
        {64, 8, "test DWORD [rdi],eax", "\x85\x07", STORE(TEST, 2, 4, RAX)},
        {64, 8, "test QWORD [rdi],0xffffffffffffff80", "\x48\xf7\x07\x80\xff\xff\xff",
         IMM(TEST, 7, 8, ~0x7full)},
        {64, 8, "xchg DWORD [rdi],eax", "\x87\x07", STORE(XCHG, 2, 4, RAX)},
        {64, 8, "xchg QWORD [rdi],r12", "\x4c\x87\x27", STORE(XCHG, 3, 8, R12)},
        {64, 8, "xchg BYTE [rdi],ch", "\x86\x2f", STORE_HIGH(XCHG, 2, 1, RCX)},
        {64, 8, "lock xadd DWORD [rdi],eax", "\xf0\x0f\xc1\x07", STORE(XADD, 4, 4, RAX)},
        {64, 8, "lock cmpxchg DWORD [rdi],ecx", "\xf0\x0f\xb1\x0f", STORE(CMPXCHG, 4, 4, RCX)},
        {64, 8, "lock cmpxchg QWORD [rdi],r13", "\xf0\x4c\x0f\xb1\x2f", STORE(CMPXCHG, 5, 8, R13)},
        {64, 8, "bt DWORD [rdi],0x7", "\x0f\xba\x27\x07", IMM(BT, 4, 4, 7)},
        {64, 8, "lock bts DWORD [rdi],0x1f", "\xf0\x0f\xba\x2f\x1f", IMM(BTS, 5, 4, 31)},
        {64, 8, "lock btr QWORD [rdi],rax", "\xf0\x48\x0f\xb3\x07", STORE(BTR, 5, 8, RAX)},
        {64, 8, "btc WORD [rdi],cx", "\x66\x0f\xbb\x0f", STORE(BTC, 4, 2, RCX)},
        {64, 8, "bt DWORD [rdi],esi", "\x0f\xa3\x37", STORE(BT, 3, 4, RSI)},
        {64, 8, "lock or DWORD [rdi],0x8", "\xf0\x83\x0f\x08", IMM(OR, 4, 4, 8)},
        {64, 8, "inc DWORD [rdi]", "\xff\x07", STORE(INC, 2, 4, RAX)},
        {64, 8, "dec BYTE [rdi]", "\xfe\x0f", STORE(DEC, 2, 1, RAX)},
        {64, 8, "not QWORD [rdi]", "\x48\xf7\x17", STORE(NOT, 3, 8, RAX)},
        {64, 8, "neg WORD [rdi]", "\x66\xf7\x1f", STORE(NEG, 3, 2, RAX)},
        {64, 8, "rep movs DWORD es:[rdi],DWORD ds:[rsi]", "\xf3\xa5", REP(MOVS, 2, 4, DS)},
        {64, 8, "rep movs QWORD es:[rdi],QWORD ds:[rsi]", "\xf3\x48\xa5", REP(MOVS, 3, 8, DS)},
        {64, 8, "rep movs BYTE es:[rdi],BYTE ds:[rsi]", "\xf3\xa4", REP(MOVS, 2, 1, DS)},
        {64, 8, "movs WORD es:[rdi],WORD ds:[rsi]", "\x66\xa5", ONCE(MOVS, 2, 2, DS)},
        {64, 8, "rep stos DWORD es:[rdi],eax", "\xf3\xab", REP(STOS, 2, 4, DS)},
        {64, 8, "stos BYTE es:[rdi],al", "\xaa", ONCE(STOS, 1, 1, DS)},
        {64, 8, "rep stos QWORD es:[rdi],rax", "\xf3\x48\xab", REP(STOS, 3, 8, DS)},
        {64, 8, "lods eax,DWORD ds:[rsi]", "\xad", ONCE(LODS, 1, 4, DS)},
        {64, 8, "lods al,BYTE ds:[rsi]", "\xac", ONCE(LODS, 1, 1, DS)},
        {64, 4, "rep movs BYTE es:[edi],BYTE gs:[esi]", "\x65\x67\xf3\xa4", REP(MOVS, 4, 1, GS)},
        {64, 8, "repnz stos BYTE es:[rdi],al", "\xf2\xaa", REP(STOS, 2, 1, DS)},
        {32, 4, "mov eax,ds:0xfee00030", "\xa1\x30\x00\xe0\xfe", LOAD(MOV, 5, 4, RAX)},
        {32, 4, "mov ds:0xfee000b0,eax", "\xa3\xb0\x00\xe0\xfe", STORE(MOV, 5, 4, RAX)},
        {32, 4, "mov DWORD ds:0xfee000b0,0x0", "\xc7\x05\xb0\x00\xe0\xfe\x00\x00\x00\x00",
         IMM(MOV, 10, 4, 0)},
        {32, 4, "mov ecx,DWORD [ebx+esi*8]", "\x8b\x0c\xf3", LOAD(MOV, 3, 4, RCX)},
        {32, 4, "mov cx,WORD [ebx]", "\x66\x8b\x0b", LOAD(MOV, 3, 2, RCX)},
        {32, 4, "mov BYTE [ebp+0x4],dh", "\x88\x75\x04", STORE_HIGH(MOV, 3, 1, RDX)},
        {32, 2, "mov al,BYTE [bx+si]", "\x67\x8a\x00", LOAD(MOV, 3, 1, RAX)},
        {32, 4, "movzx edx,BYTE [eax]", "\x0f\xb6\x10", EXTEND(MOVZX, 3, 1, 4, RDX)},
        {32, 4, "or DWORD [eax],0x100", "\x81\x08\x00\x01\x00\x00", IMM(OR, 6, 4, 0x100)},
        {32, 4, "rep movs DWORD es:[edi],DWORD ds:[esi]", "\xf3\xa5", REP(MOVS, 2, 4, DS)},
        {32, 4, "rep stos BYTE es:[edi],al", "\xf3\xaa", REP(STOS, 2, 1, DS)},
        {32, 4, "rep movs WORD es:[edi],WORD ds:[esi]", "\x66\xf3\xa5", REP(MOVS, 3, 2, DS)},
        {32, 4, "movs DWORD es:[edi],DWORD fs:[esi]", "\x64\xa5", ONCE(MOVS, 2, 4, FS)},
        {32, 2, "movs BYTE es:[di],BYTE ds:[si]", "\x67\xa4", ONCE(MOVS, 2, 1, DS)},
        {16, 2, "mov ax,WORD [bx]", "\x8b\x07", LOAD(MOV, 2, 2, RAX)},
        {16, 2, "mov WORD [bx+si+0x4],ax", "\x89\x40\x04", STORE(MOV, 3, 2, RAX)},
        {16, 2, "mov eax,DWORD [di]", "\x66\x8b\x05", LOAD(MOV, 3, 4, RAX)},
        {16, 2, "mov BYTE ds:0x1234,0x55", "\xc6\x06\x34\x12\x55", IMM(MOV, 5, 1, 0x55)},
        {16, 4, "mov eax,DWORD [edi]", "\x67\x66\x8b\x07", LOAD(MOV, 4, 4, RAX)},
        {16, 2, "mov al,BYTE es:[di]", "\x26\x8a\x05", LOAD(MOV, 3, 1, RAX)},
        {16, 2, "and WORD [bx],0xfff0", "\x83\x27\xf0", IMM(AND, 3, 2, 0xfff0)},
        {16, 2, "mov DWORD [bx],0x12345678", "\x66\xc7\x07\x78\x56\x34\x12", IMM(MOV, 7, 4, 0x12345678)},
        {16, 2, "rep movs WORD es:[di],WORD ds:[si]", "\xf3\xa5", REP(MOVS, 2, 2, DS)},
        {16, 2, "rep stos BYTE es:[di],al", "\xf3\xaa", REP(STOS, 2, 1, DS)},
        {16, 4, "rep movs DWORD es:[edi],DWORD ds:[esi]", "\x67\x66\xf3\xa5", REP(MOVS, 4, 4, DS)},
        {16, 2, "test BYTE [bx],0x40", "\xf6\x07\x40", IMM(TEST, 3, 1, 0x40)},
        {16, 2, "rep stos DWORD es:[di],eax", "\x66\xf3\xab", REP(STOS, 3, 4, DS)},
};

/* Prefixes in any order mean the same; the last segment override counts. */
static const struct {
        const char *code;
        size_t n;
        uint8_t bytes;
        bool rep;
        uint8_t seg;
} prefixed[] = {
        {"\x66\xf3\xa5", 3, 2, true, SEG_DS},
        {"\xf3\x66\xa5", 3, 2, true, SEG_DS},
        {"\x66\xf2\xa5", 3, 2, true, SEG_DS},
        {"\xf2\x66\xa5", 3, 2, true, SEG_DS},
        {"\x66\xf3\x48\xa5", 4, 8, true, SEG_DS},
        {"\x66\x65\xf3\xa5", 4, 2, true, SEG_GS},
        {"\x65\xa5", 2, 4, false, SEG_GS},
        {"\x64\x65\xa5", 3, 4, false, SEG_GS},
        {"\x65\x64\xa5", 3, 4, false, SEG_FS},
        {"\x64\x66\xad", 3, 2, false, SEG_FS},
        {"\x66\xf3\xad", 3, 2, true, SEG_DS},
        {"\x66\xf3\xab", 3, 2, true, SEG_DS},
        {"\x66\xf3\xa4", 3, 1, true, SEG_DS},
        {"\x66\xf3\xc7\x07\x01\x02", 6, 2, false, SEG_ES},
        {"\x66\xf0\x83\x0f\x08", 5, 2, false, SEG_ES},
        {"\xf0\x66\x83\x0f\x08", 5, 2, false, SEG_ES},
        {"\x66\xf2\xf0\x87\x07", 5, 2, false, SEG_ES},
        {"\x66\x66\x8b\x07", 4, 2, false, SEG_ES},
        {"\x48\x66\x8b\x07", 4, 2, false, SEG_ES}, /* a REX prefix that is not the last one is ignored */
        {"\x66\x48\x8b\x07", 4, 8, false, SEG_ES},
};

/* Valid or not: nothing here may be taken for a device access that is emulated. */
static const struct bad {
        unsigned mode_bits;
        const char *text;
        const char *code;
        size_t n;
} bad[] = {
        {64, "no bytes", "", 0},
        {64, "half an instruction", "\x8b", 1},
        {64, "cut before the end of the immediate", "\xc7\x07\x01\x00\x00", 5},
        {64, "ud2", "\x0f\x0b", 2},
        {64, "mov eax,ebx", "\x89\xd8", 2},
        {64, "add eax,1", "\x83\xc0\x01", 3},
        {64, "mov WORD [rdi],ds", "\x8c\x1f", 2},
        {64, "mov ds,WORD [rdi]", "\x8e\x1f", 2},
        {64, "mov rax,cr0", "\x0f\x20\xc0", 3},
        {64, "push QWORD [rdi]", "\xff\x37", 2},
        {64, "pop QWORD [rdi]", "\x8f\x07", 2},
        {64, "call QWORD [rdi]", "\xff\x17", 2},
        {64, "jmp QWORD [rdi]", "\xff\x27", 2},
        {64, "lea rax,[rdi]", "\x48\x8d\x07", 3},
        {64, "movups [rdi],xmm0", "\x0f\x11\x07", 3},
        {64, "movsd xmm0,[rdi]", "\xf2\x0f\x10\x07", 4},
        {64, "movd [rdi],xmm0", "\x66\x0f\x7e\x07", 4},
        {64, "vmovdqu ymm0,[rdi]", "\xc5\xfe\x6f\x07", 4},
        {64, "cmpxchg16b [rdi]", "\x48\x0f\xc7\x0f", 4},
        {64, "imul eax,[rdi]", "\x0f\xaf\x07", 3},
        {64, "shl DWORD [rdi],1", "\xd1\x27", 2},
        {64, "cmpsb", "\xa6", 1},
        {64, "scasb", "\xae", 1},
        {64, "fld DWORD [rdi]", "\xd9\x07", 2},
        {64, "nop DWORD [rdi]", "\x0f\x1f\x07", 3},
        {64, "fifteen prefixes", "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 15},
        {32, "inc eax", "\x40", 1},
        {16, "int 0x10", "\xcd\x10", 2},
};

static enum decode_status decode(unsigned mode_bits, const char *code, size_t n, uint64_t rip,
                                 struct mmio_insn *out)
{
        uint8_t *const exact = malloc(n ? n : 1); /* the sanitizer sees whoever reads more than n bytes */

        memcpy(exact, code, n);
        const enum decode_status s = mmio_decode(&decoder, rip, exact, n, mode_bits, out);
        free(exact);
        return s;
}

START_TEST(decodes)
{
        const struct good *const g = &good[_i];
        struct mmio_insn got;

        ck_assert(decoder_open(&decoder));
        ck_assert_msg(decode(g->mode_bits, g->code, g->want.len, 0x1000, &got) == DECODE_OK, "%s", g->text);
#define SAME(member)                                                                                         \
        ck_assert_msg(got.member == g->want.member, "%s: %s is %llu, not %llu", g->text, #member,            \
                      (unsigned long long)got.member, (unsigned long long)g->want.member)
        SAME(op);
        SAME(len);
        SAME(bytes);
        SAME(reg);
        SAME(reg_bytes);
        SAME(seg);
        SAME(mem_is_dest);
        SAME(reg_high8);
        SAME(has_imm);
        SAME(rep);
        SAME(imm);
#undef SAME
        ck_assert_uint_eq(got.addr_bytes, g->addr_bytes);
}
END_TEST

/* What follows an instruction in memory does not matter, and a missing last byte does. */
START_TEST(looks_at_its_own_bytes)
{
        const struct good *const g = &good[_i];
        struct mmio_insn alone, followed, cut;
        char code[INSN_BYTES_MAX];

        ck_assert(decoder_open(&decoder));
        ck_assert_int_eq(decode(g->mode_bits, g->code, g->want.len, 0x1000, &alone), DECODE_OK);
        for (unsigned tail = 0; tail < 256; tail += 51) {
                memset(code, (int)tail, sizeof(code));
                memcpy(code, g->code, g->want.len);
                const uint64_t rip = 0x2000 + tail;
                ck_assert_int_eq(decode(g->mode_bits, code, sizeof(code), rip, &followed), DECODE_OK);
                ck_assert_mem_eq(&alone, &followed, sizeof(alone));
        }
        ck_assert_int_eq(decode(g->mode_bits, g->code, g->want.len - 1u, 0x3000, &cut), DECODE_UNSUPPORTED);
}
END_TEST

START_TEST(prefixes)
{
        struct mmio_insn got;

        ck_assert(decoder_open(&decoder));
        ck_assert_int_eq(decode(64, prefixed[_i].code, prefixed[_i].n, 0x1000, &got), DECODE_OK);
        ck_assert_uint_eq(got.len, prefixed[_i].n);
        ck_assert_uint_eq(got.bytes, prefixed[_i].bytes);
        ck_assert_uint_eq(got.reg_bytes, prefixed[_i].bytes);
        ck_assert_uint_eq(got.rep, prefixed[_i].rep);
        ck_assert_uint_eq(got.seg, prefixed[_i].seg);
}
END_TEST

START_TEST(refuses)
{
        const struct bad *const b = &bad[_i];
        struct mmio_insn got;

        ck_assert(decoder_open(&decoder));
        ck_assert_msg(decode(b->mode_bits, b->code, b->n, 0x1000, &got) == DECODE_UNSUPPORTED, "%s", b->text);
}
END_TEST

START_TEST(caches_by_address_bytes_and_mode)
{
        struct mmio_insn got;

        ck_assert(decoder_open(&decoder));
        decode(64, "\x8b\x07", 2, 0x1000, &got);
        ck_assert_uint_eq(decoder.misses, 1);
        decode(64, "\x8b\x07\x90\x90", 4, 0x1000, &got);
        ck_assert_uint_eq(decoder.hits, 1);
        ck_assert_uint_eq(got.len, 2);

        decode(64, "\x8b\x07", 2, 0x2000, &got); /* other address */
        ck_assert_uint_eq(decoder.misses, 2);
        decode(64, "\x89\x07", 2, 0x1000, &got); /* code was changed */
        ck_assert_uint_eq(decoder.misses, 3);
        ck_assert(got.mem_is_dest);
        decode(16, "\x89\x07", 2, 0x1000, &got); /* other mode */
        ck_assert_uint_eq(decoder.misses, 4);
        ck_assert_uint_eq(got.bytes, 2);
        ck_assert_int_eq(decode(16, "\x89", 1, 0x1000, &got), DECODE_UNSUPPORTED); /* the rest is not there */
        ck_assert_uint_eq(decoder.hits, 1);
}
END_TEST

/* Two addresses that share a line take turns and never see each other's instruction. */
START_TEST(cache_collisions)
{
        struct mmio_insn a, b;

        ck_assert(decoder_open(&decoder));
        for (uint64_t rip = 0; rip < 4 * DECODER_CACHE; rip++) {
                decode(64, rip & 1 ? "\x8b\x07" : "\x89\x07", 2, rip, &a);
                decode(64, "\x0f\xb6\x07", 3, rip + 0x123450, &b);
                ck_assert_int_eq(decode(64, rip & 1 ? "\x8b\x07" : "\x89\x07", 2, rip, &a), DECODE_OK);
                ck_assert_uint_eq(a.mem_is_dest, !(rip & 1));
        }
        ck_assert_uint_gt(decoder.hits, 2 * DECODER_CACHE);
}
END_TEST

/* Any bytes at all: no crash, and what is accepted is within its ranges. */
START_TEST(any_bytes)
{
        static const unsigned modes[] = {16, 32, 64};
        uint64_t seed = 0x243f6a8885a308d3ull;
        unsigned accepted = 0;

        ck_assert(decoder_open(&decoder));
        for (unsigned round = 0; round < 60000; round++) {
                uint8_t code[INSN_BYTES_MAX];
                struct mmio_insn got;

                for (size_t i = 0; i < sizeof(code); i++) {
                        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
                        code[i] = (uint8_t)(seed >> 56);
                }
                if (mmio_decode(&decoder, round, code, sizeof(code), modes[round % 3], &got) != DECODE_OK)
                        continue;
                accepted++;
                if (got.op >= NR_MMIO_OPS || got.len < 1 || got.len > INSN_BYTES_MAX || got.reg >= NR_GPRS ||
                    got.seg >= NR_SEG_REGS || !got.bytes || got.bytes > 8 || (got.bytes & (got.bytes - 1)) ||
                    !got.reg_bytes || got.reg_bytes > 8 || (got.reg_high8 && got.reg > GPR_RBX) ||
                    (got.addr_bytes != 2 && got.addr_bytes != 4 && got.addr_bytes != 8))
                        ck_abort_msg("%02x %02x %02x %02x ...", code[0], code[1], code[2], code[3]);
        }
        ck_assert_uint_gt(accepted, 1000);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("decode");
        TCase *t = tcase_create("decode");

        tcase_set_timeout(t, 30);
        tcase_add_loop_test(t, decodes, 0, ARRAY_LEN(good));
        tcase_add_loop_test(t, looks_at_its_own_bytes, 0, ARRAY_LEN(good));
        tcase_add_loop_test(t, prefixes, 0, ARRAY_LEN(prefixed));
        tcase_add_loop_test(t, refuses, 0, ARRAY_LEN(bad));
        tcase_add_test(t, caches_by_address_bytes_and_mode);
        tcase_add_test(t, cache_collisions);
        tcase_add_test(t, any_bytes);
        suite_add_tcase(s, t);
        return suite_run(s);
}
