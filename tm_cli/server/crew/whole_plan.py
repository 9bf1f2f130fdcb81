"""What the whole curve plans, whichever worker sends it."""

from __future__ import annotations

import math
from functools import cache

from tm_cli.server.engine.plan import BUCKET_SECONDS, RequestPlan


class WholePlan:
    """Counts of a job's plan, for comparison with what several workers did together."""

    def __init__(self, plan: RequestPlan) -> None:
        self._plan = plan
        self.end = math.inf if plan.curve.loop else plan.curve.duration
        """The curve second after which nothing is planned."""
        self.in_bucket = cache(self._in_bucket)
        """How many requests a bucket has, by its index and side."""

    def before(self, second: float) -> int:
        return self._plan.planned_before(second)

    def _in_bucket(self, index: int, side: int) -> int:
        if side not in self._plan.sides:
            return 0
        first, beyond = (self.before(edge * BUCKET_SECONDS) for edge in (index, index + 1))
        return self._plan.count(first, beyond, side)
