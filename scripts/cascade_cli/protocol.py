# SPDX-License-Identifier: BSD-2-Clause
"""Reads what a machine says: status lines of cascade, console lines of its guests, everything else is log.

A line `L3| text` is from the console of level 3 and never anything else, whatever the text: a guest cannot forge a
status line. `@cascade key=value ...` is a status line; `reason` and `text` take the rest of it."""
import re
from dataclasses import dataclass, field

CONSOLE = re.compile(r"L(\d+)\| ?(.*)", re.DOTALL)
PROMPT = re.compile(r"^(?:<bochs:\d+> ?)+")
STATUS_PREFIX = "@cascade "
REST_KEYS = ("reason", "text")
LINE_MAX = 1 << 16


@dataclass
class Level:
    level: int
    what: str
    reached_userspace: bool = False
    powered_off: bool = False


@dataclass
class Outcome:
    """What is known of a run from its status lines alone."""
    levels: dict = field(default_factory=dict)
    exit_status: int = None
    exit_reason: str = ""
    inner_exits: dict = field(default_factory=dict)
    result: int = None
    errors: list = field(default_factory=list)
    trace_lost: int = 0
    trace_bytes: int = None

    def level(self, number, what="?"):
        return self.levels.setdefault(number, Level(number, what))


def parse_status(line):
    """The keys of a status line, all as text; empty for a line that has none."""
    words = {}
    rest = line[len(STATUS_PREFIX):].strip()
    while rest:
        key, eq, tail = rest.partition("=")
        if not eq:
            break
        if key in REST_KEYS:
            words[key] = tail
            break
        words[key], _, rest = tail.partition(" ")
        rest = rest.lstrip()
    return words


def number(text, default=None):
    try:
        return int(text, 0)
    except (TypeError, ValueError):
        return default


def apply(outcome, words):
    """Takes a status line's keys into the outcome. Unknown events are left to the log."""
    level, event = number(words.get("level"), 0), words.get("event")
    if event == "boot":
        outcome.level(level, "cascade").what = "cascade"
    elif event == "start":
        outcome.level(level).what = words.get("what", "?")
    elif event == "userspace":
        outcome.level(level).reached_userspace = True
    elif event == "poweroff":
        outcome.level(level).powered_off = True
    elif event == "result":
        outcome.result = number(words.get("value"))
    elif event == "error":
        outcome.errors.append(words.get("text", ""))
    elif event == "trace":
        outcome.trace_bytes = number(words.get("bytes"))
        outcome.trace_lost += number(words.get("lost"), 0)
    elif event == "exit" and level > 1:
        outcome.inner_exits[level] = (number(words.get("status"), 1), words.get("reason", ""))
    elif event == "exit" and level == 1:
        outcome.exit_status = number(words.get("status"), 1)
        outcome.exit_reason = words.get("reason", "")
        outcome.level(1, "cascade").powered_off = outcome.exit_status == 0


class Reader:
    """Cuts the machine's output into lines and sorts them."""

    def __init__(self, outcome, on_status, on_console, on_log=None):
        self._outcome, self._on_status, self._on_console, self._on_log = outcome, on_status, on_console, on_log
        self._rest = b""

    def feed(self, data):
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LINE_MAX:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._line(line.decode("utf-8", "replace").rstrip("\r"))

    def end(self):
        if self._rest:
            self.feed(b"\n")

    def _line(self, line):
        console = CONSOLE.match(line)
        if console:
            self._on_console(int(console[1]), console[2])
            return
        line = PROMPT.sub("", line)
        if line.startswith(STATUS_PREFIX):
            words = parse_status(line)
            apply(self._outcome, words)
            self._on_status(words)
        elif self._on_log:
            self._on_log(line)
