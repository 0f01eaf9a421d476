# SPDX-License-Identifier: BSD-2-Clause
"""Child processes that never outlive the launcher, and interruption as a flag.

A child gets a session of its own, so that Ctrl-C reaches the launcher alone and the launcher decides who ends when;
it gets SIGTERM from the kernel if the launcher dies without a word. Loops look at `interrupted` several times a
second; nothing is thrown out of a signal handler."""
import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import threading
import time

from .statuses import Fail

PR_SET_PDEATHSIG = 1
GRACE_S = 5.0
POLL_S = 0.1
TAIL_LINES = 25

interrupted = threading.Event()
forced = threading.Event()  # interrupted once more: waits that are only for the trace's sake end as well
_libc = ctypes.CDLL(None)


def install_handlers():
    """Ctrl-C, a closed terminal and a polite kill all end the run in order."""
    def note(*_):
        (forced if interrupted.is_set() else interrupted).set()

    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, note)


def check_interrupted():
    if interrupted.is_set():
        raise Fail("INTERRUPTED", "interrupted")


def spawn(argv, **options):
    """Popen in a session of its own, stdin closed."""
    parent = os.getpid()

    def child_setup():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([str(a) for a in argv], start_new_session=True, preexec_fn=child_setup, **options)


def finish(proc, sig=signal.SIGTERM, grace_s=GRACE_S):
    """Ends exactly this child's process group, politely first. Returns its status."""
    for attempt in (sig, signal.SIGKILL):
        if proc.poll() is None:
            try:
                os.killpg(proc.pid, attempt)
            except ProcessLookupError:
                pass
            try:
                proc.wait(grace_s)
            except subprocess.TimeoutExpired:
                continue
    return proc.poll()


def wait(proc, tick=lambda: None, timeout_s=None):
    """Waits for a child while calling tick(); None when the time is over. An interruption ends the child."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    while proc.poll() is None:
        if interrupted.is_set():
            finish(proc)
            check_interrupted()
        if end is not None and time.monotonic() > end:
            return None
        tick()
        try:
            proc.wait(POLL_S)
        except subprocess.TimeoutExpired:
            pass
    return proc.returncode


@contextlib.contextmanager
def locked(path, tick=lambda: None):
    """Only one launcher at a time does what is inside; another one waits."""
    with open(path, "w", encoding="ascii") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                check_interrupted()
                tick()
                time.sleep(POLL_S)
        yield


def wait_quietly(proc, timeout_s):
    """Waits for a child that is about to end by itself."""
    try:
        proc.wait(timeout_s)
    except subprocess.TimeoutExpired:
        pass


def tail(path, lines=TAIL_LINES):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError:
        return ""


def run_logged(argv, log, status, what, tick=lambda: None, lines=TAIL_LINES, **options):
    """Runs a command with its output in a log file; if it fails, the log's last lines are the explanation."""
    with open(log, "ab") as out:
        out.write(("$ " + " ".join(str(a) for a in argv) + "\n").encode())
        out.flush()
        try:
            proc = spawn(argv, stdout=out, stderr=subprocess.STDOUT, **options)
        except OSError as e:
            raise Fail(status, f"{what}: {argv[0]}: {e.strerror}") from e
        code = wait(proc, tick)
    if code != 0:
        between = "\n" if lines > 1 else " "
        raise Fail(status, f"{what} failed (status {code}), log {log}:{between}{tail(log, lines)}".rstrip())
