# SPDX-License-Identifier: BSD-2-Clause
"""docs/fidelity.md has one row for each feature of src/vmx/features.def, its first columns follow from the tables, and the
tests that it names exist."""
import re
import sys
from dataclasses import dataclass
from pathlib import Path

OFFERED = {"FEATURE": "yes", "DEFAULT1": "always", "ABSENT": "no"}


@dataclass
class Row:
    name: str
    word: str
    text: str
    silicon: str
    offered: str

    def cells(self):
        return f"`{self.name}` | {self.text} | {self.silicon} | {self.offered}"


def bit_values(header):
    """Name of each constant that is one CTL(), BIT() or BITS(), and its value."""
    values = {}
    for name, kind, high, low in re.findall(r"^#define (\w+)\s+(CTL|BIT|BITS)\((\d+)(?:, (\d+))?\)", header, re.MULTILINE):
        low = low if kind == "BITS" else high
        values[name] = (2 << int(high)) - (1 << int(low))
    return values


def silicon_words(page):
    """{word: (value on haswell, value on skylake)} of the page's table of MSRs."""
    found = re.findall(r"^\| (\w+) 0x48\w|^\| (\w+) 0x491", page, re.MULTILINE)
    rows = re.findall(r"^\| (\w+) 0x4\w\w \| (0x\w+) \| (0x\w+) \|$", page, re.MULTILINE)
    if not rows or len(rows) != len(found):
        sys.exit("docs/fidelity.md: the table of the silicon's MSRs is not understood")
    return {word: (int(a, 16), int(b, 16)) for word, a, b in rows}


def feature_rows(root, page):
    """What the tables say, in their order."""
    values = bit_values((Path(root) / "src/vmx/controls.h").read_text(encoding="utf-8"))
    words = silicon_words(page)
    rows = []
    for kind, name, word, bits, text in re.findall(
            r'^(FEATURE|DEFAULT1|ABSENT)\((\w+), (\w+), (\w+), \w+, .*, "([^"]*)"\)$',
            (Path(root) / "src/vmx/features.def").read_text(encoding="utf-8"), re.MULTILINE):
        haswell, skylake = (bool(word_value & values[bits]) for word_value in words[word])
        silicon = "both" if haswell and skylake else "haswell" if haswell else "skylake" if skylake else "-"
        rows.append(Row(name, word, text, silicon, OFFERED[kind]))
    return rows


# --- the page ---

def test_names(root):
    """Everything that the last column may name."""
    names = set()
    for path in (root / "tests/unit").glob("test_*.c"):
        names |= set(re.findall(r"START_TEST\((\w+)\)", path.read_text(encoding="utf-8")))
    for path in (root / "tests/e2e").glob("cases_*.py"):
        names |= set(re.findall(r"^def ([a-z]\w*)\(\):", path.read_text(encoding="utf-8"), re.MULTILINE))
    return names | {p.name for p in (root / "tests/fuzz").glob("fuzz_*.c")} | {p.name for p in (root / "guests/probe").glob("*.c")}


def complaints(root, page):
    lines = page.splitlines()
    wanted = feature_rows(root, page)
    table = {m[1]: line for line in lines if (m := re.match(r"\| `(\w+)` \|", line))}
    for row in wanted:
        line = table.pop(row.name, "")
        if not line.startswith(f"| {row.cells()} |"):
            yield f"the row should begin with: | {row.cells()} |"
        elif re.search(r"\|\s*\|", line) or len(line.split(" | ")) != 6:
            yield f"{row.name}: a column is empty or missing"
    for name in table:
        yield f"{name} is not in src/vmx/features.def"
    known = test_names(root)
    for line in lines[lines.index("## Features"):] if "## Features" in lines else []:
        if not line.startswith("|") or line.startswith(("|---", "| feature |", "| what |")):
            continue
        named = re.findall(r"`([\w.]+)`", line.rstrip("| ").rsplit(" | ", 1)[-1])
        if not named:
            yield f"no test shows it: {line}"
        yield from (f"there is no test {name}" for name in named if name not in known)


def main():
    root = Path(sys.argv[1])
    page = (root / "docs/fidelity.md").read_text(encoding="utf-8")
    found = list(complaints(root, page))
    for damaged, word in ((page.replace("| both | yes |", "| - | yes |", 1), "should begin"),
                          (page.replace("`every_vector`", "`no_vector`", 1), "no_vector"),
                          (page.replace("| `ept` |", "| `tpe` |", 1), "tpe is not")):
        if not any(word in c for c in complaints(root, damaged)):
            found.append(f"this test does not notice a page with: {word}")
    sys.exit("\n".join("docs/fidelity.md: " + c for c in found) if found else 0)


if __name__ == "__main__":
    main()
