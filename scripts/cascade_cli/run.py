# SPDX-License-Identifier: BSD-2-Clause
"""./cascade run: one machine, its trace and its table."""
import errno
import json
import sys
import time
from dataclasses import dataclass, field

from . import build, container, drive, guest, packages, paths, silicon, silicon_bochs, trace, vmx
from .drive import Ended
from .statuses import LIMIT, STATUS, Fail

MIB = 1 << 20
GUEST_PACKAGES = {"linux": ["linux"], "cascade": ["linux"], "kvm": ["linux", "kvm"], "probe": []}
LINUX_BELOW = ("linux", "cascade")  # cascade: a cascade is the guest, and Linux the guest at the bottom
EXIT_KEYS = ("level", "reason", "count", "ticks_mean", "ticks_p50", "ticks_p99", "l1_exits_per_exit")


@dataclass
class Plan:
    """What one run does; everything that is the same for Bochs and KVM."""
    guest: guest.Guest
    depth: int
    silicon: object
    memory_mib: int = LIMIT["GUEST_MEMORY_MIB"]
    traced: bool = True
    trace_mib: int = 2048
    vmx: list = field(default_factory=list)  # values of --vmx
    timeout_s: float = 1800.0
    debug: bool = False
    cpu: str = silicon_bochs.MODEL
    on_console: object = None

    @property
    def cascades(self):
        """How many of the hypervisors are cascades: all, or all but the guest's own."""
        return self.depth - 1 if self.guest.below else self.depth


@dataclass
class Result:
    ended: Ended
    outcome: object = None
    wall_s: float = 0.0
    report: dict = field(default_factory=dict)
    trace_dir: object = None
    table: str = ""


def cmdline(plan, store_sectors):
    """One list of words for each cascade, outermost first, then the guest's own command line."""
    parts = []
    masks = vmx.words(plan.vmx, plan.cascades)
    for level in range(plan.cascades):
        words = []
        if level == 0:
            words += [f"trace=ata trace.sectors={store_sectors}" if plan.traced else "trace=off"]
            words += plan.silicon.WORDS
        words += masks[level]
        bottom = level == plan.cascades - 1
        words.append(f"memory={plan.memory_mib} guest={plan.guest.kind}" if bottom else "guest=cascade")
        parts.append(" ".join(words))
    return " -- ".join(parts + [plan.guest.cmdline])


def modules(plan):
    """What L1 gets: an image for each inner cascade, then the bottom guest's files."""
    return [paths.IMAGE] * (plan.cascades - 1) + [plan.guest.kernel] + plan.guest.modules


def memory_mib(plan, files):
    """Each level keeps some memory for itself, and keeps its modules while its guest runs."""
    own = LIMIT["LEVEL_MEMORY_MIB"] + -(-container.packed_bytes(files) // MIB)
    return plan.memory_mib + plan.cascades * own


def make_store(plan, run_dir):
    store = run_dir / "store.img"
    with open(store, "wb") as f:
        f.truncate(plan.silicon.store_bytes(plan.trace_mib * MIB))
    return store


def describe(plan, run_dir, store):
    files = modules(plan)
    sectors = store.stat().st_size // 512 if store else 0
    return silicon.Machine(run_dir=run_dir, image=paths.IMAGE, modules=files, cmdline=cmdline(plan, sectors),
                           memory_mib=memory_mib(plan, files), store=store, debug=plan.debug, cpu=plan.cpu)


def clean(plan, run_dir, trace_complete):
    """Keeps logs, console, trace and report. The raw store is worth keeping only if the relay did not manage."""
    unwanted = plan.silicon.leftovers(run_dir)
    if trace_complete:
        unwanted.append(run_dir / "store.img")
    for path in unwanted:
        path.unlink(missing_ok=True)


def read_trace(result, run_dir, relay, progress):
    """Lets the relay finish and makes the report. What goes wrong here is the run's end only if it was well so far.
    True if the raw store is not needed any more."""
    progress.phase("writing the trace")
    ended = relay.finish(progress.tick)
    complete = ended is None
    try:
        if trace.readable(relay.trace_dir):
            progress.phase("reading the trace")
            result.trace_dir = relay.trace_dir
            result.table = trace.report(relay.trace_dir, run_dir / "report.json")
            result.report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
            (run_dir / "report.txt").write_text(result.table, encoding="utf-8")
            lost = result.report["trace"]["lost"]
            if complete and lost:
                ended = Ended(STATUS["TRACE_LOST"], f"{lost} trace events were lost")
    except Fail as e:
        ended = ended or Ended(e.status, str(e))
    if ended and result.ended.status == STATUS["OK"]:
        result.ended = ended
    return complete


def execute(plan, run_dir, progress):
    """Runs the plan's machine; never raises for what the machine or its trace did."""
    start = time.monotonic()
    store = make_store(plan, run_dir) if plan.traced else None
    progress.phase(f"laying out the machine ({plan.silicon.NAME})")
    argv = plan.silicon.prepare(describe(plan, run_dir, store))
    relay = trace.Relay(run_dir, store) if plan.traced else None
    driver = drive.Driver(run_dir, plan.cascades + 1, progress, plan.on_console, relay.watch if relay else None)
    trace_complete = False
    try:
        progress.phase("starting", 1)
        stopped = driver.run(argv, plan.timeout_s)
        ended = drive.verdict(driver.outcome, stopped, plan.silicon.failure(run_dir))
        result = Result(ended, driver.outcome)
        if relay:
            trace_complete = read_trace(result, run_dir, relay, progress)
        result.wall_s = time.monotonic() - start
        return result
    finally:
        if relay:
            relay.kill()
        clean(plan, run_dir, trace_complete)


def planned_what(plan, level):
    """What is to run at a level, for one that has not said so itself."""
    if level <= plan.cascades:
        return "cascade"
    return plan.guest.below if level > plan.cascades + 1 else plan.guest.kind


def as_json(plan, result):
    """The shape that `run --json` promises."""
    bottom = plan.depth + 1
    seen = result.report.get("trace", {})
    levels = []
    for number in range(1, bottom + 1):
        known = result.outcome.levels.get(number)
        what = known.what if known and known.what != "?" else planned_what(plan, number)
        levels.append({"level": number, "what": what,
                       "reached_userspace": bool(known and known.reached_userspace),
                       "powered_off": bool(known and known.powered_off)})
    return {"silicon": plan.silicon.NAME, "depth": plan.depth, "wall_s": round(result.wall_s, 2), "levels": levels,
            "trace": {"path": str(result.trace_dir) if result.trace_dir else None,
                      "events": seen.get("events", 0), "lost": max(seen.get("lost", 0), result.outcome.trace_lost)},
            "exits": [{key: row[key] for key in EXIT_KEYS} for row in result.report.get("exits", [])]}


def prepare_plan(args, progress):
    """Installs, builds, fetches: whatever the run needs."""
    chosen = silicon.choose(args.on)
    log_dir = paths.OUT
    log_dir.mkdir(exist_ok=True)
    purposes = ["build", "trace", chosen.PACKAGES] + GUEST_PACKAGES[args.guest]
    packages.ensure(purposes, progress, log_dir / "apt.log")
    build.ensure(progress)
    if args.guest in LINUX_BELOW:
        bottom = guest.linux(progress, args.kernel, args.initrd, args.append)
    elif args.guest == "kvm":
        bottom = guest.kvm(progress, args.append)
    else:
        bottom = guest.probe(args.append)
    return Plan(guest=bottom, depth=args.depth, silicon=chosen, memory_mib=max(args.memory, bottom.memory_mib),
                traced=not args.no_trace, trace_mib=args.trace_mib, vmx=vmx_options(args),
                timeout_s=args.timeout, debug=args.bochs_debug, cpu=args.bochs_cpu,
                on_console=(lambda line: print(line, flush=True)) if args.console else None)


def vmx_options(args):
    return args.vmx + ([] if args.shadow == "on" else ["shadow=off"])


def check_early(args):
    """What can be refused before anything is installed or built."""
    if args.guest not in LINUX_BELOW and (args.kernel or args.initrd):
        raise Fail("USAGE", f"--kernel and --initrd are for --guest linux, not for {args.guest}")
    if args.guest in ("kvm", "cascade") and args.depth < 2:
        raise Fail("USAGE", f"--guest {args.guest} is a hypervisor itself, with its own guest below: the least depth is 2")
    vmx.words(args.vmx, args.depth - 1 if args.guest == "kvm" else args.depth)
    least = LIMIT["GUEST_MEMORY_MIN_MIB"]
    if args.memory < least:
        raise Fail("MEMORY_TOO_SMALL", f"--memory {args.memory}: a guest needs at least {least} MiB")
    if args.kernel:
        guest.check(guest.Guest("linux", args.kernel, [args.initrd] if args.initrd else []), args.memory)


def write_json(path, value):
    text = json.dumps(value, indent=1) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    except OSError as e:
        raise Fail("DISK_FULL" if e.errno == errno.ENOSPC else "USAGE", f"{path}: {e.strerror}") from e


def print_result(plan, result, shape, run_dir):
    """The table and where everything is."""
    if result.table:
        print(result.table.rstrip() + "\n")
    seen = shape["trace"]
    traced = f", {seen['events']:,} events, {seen['lost']:,} lost" if plan.traced else ""
    print(f"depth {plan.depth} on {plan.silicon.NAME}: {result.wall_s:.1f} s{traced}")
    if result.trace_dir:
        print(f"trace    {result.trace_dir}")
        print(f"report   {run_dir / 'report.txt'}")
    print(f"console  {run_dir / 'console.txt'}", flush=True)


def command(args, progress):
    check_early(args)
    plan = prepare_plan(args, progress)
    guest.check(plan.guest, plan.memory_mib)
    try:
        run_dir = paths.new_run_dir(args.out)
    except (FileExistsError, NotADirectoryError, PermissionError) as e:
        raise Fail("USAGE", f"--out: {e}") from e
    result = execute(plan, run_dir, progress)
    progress.clear()
    shape = as_json(plan, result)
    write_json(run_dir / "run.json", shape)
    if args.json:
        write_json(args.json, shape)
    if args.json != "-":
        print_result(plan, result, shape, run_dir)
    if result.ended.status != STATUS["OK"]:
        print(f"cascade: {result.ended.text}", file=sys.stderr)
    return result.ended.status
