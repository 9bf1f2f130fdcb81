"""The result of a gate in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import measure
from tm_cli.gate.events import Attempt, Decided
from tm_cli.gate.model import Basis, Comparison, Result
from tm_cli.gate.outcome import Evidence, Record
from tm_cli.gate.verdict import Verdict
from tm_cli.render.tables import age, codes, milliseconds, percent, rate
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import clean

_COLORS = {Verdict.PASS: "32", Verdict.WARN: "33", Verdict.FAIL: "31", Verdict.NO_BASELINE: "36"}


def run_summary(terminal: Terminal, ending: Decided) -> str:
    """Tell verdict, reasons, what it rests on, metrics, checks and decision."""
    result, decision = ending.result, ending.decision
    lines = [_headline(terminal, ending)]
    if result is None or result.verdict is None:
        lines.append(f"  {clean(decision.message)}")
    elif not _rests_on_verdict(ending):
        lines.append(f"  its verdict is {clean(result.verdict_text)}; {clean(decision.message)}")
    if result is not None:
        lines += [f"  {reason}" for reason in result.reasons]
        lines += [f"  {text}" for text in (*_rests_on(result.basis), *map(_noted, result.notes))]
        lines += _measured(result.metrics)
        lines += _answered(result.facts.get("responseCodes"))
        lines += _compared(terminal, result)
    lines += [f"  {_MARKS[item.passed]} {clean(item.reason)}" for item in decision.checks]
    lines += [f"  repeats run {_earlier_run(attempt)}" for attempt in ending.earlier]
    if decision.exit_code:
        lines.append(f"  exit {int(decision.exit_code)} ({decision.exit_code.name})")
    return "\n".join(lines)


def _earlier_run(attempt: Attempt) -> str:
    """Name a run, its verdict and the checks that failed beside it."""
    verdict = attempt.result.verdict_text if attempt.result else None
    run_id = clean(attempt.run.run_id) if attempt.run and attempt.run.run_id else "without id"
    failed = [item.reason for item in attempt.decision.checks if item.passed is False]
    checks = f"; it failed {clean('; '.join(failed))}" if failed else ""
    return f"{run_id}, whose verdict was {clean(verdict or 'missing')}{checks}"


def _noted(note: str) -> str:
    return f"note: {note}"


def _rests_on(basis: Basis) -> list[str]:
    """Which run or target this one was compared with, how it was chosen and how old it is."""
    if basis.against is not None:
        return [f"compared with {clean(basis.against)}, which was under the same load"]
    if basis.baseline is None:
        return []
    older = f", {age(basis.age)} older" if basis.age is not None else ""
    choice = f" ({clean(basis.choice)})" if basis.choice else ""
    reference = f"; reference run {basis.reference}" if basis.reference is not None else ""
    return [f"baseline run {basis.baseline}{older}{choice}{reference}"]


def comparison_names(basis: Basis) -> tuple[str, str]:
    """Return the heads of the columns for this run and for what it was compared with."""
    return "THIS RUN", basis.other.upper()


def _compared(terminal: Terminal, result: Result) -> list[str]:
    """Every comparison that needed another run or target, and every other one that is not fine."""
    shown = [item for item in result.comparisons if item.is_worth_a_row]
    if not shown:
        return []
    from tm_cli.render.comparisons import comparison_table

    return [comparison_table(terminal, shown, names=comparison_names(result.basis), indent=2)]


_MARKS = {True: "passed:", False: "failed:", None: "not measured:"}


def _rests_on_verdict(ending: Decided) -> bool:
    """Whether the exit code says what the verdict says; checks, and interruptions, come first."""
    code, verdict = ending.decision.exit_code, ending.result.verdict if ending.result else None
    return code in (ExitCode.OK, ExitCode.OUTPUT) or code.name == verdict


def _headline(terminal: Terminal, ending: Decided) -> str:
    run, result = ending.run, ending.result
    word = "NO VERDICT"
    color = "35"
    if result is not None and result.verdict is not None and not _rests_on_verdict(ending):
        word = ending.decision.exit_code.name
    elif result is not None and result.verdict is not None:
        word = clean(result.verdict_text or word)
        color = _COLORS.get(result.verdict, color)
    if terminal.out_color:
        word = f"\x1b[1;{color}m{word}\x1b[0m"
    named = result.facts.get("profileName") if result else None
    subject = clean(named) if isinstance(named, str) else run.subject if run else "-"
    name = f"run {clean(run.run_id)}" if run and run.run_id else "run without id"
    row = result.facts.get("id") if result else None
    is_apart = row is not None and run is not None and row != run.run_id
    what = "decided by run" if isinstance(row, str) else "history"
    return f"{word}  {subject}, {name}" + (f" ({what} {clean(row)})" if is_apart else "")


def _measured(metrics: Mapping[str, Any]) -> list[str]:
    lines = []
    if metrics.get("totalRequests") is not None:
        lines.append(
            f"  {metrics['totalRequests']:,} requests, {metrics.get('totalErrors') or 0:,} errors"
            f" (success {percent(metrics.get('successRate'))}),"
            f" {rate(metrics.get('avgRps'))} requests/s on average,"
            f" {rate(metrics.get('peakRps'))} at the peak"
        )
    quantiles = metrics.get("latencyQuantiles")
    if isinstance(quantiles, dict):
        shown = [
            f"{clean(name)} {milliseconds(value)}"
            for name, value in quantiles.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if shown:
            lines.append("  response time " + ", ".join(shown))
    return lines


def _answered(counts: Any) -> list[str]:
    """How the target answered, and how it failed to."""
    if not isinstance(counts, Mapping):
        return []
    known = {str(key): count for key, count in counts.items() if type(count) is int}
    failures = {name: count for name, count in known.items() if not name.isdigit()}
    answers = {name: count for name, count in known.items() if name.isdigit()}
    lines = [f"  responses {clean(codes(answers))}"] if answers else []
    return lines + ([f"  failures {clean(codes(failures))}"] if failures else [])


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
