"""Spoilt answers: what arrives, complete, in place of what the server meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from faults.api import Reply
from faults.world import OTHER_PROFILE

HTML = b"<html><head><title>Log in</title></head><body>Please log in to go on</body></html>"
ODD_VERDICTS = (
    "ERROR", "pass", " PASS", "PASS ", "PASS\u200b", "ＰＡＳＳ", "PAſſ", "PASSED", "UNKNOWN",
    "OK", "null", "\u0000PASS", "PASS\n",
)  # fmt: skip
MISTYPED_VERDICTS: tuple[Any, ...] = (["PASS"], {"verdict": "PASS"}, True, 1, 0, 2.5, [], {}, False)
MISTYPED_RUN_IDS: tuple[Any, ...] = (7, 7.0, True, ["x"], {"id": "x"})
ODD_STATES = ("DONE", "running", "FINISHED", "", "PENDING", "Running ")


def _json(reply: Reply, body: bytes, kind: str = "application/json") -> Reply:
    return Reply(reply.status, body, {"content-type": kind})


def _edited(edit: Callable[[dict[str, Any], int], None]) -> Callable[[Reply, int], Reply]:
    """Spoil every object that stands for a run: the document itself, or each row of a page."""

    def spoil(reply: Reply, arg: int) -> Reply:
        document = json.loads(reply.body)
        for row in document.get("content", [document]):
            edit(row, arg)
        return _json(reply, json.dumps(document).encode())

    return spoil


def _set(field: str, values: tuple[Any, ...]) -> Callable[[dict[str, Any], int], None]:
    def edit(row: dict[str, Any], arg: int) -> None:
        if field in row and row[field] is not None:
            row[field] = values[arg % len(values)]

    return edit


def _twice(reply: Reply, arg: int) -> Reply:
    """Every verdict, run id and status is there twice; the second one sounds good."""
    text = reply.body.decode()
    for field, good in (("autoVerdict", "PASS"), ("status", "COMPLETED"), ("runId", "ours-2")):
        text = text.replace(f'"{field}":', f'"{field}": "{good}", "{field}":', 1 + arg % 2)
    return _json(reply, text.encode())


def _twice_well(reply: Reply, _arg: int) -> Reply:
    """A repeated key whose last value is the good one."""
    text = reply.body.decode().replace('"FAIL"', '"FAIL", "autoVerdict": "PASS"')
    return _json(reply, text.replace("{", '{"id": 1, ', 1).encode())


def _wrapped(reply: Reply, arg: int) -> Reply:
    return _json(reply, (b"null", b"[]", b'"PASS"', b"true", b"7", b"")[arg % 6])


def _cut(reply: Reply, arg: int) -> Reply:
    """A body that ends early although its length was announced right (a buffer that overflowed)."""
    return _json(reply, reply.body[: arg % max(len(reply.body) - 1, 1)])


def _extra_number(text: str) -> Callable[[Reply, int], Reply]:
    def spoil(reply: Reply, _arg: int) -> Reply:
        return _json(reply, reply.body.replace(b"{", f'{{"x": {text}, '.encode(), 1))

    return spoil


def _surrogate(row: dict[str, Any], _arg: int) -> None:
    """Half a character, which JSON can spell and UTF-8 cannot; it must not cost the verdict."""
    row.update(profileName="check\ud800out", unknownField="\udfff", tags=["\ud83d"])


def _compressed(reply: Reply, _arg: int) -> Reply:
    return Reply(
        reply.status, reply.body, {"content-type": "application/json", "content-encoding": "gzip"}
    )


SPOILT: dict[str, Callable[[Reply, int], Reply]] = {
    "html": lambda reply, _: Reply(200, HTML, {"content-type": "text/html; charset=utf-8"}),
    "plain-text": lambda reply, _: _json(reply, reply.body, "text/plain"),
    "no-type": lambda reply, _: Reply(reply.status, reply.body, {}),
    "html-as-json": lambda reply, _: _json(reply, HTML),
    "wrapped": _wrapped,
    "cut-body": _cut,
    "two-documents": lambda reply, _: _json(reply, reply.body + b"\n" + reply.body),
    "not-utf8": lambda reply, _: _json(reply, reply.body + b"\xff\xfe"),
    "utf16": lambda reply, _: _json(reply, reply.body.decode().encode("utf-16")),
    "nan": _extra_number("NaN"),
    "infinite": _extra_number("1e999"),
    "long-number": _extra_number("7" * 5000),
    "deep": lambda reply, _: _json(reply, b"[" * 100_000),
    "repeated-key": _twice,
    "repeated-verdict": _twice_well,
    "compressed": _compressed,
    "lone-surrogate": _edited(_surrogate),
    "no-verdict": _edited(lambda row, _: row.pop("autoVerdict", None)),
    "null-verdict": _edited(lambda row, _: row.update(autoVerdict=None)),
    "mistyped-verdict": _edited(_set("autoVerdict", MISTYPED_VERDICTS)),
    "odd-verdict": _edited(_set("autoVerdict", ODD_VERDICTS)),
    "mistyped-run-id": _edited(_set("runId", MISTYPED_RUN_IDS)),
    "other-run-id": _edited(_set("runId", ("never-heard-of",))),
    "padded-run-id": _edited(lambda row, _: row.update(runId=f"{row.get('runId')} ")),
    "no-run-id": _edited(lambda row, _: row.pop("runId", None)),
    "blank-run-id": _edited(_set("runId", (" ", "", "\t"))),
    "old-run-id": _edited(_set("runId", ("earlier-1", "earlier-0"))),
    "other-profile": _edited(_set("profileId", (OTHER_PROFILE,))),
    "odd-state": _edited(_set("status", ODD_STATES)),
    "no-state": _edited(lambda row, _: row.pop("status", None)),
    "empty-object": lambda reply, _: _json(reply, b"{}"),
    "renamed-content": lambda reply, _: _json(reply, reply.body.replace(b'"content"', b'"items"')),
    "mistyped-ids": _edited(_set("id", ("7", 7.0, True, None, 2**70))),
}

DECISIVE = frozenset(
    {
        "odd-verdict", "mistyped-verdict", "mistyped-run-id", "other-run-id", "padded-run-id",
        "no-run-id", "blank-run-id", "old-run-id", "other-profile", "odd-state", "no-state",
        "empty-object", "mistyped-ids", "repeated-verdict", "renamed-content", "null-verdict",
        "no-verdict", "wrapped",
    }
)  # fmt: skip
"""Well-formed answers that say something wrong: tm may believe them, as long as it never passes."""
