# SPDX-License-Identifier: BSD-2-Clause
"""docs/sdm.md lists what the sources cite, and scripts/lint/sdm.py finds what it does not."""
import subprocess
import sys
import tempfile
from pathlib import Path

lint, root = sys.argv[1:]
PAGE = "## Volume 3C: x\n\n| heading | chapter |\n|---|---|\n| Conventions | c |\n| VMX Aborts | c |\n"
CODE = '/* SDM 3C "Conventions",\n * "VMX Aborts" */\n'


def found(page, code, checks=""):
    """What the lint says of a tree of two files."""
    with tempfile.TemporaryDirectory() as d:
        for name, text in (("docs/sdm.md", page), ("src/nested/a.c", code), ("src/nested/checks_a.def", checks)):
            path = Path(d) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, lint, d], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if (done.returncode != 0) != bool(lines) or done.stderr:
        sys.exit(f"status {done.returncode} with {lines} {done.stderr}")
    return lines


def expect(lines, *words):
    if len(lines) != len(words) or not all(w in line for w, line in zip(words, lines)):
        sys.exit(f"the lint said {lines}, not {words}")


expect(found(PAGE, CODE))
expect(found(PAGE.replace("| VMX Aborts | c |\n", ""), CODE), '"VMX Aborts" is not listed')
expect(found(PAGE, CODE.replace(',\n * "VMX Aborts"', "")), '"VMX Aborts" is listed but')
expect(found(PAGE, CODE.replace("3C", "3D")), '3D "Conventions" is not', '3D "VMX Aborts" is not', "3C", "3C")
expect(found(PAGE, CODE, 'CHECK(A, GUEST, "Some Checks", 1)\n'), '"Some Checks" is not listed')
expect(found(PAGE, CODE, '#define REGS "Other Checks"\n'), '"Other Checks" is not listed')
expect(found(PAGE, CODE + '_Static_assert(1, "SDM 3A \\"64-Bit TSS\\"");\n'), '"64-Bit TSS" is not listed')
sys.exit(subprocess.run([sys.executable, lint, root], check=False).returncode)
