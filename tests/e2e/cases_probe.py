# SPDX-License-Identifier: BSD-2-Clause
"""The probe guest: its self-test under cascade, its VMX test under cascade and on the bare processor, line by line,
and the figures of its benchmark."""
import re
import subprocess

from harness import RUN_S, STATUS, Scratch, cascade, expect, expect_no_processes

from cascade_cli import bench, paths, silicon, silicon_bochs

MEMORY_MIB = 128
MILLION_S = 1500.0
VERDICT = re.compile(r"^(\w+): (\d+) ok, (\d+) failed$")
LINE = re.compile(r"^(ok   |FAIL |     [a-z])")
SELFTEST_CHECKS, NESTED_CHECKS = 120, 560  # fewer than there are, more than a run that ended early has
# Judged under cascade only: where the bare Bochs is known to differ from the SDM, and what a processor's bus answers.
ONLY_UNDER_CASCADE = ("ok   the guest's activity is HLT", "ok   nowhere: ", "ok   by the SDM: ",
                      "ok   TPR below the threshold as memory",
                      "ok   VMFUNC beyond the last function is undefined",  # Bochs: exit 59
                      "ok   #VE tells the EPTP index of the VMCS")          # Bochs: only what VMFUNC has written


def _judge(lines, word, least):
    failed = [line for line in lines if line.startswith("FAIL")]
    expect(not failed, "; ".join(failed[:5]))
    verdict = VERDICT.match(lines[-1]) if lines else None
    expect(verdict and verdict[1] == word.split()[0] and verdict[3] == "0", f"no verdict: {lines[-1:]}")
    expect(int(verdict[2]) >= least, f"only {verdict[2]} checks")
    return [line for line in lines if LINE.match(line)]


def _under_cascade(word, least, depth, *options, timeout_s=RUN_S):
    with Scratch() as d:
        done = cascade("run", "--on", "bochs", "--guest", "probe", "--append", word, "--depth", depth, "--no-trace",
                       "--out", d / "run", *options, timeout_s=timeout_s)
        console = d / "run" / "console.txt"
        lines = console.read_text(encoding="utf-8", errors="replace").split("\n") if console.exists() else []
        lines = [line for line in lines if line]
        expect_no_processes(d / "run")
        if done.status != STATUS["GUEST_FAILED"]:  # then the lines say more
            expect(done.status == 0, f"status {done.status}: {done.err_lines()}; the last line: {lines[-1:]}")
        return _judge(lines, word, least)


def _on_the_processor(word, least, cpu=silicon_bochs.MODEL):
    """The probe in the place of cascade."""
    with Scratch() as d:
        argv = silicon_bochs.prepare(silicon.Machine(run_dir=d, image=paths.PROBE, modules=[], cmdline=word,
                                                     memory_mib=MEMORY_MIB, cpu=cpu))
        done = subprocess.run(argv, cwd=d, stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_S, check=False)
        expect(done.returncode == 0, f"status {done.returncode}: {silicon_bochs.failure(d)}")
        lines = done.stdout.decode("ascii", "replace").splitlines()
        ours = [line for line in lines if LINE.match(line) or VERDICT.match(line)]
        return _judge(ours[next(i for i, line in enumerate(ours) if line.startswith(("ok", "FAIL"))):], word, least)


def selftest_on_the_processor():
    _on_the_processor("selftest", SELFTEST_CHECKS)


def selftest_depth_1():
    _under_cascade("selftest", SELFTEST_CHECKS, 1)


def selftest_depth_2():
    _under_cascade("selftest", SELFTEST_CHECKS, 2)


def selftest_depth_4():
    _under_cascade("selftest", SELFTEST_CHECKS, 4)


def _twins(depth, *options, cpu=silicon_bochs.MODEL, like=None):
    """The lines of the processor, or of another one that cascade imitates, against those under cascade."""
    bare = _on_the_processor("nested", NESTED_CHECKS, like or cpu)
    nested = _under_cascade("nested", NESTED_CHECKS, depth, "--bochs-cpu", cpu, *options)
    nested = [line for line in nested if not line.startswith(ONLY_UNDER_CASCADE)]
    different = [f"{b!r}, under cascade {n!r}" for b, n in zip(bare, nested) if b != n]
    expect(not different, "on the processor " + "; ".join(different[:3]))
    expect(len(bare) == len(nested), f"{len(bare)} lines on the processor, {len(nested)} under cascade")


def twins_depth_1():
    _twins(1)


def twins_depth_2():
    _twins(2)


def twins_depth_3():
    _twins(3)


def twins_depth_1_without_shadowing():
    _twins(1, "--shadow", "off")


def twins_depth_2_without_shadowing():
    _twins(2, "--shadow", "off")


def left_to_the_guest():
    """IA32_FEATURE_CONTROL is set and locked by the inner cascade, and by the probe under it."""
    lines = _under_cascade("nested", NESTED_CHECKS, 2, "--vmx", "locked=off")
    expect("ok   it can be locked" in lines, "the probe found it locked")


# A processor with page-modification logging.
SKYLAKE = "corei7_skylake_x"


def twins_skylake_depth_1():
    _twins(1, cpu=SKYLAKE)


def twins_skylake_depth_3():
    _twins(3, cpu=SKYLAKE)


def twins_skylake_depth_1_without_shadowing():
    _twins(1, "--shadow", "off", cpu=SKYLAKE)


def twins_like_haswell():
    """A cascade on the newer processor imitates the older one."""
    _twins(1, "--vmx", "like=haswell", cpu=SKYLAKE, like=silicon_bochs.MODEL)
    _twins(2, "--vmx", "like=haswell", cpu=SKYLAKE, like=silicon_bochs.MODEL)


def _figures(depth):
    with Scratch() as d:
        done = cascade("run", "--on", "bochs", "--guest", "probe", "--append", "bench", "--depth", depth, "--no-trace",
                       "--out", d / "run")
        expect(done.status == 0, f"status {done.status}: {done.err_lines()}")
        found = {}
        for line in (d / "run" / "console.txt").read_text(encoding="ascii").splitlines():
            bench.figure(line, found)
        return {f"{bench.stack(depth)}.{key}": value for key, value in found.items()}


def bench_meets_its_goals():
    figures = {**_figures(1), **_figures(2)}
    for key, goal in bench.GOALS.items():
        expect(key in figures, f"{key} was not measured")
        expect(0 < figures[key] <= goal, f"{key} is {figures[key]}, the goal is {goal}")
    for stack in (bench.stack(1), bench.stack(2)):
        expect(figures[f"{stack}.empty.hw_exits"] == 0, "an empty loop has exits")
        for name in ("cpuid", "vmcall", "rdmsr", "wrmsr", "pio_in", "mmio_read", "mmio_write"):
            expect(figures[f"{stack}.{name}.hw_exits"] >= 1, f"{stack}.{name} has no exits")
            expect(figures[f"{stack}.{name}.ticks"] > figures[f"{stack}.empty.ticks"], f"{stack}.{name} costs nothing")


def bench_ignores_other_lines():
    found = {}
    for line in ("bench a.ticks 12", "bench b", "bench c x", "bench d -1", " bench e.ticks 5", "xbench f 7", "bench g 1 2"):
        bench.figure(line, found)
    expect(found == {"a.ticks": 12, "e.ticks": 5}, f"{found}")


def _hostile(depth, count, seed, *options, timeout_s=RUN_S):
    """The probe goes on to the end whatever it does: then so did every hypervisor above it."""
    _under_cascade(f"hostile seed={seed} count={count}", 2, depth, *options, timeout_s=timeout_s)


def hostile_depth_1():
    _hostile(1, 30000, 1)


def hostile_depth_1_without_shadowing():
    _hostile(1, 15000, 7, "--shadow", "off")


def hostile_depth_2():
    _hostile(2, 5000, 1)


def hostile_million():
    _hostile(1, 1000000, 3, timeout_s=MILLION_S)


def hostile_depth_2_without_shadowing():
    _hostile(2, 10000, 2, "--shadow", "off")


def unknown_word_is_a_failure():
    with Scratch() as d:
        done = cascade("run", "--on", "bochs", "--guest", "probe", "--append", "nonsense", "--depth", 1, "--no-trace",
                       "--out", d / "run")
        expect(done.status == STATUS["GUEST_FAILED"], f"status {done.status}: {done.err_lines()}")


def guest_of_the_guest_waits_for_a_sipi():
    """Nothing can wake it on one processor: the run says so at once."""
    with Scratch() as d:
        done = cascade("run", "--on", "bochs", "--guest", "probe", "--append", "waitsipi", "--depth", 1, "--no-trace",
                       "--out", d / "run")
        expect(done.status == STATUS["GUEST_KILLED"], f"status {done.status}: {done.err_lines()}")
        expect("waits for a SIPI" in done.err_lines()[-1], f"{done.err_lines()}")


def _abort(indicator):
    with Scratch() as d:
        done = cascade("run", "--on", "bochs", "--guest", "probe", "--append", f"abort {indicator}", "--depth", 1, "--no-trace",
                       "--out", d / "run")
        expect(done.status == STATUS["GUEST_TRIPLE_FAULT"], f"status {done.status}: {done.err_lines()}")
        log = (d / "run" / "machine.log").read_text(encoding="ascii", errors="replace")
        expect(f"VMX abort {indicator} of L2" in log, f"not in the log: VMX abort {indicator}")


def vmx_abort_saving_msrs():
    _abort(1)


def vmx_abort_loading_pdptes():
    _abort(2)


def vmx_abort_loading_msrs():
    _abort(4)


def vmx_abort_host_of_32_bits():
    _abort(6)


LONG = [hostile_million, hostile_depth_2_without_shadowing]  # with --all
CASES = [hostile_depth_1, hostile_depth_2, hostile_depth_1_without_shadowing,
         twins_depth_3, twins_depth_2, twins_depth_2_without_shadowing, twins_depth_1, twins_depth_1_without_shadowing,
         twins_skylake_depth_3, twins_skylake_depth_1_without_shadowing, twins_skylake_depth_1,
         selftest_depth_4, selftest_depth_2, selftest_depth_1, selftest_on_the_processor, bench_meets_its_goals,
         bench_ignores_other_lines, unknown_word_is_a_failure, twins_like_haswell, left_to_the_guest]
CASES += [guest_of_the_guest_waits_for_a_sipi, vmx_abort_saving_msrs, vmx_abort_loading_pdptes, vmx_abort_loading_msrs,
          vmx_abort_host_of_32_bits]
