# SPDX-License-Identifier: BSD-2-Clause
"""Runs one machine from start to end: reads what it says, keeps it, watches time, disk and Ctrl-C."""
import os
import selectors
import time
from dataclasses import dataclass

from . import procs, protocol
from .statuses import STATUS, STATUS_TEXT

CLOSING_S = 10.0      # for an emulator to end after the image's last word
DISK_RESERVE = 8 << 20  # below this the disk counts as full: the relay needs room to close its trace
DISK_CHECK_S = 1.0
CHUNK = 1 << 16

PHASES = {
    "boot": lambda w: "cascade is up",
    "start": lambda w: f"{w.get('what', 'guest')} starts",
    "userspace": lambda w: "in user space, working",
    "result": lambda w: f"work done, result {w.get('value', '?')}",
    "poweroff": lambda w: "powered off",
    "exit": lambda w: "shut down",
}


@dataclass
class Ended:
    """How a run ended: a status of exit_status.def and one line that explains it."""
    status: int
    text: str


def disk_full(path):
    fs = os.statvfs(path)
    return fs.f_bavail * fs.f_frsize < DISK_RESERVE


class Driver:
    """`bottom` is the level of the guest whose console it is; `on_console` gets its lines, `on_log` those that are
    nobody's; `watch` may return an Ended to stop for."""

    def __init__(self, run_dir, bottom, progress, on_console=None, watch=None, on_log=None):
        self.outcome = protocol.Outcome()
        self._on_log = on_log
        self._dir, self._bottom, self._progress = run_dir, bottom, progress
        self._on_console, self._watch = on_console, watch
        self._console = None
        self._next_disk_check = 0.0

    def _status(self, words):
        phase = PHASES.get(words.get("event"))
        if phase:
            self._progress.phase(phase(words), words.get("level"))

    def _console_line(self, level, text):
        if level != self._bottom:
            return
        self._console.write(text + "\n")
        self._console.flush()
        if self._on_console:
            self._progress.clear()
            self._on_console(text)

    def _obstacle(self, deadline):
        """A reason to stop the machine now, or None."""
        now = time.monotonic()
        if procs.interrupted.is_set():
            return Ended(STATUS["INTERRUPTED"], "interrupted")
        if now > deadline:
            return Ended(STATUS["TIMEOUT"], "the run did not end within --timeout")
        if now > self._next_disk_check:
            self._next_disk_check = now + DISK_CHECK_S
            if disk_full(self._dir):
                return Ended(STATUS["DISK_FULL"], f"the disk under {self._dir} is full")
        return self._watch() if self._watch else None

    def _pump(self, proc, raw, timeout_s):
        """Reads until the machine ends or there is a reason to end it."""
        reader = protocol.Reader(self.outcome, self._status, self._console_line, self._on_log)
        deadline = time.monotonic() + timeout_s
        selector = selectors.DefaultSelector()
        selector.register(proc.stdout, selectors.EVENT_READ)
        stop = None
        while stop is None:
            if selector.select(procs.POLL_S):
                data = os.read(proc.stdout.fileno(), CHUNK)
                if not data:
                    break
                raw.write(data)
                raw.flush()
                reader.feed(data)
            if self.outcome.exit_status is not None:
                deadline = min(deadline, time.monotonic() + CLOSING_S)
                if time.monotonic() > deadline:
                    break
            self._progress.tick()
            stop = self._obstacle(deadline)
        reader.end()
        return stop

    def run(self, argv, timeout_s):
        """Starts the command in the run's folder; returns an Ended if it had to be stopped, else None."""
        with open(self._dir / "machine.log", "wb") as raw, open(self._dir / "machine.err", "wb") as err, \
                open(self._dir / "console.txt", "w", encoding="utf-8") as self._console:
            proc = procs.spawn(argv, stdout=procs.subprocess.PIPE, stderr=err, cwd=self._dir)
            try:
                return self._pump(proc, raw, timeout_s)
            finally:
                if self.outcome.exit_status is not None:
                    procs.wait_quietly(proc, CLOSING_S)
                procs.finish(proc)
                proc.stdout.close()


def _reason(outcome):
    """The deepest cascade that ended with the run's status saw it first and knows best why."""
    status = outcome.exit_status
    for level, (inner, reason) in sorted(outcome.inner_exits.items(), reverse=True):
        if inner == status and reason:
            return f"L{level}: {reason}"
    return outcome.exit_reason or STATUS_TEXT.get(status, f"status {status}")


def verdict(outcome, stopped, emulator_text):
    """What a finished machine means for the user."""
    if stopped:
        return stopped
    if outcome.exit_status is None:
        text = "the emulator ended without the image's closing word"
        if outcome.errors:
            text = outcome.errors[-1]
        elif emulator_text:
            text += ": " + emulator_text
        return Ended(STATUS["EMULATOR_FAILED"], text)
    if outcome.result and outcome.exit_status in (STATUS["OK"], STATUS["GUEST_FAILED"]):
        return Ended(STATUS["GUEST_FAILED"], f"the guest's work failed with {outcome.result}")
    if outcome.exit_status != 0:
        return Ended(outcome.exit_status, _reason(outcome))
    if outcome.trace_lost:
        return Ended(STATUS["TRACE_LOST"], f"{outcome.trace_lost} trace events were lost")
    return Ended(STATUS["OK"], "")
