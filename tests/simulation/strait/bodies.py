"""Spoilt answers and odd errors of Strait."""

from __future__ import annotations

import json
from typing import Any

from tests.simulation.bodies import (
    EMPTY_OBJECT,
    Edit,
    Spoil,
    as_json,
    edited,
    renamed,
    setting,
    without,
)
from tests.simulation.bodies import SPOILT as SHARED
from tests.simulation.messages import Reply
from tests.simulation.strait.world import EARLIER_ID

ODD_STATUSES = (
    "done", "COMPLETED", "completed ", "succeeded", "complete", "finished", "", "Completed",
    "ｃompleted", "completed\u200b", "PASS",
)  # fmt: skip
MISTYPED: tuple[Any, ...] = (["completed"], {"status": "completed"}, True, 1, None, 2.5)
OTHER_ID = "0192f0a4-7c1d-7e55-b1a6-ffffffffffff"


def _runs(edit: Edit) -> Spoil:
    """Spoil every run: the document itself, or each item of a list."""
    return edited(edit, lists=("data",))


def _twice(reply: Reply, _arg: int) -> Reply:
    """Every status is there twice; the second one sounds good."""
    text = reply.body.decode().replace('"status":', '"status": "completed", "status":')
    for bad in ("failed", "timed_out", "dead_letter", "executing", "queued"):
        text = text.replace(f'"status": "{bad}"', f'"status": "{bad}", "status": "completed"')
    return as_json(reply, text.encode())


def _replayed(reply: Reply, _arg: int) -> Reply:
    """The mark of a repeated answer on one that is not."""
    return Reply(reply.status, reply.body, {**reply.headers, "idempotency-replayed": "true"})


def _surrogate(row: dict[str, Any], _arg: int) -> None:
    row.update(created_by="\ud800", tags={"\ud83d": "\udfff"})


def _endless(reply: Reply, _arg: int) -> Reply:
    """A list that goes on for ever: its cursor leads back to itself."""
    document = json.loads(reply.body)
    if "data" in document:
        document |= {"has_more": True, "next_cursor": "2026-03-01T12:00:00Z"}
    return as_json(reply, json.dumps(document).encode())


SPOILT: dict[str, Spoil] = {
    **SHARED,
    "repeated-status": _twice,
    "lone-surrogate": _runs(_surrogate),
    "no-status": _runs(without("status")),
    "odd-status": _runs(setting("status", ODD_STATUSES)),
    "mistyped-status": _runs(setting("status", MISTYPED)),
    "no-id": _runs(without("id")),
    "blank-id": _runs(setting("id", ("", " "))),
    "mistyped-id": _runs(setting("id", (7, True, None, ["x"]))),
    "other-id": _runs(setting("id", (OTHER_ID,))),
    "old-id": _runs(setting("id", (EARLIER_ID,))),
    "other-job": _runs(setting("job_id", ("another-job",))),
    "other-key": _runs(setting("idempotency_key", ("of-somebody-else",))),
    "no-times": _runs(without("created_at", "finished_at")),
    "hit": _runs(setting("idempotency_hit", (True,), adds=True)),
    "replayed": _replayed,
    "endless-list": _endless,
    "empty-object": EMPTY_OBJECT,
    "renamed-data": renamed("data", "items"),
}

DECISIVE = frozenset(
    {
        "repeated-status", "no-status", "odd-status", "mistyped-status", "no-id", "blank-id",
        "mistyped-id", "other-id", "old-id", "other-job", "other-key", "no-times", "hit",
        "replayed", "empty-object", "renamed-data", "wrapped",
    }
)  # fmt: skip
"""Well-formed answers that say something wrong: tm may believe them, as long as it never passes."""


def _error(status: int, message: str, code: str, **headers: str) -> Reply:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Reply(status, body, {"content-type": "application/json", **headers})


def _text(status: int, text: str, **headers: str) -> Reply:
    return Reply(status, text.encode(), {"content-type": "text/plain", **headers})


PAUSE = {"retry-after": "60"}
SHORT_PAUSE = {"retry-after": "1"}
ERRORS = {
    "429-text": _text(429, "Too Many Requests\n", **PAUSE),
    "429-admission": _error(
        429, "database admission control throttled", "rate_limited", **SHORT_PAUSE
    ),
    "429-budget": _error(429, "daily cost budget exceeded", "rate_limited"),
    "409-busy": _error(409, "a request with this key is currently being processed", "conflict"),
    "402": Reply(
        402,
        b'{"code": "quota_exceeded", "kind": "runs", "message": "quota", "limit": 1}',
        {"content-type": "application/json"},
    ),
    "404-text": _text(404, "404 page not found\n"),
    "410": _error(410, "run is in terminal state", "internal_error"),
    "503-degraded": Reply(
        503,
        b'{"code": "service_degraded", "message": "billing"}',
        {"content-type": "application/json"},
    ),
    "504-empty": Reply(504, b"", {}),
}
"""Error answers that do not look like the others."""

REFUSED = frozenset({"429-text", "429-html", "429-budget", "402", "410"})
"""Those after which no run was made: a limiter answers in plain text, before the API."""

RIDDEN_OUT = frozenset(
    {"429-text", "429-admission", "429-budget", "503-degraded", "504-empty", "404-text"}
)
