# SPDX-License-Identifier: BSD-2-Clause
"""QEMU/KVM on an Intel host: true cycles. The same description also starts plain QEMU without KVM, which has no
VMX; only a test of the image's refusal wants that."""
from . import container

NAME = "kvm"
PACKAGES = "kvm"
WORDS = []
MEMORY_MAX_MIB = 1 << 20


def store_bytes(wanted_bytes):
    return wanted_bytes // 512 * 512


def command(machine, accel, cpu):
    """The QEMU command; the container must have been written when there are modules."""
    argv = ["qemu-system-x86_64", "-machine", f"pc,accel={accel}", "-cpu", cpu, "-smp", "1",
            "-m", str(machine.memory_mib), "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", "stdio,id=out,signal=off", "-device", "isa-debugcon,iobase=0xe9,chardev=out",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
            "-kernel", str(machine.image), "-append", machine.cmdline]
    if machine.modules:
        argv += ["-initrd", "modules.bin"]
    if machine.store:
        argv += ["-drive", f"if=ide,index=1,format=raw,file={machine.store.name}"]
    return argv


def prepare(machine):
    """Writes the container; returns the command, to be run in the run's folder."""
    if machine.modules:
        with open(machine.run_dir / "modules.bin", "wb") as out:
            container.write(out, machine.modules)
    return command(machine, "kvm", "host")


def failure(run_dir):
    """The emulator's own explanation."""
    try:
        lines = (run_dir / "machine.err").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return lines[-1].strip() if lines else ""


def leftovers(run_dir):
    """Files that are worth nothing after the run."""
    return [run_dir / "modules.bin"]
