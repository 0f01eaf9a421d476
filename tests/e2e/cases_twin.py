# SPDX-License-Identifier: BSD-2-Clause
"""The generated cases of the probe on the bare processor and under cascade: a part of them by default, all in LONG."""
import json

from harness import Scratch, cascade, expect

SHORT_CASES = 3000
LONG_CASES = 35000  # fewer than there are
SHORT_S, LONG_S = 300.0, 1200.0


def _twin(least, timeout_s, *options):
    with Scratch() as d:
        done = cascade("test", "--twin", "--json", d / "twin.json", "--out", d / "machines", *options,
                       timeout_s=timeout_s)
        expect(done.status == 0, f"status {done.status}: {done.err_lines()} {done.out[-2000:]}")
        result = json.loads((d / "twin.json").read_text(encoding="utf-8"))
        expect(set(result) == {"cases", "mismatches", "explained"}, f"{result}")
        expect(result["cases"] >= least and result["mismatches"] == 0, f"{result}")


def generated_cases_agree():
    _twin(SHORT_CASES, SHORT_S, "--cases", SHORT_CASES)


def all_generated_cases_agree():
    _twin(LONG_CASES, LONG_S, "--cases", "all")


def generated_cases_of_another_seed_agree():
    _twin(LONG_CASES, LONG_S, "--cases", "all", "--seed", 2)


CASES = [generated_cases_agree]
LONG = [all_generated_cases_agree, generated_cases_of_another_seed_agree]
