"""The thresholds that a benchmark run must meet, and how users write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

MOST_NAMED = 5
TOLERANCE = 1e-6
"""Scores travel as 32-bit floats: 0.7 may arrive as 0.699999988."""

_SHARE = re.compile(r"(?P<number>[0-9]{1,3}(?:\.[0-9]{1,9})?)(?P<percent>\s*%)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one gate; scores, drops and coverage from 0 to 1.

    A drop is how many points less the score is than the baseline's. `expected` is how many
    scenarios a run must have where the benchmark itself does not say. `common_only` compares the
    scenarios that both runs have, where the benchmark was changed in between.
    """

    min_score: float | None = None
    warn_score: float | None = None
    max_drop: float | None = None
    warn_drop: float | None = None
    max_failed: int = 0
    coverage: float = 1.0
    expected: int | None = None
    common_only: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a rule that cannot be meant."""
        shares = (self.min_score, self.warn_score, self.max_drop, self.warn_drop, self.coverage)
        if any(share is not None and not 0 <= share <= 1 for share in shares):
            raise ValueError("scores, drops and the coverage are between 0 and 1 (0 % and 100 %)")
        if _both(self.min_score, self.warn_score) and self.warn_score < self.min_score:  # type: ignore[operator]
            raise ValueError("--warn-score is below --min-score, so it would never warn")
        if _both(self.max_drop, self.warn_drop) and self.warn_drop > self.max_drop:  # type: ignore[operator]
            raise ValueError("--warn-drop is above --max-drop, so it would never warn")

    @property
    def is_set(self) -> bool:
        """Whether there is a rule at all: a gate without any would accept every score."""
        thresholds = (self.min_score, self.warn_score, self.max_drop, self.warn_drop)
        return any(value is not None for value in thresholds)

    @property
    def needs_baseline(self) -> bool:
        """Whether a rule compares with an earlier run."""
        return self.max_drop is not None or self.warn_drop is not None

    def document(self) -> dict[str, Any]:
        """Return the rules for `--last`; `from_document` reads them again."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Rules:
        """Return the rules of a document; raises ValueError or TypeError when it has none."""
        known = {field.name for field in fields(cls)}
        if not set(document) <= known:
            raise ValueError("it has rules that this version of tm does not know")
        return cls(**document)


def parse_share(text: str) -> float:
    """Return `0.85` or `85%` as 0.85; raises ValueError for anything outside 0 to 1."""
    form = _SHARE.fullmatch(text.strip())
    number = float(form["number"]) / (100 if form["percent"] else 1) if form else math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"{text!r} is not between 0 and 1; write for instance 0.85 or 85%")
    return number


def read_score(value: Any) -> float | None:
    """Return a score that may be judged: a finite number from 0 to 1, and no boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -TOLERANCE <= value <= 1 + TOLERANCE:  # also not for NaN
        return None
    return min(max(float(value), 0.0), 1.0)


def _both(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None


def share(value: float) -> str:
    """A share from 0 to 1 in percent: `85 %`, `66.67 %`, and never `100 %` for less."""
    shown = f"{value * 100:.2f}".rstrip("0").rstrip(".")
    if shown == "100" and value < 1 - 1e-6:
        shown = "99.99"
    return f"{shown} %"


def points(value: float) -> str:
    """A difference of two shares: `3 points`, `0.25 points`."""
    shown = f"{value * 100:.2f}".rstrip("0").rstrip(".")
    return f"{shown} point" if shown == "1" else f"{shown} points"


def listed(names: Iterable[str]) -> str:
    """The first few names and how many more there are."""
    found = list(names)
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more
