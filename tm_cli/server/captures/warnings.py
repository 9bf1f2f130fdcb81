"""What of captured requests a profile does not send as it was captured."""

from __future__ import annotations

from tm_cli.server.captures.groups import Group
from tm_cli.server.captures.headers import kept_headers
from tm_cli.server.captures.pattern import Pattern
from tm_cli.values.load.captures import REDACTED


def warnings_of(group: Group, pattern: Pattern) -> list[str]:
    _, found = kept_headers(group)
    if group.has_user:
        found.append("the user and password in the URL are left out")
    if pattern.is_body_left_out:
        found.append("the body is left out: the capture has only its beginning")
    counts = {
        "whose body the capture has only the beginning of": pattern.cut,
        "with values that are not UTF-8, have a NUL character or are too long": pattern.unusable,
        "that differ from those kept": group.lost,
    }
    found += [
        f"{count:,} requests {what} count in the curve alone"
        for what, count in counts.items()
        if count
    ]
    mark = REDACTED.encode()
    encoded = b"%5BREDACTED%5D"
    if any(mark in row or encoded in row.upper() for row in group.rows):
        found.append(f"URLs or bodies have masked values, which are sent as {REDACTED}")
    return found
