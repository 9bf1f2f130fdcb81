"""Where a series changed its level: a second look at a whole history.

Whether two parts differ is decided by permutations: if the order of the values means nothing, any
other order could have shown a difference as large. That holds for every kind of noise whose values
come independently of each other, such as two types of machines. The price is that a change needs a
few values on each side before it can be told from chance.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PERMUTATIONS = 1999
_CONFIDENCE = 0.95
_SEED = 1  # the same history always has the same changes
_MOST_FOR_SEGMENTS = 60  # values; there are half their square of segments

Search = Callable[[Sequence[float]], tuple[float, tuple[int, ...]]]
"""Returns how much of the variance the best division of the values explains, and its indexes."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A new level begins at `index`, or, with 95 %, somewhere from `earliest` to `latest`.

    It lies `shift` above the one before.

    `low` to `high` is a 95 % interval of the shift, None where the values are too few for one.
    `p_value`: how often values without a change would look like this.
    """

    index: int
    earliest: int
    latest: int
    shift: float
    low: float | None
    high: float | None
    p_value: float


def find_changes(values: Sequence[float], chance: float) -> list[ChangePoint]:
    """Return where the values change their level, oldest first.

    `chance`: how often a series without any change may seem to have one.
    """
    found = sorted(_divide(values, chance))
    edges = [0, *(index for index, _ in found), len(values)]
    changes = []
    for (index, p_value), start, end in zip(found, edges, edges[2:], strict=False):
        where = [start + cut for cut in _likely_cuts(values[start:end])]
        earliest, latest = min(*where, index), max(*where, index)
        size = _shift(values[start:index], values[index:end])
        changes.append(ChangePoint(index, earliest, latest, *size, p_value))
    return changes


def _likely_cuts(values: Sequence[float]) -> list[int]:
    """Return the fewest cuts among which the only change lies with 95 %.

    The posterior of the cut with normal noise of unknown variance and nothing known before.
    """
    count = len(values)
    rest = {cut: _squares(values[:cut]) + _squares(values[cut:]) for cut in range(1, count)}
    least = max(min(rest.values()), 1e-300)
    weights = {cut: (max(left, least) / least) ** (-(count - 2) / 2) for cut, left in rest.items()}
    total, found = math.fsum(weights.values()), list[int]()
    for cut in sorted(weights, key=lambda cut: -weights[cut]):
        if math.fsum(weights[other] for other in found) < _CONFIDENCE * total:
            found.append(cut)
    return found


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _divide(values: Sequence[float], chance: float) -> list[tuple[int, float]]:
    """Return the index of each cut with its p-value; each part is looked at in the same way."""
    searches: list[Search] = [_best_cut]
    if len(values) <= _MOST_FOR_SEGMENTS:
        searches.append(_best_segment)
    for search in searches:
        allowed = chance / len(searches)
        explained, cuts = search(values)
        p_value = _p_value(values, explained, search, allowed) if cuts else 1.0
        if p_value <= allowed:
            found = [(cut, p_value * len(searches)) for cut in cuts]
            for start, end in itertools.pairwise([0, *cuts, len(values)]):
                found += [(start + cut, p) for cut, p in _divide(values[start:end], chance)]
            return found
    return []


def _p_value(values: Sequence[float], explained: float, search: Search, allowed: float) -> float:
    """Return how often another order explains as much; 1 as soon as it is more than is allowed."""
    chance = random.Random(_SEED)  # noqa: S311 - nothing secret
    shuffled, as_much = list(values), 0
    for _ in range(PERMUTATIONS):
        chance.shuffle(shuffled)
        as_much += search(shuffled)[0] >= explained * (1 - 1e-9)
        if as_much + 1 > allowed * (PERMUTATIONS + 1):
            return 1.0
    return (as_much + 1) / (PERMUTATIONS + 1)


def _best_cut(values: Sequence[float]) -> tuple[float, tuple[int, ...]]:
    total, count = math.fsum(values), len(values)
    best, where, left = 0.0, 0, 0.0
    for cut in range(1, count):
        left += values[cut - 1]
        apart = left / cut - (total - left) / (count - cut)
        explained = apart * apart * cut * (count - cut)
        if explained > best:
            best, where = explained, cut
    return best, (where,) if where else ()


def _best_segment(values: Sequence[float]) -> tuple[float, tuple[int, ...]]:
    """Find a level that ended again: circular binary segmentation (Olshen and others, 2004).

    A single value between others is an outlier and no level.
    """
    sums = list(itertools.accumulate(values, initial=0.0))
    total, count = sums[-1], len(values)
    best, where = 0.0, ()  # type: tuple[float, tuple[int, ...]]
    for inside in range(2, count - 1):
        weight, factor = total * inside / count, 1 / (inside * (count - inside))
        for start in range(1, count - inside):
            apart = sums[start + inside] - sums[start] - weight
            explained = apart * apart * factor
            if explained > best:
                best, where = explained, (start, start + inside)
    return best, where


def _shift(
    before: Sequence[float], after: Sequence[float]
) -> tuple[float, float | None, float | None]:
    """Return how far the second level lies above the first (Hodges and Lehmann, 1963), and where
    the shift lies with 95 %: the differences that the test of Mann and Whitney does not reject.
    """
    apart = sorted(new - old for new in after for old in before)
    m, n = len(before), len(after)
    if math.comb(m + n, m) < 40:  # even the most extreme order is not rare enough
        return statistics.median(apart), None, None
    edge = max(math.floor(m * n / 2 - 1.96 * math.sqrt(m * n * (m + n + 1) / 12)), 0)
    return statistics.median(apart), apart[edge], apart[-1 - edge]
