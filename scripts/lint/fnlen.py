#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks that functions have at most 60 lines, files at most 600, and that each source file names its license.
Exemptions stand in exempt.txt beside this file, each with its reason.

    fnlen.py [ROOT]         prints what is too long; status 1 if there is something"""
import re
import sys
from pathlib import Path

FUNCTION_MAX, FILE_MAX = 60, 600
FOLDERS = ("src", "tools", "guests", "tests")
SOURCES = ("*.c", "*.h", "*.S", "*.def")
NAME = re.compile(r"(\w+)\s*\(")


def functions(lines):
    """(name, first line, number of lines) of each function: a brace alone in column 0 opens and closes it."""
    start = None
    for number, line in enumerate(lines):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start is not None:
            head = start
            while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith(("}", "/*", " */", "#")):
                head -= 1
            name = NAME.search(" ".join(lines[head:start]))
            yield (name[1] if name else "?"), head + 1, number - head + 1
            start = None


def check_file(path, rel):
    """(key for exemptions, message) of everything that is wrong with a file."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not any("SPDX-License-Identifier:" in line for line in lines[:2]):
        yield str(rel), f"{rel}: no SPDX line"
    if len(lines) > FILE_MAX:
        yield str(rel), f"{rel}: {len(lines)} lines, {FILE_MAX} are allowed"
    for name, first, count in functions(lines):
        if count > FUNCTION_MAX:
            yield f"{rel}:{name}", f"{rel}:{first}: {name} has {count} lines, {FUNCTION_MAX} are allowed"


def exemptions(path):
    """Key -> reason; a line without a reason exempts nothing."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        key, _, reason = line.partition(" ")
        if reason.strip() and not key.startswith("#"):
            found[key] = reason.strip()
    return found


def violations(root, exempt):
    found = []
    for folder in FOLDERS:
        for path in sorted(p for pattern in SOURCES for p in (root / folder).rglob(pattern)):
            found += [text for key, text in check_file(path, path.relative_to(root)) if key not in exempt]
    return found


if __name__ == "__main__":
    here = Path(__file__).resolve()
    bad = violations(Path(sys.argv[1]) if len(sys.argv) > 1 else here.parents[2], exemptions(here.parent / "exempt.txt"))
    print("\n".join(bad), end="\n" if bad else "")
    sys.exit(1 if bad else 0)
