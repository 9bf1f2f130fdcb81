"""How every report names an outcome, so that all of them say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import measure
from tm_cli.gate.comparison import Comparison
from tm_cli.gate.events import Decided
from tm_cli.gate.evidence import Result
from tm_cli.gate.record import Evidence, Record
from tm_cli.text import clean

NO_VERDICT = "NO VERDICT"

_PLAIN = (
    ("p50", "p50", "ms"),
    ("p95", "p95", "ms"),
    ("p99", "p99", "ms"),
    ("errors", "errors", "%"),
    ("rps", "throughput", "/s"),
    ("requests", "requests", "requests"),
)


def outcome_word(end: Decided) -> str:
    """The verdict where the gate lets it pass, else the name of the exit code."""
    if end.decision.exit_code is not ExitCode.OK:
        return end.decision.exit_code.name
    return verdict_word(end)


def verdict_word(end: Decided) -> str:
    """The verdict of the run, whatever the gate made of it."""
    return clean((end.result.verdict_text if end.result else None) or NO_VERDICT)


def leading(evidence: Evidence) -> Record:
    """The record that the exit code of the whole comes from."""
    told = [record for record in evidence.told if not record.end.abandoned] or list(evidence.told)
    own = [record for record in told if record.end.decision.exit_code is evidence.exit_code]
    return min(own or told, key=_badness)


def _badness(record: Record) -> int:
    """Among records of one exit code the worst verdict comes first."""
    order = ("FAIL", "WARN", NO_VERDICT, "NO_BASELINE", "PASS")
    word = verdict_word(record.end)
    return order.index(word) if word in order else 0


def plain_comparisons(result: Result, baseline: Result | None) -> list[Comparison]:
    """The metrics of a run beside those of its baseline, for servers that compare nothing."""
    there: Mapping[str, Any] = baseline.metrics if baseline else {}
    rows = []
    for metric, name, unit in _PLAIN:
        value, before = measure(metric, result.metrics), measure(metric, there)
        if value is not None:
            rows.append(Comparison(name, unit, value, before, change=_change(value, before, unit)))
    return rows


def _change(value: float, before: float | None, unit: str) -> float | None:
    if before is None:
        return None
    if unit == "%":
        return value - before
    return (value - before) * 100 / before if before else None
