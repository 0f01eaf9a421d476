# SPDX-License-Identifier: BSD-2-Clause
"""Just enough of ELF to lay out an image for loaders that know none, and to refuse early what cannot boot."""
import struct
from collections import namedtuple

PT_LOAD, PT_NOTE = 1, 4
EM_X86_64 = 62
XEN_ELFNOTE_PHYS32_ENTRY = 18  # Xen "public/elfnote.h"

Segment = namedtuple("Segment", "offset phys file_bytes mem_bytes")


class ElfError(ValueError):
    """Not an ELF file this reader can use."""


def _program_headers(data):
    if len(data) < 64 or data[:4] != b"\x7fELF":
        raise ElfError("no ELF file")
    if data[4] != 2 or data[5] != 1:
        raise ElfError("not a 64-bit little-endian ELF file")
    phoff = struct.unpack_from("<Q", data, 32)[0]
    entry_bytes, count = struct.unpack_from("<HH", data, 54)
    if entry_bytes != 56 or phoff + count * entry_bytes > len(data):
        raise ElfError("the program headers are cut off")
    return [struct.unpack_from("<IIQQQQQQ", data, phoff + i * entry_bytes) for i in range(count)]


def _notes(data, offset, size):
    end = offset + size
    while offset + 12 <= end:
        name_bytes, desc_bytes, kind = struct.unpack_from("<III", data, offset)
        name_at = offset + 12
        desc_at = name_at + (name_bytes + 3) // 4 * 4
        offset = desc_at + (desc_bytes + 3) // 4 * 4
        if offset > end:
            return
        yield data[name_at:name_at + name_bytes].rstrip(b"\0"), kind, data[desc_at:desc_at + desc_bytes]


def segments(data):
    """The loadable segments; ElfError if the file ends before one of them does."""
    found = []
    for kind, _, offset, _, phys, file_bytes, mem_bytes, _ in _program_headers(data):
        if kind != PT_LOAD or mem_bytes == 0:
            continue
        if offset + file_bytes > len(data) or file_bytes > mem_bytes:
            raise ElfError("a segment is cut off")
        found.append(Segment(offset, phys, file_bytes, mem_bytes))
    if not found:
        raise ElfError("there is nothing to load in it")
    return found


def pvh_entry(data):
    """Physical address of the PVH entry point, from the note that Xen defined for it; None without one."""
    for kind, _, offset, _, _, file_bytes, _, _ in _program_headers(data):
        if kind != PT_NOTE or offset + file_bytes > len(data):
            continue
        for name, note, desc in _notes(data, offset, file_bytes):
            if name == b"Xen" and note == XEN_ELFNOTE_PHYS32_ENTRY and len(desc) >= 4:
                return struct.unpack_from("<I", desc)[0]
    return None


def machine(data):
    return struct.unpack_from("<H", data, 18)[0]
