# SPDX-License-Identifier: BSD-2-Clause
"""./cascade bench: the probe guest times single exits under one, two and three cascades. Tracing is off; one more
run of the same with tracing on says what tracing adds."""
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import build, guest, packages, paths, run, silicon
from .progress import Progress
from .statuses import STATUS, Fail

# docs/: what KVM costs on the same silicon, in ticks, at depth 1, 2, 3 (KVM in KVM in KVM).
KVM_TICKS = {"cpuid": (1225, 22027, 450949), "vmcall": (3466, 65384, 1430101)}
GOALS = {"cascade.cpuid.ticks": 300, "cascade/cascade.cpuid.ticks": 4000, "cascade/cascade.cpuid.hw_exits": 3}
TRACED = "traced."
TIMEOUT_S = 600.0


def stack(depth):
    return "/".join(["cascade"] * depth)


def jobs(quick):
    """(depth, traced) of each run, dearest first so that two at a time end together."""
    depths = (3, 2, 1)
    return [(d, False) for d in depths] + [(d, True) for d in ((2, 1) if quick else depths)]


def figure(line, found):
    """Takes a console line of the probe, `bench KEY VALUE`, into `found`; any other line is none of ours."""
    words = line.split()
    if len(words) == 3 and words[0] == "bench" and words[2].isdecimal():
        found[words[1]] = int(words[2])


def one(chosen, vmx, run_dir, depth, traced):
    found = {}
    plan = run.Plan(guest=guest.probe("bench"), depth=depth, silicon=chosen, traced=traced, trace_mib=512,
                    vmx=vmx, timeout_s=TIMEOUT_S, on_console=lambda line: figure(line, found))
    result = run.execute(plan, run_dir, Progress(quiet=True))
    if result.ended.status not in (STATUS["OK"], STATUS["TRACE_LOST"]):
        name = next((n for n, v in STATUS.items() if v == result.ended.status), "EMULATOR_FAILED")
        raise Fail(name, f"bench, {stack(depth)}: {result.ended.text}")
    return {f"{stack(depth)}.{key}": value for key, value in found.items()}


def measure(chosen, vmx, quick, base_dir, progress):
    """All runs, two at a time. Figures of traced runs get a prefix, and what tracing adds a key of its own."""
    def start(job):
        depth, traced = job
        run_dir = base_dir / f"{'traced-' if traced else ''}depth-{depth}"
        run_dir.mkdir()
        return traced, one(chosen, vmx, run_dir, depth, traced)

    figures = {}
    todo = jobs(quick)
    with ThreadPoolExecutor(2) as pool:
        for done, (traced, found) in enumerate(pool.map(start, todo), 1):
            progress.phase(f"measuring, {done} of {len(todo)} runs done")
            figures.update({(TRACED + k if traced else k): v for k, v in found.items()})
    for key in [k for k in figures if k.startswith(TRACED) and k.endswith(".ticks")]:
        plain = key[len(TRACED):]
        if plain in figures:
            figures[plain.replace(".ticks", ".trace_adds_ticks")] = figures[key] - figures[plain]
    return figures


def kvm_figure(key):
    """KVM's ticks for the same exit at the same depth, None where nothing was published."""
    hypervisors, _, rest = key.partition(".")
    name, _, kind = rest.partition(".")
    depth = hypervisors.count("/") + 1
    if kind != "ticks" or name not in KVM_TICKS or depth > len(KVM_TICKS[name]):
        return None
    return KVM_TICKS[name][depth - 1]


def table(figures):
    """One row per figure of the runs without tracing, KVM's figure and the goal beside it."""
    rows = [("figure", "value", "KVM", "goal", "")]
    for key in sorted((k for k in figures if not k.startswith(TRACED)), key=lambda k: (k.count("/"), k)):
        kvm, goal = kvm_figure(key), GOALS.get(key)
        mark = "" if goal is None else ("ok" if figures[key] <= goal else "MISSED")
        rows.append((key, f"{figures[key]:,}", f"{kvm:,}" if kvm else "", f"<= {goal:,}" if goal else "", mark))
    widths = [max(len(r[i]) for r in rows) for i in range(5)]
    return "\n".join("  ".join(c.ljust(w) if i in (0, 4) else c.rjust(w)
                               for i, (c, w) in enumerate(zip(r, widths))).rstrip() for r in rows)


def command(args, progress):
    chosen = silicon.choose(args.on)
    paths.OUT.mkdir(exist_ok=True)
    packages.ensure(["build", "trace", chosen.PACKAGES], progress, paths.OUT / "apt.log")
    build.ensure(progress)
    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as scratch:
        figures = measure(chosen, [] if args.shadow == "on" else ["shadow=off"], args.quick, Path(scratch), progress)
    progress.clear()
    if not figures:
        raise Fail("GUEST_FAILED", "the probe guest reported no figures")
    print(table(figures))
    if args.json:
        run.write_json(args.json, figures)
    sys.stdout.flush()
    return STATUS["OK"]
