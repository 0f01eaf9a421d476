# SPDX-License-Identifier: BSD-2-Clause
"""Bochs: a complete VMX processor in software, one instruction a tick. Each run has its own folder; displays take
the next free port by themselves."""
from . import bootdisk
from .paths import DISK_LOADER
from .statuses import LIMIT, Fail

NAME = "bochs"
PACKAGES = "bochs"
TSC_HZ = 100_000_000
WORDS = [f"tsc_hz={TSC_HZ}"]
MEMORY_MAX_MIB = LIMIT["BOCHS_MEMORY_MAX_MIB"]
MODEL = "corei7_haswell_4770"

CONFIG = """\
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model={model}, count=1, ips={hz}, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest={memory}, host={memory}
clock: sync=none, time0=1000000000
ata0-master: type=disk, path=disk.img, mode=flat, cylinders={cylinders}, heads=16, spt=63
{store}boot: disk
port_e9_hack: enabled=1
panic: action=fatal
error: action={action}
info: action={action}
debug: action=ignore
sound: waveoutdrv=dummy
log: bochs.log
"""
STORE = "ata0-slave: type=disk, path={path}, mode=flat, cylinders={cylinders}, heads=16, spt=63\n"
DEBUGGER = "c\nq\n"  # run; the image's closing break leads to the next line, which quits with status 0


def store_bytes(wanted_bytes):
    """Disks have whole cylinders."""
    unit = bootdisk.HEADS * bootdisk.SECTORS_PER_TRACK * bootdisk.SECTOR
    return max(1, wanted_bytes // unit) * unit


def prepare(machine):
    """Writes disk and configuration; returns the command, to be run in the run's folder."""
    if machine.memory_mib > MEMORY_MAX_MIB:
        raise Fail("USAGE", f"{machine.memory_mib} MiB are needed in all, Bochs has at most {MEMORY_MAX_MIB}")
    cylinders = bootdisk.write(machine.run_dir / "disk.img", DISK_LOADER, machine.image, machine.modules,
                               machine.cmdline, machine.memory_mib)
    store = ""
    if machine.store:
        count = machine.store.stat().st_size // (bootdisk.HEADS * bootdisk.SECTORS_PER_TRACK * bootdisk.SECTOR)
        store = STORE.format(path=machine.store.name, cylinders=count)
    config = CONFIG.format(model=machine.cpu, hz=TSC_HZ, memory=machine.memory_mib, cylinders=cylinders, store=store,
                           action="report" if machine.debug else "ignore")
    (machine.run_dir / "bochs.rc").write_text(config, encoding="ascii")
    (machine.run_dir / "bochs.dbg").write_text(DEBUGGER, encoding="ascii")
    return ["bochs-bin", "-q", "-unlock", "-f", "bochs.rc", "-rc", "bochs.dbg"]


def failure(run_dir):
    """The emulator's own explanation, from its log or its stderr."""
    for name in ("bochs.log", "machine.err"):
        try:
            text = (run_dir / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            if "PANIC" in line or "triple fault" in line or line[12:13] == "p":
                return line.strip()
    return ""


def leftovers(run_dir):
    """Files that are worth nothing after the run."""
    return [run_dir / "disk.img", run_dir / "disk.img.lock", run_dir / "store.img.lock"]
