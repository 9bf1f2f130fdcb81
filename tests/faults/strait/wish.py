"""What an invocation asks of `tm jobs`, and what its conditions mean by rules of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FAILURES = ("failed", "timed_out", "crashed", "system_failed", "dead_letter")
STOPPED = ("canceled", "expired")
LONGEST = 12.0
"""Seconds that a run may take where there is a limit."""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


CONDITIONS: Mapping[str, Callable[[Any], bool | None]] = {
    "ok==true": lambda result: _member(result, "ok", lambda value: value is True),
    "score>=0.9": lambda result: _member(
        result, "score", lambda value: value >= 0.9 if _number(value) else None
    ),
    "missing==1": lambda result: _member(result, "missing", lambda value: value == 1),
}
"""Conditions on a result, and whether it fulfils them; None when that cannot be told."""


def _member(result: Any, name: str, judge: Callable[[Any], bool | None]) -> bool | None:
    return judge(result[name]) if isinstance(result, dict) and name in result else None


@dataclass(frozen=True, slots=True)
class Wish:
    """With `waits`, tm waits for a run that is there; else it starts one, under the user's key or
    one of its own."""

    waits: bool = False
    user_key: bool = False
    reuses: bool = False
    listens: bool = True
    canceled_as: str = "WARN"
    conditions: tuple[str, ...] = ()
    limits_duration: bool = False


def verdict_of(run: Mapping[str, Any], wish: Wish, fail_on: tuple[str, ...]) -> str | None:
    """The verdict that a run deserves; None when there is none (yet)."""
    status = run.get("status")
    verdict = _of_status(status, wish) if isinstance(status, str) else None
    if verdict is None:
        return None
    checks = [
        CONDITIONS[text](run["result"]) if "result" in run else None for text in wish.conditions
    ]
    if wish.limits_duration:
        checks.append(_in_time(run))
    if False in checks:
        return "FAIL"
    return None if None in checks and verdict not in fail_on else verdict


def _of_status(status: str, wish: Wish) -> str | None:
    if status == "completed":
        return "PASS"
    if status in FAILURES:
        return "FAIL"
    return wish.canceled_as if status in STOPPED else None


def _in_time(run: Mapping[str, Any]) -> bool | None:
    try:
        began = datetime.fromisoformat(run["created_at"])
        took = (datetime.fromisoformat(run["finished_at"]) - began).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None
    return took <= LONGEST if took >= 0 else None
