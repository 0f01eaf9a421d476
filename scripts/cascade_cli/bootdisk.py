# SPDX-License-Identifier: BSD-2-Clause
"""Writes the boot disk of src/boot/disk/disk.h: loader, catalogue and blobs, everything in its final form."""
import struct

from . import container, elf
from .statuses import Fail

SECTOR = 512
LOADER_SECTORS = 32
CATALOGUE_BLOBS = 15
CMDLINE_ADDR = 0x20000
CMDLINE_MAX = 4096
SEGMENT, MODULE, CMDLINE = 1, 2, 3
HEADS, SECTORS_PER_TRACK = 16, 63
TOP_RESERVE = 1 << 20  # the BIOS keeps ACPI tables at the top of memory
RAM_BELOW_HOLE = 3 << 30


def cylinders(sectors):
    """Disks have whole cylinders; one more than needed does no harm."""
    return sectors // (HEADS * SECTORS_PER_TRACK) + 1


def _pad(out):
    out.write(bytes(-out.tell() % SECTOR))


def module_address(memory_mib, module_bytes, image_end):
    """As high as the module fits: the image is low and grows its guest from the bottom."""
    top = min(memory_mib << 20, RAM_BELOW_HOLE) - TOP_RESERVE
    address = (top - module_bytes) & ~(container.PAGE - 1)
    if address < image_end:
        raise Fail("MEMORY_TOO_SMALL", f"{memory_mib} MiB hold neither the image nor its modules")
    return address


def write(path, loader, image, modules, cmdline, memory_mib):
    """Returns the disk's number of cylinders. `modules` are file names; the image gets them in one container."""
    data = open(image, "rb").read()
    entry = elf.pvh_entry(data)
    if entry is None:
        raise Fail("BUILD_FAILED", f"{image} has no PVH entry")
    text = cmdline.encode() + b"\0"
    if len(text) > CMDLINE_MAX:
        raise Fail("USAGE", f"the command line has {len(text)} bytes, {CMDLINE_MAX} are possible")
    parts = elf.segments(data)
    image_end = max(s.phys + s.mem_bytes for s in parts)
    blobs = []
    with open(path, "wb") as out:
        out.write(open(loader, "rb").read().ljust(LOADER_SECTORS * SECTOR, b"\0"))
        out.write(bytes(SECTOR))
        for s in parts:
            blobs.append((s.phys, s.file_bytes, s.mem_bytes - s.file_bytes, out.tell() // SECTOR, SEGMENT))
            out.write(data[s.offset:s.offset + s.file_bytes])
            _pad(out)
        blobs.append((CMDLINE_ADDR, len(text), 0, out.tell() // SECTOR, CMDLINE))
        out.write(text)
        _pad(out)
        if modules:
            start = out.tell()
            container.write(out, modules)
            size = out.tell() - start
            blobs.append((module_address(memory_mib, size, image_end), size, 0, start // SECTOR, MODULE))
            _pad(out)
        if len(blobs) > CATALOGUE_BLOBS:
            raise Fail("BUILD_FAILED", f"{image} has too many segments for the boot disk")
        count = cylinders(out.tell() // SECTOR)
        out.truncate(count * HEADS * SECTORS_PER_TRACK * SECTOR)
        out.seek(LOADER_SECTORS * SECTOR)
        out.write(struct.pack("<8sII16x", b"CASCDISK", entry, len(blobs)))
        for blob in blobs:
            out.write(struct.pack("<QQQII", *blob))
    return count
