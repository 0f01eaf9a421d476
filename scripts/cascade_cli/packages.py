# SPDX-License-Identifier: BSD-2-Clause
"""Debian packages that each purpose needs: the one list, and how they get installed."""
import glob
import os
import shutil
import subprocess

from . import procs
from .statuses import STATUS, Fail

PACKAGES = {
    "build": ["gcc", "libc6-dev", "binutils", "meson", "ninja-build", "pkg-config", "libcapstone-dev",
              "liblttng-ust-dev", "liblttng-ctl-dev", "libbabeltrace2-dev", "libjansson-dev",
              "check"],
    "trace": ["lttng-tools", "babeltrace2"],
    "linux": ["busybox-static", "xz-utils", "zstd", "lz4"],
    "bochs": ["bochs", "bochs-term", "bochsbios", "vgabios"],
    "kvm": ["qemu-system-x86"],
    "test": ["clang", "libclang-rt-14-dev", "llvm", "qemu-system-x86", "grub-common", "grub-pc-bin", "xorriso", "mtools"],
}
# bochs depends on any of its displays; a machine that has another one needs no second.
ANY_OF = {"bochs-term": ["bochs-wx", "bochs-x", "bochs-sdl"]}


def _installed(names):
    """Which of these packages dpkg calls installed."""
    if not shutil.which("dpkg-query"):
        raise Fail("PACKAGES", "this is not a Debian system (no dpkg-query); see README.md for what is needed")
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
                         capture_output=True, text=True, check=False).stdout
    return {line.split()[0] for line in out.splitlines() if line.endswith(" installed")}


def missing(purposes):
    wanted = list(dict.fromkeys(p for purpose in purposes for p in PACKAGES[purpose]))
    have = _installed(wanted + [alt for w in wanted for alt in ANY_OF.get(w, [])])
    return [w for w in wanted if w not in have and not have.intersection(ANY_OF.get(w, []))]


def _lists_present():
    return bool(glob.glob("/var/lib/apt/lists/*_Packages*"))


def _apt(argv, log, progress):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    procs.run_logged(["apt-get", "-q", "-y", *argv], log, "PACKAGES", "apt-get " + argv[0], progress.tick, env=env)


def ensure(purposes, progress, log):
    """Installs what is missing; where that takes rights we do not have, says the command that would."""
    need = missing(purposes)
    if not need:
        return
    if os.geteuid() != 0:
        command = "apt-get install --no-install-recommends " + " ".join(need)
        raise Fail("PACKAGES", f"packages are missing; install them with: sudo {command}")
    progress.phase("installing " + " ".join(need))
    with procs.locked(log.with_suffix(".lock"), progress.tick):
        _install(missing(purposes), progress, log)


def _install(need, progress, log):
    if not need:
        return  # another launcher was here first
    install = ["install", "--no-install-recommends", *need]
    if not _lists_present():
        _apt(["update"], log, progress)
    try:
        _apt(install, log, progress)
    except Fail as e:
        if e.status == STATUS["INTERRUPTED"]:
            raise
        # Lists that are older than the archive name versions that are gone.
        _apt(["update"], log, progress)
        _apt(install, log, progress)
