# SPDX-License-Identifier: BSD-2-Clause
"""The trace of a run: store, relay and report. What they do is C (tools/); here they are started and ended."""
import subprocess

from . import procs
from .drive import Ended, disk_full
from .paths import RELAY, REPORT
from .statuses import STATUS, Fail

FINISH_S = 300.0  # a relay that is behind may have much to write
RELAY_DISK_FULL = 7  # tools/relay.c
REPORT_DAMAGED = 7  # tools/report.c: what came before the damage is shown


class Relay:
    """Runs beside the machine and turns the store into a CTF trace. It ends when its stdin is closed."""

    def __init__(self, run_dir, store):
        self.trace_dir = run_dir / "trace"
        self._dir = run_dir
        self._log = open(run_dir / "relay.log", "wb")
        self._proc = procs.spawn([RELAY, "--store", store, "--out", self.trace_dir, "--follow", "--quiet"],
                                 stdin=subprocess.PIPE, stdout=self._log, stderr=subprocess.STDOUT, cwd=run_dir)

    def _ended(self, code):
        if code == RELAY_DISK_FULL or disk_full(self._dir):
            return Ended(STATUS["DISK_FULL"], f"the disk under {self._dir} is full; the trace ends there")
        last = (procs.tail(self._dir / "relay.log", 1) or "no word from it").strip()
        return Ended(STATUS["TRACE_FAILED"], f"the relay failed: {last}")

    def watch(self):
        """For the driver: a reason to stop the machine when the relay is gone."""
        code = self._proc.poll()
        return None if code in (None, 0) else self._ended(code)

    def finish(self, tick):
        """The machine has ended: lets the relay write what is left. An Ended if that fails.

        An interrupted run keeps its trace too, so this wait heeds only its own limit and a second Ctrl-C."""
        self._proc.stdin.close()
        code = None
        for _ in range(int(FINISH_S / procs.POLL_S)):
            tick()
            procs.wait_quietly(self._proc, procs.POLL_S)
            code = self._proc.poll()
            if code is not None or procs.forced.is_set():
                break
        self.kill()
        return None if code == 0 else self._ended(code)

    def kill(self):
        """For ways out that cannot wait."""
        self._proc.stdin.close()
        procs.finish(self._proc)
        self._log.close()


def readable(trace_dir):
    """Whether the relay came as far as beginning a trace."""
    return any(trace_dir.rglob("metadata"))


def report(trace_dir, json_file):
    """The table, made from the CTF trace alone; the same as JSON goes to a file. Fail if there is nothing to show."""
    proc = procs.spawn([REPORT, trace_dir, "--json", json_file], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = (text.decode(errors="replace") for text in proc.communicate())
    if proc.returncode not in (0, REPORT_DAMAGED):
        raise Fail("TRACE_FAILED", (err.strip().splitlines() or ["the report failed without a word"])[-1])
    return out
