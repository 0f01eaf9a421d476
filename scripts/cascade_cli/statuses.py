# SPDX-License-Identifier: BSD-2-Clause
"""Exit statuses and sizes, read from the files that the image is compiled with."""
import re

from .paths import ROOT


def _rows(name, macro):
    text = (ROOT / "src/base" / name).read_text(encoding="utf-8")
    return re.findall(rf'^{macro}\((\w+),\s*(\d+),\s*"([^"]*)"\)', text, re.MULTILINE)


STATUS_ROWS = [(name, int(number), text) for name, number, text in _rows("exit_status.def", "EXIT_STATUS")]
STATUS = {name: number for name, number, _ in STATUS_ROWS}
STATUS_TEXT = {number: text for _, number, text in STATUS_ROWS}
LIMIT = {name: int(number) for name, number, _ in _rows("run_limits.def", "RUN_LIMIT")}


class Fail(Exception):
    """Ends the command: one line on stderr and the status of this name."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = STATUS[status]


def status_table():
    """The exit statuses as text for --help."""
    return "\n".join(f"  {number:3}  {text}" for _, number, text in STATUS_ROWS)
