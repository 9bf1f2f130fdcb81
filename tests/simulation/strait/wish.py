"""What an invocation asks of `tm jobs`, and what its conditions mean by rules of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    return verdict_of_all([run], wish, fail_on)


def verdict_of_all(
    runs: Sequence[Mapping[str, Any]], wish: Wish, fail_on: tuple[str, ...]
) -> str | None:
    """The verdict on a run and those that continue it: the worst end, the last one's result."""
    statuses = [run.get("status") for run in runs]
    ends = [of_status(status, wish) if isinstance(status, str) else None for status in statuses]
    if ends[0] == "FAIL":
        runs, ends = runs[:1], ends[:1]
    if None in ends:
        return None
    verdict = next((bad for bad in ("FAIL", "WARN") if bad in ends), "PASS")
    deciding = runs[-1] if verdict == "PASS" else runs[ends.index(verdict)]
    result = deciding.get("result")
    checks = [
        CONDITIONS[text](result) if "result" in deciding else None for text in wish.conditions
    ]
    if wish.limits_duration:
        checks.append(_in_time(runs))
    if False in checks:
        return "FAIL"
    return None if None in checks and verdict not in fail_on else verdict


def of_status(status: str, wish: Wish) -> str | None:
    """The verdict that a status alone means."""
    if status == "completed":
        return "PASS"
    if status in FAILURES:
        return "FAIL"
    return wish.canceled_as if status in STOPPED else None


def _in_time(runs: Sequence[Mapping[str, Any]]) -> bool | None:
    try:
        began = datetime.fromisoformat(runs[0]["created_at"])
        ended = max(datetime.fromisoformat(run["finished_at"]) for run in runs)
    except (KeyError, TypeError, ValueError):
        return None
    took = (ended - began).total_seconds()
    return took <= LONGEST if took >= 0 else None
