"""The result of a gate in the terminal, and its explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided, RunAttempt
from tm_cli.gate.model import Basis, Result, TargetMetric
from tm_cli.gate.outcome import GateOutcome, Record
from tm_cli.gate.policy import Decision, Gate
from tm_cli.gate.target_metrics import OF_THE_PROCESS, describe, shown
from tm_cli.render.steps import step_lines
from tm_cli.render.tables import age, codes, milliseconds, percent, rate
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import as_number, sanitize
from tm_cli.values.verdict import GATED, Verdict

NO_VERDICT = "NO VERDICT"

MARKS = {True: "passed", False: "failed", None: "not measured"}
_COLORS = {Verdict.PASS: "32", Verdict.WARN: "33", Verdict.FAIL: "31", Verdict.NO_BASELINE: "36"}


def run_summary(terminal: Terminal, ending: Decided) -> str:
    """Return verdict, reasons, baseline, metrics, checks and decision in lines."""
    result, decision = ending.result, ending.decision
    lines = [_headline(terminal, ending)]
    if result is None or result.verdict is None:
        lines.append(f"  {sanitize(decision.message)}")
    elif not _rests_on_verdict(ending):
        lines.append(
            f"  its verdict is {sanitize(result.verdict_text)}; {sanitize(decision.message)}"
        )
    if result is not None:
        said = result.note or ""
        lines += [f"  {reason}" for reason in result.reasons if reason not in said]
        lines += [f"  {sanitize(text)}"] if (text := basis_text(result.basis)) else []
        lines += [f"  note: {note}" for note in result.notes]
        lines += _measured(result.metrics)
        lines += _responses(result.facts)
        lines += [f"  {text}" for text in target_lines(result)]
        lines += _compared(terminal, result)
        lines += step_lines(terminal, result.steps)
    lines += [f"  {MARKS[item.passed]}: {sanitize(item.reason)}" for item in decision.checks]
    lines += [f"  repeats run {_earlier(attempt)}" for attempt in ending.earlier]
    if decision.exit_code:
        lines.append(f"  exit {int(decision.exit_code)} ({decision.exit_code.name})")
    return "\n".join(lines)


def _earlier(attempt: RunAttempt) -> str:
    run_id = sanitize(attempt.run.run_id) if attempt.run and attempt.run.run_id else "without id"
    return run_id + sanitize(earlier_text(attempt))


def earlier_text(attempt: RunAttempt) -> str:
    """Return the verdict of an earlier run and its failed checks, to stand after its name."""
    verdict = attempt.result.verdict_text if attempt.result else None
    failed = "; ".join(failed_checks(attempt.decision))
    return f", whose verdict was {verdict or 'missing'}" + (
        f"; it failed {failed}" if failed else ""
    )


def failed_checks(decision: Decision) -> list[str]:
    return [item.reason for item in decision.checks if item.passed is False]


def basis_text(basis: Basis) -> str:
    """Return what the run was compared with, how it was chosen and how old it is; not clean."""
    if basis.against is not None:
        return f"compared with {basis.against}, which was under the same load"
    if basis.baseline is None:
        return ""
    reference = f"; reference run {basis.reference}" if basis.reference is not None else ""
    return f"baseline {baseline_name(basis)}{reference}"


def baseline_name(basis: Basis) -> str:
    older = f", {age(basis.age)} older" if basis.age is not None else ""
    return f"run {basis.baseline}{older}" + (f" ({basis.choice})" if basis.choice else "")


def comparison_names(basis: Basis) -> tuple[str, str]:
    return "THIS RUN", basis.other.upper()


def _compared(terminal: Terminal, result: Result) -> list[str]:
    """Every comparison that needed another run or target, and every other one that is not fine."""
    shown = [item for item in result.comparisons if item.is_worth_a_row]
    if not shown:
        return []
    from tm_cli.render.comparisons import comparison_table

    return [comparison_table(terminal, shown, names=comparison_names(result.basis), indent=2)]


def _rests_on_verdict(ending: Decided) -> bool:
    """Whether the exit code says what the verdict says; checks, and interruptions, come first."""
    code, verdict = ending.decision.exit_code, ending.result.verdict if ending.result else None
    return code in (ExitCode.OK, ExitCode.OUTPUT) or code.name == verdict


def _headline(terminal: Terminal, ending: Decided) -> str:
    run, result = ending.run, ending.result
    word = NO_VERDICT
    color = "35"
    if result is not None and result.verdict is not None and not _rests_on_verdict(ending):
        word = ending.decision.exit_code.name
    elif result is not None and result.verdict is not None:
        word = sanitize(result.verdict_text or word)
        color = _COLORS.get(result.verdict, color)
    if ending.decision.breach is not None and (result is None or result.verdict is None):
        word, color = "ABORTED" if ending.decision.breach.stopped else "FAIL", "31"
    if terminal.out_color:
        word = f"\x1b[1;{color}m{word}\x1b[0m"
    named = result.facts.get("profileName") if result else None
    subject = sanitize(named) if isinstance(named, str) else run.subject if run else "-"
    name = f"run {sanitize(run.run_id)}" if run and run.run_id else "run without id"
    row = result.facts.get("id") if result else None
    is_apart = row is not None and run is not None and row != run.run_id
    what = "decided by run" if isinstance(row, str) else "history"
    return f"{word}  {subject}, {name}" + (f" ({what} {sanitize(row)})" if is_apart else "")


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
            f"{sanitize(name)} {milliseconds(value)}"
            for name, value in quantiles.items()
            if as_number(value) is not None
        ]
        if shown:
            lines.append("  response time " + ", ".join(shown))
    return lines


def target_lines(result: Result) -> list[str]:
    """Return what was recorded of the target, the processes of its service in one line."""
    metrics = [result.target_metrics[name] for name in sorted(result.target_metrics)]
    own = [describe(each) for each in metrics if each.name in OF_THE_PROCESS]
    others = [sanitize(describe(each)) for each in metrics if each.name not in OF_THE_PROCESS]
    return [*([f"target: {', '.join(own)}"] if own else []), *others]


def target_cells(metric: TargetMetric) -> tuple[str, ...]:
    """Return name, mean, p95, maximum and last value, for a table; not clean."""
    values = (metric.mean, metric.p95, metric.max, metric.last)
    return metric.name, *(shown(value, metric.unit) for value in values)


def _responses(facts: Mapping[str, Any]) -> list[str]:
    counts = response_codes(facts)
    failures = {name: count for name, count in counts.items() if not name.isdigit()}
    answers = {name: count for name, count in counts.items() if name.isdigit()}
    lines = [f"  responses {sanitize(codes(answers))}"] if answers else []
    return lines + ([f"  failures {sanitize(codes(failures))}"] if failures else [])


def response_codes(facts: Mapping[str, Any]) -> dict[str, int]:
    """Return how often the server counted each response code or kind of failure."""
    counts = facts.get("responseCodes")
    known = counts.items() if isinstance(counts, Mapping) else ()
    return {str(code): count for code, count in known if type(count) is int and count >= 0}


def outcome_word(end: Decided) -> str:
    """Return the verdict where the gate lets it pass, else the name of the exit code."""
    if end.decision.exit_code is not ExitCode.OK:
        return end.decision.exit_code.name
    return verdict_word(end)


def verdict_word(end: Decided) -> str:
    return sanitize((end.result.verdict_text if end.result else None) or NO_VERDICT)


def leading(outcome: GateOutcome) -> Record:
    """Return the record that the exit code of the whole comes from."""
    records = outcome.reported
    counted = [record for record in records if not record.end.abandoned] or records
    own = [record for record in counted if record.end.decision.exit_code is outcome.exit_code]
    return min(own or counted, key=_severity)


def _severity(record: Record) -> int:
    """Rank records of one exit code by their verdicts, the worst first."""
    order = ("FAIL", "WARN", NO_VERDICT, "NO_BASELINE", "PASS")
    word = verdict_word(record.end)
    return order.index(word) if word in order else 0


MOST_DETAILS = 20


def explanation(outcome: GateOutcome) -> tuple[str, list[str]]:
    """Return the sentence and lines of detail; with several runs, of the one that decided."""
    record = leading(outcome)
    code = outcome.exit_code
    if code is ExitCode.OUTPUT:
        why = "the gate passed, but a report that was asked for could not be written"
    else:
        why = _why(record, outcome.gate)
    sentence = f"{sanitize(record.subject)}: {_outcome(code)}, because {why}."
    if (others := len(outcome.reported) - 1) > 0:
        sentence += f" It decided among {others + 1} runs: the worst outcome wins."
    return sentence, _details(record, outcome)[:MOST_DETAILS]


def _outcome(code: ExitCode) -> str:
    if code is ExitCode.OK:
        return "the gate passed (exit 0)"
    if code in (ExitCode.FAIL, ExitCode.WARN, ExitCode.NO_BASELINE):
        return f"the gate failed (exit {int(code)}, {code.name})"
    return f"the gate did not pass (exit {int(code)}, {code.name})"


def _why(record: Record, gate: Gate) -> str:
    end = record.end
    decision = end.decision
    failed = failed_checks(decision)
    if decision.verdict_gated:
        first = f": {end.result.reasons[0]}" if end.result and end.result.reasons else ""
        return (
            f"the verdict of its run is {verdict_word(end)}, which fails on {_gated(gate)}{first}"
        )
    if decision.breach is not None:
        return sanitize(decision.message)
    if decision.is_gated and failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"the check {sanitize(failed[0])} does not hold{more}"
    if decision.exit_code is ExitCode.OK:
        return _passed(end, gate)
    return f"nothing could be decided: {sanitize(decision.message)}"


def _passed(end: Decided, gate: Gate) -> str:
    verdict = verdict_word(end)
    if not gate.is_set:
        return f"it had no gate; the verdict of its run, {verdict}, only informs"
    accepted = f"the verdict of its run is {verdict}"
    if gate.fail_on:
        accepted += f", which does not fail on {_gated(gate)}"
    if end.decision.checks:
        accepted += f", and {_holding(len(end.decision.checks))}"
    if end.earlier:
        accepted += f"; {len(end.earlier)} failing before it was not confirmed"
    return accepted


def _holding(count: int) -> str:
    return "its check holds" if count == 1 else f"all {count} checks hold"


def _details(record: Record, outcome: GateOutcome) -> list[str]:
    end = record.end
    lines = []
    if end.run is not None and end.run.run_id:
        lines.append(f"run {sanitize(end.run.run_id)} of {sanitize(record.system)}")
    if end.result is not None:
        lines += [sanitize(reason) for reason in end.result.reasons]
        basis = end.result.basis
        if basis.baseline is not None:
            lines.append(f"compared with run {sanitize(basis.baseline)}")
    lines += [f"{MARKS[item.passed]}: {sanitize(item.reason)}" for item in end.decision.checks]
    if outcome.exit_code is not ExitCode.OK:
        hint = sanitize(end.decision.hint) if end.decision.hint else outcome.exit_code.advice
        lines.append(f"next: {hint}")
    return lines


def _gated(gate: Gate) -> str:
    return ",".join(verdict for verdict in GATED if verdict in gate.fail_on) or "nothing"
