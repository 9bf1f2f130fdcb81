"""Saved evidence before another gate: the policy decides, and what was never decided stays so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.report.made_evidence import ALL, ONLY_FAIL, STRICT, STRICTEST
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import KeptCheck, parse_check
from tm_cli.gate.outcome import contradiction, replay
from tm_cli.gate.policy import Gate
from tm_cli.values.verdict import Verdict


def with_checks(*texts: str, gate: Gate = ONLY_FAIL) -> Gate:
    return replace(gate, checks=tuple(parse_check(text) for text in texts))


@pytest.mark.parametrize("name", ALL)
def test_same_gate_decides_the_same(name):
    evidence = ALL[name]
    assert contradiction(evidence) is None
    assert replay(evidence, evidence.gate).exit_code is evidence.exit_code


@pytest.mark.parametrize(
    ("name", "gate", "code"),
    [
        ("warn", ONLY_FAIL, ExitCode.OK),
        ("warn-accepted", STRICT, ExitCode.WARN),
        ("no-baseline", STRICT, ExitCode.OK),
        ("fail", Gate(fail_on=frozenset({Verdict.WARN})), ExitCode.OK),
        ("ungated", ONLY_FAIL, ExitCode.FAIL),
        ("pass", with_checks("p95<20ms"), ExitCode.FAIL),
        ("pass", with_checks("p99<+1%"), ExitCode.FAIL),
        ("pass", with_checks("p99.9<1s"), ExitCode.UNDECIDED),
        ("no-baseline", with_checks("p99<+1%"), ExitCode.UNDECIDED),
        ("failed-check", STRICT, ExitCode.OK),
        ("failed-check", with_checks("p95<600ms"), ExitCode.OK),
        ("unmeasured-check", STRICT, ExitCode.OK),
        ("several", Gate(fail_on=frozenset({Verdict.WARN})), ExitCode.UNDECIDED),
        ("confirmed", Gate(fail_on=frozenset({Verdict.WARN})), ExitCode.OK),
        ("not-confirmed", with_checks("p95<22ms"), ExitCode.OK),
        ("not-confirmed", with_checks("p95<10ms"), ExitCode.FAIL),
    ],
)
def test_another_gate_decides_by_the_same_evidence(name, gate, code):
    assert replay(ALL[name], gate).exit_code is code


@pytest.mark.parametrize(
    "name", ["unknown-verdict", "cut-off", "timeout", "other-baseline", "error"]
)
@pytest.mark.parametrize(
    "gate", [STRICT, STRICTEST, ONLY_FAIL, with_checks("p95<1s"), with_checks("rps>0")]
)
def test_what_was_not_decided_passes_no_gate(name, gate):
    assert replay(ALL[name], gate).exit_code is ALL[name].exit_code
    assert ALL[name].exit_code is not ExitCode.OK


def test_first_run_that_passes_ends_a_replay_as_it_would_a_gate():
    again = replay(ALL["confirmed"], with_checks("p95<30.5ms", gate=Gate()))
    assert again.exit_code is ExitCode.OK
    end = again.records[0].end
    assert end.run.run_id == "run-7"
    assert end.earlier == ()


def test_check_that_only_the_system_can_measure_keeps_its_outcome():
    evidence = ALL["pass"]
    kept = replace(STRICT, checks=(*evidence.gate.checks, KeptCheck("$.score > 3")))
    assert replay(evidence, kept).exit_code is ExitCode.UNDECIDED
