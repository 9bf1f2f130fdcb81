"""`tm profiles diff`, and how differences between profiles are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tm_cli.backends.trafficmorph.profile_documents import read_document
from tm_cli.backends.trafficmorph.profile_fields import Difference, differences
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.profile_argument import resolve_profile
from tm_cli.errors import TmError
from tm_cli.render.tables import columns, rate
from tm_cli.sources.privacy import is_secret, mask_secrets
from tm_cli.values.text import count_of, sanitize

LONGEST = 120
"""Characters of a value that a table shows."""


def diff(session: CommandContext, document: str, profile: str | None) -> int:
    """Print the differences between a document and a stored profile; 1 where there are any."""
    wanted = read_document(session.context.cwd / document)
    ref = resolve_profile(session.client, profile or document, session.context.cwd)
    found = differences(session.client.export_profile(ref.profile_id), wanted)
    data = {
        "equal": not found,
        "profile_id": ref.profile_id,
        "name": ref.name,
        "differences": differences_data(found, "server", "document"),
    }
    whose = f"profile {ref.profile_id} ({ref.name})"
    if not found:
        return session.emit(data, lambda: f"{sanitize(document)} and {whose} are equal")
    count = count_of(len(found), "value")
    error = TmError(f"{sanitize(document)} and {whose} differ in {count}", code="different")
    head = ("KEY", "SERVER", "DOCUMENT")
    return session.emit(data, lambda: difference_table(session, head, found), error=error)


def differences_data(found: Sequence[Difference], before: str, after: str) -> list[dict[str, Any]]:
    return [
        {"key": each.key, before: _public(each, each.stored), after: _public(each, each.wanted)}
        for each in found
    ]


def difference_table(
    session: CommandContext, head: Sequence[str], found: Sequence[Difference]
) -> str:
    rows = [
        (sanitize(each.key), _shown(each, each.stored), _shown(each, each.wanted)) for each in found
    ]
    return columns(session.terminal, head, rows)


def _public(difference: Difference, value: Any) -> Any:
    """A value, unless it is likely to be a secret, which must not get into logs."""
    if difference.top == "gate":  # whose keys name steps
        return value
    names = re.split(r"[.\[]", difference.key)
    return mask_secrets(value, next(filter(is_secret, names), ""))


def _shown(difference: Difference, value: Any) -> str | None:
    value = _public(difference, value)
    if value is None:
        return None
    if difference.key == "points" and isinstance(value, list):
        return _points(value)
    if difference.key == "data" and isinstance(value, list):
        return ", ".join(map(_data, value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return sanitize(text, longest=LONGEST)


def _points(points: Sequence[Any]) -> str:
    """A short curve whole, a long one in numbers."""
    try:
        if len(points) <= 4:
            return " ".join(f"[{x:g}, {y:g}]" for x, y in points)
        rates = [y for _, y in points]
        return f"{len(points)} points, {rate(min(rates))} to {rate(max(rates))}/s"
    except (TypeError, ValueError):  # of a server
        return f"{len(points)} points"


def _data(source: Any) -> str:
    if not isinstance(source, dict) or not isinstance(source.get("csv"), str):
        return "?"
    name, lines = source.get("name"), max(source["csv"].count("\n") - 1, 0)
    return sanitize(f"{name} ({source.get('mode') or 'SEQUENTIAL'}, {lines} rows)", longest=60)
