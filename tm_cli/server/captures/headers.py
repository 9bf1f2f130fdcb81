"""Which captured headers a profile sends."""

from __future__ import annotations

import re

from tm_cli.server.captures.groups import Group, HeaderValues
from tm_cli.values.load.captures import REDACTED

_OF_THE_CONNECTION = {
    "host", "connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te",
    "trailer", "expect", "proxy-connection", "http2-settings",
}  # fmt: skip
"""Those are made for each request, or belong to one connection."""
_NAME = re.compile(r"[!#%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_SENT = re.compile(r"[^\t\x20-\x7e\x80-\xff]|\$[${]")
_KEPT_IF_VARYING = {"content-type", "accept"}


def kept_headers(group: Group) -> tuple[list[tuple[str, str]], list[str]]:
    """The headers that all or most requests have with the same value, and warnings on others."""
    kept: list[tuple[str, str]] = []
    warnings: list[str] = []
    for lowered, header in group.headers.items():
        if lowered in _OF_THE_CONNECTION or lowered.startswith(":"):
            continue
        if problem := _problem(lowered, header, len(group.times)):
            warnings.append(f"the header {header.name} is left out: {problem}")
            continue
        value, count = header.values.most_common(1)[0]
        kept.append((header.name, value))
        if count < header.count:
            warnings.append(f"the header {header.name} differs; its most frequent value is sent")
    return kept, warnings


def _problem(lowered: str, header: HeaderValues, requests: int) -> str | None:
    if any(REDACTED in value for value in header.values):
        return "its value was masked"
    if not _NAME.fullmatch(header.name) or any(map(_NOT_SENT.search, header.values)):
        return "no profile can send it"
    if len(header.values) > 1 and lowered not in _KEPT_IF_VARYING:
        return "its value differs"
    return "most requests have none" if 2 * header.count <= requests else None
