# SPDX-License-Identifier: BSD-2-Clause
"""./cascade test --twin: the probe's generated observations of VMX on the bare processor and under one and two
cascades, compared line by line. guests/probe/twin.h says what a line holds."""
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import build, drive, guest, packages, paths, run, silicon, silicon_bochs
from .progress import Progress
from .statuses import STATUS, Fail
from .twin_rules import RULES, Case, Pair

MEMORY_MIB = 128
CASES = 24000  # two thirds of all: under five minutes on two cores that have other things to do
TIMEOUT_S = 900.0
DEPTHS = (2, 0, 1)  # 0: the bare processor; the slowest first
SHOWN = 10
CASE = re.compile(r"^t (\d+) (.*?) : (.*)$")
CAPS = re.compile(r"^caps ((?:\w+=[0-9a-f]+ ?)+)$")
CLOSING = re.compile(r"^twin: seed (\d+), (\d+) cases$")
MODE = "twin"


@dataclass
class Stack:
    """What one machine said."""
    depth: int
    cases: dict = field(default_factory=dict)
    caps: dict = field(default_factory=dict)
    closing: int = None  # the number of cases that it says it ran
    last: str = ""
    error: str = ""

    @property
    def name(self):
        return f"depth {self.depth}" if self.depth else "bare"

    def take(self, line):
        """One line of the probe; any other is none of ours."""
        if case := CASE.match(line):
            seen, _, check = case[3].partition(" ~ ")
            self.cases[int(case[1])] = Case(int(case[1]), case[2], seen, check)
        elif caps := CAPS.match(line):
            self.caps = {key: int(value, 16) for key, _, value in (w.partition("=") for w in caps[1].split())}
        elif closing := CLOSING.match(line):
            self.closing = int(closing[2])
        self.last = line or self.last

    def complaint(self):
        """Why this run cannot be compared, or None."""
        if self.closing is None:
            return f"{self.name} ended early, after {len(self.cases)} cases: {self.error or self.last}"
        if self.closing != len(self.cases):
            return f"{self.name} says {self.closing} cases, {len(self.cases)} arrived"
        if not self.cases or not self.caps:
            return f"{self.name} printed no cases or no capabilities"
        return None


@dataclass
class Verdict:
    cases: int = 0
    mismatches: list = field(default_factory=list)  # (stack's name, bare case or None, nested case or None)
    explained: dict = field(default_factory=dict)   # rule's name: how often
    complaints: list = field(default_factory=list)
    unused: list = field(default_factory=list)

    @property
    def good(self):
        return not self.mismatches and not self.complaints

    def as_json(self):
        return {"cases": self.cases, "mismatches": len(self.mismatches) + len(self.complaints),
                "explained": sum(self.explained.values())}


def _explanation(pair, rules):
    return next((name for name, rule, _ in rules if rule(pair)), None)


def compare(stacks, rules=None):
    """The first stack is the bare processor, what the others print has to be what it printed."""
    rules = RULES if rules is None else rules
    verdict = Verdict(complaints=[c for c in (s.complaint() for s in stacks) if c])
    bare = stacks[0]
    verdict.cases = min(len(s.cases) for s in stacks)
    for nested in stacks[1:]:
        for number in sorted(bare.cases.keys() | nested.cases.keys()):
            b, n = bare.cases.get(number), nested.cases.get(number)
            if b and n and (b.what, b.seen) == (n.what, n.seen):
                continue
            if (b is None or n is None) and verdict.complaints:
                continue  # the run that ended early is reported as such
            name = _explanation(Pair(b, n, bare.caps, nested.caps), rules) if b and n and b.what == n.what else None
            if name:
                verdict.explained[name] = verdict.explained.get(name, 0) + 1
            else:
                verdict.mismatches.append((nested.name, b, n))
    verdict.unused = [name for name, _, _ in rules if name not in verdict.explained]
    return verdict


def _on_the_processor(stack, words, cpu, run_dir, progress):
    """The probe in the place of cascade."""
    argv = silicon_bochs.prepare(silicon.Machine(run_dir=run_dir, image=paths.PROBE, modules=[], cmdline=words,
                                                 memory_mib=MEMORY_MIB, cpu=cpu))
    driver = drive.Driver(run_dir, 0, progress, on_log=stack.take)
    stopped = driver.run(argv, TIMEOUT_S)
    for path in silicon_bochs.leftovers(run_dir):
        path.unlink(missing_ok=True)
    stack.error = stopped.text if stopped else silicon_bochs.failure(run_dir)
    return stopped


def _under_cascade(stack, words, cpu, run_dir, progress):
    plan = run.Plan(guest=guest.probe(words), depth=stack.depth, silicon=silicon_bochs, memory_mib=MEMORY_MIB,
                    traced=False, cpu=cpu, timeout_s=TIMEOUT_S, on_console=stack.take)
    ended = run.execute(plan, run_dir, progress).ended
    stack.error = ended.text
    return ended if ended.status in (STATUS["INTERRUPTED"], STATUS["DISK_FULL"]) else None


class Watch:
    """How far the machines are, for the progress line."""

    def __init__(self, stacks, progress):
        self._stacks, self._progress, self._lock = stacks, progress, threading.Lock()

    def tick(self):
        with self._lock:
            counts = ", ".join(f"{s.name} {len(s.cases)}" for s in sorted(self._stacks, key=lambda s: s.depth))
            self._progress.phase(f"twin run, cases: {counts}", transient=True)
            self._progress.tick()


class _Quiet(Progress):
    """A machine's own progress: only that it is alive."""

    def __init__(self, watch):
        super().__init__(quiet=True)
        self._watch = watch

    def tick(self):
        self._watch.tick()


def measure(words, cpu, base_dir, progress):
    """Runs all stacks, two at a time; returns them, the bare processor first."""
    stacks = [Stack(depth) for depth in DEPTHS]
    watch = Watch(stacks, progress)

    def one(stack):
        run_dir = base_dir / stack.name.replace(" ", "-")
        run_dir.mkdir()
        if stack.depth:
            return _under_cascade(stack, words, cpu, run_dir, _Quiet(watch))
        return _on_the_processor(stack, words, cpu, run_dir, _Quiet(watch))

    with ThreadPoolExecutor(2) as pool:
        for ended in pool.map(one, stacks):
            if ended and ended.status in (STATUS["INTERRUPTED"], STATUS["DISK_FULL"]):
                raise Fail("INTERRUPTED" if ended.status == STATUS["INTERRUPTED"] else "DISK_FULL", ended.text)
    return sorted(stacks, key=lambda s: s.depth)


def command_line(seed, cases=None, more=None):
    words = [MODE, f"seed={seed}"]
    if cases:
        words.append(f"cases={cases}")
    return " ".join(words + ([more] if more else []))


def _case_text(case):
    return f"{case.seen}{' ~ ' + case.check if case.check else ''}" if case else "(no such case)"


def text(verdict, seed):
    """What a person reads: the first mismatches with both sides, how to see one again, and the sums."""
    lines = list(verdict.complaints)
    for name, bare, nested in verdict.mismatches[:SHOWN]:
        case = bare or nested
        lines += [f"case {case.number} {case.what}", f"  bare:    {_case_text(bare)}",
                  f"  {name}: {_case_text(nested)}",
                  f"  again:   ./cascade run --on bochs --guest probe --no-trace --console --depth {name[-1]} "
                  f"--append 'twin seed={seed} only={case.number}'"]
    if len(verdict.mismatches) > SHOWN:
        lines.append(f"and {len(verdict.mismatches) - SHOWN} more mismatches")
    why = {name: reason for name, _, reason in RULES}
    for name, count in sorted(verdict.explained.items()):
        lines.append(f"explained {count:6}  {name} ({why.get(name, '?')})")
    lines += [f"explained      0  {name}: this rule explains nothing" for name in verdict.unused]
    sums = verdict.as_json()
    lines.append(f"twin, seed {seed}: {sums['cases']:,} cases, {sums['mismatches']:,} mismatches, "
                 f"{sums['explained']:,} explained")
    return "\n".join(lines)


def command(args, progress):
    """./cascade test --twin."""
    paths.OUT.mkdir(exist_ok=True)
    packages.ensure(["build", silicon_bochs.PACKAGES], progress, paths.OUT / "apt.log")
    build.ensure(progress)
    with tempfile.TemporaryDirectory(prefix="cascade-twin-") as scratch:
        base = Path(args.out) if args.out else Path(scratch)
        base.mkdir(parents=True, exist_ok=True)
        stacks = measure(command_line(args.seed, args.cases, args.words), args.cpu, base, progress)
    progress.clear()
    verdict = compare(stacks)
    if args.json:
        run.write_json(args.json, verdict.as_json())
    if args.json != "-":
        print(text(verdict, args.seed), flush=True)
    return STATUS["OK"] if verdict.good else STATUS["TESTS_FAILED"]
