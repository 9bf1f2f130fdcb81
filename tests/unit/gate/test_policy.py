"""The gate's rule as a table: this is its specification."""

from __future__ import annotations

import itertools

import pytest

from tm_cli.api.errors import HttpError
from tm_cli.errors import StartUnknown, TmError, WaitTimeout
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import parse_check
from tm_cli.gate.model import Result
from tm_cli.gate.policy import WORST_FIRST, Gate, decide, from_error, worst
from tm_cli.values.verdict import GATED, Verdict, parse_fail_on, read_verdict

CODES = {
    Verdict.FAIL: ExitCode.FAIL,
    Verdict.WARN: ExitCode.WARN,
    Verdict.NO_BASELINE: ExitCode.NO_BASELINE,
}
GATES = [frozenset(chosen) for n in (1, 2, 3) for chosen in itertools.combinations(GATED, n)]


def result(verdict: Verdict | None) -> Result:
    return Result(run_id="r", verdict=verdict, verdict_text=verdict)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: ",".join(sorted(gate)))
@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_gate_passes_only_on_a_known_verdict_outside_it(verdict, gate):
    decision = decide(result(verdict), Gate(gate))
    if verdict in gate:
        assert decision.exit_code == CODES[verdict]
    elif verdict in {Verdict.UNKNOWN, None}:
        assert decision.exit_code == ExitCode.UNDECIDED
    else:
        assert decision.exit_code == ExitCode.OK
    assert decision.matched is (decision.exit_code != ExitCode.OK)


@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_without_a_gate_every_verdict_informs(verdict):
    decision = decide(result(verdict), Gate())
    assert (decision.exit_code, decision.matched) == (ExitCode.OK, None)


@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_wider_gate_never_passes_more(verdict):
    for narrow, wide in itertools.product(GATES, GATES):
        if narrow <= wide and decide(result(verdict), Gate(narrow)).exit_code:
            assert decide(result(verdict), Gate(wide)).exit_code


@pytest.mark.parametrize(
    "error", [TmError("x"), WaitTimeout("x"), StartUnknown("x"), HttpError("x", status=401)]
)
def test_error_keeps_its_code_and_counts_as_a_match(error):
    decision = from_error(error, Gate(frozenset({Verdict.FAIL})))
    assert decision.exit_code == error.exit_code
    assert decision.matched is True


def test_error_can_never_be_ok():
    error = TmError("x")
    error.exit_code = ExitCode.OK
    assert from_error(error, Gate()).exit_code == ExitCode.INTERNAL


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


METRICS = {
    "totalRequests": 600,
    "avgRps": 10.0,
    "successRate": 99.5,
    "latencyQuantiles": {"p50": 8.0, "p95": 100.0},
}
BASELINE = {"successRate": 100.0, "latencyQuantiles": {"p95": 100.0}}


def measured(verdict, **changes):
    return Result(run_id="r", verdict=verdict, verdict_text=verdict, metrics=METRICS, **changes)


@pytest.mark.parametrize(
    ("verdict", "fail_on", "checks", "code"),
    [
        ("PASS", "FAIL", ["p95<400ms"], ExitCode.OK),
        ("PASS", "", ["p95<400ms", "errors<1%"], ExitCode.OK),
        ("PASS", "FAIL", ["p95<50ms"], ExitCode.FAIL),
        ("WARN", "WARN", ["p95<50ms"], ExitCode.FAIL),
        ("WARN", "WARN", ["p95<400ms"], ExitCode.WARN),
        ("WARN", "WARN", ["p99<400ms"], ExitCode.WARN),
        ("PASS", "FAIL", ["p99<400ms"], ExitCode.UNDECIDED),
        ("PASS", "FAIL", ["p99<400ms", "p95<50ms"], ExitCode.FAIL),
        ("PASS", "FAIL", ["p95<+10%"], ExitCode.OK),
        ("PASS", "FAIL", ["p95<-10%"], ExitCode.FAIL),
        ("PASS", "FAIL", ["p50<+10%"], ExitCode.UNDECIDED),
        (None, "", ["p95<400ms"], ExitCode.UNDECIDED),
        (Verdict.UNKNOWN, "", ["p95<400ms"], ExitCode.UNDECIDED),
        ("FAIL", "", ["p95<400ms"], ExitCode.OK),
    ],
)
def test_checks_stand_beside_the_verdict(verdict, fail_on, checks, code):
    gate = Gate(
        parse_fail_on(fail_on) if fail_on else frozenset(),
        tuple(parse_check(check) for check in checks),
    )
    verdict = None if verdict is None else Verdict(verdict)
    decision = decide(measured(verdict), gate, baseline=BASELINE)
    assert decision.exit_code == code
    assert decision.matched is (code != ExitCode.OK)


def test_record_of_a_stopped_run_never_passes_a_check():
    gate = Gate(checks=(parse_check("p95<400ms"),))
    assert decide(measured(None, final=True), gate).exit_code == ExitCode.UNDECIDED


@pytest.mark.parametrize("better", range(1, len(WORST_FIRST)))
def test_worst_outcome_wins(better):
    assert worst([WORST_FIRST[better], WORST_FIRST[better - 1]]) == WORST_FIRST[better - 1]


def test_signal_beats_every_outcome_and_nothing_at_all_is_a_bug():
    assert worst([*WORST_FIRST, ExitCode.INTERRUPTED]) == ExitCode.INTERRUPTED
    assert worst([]) == ExitCode.INTERNAL
