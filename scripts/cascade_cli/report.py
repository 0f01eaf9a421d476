# SPDX-License-Identifier: BSD-2-Clause
"""./cascade report: the table of a recorded trace, from the CTF files alone."""
from pathlib import Path

from . import build, packages, paths, trace
from .statuses import STATUS, Fail


def trace_of(path):
    """A run's folder stands for its trace."""
    path = Path(path)
    if not path.is_dir():
        raise Fail("USAGE", f"{path} is no folder")
    inner = path / "trace"
    return inner if inner.is_dir() else path


def command(args, progress):
    where = trace_of(args.dir)
    if not paths.REPORT.exists():
        paths.OUT.mkdir(exist_ok=True)
        packages.ensure(["build", "trace"], progress, paths.OUT / "apt.log")
        build.ensure(progress)
        progress.clear()
    print(trace.report(where, "-" if args.json else "/dev/null").rstrip(), flush=True)
    return STATUS["OK"]
