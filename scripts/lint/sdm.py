#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks that every heading of Intel's manual that src/ cites is listed in docs/sdm.md, and nothing else.

A citation is a volume and a heading in quotation marks, SDM 3C "Conventions"; further headings may follow behind
commas. The rows of src/nested/checks_*.def cite volume 3C.

    sdm.py [ROOT]           prints each difference; status 1 if there is one
    sdm.py --list [ROOT]    prints volume, heading and a file that cites it"""
import re
import sys
from pathlib import Path

FOLDERS = ("src",)
SOURCES = ("*.c", "*.h", "*.S", "*.def")
QUOTED = r'"([^"]+)"'
CITED = re.compile(r'SDM ((?:1|2[A-D]?|3[A-D]|4)\b)((?:,?(?: and)?(?: chapter| table)? ' + QUOTED + r')+)')
CHECK_ROWS = "src/nested/checks_*.def"
CHECK_VOLUME = "3C"
MACRO = re.compile(r'^#define \w+ ' + QUOTED + r'$|CHECK\(\w+, \w+, ' + QUOTED, re.MULTILINE)
VOLUME = re.compile(r'^## Volume (\S+)', re.MULTILINE)
ROW = re.compile(r'^\| ([^|]+?) \|')


def plain(text):
    """Comments that run over several lines as one, quotation marks in strings as such."""
    return re.sub(r'\s+(?:\*(?!/) ?)?\s*', ' ', text.replace('\\"', '"'))


def cited(root):
    """{(volume, heading): a file that cites it}"""
    found = {}
    for path in sorted(p for folder in FOLDERS for s in SOURCES for p in (root / folder).rglob(s)):
        for volume, headings, _ in CITED.findall(plain(path.read_text(encoding="utf-8"))):
            for heading in re.findall(QUOTED, headings):
                found.setdefault((volume, heading), path.relative_to(root))
    for path in sorted(root.glob(CHECK_ROWS)):
        for in_macro, in_row in MACRO.findall(path.read_text(encoding="utf-8")):
            found.setdefault((CHECK_VOLUME, in_macro or in_row), path.relative_to(root))
    return found


def listed(page):
    """{(volume, heading)} of the tables of docs/sdm.md."""
    found, volume = set(), None
    for line in page.read_text(encoding="utf-8").splitlines():
        head, row = VOLUME.match(line), ROW.match(line)
        if line.startswith("#"):
            volume = head[1].rstrip(":") if head else None
        elif volume and row and row[1] not in ("heading", "---"):
            found.add((volume, row[1]))
    return found


def violations(root):
    have, want = listed(root / "docs/sdm.md"), cited(root)
    bad = [f'{want[key]}: SDM {key[0]} "{key[1]}" is not listed in docs/sdm.md' for key in sorted(want.keys() - have)]
    return bad + [f'docs/sdm.md: SDM {v} "{h}" is listed but cited nowhere' for v, h in sorted(have - want.keys())]


if __name__ == "__main__":
    words = [w for w in sys.argv[1:] if w != "--list"]
    where = Path(words[0]) if words else Path(__file__).resolve().parents[2]
    if "--list" in sys.argv[1:]:
        print("\n".join(f"{v}\t{h}\t{path}" for (v, h), path in sorted(cited(where).items())))
        sys.exit(0)
    wrong = violations(where)
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)
