"""What a run rests on and how it was, folded away below its outcome in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from tm_cli.gate.comparison import Basis
from tm_cli.gate.events import Attempt, Decided
from tm_cli.gate.evidence import Result
from tm_cli.gate.record import Record
from tm_cli.render.comparisons import escaped
from tm_cli.render.numbers import age, codes, percent, rate

MOST_NOTES = 30


def details(record: Record) -> str:
    """Return a block that opens on demand; empty when there is nothing to tell."""
    end = record.end
    lines = [*_names(record, end), *_measured(end.result), *_repeats(end)]
    if not lines:
        return ""
    shown = "\n".join(f"- {line}" for line in lines)
    return f"<details>\n<summary>Details</summary>\n\n{shown}\n\n</details>"


def _names(record: Record, end: Decided) -> list[str]:
    lines = []
    if end.run is not None and end.run.run_id:
        number = end.result.facts.get("id") if end.result else None
        is_apart = number is not None and number != end.run.run_id
        history = f" (history {escaped(str(number))})" if is_apart else ""
        lines.append(f"run `{_code(end.run.run_id)}`{history}")
    if record.status:
        lines.append(f"last status {escaped(record.status)}")
    return lines + (_basis(end.result.basis) if end.result else [])


def _basis(basis: Basis) -> list[str]:
    if basis.against is not None:
        return [f"compared with {escaped(basis.against)}, which was under the same load"]
    if basis.baseline is None:
        return []
    older = f", {age(basis.age)} older" if basis.age is not None else ""
    choice = f" ({escaped(basis.choice)})" if basis.choice else ""
    reference = (
        "" if basis.reference is None else f"; reference run {escaped(str(basis.reference))}"
    )
    return [f"baseline run {escaped(str(basis.baseline))}{older}{choice}{reference}"]


def _measured(result: Result | None) -> list[str]:
    if result is None:
        return []
    metrics, lines = result.metrics, []
    total, errors = metrics.get("totalRequests"), metrics.get("totalErrors")
    if isinstance(total, int):
        failed = f"{errors:,}" if isinstance(errors, int) else "-"
        lines.append(
            f"{total:,} requests, {failed} errors "
            f"(success {percent(_number(metrics.get('successRate')))}), "
            f"{rate(_number(metrics.get('avgRps')))} requests/s on average"
        )
    counts = result.facts.get("responseCodes")
    if isinstance(counts, Mapping):
        known = {str(key): count for key, count in counts.items() if type(count) is int}
        lines += [f"responses {escaped(codes(known))}"] if known else []
    return lines + [f"note: {escaped(note)}" for note in result.notes[:MOST_NOTES]]


def _repeats(end: Decided) -> list[str]:
    return [f"repeats {_earlier(attempt)}" for attempt in end.earlier]


def _earlier(attempt: Attempt) -> str:
    verdict = attempt.result.verdict_text if attempt.result else None
    name = f"run `{_code(attempt.run.run_id)}`" if attempt.run and attempt.run.run_id else "a run"
    failed = [item.reason for item in attempt.decision.checks if item.passed is False]
    checks = f"; it failed {escaped('; '.join(failed))}" if failed else ""
    return f"{name}, whose verdict was {escaped(verdict or 'missing')}{checks}"


def _code(text: str) -> str:
    """A text inside a code span, which no backtick may end."""
    from tm_cli.text import clean

    return clean(text).replace("`", "'").replace("<", "‹").replace("|", "¦")


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
