# SPDX-License-Identifier: BSD-2-Clause
"""The one file that carries all modules of a run: QEMU's PVH loader passes a single module, so there is only one.

Layout (src/boot/boot_info.c unpacks it): a header of one sector: magic, count, reserved, then {offset, bytes} for
each part; the parts follow, each from a page boundary."""
import os
import struct

MAGIC = b"CASCMODS"
HEADER_BYTES = 512
PARTS_MAX = 16
PAGE = 4096


def page_up(n):
    return (n + PAGE - 1) // PAGE * PAGE


def packed_bytes(files):
    """How large the container of these files will be."""
    return PAGE + sum(page_up(os.path.getsize(f)) for f in files)


def append_file(out, path):
    """Copies a file to the current position; a repeated file costs a read from the page cache."""
    with open(path, "rb") as src:
        while chunk := src.read(1 << 20):
            out.write(chunk)


def write(out, files):
    """Writes the container at the current position of `out`."""
    if len(files) > PARTS_MAX:
        raise ValueError(f"{len(files)} modules, the image takes {PARTS_MAX}")
    base = out.tell()
    header = struct.pack("<8sII", MAGIC, len(files), 0)
    at = PAGE
    for path in files:
        header += struct.pack("<QQ", at, os.path.getsize(path))
        at += page_up(os.path.getsize(path))
    out.write(header.ljust(PAGE, b"\0"))
    for path in files:
        append_file(out, path)
        out.write(bytes(-(out.tell() - base) % PAGE))
