# SPDX-License-Identifier: BSD-2-Clause
"""Keeps build/ up to date."""
import json
import os

from . import procs
from .paths import BUILD, ROOT

PREBUILT = "CASCADE_PREBUILT"
TESTS = ["all"]  # for meson that includes what its tests need


def _products():
    """The targets that are for use, not for tests: ninja's own default would build the tests as well."""
    targets = json.loads((BUILD / "meson-info" / "intro-targets.json").read_text(encoding="utf-8"))
    return [os.path.relpath(name, BUILD) for t in targets if t["build_by_default"] for name in t["filename"]]


def ensure(progress, tests=False):
    """Sets up and builds; what only tests need on request. Tests call us again and again, and want one state of
    the tree from first to last: they say that all is built."""
    if os.environ.get(PREBUILT):
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    progress.phase("building")
    with procs.locked(BUILD / "cascade-build.lock", progress.tick):
        _build(progress, tests)


def _build(progress, tests):
    log = BUILD / "cascade-build.log"
    log.write_bytes(b"")

    def run(what, *argv):
        procs.run_logged(argv, log, "BUILD_FAILED", what, progress.tick)

    if not (BUILD / "build.ninja").exists():
        run("meson setup", "meson", "setup", BUILD, ROOT)
    run("meson setup", "ninja", "-C", BUILD, "build.ninja")
    run("the build", "ninja", "-C", BUILD, *(TESTS if tests else _products()))
