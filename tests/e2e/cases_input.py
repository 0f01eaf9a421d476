# SPDX-License-Identifier: BSD-2-Clause
"""What a user can get wrong before anything runs: refused in a moment, with a status of its own."""
import os

import tiny_guest
from harness import STATUS, Scratch, Skip, cascade, expect, expect_refusal

MIB = 1 << 20


def unknown_option():
    expect_refusal(cascade("run", "--frobnicate"), "USAGE", "--frobnicate")


def unknown_command():
    expect_refusal(cascade("explode"), "USAGE", "explode")


def depth_out_of_range():
    expect_refusal(cascade("run", "--depth", 5), "USAGE", "--depth")
    expect_refusal(cascade("run", "--depth", 0), "USAGE", "--depth")


def guest_hypervisor_needs_depth_2():
    for guest in ("cascade", "kvm"):
        expect_refusal(cascade("run", "--guest", guest, "--depth", 1), "USAGE", f"--guest {guest}", "2")


def vmx_features():
    """Each wrong --vmx says what is wrong; the list names what is right."""
    for word, text in (("ept", "on or off"), ("ept=maybe", "on or off"), ("etp=off", "ept"), ("zzz=off", "--vmx list"),
                       ("like=haswel", "haswell"), ("cr3_load=off", "true_controls"), ("bus_lock=on", "does not offer"),
                       ("ept=off,", "no such feature"), ("L3:ept=off", "L1 to L2"), ("L0:ept=off", "L1 to L2"),
                       ("x:ept=off", "L1 to L2"), ("", "no such feature")):
        expect_refusal(cascade("run", "--depth", 2, "--vmx", word), "USAGE", text)
    expect_refusal(cascade("run", "--guest", "kvm", "--depth", 2, "--vmx", "L2:ept=off"), "USAGE", "L1 to L1")
    done = cascade("run", "--vmx", "list")
    expect(done.status == 0 and "unrestricted" in done.out and "haswell" in done.out, f"--vmx list: {done.out}")


def kernel_with_probe():
    expect_refusal(cascade("run", "--guest", "probe", "--kernel", "/dev/null"), "USAGE", "--kernel")


def kernel_missing():
    expect_refusal(cascade("run", "--kernel", "/nonexistent/vmlinuz"), "KERNEL_UNREADABLE", "/nonexistent/vmlinuz")


def kernel_is_a_folder():
    expect_refusal(cascade("run", "--kernel", "/"), "KERNEL_UNREADABLE")


def kernel_is_text():
    with Scratch() as d:
        (d / "k").write_text("no kernel\n" * 1000, encoding="ascii")
        expect_refusal(cascade("run", "--kernel", d / "k"), "KERNEL_FORMAT")


def kernel_of_another_processor():
    with Scratch() as d:
        image = bytearray(tiny_guest.elf(tiny_guest.SPIN))
        image[18] = 183  # EM_AARCH64
        (d / "k").write_bytes(image)
        expect_refusal(cascade("run", "--kernel", d / "k"), "KERNEL_FORMAT")


def kernel_truncated_elf():
    with Scratch() as d:
        (d / "k").write_bytes(tiny_guest.elf(tiny_guest.SPIN)[:-1])
        expect_refusal(cascade("run", "--kernel", d / "k"), "KERNEL_UNREADABLE", "cut off")


def kernel_truncated_bzimage():
    with Scratch() as d:
        image = bytearray(4096)
        image[0x1f1] = 1
        image[0x1f4:0x1f8] = (1000).to_bytes(4, "little")
        image[0x1fe:0x206] = b"\x55\xaa\xeb\x66HdrS"
        (d / "k").write_bytes(image)
        expect_refusal(cascade("run", "--kernel", d / "k"), "KERNEL_UNREADABLE", "truncated")


def kernel_empty():
    expect_refusal(cascade("run", "--kernel", "/dev/null"), "KERNEL_UNREADABLE", "empty")


def initrd_missing():
    with Scratch() as d:
        (d / "k").write_bytes(tiny_guest.elf(tiny_guest.SPIN))
        expect_refusal(cascade("run", "--kernel", d / "k", "--initrd", d / "i"), "KERNEL_UNREADABLE", "initrd")


def initrd_too_large():
    with Scratch() as d:
        (d / "k").write_bytes(tiny_guest.elf(tiny_guest.SPIN))
        with open(d / "i", "wb") as f:
            f.truncate(64 * MIB)
        expect_refusal(cascade("run", "--kernel", d / "k", "--initrd", d / "i", "--memory", 64), "INITRD_TOO_LARGE")


def memory_too_small():
    expect_refusal(cascade("run", "--memory", 16), "MEMORY_TOO_SMALL", "16")


def memory_beyond_bochs():
    with Scratch() as d:
        (d / "k").write_bytes(tiny_guest.elf(tiny_guest.SPIN))
        done = cascade("run", "--on", "bochs", "--kernel", d / "k", "--initrd", "/dev/null", "--memory", 4000,
                       "--out", d / "o")
        expect_refusal(done, "USAGE", "2048")


def kvm_without_vmx():
    from cascade_cli import silicon
    if not silicon.kvm_obstacle():
        raise Skip("this host can run KVM")
    expect_refusal(cascade("run", "--on", "kvm"), "SILICON_MISSING", "--on kvm")


def out_not_empty():
    with Scratch() as d:
        (d / "k").write_bytes(tiny_guest.elf(tiny_guest.SPIN))
        done = cascade("run", "--kernel", d / "k", "--initrd", "/dev/null", "--out", d)
        expect_refusal(done, "USAGE", "not empty")


def report_of_nothing():
    expect_refusal(cascade("report", "/nonexistent"), "USAGE", "/nonexistent")


def statuses_are_documented():
    """README.md, --help and the list that the image is compiled with agree."""
    from cascade_cli.statuses import STATUS_ROWS
    from harness import ROOT
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = cascade("run", "--help").out
    expect(len(set(STATUS.values())) == len(STATUS), "two statuses have one number")
    for name, number, meaning in STATUS_ROWS:
        expect(f"| {number} | {meaning} |" in readme, f"README.md does not list {name} ({number})")
        expect(meaning in text, f"--help does not list {name}")
    expect(os.access(ROOT / "cascade", os.X_OK), "./cascade is not executable")


CASES = [unknown_option, unknown_command, depth_out_of_range, guest_hypervisor_needs_depth_2, vmx_features, kernel_with_probe,
         kernel_missing, kernel_is_a_folder,
         kernel_is_text, kernel_of_another_processor, kernel_truncated_elf, kernel_truncated_bzimage, kernel_empty,
         initrd_missing, initrd_too_large, memory_too_small, memory_beyond_bochs, kvm_without_vmx, out_not_empty,
         report_of_nothing, statuses_are_documented]
