# SPDX-License-Identifier: BSD-2-Clause
"""What the end-to-end cases share: calling ./cascade as a user does, and looking at what it leaves behind."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from cascade_cli.build import PREBUILT  # noqa: E402
from cascade_cli.statuses import STATUS  # noqa: E402

FAST_S = 60.0      # more than a case without a Linux guest ever needs, also on a busy machine
RUN_S = 600.0
GONE_S = 5.0       # for processes to disappear after the launcher did
POLL_S = 0.05


class Skip(Exception):
    """This machine cannot show it; says why."""


@dataclass
class Done:
    status: int
    out: str
    err: str

    def err_lines(self):
        """What a user sees as an error: stderr without the lines of progress."""
        return [line for line in self.err.splitlines() if line and not line.startswith("[")]


def start(*args):
    """Starts ./cascade with these arguments."""
    return subprocess.Popen([ROOT / "cascade", *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ, **{PREBUILT: "1"}))


def collect(proc, timeout_s, seen=""):
    """Waits for a started ./cascade; `seen` is what was read of its stderr already."""
    try:
        out, err = proc.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        proc.send_signal(signal.SIGTERM)
        out, err = proc.communicate()
        raise AssertionError(f"still running after {timeout_s:.0f} s; stderr:\n{seen}{err}") from None
    return Done(proc.returncode, out, seen + err)


def cascade(*args, timeout_s=FAST_S):
    return collect(start(*args), timeout_s)


class Scratch:
    """A folder that is gone after the case, unless the case failed and someone may want to look."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="cascade-e2e-"))
        return self.path

    def __exit__(self, kind, value, tb):
        if kind in (None, Skip):
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            value.args = (f"{value} (files: {self.path})",)


def expect(condition, text):
    """An assertion that python -O keeps."""
    if not condition:
        raise AssertionError(text)


def expect_refusal(done, status, *words):
    """One clear line on stderr, naming these words, and this status."""
    lines = done.err_lines()
    expect(done.status == STATUS[status], f"status {done.status}, not {STATUS[status]} ({status}); stderr: {done.err}")
    expect(len(lines) == 1 and lines[0].startswith("cascade: "), f"not one clear line: {done.err!r}")
    for word in words:
        expect(word in lines[0], f"the line does not say {word!r}: {lines[0]!r}")


def _of_folder(pid, folder):
    try:
        if os.readlink(f"/proc/{pid}/cwd").startswith(folder):
            return True
        text = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        return folder.encode() in text
    except OSError:
        return False


def processes_of(folder):
    """Processes that work in a folder or were told of it."""
    folder = str(folder)
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid() and _of_folder(p, folder)]


def expect_no_processes(folder):
    end = time.monotonic() + GONE_S
    while left := processes_of(folder):
        if time.monotonic() > end:
            names = [Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() for pid in left]
            raise AssertionError(f"left behind: {', '.join(names)}")
        time.sleep(POLL_S)


def expect_readable_trace(run_dir):
    """babeltrace2 prints as many events as the report counts, and warns of nothing."""
    done = cascade("report", run_dir, "--json", timeout_s=RUN_S)
    expect(done.status == 0, f"report: {done.err}")
    events = json.loads(done.out)["trace"]["events"]
    expect(events > 0, "the trace holds no events")
    with open(run_dir / "babeltrace2.err", "w+", encoding="utf-8") as err:
        with subprocess.Popen(["babeltrace2", run_dir / "trace"], stdout=subprocess.PIPE, stderr=err) as proc:
            lines = sum(block.count(b"\n") for block in iter(lambda: proc.stdout.read(1 << 20), b""))
        err.seek(0)
        text = err.read()
    expect(proc.returncode == 0 and not text, f"babeltrace2 status {proc.returncode}: {text}")
    expect(lines == events, f"babeltrace2 prints {lines} events, the report counts {events}")
    return events
