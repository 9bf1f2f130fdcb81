"""Scores and names for messages."""

from __future__ import annotations

from collections.abc import Iterable

MOST_NAMED = 5


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
