# SPDX-License-Identifier: BSD-2-Clause
"""Differences between the bare processor and cascade that are as they should be: a rule each, as narrow as its
reason. A rule sees the case, what bare printed and what cascade printed; its reason names the heading in docs/, or says
that something is masked on purpose."""
import re
from dataclasses import dataclass

# Control words of a mutation, by the key of the capability line.
CONTROLS = {"pin_ctls": "pin", "proc_ctls": "proc", "proc2_ctls": "proc2", "exit_ctls": "exit", "entry_ctls": "entry"}
SETTING = re.compile(r"(\w+)=0x([0-9a-f]+)")
ABSENT = re.compile(r"absent (\w+)")
ENTRY_FAIL = re.compile(r"entry-fail 33 q=0x[0-9a-f]+$")
VM_FAIL_CONTROLS = "VMfail 7"


@dataclass
class Case:
    """One line of a run: `t NUMBER CLASS WHAT : SEEN ~ CHECK`."""
    number: int
    what: str   # class and mutation
    seen: str
    check: str  # the first check of VM entry that the VMCS violates, by cascade's table; or ""


@dataclass
class Pair:
    bare: Case
    nested: Case
    bare_caps: dict
    nested_caps: dict


def _settings(what):
    return {name: int(value, 16) for name, value in SETTING.findall(what)}


def not_offered_control(p):
    """A control that the processor has and cascade does not offer fails the entry, whatever else is wrong."""
    lacking = {field: p.bare_caps[key] & ~p.nested_caps[key] for field, key in CONTROLS.items()}
    set_to = _settings(p.bare.what)
    return p.nested.seen == VM_FAIL_CONTROLS and p.nested.check.startswith("CTL_") and \
        any(set_to.get(field, 0) & bits for field, bits in lacking.items())


def given_control(p):
    """A control that cascade gives its guest and the processor lacks fails the entry there."""
    given = {field: p.nested_caps[key] & ~p.bare_caps[key] for field, key in CONTROLS.items()}
    set_to = _settings(p.bare.what)
    return p.bare.seen == VM_FAIL_CONTROLS and any(set_to.get(field, 0) & bits for field, bits in given.items())


def not_offered_field(p):
    """A field that exists only with a control that is not offered: it cannot be set, VMREAD and VMWRITE fail."""
    absent, of_bare = (set(ABSENT.findall(c.seen)) for c in (p.nested, p.bare))
    rest = ABSENT.sub("", p.nested.seen).strip()
    return absent > of_bare and p.bare_caps != p.nested_caps and \
        rest == ("VMfail 12 VMfail 12" if p.nested.what.startswith("field ") else "")


def other_check_first(p):
    """Several checks of guest state fail, and which one decides the qualification is not prescribed."""
    return p.nested.check.startswith(("GUEST_", "LINK_")) and len(_settings(p.nested.what)) > 1 and \
        all(ENTRY_FAIL.match(c.seen) for c in (p.bare, p.nested)) and p.bare.seen != p.nested.seen


def _lacks(check):
    """Bochs enters, or finds another fault behind it; cascade refuses, as the SDM asks."""
    def rule(p):
        wanted = "VMfail " if check.startswith(("CTL_", "HOST_")) else "entry-fail 33 "
        return p.nested.check == check and p.nested.seen.startswith(wanted) and \
            p.bare.seen.startswith(("exit ", "entry-fail "))
    return rule


def wide_type(p):
    """Bochs looks at bits 31:0 of the type only."""
    found = re.match(r"inval inv(?:ept|vpid) type ([0-9a-f]+) ", p.bare.what)
    return bool(found) and int(found[1], 16) >> 32 != 0 and p.nested.seen == "VMfail 28"


TF, IF, PIN_EXT_INTR, PROC_INTR_WINDOW = 1 << 8, 1 << 9, 1, 1 << 2


def interrupt_with_if_0(p):
    """External-interrupt exiting does not depend on RFLAGS.IF; in Bochs it does until the guest changes IF."""
    last = dict(SETTING.findall(p.bare.what))
    return p.bare.what.startswith("irq ") and ", pending" in p.bare.what and p.nested.seen.startswith("exit 1 ") and \
        bool(int(last.get("pin_ctls", "0"), 16) & PIN_EXT_INTR) and not int(last.get("guest_rflags", "0"), 16) & IF


def activity_of_a_halted_guest(p):
    """An exit from HLT by an event saves HLT; Bochs saves that the guest is active."""
    halted = "activity=0x1" in p.nested.seen or ("guest_activity=0x1" in p.bare.what and "activity=" not in p.nested.seen)
    bare, nested = (re.sub(r" activity=0x[01]", "", c.seen) for c in (p.bare, p.nested))
    return p.bare.what.startswith("irq ") and halted and bare == nested and "activity=0x1" not in p.bare.seen


def window_in_hlt(p):
    """An interrupt window that is open wakes from HLT; in Bochs the guest sleeps until its preemption timer."""
    last = dict(SETTING.findall(p.bare.what))
    halts = last.get("guest_activity") == "1" or "hlt" in p.bare.what
    bare, nested = (re.sub(r" activity=0x1", "", c.seen) for c in (p.bare, p.nested))
    return p.bare.what.startswith("irq ") and halts and bool(int(last.get("proc_ctls", "0"), 16) & PROC_INTR_WINDOW) and \
        last.get("guest_preemption_timer") != "0" and nested == bare.replace("exit 52", "exit 7", 1) != bare


def pending_single_step(p):
    """An exit that is no trap leaves no single step pending; Bochs saves the one of the instruction that exits."""
    return bool(_settings(p.bare.what).get("guest_rflags", 0) & TF) and "pending_dbg=" not in p.nested.seen and \
        p.bare.seen.replace(" pending_dbg=0x4000", "") == p.nested.seen


RAISED_HERE = ("insn mov to cr8 ", "insn wrmsr ", "insn rdmsr ")


def fault_in_software(p):
    """#GP for what cascade intercepts for itself is raised by cascade, as the SDM has it for every fault: with RF in the
    saved flags, blocking by MOV SS kept, and without an error code in real mode. Bochs does none of it."""
    nested = re.sub(r" (?:rflags=0x10002|interruptibility=0x2)", "", p.nested.seen)
    bare = p.bare.seen.replace("intr=0x80000b0d:0x0", "intr=0x8000030d") if " base 2 " in p.bare.what else p.bare.seen
    return p.bare.what.startswith(RAISED_HERE) and " rflags=0x10002" in p.nested.seen and \
        nested.startswith("exit 0 intr=0x80000") and nested == bare


OTHERWISE = "docs/silicon.md, What Bochs does otherwise"
MASKED = "masked on purpose: docs/nested.md, What is offered"
LACKING = ("GUEST_RIP_64", "GUEST_CS_DPL", "GUEST_64_PG", "GUEST_PENDING_RESERVED",
           "GUEST_PENDING_BS_MISSING", "GUEST_ACTIVITY_EVENT")

# name, rule, why
RULES = [
    ("control not offered", not_offered_control, MASKED),
    ("control that the processor lacks", given_control, "docs/nested.md, Monitor trap flag"),
    ("field not offered", not_offered_field, MASKED),
    ("another check of guest state first", other_check_first, "SDM 3C prescribes no order"),
    ("invalidation with a type of more than 32 bits", wide_type, OTHERWISE),
    ("external interrupt with IF 0", interrupt_with_if_0, OTHERWISE),
    ("activity state of a halted guest", activity_of_a_halted_guest, OTHERWISE),
    ("interrupt window in HLT", window_in_hlt, OTHERWISE),
    ("single step pending after an exit", pending_single_step, OTHERWISE),
    ("flags and blocking at a fault", fault_in_software, OTHERWISE),
    *((f"check that Bochs lacks: {check}", _lacks(check), OTHERWISE) for check in LACKING),
]
