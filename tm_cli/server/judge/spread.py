"""How much unchanged runs differ from each other, whatever happens within them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tm_cli.server.judge.resampling import Chance

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


def between_runs(values: Sequence[float], within: Chance) -> Chance:
    """Variance of a quantile's logarithm from run to run, of one run.

    `values`: the quantile in comparable runs of one level that passed, oldest first. Neighbours are
    compared, so that a slow drift does not count as noise; what chance within the runs explains
    already (`within`, of a difference of two runs) is left out.
    """
    logs = [math.log(value) for value in values[-MAX_RUNS:] if value > 0]
    steps = [(b - a) ** 2 for a, b in itertools.pairwise(logs)]
    seen = max(sum(steps) / (2 * len(steps)) - within.variance / 2, 0.0) if steps else 0.0
    together = len(steps) + ASSUMED_RUNS
    return Chance((len(steps) * seen + ASSUMED_RUNS * ASSUMED**2) / together, together)


def noise(within: Chance, between: Chance | None) -> Noise:
    """Combine both variances (Welch and Satterthwaite); an A/B run has no `between`."""
    if between is None:
        return Noise(math.sqrt(within.variance), within.freedom)
    apart = 2 * between.variance  # two runs differ
    variance = within.variance + apart
    freedom = variance**2 / (within.variance**2 / within.freedom + apart**2 / between.freedom)
    return Noise(math.sqrt(variance), freedom)
