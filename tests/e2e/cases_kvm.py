# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own KVM and QEMU as the guest hypervisor. These runs are minutes each."""
import json

from harness import RUN_S, Scratch, cascade, expect, expect_no_processes, expect_refusal

PHASES = ("processes", "memory", "files", "timers", "proc")


def _kvm(depth, *options, traced=False):
    with Scratch() as d:
        run_dir = d / "run"
        trace = [] if traced else ["--no-trace"]
        done = cascade("run", "--on", "bochs", "--guest", "kvm", "--depth", depth, "--json", d / "f.json",
                       "--out", run_dir, *trace, *options, timeout_s=RUN_S)
        expect(done.status == 0, f"status {done.status}: {done.err_lines()}")
        result = json.loads((d / "f.json").read_text(encoding="utf-8"))
        levels = result["levels"]
        expect([e["level"] for e in levels] == list(range(1, depth + 2)), "not one entry per level")
        expect([e["what"] for e in levels] == ["cascade"] * (depth - 1) + ["linux"] * 2, f"levels: {levels}")
        expect(all(e["powered_off"] for e in levels), f"a level did not power off: {levels}")
        expect(all(e["reached_userspace"] for e in levels[-2:]), f"a Linux without user space: {levels}")
        if traced:
            expect({e["level"] for e in result["exits"]} >= set(range(2, depth + 2)), "a level without exits")
            expect(result["trace"]["lost"] == 0, f"{result['trace']['lost']} events lost")
        console = (run_dir / "console.txt").read_text(encoding="utf-8")
        for number, phase in enumerate(PHASES, 1):
            expect(f"cascade-guest: phase {number} {phase} ok" in console, f"phase {phase} is not on the console")
        expect("cascade-kvm: QEMU ended with 0, result 0" in console, "QEMU's end is not on the console")
        expect_no_processes(run_dir)


def kvm_runs_linux():
    _kvm(2, traced=True)


def kvm_under_two_cascades():
    _kvm(3)


def kvm_without_shadowing():
    _kvm(2, "--shadow", "off")


def kvm_without_ept():
    _kvm(2, "--append", "kvm_intel.ept=0")


def kvm_without_kvm_module_is_a_failure():
    """The verdict about the inner guest comes from its console, so a run without one must not count as well."""
    with Scratch() as d:
        done = cascade("run", "--on", "bochs", "--guest", "kvm", "--no-trace", "--out", d / "run",
                       "--append", "module_blacklist=kvm_intel", timeout_s=RUN_S)
        expect_refusal(done, "GUEST_FAILED", "256")


CASES = [kvm_under_two_cascades, kvm_without_ept, kvm_without_shadowing, kvm_runs_linux,
         kvm_without_kvm_module_is_a_failure]
