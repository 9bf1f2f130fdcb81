"""What an invocation asks of `tm benchmarks`, and what its rules mean in words of our own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TINY = 1e-6
WORKED = frozenset({"completed", "scored"})
DID_NOT_WORK = frozenset({"canceled", "failed", "timeout"})

Document = Mapping[str, Any]
Shown = tuple[Document, Sequence[Document]]
"""A run and its scenario runs."""


@dataclass(frozen=True, slots=True)
class Wish:
    """With `waits`, tm waits for a run that is there. Else it starts one, and with `driver` a
    command that exits with this code when the run's duration is over; None is no command.

    `baseline` is what to compare with: nothing, `last`, or a run.
    """

    waits: bool = False
    driver: int | None = None
    min_score: float | None = 0.8
    warn_score: float | None = None
    max_drop: float | None = None
    warn_drop: float | None = None
    max_failed: int = 0
    coverage: float = 1.0
    common_only: bool = False
    baseline: str | None = None
    name: str | None = None

    @property
    def compares(self) -> bool:
        return self.max_drop is not None or self.warn_drop is not None


def verdict_of(
    shown: Shown, wish: Wish, defined: Sequence[str], baseline: Shown | None
) -> str | None:
    """The verdict that a run deserves; None when there is none (yet)."""
    run, items = shown
    state = word(run.get("state"))
    if state in DID_NOT_WORK:
        return "FAIL"
    if state != "completed":
        return None
    names = {item["scenario_id"] for item in items}
    covered = len(names & set(defined)) >= wish.coverage * len(defined) - TINY
    working = [item for item in items if word(item.get("state")) not in WORKED | DID_NOT_WORK]
    if not items or not covered or working or names - set(defined):
        return "FAIL"
    score = number(run.get("score"))
    if score is None:
        return None
    if sum(map(has_failed, items)) > wish.max_failed or below(score, wish.min_score):
        return "FAIL"
    return _compared(shown, score, wish, defined, baseline)


def _compared(
    shown: Shown, score: float, wish: Wish, defined: Sequence[str], baseline: Shown | None
) -> str:
    drop = _drop(shown, score, wish, defined, baseline) if wish.compares else None
    if wish.compares and drop is None:
        return "NO_BASELINE"
    if drop is not None and wish.max_drop is not None and drop > wish.max_drop + TINY:
        return "FAIL"
    warned = drop is not None and wish.warn_drop is not None and drop > wish.warn_drop + TINY
    differs = wish.common_only and baseline is not None and _names(shown) != _names(baseline)
    return "WARN" if warned or below(score, wish.warn_score) or differs else "PASS"


def _drop(
    shown: Shown, score: float, wish: Wish, defined: Sequence[str], baseline: Shown | None
) -> float | None:
    """How much less the score is than the baseline's; None where the two cannot be compared."""
    if baseline is None or baseline[0].get("benchmark_id") != shown[0].get("benchmark_id"):
        return None
    before = number(baseline[0].get("score"))
    if before is None or any(
        word(item.get("state")) not in WORKED | DID_NOT_WORK for item in baseline[1]
    ):
        return None
    if wish.common_only and _names(shown) != _names(baseline):
        common = _names(shown) & _names(baseline)
        return _mean(baseline, common) - _mean(shown, common) if common else None
    is_whole = len(_names(baseline) & set(defined)) >= wish.coverage * len(defined) - TINY
    if not wish.common_only and (_names(shown) != _names(baseline) or not is_whole):
        return None
    return before - score


def _names(shown: Shown) -> set[str]:
    return {item["scenario_id"] for item in shown[1]}


def _mean(shown: Shown, names: set[str]) -> float:
    """Over scenarios, of which the worst attempt counts."""
    worst = {
        name: min(_score(item) or 0.0 for item in shown[1] if item["scenario_id"] == name)
        for name in names
    }
    return sum(worst.values()) / len(worst)


def has_failed(item: Document) -> bool:
    """Whether a scenario run brought no measurement."""
    if word(item.get("state")) in DID_NOT_WORK or _score(item) is None:
        return True
    results = item["scoring_contract_result"].get("scoring_function_results")
    return any(word(result.get("state")) == "error" for result in results or [])


def _score(item: Document) -> float | None:
    result = item.get("scoring_contract_result")
    return number(result.get("score")) if isinstance(result, dict) else None


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(max(float(value), 0.0), 1.0) if -TINY <= value <= 1 + TINY else None


def below(score: float, least: float | None) -> bool:
    return least is not None and score < least - TINY


def word(value: Any) -> str:
    """A state in one spelling; the API has two of canceled."""
    found = value.strip().lower() if isinstance(value, str) else ""
    return "canceled" if found == "cancelled" else found
