# SPDX-License-Identifier: BSD-2-Clause
"""The image on processors that cannot carry it: it says so in one line and ends with the status of that case."""
import re
import shutil
import subprocess

from harness import STATUS, Scratch, expect

from cascade_cli import drive, paths, silicon, silicon_bochs, silicon_kvm
from cascade_cli.progress import Progress
import tiny_guest

TIMEOUT_S = 60.0
MEMORY_MIB = 256
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
# The Bochs BIOS sets IA32_FEATURE_CONTROL by: mov ecx, 3Ah; rdmsr; or eax, 5; wrmsr. With 1 instead of 5 it locks VMX
# off (SDM 3C "Enabling and Entering VMX Operation").
SET_FEATURE_CONTROL = bytes.fromhex("b93a0000000f3283c8050f30")
LOCK_OFF = bytes.fromhex("b93a0000000f3283c8010f30")


def _machine(d):
    (d / "guest.elf").write_bytes(tiny_guest.elf(tiny_guest.SPIN))
    return silicon.Machine(run_dir=d, image=paths.IMAGE, modules=[d / "guest.elf"],
                           cmdline="trace=off guest=probe -- ", memory_mib=MEMORY_MIB)


def _expect_refusal(d, argv, kind, status):
    driver = drive.Driver(d, 2, Progress(quiet=True))
    stopped = driver.run(argv, TIMEOUT_S)
    ended = drive.verdict(driver.outcome, stopped, kind.failure(d))
    expect(ended.status == STATUS[status], f"status {ended.status}, not {STATUS[status]} ({status}): {ended.text}")
    expect(driver.outcome.exit_reason and "\n" not in driver.outcome.exit_reason, "no line that says why")
    expect(2 not in driver.outcome.levels, "a guest was started")


def qemu_without_vmx():
    """Plain QEMU, by PVH: there is no VMX in its emulated processor."""
    with Scratch() as d:
        machine = _machine(d)
        silicon_kvm.prepare(machine)
        _expect_refusal(d, silicon_kvm.command(machine, "tcg", "qemu64,-vmx,-svm"), silicon_kvm, "NO_VMX")


def _bochs(status, old, new):
    with Scratch() as d:
        argv = silicon_bochs.prepare(_machine(d))
        config = (d / "bochs.rc").read_text(encoding="ascii")
        expect(old in config, f"the configuration has no {old!r}")
        config = config.replace(old, new.format(dir=d)).replace("ignore_bad_msrs=0", "ignore_bad_msrs=1")
        (d / "bochs.rc").write_text(config, encoding="ascii")
        with open(BIOS, "rb") as f:
            rom = f.read()
        expect(SET_FEATURE_CONTROL in rom, "this BIOS sets IA32_FEATURE_CONTROL in another way")
        (d / "locked.rom").write_bytes(rom.replace(SET_FEATURE_CONTROL, LOCK_OFF, 1))
        _expect_refusal(d, argv, silicon_bochs, status)


def bochs_without_vmx():
    _bochs("NO_VMX", silicon_bochs.MODEL, "p4_prescott_celeron_336")


def bochs_without_ept():
    _bochs("NO_EPT", silicon_bochs.MODEL, "core2_penryn_t9600")


def bochs_without_unrestricted_guest():
    _bochs("NO_UNRESTRICTED", silicon_bochs.MODEL, "corei5_lynnfield_750")


def bochs_with_vmx_locked_off():
    _bochs("VMX_LOCKED", BIOS, "{dir}/locked.rom")


GRUB_CFG = """\
set timeout=0
menuentry cascade {
        multiboot2 /boot/cascade.elf guest=probe -- selftest
        module2 /boot/probe.elf
        boot
}
"""


def multiboot2_by_grub():
    """The other way in: GRUB loads image and guest from a CD on Bochs, and the guest's self-test passes."""
    with Scratch() as d:
        tree = d / "tree/boot/grub"
        tree.mkdir(parents=True)
        (tree / "grub.cfg").write_text(GRUB_CFG, encoding="ascii")
        shutil.copy(paths.IMAGE, tree.parent / "cascade.elf")
        shutil.copy(paths.PROBE, tree.parent / "probe.elf")
        made = subprocess.run(["grub-mkrescue", "-o", d / "boot.iso", d / "tree"], capture_output=True, text=True,
                              check=False)
        expect(made.returncode == 0, made.stderr)
        argv = silicon_bochs.prepare(_machine(d))
        config = re.sub("ata0-master:.*", "ata0-master: type=cdrom, path=boot.iso, status=inserted",
                        (d / "bochs.rc").read_text(encoding="ascii")).replace("boot: disk", "boot: cdrom")
        (d / "bochs.rc").write_text(config, encoding="ascii")
        driver = drive.Driver(d, 2, Progress(quiet=True))
        stopped = driver.run(argv, TIMEOUT_S)
        ended = drive.verdict(driver.outcome, stopped, silicon_bochs.failure(d))
        expect(ended.status == STATUS["OK"], f"status {ended.status}: {ended.text}")
        expect(driver.outcome.levels[2].powered_off, "the guest did not power off")


CASES = [multiboot2_by_grub, qemu_without_vmx, bochs_without_vmx, bochs_without_ept, bochs_without_unrestricted_guest,
         bochs_with_vmx_locked_off]
