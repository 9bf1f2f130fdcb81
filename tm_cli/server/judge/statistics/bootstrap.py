"""How far a change may be chance: response times of two runs, drawn again and again.

The stretches of the curve are drawn with replacement, the same ones for both runs: what belongs to
a stretch, such as a peak of the curve or, in an A/B run, a hiccup of the machine, hits both sides
alike and cancels.
"""

import itertools
import math
import random
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter, mul

from tm_cli.server.judge.facts import Times

DRAWS = 300
_SEED = 1  # the same runs always get the same verdict


@dataclass(frozen=True, slots=True)
class Chance:
    """Variance of the logarithm of a ratio of quantiles, known with `freedom` degrees."""

    variance: float
    freedom: float


class ResponseTimes:
    """The response times of one run in blocks."""

    def __init__(self, blocks: Sequence[Times]) -> None:
        self._values = sorted({value for block in blocks for value, _ in block})
        cumulated = [self._cumulated(dict(block)) for block in blocks]
        # for each value, how many requests of each block took no longer
        self._up_to = list(zip(*cumulated, strict=True))
        self._every = (1,) * len(blocks)
        self._ranges: dict[float, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._every)

    @property
    def requests(self) -> int:
        return sum(self._totals)

    @property
    def _totals(self) -> Sequence[int]:
        return self._up_to[-1] if self._up_to else ()

    def quantile(self, share: float, weights: Sequence[int] | None = None) -> float:
        """The time in microseconds below which a share of the requests lies, 0 of nothing.

        `weights` says how often each block counts; by default every block counts once.
        """
        weights = weights or self._every
        total = sum(map(mul, weights, self._totals))
        if not total:
            return 0.0
        low, high = self._range(share)
        return self._value(weights, share * total, low, high)

    def standard_error(self, share: float) -> float:
        """Of the quantile's logarithm, if every request came by itself: from the ranks around."""
        total = self.requests
        rank, step = share * total, math.sqrt(total * share * (1 - share))
        low = self._value(self._every, max(rank - step, 1.0))
        high = self._value(self._every, min(rank + step, float(total)))
        return math.log(high / low) / 2

    def above(self, micros: float) -> list[tuple[int, int]]:
        """Of each block: the requests that took longer, and all of them."""
        position = bisect_right(self._values, micros) - 1
        quicker = self._up_to[position] if position >= 0 else (0,) * len(self)
        return [(all_ - some, all_) for some, all_ in zip(quicker, self._totals, strict=True)]

    def _cumulated(self, block: Mapping[int, int]) -> list[int]:
        return list(itertools.accumulate(block.get(value, 0) for value in self._values))

    def _range(self, share: float) -> tuple[int, int]:
        """Positions between which the quantile is, however often each block counts."""
        if share not in self._ranges:
            counted = [index for index, total in enumerate(self._totals) if total]
            alone = [self._position(share * self._totals[b], itemgetter(b)) for b in counted]
            self._ranges[share] = min(alone), max(alone)
        return self._ranges[share]

    def _value(
        self, weights: Sequence[int], rank: float, low: int = 0, high: int | None = None
    ) -> int:
        return self._values[
            self._position(rank, lambda counts: sum(map(mul, weights, counts)), low, high)
        ]

    def _position(
        self,
        rank: float,
        counted: Callable[[Sequence[int]], int],
        low: int = 0,
        high: int | None = None,
    ) -> int:
        last = len(self._values) - 1
        return bisect_left(self._up_to, rank, low, last if high is None else high, key=counted)


def chances(
    now: ResponseTimes, before: ResponseTimes, shares: Mapping[str, float]
) -> dict[str, Chance]:
    """Say of each quantile how much of its change from `before` to `now` may be chance.

    `shares`: quantiles by name, 0 to 1. Few blocks say little about themselves, so what the number
    of requests alone would make likely counts as so many further blocks.
    """
    count = min(len(now), len(before))
    if count == 0 or not now.requests or not before.requests:
        return {}
    draws = _draws(count)
    return {name: _chance(now, before, share, draws, count) for name, share in shares.items()}


_ASSUMED_BLOCKS = 4
CLUSTERING = 2.0  # requests that are slow together carry less information than as many alone


def _chance(
    now: ResponseTimes,
    before: ResponseTimes,
    share: float,
    draws: Sequence[Sequence[int]],
    count: int,
) -> Chance:
    assumed = CLUSTERING * (now.standard_error(share) ** 2 + before.standard_error(share) ** 2)
    logs = []
    for weights in draws:
        value, other = now.quantile(share, weights), before.quantile(share, weights)
        if value and other:
            logs.append(math.log(value / other))
    seen, freedom = 0.0, 0
    if count > 1 and len(logs) > 1:
        seen, freedom = statistics.variance(logs) * count / (count - 1), count - 1
    together = freedom + _ASSUMED_BLOCKS
    return Chance((freedom * seen + _ASSUMED_BLOCKS * assumed) / together, together)


def slow_change(now: ResponseTimes, before: ResponseTimes, share: float) -> float:
    """How many times the variance grows by changes that last longer than a block.

    (1 + r) / (1 - r) with the autocorrelation r of neighbouring blocks, as of an autoregression of
    the first order; what is slow in both runs does not count. 0 if the blocks differ by no more
    than independent requests do.
    """
    sides = [run.above(run.quantile(share)) for run in (now, before)]
    blocks = [(a, b) for a, b in zip(*sides, strict=False) if a[1] and b[1]]
    if len(blocks) < _FEWEST_BLOCKS:
        return 0.0
    apart = [a / n - b / m for (a, n), (b, m) in blocks]
    middle = statistics.fmean(apart)
    off = [value - middle for value in apart]
    squares = math.fsum(value**2 for value in off)
    alone = share * (1 - share) * math.fsum(1 / n + 1 / m for (_, n), (_, m) in blocks)
    if squares / (len(off) - 1) < CLUSTERING * alone / len(off):
        return 0.0
    found = _unbiased(math.fsum(a * b for a, b in itertools.pairwise(off)) / squares, len(off))
    found = min(max(found, 0.0), _MOST_CORRELATED)
    return (1 + found) / (1 - found)


def _unbiased(correlation: float, blocks: int) -> float:
    """An autocorrelation of few blocks is too low, the more the higher it is (Kendall, 1954)."""
    if blocks < _ENOUGH_BLOCKS:
        return correlation + 1 / blocks  # of independent blocks the mean is -1 / blocks
    return (blocks * correlation + 1) / (blocks - 4)


_FEWEST_BLOCKS, _ENOUGH_BLOCKS = 4, 8
_MOST_CORRELATED = 0.8


def least_change(now: ResponseTimes, before: ResponseTimes, share: float) -> tuple[float, int, int]:
    """The ratio of the quantiles without that half of the run, in a row, that explains most of it.

    Also the first block of this half and the one after it.
    """
    count = min(len(now), len(before))
    size = count // 2
    found = []
    for start in range(count - size + 1):
        weights = [0 if start <= index < start + size else 1 for index in range(count)]
        value, other = now.quantile(share, weights), before.quantile(share, weights)
        if value and other:
            found.append((value / other, start, start + size))
    return min(found, default=(math.inf, 0, 0))


@dataclass(frozen=True, slots=True)
class SlowShare:
    """The share of slow requests in both runs, and the logarithm of its growth with its noise.

    `between`: standard deviation of that by what runs differ.
    """

    now: float
    before: float
    growth: float
    chance: Chance
    between: float

    def text(self, limit: str, than: str) -> str:
        now, before = 100 * self.now, 100 * self.before
        return f"{now:.1f} % of the requests took longer than {limit}, {than} {before:.1f} %"


def slow_shares(
    now: ResponseTimes, before: ResponseTimes, share: float, between: Chance | None
) -> SlowShare | None:
    """Compare how many requests take longer than the quantile of `before`; None of too few.

    A quantile between two modes, such as hits and misses of a cache, jumps from one to the other
    when their shares have hardly changed; the shares do not jump. `between`: variance of a
    quantile's logarithm from run to run, of a quantile that does not jump.
    """
    limit = before.quantile(share)
    sides = [run.above(limit) for run in (now, before)]
    slow = [sum(some for some, _ in side) for side in sides]
    requests = [sum(all_ for _, all_ in side) for side in sides]
    if not all(slow) or min(map(len, sides)) < 2:
        return None
    rates = [some / all_ for some, all_ in zip(slow, requests, strict=True)]
    # what each block adds to the logarithm of the ratio
    parts = [
        (a - rates[0] * n) / slow[0] - (b - rates[1] * m) / slow[1]
        for (a, n), (b, m) in zip(*sides, strict=False)
    ]
    freedom = len(parts) - 1
    seen = math.fsum(part**2 for part in parts) * len(parts) / freedom
    assumed = CLUSTERING * sum((1 - rate) / some for rate, some in zip(rates, slow, strict=True))
    together = freedom + _ASSUMED_BLOCKS
    within = Chance((freedom * seen + _ASSUMED_BLOCKS * assumed) / together, together)
    apart = math.exp(math.sqrt(2 * between.variance)) if between else 1.0
    more, fewer = (
        max(sum(some for some, _ in before.above(edge)), 1)
        for edge in (limit / apart, limit * apart)
    )
    return SlowShare(
        rates[0], rates[1], math.log(rates[0] / rates[1]), within, math.log(more / fewer) / 2
    )


def _draws(count: int) -> list[Sequence[int]]:
    """How often each block is drawn."""
    random_ = random.Random(_SEED)  # noqa: S311 - nothing secret
    drawn: list[Sequence[int]] = []
    for _ in range(DRAWS):
        weights = [0] * count
        for index in random_.choices(range(count), k=count):
            weights[index] += 1
        drawn.append(weights)
    return drawn


# Runs of the same code on hosted runners spread by 2.66 % (standard deviation of one run, CodSpeed,
# "Benchmarks in CI: Escaping the Cloud Chaos", 2025); two runs differ by sqrt(2) times as much.
# That holds until the history of a target knows better.
ASSUMED = 0.027
ASSUMED_RUNS = 8
MAX_RUNS = 10  # whose mean counts
MAX_SPREAD_RUNS = 20  # two kinds of machines may take turns in more than ten runs


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of the logarithm of a change, known with `freedom` degrees."""

    deviation: float
    freedom: float


def between_runs(
    values: Sequence[float],
    within: Chance,
    assumed: float = ASSUMED,
    *,
    bad: Collection[int] = (),
    most: float = math.inf,
) -> Chance:
    """Variance of a quantile's logarithm from run to run, of one run.

    `values`: the quantile in comparable runs of one level, oldest first. Neighbours are compared,
    so that a slow drift does not count as noise; what chance within the runs explains already
    (`within`, of a difference of two runs) is left out. Those at the positions `bad` did not pass,
    maybe for a reason: a step to or from them counts as `most` at most. `assumed`: the standard
    deviation until there are enough runs.
    """
    first = max(len(values) - MAX_SPREAD_RUNS, 0)
    steps = [
        min(abs(math.log(b / a)), most if at in bad or at + 1 in bad else math.inf) ** 2
        for at, (a, b) in enumerate(itertools.pairwise(values))
        if at >= first
    ]
    seen = max(sum(steps) / (2 * len(steps)) - within.variance / 2, 0.0) if steps else 0.0
    together = len(steps) + ASSUMED_RUNS
    return Chance((len(steps) * seen + ASSUMED_RUNS * assumed**2) / together, together)


def noise(within: Chance, between: Chance | None) -> Noise:
    """Combine both variances (Welch and Satterthwaite); an A/B run has no `between`."""
    if between is None:
        return Noise(math.sqrt(within.variance), within.freedom)
    apart = 2 * between.variance  # two runs differ
    variance = within.variance + apart
    freedom = variance**2 / (within.variance**2 / within.freedom + apart**2 / between.freedom)
    return Noise(math.sqrt(variance), freedom)
