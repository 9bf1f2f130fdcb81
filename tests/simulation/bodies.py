"""Spoilt answers: what arrives, complete, in place of what the server meant.

Here are the ways that need not know the document; each system adds those that edit its fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.simulation.messages import Reply

Spoil = Callable[[Reply, int], Reply]
"""Returns what arrives in place of an answer; the number chooses among variants."""

Edit = Callable[[dict[str, Any], int], None]
"""Changes one object in place."""

HTML = b"<html><head><title>Log in</title></head><body>Please log in to go on</body></html>"


def as_json(reply: Reply, body: bytes, kind: str = "application/json") -> Reply:
    return Reply(reply.status, body, {"content-type": kind})


def edited(edit: Edit, *, lists: tuple[str, ...]) -> Spoil:
    """Spoil every object: the document itself, or each item under the names of its lists."""

    def spoil(reply: Reply, arg: int) -> Reply:
        document = json.loads(reply.body)
        found = next((document[name] for name in lists if name in document), [document])
        for row in found:
            edit(row, arg)
        return as_json(reply, json.dumps(document).encode())

    return spoil


def setting(field: str, values: tuple[Any, ...], *, adds: bool = False) -> Edit:
    """Set a field where it is, and with `adds` also where it is not."""

    def edit(row: dict[str, Any], arg: int) -> None:
        if adds or row.get(field) is not None:
            row[field] = values[arg % len(values)]

    return edit


def without(*fields: str) -> Edit:
    """Take fields away."""

    def edit(row: dict[str, Any], _arg: int) -> None:
        for field in fields:
            row.pop(field, None)

    return edit


def renamed(name: str, other: str) -> Spoil:
    """Another name for a field, wherever it stands."""
    old, new = f'"{name}"'.encode(), f'"{other}"'.encode()
    return lambda reply, _: as_json(reply, reply.body.replace(old, new))


def _wrapped(reply: Reply, arg: int) -> Reply:
    return as_json(reply, (b"null", b"[]", b'"PASS"', b"true", b"7", b"")[arg % 6])


def _cut(reply: Reply, arg: int) -> Reply:
    """A body that ends early although its length was announced right (a buffer that overflowed)."""
    return as_json(reply, reply.body[: arg % max(len(reply.body) - 1, 1)])


def _extra_number(text: str) -> Spoil:
    def spoil(reply: Reply, _arg: int) -> Reply:
        return as_json(reply, reply.body.replace(b"{", f'{{"x": {text}, '.encode(), 1))

    return spoil


def _compressed(reply: Reply, _arg: int) -> Reply:
    return Reply(
        reply.status, reply.body, {"content-type": "application/json", "content-encoding": "gzip"}
    )


SPOILT: dict[str, Spoil] = {
    "html": lambda reply, _: Reply(200, HTML, {"content-type": "text/html; charset=utf-8"}),
    "plain-text": lambda reply, _: as_json(reply, reply.body, "text/plain"),
    "no-type": lambda reply, _: Reply(reply.status, reply.body, {}),
    "html-as-json": lambda reply, _: as_json(reply, HTML),
    "wrapped": _wrapped,
    "cut-body": _cut,
    "two-documents": lambda reply, _: as_json(reply, reply.body + b"\n" + reply.body),
    "not-utf8": lambda reply, _: as_json(reply, reply.body + b"\xff\xfe"),
    "utf16": lambda reply, _: as_json(reply, reply.body.decode().encode("utf-16")),
    "nan": _extra_number("NaN"),
    "infinite": _extra_number("1e999"),
    "long-number": _extra_number("7" * 5000),
    "deep": lambda reply, _: as_json(reply, b"[" * 100_000),
    "compressed": _compressed,
}
"""For every system."""

EMPTY_OBJECT: Spoil = lambda reply, _: as_json(reply, b"{}")  # noqa: E731
