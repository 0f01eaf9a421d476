# SPDX-License-Identifier: BSD-2-Clause
"""Where things are, relative to the repository."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CASCADE_BUILD", ROOT / "build"))
CACHE = Path(os.environ.get("CASCADE_CACHE", ROOT / "cache"))
OUT = ROOT / "out"

IMAGE = BUILD / "src/boot/cascade.elf"
DISK_LOADER = BUILD / "src/boot/disk/disk-loader.bin"
PROBE = BUILD / "guests/probe/probe.elf"
RELAY = BUILD / "tools/cascade-relay"
REPORT = BUILD / "tools/cascade-report"


def new_run_dir(wanted=None):
    """A folder of its own for a run: `wanted`, which must be empty or absent, or the next free out/run-N."""
    if wanted is not None:
        path = Path(wanted)
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise FileExistsError(f"{path} is not empty")
        return path.resolve()
    OUT.mkdir(exist_ok=True)
    number = 1 + max((int(p.name[4:]) for p in OUT.glob("run-*") if p.name[4:].isdigit()), default=0)
    while True:
        path = OUT / f"run-{number:04d}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
