# SPDX-License-Identifier: BSD-2-Clause
"""./cascade doctor: what this machine can run, and what is missing for it."""
import os
import shutil
from pathlib import Path

from . import packages, paths, silicon
from .statuses import STATUS, Fail


def _line(good, what, text):
    print(f"{'ok' if good else '--'}  {what:<22} {text}")
    return good


def _nested():
    try:
        return Path("/sys/module/kvm_intel/parameters/nested").read_text(encoding="ascii").strip() in ("Y", "1")
    except OSError:
        return False


def _packages():
    good = True
    for purpose in packages.PACKAGES:
        need = packages.missing([purpose])
        good &= _line(not need, f"packages: {purpose}", "all there" if not need else "missing: " + " ".join(need))
    if not good:
        need = packages.missing(packages.PACKAGES)
        print(f"    install with: apt-get install --no-install-recommends {' '.join(need)}")
        print("    (./cascade does that by itself when run as root)")
    return good


def command(args, progress):
    flags = silicon.cpu_flags()
    obstacle = silicon.kvm_obstacle()
    _line("vmx" in flags, "processor has VMX", "yes" if "vmx" in flags else "no")
    _line(os.access("/dev/kvm", os.R_OK | os.W_OK), "/dev/kvm usable", "")
    _line(_nested(), "kvm_intel nested", "")
    _line(not obstacle, "--on kvm", obstacle or "possible: real cycles")
    bochs = shutil.which("bochs-bin") is not None
    _line(bochs, "--on bochs", "possible: exact path lengths, no VMX needed" if bochs else "install the package bochs")
    _line(paths.IMAGE.exists(), "image built", str(paths.IMAGE) if paths.IMAGE.exists() else "not yet")
    free = shutil.disk_usage(paths.ROOT).free >> 20
    _line(free > 4096, "free disk", f"{free} MiB")
    try:
        good = _packages()
    except Fail as e:
        good = _line(False, "packages", str(e))
    return STATUS["OK"] if good and (bochs or not obstacle) else STATUS["PACKAGES"]
