"""Runs of jobs, and what they leave behind, as rows for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tm_cli.api.strait.client import as_run
from tm_cli.backends.strait.results import seconds_of
from tm_cli.render.tables import columns, instant
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration
from tm_cli.values.text import clean

LONGEST_VALUE = 200
"""Characters of a JSON value in a table."""


def run_table(terminal: Terminal, items: Sequence[Mapping[str, Any]]) -> str:
    """Return a row per run."""
    rows = []
    for item in items:
        run = as_run(item)
        took = seconds_of(run)
        rows.append(
            (
                run.id,
                run.status,
                run.attempt,
                run.job_id,
                run.triggered_by,
                instant(run.created_at),
                None if took is None or took < 0 else format_duration(took),
                run.error,
            )
        )
    head = ("RUN", "STATUS", "ATTEMPT", "JOB", "TRIGGERED BY", "CREATED", "TOOK", "ERROR")
    return columns(terminal, head, rows, least=("TRIGGERED BY", "JOB", "TOOK"))


def item_table(terminal: Terminal, items: Sequence[Any], fields: Mapping[str, str]) -> str:
    """Return a row per item; `fields` names the member of the item for each head."""
    rows = [[value_text(_member(item, name)) for name in fields.values()] for item in items]
    return columns(terminal, tuple(fields), rows)


def _member(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else None


def value_text(value: Any) -> str | None:
    """Return a JSON value in one harmless line; texts without their quotes."""
    if value is None:
        return None
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clean(shown, longest=LONGEST_VALUE)


def member_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a line per member of an object, but for those without a value."""
    width = max((len(clean(name)) for name in document), default=0)
    return [
        f"  {clean(name):<{width}}  {shown}"
        for name, value in document.items()
        if (shown := value_text(value)) not in (None, "")
    ]


def describe_members(document: Any) -> str:
    """Return a line per member of an object, or per item of a list."""
    if isinstance(document, Mapping):
        return "\n".join(member_lines(document))
    items = document if isinstance(document, list) else [document]
    return "\n".join(value_text(item) or "-" for item in items)
