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
from tm_cli.sources.privacy import is_secret
from tm_cli.values.text import sanitize

LONGEST = 120
"""Characters of a value that a table shows."""
HIDDEN = "***"


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
    count = f"{len(found)} value{'s' * (len(found) > 1)}"
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
    """A value without what is likely to be a secret, which must not get into logs."""
    return _masked(difference.key.rpartition(".")[2].partition("[")[0], value)


def _masked(name: object, value: Any) -> Any:
    match value:
        case None:
            return None
        case _ if is_secret(str(name)):
            return HIDDEN
        case {"name": str(header), "value": text, **rest} if not rest:
            return {"name": header, "value": _masked(header, text)}
        case dict():
            return {key: _masked(key, each) for key, each in value.items()}
        case list():
            return [_masked("", each) for each in value]
        case str():
            return _masked_text(value)
    return value


_PAIR = re.compile(r"(^|[?&])([\w.\[\]%-]+)=[^&#\s]+")
_PASSWORD = re.compile(r"(://[^/?#\s@:]*:)[^/?#\s@]+@")


def _masked_text(text: str) -> str:
    """A text that may be JSON, a form or a URL: as it is, unless it has a secret."""

    def mask(pair: re.Match[str]) -> str:
        return f"{pair[1]}{pair[2]}={HIDDEN}" if is_secret(pair[2]) else pair[0]

    if text.lstrip()[:1] not in ("{", "["):
        return _PAIR.sub(mask, _PASSWORD.sub(rf"\1{HIDDEN}@", text))
    try:
        found = json.loads(text)
        public = _masked("", found)
    except (ValueError, RecursionError):
        return text
    return text if public == found else json.dumps(public, ensure_ascii=False)


def _shown(difference: Difference, value: Any) -> str | None:
    value = _public(difference, value)
    if value is None:
        return None
    if difference.key == "points" and isinstance(value, list):
        return _points(value)
    if difference.key == "data" and isinstance(value, list):
        return ", ".join(map(_data, value))
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
