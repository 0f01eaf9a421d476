# SPDX-License-Identifier: BSD-2-Clause
"""./cascade test: everything there is to test, two jobs at a time, one line each and a closing line."""
import importlib
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from . import build, guest, packages, paths, procs, twin
from .statuses import STATUS, Fail

WORKERS = 2
SUITES = ("fuzz", "model", "unit", "host")  # of meson
SUITE_TIMEOUT_S = 600.0
GROUPS = ("launcher", "input", "image", "run", "probe", "twin")
LONG_GROUPS = ("kvm",)  # with --all


class Results:
    """Counts and prints; used by several threads."""

    def __init__(self, progress):
        self._lock = threading.Lock()
        self._progress = progress
        self.passed = self.failed = self.skipped = 0

    def add(self, name, seconds, error=None, skipped=False):
        with self._lock:
            self._progress.clear()
            word = "skip" if skipped else "FAIL" if error else "ok"
            print(f"{word:<5} {name} ({seconds:.1f} s)" + (f": {error}" if error else ""), flush=True)
            self.skipped += skipped
            self.failed += bool(error) and not skipped
            self.passed += not error and not skipped


def meson_suite(suite):
    """A job that runs a suite of built meson tests, each counted by itself."""
    def job(results):
        begin = time.monotonic()
        log = paths.BUILD / "meson-logs" / f"{suite}.json"
        log.unlink(missing_ok=True)
        proc = procs.spawn(["meson", "test", "-C", paths.BUILD, "--no-rebuild", "--suite", suite, "--logbase", suite,
                            "--num-processes", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if procs.wait(proc, timeout_s=SUITE_TIMEOUT_S) is None:
            procs.finish(proc)
            results.add(f"{suite}: all", time.monotonic() - begin, f"still running after {SUITE_TIMEOUT_S:.0f} s")
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        if not lines:
            results.add(f"{suite}: all", time.monotonic() - begin, "no test ran")
        for test in map(json.loads, lines):
            error = None if test["result"] == "OK" else test["result"] + ": " + _last_words(test)
            results.add(f"{suite}: {test['name'].rpartition(' / ')[2]}", test["duration"], error)
    return job


def _last_words(test):
    text = (test.get("stdout") or "") + (test.get("stderr") or "")
    return " | ".join(text.strip().splitlines()[-6:]) or "no output"


def lint(name):
    def job(results):
        begin = time.monotonic()
        done = subprocess.run([sys.executable, paths.ROOT / "scripts/lint" / name], capture_output=True, text=True,
                              check=False)
        text = (done.stdout + done.stderr).strip()
        results.add(f"lint: {name}", time.monotonic() - begin, text if done.returncode else None)
    return job


def case(group, function):
    """A job of one case of tests/e2e: it is well when it returns."""
    harness = importlib.import_module("harness")

    def job(results):
        begin = time.monotonic()
        error, skipped = None, False
        try:
            function()
        except harness.Skip as e:
            error, skipped = str(e), True
        except Exception as e:  # a case may fail in any way; the others still run
            error = f"{type(e).__name__}: {e}" if not isinstance(e, AssertionError) else str(e)
        results.add(f"{group}: {function.__name__}", time.monotonic() - begin, error, skipped)
    return job


def all_jobs(long):
    """(name, job), the long ones first so that two workers end together."""
    sys.path.insert(0, str(paths.ROOT / "tests/e2e"))
    cases = {group: importlib.import_module(f"cases_{group}") for group in GROUPS + LONG_GROUPS}
    jobs = []
    if long:
        jobs += [(f"{group}: {f.__name__}", case(group, f)) for group in LONG_GROUPS for f in cases[group].CASES]
        jobs += [(f"{group}: {f.__name__}", case(group, f)) for group in ("run", "twin", "probe") for f in cases[group].LONG]
    jobs += [(f"run: {f.__name__}", case("run", f)) for f in cases["run"].LINUX]
    jobs += [(suite, meson_suite(suite)) for suite in SUITES]
    for group in reversed(GROUPS):
        jobs += [(f"{group}: {f.__name__}", case(group, f)) for f in cases[group].CASES]
    return jobs + [(f"lint: {name}", lint(name)) for name in ("includes.py", "fnlen.py")]


def prepare(jobs, progress):
    """Installs and builds for all these jobs at once: nothing is built while tests run."""
    packages.ensure(packages.PACKAGES, progress, paths.OUT / "apt.log")
    build.ensure(progress, [name for name, _ in jobs if name in SUITES])
    guest.linux(progress)


def run_jobs(jobs, results, progress):
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting = [pool.submit(job, results) for _, job in jobs]
        for done, future in enumerate(as_completed(waiting), 1):
            if procs.interrupted.is_set():
                for other in waiting:
                    other.cancel()
                break
            future.result()
            progress.phase(f"testing, {done} of {len(jobs)} jobs done", transient=True)
    procs.check_interrupted()


def chosen(args):
    """The jobs that have one of the words of --only in their name; each word has to name at least one."""
    jobs = all_jobs(args.all)
    for word in args.only or []:
        if not any(word in name for name, _ in jobs):
            raise Fail("USAGE", f"--only {word}: there is no such test")
    return [(name, job) for name, job in jobs if not args.only or any(word in name for word in args.only)]


def command(args, progress):
    if args.twin:
        return twin.command(args, progress)
    paths.OUT.mkdir(exist_ok=True)
    jobs = chosen(args)
    if args.list:
        print("\n".join(name for name, _ in jobs))
        return STATUS["OK"]
    prepare(jobs, progress)
    results = Results(progress)
    progress.phase("testing")
    run_jobs(jobs, results, progress)
    progress.clear()
    if results.skipped:
        print(f"{results.skipped} skipped")
    print(f"{results.passed} passed, {results.failed} failed", flush=True)
    return STATUS["TESTS_FAILED"] if results.failed else STATUS["OK"]
