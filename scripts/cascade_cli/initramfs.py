# SPDX-License-Identifier: BSD-2-Clause
"""Packs an initramfs: a cpio archive around Debian's static busybox.

Uncompressed, so that no guest spends ticks on decompression, and the same bytes from the same inputs: names in
order, time 0, owner 0. Device nodes are entries of the archive; nothing here needs root."""
import stat
import subprocess
import tempfile
from pathlib import Path

from .paths import BUILD
from .statuses import Fail

FOLDERS = ["bin", "dev", "proc", "sys", "tmp"]
NODES = {"dev/console": (5, 1), "dev/null": (1, 3)}
ALIGN = 4


def entry(number, name, mode, data=b"", device=(0, 0)):
    """One member of a "newc" archive (Linux "Documentation/driver-api/early-userspace/buffer-format.rst")."""
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = [number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % ALIGN) + data + bytes(-len(data) % ALIGN)


def archive(files, applets):
    """files: name -> (mode, bytes); the folders they are in are made. applets: busybox's names."""
    folders = FOLDERS + [str(p) for name in files for p in Path(name).parents if p.name]
    members = {name: (stat.S_IFDIR | 0o755, b"", (0, 0)) for name in folders}
    members |= {name: (stat.S_IFREG | mode, data, (0, 0)) for name, (mode, data) in files.items()}
    members |= {f"bin/{applet}": (stat.S_IFLNK | 0o777, b"busybox", (0, 0)) for applet in applets}
    members |= {name: (stat.S_IFCHR | 0o600, b"", device) for name, device in NODES.items()}
    out = [entry(i + 1, name, *members[name]) for i, name in enumerate(sorted(members))]
    return b"".join(out) + entry(0, "TRAILER!!!", 0)


def static_program(path, data):
    """The data, if it is a program that needs no other file to run; Fail if not."""
    if data[:5] != b"\x7fELF\x02":
        raise Fail("FETCH_FAILED", f"{path} is no 64-bit ELF program")
    phoff = int.from_bytes(data[32:40], "little")
    count = int.from_bytes(data[56:58], "little")
    if any(data[phoff + i * 56:phoff + i * 56 + 4] == b"\3\0\0\0" for i in range(count)):  # PT_INTERP
        raise Fail("FETCH_FAILED", f"{path} is not statically linked")
    return data


def built_program(path):
    """A program of this build, to run where there is nothing else."""
    try:
        return static_program(path, path.read_bytes())
    except FileNotFoundError as e:
        raise Fail("FETCH_FAILED", f"{path} is not there; build it with: ninja -C {BUILD}") from e


def busybox():
    """Debian's static busybox: the installed one, or its package unpacked beside."""
    installed = Path("/bin/busybox")
    if installed.is_file():
        try:
            return static_program(installed, installed.read_bytes())
        except Fail:
            pass  # the package "busybox" has the same path but is dynamically linked
    with tempfile.TemporaryDirectory() as tmp:
        for argv in (["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "busybox-static"],
                     ["sh", "-c", "dpkg-deb -x busybox-static_*.deb ."]):
            try:
                done = subprocess.run(argv, cwd=tmp, capture_output=True, check=False, text=True)
            except FileNotFoundError as e:
                raise Fail("PACKAGES", f"busybox-static is not installed and {argv[0]} is not there") from e
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or [argv[0] + " failed"])[-1]
                raise Fail("FETCH_FAILED", f"fetching busybox-static: {last}")
        found = Path(tmp) / "bin/busybox"
        return static_program(found, found.read_bytes())


def write(out, data):
    """Replaces the file in one step, and only by something else."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_file() and out.read_bytes() == data:
        return
    part = out.with_name(out.name + ".part")
    part.write_bytes(data)
    part.replace(out)
