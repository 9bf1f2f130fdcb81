"""Evidence of every kind that a gate can end with; the same objects for all reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tm_cli.errors import TmError, Undecided, WaitTimeout
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import parse_check
from tm_cli.gate.events import Decided, RunAttempt
from tm_cli.gate.model import (
    Basis,
    Comparison,
    Result,
    Run,
    Sample,
    Step,
    TargetMetric,
    TimeSeries,
)
from tm_cli.gate.outcome import GateOutcome, Record, exit_code_of
from tm_cli.gate.policy import Decision, Gate, decide, from_error
from tm_cli.gate.target_metrics import parse_condition
from tm_cli.values.verdict import GATED, Verdict, read_verdict

MADE_AT = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
STRICT = Gate(fail_on=frozenset({Verdict.FAIL, Verdict.WARN}))
STRICTEST = Gate(fail_on=frozenset(GATED))
ONLY_FAIL = Gate(fail_on=frozenset({Verdict.FAIL}))
CHECKED = replace(STRICT, checks=tuple(map(parse_check, ("p95<400ms", "errors<1%", "p99<+10%"))))


def series(p95: float) -> TimeSeries:
    return tuple(
        Sample(2.5 + 5 * n, 10.0 + n, 10.0 + n, 0.0 if n else 0.1, p95 / 2, p95 + n, p95 * 1.5)
        for n in range(6)
    )


def metrics(p95: float, errors: int = 3) -> dict[str, Any]:
    return {
        "totalRequests": 600,
        "totalErrors": errors,
        "avgRps": 10.0,
        "peakRps": 12.0,
        "successRate": (600 - errors) / 6,
        "latencyQuantiles": {"p50": p95 / 2, "p95": p95, "p99": p95 * 1.5},
    }


def comparison(metric: str, value: float, verdict: str) -> Comparison:
    return Comparison(
        metric, "ms", value, 20.0, (value - 20) * 5, (value - 21) * 5, (value - 19) * 5, 0.0004,
        4.2, 5.0, 15.0, verdict, significant=verdict != "PASS", than="baseline",
        reason=f"{metric} {value:g} ms, baseline 20 ms, limit +15 %",
    )  # fmt: skip


def result(verdict: str | None, number: int = 7, p95: float = 21.0, **changes: Any) -> Result:
    found = Result(
        run_id=f"run-{number}",
        verdict=read_verdict(verdict),
        verdict_text=verdict,
        reasons=(f"p95 {p95:g} ms, baseline 20 ms, limit +15 %",),
        metrics=metrics(p95),
        facts={
            "id": number,
            "profileName": "checkout",
            "responseCodes": {"200": 597, "503": 3},
            "autoCompareBaselineRunId": 5,
        },
        basis=Basis(5, "pinned", 7200.0, 2),
        comparisons=(comparison("p95", p95, verdict if verdict in ("WARN", "FAIL") else "PASS"),),
        notes=("a worker was lost",),
        series=series(p95),
    )
    return replace(found, **changes)


BASELINE = Result(None, None, None, metrics=metrics(20.0), facts={"id": 5}, series=series(20.0))
ALONE: Mapping[str, Any] = {
    "basis": Basis(), "comparisons": (), "notes": (),
    "reasons": ("no earlier run to compare with",),
    "facts": {"id": 7, "profileName": "checkout", "responseCodes": {"200": 597, "503": 3}},
}  # fmt: skip


def run_of(found: Result | None, number: int = 7) -> Run:
    return Run(found.run_id if found else f"run-{number}", "checkout", "COMPLETED", None)


def judged(found: Result, gate: Gate, baseline: Result | None = BASELINE) -> Decision:
    return decide(found, gate, baseline=baseline.metrics if baseline else None)


def ended(found: Result, gate: Gate = STRICT, baseline: Result | None = BASELINE) -> Decided:
    return Decided(judged(found, gate, baseline), run_of(found), found, baseline=baseline)


def broken(error: TmError, found: Result | None = None, gate: Gate = STRICT) -> Decided:
    return Decided(from_error(error, gate), run_of(found), found)


def evidence(*ends: Decided, gate: Gate = STRICT, names: tuple[str, ...] = ()) -> GateOutcome:
    named = names or ("checkout", "search", "login")
    records = tuple(
        Record("trafficmorph", name, 40 + n, "COMPLETED", end)
        for n, (name, end) in enumerate(zip(named, ends, strict=False), start=2)
    )
    return GateOutcome(records, gate, exit_code_of(records), MADE_AT)


def attempt(found: Result, gate: Gate = STRICT) -> RunAttempt:
    return RunAttempt(judged(found, gate), run_of(found), found, BASELINE)


def _not_confirmed() -> GateOutcome:
    gate = replace(CHECKED, confirm=2)
    passed = result("PASS", 8)
    decision = replace(judged(passed, gate), message="accepted; not confirmed by a repetition")
    earlier = (attempt(result("FAIL", 7, 30.0), gate),)
    return evidence(
        Decided(decision, run_of(passed), passed, earlier, baseline=BASELINE), gate=gate
    )


def _duet() -> GateOutcome:
    address = "http://127.0.0.1:8081/checkout"
    against = {"targetUrl": address, "totalRequests": 300, "latencyQuantiles": {"p95": 20.0}}
    found = result("PASS", basis=Basis(against=address), facts={"id": 7, "against": against})
    return evidence(ended(found))


def _error() -> GateOutcome:
    error = TmError("the server refused the key (HTTP 401)", hint="check it", code="authentication")
    error.exit_code = ExitCode.AUTHENTICATION
    return GateOutcome((), Gate(), error.exit_code, MADE_AT, error)


def _several() -> GateOutcome:
    given_up = Decision(
        ExitCode.UNDECIDED, "given up, because another run failed the gate", code="abandoned",
        matched=True,
    )  # fmt: skip
    return evidence(
        ended(result("PASS", 7)),
        ended(result("FAIL", 8, 30.0)),
        Decided(given_up, run_of(None, 9), None, abandoned=True),
    )


def _confirmed() -> GateOutcome:
    gate = replace(STRICT, confirm=1)
    red = result("FAIL", 8, 31.0)
    end = Decided(
        judged(red, gate), run_of(red), red, (attempt(result("FAIL", 7, 30.0), gate),),
        baseline=BASELINE,
    )  # fmt: skip
    return evidence(end, gate=gate)


def step(name: str, p95: float, verdict: str, *, errors: int = 0) -> Step:
    return Step(
        name,
        metrics(p95, errors),
        {"200": 600 - errors, "503": errors},
        verdict,
        name == "/checkout",
        (comparison("p95", p95, verdict),),
    )


def _steps() -> GateOutcome:
    """Arrivals of several requests; the names are those of a locustfile."""
    steps = (
        step("/checkout", 26.0, "FAIL", errors=3),
        step("GET /cart | <b>", 23.0, "WARN"),
        Step("(other steps)", metrics(20.0), {"200": 600}),
    )
    reasons = ("step /checkout: p95 26 ms, baseline 20 ms, limit +15 %",)
    return evidence(ended(result("FAIL", steps=steps, reasons=reasons)))


def _scores() -> GateOutcome:
    """A benchmark run: its id is its history id, and its numbers are scores of scenarios."""
    rows = (
        Comparison("score", "%", 80.0, 90.0, -10.0, fail=-3.0, verdict="FAIL", than="baseline"),
        Comparison("scenario =parse", "%", 60.0, 80.0, -20.0, verdict="WARN", than="baseline"),
        Comparison("scenario write", "%", baseline=100.0, verdict="FAIL", reason="write failed"),
    )
    found = Result(
        "bmr_5", Verdict.FAIL, "FAIL", reasons=("score of run bmr_5 is 10 points below run bmr_1",),
        metrics={"score": 0.8, "scenarioRuns": 2, "expected": 2},
        facts={"id": "bmr_5", "state": "completed"},
        basis=Basis("bmr_1", "last", 3600.0), comparisons=rows, notes=("1 failed, 1 regressed",),
    )  # fmt: skip
    end = Decided(decide(found, STRICTEST), Run("bmr_5", "agents", "completed", None), found)
    record = Record("runloop", "agents", "bmd_1", "completed", end)
    return GateOutcome((record,), STRICTEST, exit_code_of((record,)), MADE_AT)


def _returned() -> GateOutcome:
    """A job run: it is compared with nothing."""
    found = Result(
        "0192f0a4", Verdict.PASS, "PASS", reasons=("the job run is completed, after 2.5s",),
        metrics={"durationSeconds": 2.5, "attempts": 1},
        facts={"id": "0192f0a4", "result": {"exported": 120}},
    )  # fmt: skip
    end = Decided(decide(found, STRICT), Run("0192f0a4", "export", "completed", None), found)
    record = Record("strait", "export", "job-1", "completed", end)
    return GateOutcome((record,), STRICT, exit_code_of((record,)), MADE_AT)


def _target() -> GateOutcome:
    """A run with what was recorded of its target, and conditions on that."""
    texts = ("target.cpu<80%", "target.memory<512MB", "db.max<100")
    gate = replace(STRICT, checks=tuple(map(parse_condition, texts)))
    course = tuple((0.5 + n, 50.0 + 10 * n) for n in range(6))
    values = {"seconds": 60.0, "gap": 1.2, "course": course}
    metrics = (
        TargetMetric("target.cpu", "%", 91.0, 99.0, 50.0, 100.0, 97.0, **values),
        TargetMetric("target.memory", "B", 2e8, 3e8, 1e8, 3e8, 3e8, **values),
        TargetMetric("db", "", 5.0, 9.0, 1.0, 12.0, 7.0, **values),
    )
    found = result("PASS", target_metrics={metric.name: metric for metric in metrics})
    return evidence(ended(found, gate), gate=gate)


ALL: dict[str, GateOutcome] = {
    "pass": evidence(ended(result("PASS"), CHECKED), gate=CHECKED),
    "fail": evidence(ended(result("FAIL", p95=26.0))),
    "warn": evidence(ended(result("WARN", p95=23.0))),
    "warn-accepted": evidence(ended(result("WARN", p95=23.0), ONLY_FAIL), gate=ONLY_FAIL),
    "no-baseline": evidence(ended(result("NO_BASELINE", **ALONE), STRICTEST, None), gate=STRICTEST),
    "failed-check": evidence(ended(result("PASS", p95=500.0), CHECKED), gate=CHECKED),
    "unmeasured-check": evidence(ended(result("PASS"), CHECKED, None), gate=CHECKED),
    "ungated": evidence(ended(result("FAIL", p95=26.0), Gate()), gate=Gate()),
    "unknown-verdict": evidence(ended(result("SPLENDID"))),
    "cut-off": evidence(
        ended(result(None, final=True, note="the run was stopped, so it has no verdict"))
    ),
    "timeout": evidence(
        broken(WaitTimeout("run run-7 was still going after 30m; it goes on", hint="wait again"))
    ),
    "other-baseline": evidence(
        broken(Undecided("the run was compared with 4 instead of run 5"), result("PASS"))
    ),
    "confirmed": _confirmed(),
    "not-confirmed": _not_confirmed(),
    "duet": _duet(),
    "several": _several(),
    "error": _error(),
    "steps": _steps(),
    "scores": _scores(),
    "target": _target(),
    "returned": _returned(),
}
