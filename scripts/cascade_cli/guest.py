# SPDX-License-Identifier: BSD-2-Clause
"""What runs at the bottom: kernel, initrd and command line; and an early look at them, so that what cannot boot is
refused in a moment. The image checks again, by itself and in full."""
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from . import elf, procs
from .paths import BUILD, CACHE, PROBE, ROOT
from .statuses import LIMIT, Fail

BZIMAGE_MAGIC_AT, BZIMAGE_MAGIC = 0x202, b"HdrS"  # Linux "Documentation/arch/x86/boot.rst"
BOOT_FLAG_AT, BOOT_FLAG = 0x1fe, 0xaa55
SETUP_SECTS_AT, SYSSIZE_AT, INIT_SIZE_AT = 0x1f1, 0x1f4, 0x260
SECTOR, PARAGRAPH, PAGE = 512, 16, 4096
MIB = 1 << 20


@dataclass
class Guest:
    """`kind` is what the image is told it starts; `below`: a guest hypervisor that is no cascade has a guest of its
    own one level deeper, and the guest's memory holds both."""
    kind: str
    kernel: Path
    modules: list = field(default_factory=list)
    cmdline: str = ""
    below: str = None
    memory_mib: int = 0


def _read(path, what):
    try:
        return Path(path).read_bytes()
    except OSError as e:
        raise Fail("KERNEL_UNREADABLE", f"{what} {path}: {e.strerror}") from e


def _bzimage_bytes(data, path):
    """Memory that a bzImage wants; Fail if the file is shorter than its header says."""
    if len(data) < INIT_SIZE_AT + 4:
        raise Fail("KERNEL_UNREADABLE", f"kernel {path}: truncated bzImage")
    setup = (data[SETUP_SECTS_AT] or 4) + 1
    body = struct.unpack_from("<I", data, SYSSIZE_AT)[0] * PARAGRAPH
    if len(data) + PARAGRAPH <= setup * SECTOR + body:
        raise Fail("KERNEL_UNREADABLE", f"kernel {path}: truncated, the header promises {setup * SECTOR + body} bytes")
    return struct.unpack_from("<I", data, INIT_SIZE_AT)[0]


def _elf_bytes(data, path):
    if len(data) < 64:
        raise Fail("KERNEL_UNREADABLE", f"kernel {path}: truncated ELF file")
    try:
        parts = elf.segments(data)
    except elf.ElfError as e:
        status = "KERNEL_UNREADABLE" if "cut off" in str(e) else "KERNEL_FORMAT"
        raise Fail(status, f"kernel {path}: {e}") from e
    if elf.machine(data) != elf.EM_X86_64:
        raise Fail("KERNEL_FORMAT", f"kernel {path}: an ELF file of another processor")
    return max(s.phys + s.mem_bytes for s in parts) - min(s.phys for s in parts)


def kernel_bytes(path):
    """How much memory the kernel takes when loaded; Fail if it is none or is cut off."""
    data = _read(path, "kernel")
    if data[:4] == b"\x7fELF":
        return _elf_bytes(data, path)
    if data[BZIMAGE_MAGIC_AT:BZIMAGE_MAGIC_AT + 4] == BZIMAGE_MAGIC \
            and struct.unpack_from("<H", data, BOOT_FLAG_AT)[0] == BOOT_FLAG:
        return _bzimage_bytes(data, path)
    if not data:
        raise Fail("KERNEL_UNREADABLE", f"kernel {path}: the file is empty")
    raise Fail("KERNEL_FORMAT", f"kernel {path}: neither an ELF file nor a bzImage")


def check(guest, memory_mib):
    """Refuses a guest that cannot fit into its memory."""
    least = LIMIT["GUEST_MEMORY_MIN_MIB"]
    if memory_mib < least:
        raise Fail("MEMORY_TOO_SMALL", f"--memory {memory_mib}: a guest needs at least {least} MiB")
    room = memory_mib * MIB - kernel_bytes(guest.kernel)
    if room < 0:
        raise Fail("MEMORY_TOO_SMALL", f"--memory {memory_mib}: too little for the kernel {guest.kernel}")
    for path in guest.modules:
        try:
            size = os.path.getsize(path)
            os.stat(path)
            with open(path, "rb"):
                pass
        except OSError as e:
            raise Fail("KERNEL_UNREADABLE", f"initrd {path}: {e.strerror}") from e
        if size > room:
            raise Fail("INITRD_TOO_LARGE",
                       f"initrd {path}: {size // MIB} MiB do not fit beside the kernel into {memory_mib} MiB")


def _script(name, log, progress):
    procs.run_logged([ROOT / "scripts" / name], log, "FETCH_FAILED", f"scripts/{name}", progress.tick, lines=1,
                     env=dict(os.environ, CASCADE_CACHE=str(CACHE), CASCADE_BUILD=str(BUILD)), cwd=ROOT)


def linux(progress, kernel=None, initrd=None, append=None):
    """The Debian kernel with our initramfs, or the user's own."""
    CACHE.mkdir(parents=True, exist_ok=True)
    log = CACHE / "fetch.log"
    words = (ROOT / "guests/linux/cmdline").read_text(encoding="ascii").split()
    with procs.locked(CACHE / "fetch.lock", progress.tick):
        if kernel is None:
            progress.phase("preparing the guest's kernel")
            _script("fetch-linux", log, progress)
            kernel = CACHE / "linux" / "vmlinux"
        if initrd is None:
            progress.phase("preparing the guest's initramfs")
            _script("make-initramfs", log, progress)
            initrd = CACHE / "initramfs.cpio"
    if append:
        words.append(append)
    return Guest("linux", Path(kernel).resolve(), [Path(initrd).resolve()], " ".join(words))


def kvm(progress, append=None):
    """Debian with its own KVM and QEMU, and in that our Linux guest."""
    guest = linux(progress)
    progress.phase("preparing the KVM guest")
    with procs.locked(CACHE / "fetch.lock", progress.tick):
        _script("make-kvm-guest", CACHE / "fetch.log", progress)
    words = (ROOT / "guests/kvm/cmdline").read_text(encoding="ascii").split() + ([append] if append else [])
    return Guest("linux", guest.kernel, [CACHE.resolve() / "kvm-initramfs.cpio"], " ".join(words), below="linux",
                 memory_mib=LIMIT["KVM_GUEST_MEMORY_MIB"])


def probe(append=None):
    """The bare probe guest; `append` names what it shall do."""
    return Guest("probe", PROBE, [], append or "")
