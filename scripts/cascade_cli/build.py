# SPDX-License-Identifier: BSD-2-Clause
"""Keeps build/ up to date."""
import json
import os

from . import procs
from .paths import BUILD, ROOT

PREBUILT = "CASCADE_PREBUILT"
FOLDERS = {"unit": ["unit", "model"]}  # of tests/, where the tests of a suite are defined; else the one of its name


def _targets(suites):
    """What is for use, and what the tests of these suites need: ninja's own default would build all tests as well."""
    folders = tuple(str(ROOT / "tests" / folder) + os.sep for suite in suites for folder in FOLDERS.get(suite, [suite]))
    targets = json.loads((BUILD / "meson-info" / "intro-targets.json").read_text(encoding="utf-8"))
    return [os.path.relpath(name, BUILD) for t in targets if t["build_by_default"] or t["defined_in"].startswith(folders)
            for name in t["filename"]]


def ensure(progress, suites=()):
    """Sets up and builds; what only a suite of meson's tests needs on request. Tests call us again and again, and want
    one state of the tree from first to last: they say that all is built."""
    if os.environ.get(PREBUILT):
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    progress.phase("building")
    with procs.locked(BUILD / "cascade-build.lock", progress.tick):
        _build(progress, suites)


def _build(progress, suites):
    log = BUILD / "cascade-build.log"
    log.write_bytes(b"")

    def run(what, *argv):
        procs.run_logged(argv, log, "BUILD_FAILED", what, progress.tick)

    if not (BUILD / "build.ninja").exists():
        run("meson setup", "meson", "setup", BUILD, ROOT)
    run("meson setup", "ninja", "-C", BUILD, "build.ninja")
    run("the build", "ninja", "-C", BUILD, *_targets(suites))
