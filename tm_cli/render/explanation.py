"""Explains why a gate passed or failed: a sentence and the reasons."""

from __future__ import annotations

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.outcome import Evidence, Record
from tm_cli.gate.policy import Gate
from tm_cli.render.summary import MARKS, failed_checks, leading, verdict_word
from tm_cli.values.text import clean
from tm_cli.values.verdict import GATED

MOST_DETAILS = 20


def explanation(outcome: Evidence) -> tuple[str, list[str]]:
    """Return the sentence and lines of detail; with several runs, of the one that decided."""
    record = leading(outcome)
    code = outcome.exit_code
    if code is ExitCode.OUTPUT:
        why = "the gate passed, but a report that was asked for could not be written"
    else:
        why = _why(record, outcome.gate)
    sentence = f"{clean(record.subject)}: {_outcome(code)}, because {why}."
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
    if decision.is_gated and failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"the check {clean(failed[0])} does not hold{more}"
    if decision.exit_code is ExitCode.OK:
        return _passed(end, gate)
    return f"nothing could be decided: {clean(decision.message)}"


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


def _details(record: Record, outcome: Evidence) -> list[str]:
    end = record.end
    lines = []
    if end.run is not None and end.run.run_id:
        lines.append(f"run {clean(end.run.run_id)} of {record.system}")
    if end.result is not None:
        lines += [clean(reason) for reason in end.result.reasons]
        basis = end.result.basis
        if basis.baseline is not None:
            lines.append(f"compared with run {clean(basis.baseline)}")
    lines += [f"{MARKS[item.passed]}: {clean(item.reason)}" for item in end.decision.checks]
    if outcome.exit_code is not ExitCode.OK:
        hint = clean(end.decision.hint) if end.decision.hint else outcome.exit_code.advice
        lines.append(f"next: {hint}")
    return lines


def _gated(gate: Gate) -> str:
    return ",".join(verdict for verdict in GATED if verdict in gate.fail_on) or "nothing"
