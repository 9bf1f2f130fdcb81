"""What a comparison of response times can see: the power of the judge's test.

The test says WARN or FAIL when a rise is above the limit, above the floor and above what chance
makes. Around a true rise the measured one scatters by the noise, so the true rise must be above
the largest of the three by as much as the wanted share of the runs needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from statistics import NormalDist, fmean
from typing import Any

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import LIKELY, SURE, Detectable
from tm_cli.server.judge.statistics.bootstrap import (
    ASSUMED,
    ASSUMED_RUNS,
    Chance,
    Noise,
    ResponseTimes,
    chances,
    noise,
)
from tm_cli.server.judge.statistics.distributions import student_quantile
from tm_cli.server.judge.thresholds import NEVER, QUANTILES, Threshold

POWER_OF_WARN, POWER_OF_FAIL = 0.80, 0.95
"""A run can detect a rise if it would be at least WARN, or FAIL, in this share of the runs."""

_LARGEST = 1000.0
"""A rise in percent; a run that sees nothing smaller sees nothing."""

# seconds and rates of the runs that a plan proposes
_LENGTHS = (10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 2700, 3600)
_FASTER = (2, 3, 5, 10, 20, 50, 100)
_MAX_BLOCKS, _BLOCK_SECONDS = 40, 5
_ASSUMED_BLOCKS = 4  # as many are mixed in by `chances`
_CAUTION = 2  # runs: how much of the assumed spread stays in the scatter, whatever was seen
_BLIND = 2.0  # times the failure limit, as in `latency`


def detectable(
    within: Chance,
    between: Chance | None,
    bound: Threshold,
    floor: float,
    *,
    assumed: float = ASSUMED,
    powers: tuple[float, float] = (POWER_OF_WARN, POWER_OF_FAIL),
) -> Detectable:
    """Return what a comparison detects that has so much chance within and between the runs.

    `floor`: the least rise that counts, as a share of the baseline. `assumed`: the spread that
    `between` was mixed with.
    """
    known, scatter = noise(within, between), _scatter(within, between, assumed)
    warn, fail = powers
    return Detectable(
        _smallest(known, scatter, bound.warn, floor, LIKELY, warn),
        _smallest(known, scatter, bound.fail, floor, SURE, fail),
    )


def _scatter(within: Chance, between: Chance | None, assumed: float) -> float:
    """How much a measured change scatters: the test's noise with less that is only assumed."""
    if between is None:
        return math.sqrt(within.variance)
    runs = between.freedom - ASSUMED_RUNS
    seen = max(between.variance * between.freedom - ASSUMED_RUNS * assumed**2, 0.0)
    likely = (seen + _CAUTION * assumed**2) / (runs + _CAUTION)
    return math.sqrt(within.variance + 2 * likely)


def _smallest(
    known: Noise, scatter: float, limit: float, floor: float, doubt: float, power: float
) -> float | None:
    if limit == NEVER:
        return None
    by_chance = student_quantile(1 - doubt, known.freedom) * known.deviation
    least = max(math.log1p(limit / 100), math.log1p(floor), by_chance)
    rise = 100 * math.expm1(min(least + NormalDist().inv_cdf(power) * scatter, 50.0))
    return round(rise, 1) if rise <= _LARGEST else None


@dataclass(frozen=True, slots=True)
class Variation:
    """Why a quantile of two runs of one load differs although nothing has changed.

    Variances of the logarithm of their ratio: `sampling`, what so many `requests` of one run alone
    explain; `wander`, what comes on top of that within runs of so many `seconds`; `between`, of one
    run from run to run, mixed with the standard deviation `assumed`. `value`: the quantile in
    milliseconds.
    """

    requests: int
    seconds: float
    value: float
    sampling: float
    wander: float
    between: Chance
    assumed: float

    def chances(self, load: Load) -> tuple[Chance, Chance | None]:
        """Chance within and between two runs of another load, or the two sides of an A/B run.

        In an A/B run what wanders meets both sides alike, but each has half of the requests.
        """
        blocks = min(_MAX_BLOCKS, max(1, math.ceil(load.seconds / _BLOCK_SECONDS)))
        freedom = blocks - 1 + _ASSUMED_BLOCKS
        sampling = self.sampling * self.requests / load.per_side
        if load.is_ab_run:
            return Chance(sampling, freedom), None
        wander = self.wander * self.seconds / load.seconds
        return Chance(sampling + wander, freedom), self.between


def find_variation(
    runs: Sequence[RunFacts],
    metric: str,
    between: Chance | None = None,
    assumed: float = ASSUMED,
) -> Variation:
    """Return why a quantile varies, from at least two comparable runs with their blocks.

    `between`: what is known of the variance from run to run; without it, `assumed` is all.
    """
    share = QUANTILES[metric]
    within, sampling = [], []
    for one, other in pairwise(runs):
        times, others = ResponseTimes(one.blocks), ResponseTimes(other.blocks)
        sampling.append(times.standard_error(share) ** 2 + others.standard_error(share) ** 2)
        within.append(chances(times, others, {metric: share})[metric].variance)
    return Variation(
        requests=round(fmean(run.completed for run in runs)),
        seconds=runs[0].seconds,
        value=runs[0].quantiles_ms[metric],
        sampling=fmean(sampling),
        wander=max(fmean(within) - fmean(sampling), 0.0),
        between=between or Chance(assumed**2, ASSUMED_RUNS),
        assumed=assumed,
    )


@dataclass(frozen=True, slots=True)
class Load:
    """A run by its mean rate per second and its length in seconds."""

    rate: float
    seconds: float
    is_ab_run: bool = False

    @property
    def requests(self) -> float:
        return self.rate * self.seconds

    @property
    def per_side(self) -> float:
        return self.requests / 2 if self.is_ab_run else self.requests


@dataclass(frozen=True, slots=True)
class Question:
    """What a plan is to see: a rise of `detect` percent, in a share of `power` of the runs.

    `bound` and `floor_ms` are the limits; `fewest` requests are needed to judge the quantile.
    """

    detect: float
    power: float
    bound: Threshold
    floor_ms: float
    fewest: int

    def with_lower_limits(self, value: float) -> Question:
        """The question with limits that do not hide the rise themselves; `value` in milliseconds.

        A rise as large as a limit is measured below it in half of the runs.
        """
        warn, half = self.bound.warn, self.detect / 2
        least = value * self.detect / 100
        return replace(
            self,
            bound=self.bound if warn < self.detect else replace(self.bound, warn=half),
            floor_ms=self.floor_ms if self.floor_ms < least else round(least / 2, 3),
        )

    def limits(self) -> dict[str, float | None]:
        bounds = {"warn": self.bound.warn, "fail": self.bound.fail}
        finite = {name: None if limit == NEVER else limit for name, limit in bounds.items()}
        return finite | {"floorMs": self.floor_ms}

    def detects(self, variation: Variation, within: Chance, between: Chance | None) -> Detectable:
        return detectable(
            within,
            between,
            self.bound,
            self.floor_ms / variation.value,
            assumed=variation.assumed,
            powers=(self.power, self.power),
        )


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run, and what it detects.

    `is_enough`: it detects the rise that was asked for. `is_blind`: so noisy that every run would
    be WARN. `is_too_small`: it has too few requests to be judged.
    """

    name: str
    load: Load
    detects: Detectable
    is_enough: bool
    is_blind: bool
    is_too_small: bool = False
    is_cheapest: bool = False

    def document(self, warmup: float = 0.0) -> dict[str, Any]:
        """The option in the API's form; its length includes the seconds of the warm-up."""
        seconds = self.load.seconds + warmup
        return {
            "name": self.name,
            "rate": round(self.load.rate, 3),
            "seconds": round(seconds, 3),
            "abRun": self.load.is_ab_run,
            "requests": round(self.load.rate * seconds),
            "minutes": round(seconds / 60, 2),
            "detects": self.detects.document(),
            "isEnough": self.is_enough,
            "isBlind": self.is_blind,
            "isTooSmall": self.is_too_small,
            "isCheapest": self.is_cheapest,
        }


def options(
    variation: Variation, question: Question, now: Load, *, most_rate: float
) -> list[Option]:
    """Ways to run, the present one first; of those that are enough, the shortest is marked.

    All but the first have limits that do not hide the rise. `most_rate`: requests per second that
    the server sends at most.
    """
    found = [_option("as it is", variation, question, now)]
    lower = question.with_lower_limits(variation.value)
    option = partial(_option, variation=variation, question=lower)
    if lower != question:
        found.append(option("lower limits", load=now))
    lengths = [replace(now, seconds=float(seconds)) for seconds in _LENGTHS]
    found += _first_enough(option("another length", load=load) for load in lengths)
    rates = [replace(now, rate=now.rate * times) for times in _FASTER]
    faster = [load for load in rates if load.rate <= most_rate]
    found += _first_enough(option("more requests/s", load=load) for load in faster)
    found.append(option("A/B run", load=replace(now, is_ab_run=True)))
    paired = [replace(load, is_ab_run=True) for load in lengths]
    found += _first_enough(option("A/B run, another length", load=load) for load in paired)
    # an A/B run needs both versions at once, so it is the answer only where it is shorter
    enough = [item for item in found if item.is_enough]
    best = min(enough, key=lambda item: (item.load.seconds, item.load.is_ab_run), default=None)
    return [replace(item, is_cheapest=item is best) for item in found]


def _first_enough(found: Iterable[Option]) -> list[Option]:
    return list(islice((option for option in found if option.is_enough), 1))


def _option(name: str, variation: Variation, question: Question, load: Load) -> Option:
    if load.per_side < question.fewest:
        nothing = Detectable(None, None)
        return Option(name, load, nothing, is_enough=False, is_blind=False, is_too_small=True)
    within, between = variation.chances(load)
    detects = question.detects(variation, within, between)
    known = noise(within, between)
    hidden = 100 * math.expm1(student_quantile(1 - LIKELY, known.freedom) * known.deviation)
    is_blind = hidden > _BLIND * question.bound.fail
    is_enough = not is_blind and detects.warn is not None and detects.warn <= question.detect
    return Option(name, load, detects, is_enough, is_blind)


def smallest_of_two_runs(variation: Variation, question: Question) -> Detectable:
    """What two runs detect however long they are: machines differ from run to run."""
    return question.detects(variation, Chance(0.0, 1.0), variation.between)
