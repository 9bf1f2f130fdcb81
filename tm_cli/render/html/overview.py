"""The first section of the page: the outcome, its exit code, the gate, a line for each run."""

from __future__ import annotations

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Attempt
from tm_cli.gate.model import Result
from tm_cli.gate.outcome import Evidence, Record
from tm_cli.gate.policy import Gate
from tm_cli.render.explanation import explanation
from tm_cli.render.html.markup import Markup, colour_of, element, prose, table, verdict_mark
from tm_cli.render.summary import leading, outcome_word, verdict_word
from tm_cli.values.verdict import GATED

_VERDICTS = frozenset({ExitCode.FAIL, ExitCode.WARN, ExitCode.NO_BASELINE})


def overview(outcome: Evidence) -> Markup:
    """Return the outcome, what its exit code means and what the gate asked for."""
    records = outcome.reported
    word, kind = _outcome(outcome)
    subject = records[0].subject if len(records) == 1 else f"{len(records)} runs"
    sentence, _ = explanation(outcome)
    return element(
        "section",
        element("h1", verdict_mark(word, kind), " ", element("span", subject)),
        element("p", sentence, class_="lede"),
        element("dl", *_code(outcome), *_gate(outcome)),
        _runs(outcome) if len(records) > 1 else None,
        id="outcome",
        class_=f"outcome {colour_of(kind)}",
    )


def _outcome(outcome: Evidence) -> tuple[str, str]:
    """Return the word for the whole and the verdict whose colour it has.

    Several runs without a gate are not green.
    """
    code = outcome.exit_code
    if code is ExitCode.OK and len(outcome.reported) == 1:
        end = outcome.reported[0].end
        return outcome_word(end), _kind(code, end.result)
    if code is ExitCode.OK and outcome.gate.is_set:
        return code.name, "PASS"
    return code.name, _kind(code, None)


def outcome_mark(record: Record) -> Markup:
    """Return the word for the outcome of one run in the colour of what it means."""
    end = record.end
    return verdict_mark(outcome_word(end), _kind(end.decision.exit_code, end.result))


def attempt_mark(attempt: Attempt) -> Markup:
    """Return the name of the exit code that one run of several would have had."""
    code = attempt.decision.exit_code
    return verdict_mark(code.name, _kind(code, attempt.result))


def _kind(code: ExitCode, result: Result | None) -> str:
    """Return the verdict whose colour fits: for OK the verdict of the run, if it is known."""
    if code is ExitCode.OK:
        return result.verdict if result and result.verdict else "unknown"
    return code.name if code in _VERDICTS else "unknown"


def _code(outcome: Evidence) -> list[Markup]:
    code = outcome.exit_code
    rows = [
        element("dt", "Exit code"),
        element("dd", f"{int(code)} ({code.name}): ", prose(code.meaning)),
    ]
    if code is not ExitCode.OK:
        hint = leading(outcome).end.decision.hint or code.advice
        rows += [element("dt", "Next"), element("dd", prose(hint))]
    return rows


def _gate(outcome: Evidence) -> list[Markup]:
    if outcome.error is not None:
        return []
    return [element("dt", "Gate"), element("dd", _gate_text(outcome.gate))]


def _gate_text(gate: Gate) -> str:
    if not gate.is_set:
        return "none; the verdict only informs"
    listed = [verdict for verdict in GATED if verdict in gate.fail_on]
    parts = [f"fails on {', '.join(listed)}"] if listed else []
    parts += [f"needs {check.text}" for check in gate.checks]
    if gate.confirm:
        times = "once" if gate.confirm == 1 else f"up to {gate.confirm} times"
        parts.append(f"repeats a failing run {times}")
    return "; ".join(parts)


def _runs(outcome: Evidence) -> Markup:
    rows = [
        (
            element("a", record.subject, href=f"#run-{n}"),
            outcome_mark(record),
            verdict_word(record.end),
            str(int(record.end.decision.exit_code)),
            "stopped; it does not count" if record.end.abandoned else record.end.decision.message,
        )
        for n, record in enumerate(outcome.reported)
    ]
    head = ("Run", "Outcome", "Verdict", "Exit code", "Why")
    return table("All runs; the worst outcome decides", head, rows, words={1, 2, 4})
