# SPDX-License-Identifier: BSD-2-Clause
"""VMX features that the cascades of a run do not offer: --vmx, read from the tables that the image is compiled with."""
import difflib
import re

from .paths import ROOT
from .statuses import Fail


def _rows(name, pattern):
    text = (ROOT / "src/vmx" / name).read_text(encoding="utf-8")
    return re.findall(pattern, text, re.MULTILINE)


FEATURES = {name: (kind, since, text) for kind, name, since, text in
            _rows("features.def", r'^(FEATURE|DEFAULT1|ABSENT)\((\w+), \w+, \w+, (\w+), .*, "([^"]*)"\)$')}
GENERATIONS = dict(_rows("generations.def", r'^GENERATION\((\w+), "([^"]*)"\)$'))
USABLE = [name for name, row in FEATURES.items() if row[0] == "FEATURE"]


def table():
    """What --vmx list prints."""
    lines = ["NAME=off leaves a feature out; what needs it goes too. On silicon without it nothing changes.", ""]
    lines += [f"  {name:20} since {FEATURES[name][1]:15} {FEATURES[name][2]}" for name in USABLE]
    lines += ["", "like=GENERATION leaves out all that came later:", ""]
    lines += [f"  {name:20} {text}" for name, text in GENERATIONS.items()]
    return "\n".join(lines + ["", "locked=off leaves IA32_FEATURE_CONTROL for the guest to set and lock, as firmware does."])


def _near(word, known):
    found = difflib.get_close_matches(word, known, 3, 0.5)
    return f"; did you mean {' or '.join(found)}?" if found else "; --vmx list names them"


def _check(name, value):
    if name == "like":
        if value not in GENERATIONS:
            raise Fail("USAGE", f"--vmx like={value}: no such generation{_near(value, GENERATIONS)}")
        return
    if name == "locked" and value in ("on", "off"):
        return
    if name not in FEATURES:
        raise Fail("USAGE", f"--vmx {name}: no such feature{_near(name, USABLE)}")
    if value not in ("on", "off"):
        raise Fail("USAGE", f"--vmx {name}={value}: a feature is on or off")
    kind = FEATURES[name][0]
    if kind == "DEFAULT1" and value == "off":
        raise Fail("USAGE", f"--vmx {name}=off: this control belongs to every processor; true_controls=off makes it fixed")
    if kind == "ABSENT" and value == "on":
        raise Fail("USAGE", f"--vmx {name}=on: cascade does not offer it")


def words(options, cascades):
    """The words `vmx.NAME=VALUE` of each level, [0] for L1, from the values of --vmx: [Lk:]NAME=VALUE,..."""
    found = [[] for _ in range(cascades)]
    for option in options:
        level, colon, items = option.rpartition(":")
        if colon and not re.fullmatch(rf"L[1-{cascades}]", level):
            raise Fail("USAGE", f"--vmx {level}: is for L1 to L{cascades}, the cascades of this run")
        for item in items.split(","):
            name, _, value = item.partition("=")
            _check(name, value)
            for at in [int(level[1:]) - 1] if colon else range(cascades):
                found[at].append(f"vmx.{name}={value}")
    return found
