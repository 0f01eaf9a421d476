# SPDX-License-Identifier: BSD-2-Clause
"""Guests of a few instructions, as PVH kernels, for cases that need one to misbehave in one particular way.

They start in 32-bit protected mode with flat segments, paging and interrupts off ("x86/HVM direct boot ABI")."""
import struct

BASE = 0x100000
HEADERS = 64 + 2 * 56
NOTE = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", BASE)
MARKER_PORT = 0x5ca0  # src/trace/record.h
MARK_RESULT = 4
RESET_PORT = 0xcf9
PM1A_CONTROL_PORT = 0x604  # src/platform/pm.h
POWER_OFF = 0x2000 | 5 << 10  # SLP_EN and the sleep type of S5 (ACPI "PM1 Control Registers")

SPIN = b"\xeb\xfe"                                              # jmp .


def elf(code):
    """A 64-bit ELF file with this code at BASE and the note that makes BASE its PVH entry."""
    note_at = HEADERS
    code_at = note_at + len(NOTE)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, code_at, BASE, BASE, len(code), len(code) + 4096, 16)
    note = struct.pack("<IIQQQQQQ", 4, 4, note_at, 0, 0, len(NOTE), len(NOTE), 4)
    return header + load + note + NOTE + code


def out8(port, value):
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb0" + bytes([value]) + b"\xee"


def out32(port, value):
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb8" + struct.pack("<I", value) + b"\xef"


def out16(port, value):
    return b"\x66\xba" + struct.pack("<H", port) + b"\x66\xb8" + struct.pack("<H", value) + b"\x66\xef"


def exits(count):
    """CPUID this many times."""
    # mov edi, count; 1: xor eax, eax; cpuid; dec edi; jnz 1b
    return b"\xbf" + struct.pack("<I", count) + b"\x31\xc0\x0f\xa2\x4f\x75\xf9"


def power_off():
    return out16(PM1A_CONTROL_PORT, POWER_OFF) + SPIN


def exits_forever():
    """CPUID without end."""
    return b"\x31\xc0\x0f\xa2\xeb\xfa"  # 1: xor eax, eax; cpuid; jmp 1b


def triple_fault():
    """INT3 through an IDT of limit 0: #GP, then #DF, cannot be delivered either."""
    table = BASE + 8  # six zero bytes behind the code
    return b"\x0f\x01\x1d" + struct.pack("<I", table) + b"\xcc" + bytes(8)


def reset():
    return out8(RESET_PORT, 6) + SPIN


def result_then_power_off(result):
    return out32(MARKER_PORT, MARK_RESULT << 24 | result) + power_off()
