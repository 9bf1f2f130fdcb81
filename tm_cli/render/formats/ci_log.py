"""Annotations and outputs for GitHub Actions, sections for GitLab logs, dotenv files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.outcome import GateOutcome, Record, warns
from tm_cli.gate.policy import Gate
from tm_cli.render.summary import leading, outcome_word
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict

MOST_REASONS = 5
MOST_ANNOTATIONS = 10
"""The runner keeps this many of one kind and step."""


def annotated(outcome: GateOutcome) -> list[str]:
    """Return a workflow command for each run that is not a plain PASS."""
    found = (_annotation(record, outcome.gate) for record in outcome.reported)
    return [line for line in found if line][:MOST_ANNOTATIONS]


def _annotation(record: Record, gate: Gate) -> str | None:
    end = record.end
    level = _level(end, gate)
    if level is None or end.abandoned:
        return None
    decision = end.decision
    lines = _reasons(end)[: MOST_REASONS + 1]
    if decision.hint and not decision.is_gated:
        lines.append(f"hint: {decision.hint}")
    if decision.exit_code is not ExitCode.OK:
        lines.append(f"exit {int(decision.exit_code)} ({decision.exit_code.name})")
    title = f"tm: {outcome_word(end)}, {record.subject}"
    text = "\n".join(map(sanitize, lines))
    return f"::{level} title={_property(sanitize(title))}::{_data(text)}"


def _level(end: Decided, gate: Gate) -> str | None:
    """Return `error` for what fails the step; of what passes, only `--warn-on` is a warning."""
    if end.decision.exit_code is not ExitCode.OK:
        return "error"
    if warns(end, gate):
        return "warning"
    return None if end.result and end.result.verdict is Verdict.PASS else "notice"


def outputs(outcome: GateOutcome) -> Iterator[tuple[str, str]]:
    """Yield names and values of the step's outputs; of several runs, of the deciding one."""
    end = leading(outcome).end
    result = end.result
    yield "verdict", sanitize((result.verdict_text if result else None) or "")
    yield "outcome", outcome.exit_code.name
    yield "exit-code", str(int(outcome.exit_code))
    baseline = result.basis.baseline if result else None
    yield "baseline-run-id", "" if baseline is None else sanitize(baseline)
    yield "metrics", _json(dict(result.metrics) if result else None)
    yield "reasons", _json(_reasons(end))


def _reasons(end: Decided) -> list[str]:
    failed = [item.reason for item in end.decision.checks if item.passed is not True]
    reasons = list(end.result.reasons) if end.result else []
    return [sanitize(text) for text in (end.decision.message, *failed, *reasons)]


def assignment(name: str, value: str, token: str) -> str:
    """Return the lines that set an output; no value can end the text that `token` delimits."""
    if len(value.splitlines()) < 2:
        return f"{name}={value.strip()}\n"
    delimiter = f"tm_{token}"
    if delimiter in value:
        raise ValueError("a value holds the delimiter")
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _json(value: Any) -> str:
    """Return one line of ASCII that is not a workflow command when a later step prints it."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace("#", "\\u0023")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


_UNSAFE = re.compile(r"[^A-Za-z0-9._:/,-]+")
LONGEST = 200


def dotenv(outcome: GateOutcome) -> str:
    """Return variables that are safe to source; of several runs, those of the deciding one."""
    record = leading(outcome)
    end = record.end
    facts = end.result.facts if end.result else {}
    baseline = end.result.basis.baseline if end.result else None
    values = {
        "TM_EXIT_CODE": int(outcome.exit_code),
        "TM_OUTCOME": outcome.exit_code.name,
        "TM_VERDICT": (end.result.verdict_text if end.result else None) or "",
        "TM_SUBJECT": record.subject,
        "TM_RUN_ID": (end.run.run_id if end.run else None) or "",
        "TM_HISTORY_ID": _known(facts.get("id")),
        "TM_BASELINE_RUN_ID": _known(baseline),
    }
    return "".join(f"{name}={_safe(str(value))}\n" for name, value in values.items())


def section_start(name: str, title: str, now: datetime) -> str:
    """Return the marker that begins a collapsed section of the log; `title` is our own text."""
    return f"\x1b[0Ksection_start:{int(now.timestamp())}:{name}[collapsed=true]\r\x1b[0K{title}"


def section_end(name: str, now: datetime) -> str:
    return f"\x1b[0Ksection_end:{int(now.timestamp())}:{name}\r\x1b[0K"


def _known(value: object) -> str:
    return "" if value is None else str(value)


def _safe(text: str) -> str:
    """Keep only characters without a meaning to shells and parsers of such files."""
    return _UNSAFE.sub("_", text)[:LONGEST]
