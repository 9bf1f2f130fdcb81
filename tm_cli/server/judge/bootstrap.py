"""How far a change may be chance: response times of two runs, drawn again and again.

The stretches of the curve are drawn with replacement, the same ones for both runs: what belongs to
a stretch, such as a peak of the curve or, in an A/B run, a hiccup of the machine, hits both sides
alike and cancels.
"""

import itertools
import math
import random
import statistics
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tm_cli.server.judge.facts import Times

DRAWS = 300
_SEED = 1  # the same runs always get the same verdict

Weighted = Sequence[tuple[int, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Chance:
    """Variance of the logarithm of a ratio of quantiles, known with `freedom` degrees."""

    variance: float
    freedom: float


class ResponseTimes:
    """The response times of one run in blocks."""

    def __init__(self, blocks: Sequence[Times]) -> None:
        self._values = sorted({value for block in blocks for value, _ in block})
        self._blocks = [self._cumulated(dict(block)) for block in blocks]
        self._every = [(1, counts) for counts in self._blocks]

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def requests(self) -> int:
        return sum(counts[-1] for counts in self._blocks if counts)

    def quantile(self, share: float, weights: Mapping[int, int] | None = None) -> float:
        """The time in microseconds below which a share of the requests lies, 0 of nothing.

        `weights` says how often each block counts; by default every block counts once.
        """
        blocks = self._every
        if weights is not None:
            blocks = [(weight, self._blocks[index]) for index, weight in weights.items()]
        total = sum(weight * counts[-1] for weight, counts in blocks if counts)
        return self._value(blocks, share * total) if total else 0.0

    def standard_error(self, share: float) -> float:
        """Of the quantile's logarithm, if every request came by itself: from the ranks around."""
        total = self.requests
        rank, step = share * total, math.sqrt(total * share * (1 - share))
        low = self._value(self._every, max(rank - step, 1.0))
        high = self._value(self._every, min(rank + step, float(total)))
        return math.log(high / low) / 2

    def _cumulated(self, block: Mapping[int, int]) -> list[int]:
        return list(itertools.accumulate(block.get(value, 0) for value in self._values))

    def _value(self, blocks: Weighted, rank: float) -> int:
        position = bisect_left(
            range(len(self._values) - 1),
            rank,
            key=lambda k: sum(weight * counts[k] for weight, counts in blocks),
        )
        return self._values[position]


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
    draws: Sequence[Mapping[int, int]],
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


def _draws(count: int) -> list[Mapping[int, int]]:
    random_ = random.Random(_SEED)  # noqa: S311 - nothing secret
    drawn: list[Mapping[int, int]] = []
    for _ in range(DRAWS):
        weights: dict[int, int] = {}
        for index in random_.choices(range(count), k=count):
            weights[index] = weights.get(index, 0) + 1
        drawn.append(weights)
    return drawn


# Runs of the same code on hosted runners spread by 2.66 % (standard deviation of one run, CodSpeed,
# "Benchmarks in CI: Escaping the Cloud Chaos", 2025); two runs differ by sqrt(2) times as much.
# That holds until the history of a target knows better.
ASSUMED = 0.027
ASSUMED_RUNS = 8
MAX_RUNS = 10


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of the logarithm of a change, known with `freedom` degrees."""

    deviation: float
    freedom: float


def between_runs(values: Sequence[float], within: Chance, assumed: float = ASSUMED) -> Chance:
    """Variance of a quantile's logarithm from run to run, of one run.

    `values`: the quantile in comparable runs of one level that passed, oldest first. Neighbours are
    compared, so that a slow drift does not count as noise; what chance within the runs explains
    already (`within`, of a difference of two runs) is left out. `assumed`: the standard deviation
    until there are enough runs.
    """
    logs = [math.log(value) for value in values[-MAX_RUNS:] if value > 0]
    steps = [(b - a) ** 2 for a, b in itertools.pairwise(logs)]
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
