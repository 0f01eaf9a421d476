#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks the include graph against the arrows of docs: calls go one way, siblings do not know each other.

    includes.py [ROOT]      prints each include that goes against an arrow; status 1 if there is one"""
import re
import sys
from pathlib import Path

# What a folder of src/ may call directly; what those may call follows. base and trace are open to all.
ARROWS = {
    "boot": ["run"],
    "run": ["platform", "nested", "emulate"],
    "nested": ["shadow-vmcs", "ept02", "irq", "emulate"],
    "platform": ["irq"],
    "shadow-vmcs": ["vmx"],
    "ept02": ["vmx"],
    "irq": ["vmx"],
    "emulate": ["hw"],
    "vmx": ["hw", "mm"],
    "hw": [],
    "mm": [],
    "trace": ["hw"],
    "base": [],
}
OPEN_TO_ALL = {"base", "trace"}
# Folders outside of src/ and what they may include from it; tests may include anything.
OUTSIDE = {"tools": {"base", "trace", "vmx"}, "guests": {"base", "trace", "hw", "vmx", "boot", "nested"}}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
SOURCES = ("*.c", "*.h", "*.S", "*.def")


def reachable(folder):
    """Everything below a folder, itself included."""
    seen, todo = set(), [folder]
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += ARROWS[at]
    return seen | ({"base"} if folder in OPEN_TO_ALL else OPEN_TO_ALL)


def target(src, path, name):
    """The folder of src/ that an include names; None for headers of the file's own folder or of none."""
    if (path.parent / name).exists() and "/" not in name:
        return None
    folder = name.split("/", 1)[0]
    return folder if "/" in name and (src / folder).is_dir() else None


def violations(root):
    src = root / "src"
    found = []
    unknown = {d.name for d in src.iterdir() if d.is_dir()} - set(ARROWS)
    found += [f"src/{name}: no arrows are drawn for this folder" for name in sorted(unknown)]
    places = [(src / name, reachable(name)) for name in ARROWS]
    places += [(root / name, allowed) for name, allowed in OUTSIDE.items()]
    for place, allowed in places:
        for path in sorted(p for pattern in SOURCES for p in place.rglob(pattern)):
            for name in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
                folder = target(src, path, name)
                if folder is not None and folder not in allowed:
                    found.append(f"{path.relative_to(root)}: includes {name}, against the arrows")
    return found


if __name__ == "__main__":
    bad = violations(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]))
    print("\n".join(bad), end="\n" if bad else "")
    sys.exit(1 if bad else 0)
