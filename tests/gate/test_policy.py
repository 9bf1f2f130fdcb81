"""The gate's rule as a table: this is its specification."""

from __future__ import annotations

import itertools

import pytest

from tm_cli.errors import AuthenticationError, StartUnknown, TmError, WaitTimeout
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.evidence import Result
from tm_cli.gate.policy import decide, from_error
from tm_cli.gate.verdict import GATED, Verdict, parse_fail_on, read_verdict

CODES = {
    Verdict.FAIL: ExitCode.FAIL,
    Verdict.WARN: ExitCode.WARN,
    Verdict.NO_BASELINE: ExitCode.NO_BASELINE,
}
GATES = [frozenset(chosen) for n in (1, 2, 3) for chosen in itertools.combinations(GATED, n)]


def result(verdict: Verdict | None) -> Result:
    return Result(run_id="r", verdict=verdict, verdict_text=verdict)


@pytest.mark.parametrize("gate", GATES, ids=",".join)
@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_gate_passes_only_on_a_known_verdict_outside_it(verdict, gate):
    decision = decide(result(verdict), gate)
    if verdict in gate:
        assert decision.exit_code == CODES[verdict]
    elif verdict in {Verdict.UNKNOWN, None}:
        assert decision.exit_code == ExitCode.UNDECIDED
    else:
        assert decision.exit_code == ExitCode.OK
    assert decision.matched is (decision.exit_code != ExitCode.OK)


@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_without_a_gate_every_verdict_informs(verdict):
    decision = decide(result(verdict), frozenset())
    assert (decision.exit_code, decision.matched) == (ExitCode.OK, None)


@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_wider_gate_never_passes_more(verdict):
    for narrow, wide in itertools.product(GATES, GATES):
        if narrow <= wide and decide(result(verdict), narrow).exit_code:
            assert decide(result(verdict), wide).exit_code


@pytest.mark.parametrize(
    "error", [TmError("x"), WaitTimeout("x"), StartUnknown("x"), AuthenticationError("x")]
)
def test_error_keeps_its_code_and_counts_as_a_match(error):
    decision = from_error(error, frozenset({Verdict.FAIL}))
    assert decision.exit_code == error.exit_code
    assert decision.matched is True


def test_error_can_never_be_ok():
    error = TmError("x")
    error.exit_code = ExitCode.OK
    assert from_error(error, frozenset()).exit_code == ExitCode.INTERNAL


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("PASS", Verdict.PASS),
        ("WARN", Verdict.WARN),
        ("FAIL", Verdict.FAIL),
        ("NO_BASELINE", Verdict.NO_BASELINE),
        ("", None),
        (None, None),
        ("pass", Verdict.UNKNOWN),
        ("PASS ", Verdict.UNKNOWN),
        ("UNKNOWN", Verdict.UNKNOWN),
        ("PAſſ", Verdict.UNKNOWN),
    ],
)
def test_verdict_is_read_to_the_letter(text, verdict):
    assert read_verdict(text) is verdict


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("FAIL", {Verdict.FAIL}),
        (" fail , Warn ", {Verdict.FAIL, Verdict.WARN}),
        ("FAIL,,NO_BASELINE,", {Verdict.FAIL, Verdict.NO_BASELINE}),
    ],
)
def test_fail_on_takes_verdicts_in_any_case(text, verdicts):
    assert parse_fail_on(text) == verdicts


@pytest.mark.parametrize(
    "text", ["", " ", ",", "PASS", "FAIL,PASS", "FAILL", "UNKNOWN", "FAIL WARN"]
)
def test_fail_on_refuses_what_is_no_gate(text):
    with pytest.raises(ValueError):
        parse_fail_on(text)
