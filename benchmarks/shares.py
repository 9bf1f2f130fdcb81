"""What so many hits in so many trials say about a promised rate."""

from __future__ import annotations

import math

RARELY = 0.01


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share, in percent (Wilson, 1927)."""
    z, share = 1.96, hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    spread /= 1 + z * z / trials
    return 100 * max(0.0, middle - spread), 100 * min(1.0, middle + spread)


def may_be_at_most(percent: float, hits: int, trials: int) -> bool:
    """Whether a true rate of `percent` brings so many hits or more in at least 1 % of cases."""
    rate = percent / 100
    if rate in (0, 1):
        return rate == 1 or hits == 0
    more = sum(_binomial(count, trials, rate) for count in range(hits, trials + 1))
    return more >= RARELY


def may_be_at_least(percent: float, hits: int, trials: int) -> bool:
    """Whether a true rate of `percent` brings so few hits or fewer in at least 1 % of cases."""
    return may_be_at_most(100 - percent, trials - hits, trials)


def _binomial(count: int, trials: int, rate: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    return math.exp(ways + count * math.log(rate) + (trials - count) * math.log1p(-rate))
