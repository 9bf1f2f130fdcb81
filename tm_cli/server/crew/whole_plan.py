"""What the whole curve plans, whoever sends it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from tm_cli.curve import Curve
from tm_cli.server.series import WIDTH


class WholePlan:
    """Counts of a job's curve, for comparison with what several workers did together."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._curve = Curve(
            [(float(x), float(y)) for x, y in job["points"]],
            float(job["duration"]),
            job["interpolation"],
            loop=bool(job["loop"]),
            max_rate=job["max_rps"],
        )
        self._sides = _sides(job)
        self.end = math.inf if job["loop"] else float(job["duration"])
        """The curve second after which nothing is planned."""
        self.in_bucket = cache(self._in_bucket)
        """How many requests a bucket has, by its index and side."""

    def before(self, second: float) -> int:
        """How many requests are due before this second, on both sides together."""
        return self._curve.planned_before(second)

    def _in_bucket(self, index: int, side: int) -> int:
        first, beyond = (self.before(edge * WIDTH) for edge in (index, index + 1))
        if self._sides is None:
            return 0 if side else beyond - first
        return self._sides.count(range(first, beyond), side)


class Sides(Protocol):
    """Which of the two targets of a duet each request goes to."""

    def count(self, numbers: range, side: int) -> int:
        """How many of these requests are on this side."""
        ...


def _sides(job: Mapping[str, Any]) -> Sides | None:
    """The sides of a duet, drawn as the engines draw them; None without a duet."""
    if not job.get("against"):
        return None
    # The one part of the engine that both ends need; it is pure.
    from tm_cli.server.engine import sides

    return sides.Sides(int(job["against"]["seed"]))
