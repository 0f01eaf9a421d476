# SPDX-License-Identifier: BSD-2-Clause
"""What cascade runs on: chooses between the kinds of silicon and describes a machine to any of them."""
import os
from dataclasses import dataclass
from pathlib import Path

from . import silicon_bochs, silicon_kvm
from .statuses import Fail

KINDS = {"kvm": silicon_kvm, "bochs": silicon_bochs}


@dataclass
class Machine:
    """One machine to be started. `modules` reach the image in one container (container.py)."""
    run_dir: Path
    image: Path
    modules: list
    cmdline: str
    memory_mib: int
    store: Path = None
    debug: bool = False
    cpu: str = silicon_bochs.MODEL  # of Bochs's processors


def cpu_flags():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def kvm_obstacle():
    """Why this host cannot run cascade under KVM; empty if it can."""
    if "vmx" not in cpu_flags():
        return "the host's processor shows no VMX"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not there or not accessible"
    try:
        nested = Path("/sys/module/kvm_intel/parameters/nested").read_text(encoding="ascii").strip()
    except OSError:
        return "the kvm_intel module is not loaded"
    if nested not in ("Y", "1"):
        return "kvm_intel is loaded without nested=1"
    return ""


def choose(wanted):
    """The module for --on; `auto` falls back to Bochs."""
    obstacle = kvm_obstacle()
    if wanted == "kvm" and obstacle:
        raise Fail("SILICON_MISSING", f"--on kvm: {obstacle}; --on bochs needs no VMX")
    if wanted == "auto":
        wanted = "bochs" if obstacle else "kvm"
    return KINDS[wanted]
