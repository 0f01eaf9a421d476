# SPDX-License-Identifier: BSD-2-Clause
"""The launcher's own parts, and the lints: each shown to refuse what it is there to refuse."""
import io
import json
import struct
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import tiny_guest
from harness import ROOT, STATUS, expect

from cascade_cli import bench, bootdisk, container, drive, elf, guest, packages, protocol, run, silicon_bochs, twin, twin_rules
from cascade_cli.statuses import Fail

sys.path.insert(0, str(ROOT / "scripts" / "lint"))
import fnlen  # noqa: E402
import includes  # noqa: E402


def _read(*chunks):
    outcome, statuses, console = protocol.Outcome(), [], []
    reader = protocol.Reader(outcome, statuses.append, lambda level, text: console.append((level, text)))
    for chunk in chunks:
        reader.feed(chunk)
    reader.end()
    return outcome, statuses, console


def protocol_sorts_lines():
    outcome, statuses, console = _read(b"banner\n@cascade level=1 event=bo", b"ot shadow=hw\nL2| hel", b"lo\r\nL2|\n",
                                       b"@cascade level=1 event=exit status=30 reason=guest: triple fault x=1")
    expect(statuses[0] == {"level": "1", "event": "boot", "shadow": "hw"}, f"{statuses}")
    expect(console == [(2, "hello"), (2, "")], f"{console}")
    expect(outcome.exit_status == 30 and outcome.exit_reason == "guest: triple fault x=1", f"{outcome}")


def protocol_console_cannot_forge():
    outcome, statuses, console = _read(b"L2| @cascade level=1 event=exit status=0\nx @cascade level=1 event=exit\n")
    expect(not statuses and outcome.exit_status is None and len(console) == 1, f"{outcome}")


def protocol_inner_exit_is_not_ours():
    outcome, _, _ = _read(b"@cascade level=2 event=exit status=0\n")
    expect(outcome.exit_status is None, "an inner cascade ended the run")
    outcome, _, _ = _read(b"@cascade level=x event=exit status=0\n@cascade event=exit status=0\n")
    expect(outcome.exit_status is None, "a line without a level ended the run")


def protocol_survives_garbage():
    outcome, _, _ = _read(bytes(range(256)) * 8, b"\n@cascade\n@cascade =\n@cascade level=x event=exit status=y\n",
                          b"@cascade level=1 event=result value=7\n@cascade level=1 event=trace bytes=1 lost=z\n")
    expect(outcome.result == 7 and outcome.trace_lost == 0, f"{outcome}")


def protocol_bounds_lines():
    outcome, _, _ = _read(b"x" * (4 * protocol.LINE_MAX), b"\n@cascade level=1 event=exit status=5\n")
    expect(outcome.exit_status == 5, "a long line swallowed what follows")


def verdicts():
    def ended(stopped=None, **known):
        return drive.verdict(protocol.Outcome(**known), stopped, "PANIC").status

    expect(ended() == STATUS["EMULATOR_FAILED"], "no closing word")
    expect(ended(exit_status=0) == STATUS["OK"], "a good run")
    expect(ended(exit_status=30) == 30, "the image's status")
    expect(ended(exit_status=0, result=0) == STATUS["OK"], "result 0")
    expect(ended(exit_status=0, result=3) == STATUS["GUEST_FAILED"], "result 3")
    expect(ended(exit_status=0, trace_lost=1) == STATUS["TRACE_LOST"], "lost events")
    chain = protocol.Outcome(exit_status=30, exit_reason="it ended", inner_exits={2: (30, "triple fault")})
    expect("triple fault" in drive.verdict(chain, None, "").text, "the innermost reason")
    stop = drive.Ended(STATUS["TIMEOUT"], "")
    expect(ended(stop, exit_status=0) == STATUS["TIMEOUT"], "stopped")


def command_lines_nest():
    bottom = SimpleNamespace(kind="linux", cmdline="console=ttyS0", below=None)
    plan = run.Plan(guest=bottom, depth=3, silicon=SimpleNamespace(WORDS=["tsc_hz=5"]), vmx=["shadow=off"])
    text = run.cmdline(plan, 1008)
    expect(text == "trace=ata trace.sectors=1008 tsc_hz=5 vmx.shadow=off guest=cascade -- vmx.shadow=off guest=cascade"
                   " -- vmx.shadow=off memory=256 guest=linux -- console=ttyS0", text)
    plan.vmx = ["L2:like=haswell,ept=on", "L3:ept_2m=off"]
    text = run.cmdline(plan, 1008)
    expect(text == "trace=ata trace.sectors=1008 tsc_hz=5 guest=cascade -- vmx.like=haswell vmx.ept=on guest=cascade"
                   " -- vmx.ept_2m=off memory=256 guest=linux -- console=ttyS0", text)
    plan.depth, plan.vmx, plan.traced = 1, [], False
    expect(run.cmdline(plan, 0) == "trace=off tsc_hz=5 memory=256 guest=linux -- console=ttyS0", run.cmdline(plan, 0))


def container_layout():
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / "a", Path(name) / "b", Path(name) / "c"]
        for path, size in zip(files, (1, 4096, 4097)):
            path.write_bytes(path.name.encode() * size)
        out = io.BytesIO()
        container.write(out, files)
        data = out.getvalue()
        expect(len(data) == container.packed_bytes(files), "the size foretold is not the size written")
        expect(struct.unpack_from("<8sII", data) == (b"CASCMODS", 3, 0), "header")
        for i, path in enumerate(files):
            at, size = struct.unpack_from("<QQ", data, 16 + 16 * i)
            expect(at % 4096 == 0 and data[at:at + size] == path.read_bytes(), f"part {i}")


def boot_disk_layout():
    with tempfile.TemporaryDirectory() as name:
        d = Path(name)
        (d / "image").write_bytes(tiny_guest.elf(tiny_guest.SPIN))
        (d / "loader").write_bytes(b"L" * 700)
        (d / "module").write_bytes(b"M" * 5000)
        cylinders = bootdisk.write(d / "disk", d / "loader", d / "image", [d / "module"], "words", 64)
        data = (d / "disk").read_bytes()
    expect(len(data) == cylinders * 16 * 63 * 512, "geometry")
    magic, entry, count = struct.unpack_from("<8sII", data, 32 * 512)
    expect((magic, entry, count) == (b"CASCDISK", tiny_guest.BASE, 3), f"catalogue: {(magic, entry, count)}")
    blobs = [struct.unpack_from("<QQQII", data, 32 * 512 + 32 + 32 * i) for i in range(count)]
    image, words, module = ((b, data[b[3] * 512:b[3] * 512 + b[1]]) for b in blobs)
    expect(image[0][0] == tiny_guest.BASE and image[1] == tiny_guest.SPIN and image[0][2] == 4096, "segment")
    expect(words[1] == b"words\0" and words[0][4] == bootdisk.CMDLINE, "command line")
    expect(module[1][:8] == b"CASCMODS" and module[0][0] % 4096 == 0, "container")
    expect(module[0][0] + module[0][1] <= 63 << 20, "the container reaches into the BIOS's tables")


def boot_disk_refuses():
    for memory, size, status in ((2, 1 << 20, "MEMORY_TOO_SMALL"),):
        try:
            bootdisk.module_address(memory, size, 0x100001)
        except Fail as e:
            expect(e.status == STATUS[status], f"status {e.status}")
        else:
            raise AssertionError("a module that overlaps the image was placed")
    expect(bootdisk.module_address(4096, 4096, 0) < bootdisk.RAM_BELOW_HOLE, "a module in the hole below 4 GiB")


def elf_reader():
    data = tiny_guest.elf(b"\x90" * 10)
    expect(elf.pvh_entry(data) == tiny_guest.BASE, "the PVH entry")
    expect(elf.segments(data)[0].mem_bytes == 10 + 4096, "the segment")
    for cut in range(len(data)):
        try:
            elf.segments(data[:cut])
        except elf.ElfError:
            continue
        raise AssertionError(f"cut off after {cut} bytes, and accepted")


def guest_checks_sizes():
    with tempfile.TemporaryDirectory() as name:
        kernel, initrd = Path(name) / "k", Path(name) / "i"
        kernel.write_bytes(tiny_guest.elf(tiny_guest.SPIN))
        room = (64 << 20) - guest.kernel_bytes(kernel)
        for size, good in ((room, True), (room + 1, False)):
            with open(initrd, "wb") as f:
                f.truncate(size)
            try:
                guest.check(guest.Guest("linux", kernel, [initrd]), 64)
                expect(good, "an initrd one byte too large was accepted")
            except Fail as e:
                expect(not good and e.status == STATUS["INITRD_TOO_LARGE"], str(e))


def json_shape():
    outcome, _, _ = _read(b"@cascade level=1 event=boot\n@cascade level=2 event=start what=cascade\n",
                          b"@cascade level=3 event=start what=linux\n@cascade level=3 event=userspace\n",
                          b"@cascade level=3 event=poweroff\n@cascade level=1 event=exit status=0\n")
    plan = run.Plan(guest=SimpleNamespace(kind="linux"), depth=2, silicon=silicon_bochs)
    row = dict.fromkeys(run.EXIT_KEYS, 1) | {"ticks_total": 5}
    result = run.Result(drive.Ended(0, ""), outcome, 1.234, {"trace": {"events": 9, "lost": 0, "tsc_hz": 1}, "exits": [row]}, Path("/t"))
    shape = json.loads(json.dumps(run.as_json(plan, result)))
    expect([e["what"] for e in shape["levels"]] == ["cascade", "cascade", "linux"], f"{shape}")
    expect(shape["levels"][2] == {"level": 3, "what": "linux", "reached_userspace": True, "powered_off": True}, "L3")
    expect(set(shape["exits"][0]) == set(run.EXIT_KEYS), "keys of exits")
    expect(shape["trace"] == {"path": "/t", "events": 9, "lost": 0}, f"{shape['trace']}")


def bench_table():
    text = bench.table({"cascade.cpuid.ticks": 250, "cascade/cascade.cpuid.ticks": 4001})
    expect("1,225" in text and "22,027" in text, "KVM's figures")
    expect("ok" in text.splitlines()[1] and "MISSED" in text.splitlines()[2], "goals")
    found = {}
    for line in ("bench cpuid.ticks 212", "bench cpuid.ticks", "bench x -1", "ok   bench 1", "[ 0.1] bench a 1"):
        bench.figure(line, found)
    expect(found == {"cpuid.ticks": 212}, f"{found}")


def packages_say_what_is_missing():
    have = packages._installed(["dpkg", "no-such-package-anywhere"])
    expect(have == {"dpkg"}, f"{have}")


def lint_includes():
    with tempfile.TemporaryDirectory() as name:
        src = Path(name) / "src"
        for folder in includes.ARROWS:
            (src / folder).mkdir(parents=True)
        for place, line, good in (("vmx", "hw/x.h", True), ("vmx", "nested/x.h", False), ("run", "base/x.h", True),
                                  ("platform", "nested/x.h", False), ("platform", "hw/x.h", True),
                                  ("base", "trace/x.h", False), ("ept02", "shadow-vmcs/x.h", False)):
            path = src / place / "a.c"
            path.write_text(f'#include "{line}"\n', encoding="ascii")
            expect(bool(includes.violations(Path(name))) != good, f"{place} includes {line}: judged wrongly")
            path.unlink()
        (src / "new").mkdir()
        expect(includes.violations(Path(name)), "a folder without arrows")


def lint_lengths():
    spdx = "/* SPDX-License-Identifier: BSD-2-Clause */\n"

    def complaints(text):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "a.c"
            path.write_text(text, encoding="ascii")
            return list(fnlen.check_file(path, Path("a.c")))

    def function(lines):
        return spdx + "int f(void)\n{\n" + "        g();\n" * (lines - 3) + "}\n"

    expect(not complaints(function(60)), "60 lines are allowed")
    expect([key for key, _ in complaints(function(61))] == ["a.c:f"], "61 lines are not")
    expect(complaints(function(5).replace(spdx, "\n\n")), "no SPDX line")
    expect(not complaints(spdx + "\n" * 599) and complaints(spdx + "\n" * 600), "600 lines are allowed, 601 not")


def _stack(depth, *lines, caps="caps pin=7f proc=f7f9fffe proc2=47fff exit=7fffff entry=ffff"):
    stack = twin.Stack(depth)
    for line in ("banner", caps, *lines, f"twin: seed 1, {len(lines)} cases"):
        stack.take(line)
    return stack


def twin_equal_runs():
    lines = ["t 0 guest guest_rip=0x1 : exit 18 len=3", "t 1 guest guest_cr0=0x1 : entry-fail 33 q=0x0 ~ GUEST_CR0_FIXED"]
    verdict = twin.compare([_stack(0, *lines), _stack(1, *lines), _stack(2, *lines)], rules=[])
    expect(verdict.good and verdict.as_json() == {"cases": 2, "mismatches": 0, "explained": 0}, f"{verdict}")
    other = [lines[0], lines[1].replace("CR0_FIXED", "CR0_PG_PE")]  # a comment, not an observation
    expect(twin.compare([_stack(0, *lines), _stack(1, *other)], rules=[]).good, "comments are compared")


def twin_finds_a_mismatch():
    bare = _stack(0, "t 7 insn hlt : exit 12 len=1", "t 8 insn cpuid : exit 10 len=2")
    for line in ("t 7 insn hlt : exit 12 len=2", "t 7 insn pause : exit 12 len=1"):
        verdict = twin.compare([bare, _stack(1, line, "t 8 insn cpuid : exit 10 len=2")], rules=[])
        expect(not verdict.good and verdict.as_json()["mismatches"] == 1, f"{verdict}")
        shown = twin.text(verdict, 3)
        for word in ("case 7 insn hlt", "bare:    exit 12 len=1", line.partition(" : ")[2], "'twin seed=3 only=7'"):
            expect(word in shown, f"{word!r} is not in {shown!r}")


def twin_explains_by_rule():
    bare = _stack(0, "t 1 control proc_ctls=0x96006172 : exit 18 len=3", "t 2 control pml_index=0x1 : exit 18 len=3",
                  "t 3 guest guest_rip=0x1 : exit 0 intr=0x80000b0d:0x0 ~ GUEST_RIP_64")
    nested = ["t 1 control proc_ctls=0x96006172 : VMfail 7 ~ CTL_PROC_RESERVED", "t 2 control pml_index=0x1 : absent pml_index",
              "t 3 guest guest_rip=0x1 : entry-fail 33 q=0x0 ~ GUEST_RIP_64"]
    less = "caps pin=7f proc=f5f9fffe proc2=47fff exit=7fffff entry=ffff"
    verdict = twin.compare([bare, _stack(1, *nested, caps=less)])
    expect(verdict.good and verdict.as_json()["explained"] == 3, f"{verdict}")
    expect("control not offered" not in verdict.unused and "another check of guest state first" in verdict.unused, f"{verdict}")
    expect("another check of guest state first: this rule explains nothing" in twin.text(verdict, 1), "an unused rule is silent")
    same = twin.compare([bare, _stack(1, *nested)])  # with all capabilities offered, the first two are bugs
    expect(same.as_json()["mismatches"] == 2, f"{same}")
    more = _stack(1, "t 1 control proc_ctls=0xfe006172 : exit 37", caps=less.replace("f5f9fffe", "fdf9fffe"))
    refused = _stack(0, "t 1 control proc_ctls=0xfe006172 : VMfail 7", caps=less)
    expect(twin.compare([refused, more]).as_json()["explained"] == 1, "a control that the processor lacks")
    accepted = _stack(0, "t 1 control proc_ctls=0xfe006172 : exit 18", caps=less)
    expect(twin.compare([accepted, more]).as_json()["mismatches"] == 1, "a rule is too wide")
    other = [nested[0].replace("VMfail 7", "VMfail 8"), nested[1].replace("absent", "exit 18 absent"),
             nested[2].replace("q=0x0", "q=0x0 rip+1").replace("33", "34")]
    expect(twin.compare([bare, _stack(1, *other, caps=less)]).as_json()["mismatches"] == 3, "a rule is too wide")
    expect(len({name for name, _, _ in twin_rules.RULES}) == len(twin_rules.RULES), "two rules have one name")


def twin_short_run_fails():
    line = "t 0 insn hlt : exit 12 len=1"
    early = _stack(1, line)
    early.closing = None
    early.error = "panic"
    for bad in (early, twin.Stack(1)):
        verdict = twin.compare([_stack(0, line), bad], rules=[])
        expect(not verdict.good and verdict.as_json()["mismatches"] >= 1, f"{verdict}")
        expect("depth 1 ended early" in twin.text(verdict, 1), "it does not say which run ended")
    lost = _stack(1, line)
    lost.closing = 2
    expect(not twin.compare([_stack(0, line), lost], rules=[]).good, "a lost line goes unnoticed")


CASES = [twin_equal_runs, twin_finds_a_mismatch, twin_explains_by_rule, twin_short_run_fails, protocol_sorts_lines, protocol_console_cannot_forge, protocol_inner_exit_is_not_ours,
         protocol_survives_garbage, protocol_bounds_lines, verdicts, command_lines_nest, container_layout,
         boot_disk_layout, boot_disk_refuses, elf_reader, guest_checks_sizes, json_shape, bench_table,
         packages_say_what_is_missing, lint_includes, lint_lengths]
