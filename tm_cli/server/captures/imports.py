"""The profiles and variables sets that groups of a capture become."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from tm_cli.server.captures.curve import SHORTEST
from tm_cli.server.captures.groups import Group
from tm_cli.server.captures.headers import kept_headers
from tm_cli.server.captures.pattern import Pattern
from tm_cli.server.captures.urls import Kind
from tm_cli.server.captures.warnings import warnings_of
from tm_cli.server.profiles import CurvePoint
from tm_cli.server.web.bodies import explain
from tm_cli.server.web.schemas import ProfileBody
from tm_cli.values.load.data_sets import LONGEST_CSV, MOST_COLUMNS, MOST_ROWS, size_of

_LONGEST_NAME = 120
_LONGEST_DURATION = 172_800
_MACRO = re.compile(r"\$\$([^\s${}]+)\$\$")


class NotImported(ValueError):
    """A group that cannot become a profile."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A profile without its name, the CSV of its variables, if it has any, and what differs."""

    usual_name: str
    profile: ProfileBody
    csv: str | None
    warnings: Sequence[str]


def profile_of(kind: Kind, group: Group, pattern: Pattern) -> ProfileBody:
    """The profile of a group, by its usual name; raises NotImported."""
    if not pattern.rows:
        raise NotImported("none of its requests has values that can be sent")
    if len(pattern.variables) >= MOST_COLUMNS:  # one more has the weights
        raise NotImported(f"it has more than {MOST_COLUMNS - 1} values that vary")
    duration, points = group.arrivals.profile()
    if duration > _LONGEST_DURATION:
        raise NotImported("it lasts longer than 48 hours; t is in seconds")
    headers, _ = kept_headers(group)
    listed = [{"name": name, "value": value} for name, value in headers]
    try:
        return ProfileBody.model_validate(
            {
                "name": _usual_name(kind.method, pattern.url),
                "duration": duration,
                "targetUrl": pattern.url,
                "httpMethod": kind.method,
                "points": [CurvePoint(x=x, y=y) for x, y in points],
                "interpolationMode": "LINEAR",
                "requestHeaders": json.dumps(listed) if listed else None,
                "requestBody": pattern.body,
            }
        )
    except ValidationError as error:
        raise NotImported(explain(error)) from None


def imported(kind: Kind, group: Group, pattern: Pattern) -> Imported:
    """What a group becomes; raises NotImported."""
    profile = profile_of(kind, group, pattern)
    text, dropped = _csv(pattern)
    warnings = [*warnings_of(group, pattern), *_changes(group, dropped)]
    return Imported(profile.name, profile, text, warnings)


def _changes(group: Group, dropped: int) -> Iterator[str]:
    seconds = group.arrivals.seconds
    if seconds < SHORTEST:
        yield (
            f"it lasts {seconds} s in the capture, and a profile at least {SHORTEST} s: "
            "nothing is sent in the rest"
        )
    if dropped:
        yield (
            f"{dropped:,} rows of values, those that came least often, do not fit into its "
            "variables set"
        )


def _usual_name(method: str, url: str) -> str:
    path = _MACRO.sub(r"{\1}", urlsplit(url).path) or "/"
    return f"[capture] {method} {path}"[:_LONGEST_NAME]


def _csv(pattern: Pattern) -> tuple[str | None, int]:
    """The rows as they first came, with their counts as weights, and how many do not fit.

    Those do not fit that came least often.
    """
    if not pattern.variables:
        return None, 0
    head = _line([*(variable.name for variable in pattern.variables), "weight"])
    size = size_of([head])
    kept: dict[tuple[str, ...], str] = {}
    for row, count in pattern.rows.most_common(MOST_ROWS):
        kept[row] = _line([*row, str(count)])
        size += size_of([kept[row]])
        if size > LONGEST_CSV:
            del kept[row]
            break
    lines = [kept[row] for row in pattern.rows if row in kept]
    return "".join([head, *lines]), len(pattern.rows) - len(lines)


def _line(values: Sequence[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


def numbered(name: str, number: int) -> str:
    """The name, from the second on with its number: `checkout (2)`."""
    suffix = f" ({number})" if number > 1 else ""
    return name[: _LONGEST_NAME - len(suffix)] + suffix
