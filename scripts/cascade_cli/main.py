# SPDX-License-Identifier: BSD-2-Clause
"""The command line."""
import argparse
import errno
import sys

from . import bench, doctor, procs, report, run, silicon_bochs, test, twin, vmx
from .progress import Progress
from .statuses import LIMIT, STATUS, STATUS_TEXT, Fail, status_table

RUN_TEXT = """\
Starts a stack of cascades with a guest at the bottom. At depth D the guest runs at level D+1: depth 1 is plain
virtualization, depth 2 runs cascade under cascade. Installs what is missing (as root), builds, fetches a kernel."""


def _positive(text):
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _cases(text):
    return None if text == "all" else _count(text)


def _mib(text):
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _add_machine_options(p):
    p.add_argument("--on", choices=("auto", "kvm", "bochs"), default="auto",
                   help="what to run on; auto takes kvm where the host has nested VMX, else bochs")
    p.add_argument("--shadow", choices=("on", "off"), default="on", help="hardware VMCS shadowing, where there is any")


def _add_run(sub):
    p = sub.add_parser("run", help="run a guest under a stack of cascades", description=RUN_TEXT,
                       epilog="exit status:\n" + status_table(), formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_machine_options(p)
    p.add_argument("--depth", type=int, choices=range(1, LIMIT["DEPTH_MAX"] + 1), default=2,
                   help="how many hypervisors above the bottom guest (default 2)")
    p.add_argument("--guest", choices=("linux", "cascade", "kvm", "probe"), default="linux",
                   help="the guest (default linux). cascade: the last hypervisor is a cascade, so depth 2 or more; "
                        "kvm: it is Debian's KVM; Linux runs under either")
    p.add_argument("--vmx", metavar="[Lk:]NAME=off,...", action=ListFeatures, default=[],
                   help="VMX features that the cascades do not offer, or only the one at level k; like=GENERATION: those of"
                        " newer processors; list: names them all; may be repeated")
    p.add_argument("--kernel", metavar="F", help="another kernel: bzImage or x86-64 ELF")
    p.add_argument("--initrd", metavar="F", help="another initramfs")
    p.add_argument("--append", metavar="S", help="more words for the guest's command line")
    p.add_argument("--memory", metavar="MIB", type=_mib, default=LIMIT["GUEST_MEMORY_MIB"],
                   help=f"least memory of the bottom guest (default {LIMIT['GUEST_MEMORY_MIB']})")
    p.add_argument("--timeout", metavar="S", type=_positive, default=1800.0,
                   help="end the machine after this many seconds (default 1800)")
    p.add_argument("--console", action="store_true", help="show the bottom guest's console while it runs")
    p.add_argument("--json", metavar="FILE", help="write the result as JSON; - is stdout")
    p.add_argument("--out", metavar="DIR", help="where logs, console, trace and report go (default out/run-N)")
    p.add_argument("--no-trace", action="store_true", help="record no trace")
    p.add_argument("--trace-mib", metavar="MIB", type=_mib, default=2048, help="room for raw records (default 2048)")
    p.add_argument("--bochs-debug", action="store_true", help="let Bochs report errors and info in bochs.log")
    p.add_argument("--bochs-cpu", metavar="MODEL", default=silicon_bochs.MODEL,
                   help=f"another of Bochs's processors (default {silicon_bochs.MODEL})")
    p.set_defaults(command=run.command)


def _add_others(sub):
    p = sub.add_parser("bench", help="time single exits, KVM's figures beside them")
    _add_machine_options(p)
    p.add_argument("--quick", action="store_true", help="tracing's share at depth 1 and 2 only")
    p.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is stdout")
    p.set_defaults(command=bench.command)
    p = sub.add_parser("report", help="print the table of a recorded trace")
    p.add_argument("dir", metavar="DIR", help="a CTF trace or the folder of a run")
    p.add_argument("--json", action="store_true", help="as JSON")
    p.set_defaults(command=report.command)
    p = sub.add_parser("test", help="build and run all tests")
    p.add_argument("--only", metavar="WORD", action="append",
                   help="only tests whose name contains this; again for more")
    p.add_argument("--all", action="store_true", help="the long runs too: KVM as guest hypervisor, depth 4, all generated cases")
    p.add_argument("--list", action="store_true", help="list the tests")
    p.add_argument("--twin", action="store_true",
                   help="only the twin run: VMX as generated cases see it, on the bare processor and under cascade")
    p.add_argument("--seed", metavar="N", type=_count, default=1, help="of the twin run's generator (default 1)")
    p.add_argument("--cases", metavar="N", type=_cases, default=twin.CASES,
                   help=f"of the twin run, spread over its classes, or all (default {twin.CASES})")
    p.add_argument("--words", metavar="S", help="more words for the twin run's probe, such as class=event or only=123")
    p.add_argument("--cpu", metavar="MODEL", default=silicon_bochs.MODEL, help="of Bochs's processors, for the twin run")
    p.add_argument("--json", metavar="FILE", help="write the twin run's result as JSON; - is stdout")
    p.add_argument("--out", metavar="DIR", help="keep the files of the twin run's machines here")
    p.set_defaults(command=test.command)
    p = sub.add_parser("doctor", help="say what this machine can run")
    p.set_defaults(command=doctor.command)


class ListFeatures(argparse.Action):
    """--vmx: collects values; `list` prints the features and ends."""

    def __call__(self, parser, namespace, value, option_string=None):
        if value == "list":
            print(vmx.table())
            parser.exit()
        namespace.vmx = namespace.vmx + [value]


class Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"cascade: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(STATUS["USAGE"])


def parse(argv):
    parser = Parser(prog="cascade", description="Nested virtualization, visible and cheap.")
    sub = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    _add_run(sub)
    _add_others(sub)
    return parser.parse_args(argv)


def main(argv):
    args = parse(argv)
    procs.install_handlers()
    progress = Progress()
    try:
        return args.command(args, progress)
    except Fail as e:
        progress.clear()
        print(f"cascade: {e}", file=sys.stderr)
        return e.status
    except OSError as e:
        if e.errno != errno.ENOSPC:
            raise
        progress.clear()
        print(f"cascade: {STATUS_TEXT[STATUS['DISK_FULL']]}", file=sys.stderr)
        return STATUS["DISK_FULL"]
